package stream

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"pgregory.net/rapid"

	"github.com/thalweg/thalweg/fault"
)

type failing interface{ Errorf(string, ...any) }

// checkShards checks what clients rely on in any list of all shards:
// the open ones cover the hash space exactly once; a
// shard is closed exactly when it has children, and is there together with
// them; children's numbers are above their parents'.
func checkShards(t failing, shards []ShardInfo) {
	byID := make(map[string]ShardInfo)
	children := make(map[string]int)
	var open []ShardInfo
	for _, s := range shards {
		byID[s.ID] = s
		if s.Last == nil {
			open = append(open, s)
		}
		for _, id := range []string{s.Parent, s.AdjacentParent} {
			if id == "" {
				continue
			}
			children[id]++
			p, ok := byID[id]
			if !ok {
				continue // expired
			}
			if p.Last == nil || s.First.Compare(*p.Last) <= 0 || s.First.Created <= p.First.Created {
				t.Errorf("%s starts at %v, its parent %s is %v to %v", s.ID, s.First, p.ID, p.First, p.Last)
			}
			if !s.Opened.Equal(p.Closed) {
				t.Errorf("%s opened at %v, its parent closed at %v", s.ID, s.Opened, p.Closed)
			}
		}
	}
	for _, s := range shards {
		if (s.Last != nil) != (children[s.ID] > 0) {
			t.Errorf("%s: closed %v, with %d children", s.ID, s.Last != nil, children[s.ID])
		}
	}
	checkCover(t, open)
}

func checkCover(t failing, shards []ShardInfo) {
	sorted := slices.SortedFunc(slices.Values(shards), func(a, b ShardInfo) int { return a.Start.Compare(b.Start) })
	next := Hash{}
	for i, s := range sorted {
		if s.Start != next || (s.End == MaxHash) != (i == len(sorted)-1) {
			t.Errorf("%s holds %v to %v, want it to start at %v", s.ID, s.Start, s.End, next)
		}
		next = s.End.next()
	}
	if next != (Hash{}) {
		t.Errorf("the shards end before %v", next)
	}
}

// Any run of splits and merges, with crashes in between at any step, keeps
// what clients rely on, and loses no record. What was listed at some moment can
// be listed again.
func TestReshardModel(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		f := newFixture(t, false)
		r := f.create("s", rapid.IntRange(1, 4).Draw(rt, "shards"))
		want := make(map[string]bool)
		list := func(as Moment) (shown string, at Moment) {
			shards, at, err := f.Shards(r, Filter{AsOf: as})
			f.must(err)
			for _, s := range shards {
				shown += fmt.Sprint(s.ID, s.Start, s.End, s.Parent, s.First, s.Last, s.Closed, "\n")
			}
			return shown, at
		}
		listed := make(map[Moment]string)
		for step := range rapid.IntRange(1, 12).Draw(rt, "steps") {
			shown, at := list(Moment{})
			listed[at] = shown
			info := f.describe(r)
			var open []ShardInfo
			for _, s := range info.Shards {
				if s.Last == nil {
					open = append(open, s)
				}
			}
			slices.SortFunc(open, func(a, b ShardInfo) int { return a.Start.Compare(b.Start) })
			i := rapid.IntRange(0, len(open)-1).Draw(rt, "shard")
			if crash := rapid.IntRange(0, 30).Draw(rt, "crash after"); crash < 8 {
				f.mem.fail = func(string) error {
					if crash--; crash < 0 {
						return errUnplugged
					}
					return nil
				}
			}
			var err error
			if i+1 < len(open) && rapid.Bool().Draw(rt, "merge") {
				err = f.Merge(t.Context(), r, open[i].ID, open[i+1].ID)
			} else {
				at := Hash{rapid.Uint64Range(open[i].Start.Hi, open[i].End.Hi).Draw(rt, "hi"), rapid.Uint64().Draw(rt, "lo")}
				err = f.Split(t.Context(), r, open[i].ID, at)
				if at.Compare(open[i].Start.next()) <= 0 || at.Compare(open[i].End) >= 0 {
					if !fault.Is(err, fault.Invalid) {
						rt.Fatalf("split of %v to %v at %v: %v", open[i].Start, open[i].End, at, err)
					}
					err = nil
				}
			}
			f.mem.fail = nil
			if err != nil && !errors.Is(err, errUnplugged) {
				rt.Fatal(err)
			}
			checkShards(rt, f.describe(r).Shards)
			if err != nil && rapid.Bool().Draw(rt, "restart") {
				f.restart(false)
				checkShards(rt, f.describe(r).Shards)
			}
			if rapid.Bool().Draw(rt, "put first") {
				data := fmt.Sprint("a", step)
				f.put(r, data, data)
				want[data] = true
			}
			f.tend(t.Context())
			if info := f.describe(r); info.Status != Active {
				rt.Fatalf("stuck in %s", info.Status)
			}
			data := fmt.Sprint("b", step)
			f.put(r, data, data)
			want[data] = true
		}
		for at, want := range listed {
			if got, _ := list(at); got != want {
				rt.Errorf("as of %+v:\n%snot\n%s", at, got, want)
			}
		}
		info := f.describe(r)
		checkShards(rt, info.Shards)
		got := make(map[string]bool)
		for _, s := range info.Shards {
			data, p := f.drain(r, s.Index)
			for _, d := range data {
				got[d] = true
			}
			// Null next iterator exactly with children, each with its parents.
			if (p.Next == "") != (s.Last != nil) || (len(p.Children) > 0) != (s.Last != nil) {
				rt.Fatalf("%s: next %q, children %v", s.ID, p.Next, p.Children)
			}
			for _, c := range p.Children {
				if c.Parent != s.ID && c.AdjacentParent != s.ID {
					rt.Fatalf("%s has the child %+v", s.ID, c)
				}
			}
		}
		if !maps.Equal(got, want) {
			rt.Fatalf("read %v, want %v", got, want)
		}
	})
}

// After a failure, or the plug pulled, at any step of any change, New and Run
// bring the stream to the state that was asked for, or the change has not
// happened at all.
func TestTransitionsSurviveCrashes(t *testing.T) {
	for name, op := range map[string]struct {
		do      func(f *fixture, r Ref) error
		settled func(f *fixture, r Ref) (before, after bool)
	}{
		"create": {
			func(f *fixture, _ Ref) error {
				return f.Create(context.Background(), ref("other"), CreateSpec{Shards: 3})
			},
			func(f *fixture, _ Ref) (bool, bool) {
				info, err := f.Describe(ref("other"))
				return isGone(err), err == nil && info.Status == Active && info.OpenShards == 3
			},
		},
		"split": {
			func(f *fixture, r Ref) error { return f.Split(context.Background(), r, "0", Hash{1 << 60, 0}) },
			func(f *fixture, r Ref) (bool, bool) {
				info := f.describe(r)
				return len(info.Shards) == 2 && info.Status == Active, len(info.Shards) == 4 && info.OpenShards == 3 && info.Status == Active
			},
		},
		"merge": {
			func(f *fixture, r Ref) error { return f.Merge(context.Background(), r, "0", "1") },
			func(f *fixture, r Ref) (bool, bool) {
				info := f.describe(r)
				return len(info.Shards) == 2 && info.Status == Active, len(info.Shards) == 3 && info.OpenShards == 1 && info.Status == Active
			},
		},
		"lengthen": {
			func(f *fixture, r Ref) error { return f.Lengthen(context.Background(), r, 48) },
			func(f *fixture, r Ref) (bool, bool) {
				info := f.describe(r)
				return info.Retention == 24*time.Hour && info.Status == Active,
					info.Retention == 48*time.Hour && info.Status == Active && f.mem.shards[1].retention == 48*time.Hour
			},
		},
		"delete": {
			func(f *fixture, r Ref) error { return f.Delete(context.Background(), r, false) },
			func(f *fixture, r Ref) (bool, bool) {
				info, err := f.Describe(r)
				return err == nil && info.Status == Active && len(f.mem.shards) == 2, isGone(err) && len(f.mem.shards) == 0
			},
		},
	} {
		for _, restart := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s restart=%v", name, restart), func(t *testing.T) {
				for step := 0; ; step++ {
					f := newFixture(t, false)
					r := f.create("s", 2)
					f.put(r, "a", "first")
					left, failed := step, false
					f.mem.fail = func(string) error {
						if left--; left < 0 {
							failed = true
							return errUnplugged
						}
						return nil
					}
					err := op.do(f, r)
					f.mem.fail = nil
					if !failed {
						if err != nil || step < 4 {
							t.Fatalf("after %d steps: %v", step, err)
						}
						return // there are no more steps to fail at
					}
					if !errors.Is(err, errUnplugged) {
						t.Fatalf("failing at step %d: %v", step, err)
					}
					if restart {
						f.restart(false)
					}
					f.tend(t.Context())
					f.tend(t.Context())
					if before, after := op.settled(f, r); before == after {
						t.Errorf("failing at step %d leads to neither of the two states: %v", step, before)
					}
				}
			})
		}
	}
}

// A put that meets a sealed shard whose reshard was interrupted completes it.
func TestPutCompletesAReshard(t *testing.T) {
	f := newFixture(t, false)
	r := f.create("s", 1)
	f.mem.fail = func(op string) error {
		if op == "after seal" {
			return errUnplugged
		}
		return nil
	}
	token := f.iterate(r, 0, Start{Type: Latest})
	if err := f.Split(t.Context(), r, "0", Hash{1 << 63, 0}); !errors.Is(err, errUnplugged) {
		t.Fatal(err)
	}
	f.mem.fail = nil
	info := f.describe(r)
	if info.Status != Updating || len(info.Shards) != 1 || info.Shards[0].Last != nil {
		t.Fatalf("in between: %+v", info)
	}
	// Readers see an open shard: no children, hence a next iterator.
	if _, p := f.read(token, 0); p.Next == "" || p.Children != nil {
		t.Errorf("in between: next %q, children %v", p.Next, p.Children)
	}
	for name, err := range map[string]error{
		"split":    f.Split(t.Context(), r, "0", Hash{1, 0}),
		"delete":   f.Delete(t.Context(), r, false),
		"lengthen": f.Lengthen(t.Context(), r, 48),
	} {
		if !fault.Is(err, fault.InUse) || err.Error() != "Stream s under account 000000000000 not ACTIVE, instead in state UPDATING" {
			t.Errorf("%s while UPDATING: %v", name, err)
		}
	}
	if rec := f.put(r, "a", "x"); rec.Err != nil || rec.Shard == 0 {
		t.Errorf("put: %+v", rec)
	}
	if _, p := f.read(token, 0); p.Next != "" || len(p.Children) != 2 {
		t.Errorf("in the end: next %q, children %v", p.Next, p.Children)
	}
}

// kinesalite test/splitShard.js, test/mergeShards.js, and what moto checked.
func TestReshardRefusals(t *testing.T) {
	f := newFixture(t, false)
	r := f.create("s", 3)
	f.must(f.Create(t.Context(), ref("od"), CreateSpec{Mode: OnDemand}))
	if n := f.describe(ref("od")).OpenShards; n != 4 {
		t.Errorf("ON_DEMAND starts with %d shards", n)
	}
	split := func(r Ref, shard, at string) error {
		h, err := ParseHash(at)
		f.must(err)
		return f.Split(t.Context(), r, shard, h)
	}
	merge := func(a, b string) error { return f.Merge(t.Context(), r, a, b) }
	closed := f.create("closed", 1)
	f.must(split(closed, "0", "1000"))
	for _, c := range []struct {
		err  error
		kind fault.Kind
		text string
	}{
		{split(ref("x"), "2147483647", "0"), fault.NotFound, "Stream x under account 000000000000 not found."},
		{split(ref("x"), "ABKLFD8", "0"), fault.NotFound, "Could not find shard ABKLFD8 in stream x under account 000000000000."},
		{split(r, "shardId-5", "0"), fault.NotFound, "Could not find shard shardId-000000000005 in stream s under account 000000000000."},
		{split(r, "shard-0", "1"), fault.Invalid, "NewStartingHashKey 1 used in SplitShard() on shard shardId-000000000000 in stream s under account 000000000000 " +
			"is not both greater than one plus the shard's StartingHashKey 0 and less than the shard's EndingHashKey 113427455640312821154458202477256070484."},
		{split(r, "0", "113427455640312821154458202477256070484"), fault.Invalid, "NewStartingHashKey 113427455640312821154458202477256070484 used in SplitShard() " +
			"on shard shardId-000000000000 in stream s under account 000000000000 " +
			"is not both greater than one plus the shard's StartingHashKey 0 and less than the shard's EndingHashKey 113427455640312821154458202477256070484."},
		{split(closed, "0", "10"), fault.Invalid, "Shard shardId-000000000000 in stream closed under account 000000000000 has already been merged or split, " +
			"and thus is not eligible for merging or splitting."},
		{split(ref("od"), "0", "10"), fault.Constraint, "Request is invalid. Stream od under account 000000000000 is in On-Demand mode."},
		{merge("x-0", "x-2"), fault.Invalid, "Shards shardId-000000000000 and shardId-000000000002 in stream s under account 000000000000 " +
			"are not an adjacent pair of shards eligible for merging"},
		{merge("1", "0"), fault.Invalid, "Shards shardId-000000000001 and shardId-000000000000 in stream s under account 000000000000 " +
			"are not an adjacent pair of shards eligible for merging"},
		{merge("0", "2147483648"), fault.NotFound, "Could not find shard 2147483648 in stream s under account 000000000000."},
		{f.Create(t.Context(), r, CreateSpec{Shards: 1}), fault.InUse, "Stream s under account 000000000000 already exists."},
		{f.Create(t.Context(), ref("big"), CreateSpec{Shards: 19995}), fault.Limit, "This request would exceed the shard limit for the account 000000000000 in us-east-1. " +
			"Current shard count for the account: 9. Limit: 20000. Number of additional shards that would have resulted from this request: 19995. " +
			"Refer to the AWS Service Limits page (http://docs.aws.amazon.com/general/latest/gr/aws_service_limits.html) " +
			"for current limits and how to request higher limits."},
		{f.Lengthen(t.Context(), r, 23), fault.Invalid, "Minimum allowed retention period is 24 hours. Requested retention period (23 hours) is too short."},
		{f.Shorten(t.Context(), r, 25), fault.Invalid, "Requested retention period (25 hours) for stream s can not be longer " +
			"than existing retention period (24 hours). Use IncreaseRetentionPeriod API."},
		{f.Delete(t.Context(), ref("x"), true), fault.NotFound, "Stream x under account 000000000000 not found."},
	} {
		if !fault.Is(c.err, c.kind) || c.err.Error() != c.text {
			t.Errorf("got  %v\nwant %s", c.err, c.text)
		}
	}
	if err := f.Lengthen(t.Context(), r, 24); err != nil {
		t.Errorf("AWS accepts the same retention: %v", err)
	}
}

func TestListAndFilter(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFixture(t, false)
		for _, name := range []string{"b", "a", "c", "a-1"} {
			f.create(name, 1)
		}
		f.must(f.Create(t.Context(), Ref{Owner{"111111111111", "us-east-1"}, "b"}, CreateSpec{Shards: 2}))
		names := func(after string, limit int) (got []string, more bool) {
			infos, more := f.List(owner, after, limit)
			for _, i := range infos {
				got = append(got, i.Name)
			}
			return got, more
		}
		if got, more := names("", 10); !slices.Equal(got, []string{"a", "a-1", "b", "c"}) || more {
			t.Error(got, more)
		}
		if got, more := names("a", 2); !slices.Equal(got, []string{"a-1", "b"}) || !more {
			t.Error(got, more)
		}

		r := ref("b")
		start := time.Now()
		time.Sleep(time.Hour)
		f.must(f.Split(t.Context(), r, "0", Hash{1 << 63, 0}))
		time.Sleep(time.Hour)
		f.must(f.Merge(t.Context(), r, "1", "2"))
		time.Sleep(time.Hour)
		ids := func(flt Filter) (got []uint32) {
			shards, _, err := f.Shards(r, flt)
			f.must(err)
			for _, s := range shards {
				got = append(got, s.Index)
			}
			return got
		}
		for _, c := range []struct {
			flt  Filter
			want []uint32
		}{
			{Filter{}, []uint32{0, 1, 2, 3}},
			{Filter{Type: FromTrimHorizon}, []uint32{0, 1, 2, 3}},
			{Filter{Type: AtTrimHorizon}, []uint32{0}},
			{Filter{Type: AtLatest}, []uint32{3}},
			{Filter{Type: AfterShardID, ShardID: "shardId-1"}, []uint32{2, 3}},
			{Filter{Type: AtTimestamp, Time: start.Add(90 * time.Minute)}, []uint32{1, 2}},
			{Filter{Type: AtTimestamp, Time: start.Add(time.Hour)}, []uint32{0, 1, 2}}, // the millisecond of the split
			{Filter{Type: AtTimestamp, Time: start.Add(time.Hour + time.Millisecond)}, []uint32{1, 2}},
			{Filter{Type: FromTimestamp, Time: start.Add(time.Hour)}, []uint32{0, 1, 2, 3}},
			{Filter{Type: AtTimestamp, Time: start}, []uint32{0}},
			{Filter{Type: AtTimestamp, Time: start.Add(-time.Hour)}, []uint32{0}},
			{Filter{Type: FromTimestamp, Time: start.Add(90 * time.Minute)}, []uint32{1, 2, 3}},
			{Filter{Type: FromTimestamp, Time: start.Add(3 * time.Hour)}, []uint32{3}},
		} {
			if got := ids(c.flt); !slices.Equal(got, c.want) {
				t.Errorf("%+v: %v, want %v", c.flt, got, c.want)
			}
		}
		// A shard that is opened and closed within one millisecond is there at
		// that one ("start timestamp is less than or equal to the given
		// timestamp and end timestamp is greater than or equal", API_ShardFilter).
		_, before, err := f.Shards(r, Filter{})
		f.must(err)
		f.must(f.Split(t.Context(), r, "3", Hash{1 << 63, 0}))
		f.must(f.Split(t.Context(), r, "4", Hash{1 << 62, 0}))
		now := time.Now()
		for _, c := range []struct {
			flt  Filter
			want []uint32
		}{
			{Filter{Type: AtTimestamp, Time: now.Add(-time.Millisecond)}, []uint32{3}},
			{Filter{Type: AtTimestamp, Time: now}, []uint32{3, 4, 5, 6, 7}},
			{Filter{Type: FromTimestamp, Time: now}, []uint32{3, 4, 5, 6, 7}},
			{Filter{Type: AtTimestamp, Time: now.Add(time.Millisecond)}, []uint32{5, 6, 7}},
			{Filter{Type: AtLatest}, []uint32{5, 6, 7}},
			// What was before is still to be had: a list's later pages go by it.
			{Filter{AsOf: before}, []uint32{0, 1, 2, 3}},
			{Filter{Type: AtLatest, AsOf: before}, []uint32{3}},
		} {
			if got := ids(c.flt); !slices.Equal(got, c.want) {
				t.Errorf("%+v: %v, want %v", c.flt, got, c.want)
			}
		}
		if old, _, err := f.Shards(r, Filter{Type: AtLatest, AsOf: before}); err != nil || old[0].Last != nil || !old[0].Closed.IsZero() {
			t.Errorf("as of before its split: %+v, %v", old, err)
		}
		time.Sleep(22*time.Hour + 30*time.Minute) // 25.5 h after the start: the first shard is past its 24 h
		if got := ids(Filter{Type: AtTrimHorizon}); !slices.Equal(got, []uint32{1, 2}) {
			t.Error(got)
		}
		if got := ids(Filter{}); !slices.Equal(got, []uint32{1, 2, 3, 4, 5, 6, 7}) {
			t.Error(got)
		}

		// All within the millisecond of the stream's creation.
		f.create("d", 1)
		f.must(f.Split(t.Context(), ref("d"), "0", Hash{1 << 63, 0}))
		roots, _, err := f.Shards(ref("d"), Filter{Type: AtTrimHorizon})
		if err != nil || len(roots) != 1 || roots[0].Index != 0 {
			t.Errorf("%+v, %v", roots, err)
		}
	})
}

// Closed shards vanish once retention has taken their last record, from the
// lists at once and from log and catalog soon after.
func TestSweep(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFixture(t, false)
		r := f.create("s", 1)
		ctx, cancel := context.WithCancel(t.Context())
		ended := make(chan error)
		go func() { ended <- f.Run(ctx) }()
		f.put(r, "a", "x")
		time.Sleep(time.Hour)
		f.must(f.Split(t.Context(), r, "0", Hash{1 << 63, 0}))
		time.Sleep(24*time.Hour - time.Second)
		if n := len(f.describe(r).Shards); n != 3 {
			t.Errorf("%d shards right before retention ends", n)
		}
		time.Sleep(time.Second)
		if n := len(f.describe(r).Shards); n != 2 {
			t.Errorf("%d shards when retention ends", n)
		}
		if _, err := f.Iterator(t.Context(), r, "0", Start{Type: TrimHorizon}); !fault.Is(err, fault.NotFound) {
			t.Errorf("iterator on an expired shard: %v", err)
		}
		time.Sleep(sweepEvery)
		synctest.Wait()
		if _, ok := f.mem.shards[1]; ok {
			t.Error("the log still holds the expired shard")
		}
		if _, ok := f.catalog.View().Get(shardKey(f.describe(r).ID, 0)); ok {
			t.Error("the catalog still holds the expired shard")
		}
		checkCover(t, f.describe(r).Shards)
		// Numbers are never used again.
		f.must(f.Merge(t.Context(), r, "1", "2"))
		if s := f.describe(r).Shards; s[len(s)-1].Index != 3 {
			t.Errorf("the next shard is %s", s[len(s)-1].ID)
		}
		cancel()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
}

// Run tries again what a failing log has left undone.
func TestRunRetries(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFixture(t, false)
		var broken atomic.Bool
		broken.Store(true)
		f.mem.fail = func(op string) error {
			if broken.Load() && op == "create" {
				return errUnplugged
			}
			return nil
		}
		ctx, cancel := context.WithCancel(t.Context())
		ended := make(chan error)
		go func() { ended <- f.Run(ctx) }()
		for i := range maxCreating {
			if err := f.Create(t.Context(), ref(fmt.Sprint("s", i)), CreateSpec{Shards: 1}); !errors.Is(err, errUnplugged) {
				t.Fatal(err)
			}
		}
		if err := f.Create(t.Context(), ref("one-too-many"), CreateSpec{Shards: 1}); !fault.Is(err, fault.Limit) {
			t.Errorf("a sixth stream CREATING: %v", err)
		}
		time.Sleep(10 * time.Second)
		synctest.Wait()
		if info := f.describe(ref("s0")); info.Status != Creating || len(info.Shards) != 0 {
			t.Errorf("with a broken log: %+v", info)
		}
		// kinesalite test/putRecord.js: a stream that is CREATING is not found.
		if err := f.Put(t.Context(), ref("s0"), make([]PutRecord, 1), nil); !fault.Is(err, fault.NotFound) {
			t.Errorf("put to a stream that is CREATING: %v", err)
		}
		broken.Store(false)
		time.Sleep(2 * retryAfter)
		synctest.Wait()
		if info := f.describe(ref("s0")); info.Status != Active {
			t.Errorf("still %s", info.Status)
		}
		cancel()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
}
