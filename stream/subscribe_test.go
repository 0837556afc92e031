package stream

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"pgregory.net/rapid"

	"github.com/thalweg/thalweg/fault"
)

func (f *fixture) subscribe(r Ref, consumer string, shard uint32, at Start) *Subscription {
	f.Helper()
	sub, err := f.Subscribe(context.Background(), r, consumer, 0, ShardID(shard), at, nil)
	f.must(err)
	return sub
}

// told is what an event said.
type told struct {
	data         []string
	continuation string // "" at the shard's end
	children     []ShardInfo
	behind       time.Duration
	bytes        int
}

func (f *fixture) next(sub *Subscription) (told, error) {
	f.Helper()
	ev, err := sub.Next()
	if err != nil {
		return told{}, err
	}
	defer ev.Release()
	e := told{children: ev.Children, behind: ev.Behind, bytes: ev.Bytes}
	if len(e.children) == 0 {
		e.continuation = ev.Continuation.String()
	}
	for r := range ev.All {
		e.data = append(e.data, string(r.Data))
		if n := ev.Shard.Sequence(r.Pos, r.Time.UnixMilli()).String(); n > e.continuation {
			f.Errorf("record %s after continuation %s", n, e.continuation)
		}
	}
	return e, nil
}

func (f *fixture) event(sub *Subscription) told {
	f.Helper()
	e, err := f.next(sub)
	f.must(err)
	return e
}

// ends wants a clean end now.
func (f *fixture) ends(sub *Subscription) {
	f.Helper()
	began := time.Now()
	if _, err := sub.Next(); !errors.Is(err, io.EOF) || time.Since(began) > 0 {
		f.Errorf("ended with %v after %v", err, time.Since(began))
	}
	sub.Close()
}

// takenOver wants an end now because of another subscription.
func (f *fixture) takenOver(sub *Subscription) {
	f.Helper()
	began := time.Now()
	if _, err := sub.Next(); !fault.Is(err, fault.InUse) || time.Since(began) > 0 {
		f.Errorf("ended with %v after %v", err, time.Since(began))
	}
	sub.Close()
}

var horizon = Start{Type: TrimHorizon}

// "An empty event every ≤ 5 s … session ends after 5 min by clean end of
// stream". Each continuation is above the one before, also when there was no
// record yet.
func TestHeartbeats(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFixture(t, true)
		orders := f.create("orders", 1)
		f.register(orders, "c")
		sub := f.subscribe(orders, "c", 0, horizon)
		began := time.Now()
		last := f.describe(orders).Shards[0].First.String()
		for i := range 3 {
			e := f.event(sub)
			if at := time.Since(began); at != time.Duration(i+1)*beatEvery || len(e.data) > 0 || e.behind != 0 || e.continuation <= last {
				t.Errorf("after %v: %+v", at, e)
			}
			last = e.continuation
		}
		// A record is told when it lands, and puts the next heartbeat off.
		go func() {
			<-time.After(time.Second)
			f.put(orders, "k", "hello")
		}()
		e := f.event(sub)
		if at := time.Since(began); at != 13*time.Second || !slices.Equal(e.data, []string{"hello"}) {
			t.Errorf("after %v: %+v", at, e)
		}
		beats := 0
		last = e.continuation
		for {
			e, err := f.next(sub)
			if errors.Is(err, io.EOF) {
				break
			}
			f.must(err)
			if beats++; len(e.data) > 0 || e.continuation <= last {
				t.Errorf("heartbeat %d: %+v after %s", beats, e, last)
			}
			if at := time.Since(began); at != 13*time.Second+time.Duration(beats)*beatEvery {
				t.Errorf("heartbeat %d after %v", beats, at)
			}
			last = e.continuation
		}
		if at := time.Since(began); at != sessionLife || beats != 71 {
			t.Errorf("ended after %v and %d heartbeats", at, beats)
		}
		sub.Close()
	})
}

// "Second within 5 s → ResourceInUseException; a later one takes over", and
// "the previous connection expires or fails with a ResourceInUseException"
// (AWS, SubscribeToShard). The five seconds count from the call,
// even if the subscription has ended since (apache/beam#26293).
func TestTakeOver(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFixture(t, false)
		orders := f.create("orders", 2)
		f.register(orders, "c")
		f.register(orders, "d")
		again := func() (*Subscription, error) {
			return f.Subscribe(t.Context(), orders, "c", 0, "shardId-0", horizon, nil)
		}
		const text = "Another active subscription exists for this consumer: 000000000000:orders:shardId-000000000000:c"
		one, err := again()
		f.must(err)
		// Neither another shard nor another consumer is in the way.
		other, another := f.subscribe(orders, "c", 1, horizon), f.subscribe(orders, "d", 0, horizon)
		<-time.After(takeOverAfter - 1)
		_, err = again()
		refused(t, err, fault.InUse, text)
		err = f.CheckSubscribe(t.Context(), orders, "c", 0, "shardId-0", horizon)
		refused(t, err, fault.InUse, text)
		f.event(one) // the first goes on
		<-time.After(1)
		f.must(f.CheckSubscribe(t.Context(), orders, "c", 0, "shardId-0", horizon))

		waiting := make(chan error)
		go func() {
			for {
				if _, err := f.next(one); err != nil {
					waiting <- err
					return
				}
			}
		}()
		synctest.Wait()
		two, err := again()
		f.must(err)
		refused(t, <-waiting, fault.InUse, text)
		one.Close() // takes nothing from the second
		f.event(two)
		f.event(other)
		f.event(another)

		two.Close()
		_, err = again()
		refused(t, err, fault.InUse, text)
		<-time.After(takeOverAfter - beatEvery)
		three, err := again()
		f.must(err)
		three.Close()
		other.Close()
		another.Close()
		<-time.After(takeOverAfter)
		synctest.Wait()
		if n := len(f.subs.slots); n != 0 {
			t.Errorf("%d subscriptions are left", n)
		}
	})
}

// A consumer that is deregistered, and a stream that is deleted, take their
// subscriptions along; so does the caller's end.
func TestSubscriptionEnds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFixture(t, false)
		orders := f.create("orders", 1)
		c := f.register(orders, "c")
		f.register(orders, "d")
		ctx, leave := context.WithCancel(t.Context())
		gone, err := f.Subscribe(ctx, orders, "d", 0, "shardId-0", horizon, nil)
		f.must(err)
		leave()
		if _, err := gone.Next(); !errors.Is(err, context.Canceled) {
			t.Errorf("the caller's end: %v", err)
		}
		gone.Close()

		sub := f.subscribe(orders, "c", 0, horizon)
		var wg sync.WaitGroup
		wg.Go(func() { f.ends(sub) })
		synctest.Wait()
		f.must(f.Deregister(t.Context(), orders, "c", c.Created.Unix()))
		wg.Wait()
		_, err = f.Subscribe(t.Context(), orders, "c", 0, "shardId-0", horizon, nil)
		refused(t, err, fault.NotFound, "Consumer c under stream orders under account 000000000000 not found.")

		// Nothing of the old one stands in a new one's way.
		f.register(orders, "c")
		sub = f.subscribe(orders, "c", 0, horizon)
		wg.Go(func() {
			if _, err := f.next(sub); !isGone(err) {
				t.Errorf("after the stream's deletion: %v", err)
			}
			sub.Close()
		})
		synctest.Wait()
		f.must(f.Delete(t.Context(), orders, true))
		wg.Wait()
	})
}

func TestSubscribeRefusals(t *testing.T) {
	f := newFixture(t, false)
	orders := f.create("orders", 1)
	f.register(orders, "c")
	first := f.describe(orders).Shards[0].First
	foreign := Sequence{Created: first.Created + 1, Secs: first.Secs, Version: 2}.String()
	for _, c := range []struct {
		shard string
		at    Start
		kind  fault.Kind
		text  string
	}{
		{"shardId-1", horizon, fault.NotFound, "Shard shardId-000000000001 in stream orders under account 000000000000 does not exist"},
		{"x", horizon, fault.NotFound, "Could not find shard x in stream orders under account 000000000000."},
		{"shardId-0", Start{Type: AtSequence}, fault.Invalid, "Must either specify (1) AT_SEQUENCE_NUMBER or AFTER_SEQUENCE_NUMBER and StartingSequenceNumber or " +
			"(2) TRIM_HORIZON or LATEST and no StartingSequenceNumber. Request specified AT_SEQUENCE_NUMBER and no StartingSequenceNumber."},
		{"shardId-0", Start{Type: AtSequence, Sequence: foreign}, fault.Invalid, "StartingSequenceNumber " + foreign + " used in SubscribeToShard " +
			"on shard shardId-000000000000 in stream orders under account 000000000000 is invalid because it did not come from this stream."},
		{"shardId-0", Start{Type: AfterSequence, Sequence: Sequence{Created: first.Created, Shard: 1, Secs: first.Secs, Version: 2}.String()}, fault.Invalid,
			"Invalid StartingSequenceNumber. It encodes shardId-000000000001, while it was used in a call to a shard with shardId-000000000000"},
	} {
		_, err := f.Subscribe(t.Context(), orders, "c", 0, c.shard, c.at, nil)
		refused(t, err, c.kind, c.text)
	}
	if len(f.subs.slots) != 0 {
		t.Error("a refused call counts as a subscription")
	}
}

// Each consumer gets 2 MiB/s of a shard, by waiting and never by failing, with
// something said every five seconds at most; a second subscription gets no
// burst of its own.
func TestPace(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFixture(t, false)
		orders := f.create("orders", 1)
		const each, n = 512 << 10, 60
		large := strings.Repeat("x", each-1)
		for range n {
			f.put(orders, "k", large)
		}
		f.Streams.limited = true
		f.register(orders, "c")
		sub := f.subscribe(orders, "c", 0, horizon)
		began, last := time.Now(), time.Now()
		var bytes int
		for bytes < n*each {
			e, err := f.next(sub)
			f.must(err)
			now := time.Now()
			if now.Sub(last) > 5*time.Second {
				t.Errorf("silent for %v", now.Sub(last))
			}
			bytes += e.bytes
			// What a bucket of one second's worth lets through, and one event.
			if most := readBytes*(1+now.Sub(began).Seconds()) + eventBytes; float64(bytes) > most {
				t.Fatalf("%d bytes after %v", bytes, now.Sub(began))
			}
			if e.bytes > eventBytes || bytes < n*each && e.behind == 0 {
				t.Errorf("event of %d bytes, %v behind", e.bytes, e.behind)
			}
			if last = now; len(e.data) > 0 && bytes == n*each/2 {
				// Taken over half way: goes on at the same rate.
				old := sub
				sub = f.subscribe(orders, "c", 0, Start{Type: AfterSequence, Sequence: e.continuation})
				f.takenOver(old)
			}
		}
		if took, want := time.Since(began).Seconds(), float64(n*each-readBytes)/readBytes; took < want*0.95-1 || took > want*1.05 {
			t.Errorf("%d bytes took %.2f s, not %.2f", bytes, took, want)
		}
		sub.Close()

		// A record larger than what one event holds comes alone.
		f.must(f.SetMaxRecord(t.Context(), orders, 10240))
		const largest = 10 << 20
		start := Start{Type: AtTime, Time: time.Now()}
		f.put(orders, "k", strings.Repeat("y", largest-1))
		<-time.After(15 * time.Second)
		f.put(orders, "k", "z")
		sub = f.subscribe(orders, "c", 0, start)
		if e := f.event(sub); len(e.data) != 1 || e.bytes != largest {
			t.Errorf("%d records, %d bytes", len(e.data), e.bytes)
		}
		began = time.Now()
		if e := f.event(sub); len(e.data) != 0 || time.Since(began) > beatEvery || e.behind == 0 {
			t.Errorf("while it is paid for: %d records, %v behind, after %v", len(e.data), e.behind, time.Since(began))
		}
		if e := f.event(sub); !slices.Equal(e.data, []string{"z"}) || time.Since(began) > 5*time.Second {
			t.Errorf("once it is: %q after %v", e.data, time.Since(began))
		}
		sub.Close()
	})
}

// A reader that needs long for each event still gets records, and no more than
// an event's worth of them is held for it.
func TestSlowSubscriber(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFixture(t, false)
		orders := f.create("orders", 1)
		f.register(orders, "c")
		large := strings.Repeat("x", 512<<10)
		for range 20 {
			f.put(orders, "k", large)
		}
		sub := f.subscribe(orders, "c", 0, horizon)
		for range 10 {
			if e := f.event(sub); len(e.data) == 0 {
				t.Error("a heartbeat while records are there")
			}
			<-time.After(3 * beatEvery / 2)
		}
		sub.Close()
	})
}

// Subscribed from the start to every shard as it appears, through splits and
// merges under load, a consumer gets every record once, each shard's in order,
// and a shard's end exactly once, with the children and without a continuation.
// Children are read after their parents.
func TestFanOutAcrossReshards(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFixture(t, false)
		orders := f.create("orders", 2)
		f.register(orders, "c")
		const keys, each = 8, 50
		var wg sync.WaitGroup
		var mu sync.Mutex
		got := map[string][]string{}
		ended := map[string]int{}
		var follow func(shard uint32)
		follow = func(shard uint32) {
			sub := f.subscribe(orders, "c", shard, horizon)
			defer sub.Close()
			for {
				e, err := f.next(sub)
				if err != nil {
					if !errors.Is(err, io.EOF) {
						t.Error(err)
					}
					return
				}
				mu.Lock()
				for _, d := range e.data {
					key, n, _ := strings.Cut(d, " ")
					got[key] = append(got[key], n)
				}
				for _, child := range e.children {
					parents := 1
					if child.AdjacentParent != "" {
						parents = 2
					}
					if ended[child.ID]++; ended[child.ID] == parents {
						wg.Go(func() { follow(child.Index) })
					}
				}
				mu.Unlock()
				if (e.continuation == "") != (len(e.children) > 0) || len(e.children) > 0 && len(e.data) > 0 {
					t.Errorf("event %+v", e)
				}
			}
		}
		for shard := range uint32(2) {
			wg.Go(func() { follow(shard) })
		}
		var puts sync.WaitGroup
		for k := range keys {
			puts.Go(func() {
				for i := range each {
					f.put(orders, fmt.Sprint(k), fmt.Sprintf("%d %d", k, i))
					<-time.After(time.Millisecond)
				}
			})
		}
		<-time.After(10 * time.Millisecond)
		ctx := t.Context()
		f.must(f.Split(ctx, orders, "shardId-0", Hash{Hi: 1 << 61}))
		<-time.After(10 * time.Millisecond)
		f.must(f.Merge(ctx, orders, "shardId-3", "shardId-1"))
		<-time.After(10 * time.Millisecond)
		f.must(f.Merge(ctx, orders, "shardId-2", "shardId-4"))
		puts.Wait()
		synctest.Wait()
		mu.Lock()
		for k := range keys {
			var want []string
			for i := range each {
				want = append(want, strconv.Itoa(i))
			}
			if !slices.Equal(got[fmt.Sprint(k)], want) {
				t.Errorf("key %d: %v", k, got[fmt.Sprint(k)])
			}
		}
		if len(ended) != 4 || ended["shardId-000000000005"] != 2 {
			t.Errorf("children told: %v", ended)
		}
		mu.Unlock()
		f.must(f.Deregister(ctx, orders, "c", 0)) // ends those of the open shards
		wg.Wait()
	})
}

// Whatever was said, subscribing after its continuation goes on where it
// stopped: nothing twice, nothing left out.
func TestContinuation(t *testing.T) {
	rapid.Check(t, func(r *rapid.T) {
		f := newFixture(t, false)
		orders := f.create("orders", 1)
		f.register(orders, "c")
		now := time.Now()
		var want, got []string
		at := horizon
		if rapid.Bool().Draw(r, "latest") {
			f.put(orders, "k", "before")
			at = Start{Type: Latest}
		}
		token := at
		for i := range rapid.IntRange(1, 12).Draw(r, "rounds") {
			s, err := f.subscription(context.Background(), orders, "c", 0, "shardId-0", token)
			f.must(err)
			s.ctx = context.Background()
			for j := range rapid.IntRange(0, 3).Draw(r, "puts") {
				d := fmt.Sprint(i, j)
				f.put(orders, "k", d)
				want = append(want, d)
			}
			_, v, err := f.open(orders)
			f.must(err)
			sh, _ := v.shard(0, now)
			ev, _, err := s.read(v, sh, now)
			f.must(err)
			if ev == nil {
				now = now.Add(beatEvery)
				ev, err = s.heartbeat(sh, now)
				f.must(err)
			}
			for r := range ev.All {
				got = append(got, string(r.Data))
			}
			token = Start{Type: AfterSequence, Sequence: ev.Continuation.String()}
			ev.Release()
		}
		if !slices.Equal(got, want) {
			r.Fatalf("got %q, not %q", got, want)
		}
	})
}
