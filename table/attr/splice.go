package attr

import (
	"encoding/binary"
	"slices"
)

// Pick decodes the attributes of an encoded item that are wanted, which are in
// order, and passes over the others.
func Pick(encoded string, wanted []string) (Map, error) {
	r := Reader{Rest: encoded}
	m := make(Map, len(wanted))
	for range r.Count(2) {
		name := r.Text()
		if _, ok := slices.BinarySearch(wanted, name); !ok {
			r.skip(0)
			continue
		}
		v := r.value(0)
		if r.Bad {
			return nil, ErrCorrupt
		}
		m[name] = v
	}
	if r.Bad || r.Rest != "" {
		return nil, ErrCorrupt
	}
	return m, nil
}

// Splice appends an encoded item with the attributes that were picked from it
// replaced by those of next, none of which may have another name. The bytes are
// those of the whole item encoded anew.
func Splice(dst []byte, encoded string, picked []string, next Map) []byte {
	var room [16]string
	names := room[:0]
	for name := range next {
		names = append(names, name)
	}
	slices.Sort(names)
	r := Reader{Rest: encoded}
	count := r.Count(2)
	all := len(next)
	for left := r; count > 0; count-- { // how many stay is to be written first
		if _, ok := slices.BinarySearch(picked, left.Text()); !ok {
			all++
		}
		left.skip(0)
	}
	dst = binary.AppendUvarint(dst, uint64(all))
	for r.Rest != "" && !r.Bad {
		from := r.Rest
		name := r.Text()
		r.skip(0)
		if _, ok := slices.BinarySearch(picked, name); ok {
			continue
		}
		for len(names) > 0 && names[0] < name {
			dst = AppendValue(appendText(dst, names[0]), next[names[0]])
			names = names[1:]
		}
		dst = append(dst, from[:len(from)-len(r.Rest)]...)
	}
	for _, name := range names {
		dst = AppendValue(appendText(dst, name), next[name])
	}
	return dst
}
