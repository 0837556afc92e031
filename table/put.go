package table

import (
	"context"
	"crypto/sha256"
	"time"

	"github.com/thalweg/thalweg/fault"
	"github.com/thalweg/thalweg/table/attr"
)

// Change is what an Op did: the item before and after it, nil for none and for
// an Op that is Quiet.
type Change struct {
	Def      *Definition // of the table
	Old, New attr.Map
}

// prepare checks an operation against its table and encodes its item.
func (t *Tables) prepare(o *Op) (*Definition, error) {
	x, err := t.open(o.Table)
	if err != nil {
		return nil, err
	}
	o.id = x.id
	if o.Kind == Put {
		if err := x.def.checkItem(o.Item); err != nil {
			return nil, err
		}
		if err := checkSize(o.Item, "Item size has exceeded the maximum allowed size"); err != nil {
			return nil, err
		}
	} else if err := x.def.Keys.checkKey(o.Item); err != nil {
		return nil, err
	}
	if o.Update != nil {
		if err := x.def.checkUpdate(o.Update); err != nil {
			return nil, err
		}
	}
	o.encoded = t.encode(o.Item)
	return x.def, nil
}

// encode encodes an item in memory that is used again.
func (t *Tables) encode(item attr.Map) string {
	buf, _ := t.buffers.Get().(*[]byte)
	if buf == nil {
		buf = new([]byte)
	}
	defer t.buffers.Put(buf)
	*buf = item.Append((*buf)[:0])
	return string(*buf)
}

// Write performs one operation. Errors: *ConditionFailed, faults.
func (t *Tables) Write(ctx context.Context, o Op) (*Change, error) {
	def, err := t.prepare(&o)
	if err != nil {
		return nil, err
	}
	w, err := t.perform(ctx, &write{now: time.Now().UnixMilli(), ops: []Op{o}})
	if err != nil {
		return nil, err
	}
	if r := &w.results[0]; r.err != nil || !o.Quiet {
		return r.change(def)
	}
	return &Change{Def: def}, nil
}

func (r *result) change(def *Definition) (c *Change, err error) {
	if r.err != nil {
		return nil, r.err
	}
	c = &Change{Def: def}
	if r.old != "" {
		if c.Old, err = attr.Decode(r.old); err != nil {
			return nil, err
		}
	}
	switch r.item {
	case "":
	case r.old:
		c.New = c.Old
	default:
		c.New, err = attr.Decode(r.item)
	}
	return c, err
}

// WriteAll performs puts and deletes, each for itself, which share one sync.
// The first error is the answer: then some may have been performed.
func (t *Tables) WriteAll(ctx context.Context, ops []Op) ([]*Change, error) {
	_, defs, err := t.prepareAll(ops)
	if err != nil {
		return nil, err
	}
	w, err := t.perform(ctx, &write{now: time.Now().UnixMilli(), ops: ops})
	if err != nil {
		return nil, err
	}
	changes := make([]*Change, len(ops))
	for i := range w.results {
		if changes[i], err = w.results[i].change(defs[i]); err != nil {
			return nil, err
		}
	}
	return changes, nil
}

// prepareAll prepares operations of which no two may be on one item. size is
// that of all items.
func (t *Tables) prepareAll(ops []Op) (size int, defs []*Definition, err error) {
	type place struct {
		table uint64
		key   string
	}
	seen := make(map[place]bool, len(ops))
	defs = make([]*Definition, len(ops))
	for i := range ops {
		o := &ops[i]
		if defs[i], err = t.prepare(o); err != nil {
			return 0, nil, &OpError{i, err}
		}
		at := place{table: o.id}
		if at.key, _ = defs[i].Keys.keyOf(o.Item); seen[at] {
			return 0, nil, errTwice
		}
		seen[at] = true
		size += o.Item.Size()
	}
	return size, defs, nil
}

var errTwice = invalid("Provided list of item keys contains duplicates")

// OpError is a fault of one operation of several, found before any was tried.
type OpError struct {
	Index int
	Err   error
}

func (e *OpError) Error() string { return e.Err.Error() }

// Unwrap returns the fault.
func (e *OpError) Unwrap() error { return e.Err }

// Cancelled says that a transaction was not performed, and for each of its
// operations why not: nil where it was not to blame.
type Cancelled struct{ Reasons []error }

func (e *Cancelled) Error() string { return "The transaction was cancelled." }

// maxTransaction bounds the items of a transaction, in bytes.
const maxTransaction = 4 << 20

// Transact performs operations on different items, all or none. With a token it
// is performed once, however often it is asked for within ten minutes; a
// repetition brings no changes. Errors: *Cancelled, faults.
func (t *Tables) Transact(ctx context.Context, owner Name, token string, ops []Op) ([]*Change, error) {
	size, defs, err := t.prepareAll(ops)
	switch {
	case err == errTwice: //nolint:errorlint // this very value
		return nil, invalid("Transaction request cannot include multiple operations on one item")
	case err != nil:
		return nil, err
	case size > maxTransaction:
		return nil, invalid("The aggregate size cannot exceed 4 MB of the items in a transaction")
	}
	c := write{together: true, now: time.Now().UnixMilli(), ops: ops}
	if token != "" {
		c.token = owner.Account + "/" + owner.Region + "/" + token
		plain := write{together: true, ops: ops}
		sum := sha256.Sum256(plain.append())
		c.digest = string(sum[:])
	}
	w, err := t.perform(ctx, &c)
	switch {
	case err != nil:
		return nil, err
	case w.mismatch:
		return nil, fault.Coded(fault.Invalid, "IdempotentParameterMismatchException",
			"The request uses the same client token as a previous, but non-identical request. Do not reuse a client token with different requests, unless the requests are identical")
	case w.repeated:
		return nil, nil
	}
	return changesOf(w.results, defs)
}

func changesOf(results []result, defs []*Definition) ([]*Change, error) {
	changes := make([]*Change, len(results))
	var reasons []error
	for i := range results {
		var err error
		if changes[i], err = results[i].change(defs[i]); err != nil {
			if fault.Is(err, fault.NotFound) {
				return nil, err
			}
			if reasons == nil {
				reasons = make([]error, len(results))
			}
			reasons[i] = err
		}
	}
	if reasons != nil {
		return nil, &Cancelled{reasons}
	}
	return changes, nil
}
