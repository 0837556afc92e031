package table

import (
	"context"
	"encoding/binary"
	"slices"
	"strings"

	"github.com/thalweg/thalweg/table/attr"
	"github.com/thalweg/thalweg/table/expr"
)

// Get returns the item under a key; nil when there is none.
func (t *Tables) Get(n Name, key attr.Map) (attr.Map, *Definition, error) {
	items, defs, err := t.GetAll([]Name{n}, []attr.Map{key})
	if err != nil {
		return nil, nil, err
	}
	return items[0], defs[0], nil
}

// GetAll returns the items under keys, all as of one instant; nil where there
// is none. names[i] is the table of keys[i].
func (t *Tables) GetAll(names []Name, keys []attr.Map) ([]attr.Map, []*Definition, error) {
	encoded := make([]string, len(keys))
	defs := make([]*Definition, len(keys))
	if err := t.lookUp(names, keys, encoded, defs); err != nil {
		return nil, nil, err
	}
	items := make([]attr.Map, len(keys))
	for i, e := range encoded {
		if e == "" {
			continue
		}
		var err error
		if items[i], err = attr.Decode(e); err != nil {
			return nil, nil, err
		}
	}
	return items, defs, nil
}

func (t *Tables) lookUp(names []Name, keys []attr.Map, encoded []string, defs []*Definition) error {
	t.mu.RLock()
	defer t.mu.RUnlock()
	for i, key := range keys {
		x := t.byName[names[i]]
		if x == nil {
			return errNoTable()
		}
		if err := x.def.Keys.checkKey(key); err != nil {
			return &OpError{i, err}
		}
		defs[i] = x.def
		k, _ := x.def.Keys.keyOf(key)
		encoded[i], _ = x.items.Get(k)
	}
	return nil
}

// Query asks for items in the order of their keys: of one partition when Keys
// has a condition on the hash key, of the whole table when Keys is nil, which
// is a scan.
type Query struct {
	Table      Name
	Index      string // "": the table itself
	Consistent bool
	Keys       []expr.KeyTest
	Backward   bool
	Segment    int // of Segments, from 0; scans only
	Segments   int // 0: all of it
	Filter     *expr.Condition
	Older      bool             // Filter was given as QueryFilter, which its fault names
	Project    *expr.Projection // nil: all, or what the index projects
	All        bool             // all attributes were asked for by name
	CountOnly  bool
	Limit      int      // of items looked at; 0: none
	Start      attr.Map // LastKey of the page before; nil: from the start
}

// Page is a part of a query's answer.
type Page struct {
	Def     *Definition
	Items   []attr.Map // nil when only their number was asked for
	Count   int
	Scanned int      // before filtering
	Bytes   int      // of what was looked at
	LastKey attr.Map // where the next page begins; nil at the end
}

// maxPage is how many bytes of items one page looks at.
const maxPage = 1 << 20

// reading is a query as it is carried out.
type reading struct {
	*Query
	ref     *tableRef
	schema  Schema
	index   *Index
	entries *tree
	lo, hi  string           // the keys of the tree that are asked for: lo <= key < hi, hi "" without end
	shown   *expr.Projection // of the index, before filtering; nil: all
}

// Query performs a query or a scan.
func (t *Tables) Query(ctx context.Context, q *Query) (*Page, error) {
	ref, err := t.open(q.Table)
	if err != nil {
		return nil, err
	}
	r := &reading{Query: q, ref: ref, schema: ref.def.Keys}
	if err := r.prepare(); err != nil {
		return nil, err
	}
	if err := t.hold(r); err != nil {
		return nil, err
	}
	return r.page(ctx)
}

// hold copies the tree that is to be read, as it is now.
func (t *Tables) hold(r *reading) error {
	t.mu.Lock() // copying a tree marks its nodes
	defer t.mu.Unlock()
	x := t.byID[r.ref.id]
	if x == nil {
		return errNoTable()
	}
	if r.Index == "" {
		r.entries = x.items.Copy()
		return nil
	}
	in := x.indexes[r.Index]
	switch {
	case in == nil:
		return r.noIndex()
	case !in.ready:
		return invalid("Cannot read from backfilling global secondary index: %s", r.Index)
	}
	r.entries = in.entries.Copy()
	return nil
}

func (r *reading) noIndex() error {
	return invalid("The table does not have the specified index: %s", r.Index)
}

func (r *reading) prepare() error {
	if r.Index != "" {
		if r.index = r.ref.def.Index(r.Index); r.index == nil {
			return r.noIndex()
		}
		r.schema = r.index.Keys
		if r.Consistent && !r.index.Local {
			return invalid("Consistent reads are not supported on global secondary indexes")
		}
		if err := r.projection(); err != nil {
			return err
		}
	}
	if err := r.bounds(); err != nil {
		return err
	}
	if r.Filter != nil && r.Keys != nil {
		names, member := r.Filter.Names(), "Filter Expression"
		if r.Older {
			member = "QueryFilter"
		}
		for _, k := range r.schema.List() {
			if _, ok := slices.BinarySearch(names, k.Name); ok {
				return invalid("%s can only contain non-primary key attributes: Primary key attribute: %s", member, k.Name)
			}
		}
	}
	return r.start()
}

// projection decides what an index shows of its items.
func (r *reading) projection() error {
	x := r.index
	if x.Projection == ProjectAll || x.Local && (r.All || r.Project != nil) {
		return nil // what a local index lacks comes from the table
	}
	if r.All {
		return invalid("One or more parameter values were invalid: Select type ALL_ATTRIBUTES is not supported for global secondary index %s because its projection type is not ALL", x.Name)
	}
	r.shown = x.shows(r.ref.def)
	if r.Project != nil {
		var lacking []string
		for _, n := range r.Project.Names() {
			if !slices.Contains(r.shown.Names(), n) {
				lacking = append(lacking, n)
			}
		}
		if lacking != nil {
			return invalid("One or more parameter values were invalid: Global secondary index %s does not project [%s]", x.Name, strings.Join(lacking, ", "))
		}
	}
	return nil
}

// bounds finds the keys that the conditions, or the segment, leave.
func (r *reading) bounds() error {
	if r.Keys == nil {
		if r.Segments > 0 {
			r.lo = segmentStart(r.Segment, r.Segments)
			if r.Segment+1 < r.Segments {
				r.hi = segmentStart(r.Segment+1, r.Segments)
			}
		}
		return nil
	}
	var hash, rest *expr.KeyTest
	for i := range r.Keys {
		switch k := &r.Keys[i]; k.Name {
		case r.schema.Hash.Name:
			hash = k
		case r.schema.Range.Name:
			rest = k
		default:
			if len(r.Keys) <= len(r.schema.List()) {
				return invalid("Query condition missed key schema element: %s", r.missing())
			}
			return invalid("Query key condition not supported")
		}
	}
	if hash == nil {
		return invalid("Query condition missed key schema element: %s", r.schema.Hash.Name)
	}
	if hash.Op != expr.KeyEqual {
		return invalid("Query key condition not supported")
	}
	for _, k := range r.Keys {
		want := r.schema.Hash.Type
		if k.Name == r.schema.Range.Name {
			want = r.schema.Range.Type
		}
		for _, v := range k.Values {
			if v.Type() != want {
				return invalid("One or more parameter values were invalid: Condition parameter type does not match schema type")
			}
			if want != attr.N && attr.Size(v) == 0 && k.Op == expr.KeyEqual {
				return invalid("One or more parameter values are not valid. The AttributeValue for a key attribute cannot contain an empty string value. Key: %s", k.Name)
			}
		}
	}
	partition, _ := appendPartition(nil, hash.Values[0])
	r.lo, r.hi = string(partition), successor(string(partition))
	if rest != nil {
		r.within(string(partition), rest)
	}
	return nil
}

// missing is the key attribute that no condition names.
func (r *reading) missing() string {
	for _, k := range r.schema.List() {
		found := false
		for i := range r.Keys {
			found = found || r.Keys[i].Name == k.Name
		}
		if !found {
			return k.Name
		}
	}
	return r.schema.Hash.Name
}

// within narrows the bounds to a condition on the range key.
func (r *reading) within(partition string, k *expr.KeyTest) {
	at := func(i int) string {
		b, _ := attr.AppendKey([]byte(partition), k.Values[i])
		return string(b)
	}
	switch k.Op {
	case expr.KeyEqual:
		r.lo, r.hi = at(0), successor(at(0))
	case expr.KeyLess:
		r.hi = at(0)
	case expr.KeyLessEqual:
		r.hi = successor(at(0))
	case expr.KeyGreater:
		r.lo = successor(at(0))
	case expr.KeyGreaterEqual:
		r.lo = at(0)
	case expr.KeyBetween:
		r.lo, r.hi = at(0), successor(at(1))
	case expr.KeyBegins:
		b, _ := attr.AppendKeyPrefix([]byte(partition), k.Values[0])
		r.lo, r.hi = string(b), successor(string(b))
	}
}

// segmentStart is the first key of a segment: partitions' hashes are divided
// evenly.
func segmentStart(i, of int) string {
	var b [4]byte
	binary.BigEndian.PutUint32(b[:], uint32(uint64(i)<<32/uint64(of)))
	return string(b[:])
}

// start moves the bounds behind the last key of the page before.
func (r *reading) start() error {
	if r.Start == nil {
		return nil
	}
	want := r.ref.def.Keys.List()
	if r.index != nil {
		for _, k := range r.index.Keys.List() {
			if !r.ref.def.Keys.has(k.Name) {
				want = append(want, k)
			}
		}
	}
	wrong := invalid("The provided starting key is invalid: The provided key element does not match the schema")
	if r.index != nil {
		wrong = invalid("The provided starting key is invalid")
	}
	if len(r.Start) != len(want) {
		return wrong
	}
	for _, k := range want {
		if v := r.Start[k.Name]; v == nil || v.Type() != k.Type {
			return wrong
		}
	}
	key, _ := r.schema.keyOf(r.Start)
	if r.index != nil {
		primary, _ := r.ref.def.Keys.keyOf(r.Start)
		key += primary
	}
	if key < r.lo || r.hi != "" && key >= r.hi {
		switch {
		case r.Keys != nil:
			return invalid("The provided starting key is outside query boundaries based on provided conditions")
		case r.Segments > 0:
			return invalid("The provided starting key is invalid: Invalid ExclusiveStartKey. Please use ExclusiveStartKey with correct Segment. TotalSegments: %d Segment: %d", r.Segments, r.Segment)
		}
	}
	if r.Backward {
		r.hi = key
	} else {
		r.lo = key + "\x00"
	}
	return nil
}

// each calls f for the entries within the bounds, in the order asked for.
func (r *reading) each(f func(key, item string) bool) {
	if !r.Backward {
		r.entries.Ascend(r.lo, func(key, item string) bool { return (r.hi == "" || key < r.hi) && f(key, item) })
		return
	}
	down := func(key, item string) bool { return key >= r.lo && (key == r.hi || f(key, item)) }
	if r.hi == "" {
		r.entries.Reverse(down)
	} else {
		r.entries.Descend(r.hi, down)
	}
}

// page looks at items until one of the bounds of a page is reached.
func (r *reading) page(ctx context.Context) (*Page, error) {
	p := &Page{Def: r.ref.def}
	var err error
	var last attr.Map
	r.each(func(_, encoded string) bool {
		if p.Bytes >= maxPage {
			p.LastKey = r.lastKey(last)
			return false
		}
		var item attr.Map
		if item, err = attr.Decode(encoded); err != nil {
			return false
		}
		if p.Scanned%256 == 0 {
			if err = ctx.Err(); err != nil {
				return false
			}
		}
		last = item
		if r.shown != nil {
			item = r.shown.Apply(item)
		}
		p.Scanned++
		p.Bytes += item.Size()
		if r.Filter == nil || r.Filter.Match(item) {
			p.Count++
			if !r.CountOnly {
				if r.Project != nil {
					item = r.Project.Apply(item)
				}
				p.Items = append(p.Items, item)
			}
		}
		if p.Scanned == r.Limit {
			p.LastKey = r.lastKey(last)
			return false
		}
		return true
	})
	if p.Items == nil && !r.CountOnly {
		p.Items = []attr.Map{}
	}
	return p, err
}

// lastKey is the key under which a query goes on after an item.
func (r *reading) lastKey(item attr.Map) attr.Map {
	key := attr.Map{}
	keys := r.ref.def.Keys.List()
	if r.index != nil {
		keys = append(keys, r.index.Keys.List()...)
	}
	for _, k := range keys {
		key[k.Name] = item[k.Name]
	}
	return key
}
