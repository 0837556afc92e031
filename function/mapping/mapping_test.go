package mapping_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/thalweg/thalweg/fault"
	"github.com/thalweg/thalweg/function/mapping"
	"github.com/thalweg/thalweg/function/mapping/event"
)

// StartingPosition: the three of them; AT_TIMESTAMP is inclusive, and children
// are read from their beginning whatever it is.
func TestStartingPosition(t *testing.T) {
	for _, c := range []struct {
		at   mapping.StartType
		want string
	}{
		{mapping.TrimHorizon, "a b c d e"},
		{mapping.AtTime, "b c d e"},
		{mapping.Latest, "d e"},
	} {
		t.Run(string(c.at), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t, 1)
				w.put(0, "a")
				pass(time.Second)
				at := mapping.Start{Type: c.at}
				if c.at == mapping.AtTime {
					at.Time = time.Now()
				}
				w.put(0, "b")
				pass(time.Second)
				w.put(0, "c")
				w.create(settings(), at)
				w.put(0, "d") // before the mapping does anything, which LATEST must not miss
				pass(time.Second)
				w.split(0)
				w.put(1, "e")
				pass(time.Second)
				w.want(strings.Fields(c.want)...)
			})
		})
	}
}

// "A child shard begins only after its parents are finished", however long the
// function takes for them.
func TestParentsBeforeChildren(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, 1)
		w.on(func(context.Context, lambdaEvent) (any, error) { return nil, functionError("r") })
		w.put(0, "a")
		w.create(settings(), fromStart())
		w.split(0)
		w.put(1, "b")
		w.put(2, "c")
		pass(10 * time.Minute)
		if slices.ContainsFunc(w.seen(), func(s string) bool { return s != "a" }) {
			t.Fatalf("children were read before their parent was dealt with: %q", w.seen())
		}
		w.on(func(context.Context, lambdaEvent) (any, error) { return nil, nil })
		pass(2 * time.Minute)
		got := w.seen()
		if got = got[len(got)-3:]; got[0] != "a" || !slices.Contains(got, "b") || !slices.Contains(got, "c") {
			t.Fatalf("in the end the function saw %q", got)
		}
	})
}

// A mapping goes on where it stood, after a stop and after a crash.
func TestRestart(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, 2)
		m := w.create(settings(), fromStart())
		w.put(0, "a")
		w.put(1, "b")
		pass(time.Second)
		w.crash()
		w.put(0, "c")
		pass(time.Second)
		if got := w.seen(); len(got) != 3 || got[2] != "c" {
			t.Fatalf("after a crash the function saw %q", got)
		}
		w.split(0)
		w.put(2, "d")
		pass(time.Second)
		w.crash()
		pass(time.Second)
		if got := w.seen(); len(got) != 4 || got[3] != "d" {
			t.Fatalf("after a reshard and a crash the function saw %q", got)
		}
		x, err := w.m.Get(owner(), m.UUID)
		if err != nil || x.Phase != mapping.Enabled || x.BatchSize != 100 {
			t.Fatalf("the mapping is %+v, %v", x, err)
		}
	})
}

// What is under way when the server dies is invoked again: at least once.
func TestCrashDuringInvocation(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, 1)
		w.on(func(ctx context.Context, e lambdaEvent) (any, error) {
			<-ctx.Done()
			return nil, ctx.Err()
		})
		w.put(0, "a", "b")
		w.create(settings(), fromStart())
		pass(time.Second)
		w.on(func(context.Context, lambdaEvent) (any, error) { return nil, nil })
		w.crash()
		pass(time.Second)
		w.want("a", "b", "a", "b")
	})
}

// One shard whose function hangs holds up no other, nor another mapping.
func TestSlowFunction(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, 2)
		w.on(func(ctx context.Context, e lambdaEvent) (any, error) {
			if e.data()[0] == "slow" {
				<-ctx.Done()
				return nil, ctx.Err()
			}
			return nil, nil
		})
		w.create(settings(), fromStart())
		other := settings()
		other.Function += ":live"
		w.create(other, fromStart())
		w.put(0, "slow")
		pass(time.Second)
		w.put(0, "behind")
		for i := range 100 {
			w.put(1, fmt.Sprint(i))
		}
		pass(time.Second)
		got := w.seen()
		if n := len(got); n != 202 || slices.Contains(got, "behind") {
			t.Fatalf("the function saw %d records: %q", n, got)
		}
	})
}

// Data that is not used for a while is let go of, and read again.
func TestDataIsReadAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, 1)
		s := settings()
		s.BatchSize = 2
		w.on(func(context.Context, lambdaEvent) (any, error) {
			time.Sleep(time.Minute)
			return nil, nil
		})
		w.put(0, "a", "b", "c", "d", "e")
		w.create(s, fromStart())
		pass(10 * time.Minute)
		w.want("a", "b", "c", "d", "e")
	})
}

// Records that retention takes while a function fails are passed: the shard
// goes on with what there is.
func TestExpiredRecords(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, 1)
		w.on(func(context.Context, lambdaEvent) (any, error) {
			return nil, fault.New(fault.Throttled, "Rate exceeded")
		})
		w.put(0, "a", "b", "c")
		w.create(settings(), fromStart())
		pass(time.Minute)
		w.mu.Lock()
		w.shards[0].trimmed, w.events = 3, nil
		w.mu.Unlock()
		w.on(func(context.Context, lambdaEvent) (any, error) { return nil, nil })
		pass(time.Minute)
		w.want("c")
	})
}

// A stream that is gone is said so; one made anew under the name is read from
// its beginning.
func TestStreamGone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, 1)
		m := w.create(settings(), fromStart())
		w.put(0, "a")
		pass(time.Second)
		w.mu.Lock()
		w.id = ""
		w.signal()
		w.mu.Unlock()
		pass(5 * time.Second)
		if x, err := w.m.Get(owner(), m.UUID); err != nil || x.LastResult != "PROBLEM: Stream not found" {
			t.Fatalf("without its stream the mapping is %+v, %v", x, err)
		}
		w.mu.Lock()
		w.id, w.shards = "stream-2", []*memShard{{id: "shardId-000000000000"}}
		w.mu.Unlock()
		w.put(0, "b")
		pass(5 * time.Second)
		w.want("a", "b")
	})
}

// A mapping of a consumer reads for as long as the consumer is registered, and
// its events name the consumer. (Lambda Developer Guide: "eventSourceARN")
func TestConsumer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, 1)
		m, err := w.m.Create(context.Background(), owner(), arnOfConsumer, settings(), fromStart(), nil, time.Now())
		if err != nil {
			t.Fatal(err)
		}
		w.put(0, "a")
		pass(time.Second)
		w.want("a")
		w.mu.Lock()
		w.leaves = true
		if arn := w.events[0].Records[0].Source; arn != arnOfConsumer {
			t.Errorf("the event is of %s", arn)
		}
		w.mu.Unlock()
		pass(10 * time.Second)
		w.put(0, "b")
		pass(10 * time.Second)
		w.want("a")
		if x, err := w.m.Get(owner(), m.UUID); err != nil || x.LastResult != "PROBLEM: Stream not found" {
			t.Errorf("without its consumer the mapping is %+v, %v", x, err)
		}
	})
}

// Events under way take no more memory than they may, and all come through.
func TestEventsTakeTurns(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, 14)
		var under, most atomic.Int64
		w.on(func(_ context.Context, e lambdaEvent) (any, error) {
			n := int64(0)
			for _, r := range e.Records {
				n += int64(len(r.Kinesis.Data))
			}
			now := under.Add(n)
			for {
				old := most.Load()
				if now <= old || most.CompareAndSwap(old, now) {
					break
				}
			}
			time.Sleep(time.Second)
			under.Add(-n)
			return nil, nil
		})
		big := strings.Repeat("x", 4<<20)
		for i := range 14 {
			w.put(i, big)
		}
		w.create(settings(), fromStart())
		pass(time.Minute)
		if n := len(w.seen()); n != 14 || most.Load() > 48<<20 { // of data, which takes four thirds of it in an event
			t.Errorf("%d records came through, with up to %d bytes at a time", n, most.Load())
		}
	})
}

func TestFilters(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, 1)
		s := settings()
		s.Filters = []string{`{"data":{"n":[{"numeric":[">",1]}]}}`, `{"partitionKey":["key-x"]}`}
		w.create(s, fromStart())
		w.put(0, `{"n":1}`, `{"n":2}`, "x", "y", `{"n":3}`)
		pass(time.Second)
		w.want(`{"n":2}`, "x", `{"n":3}`)
		w.crash()
		pass(time.Second)
		w.want(`{"n":2}`, "x", `{"n":3}`)

		// Filters that change hold for what is put once it is Enabled again.
		list, _, err := w.m.List(owner(), "", "", "", 1)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := w.m.Update(context.Background(), owner(), list[0].UUID, func(s *mapping.Settings) { s.Filters = s.Filters[1:] }, time.Now()); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		w.put(0, `{"n":4}`, "x again")
		pass(time.Second)
		w.want(`{"n":2}`, "x", `{"n":3}`, "x again")
	})
}

// A window closes when its time is over, also where nothing comes any more, and
// its state outlives the server.
func TestTumblingWindow(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, 1)
		s := settings()
		s.Tumbling = 60
		w.on(func(_ context.Context, e lambdaEvent) (any, error) {
			return map[string]any{"state": map[string]int{"n": e.State["n"] + len(e.Records)}}, nil
		})
		start := time.Now().Truncate(time.Minute)
		w.create(s, fromStart())
		w.put(0, "a", "b")
		pass(5 * time.Second)
		w.crash()
		w.put(0, "c")
		pass(5 * time.Second)
		pass(time.Until(start.Add(time.Minute + 5*time.Second)))
		w.mu.Lock()
		last := w.events[len(w.events)-1]
		w.mu.Unlock()
		if !last.Final || last.State["n"] != 3 || len(last.Records) != 0 || !last.Window.Start.Equal(start) || last.Shard != "shardId-000000000000" {
			t.Fatalf("the last call of the window is %+v", last)
		}
		n := len(w.events)
		pass(5 * time.Minute)
		if len(w.events) != n {
			t.Fatalf("without records there are windows: %+v", w.events[n:])
		}
	})
}

const queue = "arn:aws:sqs:us-east-1:123456789012:q"

// A batch whose retries are used up goes to the destination, however often that
// fails first, and the shard moves on afterwards. (facts: invoke count 4 for
// MaximumRetryAttempts 3)
func TestOnFailure(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, 1)
		s := settings()
		s.Retries, s.BatchSize, s.OnFailure = 3, 2, queue
		w.on(func(_ context.Context, e lambdaEvent) (any, error) {
			if e.data()[0] == "bad" {
				return nil, functionError("request-7")
			}
			return nil, nil
		})
		var sent []mapping.Delivery
		tries := 0
		w.send = func(d mapping.Delivery) error {
			if tries++; tries < 4 {
				return errors.New("no route")
			}
			sent = append(sent, d)
			return nil
		}
		m := w.create(s, fromStart())
		w.put(0, "bad", "too", "good")
		pass(time.Minute)
		if len(sent) != 1 {
			t.Fatalf("%d batches were sent", len(sent))
		}
		d := sent[0]
		first := fmt.Sprintf("%056d", 1)
		if d.Mapping != m.UUID || d.Condition != event.RetryAttemptsExhausted || d.Invokes != 4 || d.RequestID != "request-7" || d.Error != "Unhandled" ||
			d.First != first || d.Count != 2 || d.Shard != "shardId-000000000000" || d.Stream != arnOfStream || d.Function != arnOfFunction {
			t.Fatalf("what was sent is %+v", d)
		}
		payload, err := d.Event(context.Background())
		if err != nil || !strings.Contains(string(payload), first) {
			t.Fatalf("its event is %s, %v", payload, err)
		}
		if got := w.seen(); got[len(got)-1] != "good" || len(got) != 9 {
			t.Fatalf("the function saw %q", got)
		}
	})
}

// A destination that is never there does not hold a shard for ever.
func TestDestinationGone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, 1)
		s := settings()
		s.Retries, s.OnFailure = 0, queue
		w.on(func(_ context.Context, e lambdaEvent) (any, error) {
			if e.data()[0] == "bad" {
				return nil, functionError("r")
			}
			return nil, nil
		})
		w.send = func(mapping.Delivery) error { return errors.New("no route") }
		w.create(s, fromStart())
		w.put(0, "bad")
		pass(time.Minute)
		w.put(0, "good")
		pass(time.Minute)
		w.want("bad")
		pass(10 * time.Minute)
		w.want("bad", "good")
		for f := range w.m.Figures() {
			if f.SendFailures.Load() != 1 || f.Discarded.Load() != 1 || f.Invocations.Load() != 2 || f.Failures.Load() != 1 {
				t.Errorf("counted %d failed deliveries, %d discarded records, %d invocations and %d failures",
					f.SendFailures.Load(), f.Discarded.Load(), f.Invocations.Load(), f.Failures.Load())
			}
		}
	})
}

// ReportBatchItemFailures end to end: the answer's sequence numbers are the
// event's.
func TestItemFailures(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, 1)
		s := settings()
		s.Items = true
		once := true
		w.on(func(_ context.Context, e lambdaEvent) (any, error) {
			if !once {
				return nil, nil
			}
			once = false
			return map[string]any{"batchItemFailures": []any{map[string]string{"itemIdentifier": e.Records[1].Kinesis.SequenceNumber}}}, nil
		})
		w.put(0, "a", "b", "c")
		w.create(s, fromStart())
		pass(time.Second)
		w.want("a", "b", "c", "b", "c")
	})
}

// The life of a mapping: its states, and that batches under way finish before
// it is Disabled or gone.
func TestLife(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, 1)
		ctx := context.Background()
		phase := func(want mapping.Phase) {
			t.Helper()
			list, _, err := w.m.List(owner(), arnOfStream, arnOfFunction, "", 10)
			if err != nil || len(list) != 1 || list[0].Phase != want {
				t.Fatalf("the mappings are %+v, %v; want one that is %s", list, err, want)
			}
		}
		release := make(chan struct{})
		w.on(func(context.Context, lambdaEvent) (any, error) {
			<-release
			return nil, nil
		})
		m := w.create(settings(), fromStart())
		if m.Phase != mapping.Creating {
			t.Fatalf("a new mapping is %s", m.Phase)
		}
		pass(time.Second)
		phase(mapping.Enabled)
		if _, err := w.m.Create(ctx, owner(), arnOfStream, settings(), fromStart(), nil, time.Now()); !fault.Is(err, fault.InUse) || !strings.Contains(err.Error(), m.UUID) {
			t.Fatalf("a second mapping of the same pair: %v", err)
		}
		w.put(0, "a")
		pass(time.Second)
		x, err := w.m.Update(ctx, owner(), m.UUID, func(s *mapping.Settings) { s.Enabled = false }, time.Now())
		if err != nil || x.Phase != mapping.Disabling {
			t.Fatalf("%+v, %v", x, err)
		}
		w.put(0, "b")
		pass(time.Minute)
		phase(mapping.Disabling) // until the batch under way is over
		if _, err := w.m.Update(ctx, owner(), m.UUID, func(*mapping.Settings) {}, time.Now()); !fault.Is(err, fault.InUse) {
			t.Fatalf("updating while it is Disabling: %v", err)
		}
		close(release)
		pass(time.Second)
		phase(mapping.Disabled)
		w.want("a")
		x, err = w.m.Update(ctx, owner(), m.UUID, func(s *mapping.Settings) { s.Enabled, s.BatchSize = true, 1 }, time.Now())
		if err != nil || x.Phase != mapping.Enabling {
			t.Fatalf("%+v, %v", x, err)
		}
		pass(time.Second)
		phase(mapping.Enabled)
		w.want("a", "b")
		if x, err = w.m.Update(ctx, owner(), m.UUID, func(s *mapping.Settings) { s.Parallel = 3 }, time.Now()); err != nil || x.Phase != mapping.Updating {
			t.Fatalf("%+v, %v", x, err)
		}
		pass(time.Second)
		phase(mapping.Enabled)
		w.put(0, "c")
		pass(time.Second)
		w.want("a", "b", "c")
		if x, err = w.m.Delete(ctx, owner(), m.UUID, time.Now()); err != nil || x.Phase != mapping.Deleting {
			t.Fatalf("%+v, %v", x, err)
		}
		pass(time.Second)
		if _, err := w.m.Get(owner(), m.UUID); !fault.Is(err, fault.NotFound) {
			t.Fatalf("a mapping that is gone: %v", err)
		}
		w.create(settings(), mapping.Start{Type: mapping.Latest}) // the pair is free again
	})
}

// A phase that a crash cuts short is gone through afterwards: no mapping is
// Creating, Disabling or Deleting for ever, and of one that is gone nothing stays.
func TestPhasesSurviveCrashes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, 1)
		ctx := context.Background()
		w.put(0, "a")
		m := w.create(settings(), fromStart())
		w.crash()
		pass(time.Second)
		w.want("a")
		phase := func(want mapping.Phase) {
			t.Helper()
			if x, err := w.m.Get(owner(), m.UUID); err != nil || x.Phase != want {
				t.Fatalf("after a crash the mapping is %+v, %v; want it %s", x, err, want)
			}
		}
		phase(mapping.Enabled)
		if _, err := w.m.Update(ctx, owner(), m.UUID, func(s *mapping.Settings) { s.Enabled = false }, time.Now()); err != nil {
			t.Fatal(err)
		}
		w.crash()
		pass(time.Second)
		phase(mapping.Disabled)
		w.put(0, "b")
		if _, err := w.m.Delete(ctx, owner(), m.UUID, time.Now()); err != nil {
			t.Fatal(err)
		}
		w.crash()
		pass(time.Second)
		if _, err := w.m.Get(owner(), m.UUID); !fault.Is(err, fault.NotFound) {
			t.Fatalf("a mapping that is gone: %v", err)
		}
		w.want("a")
		for _, kind := range []string{"mapping", "mappingPair", "mappingShard"} {
			for d := range w.log.c.View().Range(kind, "") {
				t.Errorf("%s stays", d.Key)
			}
		}
	})
}

func TestRefusals(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, 1)
		for _, c := range []struct {
			change func(*mapping.Settings)
			at     mapping.Start
			source string
			kind   fault.Kind
		}{
			{func(s *mapping.Settings) { s.Function = "arn:aws:lambda:us-east-1:123456789012:function:none" }, fromStart(), arnOfStream, fault.NotFound},
			{func(*mapping.Settings) {}, fromStart(), arnOfStream + "x", fault.Invalid},
			{func(*mapping.Settings) {}, mapping.Start{Type: mapping.AtTime}, arnOfStream, fault.Invalid},
			{func(*mapping.Settings) {}, mapping.Start{Type: mapping.Latest, Time: time.Now()}, arnOfStream, fault.Invalid},
			{func(s *mapping.Settings) { s.Filters = []string{"x"} }, fromStart(), arnOfStream, fault.Invalid},
			{func(s *mapping.Settings) { s.Filters = make([]string, 11) }, fromStart(), arnOfStream, fault.Invalid},
			{func(s *mapping.Settings) { s.Age = 59 }, fromStart(), arnOfStream, fault.Invalid},
			{func(s *mapping.Settings) { s.Tumbling, s.Parallel = 10, 2 }, fromStart(), arnOfStream, fault.Invalid},
			{func(s *mapping.Settings) { s.OnFailure = "arn:aws:sqs:x" }, fromStart(), arnOfStream, fault.Invalid},
		} {
			s := settings()
			c.change(&s)
			if _, err := w.m.Create(context.Background(), owner(), c.source, s, c.at, nil, time.Now()); !fault.Is(err, c.kind) {
				t.Errorf("%+v from %+v of %s: %v", s, c.at, c.source, err)
			}
		}
		if list, more, err := w.m.List(owner(), "", "", "", 10); err != nil || more || len(list) != 0 {
			t.Errorf("something was kept: %v", list)
		}
	})
}
