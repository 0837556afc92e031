package table

import (
	"context"
	"fmt"
	"time"

	"github.com/thalweg/thalweg/table/attr"
)

// fillStep is how many items one command adds to an index. The log waits for
// each command.
const fillStep = 1000

// fillAll fills all indexes that are not ready.
func (t *Tables) fillAll(ctx context.Context) error {
	var todo []fill
	t.mu.RLock()
	for id, x := range t.byID {
		for name, in := range x.indexes {
			if !in.ready {
				todo = append(todo, fill{id, name, fillStep})
			}
		}
	}
	t.mu.RUnlock()
	for _, c := range todo {
		for {
			f, err := ask[filled](ctx, t, c.append())
			if err != nil {
				return fmt.Errorf("fill index %s: %w", c.index, err)
			}
			if f.done {
				break
			}
		}
	}
	return nil
}

// AWS does not remove what expired more than five years ago: such a number is
// more likely no time at all.
const expiryHorizon = 5 * 365 * 24 * 3600

// expired reports whether an item's time to live is over: its attribute is a
// number of seconds in the past.
func expired(item, attribute string, now int64) bool {
	n, ok := attr.Lookup(item, attribute).(attr.Number)
	if !ok {
		return false
	}
	at := n.Int()
	return at <= now && at > now-expiryHorizon
}

// expireStep is how many items one command removes.
const expireStep = 250

// expireAll removes what has expired by now, from all tables.
func (t *Tables) expireAll(ctx context.Context, now time.Time) error {
	t.mu.Lock() // copying a tree marks its nodes
	type timed struct {
		id        uint64
		attribute string
		items     *tree
	}
	var tables []timed
	for id, x := range t.byID {
		if x.def.Expiry != "" {
			tables = append(tables, timed{id, x.def.Expiry, x.items.Copy()})
		}
	}
	t.mu.Unlock()
	for _, x := range tables {
		c := expire{id: x.id, now: now.Unix()}
		var err error
		flush := func() {
			_, err = ask[int](ctx, t, c.append())
			c.keys = c.keys[:0]
		}
		x.items.Scan(func(key, item string) bool {
			if expired(item, x.attribute, c.now) {
				if c.keys = append(c.keys, key); len(c.keys) == expireStep {
					flush()
				}
			}
			return err == nil
		})
		if err == nil && len(c.keys) > 0 {
			flush()
		}
		if err != nil {
			return fmt.Errorf("remove expired items: %w", err)
		}
	}
	return nil
}

// expire removes items that are still expired, and answers how many.
func (t *Tables) expire(c *expire) any {
	n := 0
	x := t.byID[c.id]
	if x == nil {
		return n
	}
	for _, key := range c.keys {
		if item, ok := x.items.Get(key); ok && expired(item, x.def.Expiry, c.now) {
			x.set(key, item, "")
			n++
		}
	}
	return n
}
