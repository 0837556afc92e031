package table

import (
	"context"
	"crypto/rand"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/go-json-experiment/json"

	"github.com/thalweg/thalweg/fault"
)

// Info is what is told about a table.
type Info struct {
	Name    Name
	Def     *Definition
	Items   int
	Bytes   int64 // of all items as they are kept
	Indexes map[string]IndexInfo
}

// IndexInfo is what is told about an index.
type IndexInfo struct {
	Items int
	Bytes int64
	Ready bool // it holds all items of the table; until then it cannot be read
}

// open returns what a table is now.
func (t *Tables) open(n Name) (*tableRef, error) {
	t.mu.RLock()
	defer t.mu.RUnlock()
	x := t.byName[n]
	if x == nil {
		return nil, errNoTable()
	}
	return &tableRef{x.id, x.version, x.def}, nil
}

// tableRef is a table with the definition that it had.
type tableRef struct {
	id, version uint64
	def         *Definition
}

// Describe tells what a table is and how much it holds.
func (t *Tables) Describe(n Name) (*Info, error) {
	t.mu.RLock()
	defer t.mu.RUnlock()
	x := t.byName[n]
	if x == nil {
		return nil, fault.New(fault.NotFound, "Requested resource not found: Table: %s not found", n.Table)
	}
	return x.info(), nil
}

func (x *table) info() *Info {
	i := &Info{Name: x.name, Def: x.def, Items: x.items.Len(), Bytes: x.bytes, Indexes: map[string]IndexInfo{}}
	for name, in := range x.indexes {
		i.Indexes[name] = IndexInfo{in.entries.Len(), in.bytes, in.ready}
	}
	return i
}

// maxTables is how many tables an owner may have in a region (AWS's quota).
const maxTables = 2500

// Create makes a table; def's ID and Created are set here. It can be used on
// return. Faults: InUse when the name is taken, Limit.
func (t *Tables) Create(ctx context.Context, n Name, def Definition) (*Info, error) {
	names := t.List(n)
	if slices.Contains(names, n.Table) {
		return nil, errInUse(n)
	}
	if len(names) >= maxTables {
		return nil, fault.New(fault.Limit, "Subscriber limit exceeded: There is a limit of %d tables per subscriber", maxTables)
	}
	now := time.Now().UnixMilli()
	def.ID, def.Created = newID(), now
	if def.OnDemand {
		def.Billed = now
	}
	d, err := t.propose1(ctx, n, 0, &def)
	if err != nil {
		return nil, err
	}
	if d.conflict {
		return nil, errInUse(n)
	}
	return t.Describe(n)
}

func errInUse(n Name) error {
	return fault.New(fault.InUse, "Table already exists: %s", n.Table)
}

// propose1 proposes a definition; nil deletes.
func (t *Tables) propose1(ctx context.Context, n Name, version uint64, def *Definition) (defined, error) {
	c := define{name: n, version: version}
	if def != nil {
		b, err := json.Marshal(def, json.Deterministic(true))
		if err != nil {
			return defined{}, fmt.Errorf("encode definition of table %s: %w", n.Table, err)
		}
		c.document = string(b)
	}
	return ask[defined](ctx, t, c.append())
}

// Delete removes a table and its items at once, and tells what it was.
func (t *Tables) Delete(ctx context.Context, n Name) (*Info, error) {
	for {
		info, err := t.Describe(n)
		if err != nil {
			return nil, err
		}
		if info.Def.Protected {
			return nil, invalid("Resource cannot be deleted as it is currently protected against deletion. Disable deletion protection first.")
		}
		x, err := t.open(n)
		if err != nil {
			return nil, err
		}
		d, err := t.propose1(ctx, n, x.version, nil)
		if err != nil || !d.conflict {
			return info, err
		}
	}
}

// Change changes a table's definition by f, which gets a copy whose slices and
// maps are its own, and may be called again when the table changed meanwhile.
// It returns when the change is done, but for filling large indexes.
func (t *Tables) Change(ctx context.Context, n Name, f func(def *Definition) error) (*Info, error) {
	for {
		x, err := t.open(n)
		if err != nil {
			return nil, fault.New(fault.NotFound, "Requested resource not found: Table: %s not found", n.Table)
		}
		def := x.def.clone()
		if err := f(def); err != nil {
			return nil, err
		}
		d, err := t.propose1(ctx, n, x.version, def)
		if err != nil {
			return nil, err
		}
		if !d.conflict {
			t.nudge()
			return t.Describe(n)
		}
	}
}

func (d *Definition) clone() *Definition {
	c := *d
	c.Indexes = slices.Clone(d.Indexes)
	c.Tags = maps.Clone(d.Tags)
	return &c
}

// List returns the names of the tables that belong to n's owner, sorted.
func (t *Tables) List(n Name) []string {
	t.mu.RLock()
	defer t.mu.RUnlock()
	var names []string
	for name := range t.byName {
		if name.Account == n.Account && name.Region == n.Region {
			names = append(names, name.Table)
		}
	}
	slices.Sort(names)
	return names
}

// newID makes a random UUID.
func newID() string {
	var b [16]byte
	rand.Read(b[:])
	b[6], b[8] = b[6]&0x0f|0x40, b[8]&0x3f|0x80
	h := fmt.Sprintf("%x", b)
	return strings.Join([]string{h[:8], h[8:12], h[12:16], h[16:20], h[20:]}, "-")
}
