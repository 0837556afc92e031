package table

import (
	"hash/crc32"
	"slices"

	"github.com/thalweg/thalweg/fault"
	"github.com/thalweg/thalweg/table/attr"
	"github.com/thalweg/thalweg/table/expr"
)

// Name names a table: of whose, where, and which.
type Name struct{ Account, Region, Table string }

// Key is an attribute of a key.
type Key struct {
	Name string    `json:"name"`
	Type attr.Type `json:"type"`
}

// Schema is a primary key or an index key. Range.Name is "" when there is none.
type Schema struct {
	Hash  Key `json:"hash"`
	Range Key `json:"range,omitzero"`
}

// Throughput is provisioned capacity, which is told and not enforced. Zero with
// PAY_PER_REQUEST.
type Throughput struct {
	Read  int64 `json:"read"`
	Write int64 `json:"write"`
}

// The projections of an index, in AWS's words.
const (
	ProjectAll     = "ALL"
	ProjectKeys    = "KEYS_ONLY"
	ProjectInclude = "INCLUDE"
)

// Index describes a secondary index.
type Index struct {
	Name       string     `json:"name"`
	Local      bool       `json:"local,omitzero"`
	Keys       Schema     `json:"keys"`
	Projection string     `json:"projection"`
	NonKey     []string   `json:"nonKey,omitempty"` // with ProjectInclude
	Throughput Throughput `json:"throughput,omitzero"`
}

// Definition is what a table is, but for its items. It is read-only.
type Definition struct {
	ID         string            `json:"id"`      // a UUID
	Created    int64             `json:"created"` // Unix milliseconds
	Keys       Schema            `json:"keys"`
	Indexes    []Index           `json:"indexes,omitempty"`
	OnDemand   bool              `json:"onDemand,omitzero"`
	Billed     int64             `json:"billed,omitzero"` // when it last became OnDemand, Unix ms
	Throughput Throughput        `json:"throughput,omitzero"`
	Tags       map[string]string `json:"tags,omitempty"`
	Expiry     string            `json:"expiry,omitzero"` // the attribute of items' time to live
	Protected  bool              `json:"protected,omitzero"`
	Class      string            `json:"class,omitzero"`
}

// Index returns the definition of an index; nil when there is none.
func (d *Definition) Index(name string) *Index {
	for i := range d.Indexes {
		if d.Indexes[i].Name == name {
			return &d.Indexes[i]
		}
	}
	return nil
}

// Attributes are all key attributes of the table and its indexes, each once.
func (d *Definition) Attributes() []Key {
	var keys []Key
	add := func(s Schema) {
		for _, k := range s.List() {
			if !slices.Contains(keys, k) {
				keys = append(keys, k)
			}
		}
	}
	add(d.Keys)
	for _, x := range d.Indexes {
		add(x.Keys)
	}
	return keys
}

// List is the key's attributes: one or two.
func (s Schema) List() []Key {
	if s.Range.Name == "" {
		return []Key{s.Hash}
	}
	return []Key{s.Hash, s.Range}
}

// has reports whether an attribute is part of the key.
func (s Schema) has(name string) bool {
	return name == s.Hash.Name || name == s.Range.Name && name != ""
}

// Bounds on keys, in bytes.
const (
	maxHash  = 2048
	maxRange = 1024
)

func invalid(format string, args ...any) *fault.Error {
	return fault.New(fault.Invalid, format, args...)
}

var errKey = invalid("The provided key element does not match the schema")

// checkKey wants key to be a primary key and nothing else.
func (s Schema) checkKey(key attr.Map) error {
	if len(key) != len(s.List()) {
		return errKey
	}
	for _, k := range s.List() {
		v := key[k.Name]
		if v == nil || v.Type() != k.Type {
			return errKey
		}
		if err := k.checkSize(v, k.Name == s.Hash.Name); err != nil {
			return err
		}
	}
	return nil
}

// checkSize bounds the value of a key attribute.
func (k Key) checkSize(v attr.Value, hash bool) error {
	size := attr.Size(v)
	switch {
	case k.Type == attr.N:
	case size == 0 && k.Type == attr.S:
		return invalid("One or more parameter values are not valid. The AttributeValue for a key attribute cannot contain an empty string value. Key: %s", k.Name)
	case size == 0:
		return invalid("One or more parameter values are not valid. The AttributeValue for a key attribute cannot contain an empty binary value. Key: %s", k.Name)
	case hash && size > maxHash:
		return invalid("One or more parameter values were invalid: Size of hashkey has exceeded the maximum size limit of%d bytes", maxHash)
	case !hash && size > maxRange:
		return invalid("One or more parameter values were invalid: Aggregated size of all range keys has exceeded the size limit of %d bytes", maxRange)
	}
	return nil
}

// checkItem wants the key attributes to be there with their types.
func (d *Definition) checkItem(item attr.Map) error {
	for name := range item {
		if err := attr.CheckName(name); err != nil {
			return invalid("One or more parameter values were invalid: %s", err)
		}
	}
	for _, k := range d.Keys.List() {
		v := item[k.Name]
		if v == nil {
			return invalid("One or more parameter values were invalid: Missing the key %s in the item", k.Name)
		}
		if v.Type() != k.Type {
			return invalid("One or more parameter values were invalid: Type mismatch for key %s expected: %s actual: %s", k.Name, k.Type, v.Type())
		}
		if err := k.checkSize(v, k.Name == d.Keys.Hash.Name); err != nil {
			return err
		}
	}
	return d.checkIndexKeys(item)
}

// checkIndexKeys wants what index keys are made of, where it is there, to have
// its types and bounds.
func (d *Definition) checkIndexKeys(item attr.Map) error {
	for i := range d.Indexes {
		x := &d.Indexes[i]
		for _, k := range x.Keys.List() {
			v := item[k.Name]
			switch {
			case v == nil:
			case v.Type() != k.Type:
				return invalid("One or more parameter values were invalid: Type mismatch for Index Key %s Expected: %s Actual: %s IndexName: %s", k.Name, k.Type, v.Type(), x.Name)
			case k.Type != attr.N && attr.Size(v) == 0:
				kind := "string"
				if k.Type == attr.B {
					kind = "binary"
				}
				return invalid("One or more parameter values are not valid. A value specified for a secondary index key is not supported. The AttributeValue for a key attribute cannot contain an empty %s value. IndexName: %s, IndexKey: %s", kind, x.Name, k.Name)
			}
			if v != nil {
				if err := k.checkSize(v, k.Name == x.Keys.Hash.Name); err != nil {
					return err
				}
			}
		}
	}
	return nil
}

// castagnoli is a constant in all but name.
var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// A key in a tree is a hash of the partition's key, by which parallel scans
// divide the items, then the hash key and the range key, in bytes that sort as
// they do. In an index the primary key follows, which makes it unique.

// appendPartition appends what all keys of one partition begin with.
func appendPartition(dst []byte, hash attr.Value) ([]byte, bool) {
	start := len(dst)
	dst, ok := attr.AppendKey(append(dst, 0, 0, 0, 0), hash)
	sum := crc32.Checksum(dst[start+4:], castagnoli)
	dst[start], dst[start+1], dst[start+2], dst[start+3] = byte(sum>>24), byte(sum>>16), byte(sum>>8), byte(sum)
	return dst, ok
}

// treeKey appends the key of an item by its schema; look finds attributes. ok
// is false when the item lacks one, or it has another type than the schema's.
func (s Schema) treeKey(dst []byte, look func(name string) attr.Value) (_ []byte, ok bool) {
	hash := look(s.Hash.Name)
	if hash == nil || hash.Type() != s.Hash.Type {
		return dst, false
	}
	if dst, ok = appendPartition(dst, hash); !ok || s.Range.Name == "" {
		return dst, ok
	}
	v := look(s.Range.Name)
	if v == nil || v.Type() != s.Range.Type {
		return dst, false
	}
	return attr.AppendKey(dst, v)
}

// keyOf is treeKey of attributes at hand.
func (s Schema) keyOf(item attr.Map) (string, bool) {
	var room [128]byte
	b, ok := s.treeKey(room[:0], func(name string) attr.Value { return item[name] })
	return string(b), ok
}

// entryKey is treeKey of an item in an index: not ok also for keys that no write
// may have, but that may be there from before the index was.
func (x *Index) entryKey(look func(name string) attr.Value) (string, bool) {
	var room [128]byte
	b, ok := x.Keys.treeKey(room[:0], func(name string) attr.Value {
		v, k := look(name), x.Keys.Hash
		if name != k.Name {
			k = x.Keys.Range
		}
		if v == nil || k.checkSize(v, name == x.Keys.Hash.Name) != nil {
			return nil
		}
		return v
	})
	return string(b), ok
}

// checkUpdate refuses updates that are wrong whatever the item: of the key, and
// of index keys to what they cannot be.
func (d *Definition) checkUpdate(u *expr.Update) error {
	if name, ok := u.Writes(d.Keys.has); ok {
		return invalid("One or more parameter values were invalid: Cannot update attribute %s. This attribute is part of the key", name)
	}
	if len(d.Indexes) == 0 {
		return nil
	}
	for _, p := range u.Paths() {
		if len(p) > 1 && slices.ContainsFunc(d.Indexes, func(x Index) bool { return x.Keys.has(p[0].Name) }) {
			return invalid("Key attributes must be scalars; list random access '[]' and map lookup '.' are not allowed: IndexKey: %s", p[0].Name)
		}
	}
	return d.checkIndexKeys(u.Given())
}

// keyIn is treeKey of an encoded item.
func (s Schema) keyIn(encoded string) (string, bool) {
	var room [128]byte
	b, ok := s.treeKey(room[:0], func(name string) attr.Value { return attr.Lookup(encoded, name) })
	return string(b), ok
}

// successor is the least string above all that begin with s; "" when there is
// none, for s made of nothing but 255.
func successor(s string) string {
	for s != "" && s[len(s)-1] == 0xff {
		s = s[:len(s)-1]
	}
	if s == "" {
		return ""
	}
	return s[:len(s)-1] + string([]byte{s[len(s)-1] + 1})
}
