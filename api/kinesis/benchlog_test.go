package kinesis

import (
	"context"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/thalweg/thalweg/catalog"
	"github.com/thalweg/thalweg/flow"
	"github.com/thalweg/thalweg/gate"
	"github.com/thalweg/thalweg/shardlog"
	"github.com/thalweg/thalweg/stream"
)

// forgetful is a log that keeps its commands and forgets its records: what is
// left of a put is the work above the log.
type forgetful struct {
	shardlog.Log // nil: what is not below is not called
	machine      *catalog.Catalog
	pos          atomic.Uint64
	payloads     sync.Pool
}

func (l *forgetful) Reserve(_ context.Context, entries []shardlog.Entry) error {
	for i := range entries {
		b, ok := l.payloads.Get().(*[]byte)
		if !ok || cap(*b) < entries[i].Size {
			b = new(make([]byte, entries[i].Size))
		}
		entries[i].Payload, entries[i].Home = (*b)[:entries[i].Size], b
	}
	return nil
}

func (l *forgetful) Append(_ context.Context, entries []shardlog.Entry) {
	for i := range entries {
		e := &entries[i]
		e.Pos = flow.Pos(l.pos.Add(uint64(e.Count))) - flow.Pos(e.Count) + 1
		e.Time, e.Err = time.Now().UnixMilli(), nil
		l.payloads.Put(e.Home)
	}
}

func (l *forgetful) Release([]shardlog.Entry)                      {}
func (l *forgetful) Create(context.Context, []shardlog.Spec) error { return nil }

func (l *forgetful) Propose(_ context.Context, cmd []byte) (any, error) {
	return l.machine.Apply(flow.Pos(l.pos.Add(1)), cmd), nil
}

// newBenchFixture is the API over streams over a log that costs nothing, with a
// stream of four shards.
func newBenchFixture(b testing.TB) *fixture {
	log := &forgetful{machine: catalog.New()}
	log.machine.Attach(log)
	s, err := stream.New(stream.Config{Log: log, Catalog: log.machine})
	if err != nil {
		b.Fatal(err)
	}
	f := &fixture{TB: b, api: newAPI(s), service: New(s), now: time.Now()}
	f.create("orders", 4)
	return f
}

func (f *fixture) operation(name string) func(context.Context, *gate.Call, []byte) ([]byte, error) {
	for _, o := range f.service.Ops {
		if o.Name == name {
			return o.Serve
		}
	}
	f.Fatalf("no operation %s", name)
	return nil
}
