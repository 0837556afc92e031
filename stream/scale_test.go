package stream

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/thalweg/thalweg/fault"
)

// UpdateShardCount has true lineage and AWS's totals, and short-lived shards
// are at their end at once, with their children.
func TestScale(t *testing.T) {
	f := newFixture(t, false)
	r := f.create("s", 4)
	f.put(r, "a", "first")
	got, err := f.Scale(t.Context(), r, 5)
	if f.must(err); got != (Scaling{4, 5}) {
		t.Errorf("%+v", got)
	}
	info := f.describe(r)
	checkShards(t, info.Shards)
	if len(info.Shards) != 15 || info.OpenShards != 5 || info.Status != Active {
		t.Errorf("%d shards, %d open, %s", len(info.Shards), info.OpenShards, info.Status)
	}
	for _, s := range info.Shards {
		_, p := f.drain(r, s.Index)
		if (p.Next == "") != (s.Last != nil) || (len(p.Children) > 0) != (s.Last != nil) {
			t.Errorf("%s: next %q, children %v", s.ID, p.Next, p.Children)
		}
	}
	// At any instant but that of the reshard the shards that were open cover all keys once.
	for _, at := range []Filter{{Type: AtLatest}, {Type: AtTrimHorizon}, {Type: AtTimestamp, Time: time.Now().Add(time.Millisecond)}} {
		shards, _, err := f.Shards(r, at)
		f.must(err)
		checkCover(t, shards)
	}
	// As many as there are changes nothing, and is no error.
	if _, err := f.Scale(t.Context(), r, 5); err != nil || len(f.describe(r).Shards) != 15 {
		t.Errorf("to as many: %v", err)
	}
}

// The bounds, in the words of a contributor to kinesalite, and the quota of a
// rolling 24 hours.
func TestScaleRefusals(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFixture(t, false)
		r := f.create("s", 6)
		od := ref("od")
		f.must(f.Create(t.Context(), od, CreateSpec{Mode: OnDemand}))
		for _, c := range []struct {
			ref  Ref
			to   int
			kind fault.Kind
			text string
		}{
			{ref("x"), 1, fault.NotFound, "Stream x under account 000000000000 not found."},
			{od, 8, fault.Constraint, "Request is invalid. Stream od under account 000000000000 is in On-Demand mode."},
			{r, 13, fault.Limit, "UpdateShardCount cannot scale up over double your current open shard count. Current open shard count: 6, Target shard count: 13"},
			{r, 2, fault.Limit, "UpdateShardCount cannot scale down below half your current open shard count. Current open shard count: 6, Target shard count: 2"},
			{r, 10001, fault.Limit, "Target shard count or number of open shards cannot be greater than 10000. Current open shard count: 6, Target shard count: 10001"},
		} {
			_, err := f.Scale(t.Context(), c.ref, c.to)
			if !fault.Is(err, c.kind) || err.Error() != c.text {
				t.Errorf("to %d: %v", c.to, err)
			}
		}
		for i := range dailyScalings {
			if _, err := f.Scale(t.Context(), r, 6+i%2); err != nil {
				t.Fatalf("call %d: %v", i, err)
			}
			time.Sleep(time.Hour)
		}
		if _, err := f.Scale(t.Context(), r, 6); !fault.Is(err, fault.Limit) {
			t.Errorf("an eleventh time: %v", err)
		}
		f.restart(false) // the count is durable
		if _, err := f.Scale(t.Context(), r, 6); !fault.Is(err, fault.Limit) {
			t.Errorf("an eleventh time, after a restart: %v", err)
		}
		time.Sleep(14*time.Hour + time.Minute)
		if _, err := f.Scale(t.Context(), r, 6); err != nil {
			t.Errorf("24 hours after the first: %v", err)
		}
	})
}

// After a failure, or the plug pulled, at any step, a scaling has happened
// whole or not at all, and nothing that was stored is lost.
func TestScaleSurvivesCrashes(t *testing.T) {
	for _, c := range []struct{ from, to, total int }{{4, 5, 15}, {5, 3, 7}} {
		for _, restart := range []bool{false, true} {
			for step := 0; ; step++ {
				f := newFixture(t, false)
				r := f.create("s", c.from)
				f.put(r, "a", "first")
				left, failed := step, false
				f.mem.fail = func(string) error {
					if left--; left < 0 {
						failed = true
						return errUnplugged
					}
					return nil
				}
				_, err := f.Scale(context.Background(), r, c.to)
				f.mem.fail = nil
				if !failed {
					if f.must(err); step < 8 {
						t.Errorf("only %d steps to fail at", step)
					}
					break
				}
				if !errors.Is(err, errUnplugged) {
					t.Fatalf("failing at step %d: %v", step, err)
				}
				checkShards(t, f.describe(r).Shards)
				if restart {
					f.restart(false)
				}
				if rec := f.put(r, "b", "second"); rec.Err != nil {
					t.Errorf("a put in between: %v", rec.Err)
				}
				f.tend(t.Context())
				info := f.describe(r)
				checkShards(t, info.Shards)
				before, after := len(info.Shards) == c.from, len(info.Shards) == c.total && info.OpenShards == c.to
				if info.Status != Active || before == after {
					t.Errorf("failing at step %d: %s with %d shards, %d of them open", step, info.Status, len(info.Shards), info.OpenShards)
				}
				records := 0
				for _, s := range info.Shards {
					data, _ := f.drain(r, s.Index)
					records += len(data)
				}
				if records != 2 {
					t.Errorf("failing at step %d: %d records", step, records)
				}
			}
		}
	}
}

// Puts go on while a stream is scaled: none fails, none is lost.
func TestPutsDuringScaling(t *testing.T) {
	f := newFixture(t, false)
	r := f.create("s", 4)
	var wg sync.WaitGroup
	var stop atomic.Bool
	var stored [4]int
	for w := range stored {
		wg.Go(func() {
			for i := 0; !stop.Load(); i++ {
				recs := []PutRecord{{Key: fmt.Sprint(w, i), Size: 1}, {Key: fmt.Sprint(i, w), Size: 1}}
				err := f.Put(context.Background(), r, recs, func(_ int, dst []byte) error { dst[0] = 'x'; return nil })
				if err != nil || recs[0].Err != nil || recs[1].Err != nil {
					t.Error(err, recs[0].Err, recs[1].Err)
					return
				}
				stored[w] += 2
			}
		})
	}
	for _, n := range []int{8, 5, 9, 16, 11, 7} {
		if _, err := f.Scale(t.Context(), r, n); err != nil {
			t.Error(n, err)
		}
	}
	stop.Store(true)
	wg.Wait()
	info := f.describe(r)
	checkShards(t, info.Shards)
	total, want := 0, stored[0]+stored[1]+stored[2]+stored[3]
	for _, s := range info.Shards {
		token := f.iterate(r, s.Index, Start{Type: TrimHorizon})
		for token != "" {
			data, p := f.read(token, 0)
			total += len(data)
			if token = p.Next; len(data) == 0 {
				break
			}
		}
	}
	if total != want {
		t.Errorf("%d records of %d", total, want)
	}
}

// The largest scaling fits into the catalog's commands.
func TestScaleToTheMost(t *testing.T) {
	f := newFixture(t, false)
	r := f.create("s", 6667)
	began := time.Now()
	_, err := f.Scale(t.Context(), r, maxScaled)
	f.must(err)
	info := f.describe(r)
	checkCover(t, func() (open []ShardInfo) {
		for _, s := range info.Shards {
			if s.Last == nil {
				open = append(open, s)
			}
		}
		return open
	}())
	if info.OpenShards != maxScaled {
		t.Errorf("%d open", info.OpenShards)
	}
	t.Logf("6667 to 10000 shards, %d in all: %v", len(info.Shards), time.Since(began))
}
