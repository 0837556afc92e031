package mapping

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/thalweg/thalweg/catalog"
	"github.com/thalweg/thalweg/fault"
	"github.com/thalweg/thalweg/function/mapping/event"
	"github.com/thalweg/thalweg/function/mapping/filter"
	"github.com/thalweg/thalweg/function/mapping/shard"
)

// runner is a mapping at work: a worker for each shard whose turn has come.
type runner struct {
	m      *Mappings
	counts *Counts
	uuid   string
	owner  Owner
	source string
	events room

	now  atomic.Pointer[orders]
	kick chan struct{}
	stop chan struct{} // closed to let what is under way finish and no more begin
	once sync.Once
}

// orders is what workers are to do, as of one version of the mapping.
type orders struct {
	*Mapping
	config  shard.Config
	filters *filter.Filters
	role    string
	version uint64
}

func newRunner(m *Mappings, x *Mapping) *runner {
	r := &runner{
		m: m, counts: m.countsOf(x.UUID), uuid: x.UUID, owner: x.Owner, source: x.Source, events: room{size: eventBytes},
		kick: make(chan struct{}, 1), stop: make(chan struct{}),
	}
	r.update(x)
	return r
}

func (r *runner) drain() { r.once.Do(func() { close(r.stop) }) }

func (r *runner) draining() bool {
	select {
	case <-r.stop:
		return true
	default:
		return false
	}
}

// update makes a mapping's newest settings the runner's.
func (r *runner) update(x *Mapping) {
	if o := r.now.Load(); o != nil && o.version >= x.version {
		return
	}
	filters, err := filter.Compile(x.Filters)
	if err != nil { // it compiled when it was taken in
		r.m.logger.Error("a mapping's filters cannot be read", "mapping", r.uuid, "err", err)
	}
	o := &orders{Mapping: x, filters: filters, version: x.version, config: shard.Config{
		BatchSize: x.BatchSize, Window: time.Duration(x.Window) * time.Second, Parallel: x.Parallel, Bisect: x.Bisect,
		Retries: x.Retries, Items: x.Items, Tumbling: time.Duration(x.Tumbling) * time.Second,
	}}
	if x.Age > 0 {
		o.config.Age = time.Duration(x.Age) * time.Second
	}
	// Where the function is gone, invoking it says so.
	o.role, _ = r.m.env.Function(x.Owner, x.Function)
	around := event.Source{ARN: x.Source, Shard: "shardId-000000000000"}
	o.config.MaxBytes = event.MaxBytes - around.Around()
	r.now.Store(o)
	select {
	case r.kick <- struct{}{}:
	default:
	}
}

// run works until ctx ends, or it is drained and has finished what was under
// way.
func (r *runner) run(ctx context.Context) {
	for ctx.Err() == nil && !r.draining() {
		err := r.follow(ctx)
		if err == nil || ctx.Err() != nil {
			continue
		}
		if fault.Is(err, fault.NotFound) {
			r.counts.result(noStream)
		} else {
			r.m.logger.Warn("an event source mapping needs another try", "mapping", r.uuid, "err", err)
		}
		select {
		case <-ctx.Done():
		case <-r.stop:
		case <-time.After(retryAfter):
		}
	}
}

// follow takes a stream through, shard by shard, until it is drained, or the
// stream is gone or fails.
func (r *runner) follow(ctx context.Context) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	var wg sync.WaitGroup
	defer wg.Wait()
	defer cancel()

	workers := map[string]*worker{}
	over := make(chan string, 16)
	for {
		s, err := r.m.env.Stream(ctx, r.source)
		if err != nil {
			return err
		}
		if !r.draining() {
			if err := r.begin(ctx, s, workers, &wg, over); err != nil {
				return err
			}
		}
		if len(workers) == 0 && !r.draining() {
			// All shards are at their end: wait for the stream to be made anew.
			select {
			case <-ctx.Done():
				return nil
			case <-r.stop:
				return nil
			case <-time.After(lookEvery):
			}
			continue
		}
		done := false
		stop := r.stop
		for !done {
			select {
			case <-ctx.Done():
				return nil
			case <-time.After(lookEvery): // is the consumer still registered, and the stream the same?
				now, err := r.m.env.Stream(ctx, r.source)
				if err != nil {
					return err
				}
				done = now.ID != s.ID
			case <-r.kick:
				for _, w := range workers {
					w.nudge()
				}
			case <-stop:
				stop = nil
				for _, w := range workers {
					w.nudge()
				}
				if len(workers) == 0 {
					return nil
				}
			case name := <-over:
				delete(workers, name)
				if r.draining() && len(workers) == 0 {
					return nil
				}
				done = !r.draining()
			}
		}
	}
}

// begin starts workers for the shards whose parents are dealt with and that are
// not themselves. It forgets what is kept of shards that are no more.
func (r *runner) begin(ctx context.Context, s *Stream, workers map[string]*worker, wg *sync.WaitGroup, over chan<- string) error {
	states := make(map[string]shard.State, len(s.Shards))
	present := make(map[string]bool, len(s.Shards))
	for _, sh := range s.Shards {
		st, err := r.m.stateOf(shardKey(r.uuid, s.ID, sh.Index))
		if err != nil {
			return err
		}
		states[sh.ID] = st
		present[shardKey(r.uuid, s.ID, sh.Index).Name] = true
	}
	if err := r.forget(ctx, present); err != nil {
		return err
	}
	for i := range s.Shards {
		sh := &s.Shards[i]
		name := s.ID + "/" + sh.ID
		ready := !states[sh.ID].Done && workers[name] == nil
		for _, parent := range sh.Parents {
			if st, here := states[parent]; here && !st.Done {
				ready = false
			}
		}
		if !ready {
			continue
		}
		w := newWorker(r, s, sh, states[sh.ID])
		workers[name] = w
		wg.Go(func() {
			w.run(ctx)
			select {
			case over <- name:
			case <-ctx.Done():
			}
		})
	}
	return nil
}

// forget removes what is kept of shards that are no longer there.
func (r *runner) forget(ctx context.Context, present map[string]bool) error {
	var gone []catalog.Change
	for d := range r.m.catalog.View().Range(kindShard, r.uuid+"/") {
		if !present[d.Key.Name] && len(gone) < removeAtOnce {
			gone = append(gone, catalog.Change{Key: d.Key, If: catalog.Any, Delete: true})
		}
	}
	if len(gone) == 0 {
		return nil
	}
	if _, err := r.m.catalog.Propose(ctx, catalog.Command{Changes: gone}); err != nil {
		return fmt.Errorf("forget shards that are gone: %w", err)
	}
	return nil
}
