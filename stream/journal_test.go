package stream

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"testing"

	"github.com/thalweg/thalweg/catalog"
	"github.com/thalweg/thalweg/internal/vfs"
	"github.com/thalweg/thalweg/shardlog/journal"
)

// openJournal opens streams over the real log.
func openJournal(t testing.TB, fs vfs.FS) (*Streams, *journal.Journal) {
	t.Helper()
	c := catalog.New()
	j, err := journal.Open(context.Background(), journal.Config{FS: fs, Dir: "log", Machine: c, SegmentBytes: 8 << 20})
	if err != nil {
		t.Fatal(err)
	}
	c.Attach(j)
	s, err := New(Config{Log: j, Catalog: c})
	if err != nil {
		t.Fatal(err)
	}
	return s, j
}

// What the tests over memLog prove holds over the journal too, and a restart
// changes nothing.
func TestOverJournal(t *testing.T) {
	fs := vfs.NewMem(1 << 30)
	s, j := openJournal(t, fs)
	f := &fixture{TB: t, Streams: s}
	r := f.create("s", 2)
	var wg sync.WaitGroup
	const writers, each = 4, 50
	for w := range writers {
		wg.Go(func() {
			for i := range each {
				data := fmt.Sprintf("%d %d", w, i)
				recs := []PutRecord{{Key: fmt.Sprint(w), Size: len(data)}}
				err := f.Put(context.Background(), r, recs, func(_ int, dst []byte) error { copy(dst, data); return nil })
				if err != nil || recs[0].Err != nil {
					t.Error(err, recs[0].Err)
				}
			}
		})
	}
	f.must(f.Split(t.Context(), r, "0", Hash{1 << 60, 0}))
	f.must(f.Merge(t.Context(), r, "3", "1"))
	f.must(f.Lengthen(t.Context(), r, 48))
	wg.Wait()
	gone := f.create("gone", 3)
	f.must(f.Delete(t.Context(), gone, false))

	check := func() *Info {
		t.Helper()
		info := f.describe(r)
		checkShards(t, info.Shards)
		var got [writers]int
		for _, sh := range info.Shards {
			data, p := f.drain(r, sh.Index)
			if (p.Next == "") != (sh.Last != nil) || (len(p.Children) > 0) != (sh.Last != nil) {
				t.Errorf("%s: next %q, children %v", sh.ID, p.Next, p.Children)
			}
			for _, d := range data {
				var w, i int
				fmt.Sscan(d, &w, &i)
				if i != got[w] {
					t.Fatalf("%s: writer %d wrote %d next, read %d", sh.ID, w, got[w], i)
				}
				got[w]++
			}
		}
		for w, n := range got {
			if n != each {
				t.Errorf("%d records of writer %d", n, w)
			}
		}
		return info
	}
	before := check()
	f.must(j.Close())
	f.Streams, j = openJournal(t, fs)
	after := check()
	if !slices.EqualFunc(before.Shards, after.Shards, func(a, b ShardInfo) bool {
		return a.First == b.First && (a.Last == nil) == (b.Last == nil) && (a.Last == nil || *a.Last == *b.Last) && a.Start == b.Start
	}) {
		t.Errorf("a restart made %+v of %+v", after.Shards, before.Shards)
	}
	f.must(j.Close())
}

// A stream of as many shards as an account may have fits into one command.
func TestLargestStream(t *testing.T) {
	s, j := openJournal(t, vfs.NewMem(1<<30))
	f := &fixture{TB: t, Streams: s}
	r := f.create("s", maxShards-1)
	checkCover(t, f.describe(r).Shards)
	f.must(f.Split(t.Context(), r, "19998", MaxHash.prev()))
	f.must(f.Delete(t.Context(), r, false))
	f.must(j.Close())
}

func BenchmarkPutOneOverJournal(b *testing.B) {
	s, j := openJournal(b, vfs.NewMem(4<<30))
	defer j.Close()
	f := &fixture{TB: b, Streams: s}
	r := f.create("s", 1)
	data := make([]byte, 1024)
	b.SetBytes(1024)
	b.SetParallelism(32)
	b.ReportAllocs()
	b.RunParallel(func(pb *testing.PB) {
		recs := make([]PutRecord, 1)
		fill := func(_ int, dst []byte) error { copy(dst, data); return nil }
		for pb.Next() {
			recs[0] = PutRecord{Key: "partition-key", Size: len(data)}
			if err := f.Put(context.Background(), r, recs, fill); err != nil || recs[0].Err != nil {
				b.Fatal(err, recs[0].Err)
			}
		}
	})
}
