// Package attr is the values that items are made of: AWS's ten attribute
// types, numbers of 38 digits, the sizes that AWS reckons with, the bytes in
// which items are kept, and keys that sort as their values do. It hides how a
// value lies in memory and on disk. It never changes a value once made, knows
// no expression and no table, and does nothing but compute.
//
// Source of sizes and limits: "DynamoDB item sizes and formats" and "Quotas in
// Amazon DynamoDB" of AWS's developer guide.
package attr

import (
	"cmp"
	"slices"
)

// Type is one of AWS's ten data types.
type Type byte

// The types. Their numbers are on disk.
const (
	S Type = iota + 1
	N
	B
	SS
	NS
	BS
	M
	L
	BOOL
	NULL
)

func (t Type) String() string {
	if t < S || t > NULL {
		return "?"
	}
	return [...]string{"S", "N", "B", "SS", "NS", "BS", "M", "L", "BOOL", "NULL"}[t-S]
}

// ParseType reads AWS's name of a type.
func ParseType(name string) (Type, bool) {
	for t := S; t <= NULL; t++ {
		if t.String() == name {
			return t, true
		}
	}
	return 0, false
}

// Value is one of String, Number, Binary, StringSet, NumberSet, BinarySet, Map,
// List, Bool and Null. It is read-only: what changes a value makes a new one.
type Value interface{ Type() Type }

// The kinds of values. Sets are sorted and hold nothing twice: see NewSet and
// NewNumberSet.
type (
	String    string
	Binary    string // bytes
	StringSet []string
	BinarySet []string
	NumberSet []Number
	Map       map[string]Value
	List      []Value
	Bool      bool
	Null      struct{}
)

// Type says which of AWS's types the value has.
func (String) Type() Type    { return S }
func (Number) Type() Type    { return N } // as all others
func (Binary) Type() Type    { return B }
func (StringSet) Type() Type { return SS }
func (NumberSet) Type() Type { return NS }
func (BinarySet) Type() Type { return BS }
func (Map) Type() Type       { return M }
func (List) Type() Type      { return L }
func (Bool) Type() Type      { return BOOL }
func (Null) Type() Type      { return NULL }

// NewSet sorts members in place, for a StringSet or a BinarySet. twice is true
// when one is there twice, which AWS refuses.
func NewSet(members []string) (set []string, twice bool) {
	slices.Sort(members)
	n := len(members)
	members = slices.Compact(members)
	return members, len(members) < n
}

// NewNumberSet is NewSet for numbers.
func NewNumberSet(members []Number) (set NumberSet, twice bool) {
	slices.SortFunc(members, Number.Compare)
	n := len(members)
	members = slices.Compact(members)
	return members, len(members) < n
}

// Equal reports whether a and b, either of which may be nil for absent, are the
// same value: of one type, numbers by their value, sets whatever their order.
func Equal(a, b Value) bool {
	if a == nil || b == nil || a.Type() != b.Type() {
		return a == nil && b == nil
	}
	switch a := a.(type) {
	case StringSet:
		return slices.Equal(a, b.(StringSet))
	case BinarySet:
		return slices.Equal(a, b.(BinarySet))
	case NumberSet:
		return slices.Equal(a, b.(NumberSet))
	case List:
		return slices.EqualFunc(a, b.(List), Equal)
	case Map:
		other := b.(Map)
		if len(a) != len(other) {
			return false
		}
		for name, v := range a {
			if w, ok := other[name]; !ok || !Equal(v, w) {
				return false
			}
		}
		return true
	}
	return a == b
}

// Compare orders two values of one scalar type, strings and binaries by their
// bytes. ok is false for anything else: AWS then finds no order either.
func Compare(a, b Value) (order int, ok bool) {
	switch a := a.(type) {
	case String:
		if b, ok := b.(String); ok {
			return cmp.Compare(a, b), true
		}
	case Binary:
		if b, ok := b.(Binary); ok {
			return cmp.Compare(a, b), true
		}
	case Number:
		if b, ok := b.(Number); ok {
			return a.Compare(b), true
		}
	}
	return 0, false
}

// MaxItem is how large an item may be, by Size.
const MaxItem = 400 << 10

// Size is what AWS reckons an item's size to be: names and values, in bytes.
func (m Map) Size() int {
	n := 0
	for name, v := range m {
		n += len(name) + Size(v)
	}
	return n
}

// Size is what AWS reckons a value's size to be, without its name.
func Size(v Value) int {
	switch v := v.(type) {
	case String:
		return len(v)
	case Binary:
		return len(v)
	case Number:
		return v.size()
	case StringSet:
		return total(v)
	case BinarySet:
		return total(v)
	case NumberSet:
		n := 0
		for _, x := range v {
			n += x.size()
		}
		return n
	case List:
		n := 3
		for _, x := range v {
			n += 1 + Size(x)
		}
		return n
	case Map:
		return 3 + len(v) + v.Size()
	}
	return 1
}

func total(members []string) int {
	n := 0
	for _, s := range members {
		n += len(s)
	}
	return n
}

// CheckName finds what AWS says of a name that no attribute can have.
func CheckName(name string) error {
	switch {
	case name == "":
		return errNoName
	case len(name) > 65535:
		return errLongName
	}
	return nil
}

// MaxDepth is how deep lists and maps may be nested within an item.
const MaxDepth = 32

// Depth is how many lists and maps are nested in v, itself included.
func Depth(v Value) int {
	deepest := 0
	switch v := v.(type) {
	case List:
		for _, x := range v {
			deepest = max(deepest, Depth(x))
		}
	case Map:
		for _, x := range v {
			deepest = max(deepest, Depth(x))
		}
	default:
		return 0
	}
	return deepest + 1
}
