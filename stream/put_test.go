package stream

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/thalweg/thalweg/fault"
	"github.com/thalweg/thalweg/shardlog"
)

func TestPutAndRead(t *testing.T) {
	f := newFixture(t, false)
	r := f.create("orders", 3)
	info := f.describe(r)
	want := make([][]string, 3)
	const n = 200
	recs := make([]PutRecord, n)
	for i := range recs {
		recs[i] = PutRecord{Key: fmt.Sprint("key", i), Size: len(fmt.Sprint(i))}
		if i%10 == 0 {
			recs[i].Explicit, recs[i].Hash = true, info.Shards[i/10%3].End
		}
		if i%20 == 0 {
			recs[i].Hash = info.Shards[i/20%3].Start
		}
	}
	next := 0
	f.must(f.Put(t.Context(), r, recs, func(i int, dst []byte) error {
		if i != next {
			t.Errorf("filled record %d, want %d", i, next)
		}
		next++
		copy(dst, fmt.Sprint(i))
		return nil
	}))
	var last [3]Sequence
	for i, rec := range recs {
		sh := info.Shards[rec.Shard]
		h := HashKey(rec.Key)
		if rec.Explicit {
			h = rec.Hash
		}
		if rec.Err != nil || h.Compare(sh.Start) < 0 || h.Compare(sh.End) > 0 {
			t.Fatalf("record %d with hash %v went to %+v: %v", i, h, sh, rec.Err)
		}
		// Within a shard, request order is kept.
		if rec.Seq.Compare(last[rec.Shard]) <= 0 || rec.Seq.Compare(sh.First) <= 0 {
			t.Fatalf("number %v of record %d is not above %v and %v", rec.Seq, i, last[rec.Shard], sh.First)
		}
		last[rec.Shard] = rec.Seq
		want[rec.Shard] = append(want[rec.Shard], fmt.Sprint(i))
	}
	for i := range want {
		got, p := f.drain(r, uint32(i))
		if !slices.Equal(got, want[i]) || p.Next == "" || p.Behind != 0 {
			t.Errorf("shard %d: %v, want %v; next %q, behind %v", i, got, want[i], p.Next, p.Behind)
		}
		// What a reader computes is what the writer was told.
		token := f.iterate(r, uint32(i), Start{Type: TrimHorizon})
		_, p = f.read(token, 1)
		run := p.Runs[0]
		first := slices.IndexFunc(recs, func(r PutRecord) bool { return r.Shard == uint32(i) })
		if seq := p.Shard.Sequence(run.Pos, run.Time); seq != recs[first].Seq {
			t.Errorf("read as %v, put as %v", seq, recs[first].Seq)
		}
		if p.Behind <= 0 {
			t.Errorf("behind %v with records left", p.Behind)
		}
	}
}

func TestPutRefusals(t *testing.T) {
	f := newFixture(t, false)
	r := f.create("s", 1)
	never := func(int, []byte) error { t.Error("filled"); return nil }
	// kinesalite test/putRecord.js.
	err := f.Put(t.Context(), ref("nope"), make([]PutRecord, 1), never)
	if !fault.Is(err, fault.NotFound) || err.Error() != "Stream nope under account 000000000000 not found." {
		t.Errorf("unknown stream: %v", err)
	}
	// All that is wrong with the records is told at once, in the words of
	// awslabs/amazon-kinesis-producer#680.
	err = f.Put(t.Context(), r, []PutRecord{{Key: "k", Size: 1 << 20}, {Key: "k"}, {Size: 1 << 21}}, never)
	if !fault.Is(err, fault.Constraint) || err.Error() != "3 validation errors detected: "+
		"Value at 'records.1.member.data' failed to satisfy constraint: Member must have length less than or equal to 1048576; "+
		"Value null at 'records.3.member.partitionKey' failed to satisfy constraint: Member must not be null; "+
		"Value at 'records.3.member.data' failed to satisfy constraint: Member must have length less than or equal to 1048576" {
		t.Errorf("large records and none with a key: %v", err)
	}
	stop := errors.New("stop")
	if err = f.Put(t.Context(), r, []PutRecord{{Key: "k", Size: 1<<20 - 1}}, func(int, []byte) error { return stop }); err != stop {
		t.Errorf("an error of fill became %v", err)
	}
	if got, _ := f.drain(r, 0); got != nil {
		t.Errorf("%d records are there", len(got))
	}
}

// AWS allows per shard 1 MiB/s and 1,000 records/s written, 2 MiB/s
// and 5 calls/s read; a read of 10 MiB makes those that follow fail for up to
// 5 seconds.
func TestLimits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFixture(t, true)
		r := f.create("s", 2)
		batch := func(n, size int) (in int) {
			recs := make([]PutRecord, n)
			for i := range recs {
				recs[i] = PutRecord{Key: "k", Explicit: true, Size: size - 1}
			}
			f.must(f.Put(t.Context(), r, recs, func(int, []byte) error { return nil }))
			for _, rec := range recs {
				if rec.Err == nil {
					in++
				} else if !fault.Is(rec.Err, fault.Throttled) ||
					rec.Err.Error() != "Rate exceeded for shard shardId-000000000000 in stream s under account 000000000000." {
					t.Fatal(rec.Err)
				}
			}
			return in
		}
		expect := func(what string, got, want int) {
			t.Helper()
			if got != want {
				t.Errorf("%s: %d let in, want %d", what, got, want)
			}
		}
		expect("records in a burst", batch(1500, 10), 1000)
		time.Sleep(100 * time.Millisecond)
		expect("records after 100 ms", batch(500, 10), 0) // room comes by the second
		time.Sleep(2 * time.Second)
		expect("bytes in a burst", batch(20, 1<<17), 8)
		time.Sleep(time.Second)
		expect("bytes after another second", batch(20, 1<<17), 8)
		if other := f.put(r, "a", "x"); other.Shard != 0 && other.Err != nil {
			t.Error("one shard's limit hit another")
		}

		calls := func() (ok int) {
			for range 10 {
				var p ReadPage
				token := f.tokens.seal(r.docName(), 0, f.mem.Next(), time.Now().UnixMilli())
				if err := f.Read(t.Context(), owner, token, 0, &p); err == nil {
					ok++
				} else if !fault.Is(err, fault.Throttled) {
					t.Fatal(err)
				}
				p.Release()
			}
			return ok
		}
		expect("read calls", calls(), 5)
		time.Sleep(time.Second)
		for range 20 {
			batch(8, 1<<17)
			time.Sleep(time.Second)
		}
		var p ReadPage
		f.must(f.Read(t.Context(), owner, f.iterate(r, 0, Start{Type: TrimHorizon}), 0, &p))
		if p.Bytes < 9<<20 {
			t.Fatalf("read %d bytes", p.Bytes)
		}
		time.Sleep(3900 * time.Millisecond)
		expect("read calls while 10 MiB are not paid for", calls(), 0)
		time.Sleep(1100 * time.Millisecond)
		expect("read calls after 5 s", calls(), 5)
	})
}

func TestBucket(t *testing.T) {
	second := time.Second.Nanoseconds()
	var b bucket
	b.refill(second, 10)
	b.tokens -= 35 // a debt of 2.5 s
	for _, step := range []struct {
		at   int64
		want bool
	}{{second, false}, {3 * second, false}, {2 * second, false}, {4*second - 1e6, false}, {4 * second, true}} {
		b.refill(step.at, 10)
		if got := b.has(5, 10); got != step.want {
			t.Errorf("at %d: %v with %v tokens", step.at, got, b.tokens)
		}
	}
	b.refill(100*second, 10)
	if b.tokens != 10 || !b.has(1e6, 10) {
		t.Errorf("%v tokens, want one second's worth, enough for anything", b.tokens)
	}
}

func TestOrdering(t *testing.T) {
	r := ref("s")
	now := time.Unix(1_700_000_000, 0)
	seconds := func(s int64) string {
		return "200000000000000000000000000000" + fmt.Sprintf("%08x", s) + "000000002"
	}
	for hex, want := range map[string]bool{
		"20000000000000000000000000000000000000000000000": false,
		"20000000000000000000000000000000000000000000001": true,
		"20000000000000000000000000000000000000000000002": true,
		"2ffffffffff7fffffffffffffff000000000007fffffff2": true,
		"1ffffffffff7fffffffffffffff000000000007fffffff2": false,
		seconds(now.Unix()):                true,
		seconds(now.Unix() + 2):            false,
		"13bb2cc3d80000000000000000000000": false,
	} {
		err := CheckOrdering(r, hexToDecimal(hex), now)
		if (err == nil) != want {
			t.Errorf("%s: %v", hex, err)
		}
		if err != nil && err.Error() != "ExclusiveMinimumSequenceNumber "+canonical(hexToDecimal(hex))+
			" used in PutRecord on stream s under account 000000000000 is invalid." {
			t.Error(err)
		}
	}
}

// A put never fails because of a reshard, no record is lost or stored twice,
// and each shard keeps the order of its writer.
func TestPutsDuringReshards(t *testing.T) {
	f := newFixture(t, false)
	r := f.create("s", 1)
	stop := make(chan struct{})
	var wg sync.WaitGroup
	const writers = 8
	var wrote [writers]int
	for w := range writers {
		wg.Go(func() {
			for {
				select {
				case <-stop:
					return
				default:
				}
				recs := make([]PutRecord, 5)
				for i := range recs {
					recs[i] = PutRecord{Key: fmt.Sprint("w", w), Size: 12}
				}
				err := f.Put(context.Background(), r, recs, func(i int, dst []byte) error {
					copy(dst, fmt.Sprintf("%03d %08d", w, wrote[w]+i))
					return nil
				})
				for _, rec := range recs {
					err = errors.Join(err, rec.Err)
				}
				if err != nil {
					t.Error(err)
					return
				}
				wrote[w] += len(recs)
			}
		})
	}
	wg.Go(func() {
		// Readers see consistent snapshots all the while.
		for {
			select {
			case <-stop:
				return
			default:
			}
			info, err := f.Describe(r)
			if err != nil {
				t.Error(err)
				return
			}
			checkShards(t, info.Shards)
		}
	})
	for range 10 {
		var open []ShardInfo
		for _, s := range f.describe(r).Shards {
			if s.Last == nil {
				open = append(open, s)
			}
		}
		if len(open) == 1 {
			f.must(f.Split(t.Context(), r, open[0].ID, Hash{1 << 63, 0}))
		} else {
			f.must(f.Merge(t.Context(), r, open[0].ID, open[1].ID))
		}
	}
	close(stop)
	wg.Wait()
	var got [writers]int
	for _, s := range f.describe(r).Shards { // by index: parents first
		data, _ := f.drain(r, s.Index)
		for _, d := range data {
			var w, i int
			fmt.Sscanf(strings.TrimRight(d, "\x00"), "%d %d", &w, &i)
			if i != got[w] {
				t.Fatalf("%s: writer %d wrote %d next, read %d", s.ID, w, got[w], i)
			}
			got[w]++
		}
	}
	if got != wrote {
		t.Errorf("read %v, wrote %v", got, wrote)
	}
}

func TestHotPathsDoNotAllocate(t *testing.T) {
	f := newFixture(t, true)
	r := f.create("s", 4)
	f.mem.discard = true
	recs := make([]PutRecord, 100)
	keys := make([]string, len(recs))
	for i := range keys {
		keys[i] = fmt.Sprint("some partition key of more than 32 bytes", i)
	}
	fill := func(i int, dst []byte) error { return nil }
	if n := testing.AllocsPerRun(100, func() {
		for i := range recs {
			recs[i] = PutRecord{Key: keys[i], Size: 10}
		}
		if err := f.Put(context.Background(), r, recs, fill); err != nil {
			t.Fatal(err)
		}
	}); n >= 10 { // a collection, or the race detector, may empty the pools
		t.Errorf("Put of %d records allocates %v times", len(recs), n)
	}
	if n := testing.AllocsPerRun(100, func() {
		token := f.tokens.seal("000000000000/us-east-1/s", 1, 7, 8)
		sc := f.tokens.pool.Get().(*tokenScratch)
		it, err := f.tokens.open(token, sc)
		if err != nil || f.named(it.stream) == nil {
			t.Fatal("not opened")
		}
		f.tokens.pool.Put(sc)
	}); n > 2 {
		t.Errorf("sealing and opening an iterator allocates %v times", n)
	}
}

// Each record has its own fate; what the log refuses for want of room or while
// it closes is told as such, and the rest is internal.
func TestPutFates(t *testing.T) {
	f := newFixture(t, false)
	r := f.create("s", 1)
	for _, c := range []struct {
		err  error
		kind fault.Kind
	}{
		{fmt.Errorf("append: %w", shardlog.ErrFull), fault.Unavailable},
		{fmt.Errorf("append: %w", shardlog.ErrClosed), fault.Unavailable},
		{fmt.Errorf("append: %w", shardlog.ErrFailed), fault.Internal},
	} {
		f.mem.refuse = c.err
		if rec := f.put(r, "k", "x"); fault.Of(rec.Err) != c.kind {
			t.Errorf("%v became %v", c.err, rec.Err)
		}
	}
	f.mem.refuse = nil

	// A stream that is being deleted takes records until its shards are
	// dropped; then it is not found, and its shards are gone for readers.
	token := f.iterate(r, 0, Start{Type: TrimHorizon})
	down := "drop"
	f.mem.fail = func(op string) error {
		if op == down {
			return errUnplugged
		}
		return nil
	}
	if err := f.Delete(t.Context(), r, false); !errors.Is(err, errUnplugged) {
		t.Fatal(err)
	}
	if rec := f.put(r, "k", "x"); rec.Err != nil || f.describe(r).Status != Deleting {
		t.Errorf("put to a stream that is DELETING: %v", rec.Err)
	}
	down = "after drop"
	if err := f.complete(t.Context(), (*f.entries.Load())[r]); !errors.Is(err, errUnplugged) {
		t.Fatal(err)
	}
	if err := f.Read(t.Context(), owner, token, 0, new(ReadPage)); !fault.Is(err, fault.NotFound) {
		t.Errorf("read of a dropped shard: %v", err)
	}
	f.mem.fail = nil
	if err := f.Put(t.Context(), r, []PutRecord{{Key: "k"}}, func(int, []byte) error { return nil }); !fault.Is(err, fault.NotFound) {
		t.Errorf("put to dropped shards: %v", err)
	}
	if _, err := f.Describe(r); !fault.Is(err, fault.NotFound) {
		t.Errorf("the put has not completed the deletion: %v", err)
	}
}

func BenchmarkRead100(b *testing.B) {
	f := newFixture(b, false)
	r := f.create("s", 1)
	for range 100 {
		f.put(r, "k", strings.Repeat("x", 1024))
	}
	token := f.iterate(r, 0, Start{Type: TrimHorizon})
	var p ReadPage
	buf := make([]byte, 0, 64)
	b.ReportAllocs()
	for b.Loop() {
		if err := f.Read(b.Context(), owner, token, 0, &p); err != nil || p.Records != 100 {
			b.Fatal(err, p.Records)
		}
		for _, run := range p.Runs {
			buf = p.Shard.Sequence(run.Pos, run.Time).AppendText(buf[:0])
		}
		p.Release()
	}
}

func benchmarkPut(b *testing.B, records int) {
	f := newFixture(b, false)
	r := f.create("s", 4)
	f.mem.discard = true
	b.SetBytes(int64(records) << 10)
	b.ReportAllocs()
	b.RunParallel(func(pb *testing.PB) {
		recs := make([]PutRecord, records)
		data := make([]byte, 1024)
		fill := func(_ int, dst []byte) error { copy(dst, data); return nil }
		for pb.Next() {
			for i := range recs {
				recs[i] = PutRecord{Key: "partition-key", Size: len(data)}
			}
			if err := f.Put(context.Background(), r, recs, fill); err != nil {
				b.Fatal(err)
			}
		}
	})
}

func BenchmarkPutOne(b *testing.B) { benchmarkPut(b, 1) }
func BenchmarkPut500(b *testing.B) { benchmarkPut(b, 500) }

func BenchmarkIterator(b *testing.B) {
	f := newFixture(b, false)
	r := f.create("s", 4)
	now := time.Now().UnixMilli()
	b.ReportAllocs()
	for b.Loop() {
		token := f.tokens.seal(r.docName(), 1, 7, now)
		sc := f.tokens.pool.Get().(*tokenScratch)
		if _, err := f.tokens.open(token, sc); err != nil {
			b.Fatal(err)
		}
		f.tokens.pool.Put(sc)
	}
}

func BenchmarkRoute(b *testing.B) {
	f := newFixture(b, false)
	r := f.create("s", 1000)
	_, v, _ := f.open(r)
	h := HashKey("x")
	b.ReportAllocs()
	for b.Loop() {
		h.Hi = h.Hi*6364136223846793005 + 1442695040888963407
		v.route(h)
	}
}
