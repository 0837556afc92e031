package table

import (
	"maps"
	"slices"

	"github.com/thalweg/thalweg/table/attr"
	"github.com/thalweg/thalweg/table/expr"
)

// shows is the projection of an index of d; nil for all attributes.
func (x *Index) shows(d *Definition) *expr.Projection {
	if x.Projection == ProjectAll {
		return nil
	}
	names := map[string]bool{}
	for _, k := range slices.Concat(x.Keys.List(), d.Keys.List()) {
		names[k.Name] = true
	}
	for _, n := range x.NonKey {
		names[n] = true
	}
	return expr.Attributes(slices.Sorted(maps.Keys(names)))
}

// Shown is what an index of d holds of an item; nil when the item is nil or has
// no entry in it.
func (x *Index) Shown(d *Definition, item attr.Map) attr.Map {
	if item == nil {
		return nil
	}
	if _, ok := x.entryKey(func(name string) attr.Value { return item[name] }); !ok {
		return nil
	}
	if p := x.shows(d); p != nil {
		return p.Apply(item)
	}
	return item
}

// CollectionBytes is how many bytes are kept under an item's hash key, in the
// table and its local indexes. ok is false when the table has no such indexes,
// and so no item collections.
func (t *Tables) CollectionBytes(n Name, item attr.Map) (bytes int64, ok bool, err error) {
	trees, hash, err := t.collection(n)
	if err != nil {
		return 0, false, err
	}
	partition, _ := appendPartition(nil, item[hash])
	end := successor(string(partition))
	for _, in := range trees {
		in.Ascend(string(partition), func(key, item string) bool {
			if end != "" && key >= end {
				return false
			}
			bytes += int64(len(item))
			return true
		})
	}
	return bytes, trees != nil, nil
}

// collection copies the trees that a table's item collections lie in, which may
// be too large for the log to wait until they are counted: none of a table
// without local indexes.
func (t *Tables) collection(n Name) (trees []*tree, hash string, err error) {
	t.mu.Lock() // copying a tree marks its nodes
	defer t.mu.Unlock()
	x := t.byName[n]
	if x == nil {
		return nil, "", errNoTable()
	}
	for name, in := range x.indexes {
		if x.def.Index(name).Local {
			trees = append(trees, in.entries.Copy())
		}
	}
	if trees != nil {
		trees = append(trees, x.items.Copy())
	}
	return trees, x.def.Keys.Hash.Name, nil
}
