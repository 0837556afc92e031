package stream

import (
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/thalweg/thalweg/fault"
)

// "Limits hold within 5 % over 10 s under a fake clock", from the first call
// on and after a rest: a shard's writes by records and by bytes, its reads by
// calls and by bytes.
func TestLimitsHoldOverTenSeconds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFixture(t, true)
		over := func(pause time.Duration, try func() int) (n int) {
			for end := time.Now().Add(10 * time.Second); time.Now().Before(end); time.Sleep(pause) {
				n += try()
			}
			return n
		}
		put := func(r Ref, n, size int) func() int {
			return func() (in int) {
				recs := make([]PutRecord, n)
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
		holds := func(what string, got, want int) {
			t.Helper()
			if got < want*95/100 || got > want*105/100 {
				t.Errorf("%s: %d in 10 seconds, want %d", what, got, want)
			}
		}
		r := f.create("s", 1)
		for range 2 {
			holds("records", over(90*time.Millisecond, put(r, 250, 1)), 10*writeRecords)
			time.Sleep(1300 * time.Millisecond)
			holds("bytes", over(70*time.Millisecond, put(r, 20, 10<<10))*10<<10, 10*writeBytes)
			time.Sleep(2700 * time.Millisecond)
		}
		token := f.iterate(r, 0, Start{Type: TrimHorizon})
		for range 2 {
			calls := over(50*time.Millisecond, func() int {
				var p ReadPage
				defer p.Release()
				err := f.Read(t.Context(), r.Owner, token, 1, &p)
				if err != nil && !fault.Is(err, fault.Throttled) {
					t.Fatal(err)
				}
				return map[bool]int{true: 1, false: 0}[err == nil]
			})
			holds("read calls", calls, 10*readCalls)
			time.Sleep(1900 * time.Millisecond)
		}
		r = f.create("large", 1)
		put(r, 100, 10<<10)()
		token = f.iterate(r, 0, Start{Type: TrimHorizon})
		holds("bytes read", over(50*time.Millisecond, func() int {
			var p ReadPage
			defer p.Release()
			if f.Read(t.Context(), r.Owner, token, 100, &p) != nil { // about 1 MiB
				return 0
			}
			return p.Bytes
		}), 10*readBytes)
	})
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
