package stream

import (
	"context"
	"testing"
	"testing/synctest"
	"time"
)

func (f *fixture) figures(r Ref) Figures {
	f.Helper()
	for g := range f.Figures() {
		if g.Ref == r {
			return g
		}
	}
	f.Fatalf("stream %s has no figures", r.Name)
	return Figures{}
}

// SubscribeToShard.Success, .RateExceeded and the SubscribeToShardEvent metrics
// have a consumer's name as their dimension.
func TestConsumerFigures(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFixture(t, true)
		orders := f.create("orders", 2)
		f.register(orders, "a")
		f.register(orders, "b")
		f.put(orders, "k", "12345")
		shard := uint32(0)
		if h := HashKey("k"); h.Hi>>63 == 1 {
			shard = 1
		}
		sub := f.subscribe(orders, "a", shard, horizon)
		f.event(sub)
		if _, err := f.Subscribe(context.Background(), orders, "a", 0, ShardID(shard), horizon, nil); err == nil {
			t.Error("a second subscription began at once")
		}
		g := f.figures(orders)
		if len(g.Consumers) != 2 || g.Consumers[0].Name != "a" || g.Consumers[1].Name != "b" {
			t.Fatalf("consumers %+v", g.Consumers)
		}
		a, b := g.Consumers[0], g.Consumers[1]
		if a.Subscribed.Load() != 1 || a.Refused.Load() != 1 || a.Events.Load() != 1 || a.EventRecords.Load() != 1 || a.EventBytes.Load() != 6 ||
			a.Subscriptions != 1 || a.BehindMillis != 0 {
			t.Errorf("a has %+v", a)
		}
		if b.Subscribed.Load() != 0 || b.Subscriptions != 0 || b.BehindMillis != -1 {
			t.Errorf("b has %+v", b)
		}
		sub.Close()
		if a := f.figures(orders).Consumers[0]; a.Subscriptions != 0 || a.BehindMillis != -1 || a.Events.Load() != 1 {
			t.Errorf("closed, a has %+v", a)
		}
		f.must(f.Deregister(context.Background(), orders, "a", 0))
		f.register(orders, "a")
		if a := f.figures(orders).Consumers[0]; a.Subscribed.Load() != 0 {
			t.Errorf("registered anew, a has %+v", a)
		}
	})
}

// GetRecords.IteratorAgeMilliseconds says nothing while nobody reads, as in
// CloudWatch.
func TestIteratorAgeFades(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFixture(t, false)
		orders := f.create("orders", 1)
		f.put(orders, "k", "one")
		time.Sleep(7 * time.Second)
		f.put(orders, "k", "two")
		token, err := f.Iterator(context.Background(), orders, ShardID(0), horizon)
		f.must(err)
		if age := f.figures(orders).AgeMillis; age != -1 {
			t.Errorf("before any read the age is %d", age)
		}
		var p ReadPage
		f.must(f.Read(context.Background(), orders.Owner, token, 1, &p))
		p.Release()
		age := f.figures(orders).AgeMillis
		if age <= 0 {
			t.Errorf("behind by a record, the age is %d", age)
		}
		time.Sleep(recently + time.Second)
		if age := f.figures(orders).AgeMillis; age != -1 {
			t.Errorf("long after the last read the age is %d", age)
		}
	})
}

// BenchmarkFigures is one look at a stream of 10,000 shards whose metrics are
// all exported.
func BenchmarkFigures(b *testing.B) {
	f := newFixture(b, false)
	wide := f.create("wide", 10000)
	if _, _, err := f.Monitor(context.Background(), wide, []string{"ALL"}, true); err != nil {
		b.Fatal(err)
	}
	for b.Loop() {
		if n := len(f.figures(wide).Shards); n != 10000 {
			b.Fatal(n)
		}
	}
}
