package stream

import (
	"context"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/thalweg/thalweg/fault"
)

func contextWithStop(t *testing.T) (context.Context, context.CancelFunc) {
	return context.WithCancel(t.Context())
}

// Two switches in 24 hours; shards stay; a stream has 50 fellows at most.
func TestModes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFixture(t, false)
		r := f.create("s", 2)
		f.must(f.SetMode(t.Context(), r, Provisioned, nil)) // no switch, does not count
		f.must(f.SetMode(t.Context(), r, OnDemand, nil))
		f.must(f.SetAuto(t.Context(), r, true))
		f.must(f.SetMode(t.Context(), r, Provisioned, nil))
		info := f.describe(r)
		if info.Mode != Provisioned || info.OpenShards != 2 || info.Auto {
			t.Errorf("%+v", info)
		}
		if err := f.SetMode(t.Context(), r, OnDemand, nil); !fault.Is(err, fault.Limit) {
			t.Errorf("a third switch: %v", err)
		}
		time.Sleep(day + time.Millisecond)
		f.must(f.SetMode(t.Context(), r, OnDemand, nil))
		for i := range maxOnDemand - 1 {
			f.must(f.Create(t.Context(), ref(fmt.Sprint("od", i)), CreateSpec{Mode: OnDemand}))
		}
		if err := f.Create(t.Context(), ref("x"), CreateSpec{Mode: OnDemand}); !fault.Is(err, fault.Limit) {
			t.Errorf("a 51st: %v", err)
		}
		p := f.create("p", 1)
		if err := f.SetMode(t.Context(), p, OnDemand, nil); !fault.Is(err, fault.Limit) {
			t.Errorf("a 51st by a switch: %v", err)
		}
		if u := f.Usage(owner); u != (Usage{2 + 49*4 + 1, 20000, 50, 50}) {
			t.Errorf("%+v", u)
		}
		// "Attempting to set AUTO on a provisioned stream results in an
		// InvalidArgumentException" (API_UpdateStreamRecordDistributionStrategy).
		for name, err := range map[string]error{
			"auto":         f.SetAuto(t.Context(), p, true),
			"auto created": f.Create(t.Context(), ref("x"), CreateSpec{Shards: 1, Auto: true}),
		} {
			if !fault.Is(err, fault.Invalid) {
				t.Errorf("%s: %v", name, err)
			}
		}
		for name, err := range map[string]error{
			"warm":          second(f.SetWarm(t.Context(), p, 8)),
			"warm and mode": f.SetMode(t.Context(), p, Provisioned, new(int)),
			"warm created":  f.Create(t.Context(), ref("x"), CreateSpec{Shards: 1, WarmMiBps: new(int)}),
		} {
			if !fault.Is(err, fault.Constraint) {
				t.Errorf("%s: %v", name, err)
			}
		}
	})
}

func second(_, _ int, err error) error { return err }

// Warm throughput wants the commitment, which lasts 24 hours: ended before, it
// goes on until then, unless it is enabled again (AWS's
// MinimumThroughputBillingCommitmentInput).
func TestCommitmentAndWarmThroughput(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFixture(t, false)
		r := ref("od")
		f.must(f.Create(t.Context(), r, CreateSpec{Mode: OnDemand}))
		if err := second(f.SetWarm(t.Context(), r, 10)); !fault.Is(err, fault.Constraint) {
			t.Errorf("without commitment: %v", err)
		}
		began := time.Now()
		a, err := f.Commit(t.Context(), owner, true)
		f.must(err)
		if !a.Committed || !a.Started.Equal(began) || !a.Ends.IsZero() || !a.Earliest.Equal(began.Add(day)) {
			t.Errorf("enabled: %+v", a)
		}
		if other, err := f.Account(Owner{owner.Account, "eu-west-1"}); err != nil || other.Committed {
			t.Errorf("another region: %+v, %v", other, err)
		}
		want, have, err := f.SetWarm(t.Context(), r, 10)
		info := f.describe(r)
		if err != nil || want != 10 || have != 10 || info.OpenShards != 10 || info.WarmMiBps != 10 {
			t.Errorf("warm: %d %d %v, %d open", want, have, err, info.OpenShards)
		}
		checkShards(t, info.Shards)
		want, have, err = f.SetWarm(t.Context(), r, 0)
		if err != nil || want != 0 || have != 10 {
			t.Errorf("less: %d %d %v", want, have, err)
		}
		if err := second(f.SetWarm(t.Context(), r, maxWarmMiBps+1)); !fault.Is(err, fault.Constraint) {
			t.Errorf("more than 10 GiB/s: %v", err)
		}
		time.Sleep(time.Hour)
		a, err = f.Commit(t.Context(), owner, false)
		if f.must(err); !a.Committed || !a.Ends.Equal(began.Add(day)) {
			t.Errorf("ended early: %+v", a)
		}
		a, err = f.Commit(t.Context(), owner, true)
		if f.must(err); !a.Committed || !a.Ends.IsZero() || !a.Started.Equal(began) {
			t.Errorf("thought better of it: %+v", a)
		}
		_, err = f.Commit(t.Context(), owner, false)
		f.must(err)
		time.Sleep(23 * time.Hour)
		f.restart(false)
		if a, err = f.Account(owner); err != nil || a.Committed || !a.Ends.Equal(began.Add(day)) {
			t.Errorf("ended: %+v, %v", a, err)
		}
	})
}

// AUTO spreads records over all shards whatever their keys, and takes those
// without (AWS's API reference).
func TestAuto(t *testing.T) {
	f := newFixture(t, false)
	r := ref("od")
	f.must(f.Create(t.Context(), r, CreateSpec{Mode: OnDemand, Auto: true}))
	count := func(key string) (per map[uint32]int) {
		per = make(map[uint32]int)
		for range 10 {
			recs := make([]PutRecord, 10)
			for i := range recs {
				recs[i] = PutRecord{Key: "same", Size: 1}
			}
			recs[3].Key = key
			f.must(f.Put(t.Context(), r, recs, func(_ int, dst []byte) error { dst[0] = 'x'; return nil }))
			for _, rec := range recs {
				f.must(rec.Err)
				per[rec.Shard]++
			}
		}
		return per
	}
	if per := count(""); len(per) != 4 || per[0] != 25 || per[3] != 25 {
		t.Errorf("AUTO: %v", per)
	}
	f.must(f.SetAuto(t.Context(), r, false))
	if per := count("same"); len(per) != 1 {
		t.Errorf("USER_PARTITION_KEY: %v", per)
	}
	err := f.Put(t.Context(), r, make([]PutRecord, 1), nil)
	if !fault.Is(err, fault.Constraint) || !fault.Is(f.CheckPut(r, make([]PutRecord, 1)), fault.Constraint) {
		t.Errorf("no key: %v", err)
	}
}

// A record of 10 MiB passes, out of a tank that what the shard does not use
// fills up at 1 MiB/s; small ones go on right after it; over time the rate holds
// for all together. (AWS, "Handle large records")
func TestLargeRecords(t *testing.T) {
	const mib = 1 << 20
	l := newLimits(ref("s"), 0)
	now := time.Unix(1700000000, 0).UnixNano()
	after := func(d time.Duration) { now += d.Nanoseconds() }
	expect := func(what string, n int, want bool) {
		t.Helper()
		if got := l.write(now, n); got != want {
			t.Errorf("%s: %v", what, got)
		}
	}
	expect("10 MiB", 10*mib, true)
	expect("1 MiB right after it", mib, true)
	expect("one more", mib, false)
	expect("another large one", 2*mib, false)
	after(time.Second)
	expect("a second later", mib, true)
	after(10 * time.Second)
	expect("10 MiB, 10 s later", 10*mib, true)
	after(5 * time.Second)
	expect("5 MiB, 5 s later", 5*mib, true)
	after(time.Hour)
	total := 0
	for range 1000 {
		if l.write(now, 3*mib) {
			total += 3
		}
		after(100 * time.Millisecond)
	}
	if total < 100 || total > 111 {
		t.Errorf("%d MiB of large records in 100 s", total)
	}
}
