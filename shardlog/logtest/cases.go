package logtest

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/thalweg/thalweg/flow"
	"github.com/thalweg/thalweg/shardlog"
)

const week = 7 * 24 * time.Hour

// cases returns the tests that need no clock; each names what it proves in the
// contract's words.
func cases() map[string]func(*rig) {
	return map[string]func(*rig){
		"append": appendAndRead, "own fate": ownFate, "release": release, "limits": limits, "bounds": bounds, "create": create,
		"seal": seal, "seal under load": sealUnderLoad, "drop": drop, "propose": propose, "closed": closed,
	}
}

// "An entry is stored whole, under consecutive positions." "Entries of one call
// are stored in their order." Reading may start within an entry.
func appendAndRead(r *rig) {
	r.create(1, 2)
	var a, b []rec
	for i, size := range []int{1, 0, 100, 5000, 300_000} {
		one, two := records(i, 3, size), records(100+i, 1, size)
		entries, err := write(r.ctx, r.log, []shardlog.Shard{1, 2, 1}, [][]rec{one, two, one[:1]})
		r.ok(err)
		var last flow.Pos
		for _, e := range entries {
			r.ok(e.Err)
			if e.Pos <= last {
				r.Fatalf("entry at %d after one at %d", e.Pos, last)
			}
			last = e.Pos + flow.Pos(e.Count) - 1
		}
		if next := r.log.Next(); next <= last {
			r.Fatalf("next is %d after a record at %d", next, last)
		}
		again := slices.Clone(one[:1])
		stamp(entries[0], one)
		stamp(entries[1], two)
		stamp(entries[2], again)
		a, b = append(append(a, one...), again...), append(b, two...)
	}
	r.twice(func() {
		for i := range a {
			r.holds(1, a[i].pos, a[i:])
		}
		r.holds(1, 0, a)
		r.holds(2, 0, b)
		r.holds(2, b[1].pos+1, b[2:])
		for i := 1; i < len(a); i++ {
			if a[i].ms < a[i-1].ms {
				r.Fatalf("time goes back from %d to %d", a[i-1].ms, a[i].ms)
			}
		}
	})
}

// "Each has its own fate."
func ownFate(r *rig) {
	r.create(1, 2)
	_, err := r.log.Seal(r.ctx, []shardlog.Shard{2})
	r.ok(err)
	recs := records(1, 2, 10)
	entries, err := write(r.ctx, r.log, []shardlog.Shard{1, 2, 9, 1}, [][]rec{recs, recs, recs, recs})
	r.ok(err)
	r.ok(entries[0].Err)
	r.is(entries[1].Err, shardlog.ErrSealed, "append to a sealed shard")
	r.is(entries[2].Err, shardlog.ErrNoShard, "append to no shard")
	r.ok(entries[3].Err)
	again := slices.Clone(recs)
	stamp(entries[0], recs)
	stamp(entries[3], again)
	r.twice(func() { r.holds(1, 0, append(slices.Clone(recs), again...)); r.holds(2, 0, nil) })
}

// Released entries leave nothing, and their memory is there for others: far
// more is reserved than any engine would hold.
func release(r *rig) {
	r.create(1)
	ctx, cancel := context.WithTimeout(r.ctx, time.Minute)
	defer cancel()
	for range 200 {
		entries := []shardlog.Entry{{Shard: 1, Count: 1, Size: 4 << 20}, {Shard: 1, Count: 1, Size: 100}}
		r.ok(r.log.Reserve(ctx, entries))
		r.log.Release(entries)
	}
	r.holds(1, 0, nil)
	r.holds(1, 0, r.put(1, records(1, 2, 10)))
}

// "At least one record is returned when there is one, however large."
func limits(r *rig) {
	r.create(1)
	var all []rec
	for i := range 10 {
		all = append(all, r.put(1, records(i, 1+i%4, 50*i))...)
	}
	r.twice(func() {
		for _, lim := range []shardlog.Limit{{}, {Records: 1}, {Records: 3}, {Bytes: 1}, {Bytes: 300}, {Records: 2, Bytes: 1000}, {Records: 1000, Bytes: 1 << 20}} {
			got, _, err := readAll(r.ctx, r.log, 1, 0, lim)
			r.ok(err)
			r.same(got, all)
			for i := range all {
				got, _, _ := r.page(1, all[i].pos, lim)
				if len(got) == 0 || got[0].pos != all[i].pos {
					r.Fatalf("limit %+v: reading from a record does not begin with it", lim)
				}
				r.same(got, all[i:i+len(got)])
				if lim.Bytes == 0 && len(got) != len(all)-i && len(got) != lim.Records {
					r.Fatalf("limit %+v: %d records of %d", lim, len(got), len(all)-i)
				}
			}
		}
		last := all[len(all)-1]
		if got, next, end := r.page(1, last.pos+1, shardlog.Limit{}); len(got) > 0 || end || next < last.pos+1 {
			r.Fatalf("at the tip: %d records, next %d, end %v", len(got), next, end)
		}
	})
	var p shardlog.Page
	r.is(r.log.Read(r.ctx, 9, 0, shardlog.Limit{}, &p), shardlog.ErrNoShard, "read of no shard")
	_, err := r.log.Seek(r.ctx, 9, time.Now())
	r.is(err, shardlog.ErrNoShard, "seek in no shard")
	r.is(r.log.Wait(r.ctx, 9, 0), shardlog.ErrNoShard, "wait for no shard")
}

func bounds(r *rig) {
	r.create(1, 2)
	b, err := r.log.Bounds(1)
	r.ok(err)
	if b.Last != 0 || b.End != 0 {
		r.Fatalf("an empty shard's bounds are %+v", b)
	}
	recs := append(r.put(1, records(1, 3, 10)), r.put(1, records(2, 2, 10))...)
	r.put(2, records(3, 2, 10))
	r.twice(func() {
		b, err := r.log.Bounds(1)
		r.ok(err)
		if last := recs[4]; b.First > recs[0].pos || b.Next <= last.pos || b.Last != last.ms || b.End != 0 {
			r.Fatalf("bounds are %+v, records from %d to %d", b, recs[0].pos, last.pos)
		}
		r.holds(1, b.First, recs)
		r.holds(1, b.Next, nil)
	})
	_, err = r.log.Bounds(9)
	r.is(err, shardlog.ErrNoShard, "bounds of no shard")
	b, err = r.log.Bounds(1)
	r.ok(err)
	r.holds(1, b.Next, r.put(1, records(4, 1, 10)))
}

// "Create adds shards, all or none."
func create(r *rig) {
	r.create(1, 2)
	r.is(r.log.Create(r.ctx, []shardlog.Spec{{Shard: 3, Retention: week}, {Shard: 2, Retention: week}}), shardlog.ErrExists, "create of a shard that exists")
	r.twice(func() {
		_, err := r.log.Bounds(3)
		r.is(err, shardlog.ErrNoShard, "half of a create")
		r.is(r.log.Create(r.ctx, []shardlog.Spec{{Shard: 1, Retention: week}}), shardlog.ErrExists, "create again")
		_, err = r.log.Bounds(2)
		r.ok(err)
	})
	r.create(3)
	r.put(3, records(1, 1, 1))
}

// "A shard that is sealed already keeps its end; the answer holds the end of
// each."
func seal(r *rig) {
	r.create(1, 2, 3)
	one := r.put(1, records(1, 4, 10))
	ends, err := r.log.Seal(r.ctx, []shardlog.Shard{1})
	r.ok(err)
	two := r.put(2, records(2, 1, 10))
	again, err := r.log.Seal(r.ctx, []shardlog.Shard{1, 2, 3})
	r.ok(err)
	if len(ends) != 1 || len(again) != 3 || again[0] != ends[0] || again[1] != again[2] || ends[0] <= one[3].pos || again[1] <= two[0].pos {
		r.Fatalf("ends are %v, then %v; last records at %d and %d", ends, again, one[3].pos, two[0].pos)
	}
	if _, err = r.log.Seal(r.ctx, []shardlog.Shard{9}); err == nil {
		r.Fatalf("sealed a shard that does not exist")
	}
	r.twice(func() {
		for i, want := range [][]rec{one, two, nil} {
			s := shardlog.Shard(i + 1)
			b, err := r.log.Bounds(s)
			r.ok(err)
			if b.End != again[i] {
				r.Fatalf("shard %d ends at %d, sealed at %d", s, b.End, again[i])
			}
			r.holds(s, 0, want)
			_, next, end := r.page(s, 0, shardlog.Limit{})
			if !end {
				r.Fatalf("the last page of shard %d is not its end", s)
			}
			if got, _, end := r.page(s, next, shardlog.Limit{}); len(got) > 0 || !end {
				r.Fatalf("after the end of shard %d: %d records, end %v", s, len(got), end)
			}
			r.ok(r.log.Wait(r.ctx, s, b.End))
			entries, err := write(r.ctx, r.log, []shardlog.Shard{s}, [][]rec{records(1, 1, 1)})
			r.ok(err)
			r.is(entries[0].Err, shardlog.ErrSealed, "append after the end")
		}
		if _, _, end := r.page(1, 0, shardlog.Limit{Records: 3}); end {
			r.Fatalf("a page is the end with a record to come")
		}
		if _, _, end := r.page(1, 0, shardlog.Limit{Records: 4}); !end {
			r.Fatalf("the page with the last record is not the end")
		}
	})
}

// "Every record of theirs is before it and nothing lands after it."
func sealUnderLoad(r *rig) {
	shards := []shardlog.Shard{1, 2, 3, 4}
	r.create(shards...)
	var mu sync.Mutex
	acked := map[shardlog.Shard][]rec{}
	var wg, warm sync.WaitGroup
	warm.Add(16)
	for w := range 16 {
		wg.Go(func() {
			for i := 0; ; i++ {
				s := shards[w%len(shards)]
				recs := records(w*1_000_000+i, 1+i%3, 20)
				entries, err := write(r.ctx, r.log, []shardlog.Shard{s}, [][]rec{recs})
				if i == 3 || i < 3 && (err != nil || entries[0].Err != nil) {
					warm.Done()
				}
				if err != nil {
					r.Errorf("reserve: %v", err)
					return
				}
				if entries[0].Err != nil {
					if i < 4 || !errors.Is(entries[0].Err, shardlog.ErrSealed) {
						r.Errorf("append %d around a seal: %v", i, entries[0].Err)
					}
					return
				}
				stamp(entries[0], recs)
				mu.Lock()
				acked[s] = append(acked[s], recs...)
				mu.Unlock()
			}
		})
	}
	warm.Wait()
	ends, err := r.log.Seal(r.ctx, shards)
	r.ok(err)
	wg.Wait()
	r.twice(func() {
		for i, s := range shards {
			want := acked[s]
			slices.SortFunc(want, func(a, b rec) int { return cmp.Compare(a.pos, b.pos) })
			r.holds(s, 0, want)
			if last := want[len(want)-1]; ends[i] != ends[0] || last.pos >= ends[i] {
				r.Fatalf("shard %d ends at %d of %v, has a record at %d", s, ends[i], ends, last.pos)
			}
		}
	})
}

// "Dropping what does not exist is no error."
func drop(r *rig) {
	r.create(1, 2)
	r.put(1, records(1, 3, 100))
	kept := r.put(2, records(2, 3, 100))
	r.ok(r.log.Drop(r.ctx, []shardlog.Shard{1, 7}))
	r.twice(func() {
		r.ok(r.log.Drop(r.ctx, []shardlog.Shard{1}))
		_, err := r.log.Bounds(1)
		r.is(err, shardlog.ErrNoShard, "bounds of a dropped shard")
		var p shardlog.Page
		r.is(r.log.Read(r.ctx, 1, 0, shardlog.Limit{}, &p), shardlog.ErrNoShard, "read of a dropped shard")
		entries, err := write(r.ctx, r.log, []shardlog.Shard{1}, [][]rec{records(1, 1, 1)})
		r.ok(err)
		r.is(entries[0].Err, shardlog.ErrNoShard, "append to a dropped shard")
		r.holds(2, 0, kept)
	})
}

// "Returns what its Apply answered." "One at a time in log order."
func propose(r *rig) {
	r.create(1)
	var mu sync.Mutex
	verdicts := map[string]Verdict{}
	var wg sync.WaitGroup
	for w := range 8 {
		wg.Go(func() {
			last := -1
			for i := range 10 {
				cmd := fmt.Sprintf("%d-%d", w, i)
				answer, err := r.log.Propose(r.ctx, []byte(cmd))
				v, _ := answer.(Verdict)
				if err != nil || v.Pos == 0 || v.Number <= last {
					r.Errorf("proposal %s: %v, %v after number %d", cmd, answer, err, last)
					return
				}
				last = v.Number
				mu.Lock()
				verdicts[cmd] = v
				mu.Unlock()
			}
		})
	}
	wg.Wait()
	before := r.log.Next()
	if recs := r.put(1, records(1, 1, 1)); recs[0].pos < before {
		r.Fatalf("a record at %d where the next position was %d", recs[0].pos, before)
	}
	r.twice(func() {
		lines := r.ledger.lines()
		if len(lines) != len(verdicts) {
			r.Fatalf("%d commands applied of %d", len(lines), len(verdicts))
		}
		for i, line := range lines {
			if v := verdicts[line.Cmd]; v.Number != i || v.Pos != line.Pos || i > 0 && line.Pos <= lines[i-1].Pos {
				r.Fatalf("command %d is %+v; its proposer was told %+v", i, line, v)
			}
		}
	})
}

func closed(r *rig) {
	r.create(1)
	recs := r.put(1, records(1, 1, 1))
	log := r.log
	r.close()
	entries, err := write(r.ctx, log, []shardlog.Shard{1}, [][]rec{records(2, 1, 1)})
	if err == nil {
		err = entries[0].Err
	}
	r.is(err, shardlog.ErrClosed, "append to a closed log")
	_, err = log.Propose(r.ctx, []byte("x"))
	r.is(err, shardlog.ErrClosed, "propose to a closed log")
	r.is(log.Create(r.ctx, []shardlog.Spec{{Shard: 5, Retention: week}}), shardlog.ErrClosed, "create in a closed log")
	r.start()
	r.holds(1, 0, recs)
}
