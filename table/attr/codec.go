package attr

import (
	"encoding/binary"
	"errors"
	"slices"
)

// ErrCorrupt says that bytes are no item, or no value.
var ErrCorrupt = errors.New("corrupt item")

// Append appends an item in the encoding of docs/format/table.md: equal items
// have equal bytes.
func (m Map) Append(dst []byte) []byte {
	dst = binary.AppendUvarint(dst, uint64(len(m)))
	var room [16]string
	names := room[:0]
	for name := range m {
		names = append(names, name)
	}
	slices.Sort(names)
	for _, name := range names {
		dst = AppendValue(appendText(dst, name), m[name])
	}
	return dst
}

// AppendValue appends one value.
func AppendValue(dst []byte, v Value) []byte {
	dst = append(dst, byte(v.Type()))
	switch v := v.(type) {
	case String:
		return appendText(dst, string(v))
	case Binary:
		return appendText(dst, string(v))
	case Number:
		return appendNumber(dst, v)
	case StringSet:
		return appendTexts(dst, v)
	case BinarySet:
		return appendTexts(dst, v)
	case NumberSet:
		dst = binary.AppendUvarint(dst, uint64(len(v)))
		for _, n := range v {
			dst = appendNumber(dst, n)
		}
	case List:
		dst = binary.AppendUvarint(dst, uint64(len(v)))
		for _, x := range v {
			dst = AppendValue(dst, x)
		}
	case Map:
		return v.Append(dst)
	case Bool:
		if v {
			return append(dst, 1)
		}
		return append(dst, 0)
	}
	return dst
}

func appendText(dst []byte, s string) []byte {
	return append(binary.AppendUvarint(dst, uint64(len(s))), s...)
}

func appendTexts(dst []byte, texts []string) []byte {
	dst = binary.AppendUvarint(dst, uint64(len(texts)))
	for _, s := range texts {
		dst = appendText(dst, s)
	}
	return dst
}

// appendNumber appends the sign, the exponent and the digits.
func appendNumber(dst []byte, n Number) []byte {
	sign := byte(0)
	if n.neg {
		sign = 1
	}
	return appendText(binary.AppendVarint(append(dst, sign), int64(n.exp)), n.digits)
}

// Reader takes encoded values apart. What it yields shares the input's memory.
// After the first thing that is wrong it is Bad and yields zeros.
type Reader struct {
	Rest string
	Bad  bool
}

// Byte reads one byte.
func (r *Reader) Byte() byte {
	if r.Bad || r.Rest == "" {
		r.Bad = true
		return 0
	}
	b := r.Rest[0]
	r.Rest = r.Rest[1:]
	return b
}

// Uvarint reads an unsigned number.
func (r *Reader) Uvarint() uint64 {
	var v uint64
	for shift := 0; shift < 64; shift += 7 {
		b := r.Byte()
		v |= uint64(b&0x7f) << shift
		if b < 0x80 {
			return v
		}
	}
	r.Bad = true
	return 0
}

// Count reads how many things follow, of at least size bytes each.
func (r *Reader) Count(size int) int {
	n := r.Uvarint()
	if r.Bad || n > uint64(len(r.Rest)/size) {
		r.Bad = true
		return 0
	}
	return int(n)
}

// Text reads a text.
func (r *Reader) Text() string {
	n := r.Count(1)
	s := r.Rest[:n]
	r.Rest = r.Rest[n:]
	return s
}

func (r *Reader) texts() []string {
	list := make([]string, r.Count(1))
	for i := range list {
		list[i] = r.Text()
	}
	return list
}

func (r *Reader) number() Number {
	neg := r.Byte() == 1
	u := r.Uvarint()
	exp := int64(u>>1) ^ -int64(u&1)
	digits := r.Text()
	if exp > maxExp || exp < minExp || len(digits) > maxDigits {
		r.Bad = true
		return Number{}
	}
	return Number{digits, int16(exp), neg}
}

// Value reads one value; nil when it is Bad.
func (r *Reader) Value() Value { return r.value(0) }

func (r *Reader) value(depth int) Value {
	switch t := Type(r.Byte()); {
	case r.Bad || depth > MaxDepth+1:
	case t == S:
		return String(r.Text())
	case t == N:
		return r.number()
	case t == B:
		return Binary(r.Text())
	case t == SS:
		return StringSet(r.texts())
	case t == BS:
		return BinarySet(r.texts())
	case t == NS:
		set := make(NumberSet, r.Count(3))
		for i := range set {
			set[i] = r.number()
		}
		return set
	case t == L:
		list := make(List, r.Count(1))
		for i := range list {
			if list[i] = r.value(depth + 1); r.Bad {
				return nil
			}
		}
		return list
	case t == M:
		return r.pairs(depth + 1)
	case t == BOOL:
		return Bool(r.Byte() == 1)
	case t == NULL:
		return Null{}
	}
	r.Bad = true
	return nil
}

// Map reads an item.
func (r *Reader) Map() Map { return r.pairs(0) }

func (r *Reader) pairs(depth int) Map {
	n := r.Count(2)
	m := make(Map, n)
	for range n {
		name := r.Text()
		v := r.value(depth)
		if r.Bad {
			return nil
		}
		m[name] = v
	}
	return m
}

// skip passes over one value.
func (r *Reader) skip(depth int) {
	switch t := Type(r.Byte()); {
	case r.Bad || depth > MaxDepth+1:
		r.Bad = true
	case t == S || t == B:
		r.Text()
	case t == N:
		r.number()
	case t == SS || t == BS:
		for range r.Count(1) {
			r.Text()
		}
	case t == NS:
		for range r.Count(3) {
			r.number()
		}
	case t == L:
		for range r.Count(1) {
			r.skip(depth + 1)
		}
	case t == M:
		for range r.Count(2) {
			r.Text()
			r.skip(depth + 1)
		}
	case t == BOOL:
		r.Byte()
	case t != NULL:
		r.Bad = true
	}
}

// Decode reads an item and wants nothing to follow.
func Decode(encoded string) (Map, error) {
	r := Reader{Rest: encoded}
	m := r.Map()
	if r.Bad || r.Rest != "" {
		return nil, ErrCorrupt
	}
	return m, nil
}

// Lookup finds one attribute of an encoded item without decoding the others;
// nil when it is not there.
func Lookup(encoded, name string) Value {
	r := Reader{Rest: encoded}
	for range r.Count(2) {
		found := r.Text()
		if r.Bad || found > name { // they are sorted
			return nil
		}
		if found == name {
			return r.Value()
		}
		r.skip(0)
	}
	return nil
}
