package stream

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/thalweg/thalweg/catalog"
	"github.com/thalweg/thalweg/fault"
	"github.com/thalweg/thalweg/shardlog"
)

// A change of a stream that the log takes part in has three steps: a command
// to the catalog that states what shall be (Begin), the log's part, and a
// command that states that it is so (Finish). Each step may be done twice, and
// by anyone: by the call that began it, by a put that found its shard sealed,
// by Run after a crash. The catalog's preconditions let one of them win.

// flight is a transition that somebody is completing.
type flight struct {
	done chan struct{}
	err  error
}

// complete brings a stream out of the state it is in, to ACTIVE or to its end.
// Callers at the same time share one attempt, which does not end with the
// context of the one that happened to come first.
func (s *Streams) complete(ctx context.Context, e *entry) error {
	e.mu.Lock()
	f := e.flight
	lead := f == nil
	if lead {
		f = &flight{done: make(chan struct{})}
		e.flight = f
	}
	e.mu.Unlock()
	if !lead {
		select {
		case <-f.done:
			return f.err
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	f.err = s.advance(context.WithoutCancel(ctx), e)
	e.mu.Lock()
	e.flight = nil
	e.mu.Unlock()
	close(f.done)
	return f.err
}

// finish completes what the caller has begun. When that fails the change is
// still going to happen: Run tries again.
func (s *Streams) finish(ctx context.Context, ref Ref) error {
	e, err := s.find(ref)
	if err == nil {
		err = s.complete(ctx, e)
	}
	if isGone(err) {
		return nil
	}
	if err != nil {
		s.nudgeLater()
		return fmt.Errorf("complete change of stream %s: %w", ref.Name, err)
	}
	return nil
}

// nudgeLater makes Run look again after a pause: at once would be too soon for
// what has just failed.
func (s *Streams) nudgeLater() { time.AfterFunc(retryAfter, s.nudge) }

// advance takes the steps that are missing, until none is.
func (s *Streams) advance(ctx context.Context, e *entry) error {
	for {
		v, err := s.load(e)
		if err != nil {
			return err
		}
		switch d := &v.doc; {
		case d.Status == Creating:
			err = s.finishCreate(ctx, v)
		case d.Status == Updating && d.Reshard != nil:
			err = s.finishReshard(ctx, v)
		case d.Status == Updating && d.Retain != 0:
			err = s.finishRetain(ctx, v)
		case d.Status == Deleting:
			err = s.finishDelete(ctx, v)
		default:
			return nil
		}
		if err != nil {
			return err
		}
	}
}

// propose makes changes. conflicted: a precondition failed and nothing was
// changed; look at the new state and decide again.
func (s *Streams) propose(ctx context.Context, changes ...catalog.Change) (conflicted bool, err error) {
	verdict, err := s.catalog.Propose(ctx, catalog.Command{Changes: changes})
	return err == nil && !verdict.OK, err
}

// makeShards creates reserved shards in the log. They were created before if
// an earlier attempt came this far: their numbers are nobody else's.
func (s *Streams) makeShards(ctx context.Context, v *view, numbers []shardlog.Shard) error {
	specs := make([]shardlog.Spec, len(numbers))
	for i, n := range numbers {
		specs[i] = shardlog.Spec{Shard: n, Retention: v.info.Retention}
	}
	if err := s.log.Create(ctx, specs); err != nil && !errors.Is(err, shardlog.ErrExists) {
		return fmt.Errorf("create shards of stream %s: %w", v.info.Name, err)
	}
	return nil
}

// storedShard is a shard's document and what is needed to change it.
type storedShard struct {
	index   uint32
	version uint64
	shardDoc
}

// stored reads a shard's document, reserved or not, as of the view.
func (v *view) stored(index uint32) (storedShard, error) {
	d, ok := v.seen.Load().Get(shardKey(v.doc.ID, index))
	if !ok {
		return storedShard{}, fmt.Errorf("stream %s has no document of %s", v.info.Name, ShardID(index))
	}
	sd, err := decode[shardDoc](d)
	return storedShard{index, d.Version, sd}, err
}

// reserve makes the changes that take n numbers from the log's counter.
func (s *Streams) reserve(state *catalog.State, n int) (first shardlog.Shard, change catalog.Change, err error) {
	counter, version := counterDoc{Next: 1}, catalog.Absent
	if d, ok := state.Get(counterKey); ok {
		if counter, err = decode[counterDoc](d); err != nil {
			return 0, change, err
		}
		version = d.Version
	}
	first = counter.Next
	counter.Next += shardlog.Shard(n)
	return first, put(counterKey, version, counter), nil
}

func isGone(err error) bool { return fault.Is(err, fault.NotFound) }

// nowMilli is the present in whole milliseconds, which is what documents hold.
func nowMilli() int64 { return time.Now().UnixMilli() }
