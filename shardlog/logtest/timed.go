package logtest

import (
	"context"
	"testing/synctest"
	"time"

	"github.com/thalweg/thalweg/flow"
	"github.com/thalweg/thalweg/shardlog"
)

// timed returns the tests that run where hours pass at once.
func timed() map[string]func(*rig) {
	return map[string]func(*rig){"wait": wait, "seek": seek, "behind": behind, "retention": retention, "retain": retain}
}

// "Wait blocks until s holds a record at or after from, or is sealed at or
// before from, or is dropped (ErrNoShard), or ctx ends."
func wait(r *rig) {
	r.create(1, 2)
	start := func(ctx context.Context, s shardlog.Shard, from flow.Pos) (done func(want error, what string)) {
		answer := make(chan error, 1)
		log := r.log
		go func() { answer <- log.Wait(ctx, s, from) }()
		synctest.Wait()
		select {
		case err := <-answer:
			r.Fatalf("wait returned at once: %v", err)
		default:
		}
		return func(want error, what string) {
			r.Helper()
			synctest.Wait()
			select {
			case err := <-answer:
				r.is(err, want, what)
			default:
				r.Fatalf("%s does not wake a waiter", what)
			}
		}
	}
	first, second := start(r.ctx, 1, 0), start(r.ctx, 1, 0)
	r.put(2, records(1, 1, 1))
	recs := r.put(1, records(1, 2, 10))
	first(nil, "an append")
	second(nil, "an append")
	r.ok(r.log.Wait(r.ctx, 1, recs[1].pos))

	ctx, cancel := context.WithCancel(r.ctx)
	ended := start(ctx, 1, recs[1].pos+1)
	cancel()
	ended(context.Canceled, "the end of the context")

	sealed := start(r.ctx, 1, recs[1].pos+1)
	ends, err := r.log.Seal(r.ctx, []shardlog.Shard{1})
	r.ok(err)
	sealed(nil, "a seal")
	r.ok(r.log.Wait(r.ctx, 1, ends[0]))

	dropped := start(r.ctx, 2, r.log.Next())
	r.ok(r.log.Drop(r.ctx, []shardlog.Shard{2}))
	dropped(shardlog.ErrNoShard, "a drop")
	r.reopen()
	r.ok(r.log.Wait(r.ctx, 1, 0))
	r.ok(r.log.Wait(r.ctx, 1, ends[0]))
}

// "The first record of s taken in at or after t (inclusive, by milliseconds),
// or Bounds.Next when there is none yet."
func seek(r *rig) {
	r.create(1)
	b, err := r.log.Bounds(1)
	r.ok(err)
	pos, err := r.log.Seek(r.ctx, 1, time.Now())
	r.ok(err)
	if pos != b.Next {
		r.Fatalf("seek in an empty shard: %d, next is %d", pos, b.Next)
	}
	var all []rec
	for i := range 5 {
		all = append(all, r.put(1, records(i, 2, 10))...)
		time.Sleep(10 * time.Millisecond)
	}
	r.twice(func() {
		b, err := r.log.Bounds(1)
		r.ok(err)
		for ms := all[0].ms - 5; ms < all[9].ms+60_000; ms += 1 + max(0, ms-all[9].ms)*100 {
			want := b.Next
			for _, x := range all {
				if x.ms >= ms {
					want = x.pos
					break
				}
			}
			pos, err := r.log.Seek(r.ctx, 1, time.UnixMilli(ms))
			r.ok(err)
			if pos != want {
				r.Fatalf("seek %d ms after the first record: %d, want %d", ms-all[0].ms, pos, want)
			}
		}
	})
}

// "From the last record of the page (of from, when empty) to the tip; 0 when
// nothing is left to read."
func behind(r *rig) {
	r.create(1)
	first := r.put(1, records(1, 2, 10))
	time.Sleep(time.Hour)
	r.put(1, records(2, 1, 10))
	r.twice(func() {
		_, p, err := readPage(r.ctx, r.log, 1, first[0].pos, shardlog.Limit{Records: 2})
		r.ok(err)
		if p.Behind != time.Hour {
			r.Fatalf("an hour behind the tip, says %v", p.Behind)
		}
		_, p, err = readPage(r.ctx, r.log, 1, first[0].pos, shardlog.Limit{})
		r.ok(err)
		if p.Behind != 0 {
			r.Fatalf("with nothing left to read %v behind", p.Behind)
		}
	})
}

// Records older than the shard's retention are skipped, to the millisecond.
func retention(r *rig) {
	r.ok(r.log.Create(r.ctx, []shardlog.Spec{{Shard: 1, Retention: time.Hour}, {Shard: 2, Retention: week}}))
	a, long := r.put(1, records(1, 2, 10)), r.put(2, records(1, 2, 10))
	time.Sleep(30 * time.Minute)
	b := r.put(1, records(2, 2, 10))
	r.holds(1, 0, append(a, b...))
	time.Sleep(30*time.Minute - time.Second)
	r.twice(func() { r.holds(1, 0, append(a, b...)) })
	time.Sleep(2 * time.Second)
	r.twice(func() {
		r.holds(1, 0, b)
		r.holds(1, a[1].pos, b)
		r.holds(2, 0, long)
		pos, err := r.log.Seek(r.ctx, 1, time.UnixMilli(a[0].ms))
		r.ok(err)
		if pos != b[0].pos {
			r.Fatalf("seek finds %d, the oldest record held is at %d", pos, b[0].pos)
		}
		bounds, err := r.log.Bounds(1)
		r.ok(err)
		if bounds.First > b[0].pos || bounds.Next <= b[1].pos || bounds.Last != b[0].ms {
			r.Fatalf("bounds are %+v, records from %d to %d", bounds, b[0].pos, b[1].pos)
		}
	})
	time.Sleep(time.Hour)
	r.twice(func() {
		r.holds(1, 0, nil)
		if bounds, err := r.log.Bounds(1); err != nil || bounds.Last != b[0].ms {
			r.Fatalf("newest record ever at %d: %+v, %v", b[0].ms, bounds, err)
		}
	})
	c := r.put(1, records(3, 1, 10))
	if c[0].pos <= b[1].pos {
		r.Fatalf("position %d after %d", c[0].pos, b[1].pos)
	}
	r.twice(func() { r.holds(1, 0, c) })
}

// "Lowering hides older records at once; raising brings nothing back."
func retain(r *rig) {
	r.create(1, 2)
	a := r.put(1, records(1, 2, 10))
	r.put(2, records(1, 2, 10))
	time.Sleep(2 * time.Hour)
	b := r.put(1, records(2, 2, 10))
	both := []shardlog.Shard{1, 2}
	r.twice(func() { r.holds(1, 0, append(a, b...)) })
	r.ok(r.log.Retain(r.ctx, both, time.Hour))
	r.twice(func() { r.holds(1, 0, b); r.holds(2, 0, nil) })
	r.ok(r.log.Retain(r.ctx, both, week))
	r.twice(func() { r.holds(1, 0, b); r.holds(2, 0, nil) })
	time.Sleep(100 * time.Hour) // the higher retention holds
	r.twice(func() { r.holds(1, 0, b) })
	r.ok(r.log.Retain(r.ctx, both, 99*time.Hour))
	r.holds(1, 0, nil)
	r.put(1, records(3, 1, 10))
	time.Sleep(100 * time.Hour) // hidden by time alone
	r.holds(1, 0, nil)
	r.ok(r.log.Retain(r.ctx, both, 2*week))
	r.twice(func() { r.holds(1, 0, nil) })
	if err := r.log.Retain(r.ctx, []shardlog.Shard{9}, week); err == nil {
		r.Fatalf("set the retention of no shard")
	}
}
