package stream

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"sync"
	"time"

	"github.com/thalweg/thalweg/catalog"
	"github.com/thalweg/thalweg/fault"
	"github.com/thalweg/thalweg/flow"
	"github.com/thalweg/thalweg/shardlog"
)

// What one batch of a Tail holds at most.
const (
	tailRecords = 5000
	tailBytes   = 4 << 20
)

// Tail is one named consumer's view of a whole stream: a flow.Source. Shards
// take turns; a shard's turn comes once its parents are read to their end.
// What Done was told is kept in the catalog.
type Tail struct {
	streams *Streams
	entry   *entry
	prefix  string // of the names of its checkpoints
	id      string // of the stream

	view    *view
	cursors map[uint32]*cursor
	ready   []*cursor // those whose turn can come
	turn    int
	page    shardlog.Page
	records []flow.Record
}

var _ flow.Source = (*Tail)(nil)

// cursor is how far a Tail has read a shard.
type cursor struct {
	shard    shard
	next     flow.Pos
	finished bool
	version  uint64 // of its checkpoint
}

// Tail opens a stream for a consumer. A name that has been used before goes on
// where it was; for a new one, at (TrimHorizon, Latest or AtTime) says where
// to start in the shards that there are now, and is remembered. The limits of
// throughput do not apply. Faults: NotFound, Invalid.
func (s *Streams) Tail(ctx context.Context, ref Ref, name string, at Start) (*Tail, error) {
	if name == "" || len(name) > 256 || strings.ContainsRune(name, '/') {
		return nil, fault.New(fault.Invalid, "A consumer's name has 1 to 256 characters and no slash; this one is %.300q.", name)
	}
	e, v, err := s.open(ref)
	if err != nil {
		return nil, err
	}
	t := &Tail{streams: s, entry: e, prefix: v.doc.ID + "/" + name + "/", id: v.doc.ID, cursors: make(map[uint32]*cursor)}
	for range s.catalog.View().Range(kindCheckpoint, t.prefix) {
		return t, nil
	}
	if at.Type == TrimHorizon {
		return t, nil
	}
	if at.Type != Latest && at.Type != AtTime {
		return nil, fault.New(fault.Invalid, "A consumer cannot start at %s.", at.Type)
	}
	var changes []catalog.Change
	for i := range v.shards {
		sh := &v.shards[i]
		pos, err := s.resolve(ctx, v, sh, at, time.Now())
		if err != nil {
			return nil, err
		}
		changes = append(changes, put(t.key(sh.Index), catalog.Absent, checkpointDoc{Next: pos}))
	}
	// A conflict is another Tail that opens under the name: its start counts.
	_, err = s.propose(ctx, changes...)
	return t, err
}

func (t *Tail) key(index uint32) catalog.Key {
	return catalog.Key{Kind: kindCheckpoint, Name: fmt.Sprintf("%s%010d", t.prefix, index)}
}

// Next returns the next batch of any shard. Its records' memory is valid until
// the next call of Next or Close. It returns NotFound once the stream is gone.
func (t *Tail) Next(ctx context.Context) (flow.Batch, error) {
	for {
		if err := t.refresh(); err != nil {
			return flow.Batch{}, err
		}
		if len(t.ready) == 0 {
			return flow.Batch{}, io.EOF
		}
		for range t.ready {
			t.turn++
			c := t.ready[t.turn%len(t.ready)]
			b, err := t.read(ctx, c)
			if err != nil || len(b.Records) > 0 {
				return b, err
			}
			if c.finished {
				t.view = nil // its children may be ready now
				break
			}
		}
		if t.view == nil {
			continue
		}
		if err := t.wait(ctx); err != nil {
			return flow.Batch{}, err
		}
	}
}

// refresh brings the cursors to the stream's present shards.
func (t *Tail) refresh() error {
	v, err := t.streams.load(t.entry)
	if err != nil {
		return err
	}
	if v.doc.ID != t.id {
		return noStream(t.entry.ref) // it was deleted, and made anew
	}
	if v == t.view {
		return nil
	}
	t.view, t.ready = v, t.ready[:0]
	present := make(map[string]*cursor, len(v.shards))
	for _, sh := range v.shards {
		c := t.cursors[sh.Index]
		if c == nil {
			c = new(cursor)
			if d, ok := t.streams.catalog.View().Get(t.key(sh.Index)); ok {
				cp, err := decode[checkpointDoc](d)
				if err != nil {
					return err
				}
				c.next, c.version = cp.Next, d.Version
			}
			t.cursors[sh.Index] = c
		}
		c.shard = sh
		c.finished = c.finished || sh.Last != nil && c.next >= sh.Last.Pos
		present[sh.ID] = c
		unread := func(parent string) bool { p := present[parent]; return p != nil && !p.finished }
		if !c.finished && !unread(sh.Parent) && !unread(sh.AdjacentParent) {
			t.ready = append(t.ready, c)
		}
	}
	return nil
}

func (t *Tail) read(ctx context.Context, c *cursor) (flow.Batch, error) {
	t.page.Release()
	lim := shardlog.Limit{Records: tailRecords, Bytes: tailBytes}
	if err := t.streams.log.Read(ctx, c.shard.log, c.next, lim, &t.page); err != nil {
		if errors.Is(err, shardlog.ErrNoShard) { // expired, or deleted with its stream
			c.finished = true
			return flow.Batch{}, nil
		}
		return flow.Batch{}, t.streams.readFault(t.view, &c.shard, err)
	}
	t.records = t.records[:0]
	for r := range t.page.All {
		t.records = append(t.records, r)
	}
	c.next = max(c.next, t.page.Next)
	if t.page.End && c.shard.Last != nil {
		c.finished = true
		t.view = nil // its children are ready now
	}
	return flow.Batch{
		Stream: t.entry.ref.Name, Shard: c.shard.ID, Records: t.records, Behind: t.page.Behind,
	}, nil
}

// wait blocks until some shard has something to read or ends.
func (t *Tail) wait(ctx context.Context) error {
	waiting, cancel := context.WithCancel(ctx)
	defer cancel()
	var wg sync.WaitGroup
	for _, c := range t.ready {
		wg.Go(func() {
			// Whatever the outcome, reading finds it out.
			_ = t.streams.log.Wait(waiting, c.shard.log, c.next)
			cancel()
		})
	}
	wg.Wait()
	if err := ctx.Err(); err != nil {
		return err
	}
	// A shard that is sealed while its stream is still UPDATING has nothing to
	// read and no children: help it get there.
	if t.view.info.Status != Active {
		return t.streams.complete(ctx, t.entry)
	}
	return nil
}

// Done makes it durable that b and all before it in its shard are dealt with.
// InUse: another Tail under the same name has got ahead.
func (t *Tail) Done(ctx context.Context, b flow.Batch) error {
	if len(b.Records) == 0 {
		return nil
	}
	index, ok := ParseShardID(b.Shard)
	c := t.cursors[index]
	if !ok || c == nil {
		return fmt.Errorf("a batch of %s, which this source has not handed out", b.Shard)
	}
	if _, err := t.streams.load(t.entry); err != nil {
		return err
	}
	change := put(t.key(index), c.version, checkpointDoc{Next: b.Records[len(b.Records)-1].Pos + 1})
	verdict, err := t.streams.catalog.Propose(ctx, catalog.Command{Changes: []catalog.Change{change}})
	if err != nil {
		return err
	}
	if !verdict.OK {
		return fault.New(fault.InUse, "The checkpoint of %s was moved by another consumer under the same name.", b.Shard)
	}
	c.version = uint64(verdict.Pos)
	return nil
}

// Close lets go of the last batch's memory.
func (t *Tail) Close() error {
	t.page.Release()
	return nil
}
