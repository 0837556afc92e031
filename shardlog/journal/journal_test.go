package journal

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/thalweg/thalweg/flow"
	"github.com/thalweg/thalweg/internal/vfs"
	"github.com/thalweg/thalweg/shardlog"
)

func open(t testing.TB, cfg Config) *Journal {
	t.Helper()
	if cfg.Dir == "" {
		cfg.Dir = "log"
	}
	cfg.MinFree = -1
	j, err := Open(context.Background(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	return j
}

func create(t testing.TB, j *Journal, n int) {
	t.Helper()
	var specs []shardlog.Spec
	for i := range n {
		specs = append(specs, shardlog.Spec{Shard: shardlog.Shard(i + 1), Retention: 24 * time.Hour})
	}
	if err := j.Create(context.Background(), specs); err != nil {
		t.Fatal(err)
	}
}

// put appends one entry with the given records' data.
func put(j *Journal, s shardlog.Shard, data ...string) shardlog.Entry {
	n := 0
	for _, d := range data {
		n += shardlog.RecordSize(1, len(d))
	}
	es := []shardlog.Entry{{Shard: s, Count: len(data), Size: n}}
	if err := j.Reserve(context.Background(), es); err != nil {
		es[0].Err = err
		return es[0]
	}
	rest := es[0].Payload
	for _, d := range data {
		var place []byte
		place, rest = shardlog.Encode(rest, "k", len(d))
		copy(place, d)
	}
	j.Append(context.Background(), es)
	return es[0]
}

// drain reads a shard from its first position to its tip.
func drain(t testing.TB, j *Journal, s shardlog.Shard, lim shardlog.Limit) (got []string) {
	t.Helper()
	var p shardlog.Page
	from, last := flow.Pos(0), flow.Pos(0)
	for {
		if err := j.Read(context.Background(), s, from, lim, &p); err != nil {
			t.Fatalf("read shard %d from %d: %v", s, from, err)
		}
		if p.Records == 0 {
			p.Release()
			return got
		}
		for r := range p.All {
			if r.Pos <= last {
				t.Fatalf("shard %d: position %d after %d", s, r.Pos, last)
			}
			last = r.Pos
			got = append(got, string(r.Data))
		}
		from = p.Next
		p.Release()
	}
}

// settle waits until everything frozen is in segments.
func settle(j *Journal) {
	for j.sealer.behind() > 0 {
		runtime.Gosched()
	}
}

func TestRoundTrip(t *testing.T) {
	fs := vfs.NewMem(1 << 40)
	cfg := Config{FS: fs, SegmentBytes: 64 << 10}
	j := open(t, cfg)
	create(t, j, 5)
	want := map[shardlog.Shard][]string{}
	for round := range 3 {
		for i := range 200 {
			s := shardlog.Shard(i%5 + 1)
			a, b := fmt.Sprintf("%d-%d-a", round, i), fmt.Sprintf("%d-%d-%s", round, i, bytes.Repeat([]byte("x"), i*10))
			if e := put(j, s, a, b); e.Err != nil {
				t.Fatal(e.Err)
			}
			want[s] = append(want[s], a, b)
		}
		for s, w := range want {
			for _, lim := range []shardlog.Limit{{}, {Records: 3}, {Bytes: 1000}} {
				if got := drain(t, j, s, lim); fmt.Sprint(got) != fmt.Sprint(w) {
					t.Fatalf("round %d shard %d %+v: %d records, want %d", round, s, lim, len(got), len(w))
				}
			}
		}
		if err := j.Close(); err != nil {
			t.Fatal(err)
		}
		j = open(t, cfg)
	}
	settle(j)
	for s, w := range want {
		if got := drain(t, j, s, shardlog.Limit{Records: 7}); fmt.Sprint(got) != fmt.Sprint(w) {
			t.Fatalf("shard %d: %d records, want %d", s, len(got), len(w))
		}
	}
	if err := j.Close(); err != nil {
		t.Fatal(err)
	}
	rep, err := Check(context.Background(), fs, "log", nil)
	if err != nil || len(rep.Problems) > 0 {
		t.Fatalf("check: %v, %v", err, rep)
	}
}

// Nothing lands after a seal, and what was sealed stays so.
func TestSeal(t *testing.T) {
	fs := vfs.NewMem(1 << 40)
	j := open(t, Config{FS: fs})
	create(t, j, 2)
	e := put(j, 1, "a")
	ends, err := j.Seal(context.Background(), []shardlog.Shard{1, 2})
	if err != nil || ends[0] <= e.Pos || ends[0] != ends[1] {
		t.Fatal(ends, err)
	}
	if e := put(j, 1, "b"); !errors.Is(e.Err, shardlog.ErrSealed) {
		t.Fatal(e.Err)
	}
	j.Close()
	j = open(t, Config{FS: fs})
	defer j.Close()
	if e := put(j, 1, "b"); !errors.Is(e.Err, shardlog.ErrSealed) {
		t.Fatal(e.Err)
	}
	again, err := j.Seal(context.Background(), []shardlog.Shard{1})
	if err != nil || again[0] != ends[0] {
		t.Fatal(again, err)
	}
	var p shardlog.Page
	if err := j.Read(context.Background(), 1, 0, shardlog.Limit{}, &p); err != nil || !p.End || p.Records != 1 {
		t.Fatal(p, err)
	}
	p.Release()
}

// Many writers, and what was acknowledged is there in order after a crash.
func TestConcurrent(t *testing.T) {
	fs := vfs.NewMem(1 << 40)
	cfg := Config{FS: fs, SegmentBytes: 256 << 10}
	j := open(t, cfg)
	create(t, j, 8)
	var wg sync.WaitGroup
	for w := range 16 {
		wg.Go(func() {
			for i := range 200 {
				if e := put(j, shardlog.Shard(w%8+1), fmt.Sprintf("%d/%03d/%s", w, i, bytes.Repeat([]byte("y"), 500))); e.Err != nil {
					t.Error(e.Err)
					return
				}
			}
		})
	}
	wg.Wait()
	for s := range shardlog.Shard(8) {
		if got := drain(t, j, s+1, shardlog.Limit{Records: 11}); len(got) != 400 {
			t.Fatalf("shard %d: %d records", s+1, len(got))
		}
	}
	j.Close()
	j = open(t, cfg)
	defer j.Close()
	for s := range shardlog.Shard(8) {
		if got := drain(t, j, s+1, shardlog.Limit{}); len(got) != 400 {
			t.Fatalf("reopened, shard %d: %d records", s+1, len(got))
		}
	}
}

// A file that could not be begun may be on disk all the same. With records and
// a command in one batch the committer asks for a new file on behalf of each:
// the second must not get one with the same number, or the log could not be
// opened again.
func TestFailedBeginIsFinal(t *testing.T) {
	mem := vfs.NewCrashable(0)
	var armed atomic.Bool
	held, resume := make(chan struct{}), make(chan struct{})
	fs := vfs.NewFaulty(mem, vfs.Hooks{Before: func() func(op vfs.Op) error {
		syncs := 0
		return func(op vfs.Op) error {
			if op.Kind != vfs.OpSyncData || !armed.Load() {
				return nil
			}
			switch syncs++; syncs {
			case 1: // holds the committer until the batch to come is complete
				close(held)
				<-resume
			case 2: // the new file's header
				return syscall.EIO
			}
			return nil
		}
	}()})
	j := open(t, Config{FS: fs, SegmentBytes: testFile})
	create(t, j, 1)
	if e := put(j, 1, strings.Repeat("a", 40<<10)); e.Err != nil {
		t.Fatal(e.Err)
	}
	armed.Store(true)
	var calls sync.WaitGroup
	calls.Go(func() {
		if e := put(j, 1, "the last that fits"); e.Err != nil {
			t.Error(e.Err)
		}
	})
	<-held
	for _, call := range []func() error{
		func() error { return put(j, 1, strings.Repeat("b", 20<<10)).Err },
		func() error {
			_, err := j.Propose(context.Background(), make([]byte, 20<<10))
			return err
		},
	} {
		calls.Go(func() {
			if err := call(); !errors.Is(err, shardlog.ErrFailed) {
				t.Errorf("after a failed sync: %v", err)
			}
		})
	}
	queued := func() int {
		j.queue.mu.Lock()
		defer j.queue.mu.Unlock()
		if len(j.queue.batches) == 0 {
			return 0
		}
		return len(j.queue.batches[0].items)
	}
	for queued() < 2 {
		runtime.Gosched()
	}
	close(resume)
	calls.Wait()
	j.Close()
	for _, s := range []vfs.Survival{vfs.SurviveNone, vfs.SurviveAll} {
		j := open(t, Config{FS: mem.CrashClone(vfs.Crash{Survive: s}), SegmentBytes: testFile})
		if got := drain(t, j, 1, shardlog.Limit{}); len(got) != 2 || got[1] != "the last that fits" {
			t.Errorf("survival %d: %d records", s, len(got))
		}
		j.Close()
	}
}

// Readers of a live epoch look at its list of chunks while the committer adds
// to it: the race detector judges.
func TestReadWhileChunksAreAdded(t *testing.T) {
	j := open(t, Config{FS: vfs.NewMem(1 << 40), SegmentBytes: 256 << 20})
	create(t, j, 2)
	first := put(j, 1, "k", "v")
	if first.Err != nil {
		t.Fatal(first.Err)
	}
	written := make(chan struct{})
	go func() {
		defer close(written)
		large := string(make([]byte, chunkSize/2))
		for range 12 {
			if e := put(j, 2, "k", large); e.Err != nil {
				t.Error(e.Err)
			}
		}
	}()
	for done := false; !done; {
		select {
		case <-written:
			done = true
		default:
		}
		var p shardlog.Page
		if err := j.Read(context.Background(), 1, first.Pos, shardlog.Limit{}, &p); err != nil || p.Records != 2 {
			t.Fatalf("%d records: %v", p.Records, err)
		}
		p.Release()
	}
}
