package shard_test

import (
	"fmt"
	"strconv"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/thalweg/thalweg/flow"
	"github.com/thalweg/thalweg/function/mapping/event"
	"github.com/thalweg/thalweg/function/mapping/shard"
)

// world is a shard, a function, and what a crash leaves of a machine.
type world struct {
	t       *rapid.T
	cfg     shard.Config
	m       *shard.Machine
	now     time.Time
	log     []shard.Record // all there is of the shard, by position from 1
	handed  int            // of the log, to this machine
	ended   bool
	saved   shard.State
	begun   flow.Pos                // where this machine began
	passed  func(shard.Record) bool // what it need not do again
	open    map[uint64]shard.Batch
	wake    time.Time
	dealt   map[flow.Pos]bool // ever: the function took it, or the destination
	now1    map[flow.Pos]bool // in this machine's life
	finals  map[int64]int     // what the last calls of windows said they held
	failing bool
}

func newWorld(t *rapid.T, cfg shard.Config) *world {
	w := &world{
		t: t, cfg: cfg, now: time.UnixMilli(1000), dealt: map[flow.Pos]bool{}, finals: map[int64]int{}, failing: true,
	}
	w.restart()
	return w
}

func (w *world) restart() {
	w.m = shard.New(w.cfg, w.saved)
	w.passed = passed(w.saved)
	w.begun, w.open, w.now1, w.wake = w.saved.Next, map[uint64]shard.Batch{}, map[flow.Pos]bool{}, time.Time{}
	w.handed = 0
	for w.handed < len(w.log) && w.log[w.handed].Pos < w.begun {
		w.handed++
	}
}

// passed tells whether a state says of a record that it is dealt with.
func passed(s shard.State) func(shard.Record) bool {
	return func(r shard.Record) bool {
		n := uint32(len(s.Lanes))
		return r.Pos < s.Next || n > 0 && r.Pos < s.Lanes[r.Hash%n]
	}
}

// put adds a record to the shard.
func (w *world) put(key uint32, size int, drop bool) {
	if w.ended {
		return
	}
	w.log = append(w.log, shard.Record{
		Pos: flow.Pos(len(w.log) + 1), Time: w.now.UnixMilli(), Size: size, Hash: key, Drop: drop,
	})
}

// read hands some of the log to the machine, as far as it wants.
func (w *world) read(n int) {
	if !w.m.Wants() {
		return
	}
	n = min(n, len(w.log)-w.handed)
	page := w.log[w.handed : w.handed+n]
	w.handed += n
	next, until := w.m.Next(), time.Time{}
	if n > 0 {
		next = page[n-1].Pos + 1
	}
	if w.handed == len(w.log) {
		until = w.now
	}
	w.m.Records(w.now, page, next, until)
	if w.ended && w.handed == len(w.log) {
		w.m.End()
	}
}

func (w *world) step() {
	todo, wake := w.m.Step(w.now)
	w.wake = wake
	for _, b := range todo {
		w.check(b)
		w.open[b.ID] = b
	}
	w.checkState()
}

// check holds a batch against what must be true of every one.
func (w *world) check(b shard.Batch) {
	bytes := 0
	inside := map[flow.Pos]bool{}
	keys := map[uint32]bool{}
	for i, r := range b.Records {
		bytes += r.Size + 1
		if r.Drop {
			w.t.Fatalf("record %d, which no filter wants, is in a batch", r.Pos)
		}
		if i > 0 && r.Pos <= b.Records[i-1].Pos {
			w.t.Fatalf("batch out of order: %v", b.Records)
		}
		inside[r.Pos] = true
		keys[r.Hash] = true
	}
	if len(b.Records) > w.cfg.BatchSize && b.Failure == "" {
		w.t.Fatalf("a batch of %d records", len(b.Records))
	}
	if b.Failure == "" && bytes > w.cfg.MaxBytes {
		w.t.Fatalf("a batch of %d bytes", bytes)
	}
	for _, other := range w.open {
		for _, r := range other.Records {
			if keys[r.Hash] {
				w.t.Fatalf("key %d is in two batches at a time", r.Hash)
			}
		}
	}
	for _, r := range b.Records {
		for _, earlier := range w.log[max(1, w.begun)-1 : r.Pos-1] {
			if earlier.Hash == r.Hash && !earlier.Drop && !w.now1[earlier.Pos] && !inside[earlier.Pos] && !w.passed(earlier) {
				w.t.Fatalf("record %d goes before %d of the same key", r.Pos, earlier.Pos)
			}
		}
	}
}

// checkState holds the checkpoint against what is dealt with.
func (w *world) checkState() {
	s := w.m.State()
	if s.Next < w.saved.Next {
		w.t.Fatalf("the checkpoint went back from %d to %d", w.saved.Next, s.Next)
	}
	past := passed(s)
	for _, r := range w.log {
		if !r.Drop && past(r) && !w.dealt[r.Pos] {
			w.t.Fatalf("the checkpoint %+v is past record %d, which is not dealt with", s, r.Pos)
		}
	}
}

func (w *world) finish(records []shard.Record) {
	for _, r := range records {
		w.dealt[r.Pos], w.now1[r.Pos] = true, true
	}
}

// answer ends what is under way as b, one way or another.
func (w *world) answer(b shard.Batch, how int) {
	delete(w.open, b.ID)
	if b.Failure != "" {
		w.finish(b.Records)
		w.m.Sent(b.ID)
		return
	}
	r := shard.Result{Verdict: event.Verdict{Cut: -1}}
	state := func(n int) []byte {
		if b.Window == nil {
			return nil
		}
		had, _ := strconv.Atoi(string(b.Window.State))
		return []byte(strconv.Itoa(had + n))
	}
	switch {
	case how == 0:
		r.Failed = true
	case how == 1:
		r.Refused = true
	case how < 4 && w.cfg.Items && len(b.Records) > 0:
		r.Cut = (how * 7) % len(b.Records)
		r.State = state(r.Cut)
		w.finish(b.Records[:r.Cut])
	default:
		r.State = state(len(b.Records))
		w.finish(b.Records)
		if b.Window != nil && b.Window.Final {
			n, _ := strconv.Atoi(string(b.Window.State))
			w.finals[b.Window.Start] = n
		}
	}
	w.m.Result(w.now, b.ID, r)
	w.checkState()
}

// drain lets everything succeed until the machine says that it is done.
func (w *world) drain() {
	w.ended = true
	for range 100000 {
		w.read(1000)
		w.step()
		if w.m.State().Done {
			return
		}
		if len(w.open) == 0 {
			if w.wake.After(w.now) {
				w.now = w.wake
			} else {
				w.now = w.now.Add(time.Second)
			}
			continue
		}
		for _, b := range w.open {
			w.answer(b, 9)
			break
		}
	}
	w.t.Fatalf("the shard does not come to its end: %+v", w.m.State())
}

func drawConfig(t *rapid.T, tumbling bool) shard.Config {
	c := shard.Config{
		BatchSize: rapid.IntRange(1, 8).Draw(t, "batch"),
		Window:    time.Duration(rapid.IntRange(0, 3).Draw(t, "window")) * time.Second,
		Parallel:  rapid.IntRange(1, 4).Draw(t, "parallel"),
		Bisect:    rapid.Bool().Draw(t, "bisect"),
		Retries:   rapid.IntRange(-1, 3).Draw(t, "retries"),
		Age:       time.Duration(rapid.IntRange(0, 1).Draw(t, "age")) * time.Minute,
		Items:     rapid.Bool().Draw(t, "items"),
		MaxBytes:  rapid.IntRange(40, 200).Draw(t, "bytes"),
	}
	if tumbling {
		c.Parallel, c.Retries, c.Age = 1, -1, 0
		c.Tumbling = time.Duration(rapid.IntRange(1, 5).Draw(t, "tumbling")) * time.Second
	}
	return c
}

func (w *world) actions(change func(*rapid.T)) map[string]func(*rapid.T) {
	return map[string]func(*rapid.T){
		"put": func(t *rapid.T) {
			for range rapid.IntRange(1, 12).Draw(t, "n") {
				w.put(uint32(rapid.IntRange(0, 6).Draw(t, "key")), rapid.IntRange(1, 50).Draw(t, "size"), rapid.IntRange(0, 4).Draw(t, "drop") == 0)
			}
		},
		"read": func(t *rapid.T) { w.read(rapid.IntRange(0, 10).Draw(t, "n")) },
		"step": func(*rapid.T) { w.step() },
		"pass": func(t *rapid.T) {
			w.now = w.now.Add(time.Duration(rapid.IntRange(1, 2000).Draw(t, "ms")) * time.Millisecond)
		},
		"long": func(*rapid.T) { w.now = w.now.Add(70 * time.Second) },
		"answer": func(t *rapid.T) {
			ids := make([]uint64, 0, len(w.open))
			for id := range w.open {
				ids = append(ids, id)
			}
			if len(ids) == 0 {
				return
			}
			least := ids[0]
			for _, id := range ids {
				least = min(least, id)
			}
			pick := least
			if rapid.Bool().Draw(t, "newest") {
				for _, id := range ids {
					pick = max(pick, id)
				}
			}
			w.answer(w.open[pick], rapid.IntRange(0, 9).Draw(t, "how"))
		},
		"save":   func(*rapid.T) { w.saved = w.m.State() },
		"crash":  func(*rapid.T) { w.restart() },
		"change": func(t *rapid.T) { change(t) },
	}
}

// TestNothingIsLost lets a machine run under random results, crashes, changes
// and at last a reshard, and holds against it: each record that a filter wants
// is dealt with, a key's records in their order, and the checkpoint never
// passes one that is not.
func TestNothingIsLost(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		w := newWorld(t, drawConfig(t, false))
		t.Repeat(w.actions(func(t *rapid.T) {
			cfg := drawConfig(t, false)
			cfg.MaxBytes = w.cfg.MaxBytes
			cfg.BatchSize = max(cfg.BatchSize, w.cfg.BatchSize) // a batch under way keeps its size
			w.cfg = cfg
			w.m.Configure(cfg)
		}))
		w.drain()
		for _, r := range w.log {
			if !r.Drop && !w.dealt[r.Pos] {
				t.Fatalf("record %d was lost", r.Pos)
			}
		}
	})
}

// TestWindowsCountOnce is the same for tumbling windows: the last call of each
// window is told of each of its records once, whatever was tried twice and
// whatever crashed, since state and checkpoint are kept together.
func TestWindowsCountOnce(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		cfg := drawConfig(t, true)
		cfg.MaxBytes += 50 // no record is given up, and none is too large for its state
		w := newWorld(t, cfg)
		t.Repeat(w.actions(func(*rapid.T) {}))
		w.drain()
		want := map[int64]int{}
		for _, r := range w.log {
			if !r.Drop {
				want[r.Time-r.Time%cfg.Tumbling.Milliseconds()]++
			}
		}
		if fmt.Sprint(w.finals) != fmt.Sprint(want) {
			t.Fatalf("windows held %v, their last calls were told %v", want, w.finals)
		}
	})
}
