package mapping_test

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/go-json-experiment/json"

	"github.com/thalweg/thalweg/catalog"
	"github.com/thalweg/thalweg/fault"
	"github.com/thalweg/thalweg/flow"
	"github.com/thalweg/thalweg/function"
	"github.com/thalweg/thalweg/function/mapping"
)

const (
	arnOfStream   = "arn:aws:kinesis:us-east-1:123456789012:stream/s"
	arnOfConsumer = arnOfStream + "/consumer/c:1"
	arnOfFunction = "arn:aws:lambda:us-east-1:123456789012:function:f"
)

func owner() mapping.Owner {
	return mapping.Owner{Account: "123456789012", Region: "us-east-1"}
}

// log is a log that keeps the catalog's commands, so that another catalog can
// be brought to the same state: what a restart finds.
type log struct {
	mu       sync.Mutex
	c        *catalog.Catalog
	commands [][]byte
	down     bool
}

func (l *log) Propose(_ context.Context, cmd []byte) (any, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.down {
		return nil, fmt.Errorf("the log is closed")
	}
	l.commands = append(l.commands, slices.Clone(cmd))
	return l.c.Apply(flow.Pos(len(l.commands)), cmd), nil
}

// world is everything around mappings: one stream, in memory, a function that
// is a Go func, and an on-failure destination.
type world struct {
	t    *testing.T
	log  *log
	m    *mapping.Mappings
	stop func()

	mu      sync.Mutex
	id      string
	shards  []*memShard
	next    flow.Pos
	changed chan struct{}
	handle  func(ctx context.Context, e lambdaEvent) (any, error)
	send    func(d mapping.Delivery) error
	events  []lambdaEvent
	leaves  bool // the consumer is no longer registered
}

type memShard struct {
	id      string
	parents []string
	records []flow.Record
	closed  bool
	trimmed flow.Pos // records before it are gone
	created flow.Pos
}

type lambdaEvent struct {
	Records []struct {
		Kinesis struct {
			PartitionKey   string `json:"partitionKey"`
			SequenceNumber string `json:"sequenceNumber"`
			Data           []byte `json:"data"`
		} `json:"kinesis"`
		EventID string `json:"eventID"`
		Source  string `json:"eventSourceARN"`
	}
	Window *struct {
		Start time.Time `json:"start"`
	} `json:"window"`
	State map[string]int `json:"state"`
	Shard string         `json:"shardId"`
	Final bool           `json:"isFinalInvokeForWindow"`
}

func (e *lambdaEvent) data() (texts []string) {
	for _, r := range e.Records {
		texts = append(texts, string(r.Kinesis.Data))
	}
	return texts
}

func newWorld(t *testing.T, shards int) *world {
	w := &world{t: t, id: "stream-1", next: 1, changed: make(chan struct{}), log: new(log)}
	w.handle = func(context.Context, lambdaEvent) (any, error) { return nil, nil }
	for i := range shards {
		w.shards = append(w.shards, &memShard{id: fmt.Sprintf("shardId-%012d", i), created: 1})
	}
	w.start()
	t.Cleanup(func() { w.stop() })
	return w
}

// start begins a life of the server, with what the log holds.
func (w *world) start() {
	c := catalog.New()
	for i, cmd := range w.log.commands {
		c.Apply(flow.Pos(i+1), cmd)
	}
	w.log.c, w.log.down = c, false
	c.Attach(w.log)
	w.m = mapping.New(mapping.Config{Catalog: c, Env: w.env()})
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- w.m.Run(ctx) }()
	w.stop = sync.OnceFunc(func() {
		cancel()
		if err := <-done; err != nil {
			w.t.Error(err)
		}
	})
}

// crash ends a life: nothing is kept from this moment on.
func (w *world) crash() {
	w.log.mu.Lock()
	w.log.down = true
	w.log.mu.Unlock()
	w.stop()
	w.start()
}

func (w *world) signal() {
	close(w.changed)
	w.changed = make(chan struct{})
}

func (w *world) put(shard int, texts ...string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, text := range texts {
		w.shards[shard].records = append(w.shards[shard].records, flow.Record{Pos: w.next, Time: time.Now(), Key: "key-" + text[:1], Data: []byte(text)})
		w.next++
	}
	w.signal()
}

// split closes a shard, which gets two children.
func (w *world) split(shard int) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.shards[shard].closed = true
	for range 2 {
		w.shards = append(w.shards, &memShard{id: fmt.Sprintf("shardId-%012d", len(w.shards)), parents: []string{w.shards[shard].id}, created: w.next})
	}
	w.signal()
}

func gone() error { return fault.New(fault.NotFound, "Stream s under account 123456789012 not found.") }

func (w *world) env() mapping.Env {
	return mapping.Env{
		Stream: func(_ context.Context, arn string) (*mapping.Stream, error) {
			w.mu.Lock()
			defer w.mu.Unlock()
			if arn != arnOfStream && (arn != arnOfConsumer || w.leaves) || w.id == "" {
				return nil, gone()
			}
			s := &mapping.Stream{ARN: arnOfStream, ID: w.id}
			for i, sh := range w.shards {
				s.Shards = append(s.Shards, mapping.Shard{
					Index: uint32(i), ID: sh.id, Parents: sh.parents,
					Sequence: func(pos flow.Pos, _ int64) string { return fmt.Sprintf("%056d", pos) },
				})
			}
			return s, nil
		},
		Position: func(_ context.Context, _ string, shard uint32, at mapping.Start) (flow.Pos, error) {
			w.mu.Lock()
			defer w.mu.Unlock()
			if at.Type == mapping.AtTime {
				for _, r := range w.shards[shard].records {
					if !r.Time.Before(at.Time) {
						return r.Pos, nil
					}
				}
			}
			return w.next, nil
		},
		Read:  w.read,
		Await: w.await,
		Function: func(_ mapping.Owner, arn string) (string, error) {
			if arn != arnOfFunction && arn != arnOfFunction+":live" {
				return "", fault.New(fault.NotFound, "Function not found: %s", arn)
			}
			return "arn:aws:iam::123456789012:role/r", nil
		},
		Invoke: w.invoke,
		CheckDestination: func(_ mapping.Owner, d string) error {
			if d != "arn:aws:sqs:us-east-1:123456789012:q" {
				return fault.New(fault.Invalid, "no such destination")
			}
			return nil
		},
		Send: func(_ context.Context, _ mapping.Owner, _ string, d mapping.Delivery) error {
			w.mu.Lock()
			send := w.send
			w.mu.Unlock()
			return send(d)
		},
	}
}

func (w *world) read(_ context.Context, s *mapping.Stream, shard uint32, from flow.Pos, limit mapping.Limit, take func(flow.Record)) (mapping.Page, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if s.ID != w.id {
		return mapping.Page{}, gone()
	}
	sh := w.shards[shard]
	p := mapping.Page{Next: from, Tip: true}
	n := 0
	for _, r := range sh.records {
		if r.Pos < from || r.Pos < sh.trimmed {
			continue
		}
		if n++; n > limit.Records {
			p.Tip = false
			return p, nil
		}
		copied := slices.Clone(r.Data)
		r.Data = copied
		take(r)
		clear(copied) // the memory is not the taker's
		p.Next = r.Pos + 1
	}
	p.End = sh.closed
	return p, nil
}

func (w *world) await(ctx context.Context, s *mapping.Stream, shard uint32, from flow.Pos) error {
	for {
		w.mu.Lock()
		sh, changed, id := w.shards[shard], w.changed, w.id
		ready := sh.closed || len(sh.records) > 0 && sh.records[len(sh.records)-1].Pos >= from
		w.mu.Unlock()
		if s.ID != id {
			return gone()
		}
		if ready {
			return nil
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

func (w *world) invoke(ctx context.Context, in function.Invocation) (function.Outcome, error) {
	var e lambdaEvent
	if err := json.Unmarshal(in.Payload, &e); err != nil {
		w.t.Errorf("an event is no JSON: %v", err)
	}
	w.mu.Lock()
	w.events = append(w.events, e)
	handle := w.handle
	w.mu.Unlock()
	answer, err := handle(ctx, e)
	if f, ok := err.(functionError); ok {
		return function.Outcome{FunctionError: "Unhandled", Version: "$LATEST", RequestID: string(f)}, nil
	}
	if err != nil {
		return function.Outcome{}, err
	}
	payload, err := json.Marshal(answer)
	return function.Outcome{Payload: payload, Version: "$LATEST", RequestID: "request"}, err
}

// functionError is a failure of the function itself; its text is the request's id.
type functionError string

func (e functionError) Error() string { return string(e) }

func settings() mapping.Settings {
	return mapping.Settings{Enabled: true, Function: arnOfFunction, BatchSize: 100, Parallel: 1, Retries: -1, Age: -1}
}

func (w *world) create(s mapping.Settings, at mapping.Start) *mapping.Mapping {
	w.t.Helper()
	m, err := w.m.Create(context.Background(), owner(), arnOfStream, s, at, nil, time.Now())
	if err != nil {
		w.t.Fatal(err)
	}
	return m
}

func fromStart() mapping.Start { return mapping.Start{Type: mapping.TrimHorizon} }

// pass lets time go by until everything rests.
func pass(d time.Duration) {
	time.Sleep(d)
	synctest.Wait()
}

// seen are the data of all records that the function was invoked with.
func (w *world) seen() (texts []string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, e := range w.events {
		texts = append(texts, e.data()...)
	}
	return texts
}

func (w *world) want(texts ...string) {
	w.t.Helper()
	if got := w.seen(); !slices.Equal(got, texts) {
		w.t.Fatalf("the function saw %q, want %q", got, texts)
	}
}

func (w *world) on(handle func(ctx context.Context, e lambdaEvent) (any, error)) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.handle = handle
}
