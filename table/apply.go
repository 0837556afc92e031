package table

import (
	"errors"
	"slices"

	"github.com/go-json-experiment/json"
	"github.com/tidwall/btree"

	"github.com/thalweg/thalweg/fault"
	"github.com/thalweg/thalweg/table/attr"
)

// tree is items by the keys of a table or of an index. Copies are free: what
// is written afterwards is copied node by node.
type tree = btree.Map[string, string]

// table is one table's state.
type table struct {
	id      uint64 // the position of the command that made it
	version uint64 // the position of the command that last defined it
	name    Name
	def     *Definition // read-only
	items   *tree       // encoded
	bytes   int64       // of all encoded items
	indexes map[string]*index
}

// index is one secondary index's state. It holds each item whole, which costs
// no memory beside the table's; what is projected is decided on reading.
type index struct {
	def     *Index
	entries *tree
	bytes   int64
	ready   bool
	next    string // where filling goes on, until it is ready
}

// machine is Tables as a part of the catalog.
type machine struct{ t *Tables }

// Apply performs one command; it is the log's to call.
func (m machine) Apply(pos uint64, cmd []byte) any {
	var c any
	if w := m.t.proposals.find(cmd); w != nil {
		c = w
	} else {
		var err error
		if c, err = readCommand(string(cmd)); err != nil {
			return err
		}
	}
	m.t.mu.Lock()
	defer m.t.mu.Unlock()
	switch c := c.(type) {
	case *define:
		return m.t.define(pos, c)
	case *write:
		return m.t.write(c)
	case *fill:
		return m.t.fill(c)
	case *expire:
		return m.t.expire(c)
	}
	return errors.New("table: no such command")
}

// defined is the answer to a define.
type defined struct{ conflict bool }

func (t *Tables) define(pos uint64, c *define) any {
	old := t.byName[c.name]
	if old == nil && c.version != 0 || old != nil && c.version != old.version {
		return defined{conflict: true}
	}
	if c.document == "" {
		if old != nil {
			delete(t.byName, c.name)
			delete(t.byID, old.id)
		}
		return defined{}
	}
	def := new(Definition)
	if err := json.Unmarshal([]byte(c.document), def); err != nil {
		return err
	}
	x := old
	if x == nil {
		x = &table{id: pos, name: c.name, items: new(tree), indexes: map[string]*index{}}
		t.byName[c.name], t.byID[pos] = x, x
	}
	x.version, x.def = pos, def
	x.reindex()
	return defined{}
}

// fillNow is how many items an index takes in with the command that makes it.
const fillNow = 1000

// reindex makes the indexes those of the definition. A new one takes in the
// items of a small table at once, those of a large one bit by bit.
func (x *table) reindex() {
	for name := range x.indexes {
		if x.def.Index(name) == nil {
			delete(x.indexes, name)
		}
	}
	for i := range x.def.Indexes {
		def := &x.def.Indexes[i]
		if have := x.indexes[def.Name]; have != nil {
			have.def = def
			continue
		}
		made := &index{def: def, entries: new(tree)}
		x.indexes[def.Name] = made
		if x.items.Len() <= fillNow {
			x.fill(made, fillNow)
		}
	}
}

// fill adds the next count items to an index.
func (x *table) fill(in *index, count int) {
	last := ""
	x.items.Ascend(in.next, func(key, item string) bool {
		if count == 0 {
			last = key
			return false
		}
		count--
		in.change(key, "", item)
		return true
	})
	in.next, in.ready = last, last == ""
}

// filled is the answer to a fill: whether the index is ready, or gone.
type filled struct{ done bool }

func (t *Tables) fill(c *fill) any {
	x := t.byID[c.id]
	if x == nil || x.indexes[c.index] == nil || x.indexes[c.index].ready {
		return filled{true}
	}
	in := x.indexes[c.index]
	x.fill(in, c.count)
	return filled{in.ready}
}

// key is an entry's key in the index; "" for an item that is not in it.
func (in *index) key(primary, item string) string {
	if item == "" {
		return ""
	}
	k, ok := in.def.entryKey(func(name string) attr.Value { return attr.Lookup(item, name) })
	if !ok {
		return ""
	}
	return k + primary
}

// change replaces an item's entry; old or item is "" for none.
func (in *index) change(primary, old, item string) {
	was, is := in.key(primary, old), in.key(primary, item)
	if was != "" && was != is {
		if gone, ok := in.entries.Delete(was); ok {
			in.bytes -= int64(len(gone))
		}
	}
	if is != "" {
		gone, _ := in.entries.Set(is, item)
		in.bytes += int64(len(item) - len(gone))
	}
}

// set puts an item, or nothing when item is "", under a primary key.
func (x *table) set(key, old, item string) {
	if item == "" {
		x.items.Delete(key)
	} else {
		x.items.Set(key, item)
	}
	x.bytes += int64(len(item) - len(old))
	for _, in := range x.indexes {
		in.change(key, old, item)
	}
}

// result is what became of one Op. old and item are the encoded item before
// and after it; "" for none.
type result struct {
	old, item string
	err       error // *fault.Error or *ConditionFailed; then nothing changed
}

// written is the answer to a write.
type written struct {
	results  []result
	repeated bool // a transaction with this token was performed already
	mismatch bool // with other contents
}

// change is what an Op will do, decided and not done yet.
type change struct {
	table *table
	key   string
	result
}

func (t *Tables) write(c *write) any {
	if c.token != "" {
		if digest, ok := t.tokens.find(c.token, c.now); ok {
			return written{repeated: digest == c.digest, mismatch: digest != c.digest}
		}
	}
	w := written{results: make([]result, len(c.ops))}
	if !c.together {
		for i := range c.ops {
			d := t.decide(&c.ops[i])
			d.perform(&c.ops[i])
			w.results[i] = d.result
		}
		return w
	}
	changes := make([]change, len(c.ops))
	failed := false
	for i := range c.ops {
		changes[i] = t.decide(&c.ops[i])
		w.results[i] = changes[i].result
		failed = failed || changes[i].err != nil
	}
	if failed {
		return w
	}
	for i := range changes {
		changes[i].perform(&c.ops[i])
	}
	if c.token != "" {
		t.tokens.add(c.token, c.digest, c.now)
	}
	return w
}

func (c *change) perform(o *Op) {
	if c.err == nil && o.Kind != Check {
		c.table.set(c.key, c.old, c.item)
	}
}

// decide judges an operation against the state as it is.
func (t *Tables) decide(o *Op) (c change) {
	if c.table = t.byID[o.id]; c.table == nil {
		c.err = errNoTable()
		return c
	}
	def := c.table.def
	var ok bool
	if c.key, ok = def.Keys.keyIn(o.encoded); !ok {
		c.err = errKey
		return c
	}
	c.old, _ = c.table.items.Get(c.key)
	var old attr.Map
	var looks []string
	part := len(c.old) <= maxSpliced && len(def.Indexes) == 0
	if c.old != "" && (o.Condition != nil || o.Kind == Update) {
		if part {
			looks = o.looksAt()
			old, c.err = attr.Pick(c.old, looks)
		} else {
			old, c.err = attr.Decode(c.old)
		}
		if c.err != nil {
			return c
		}
	}
	if o.Condition != nil && !o.Condition.Match(old) {
		failed := new(ConditionFailed)
		if o.OldOnFail && c.old != "" {
			if failed.Item, c.err = attr.Decode(c.old); c.err != nil {
				return c
			}
		}
		c.err = failed
		return c
	}
	switch o.Kind {
	case Put:
		c.item, c.err = o.encoded, c.table.checkIndexes(o.encoded)
	case Update:
		switch {
		case c.old == "" && o.Update != nil && o.Update.OnlyRemoves():
		case c.old != "" && part:
			c.item, c.err = t.splice(o, c.old, looks, old)
		default:
			c.item, c.err = t.update(c.table, o, old)
		}
	case Check:
		c.item = c.old
	}
	return c
}

// checkIndexes wants an item's index keys to have their types. They were
// checked before; an index may have been made since.
func (x *table) checkIndexes(encoded string) error {
	if len(x.def.Indexes) == 0 {
		return nil
	}
	item, err := attr.Decode(encoded)
	if err != nil {
		return err
	}
	return x.def.checkIndexKeys(item)
}

// maxSpliced is the size of encoded items that are changed without decoding all
// of them. In memory an item takes less than eight times its bytes, so that one
// of them cannot have become too large.
const maxSpliced = attr.MaxItem / 16

// looksAt are the attributes that decide what becomes of an operation and that
// an update writes, in order.
func (o *Op) looksAt() []string {
	switch {
	case o.Condition == nil && o.Update == nil:
		return nil
	case o.Condition == nil:
		return o.Update.Names()
	case o.Update == nil:
		return o.Condition.Names()
	}
	names := slices.Concat(o.Update.Names(), o.Condition.Names())
	slices.Sort(names)
	return slices.Compact(names)
}

// splice is update for an item that is there, of which old is the part that the
// operation looks at. The rest of it is as it was, and so within the bounds.
func (t *Tables) splice(o *Op, encoded string, looks []string, old attr.Map) (string, error) {
	if o.Update == nil {
		return encoded, nil
	}
	next, err := o.Update.Apply(old)
	if err != nil {
		return "", invalid("%s", err)
	}
	t.scratch = attr.Splice(t.scratch[:0], encoded, looks, next)
	if len(t.scratch) > 2*maxSpliced {
		item, err := attr.Decode(string(t.scratch))
		if err == nil {
			err = checkSize(item, updatedSize)
		}
		if err != nil {
			return "", err
		}
	} else if err := checkSize(next, updatedSize); err != nil { // how deep it is
		return "", err
	}
	return string(t.scratch), nil
}

const updatedSize = "Item size to update has exceeded the maximum allowed size"

// update returns the item after an update, or after its creation by one.
func (t *Tables) update(x *table, o *Op, old attr.Map) (string, error) {
	if old == nil {
		var err error
		if old, err = attr.Decode(o.encoded); err != nil {
			return "", err
		}
	}
	item := old
	if o.Update != nil {
		var err error
		if item, err = o.Update.Apply(old); err != nil {
			return "", invalid("%s", err)
		}
	}
	if err := checkSize(item, updatedSize); err != nil {
		return "", err
	}
	if err := x.def.checkIndexKeys(item); err != nil {
		return "", updatedKey(err)
	}
	t.scratch = item.Append(t.scratch[:0])
	return string(t.scratch), nil
}

// updatedKey is the text that AWS has when an update gives an index key the
// wrong type.
func updatedKey(err error) error {
	var f *fault.Error
	if errors.As(err, &f) && len(f.Message) > 60 && f.Message[:60] == "One or more parameter values were invalid: Type mismatch for" {
		return invalid("The update expression attempted to update the secondary index key to unsupported type")
	}
	return err
}

// checkSize bounds an item.
func checkSize(item attr.Map, text string) error {
	if item.Size() > attr.MaxItem {
		return invalid("%s", text)
	}
	if attr.Depth(item) > attr.MaxDepth+1 {
		return invalid("Nesting Levels have exceeded supported limits: Attributes in the item have nested levels beyond supported limit")
	}
	return nil
}

// ConditionFailed says that an operation's condition did not hold. Item is the
// item that failed it, when that was asked for.
type ConditionFailed struct{ Item attr.Map }

func (e *ConditionFailed) Error() string { return "The conditional request failed" }

func errNoTable() *fault.Error { return fault.New(fault.NotFound, "Requested resource not found") }
