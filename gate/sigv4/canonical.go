package sigv4

import (
	"encoding/hex"
	"net/url"
	"slices"
	"strings"
)

// arg is one parameter of the query, encoded canonically.
type arg struct{ name, value string }

// unsignedHeader is AWS's text for a header that had to be signed.
const unsignedHeader = "'%s' must be a 'SignedHeader' in the AWS Authorization."

// canonical writes the canonical request into v.buf, checking on the way that
// the signed headers are in order, once each, and leave out nothing that
// matters. The path is taken as it came: signers differ on whether they remove
// dot segments, and no client sends any.
func (v *Verifier) canonical(r *Request, s *Signature) error {
	path, query := r.split()
	b := append(append(v.buf[:0], r.Method...), '\n')
	if s.Service == "s3" {
		b = append(b, path...) // S3 signs the path as it was sent,
	} else {
		b = appendEscaped(b, path, true) // all others escape that once more
	}
	b = append(b, '\n')
	if query != "" {
		var err error
		if b, err = v.appendQuery(b, query, s.InQuery); err != nil {
			v.buf = b
			return err
		}
	}
	b = append(b, '\n')
	var prev string
	host, steering := false, 0
	for rest := s.SignedHeaders; rest != ""; {
		var name string
		name, rest, _ = strings.Cut(rest, ";")
		if name <= prev {
			v.buf = b
			return invalid("SignedHeaders must be sorted, in lower case and without repetition. Got '%s'.", s.SignedHeaders)
		}
		prev = name
		b = append(append(b, name...), ':')
		if name == "host" || name == ":authority" {
			host = true
			b = append(append(b, r.Host...), '\n')
			continue
		}
		values, ok := v.lookup(r, name)
		if !ok {
			v.buf = b
			return invalid("SignedHeaders must be sorted, in lower case and without repetition. Got '%s'.", s.SignedHeaders)
		}
		if strings.HasPrefix(name, "x-amz-") {
			if len(values) > 1 {
				v.buf = b
				return invalid("Found more than one '%s' header.", name)
			}
			steering += len(values)
		}
		for i, value := range values {
			if i > 0 {
				b = append(b, ',')
			}
			b = appendTrimmed(b, value)
		}
		b = append(b, '\n')
	}
	b = append(append(append(b, '\n'), s.SignedHeaders...), '\n')
	b = hex.AppendEncode(b, r.BodyHash[:])
	v.buf = b
	if !host {
		return invalid("'Host' or ':authority' must be a 'SignedHeader' in the AWS Authorization.")
	}
	return unsigned(r, s, steering)
}

// unsigned finds a header that steers the call and is not signed. Signed
// names are distinct, so when as many x-amz-* headers are signed as there are,
// all of them are.
func unsigned(r *Request, s *Signature, signed int) error {
	n := 0
	for key, values := range r.Header {
		if len(values) > 0 && strings.HasPrefix(key, "X-Amz-") {
			n++
		}
	}
	if n > signed {
		var first string
		for key, values := range r.Header {
			if len(values) > 0 && strings.HasPrefix(key, "X-Amz-") && !isSigned(s.SignedHeaders, key) && (first == "" || key < first) {
				first = key
			}
		}
		return invalid(unsignedHeader, first)
	}
	if !s.InQuery && r.first("X-Amz-Date") == "" && !isSigned(s.SignedHeaders, "Date") {
		return invalid(unsignedHeader, "Date")
	}
	return nil
}

func isSigned(signed, key string) bool {
	for name := range strings.SplitSeq(signed, ";") {
		if strings.EqualFold(name, key) {
			return true
		}
	}
	return false
}

// lookup finds the values of a header by its name in lower case, without
// allocating the canonical key. It is false for a name that is none, or not
// in lower case.
func (v *Verifier) lookup(r *Request, name string) ([]string, bool) {
	var key [128]byte
	if len(name) == 0 || len(name) > len(key) {
		return nil, false
	}
	upper := true
	for i := range len(name) {
		c := name[i]
		switch {
		case 'A' <= c && c <= 'Z' || c <= ' ' || c >= 0x7f:
			return nil, false
		case upper && 'a' <= c && c <= 'z':
			c -= 'a' - 'A'
		}
		key[i], upper = c, c == '-'
	}
	return r.Header[string(key[:len(name)])], true
}

// appendTrimmed appends a header's value without blanks around it, and with
// one where several stand together.
func appendTrimmed(b []byte, value string) []byte {
	value = strings.Trim(value, " \t")
	for {
		at := strings.Index(value, "  ")
		if at < 0 {
			return append(b, value...)
		}
		b = append(b, value[:at+1]...)
		value = strings.TrimLeft(value[at:], " ")
	}
}

// appendQuery appends the query in canonical form: every name and value
// decoded and escaped AWS's way, sorted, the signature itself left out.
func (v *Verifier) appendQuery(b []byte, query string, inQuery bool) ([]byte, error) {
	v.args = v.args[:0]
	for pair := range strings.SplitSeq(query, "&") {
		if pair == "" {
			continue
		}
		name, value, _ := strings.Cut(pair, "=")
		name, err1 := url.QueryUnescape(name)
		value, err2 := url.QueryUnescape(value)
		if err1 != nil || err2 != nil {
			return b, invalid("The query string is not percent-encoded correctly.")
		}
		if inQuery && name == "X-Amz-Signature" {
			continue
		}
		v.args = append(v.args, arg{string(appendEscaped(nil, name, false)), string(appendEscaped(nil, value, false))})
	}
	slices.SortFunc(v.args, func(x, y arg) int {
		if c := strings.Compare(x.name, y.name); c != 0 {
			return c
		}
		return strings.Compare(x.value, y.value)
	})
	for i, a := range v.args {
		if i > 0 {
			b = append(b, '&')
		}
		b = append(append(append(b, a.name...), '='), a.value...)
	}
	return b, nil
}

// appendEscaped percent-encodes all but the unreserved characters of RFC 3986,
// and the slash in a path.
func appendEscaped(b []byte, s string, isPath bool) []byte {
	const digits = "0123456789ABCDEF"
	for i := range len(s) {
		switch c := s[i]; {
		case 'a' <= c && c <= 'z', 'A' <= c && c <= 'Z', '0' <= c && c <= '9', c == '-', c == '_', c == '.', c == '~', isPath && c == '/':
			b = append(b, c)
		default:
			b = append(b, '%', digits[c>>4], digits[c&15])
		}
	}
	return b
}
