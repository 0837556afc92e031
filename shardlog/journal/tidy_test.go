package journal

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/thalweg/thalweg/flow"
	"github.com/thalweg/thalweg/internal/vfs"
	"github.com/thalweg/thalweg/shardlog"
	"github.com/thalweg/thalweg/shardlog/journal/segment"
)

// Merging keeps all that is visible, in order, also for a shard that changed
// its retention class between segments, and leaves only what is listed.
func TestMerge(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		fs := vfs.NewMem(0)
		cfg := Config{FS: fs, SegmentBytes: 32 << 10, SealAfter: time.Minute}
		j := open(t, cfg)
		create(t, j, 4)
		want := map[shardlog.Shard][]string{}
		for round := range 30 {
			for i := range 20 {
				s := shardlog.Shard(i%4 + 1)
				text := fmt.Sprintf("%d-%d-%s", round, i, strings.Repeat("z", 300))
				if e := put(j, s, text); e.Err != nil {
					t.Fatal(e.Err)
				}
				want[s] = append(want[s], text)
			}
			keep := 24 * time.Hour
			if round%7 > 2 {
				keep = 300 * time.Hour
			}
			if err := j.Retain(context.Background(), []shardlog.Shard{2}, keep); err != nil {
				t.Fatal(err)
			}
			time.Sleep(10 * time.Second)
			synctest.Wait()
		}
		time.Sleep(10 * time.Minute)
		synctest.Wait()
		if n := len(j.store.all()); n > 2*mergeRun+4 {
			t.Errorf("%d segments are left", n)
		}
		for s, w := range want {
			if got := drain(t, j, s, shardlog.Limit{Records: 7}); fmt.Sprint(got) != fmt.Sprint(w) {
				t.Errorf("shard %d: %d records, want %d", s, len(got), len(w))
			}
		}
		if err := j.Close(); err != nil {
			t.Fatal(err)
		}
		rep, err := Check(context.Background(), fs, "log", nil)
		if err != nil || len(rep.Problems) > 0 || len(rep.Notes) > 0 {
			t.Fatal(err, rep)
		}
	})
}

// Runs to merge are found whatever the mixture of sizes, but large segments
// are not rewritten for a few small neighbours.
func TestRunOf(t *testing.T) {
	sizes := func(list string) (metas []segment.Meta) {
		for _, c := range list {
			metas = append(metas, segment.Meta{Bytes: tierBytes << (3 * (c - '0')) / 2})
		}
		return metas
	}
	for _, c := range []struct {
		list string
		top  int
		want int
	}{
		{"0000000", 0, 0}, {"00000000", 0, 8}, {"10000000", 1, 0}, {"11110000", 1, 8}, {"01010101", 1, 8},
		{"0101010", 1, 0}, {"000020000000000", 0, 10}, {"44444444", 4, 0}, {"33333333", 3, 8},
	} {
		if got := len(runOf(sizes(c.list), c.top)); got != c.want {
			t.Errorf("%s up to tier %d: a run of %d, want %d", c.list, c.top, got, c.want)
		}
	}
}

// Retention unlinks whole segments, and the bytes are gone from the disk.
func TestExpire(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		fs := vfs.NewMem(0)
		j := open(t, Config{FS: fs, SegmentBytes: 32 << 10, SealAfter: time.Minute})
		create(t, j, 2)
		for range 50 {
			put(j, 1, strings.Repeat("a", 1000))
		}
		settle(j)
		put(j, 1, "in the segment of the last")
		time.Sleep(30 * time.Second)
		put(j, 1, "the last")
		time.Sleep(5 * time.Minute)
		synctest.Wait()
		if len(j.store.all()) == 0 {
			t.Fatal("nothing was sealed")
		}
		// A segment stays as long as one of its records does.
		time.Sleep(24*time.Hour - 5*time.Minute - 10*time.Second)
		synctest.Wait()
		if got := drain(t, j, 1, shardlog.Limit{}); len(got) != 1 || got[0] != "the last" || len(j.store.all()) != 1 {
			t.Fatal(got, len(j.store.all()))
		}
		time.Sleep(time.Hour)
		synctest.Wait()
		names, err := fs.List("log/segments")
		if err != nil || len(names) != 0 {
			t.Fatal(names, err)
		}
		if got := drain(t, j, 1, shardlog.Limit{}); len(got) != 0 {
			t.Fatal(len(got))
		}
		b, err := j.Bounds(1)
		if err != nil || b.First != b.Next || b.Last == 0 {
			t.Fatal(b, err)
		}
		j.Close()
	})
}

// While segments cannot be written, appends go on as long as there are slots,
// then answer ErrFull; reads go on; and all is well when the disk is.
func TestSealingFails(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		mem := vfs.NewMem(0)
		var full atomic.Bool
		full.Store(true)
		fs := vfs.NewFaulty(mem, vfs.Hooks{Before: func(op vfs.Op) error {
			if full.Load() && op.Kind == vfs.OpWrite && strings.Contains(op.Name, "/segments/") {
				return syscall.ENOSPC
			}
			return nil
		}})
		j := open(t, Config{FS: fs, SegmentBytes: 32 << 10})
		create(t, j, 1)
		n, refused := 0, false
		for !refused {
			e := put(j, 1, strings.Repeat("a", 1000))
			switch {
			case e.Err == nil:
				n++
			case errors.Is(e.Err, shardlog.ErrFull):
				refused = true
			default:
				t.Fatal(e.Err)
			}
			if n > 1000 {
				t.Fatal("never refused")
			}
		}
		if got := drain(t, j, 1, shardlog.Limit{}); len(got) != n {
			t.Fatalf("%d records, want %d", len(got), n)
		}
		// The reserve is for control changes.
		if err := j.Create(context.Background(), []shardlog.Spec{{Shard: 2, Retention: time.Hour}}); err != nil {
			t.Fatal(err)
		}
		full.Store(false)
		time.Sleep(2 * time.Minute)
		synctest.Wait()
		if e := put(j, 1, "b"); e.Err != nil {
			t.Fatal(e.Err)
		}
		if got := drain(t, j, 1, shardlog.Limit{}); len(got) != n+1 {
			t.Fatalf("%d records, want %d", len(got), n+1)
		}
		j.Close()
	})
}

// Below MinFree appends are refused with the reason, control and reads are not.
func TestDiskLow(t *testing.T) {
	fs := vfs.NewMem(1 << 20)
	j, err := Open(context.Background(), Config{FS: fs, Dir: "log", SegmentBytes: 16 << 10, MinFree: 0.99})
	if err != nil {
		t.Fatal(err)
	}
	defer j.Close()
	create(t, j, 1)
	if e := put(j, 1, "a"); !errors.Is(e.Err, shardlog.ErrFull) || !strings.Contains(e.Err.Error(), "kept free") {
		t.Fatal(e.Err)
	}
	if _, err := j.Seal(context.Background(), []shardlog.Shard{1}); err != nil {
		t.Fatal(err)
	}
}

// An entry larger than a journal file, and calls larger than all memory, pass.
func TestHuge(t *testing.T) {
	fs := vfs.NewMem(0)
	cfg := Config{FS: fs, SegmentBytes: 16 << 10}
	j := open(t, cfg)
	create(t, j, 1)
	big := strings.Repeat("0123456789abcdef", 5<<20/16)
	for range 8 {
		if e := put(j, 1, big); e.Err != nil {
			t.Fatal(e.Err)
		}
	}
	j.Close()
	j = open(t, cfg)
	defer j.Close()
	got := drain(t, j, 1, shardlog.Limit{Bytes: 1})
	if len(got) != 8 {
		t.Fatal(len(got))
	}
	for _, g := range got {
		if g != big {
			t.Fatal("changed")
		}
	}
}

// A second Open of the folder is refused with its name.
func TestLocked(t *testing.T) {
	fs := vfs.NewMem(0)
	j := open(t, Config{FS: fs})
	defer j.Close()
	_, err := Open(context.Background(), Config{FS: fs, Dir: "log"})
	if !errors.Is(err, vfs.ErrLocked) || !strings.Contains(err.Error(), "open log log") {
		t.Fatal(err)
	}
}

// Appending costs no allocation per record, and reading the tail none at all.
func TestAllocations(t *testing.T) {
	j := open(t, Config{FS: vfs.NewMem(0), SegmentBytes: 32 << 20})
	defer j.Close()
	create(t, j, 1)
	ctx := context.Background()
	es := make([]shardlog.Entry, 1)
	const records = 100
	var from flow.Pos
	n := testing.AllocsPerRun(100, func() {
		es[0] = shardlog.Entry{Shard: 1, Count: records, Size: records * shardlog.RecordSize(1, 10)}
		if err := j.Reserve(ctx, es); err != nil {
			t.Fatal(err)
		}
		rest := es[0].Payload
		for range records {
			_, rest = shardlog.Encode(rest, "k", 10)
		}
		j.Append(ctx, es)
		from = es[0].Pos
	})
	if n > records/10 {
		t.Errorf("%v allocations per append of %d records", n, records)
	}
	var p shardlog.Page
	n = testing.AllocsPerRun(100, func() {
		if err := j.Read(ctx, 1, from, shardlog.Limit{}, &p); err != nil || p.Records != records {
			t.Fatal(err, p.Records)
		}
		p.Release()
	})
	if n >= 1 {
		t.Errorf("%v allocations per read", n)
	}
}
