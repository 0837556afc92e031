package stream

import (
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/thalweg/thalweg/fault"
)

// "Limits hold within 5 % over 10 s under a fake clock": those of a shard, and
// of a consumer of it, for callers that ask without end, at any pace, out of the
// blue and after a rest. Those of the control plane are api/kinesis's.
func TestLimitsHoldOverTenSeconds(t *testing.T) {
	const mib = 1 << 20
	put := func(n, size int) func(f *fixture, r Ref) func() int {
		return func(f *fixture, r Ref) func() int {
			recs := make([]PutRecord, n)
			return func() (in int) {
				for i := range recs {
					recs[i] = PutRecord{Key: "k", Explicit: true, Size: size - 1}
				}
				f.must(f.Put(t.Context(), r, recs, func(int, []byte) error { return nil }))
				for i := range recs {
					if recs[i].Err == nil {
						in++
					}
				}
				return in
			}
		}
	}
	bytes := func(n, size int) func(f *fixture, r Ref) func() int {
		return func(f *fixture, r Ref) func() int {
			try := put(n, size)(f, r)
			return func() int { return try() * size }
		}
	}
	read := func(limit int, count func(p *ReadPage) int) func(f *fixture, r Ref) func() int {
		return func(f *fixture, r Ref) func() int {
			token := f.iterate(r, 0, Start{Type: TrimHorizon})
			return func() int {
				var p ReadPage
				defer p.Release()
				err := f.Read(t.Context(), r.Owner, token, limit, &p)
				if err != nil && !fault.Is(err, fault.Throttled) {
					t.Fatal(err)
				}
				if err != nil {
					return 0
				}
				return count(&p)
			}
		}
	}
	for name, c := range map[string]struct {
		perSecond int
		make      func(f *fixture, r Ref) (try func() int)
	}{
		"records written": {1000, put(250, 1)},
		"bytes written":   {mib, bytes(20, 10<<10)},
		"large records":   {mib, bytes(1, 2*mib)},
		"large records and small ones": {mib, func(f *fixture, r Ref) func() int {
			large, small := bytes(1, 2*mib)(f, r), bytes(1, 64<<10)(f, r)
			return func() int { return large() + small() }
		}},
		"calls of GetRecords": {5, read(1, func(*ReadPage) int { return 1 })},
		"bytes read":          {2 * mib, read(16, func(p *ReadPage) int { return p.Bytes })},
		"calls of GetShardIterator": {5, func(f *fixture, r Ref) func() int {
			return func() int {
				_, err := f.Iterator(t.Context(), r, ShardID(0), Start{Type: Latest})
				if err != nil && !fault.Is(err, fault.Throttled) {
					t.Fatal(err)
				}
				return map[bool]int{true: 1}[err == nil]
			}
		}},
	} {
		for _, pause := range []time.Duration{10 * time.Millisecond, 70 * time.Millisecond, 130 * time.Millisecond} {
			synctest.Test(t, func(t *testing.T) {
				f, r := full(t)
				try := c.make(f, r)
				window := 10
				if strings.HasPrefix(name, "large") { // a record is a tenth of what 10 s let through
					window = 100
				}
				for _, rest := range []time.Duration{0, 1300 * time.Millisecond, 2700 * time.Millisecond} {
					time.Sleep(rest)
					for window > 10 && try() > 0 { // what the tank has gathered: see TestLargeRecords
					}
					got := 0
					for end := time.Now().Add(time.Duration(window) * time.Second); time.Now().Before(end); time.Sleep(pause) {
						got += try()
					}
					if want := c.perSecond * window; got < want*95/100 || got > want*105/100 {
						t.Errorf("%s, asked for every %v, after a rest of %v: %d in %d seconds, want %d", name, pause, rest, got, window, want)
					}
				}
			})
		}
	}
}

// full returns a stream with limits and 64 MiB of records of 64 KiB.
func full(t *testing.T) (*fixture, Ref) {
	f := newFixture(t, true)
	r := f.create("s", 1)
	f.must(f.SetMaxRecord(t.Context(), r, 10240))
	f.must(f.SetLimits(t.Context(), r, LimitsOff))
	recs := slices.Repeat([]PutRecord{{Key: "k", Size: 64<<10 - 1}}, 1024)
	f.must(f.Put(t.Context(), r, recs, func(int, []byte) error { return nil }))
	f.must(f.SetLimits(t.Context(), r, LimitsAWS))
	return f, r
}

// 2 MiB/s for each consumer of a shard, whatever the others get.
func TestFanOutHoldsOverTenSeconds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f, r := full(t)
		var readers sync.WaitGroup
		for i := range 3 {
			name := fmt.Sprint("c", i)
			f.register(r, name)
			sub := f.subscribe(r, name, 0, Start{Type: TrimHorizon})
			readers.Go(func() {
				defer sub.Close()
				for range 2 {
					got := 0
					for end := time.Now().Add(10 * time.Second); time.Now().Before(end); {
						ev, err := sub.Next()
						if err != nil {
							t.Error(err)
							return
						}
						got += ev.Bytes
						ev.Release()
					}
					if want := 10 * 2 << 20; got < want*95/100 || got > want*105/100 {
						t.Errorf("%s: %d bytes in 10 seconds, want %d", name, got, want)
					}
					time.Sleep(1700 * time.Millisecond)
				}
			})
		}
		readers.Wait()
	})
}

// The quotas of 24 hours hold in any 24 hours, are used up by those who always
// try again, and outlive a restart: UpdateShardCount 10 times, UpdateStreamMode
// twice (AWS's API reference).
func TestDailyQuotas(t *testing.T) {
	for name, c := range map[string]struct {
		most int
		try  func(f *fixture, r Ref, i int) error
	}{
		"UpdateShardCount": {10, func(f *fixture, r Ref, i int) error {
			_, err := f.Scale(t.Context(), r, 2+i%2)
			return err
		}},
		"UpdateStreamMode": {2, func(f *fixture, r Ref, i int) error {
			return f.SetMode(t.Context(), r, []Mode{Provisioned, OnDemand}[i%2], nil)
		}},
	} {
		synctest.Test(t, func(t *testing.T) {
			f := newFixture(t, false)
			r := f.create("s", 2)
			var uses []time.Time
			const days = 10
			for end := time.Now().Add(days * day); time.Now().Before(end); time.Sleep(17 * time.Minute) {
				err := c.try(f, r, len(uses)+1)
				if err == nil {
					uses = append(uses, time.Now())
				} else if !fault.Is(err, fault.Limit) {
					t.Fatal(err)
				}
				f.restart(false)
			}
			for i := c.most; i < len(uses); i++ {
				if d := uses[i].Sub(uses[i-c.most]); d < day {
					t.Errorf("%s: %d times within %v", name, c.most+1, d)
				}
			}
			if n := days * c.most; len(uses) < n*95/100 || len(uses) > n {
				t.Errorf("%s: %d times in %d days", name, len(uses), days)
			}
		})
	}
}

// One stream can have limits, or none, whatever the others have; and that
// outlives a restart.
func TestLimitsOfOneStream(t *testing.T) {
	f := newFixture(t, true)
	r := f.create("s", 1)
	burst := func() (refused int) {
		recs := slices.Repeat([]PutRecord{{Key: "k"}}, 3000)
		f.must(f.Put(t.Context(), r, recs, func(int, []byte) error { return nil }))
		for i := range recs {
			if recs[i].Err != nil {
				refused++
			}
		}
		return refused
	}
	f.must(f.SetLimits(t.Context(), r, LimitsOff))
	if n := burst(); n != 0 {
		t.Errorf("%d records are refused without limits", n)
	}
	f.restart(false)
	f.must(f.SetLimits(t.Context(), r, LimitsAWS))
	f.restart(false)
	if n := burst(); n != 2000 {
		t.Errorf("%d records of 3,000 are refused", n)
	}
	if err := f.SetLimits(t.Context(), r, "some"); !fault.Is(err, fault.Invalid) {
		t.Errorf("a word that is none: %v", err)
	}
}
