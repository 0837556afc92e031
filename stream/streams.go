// Package stream is data streams: shards and the hash ranges they hold,
// splitting and merging them, sequence numbers, iterators, limits, retention,
// and the way of a record in and out. It hides where shards lie in the log,
// how the documents in the catalog describe a stream, and that a change of
// shards takes several steps: readers and writers see it happen at once, and
// after a crash it is completed. It never interprets a record's data, and
// knows nothing of how AWS puts its requests and exceptions on the wire; the
// messages of its faults are AWS's.
package stream

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/thalweg/thalweg/catalog"
	"github.com/thalweg/thalweg/shardlog"
)

// Config is what Streams stand on. All but Logger must be set.
type Config struct {
	Log     shardlog.Log
	Catalog *catalog.Catalog // attached to Log
	Limits  bool             // enforce AWS's limits of throughput per shard
	Logger  *slog.Logger     // nil: say nothing
}

// Streams is all data streams of all owners. Its methods may be called
// concurrently, as soon as New returns; Run completes what they or an earlier
// process left undone.
type Streams struct {
	log     shardlog.Log
	catalog *catalog.Catalog
	limited bool
	logger  *slog.Logger
	tokens  *tokens

	mu        sync.Mutex // held while entries are changed
	entries   atomic.Pointer[map[Ref]*entry]
	scratches sync.Pool // of *putScratch
	subs      subscriptions
	events    events
	wake      chan struct{} // tells Run that there is something to complete, or a new deadline
}

// New returns the streams that the catalog holds. At the first start it
// writes the key that iterators are sealed with to the catalog.
func New(cfg Config) (*Streams, error) {
	if cfg.Log == nil || cfg.Catalog == nil {
		return nil, errors.New("stream: Config wants a log and a catalog")
	}
	s := &Streams{
		log: cfg.Log, catalog: cfg.Catalog, limited: cfg.Limits, logger: cfg.Logger,
		wake: make(chan struct{}, 1),
	}
	if s.logger == nil {
		s.logger = slog.New(slog.DiscardHandler)
	}
	s.entries.Store(new(map[Ref]*entry))
	var refs []Ref
	for d := range s.catalog.View().Range(kindStream, "") {
		ref, ok := parseDocName(d.Key.Name)
		if !ok {
			return nil, fmt.Errorf("catalog document %s names no stream", d.Key)
		}
		refs = append(refs, ref)
	}
	s.remember(refs...)
	for _, e := range *s.entries.Load() {
		if _, err := s.load(e); err != nil {
			return nil, err
		}
	}
	key, err := s.secret(context.Background())
	if err != nil {
		return nil, err
	}
	s.tokens, err = newTokens(key)
	return s, err
}

// The pauses of Run: after a transition that could not be completed, and at
// most between two looks at what has expired.
const (
	retryAfter = time.Second
	sweepEvery = time.Minute
)

// Run completes the transitions that a crash or a failing log left undone and
// drops closed shards once retention has taken their last record. It returns
// nil when ctx ends.
func (s *Streams) Run(ctx context.Context) error {
	timer := time.NewTimer(0)
	defer timer.Stop()
	sample := time.NewTicker(sampleEvery)
	defer sample.Stop()
	scalers := make(map[string]*autoscaler)
	for {
		select {
		case <-ctx.Done():
			return nil
		case now := <-sample.C:
			s.observe(ctx, now, scalers)
			continue
		case <-timer.C:
		case <-s.wake:
		}
		timer.Reset(s.tend(ctx))
	}
}

// tend does what is due now and returns how long nothing will be due.
func (s *Streams) tend(ctx context.Context) time.Duration {
	pause := sweepEvery
	for d := range s.catalog.View().Range(kindStream, "") {
		ref, _ := parseDocName(d.Key.Name)
		e, v, err := s.open(ref)
		if err == nil && v.info.Status != Active {
			err = s.complete(ctx, e)
		} else if err == nil {
			var until time.Duration
			if until, err = s.sweep(ctx, v); until > 0 {
				pause = min(pause, until)
			}
			err = errors.Join(err, s.tendConsumers(ctx, v))
		}
		if ctx.Err() != nil {
			return pause
		}
		if err != nil && !isGone(err) {
			s.logger.Warn("stream needs another try", "stream", d.Key.Name, "err", err)
			pause = retryAfter
		}
	}
	return pause
}

// nudge makes Run look again soon.
func (s *Streams) nudge() {
	select {
	case s.wake <- struct{}{}:
	default:
	}
}
