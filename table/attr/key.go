package attr

// AppendKey appends a key value so that the bytes of two sort as the values do,
// and none is the beginning of another. ok is false for a type that no key has.
func AppendKey(dst []byte, v Value) (_ []byte, ok bool) {
	switch v := v.(type) {
	case String:
		return appendKeyText(dst, string(v)), true
	case Binary:
		return appendKeyText(dst, string(v)), true
	case Number:
		return v.appendKey(dst), true
	}
	return dst, false
}

// appendKeyText ends a text with two zeros; a zero within it is followed by 255.
func appendKeyText(dst []byte, s string) []byte {
	for i := range len(s) {
		if dst = append(dst, s[i]); s[i] == 0 {
			dst = append(dst, 0xff)
		}
	}
	return append(dst, 0, 0)
}

// appendKey appends the sign, the exponent and two digits a byte up to a zero,
// all of them complemented for negative numbers.
func (n Number) appendKey(dst []byte) []byte {
	if n.digits == "" {
		return append(dst, 1)
	}
	exp := uint16(int(n.exp) + 1<<14)
	start := len(dst)
	dst = append(dst, 2, byte(exp>>8), byte(exp))
	for i := 0; i < len(n.digits); i += 2 {
		pair := (n.digits[i] - '0') * 10
		if i+1 < len(n.digits) {
			pair += n.digits[i+1] - '0'
		}
		dst = append(dst, pair+1)
	}
	dst = append(dst, 0)
	if n.neg {
		dst[start] = 0
		for i := start + 1; i < len(dst); i++ {
			dst[i] = ^dst[i]
		}
	}
	return dst
}

// AppendKeyPrefix appends the bytes that the keys of all values begin with that
// begin with v. ok is false for what is neither a string nor a binary.
func AppendKeyPrefix(dst []byte, v Value) (_ []byte, ok bool) {
	switch v.(type) {
	case String, Binary:
		dst, _ = AppendKey(dst, v)
		return dst[:len(dst)-2], true
	}
	return dst, false
}
