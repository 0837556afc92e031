package stream

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"testing"
	"testing/synctest"

	"github.com/thalweg/thalweg/fault"
	"github.com/thalweg/thalweg/flow"
)

// Parents come before children, and a source reopened under its name resumes
// after the last batch that was Done.
func TestTail(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFixture(t, true)
		r := f.create("s", 2)
		n := 0
		put := func() { // one record to each open shard
			for _, s := range f.describe(r).Shards {
				if s.Last == nil {
					data := fmt.Sprint(s.Index, "-", n)
					recs := []PutRecord{{Key: "k", Hash: s.Start, Explicit: true, Size: len(data)}}
					f.must(f.Put(t.Context(), r, recs, func(_ int, dst []byte) error { copy(dst, data); return nil }))
				}
			}
			n++
		}
		put()
		f.must(f.Split(t.Context(), r, "0", Hash{1 << 60, 0})) // 2, 3
		put()
		f.must(f.Merge(t.Context(), r, "3", "1")) // 4
		put()

		tail, err := f.Tail(t.Context(), r, "reader", Start{Type: TrimHorizon})
		f.must(err)
		var got []string
		next := func(tail *Tail) flow.Batch {
			b, err := tail.Next(t.Context())
			f.must(err)
			for _, rec := range b.Records {
				got = append(got, b.Shard[len(b.Shard)-1:]+":"+string(rec.Data))
			}
			return b
		}
		for len(got) < 7 {
			b := next(tail)
			if len(got) <= 4 {
				f.must(tail.Done(t.Context(), b))
			}
		}
		for _, order := range [][]string{{"0:0-0", "2:2-1", "2:2-2"}, {"0:0-0", "3:3-1", "4:4-2"}, {"1:1-0", "1:1-1", "4:4-2"}} {
			at := -1
			for _, one := range order {
				i := slices.Index(got, one)
				if i <= at {
					t.Errorf("%v does not keep the order of %v", got, order)
				}
				at = i
			}
		}

		// At the tip Next blocks until a record comes, and sees a reshard.
		more := make(chan error)
		go func() {
			b, err := tail.Next(t.Context())
			if err == nil && (len(b.Records) != 1 || b.Shard == ShardID(2)) {
				err = fmt.Errorf("%+v", b)
			}
			more <- err
		}()
		synctest.Wait()
		select {
		case err := <-more:
			t.Fatal("Next did not block", err)
		default:
		}
		f.must(f.Split(t.Context(), r, "4", Hash{1 << 62, 0}))
		synctest.Wait()
		f.put(r, "k", "later")
		f.must(<-more)
		f.must(tail.Close())

		var before []string
		before, got = got, nil
		f.restart(true)
		tail, err = f.Tail(t.Context(), r, "reader", Start{Type: Latest})
		f.must(err)
		for !slices.Contains(got, before[len(before)-1]) {
			next(tail)
		}
		for _, done := range before[:3] {
			if slices.Contains(got, done) {
				t.Errorf("%s was Done, and came again: %v", done, got)
			}
		}

		// A new name at LATEST sees only what comes, also if it is reopened
		// before it was told anything.
		_, err = f.Tail(t.Context(), r, "fresh", Start{Type: Latest})
		f.must(err)
		f.put(r, "k", "news")
		f.restart(true)
		fresh, err := f.Tail(t.Context(), r, "fresh", Start{Type: Latest})
		f.must(err)
		if b := next(fresh); len(b.Records) != 1 || string(b.Records[0].Data) != "news" {
			t.Errorf("fresh: %+v", b)
		}

		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		if _, err := fresh.Next(ctx); !errors.Is(err, context.Canceled) {
			t.Error(err)
		}
		f.must(f.Delete(t.Context(), r, false))
		if _, err := fresh.Next(t.Context()); !fault.Is(err, fault.NotFound) {
			t.Error(err)
		}
		for d := range f.catalog.View().Range(kindCheckpoint, "") {
			t.Errorf("%s is left", d.Key)
		}
	})
}
