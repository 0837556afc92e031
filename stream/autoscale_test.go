package stream

import (
	"math"
	"slices"
	"testing"
	"testing/synctest"
	"time"
)

// rehearsal is a stream that does what its autoscaler says.
type rehearsal struct {
	autoscaler
	now   time.Time
	next  uint32
	open  []shardLoad
	start map[uint32]Hash
	most  int
}

func rehearse(shards int) *rehearsal {
	r := &rehearsal{now: time.Unix(1700000000, 0), start: map[uint32]Hash{}, most: onDemandMax}
	for _, h := range evenRanges(shards) {
		r.add(h)
	}
	r.step(r.now, r.open, r.most)
	return r
}

func (r *rehearsal) add(h hashRange) {
	r.open = append(r.open, shardLoad{index: r.next, width: h.end.sub(h.start)})
	r.start[r.next] = h.start
	r.next++
}

// pass lets ten seconds go by, in which each shard takes what take says.
func (r *rehearsal) pass(take func(s *shardLoad) (bytes, records float64)) {
	r.now = r.now.Add(sampleEvery)
	for i := range r.open {
		b, n := take(&r.open[i])
		r.open[i].bytes, r.open[i].records = uint64(b*sampleEvery.Seconds()), uint64(n*sampleEvery.Seconds())
	}
	split := r.step(r.now, r.open, r.most)
	for _, index := range split {
		i := slices.IndexFunc(r.open, func(s shardLoad) bool { return s.index == index })
		s := r.open[i]
		r.open = slices.Delete(r.open, i, i+1)
		at, half := r.start[index], s.width.share(2)
		r.add(hashRange{at, at.add(half).prev()})
		r.add(hashRange{at.add(half), at.add(s.width)})
	}
}

// AWS: no throttling as long as traffic does not more than double within 15
// minutes. Here it may double within one, up to half of 200 MiB/s, and no shard
// is ever asked for more than it takes.
func TestRampIsNotThrottled(t *testing.T) {
	for _, doubles := range []time.Duration{time.Minute, 15 * time.Minute} {
		for name, per := range map[string]func(load float64) (bytes, records float64){
			"bytes":   func(load float64) (float64, float64) { return load * writeBytes, load },
			"records": func(load float64) (float64, float64) { return load, load * writeRecords },
		} {
			r := rehearse(onDemandShards)
			began := r.now
			for {
				load := 1.9 * math.Exp2(r.now.Add(sampleEvery).Sub(began).Seconds()/doubles.Seconds())
				if load > 200 {
					break
				}
				if each := load / float64(len(r.open)); each > 1 {
					t.Fatalf("%s, doubling every %v: %.1f times a shard's limit for %d shards after %v", name, doubles, load, len(r.open), r.now.Sub(began))
				}
				r.pass(func(*shardLoad) (float64, float64) { return per(load / float64(len(r.open))) })
			}
			if len(r.open) != onDemandMax {
				t.Errorf("%s, doubling every %v: %d shards in the end", name, doubles, len(r.open))
			}
		}
	}
}

func TestAutoscaler(t *testing.T) {
	// Half of the capacity, for ever: nothing happens.
	r := rehearse(4)
	for range 1000 {
		r.pass(func(*shardLoad) (float64, float64) { return writeBytes / 2, 1 })
	}
	if len(r.open) != 4 {
		t.Errorf("steady at a half: %d shards", len(r.open))
	}
	// More than half: doubled once, which is enough.
	for range 100 {
		r.pass(func(*shardLoad) (float64, float64) { return 2.1 * writeBytes / float64(len(r.open)), 1 })
	}
	if len(r.open) != 8 {
		t.Errorf("2.1 MiB/s: %d shards", len(r.open))
	}
	// A burst of ten seconds is not traffic that lasts.
	r = rehearse(4)
	for i := range 100 {
		r.pass(func(*shardLoad) (float64, float64) {
			if i%10 == 0 {
				return writeBytes, 1
			}
			return 0, 0
		})
	}
	if len(r.open) != 4 {
		t.Errorf("short bursts: %d shards", len(r.open))
	}
	// One hot shard, whose keys are spread: it alone is split.
	r = rehearse(4)
	for range 100 {
		r.pass(func(s *shardLoad) (float64, float64) {
			if at := r.start[s.index]; at.Hi < 1<<62 {
				return 0.8 * writeBytes * float64(s.width.Hi) / (1 << 62), 1
			}
			return 0, 0
		})
	}
	if len(r.open) != 5 {
		t.Errorf("one hot shard: %d shards", len(r.open))
	}
	// One hot key: splitting does not help it, and comes to an end.
	r = rehearse(4)
	for range 1000 {
		r.pass(func(s *shardLoad) (float64, float64) {
			if r.start[s.index] == (Hash{}) {
				return writeBytes, 1
			}
			return 0, 0
		})
	}
	if len(r.open) > 20 {
		t.Errorf("one hot key: %d shards", len(r.open))
	}
	// The most that is allowed, hottest first.
	r = rehearse(150)
	for range 100 {
		r.pass(func(s *shardLoad) (float64, float64) {
			if s.index == 7 {
				return writeBytes, 1
			}
			return 0.9 * writeBytes, 1
		})
	}
	if len(r.open) != onDemandMax || slices.ContainsFunc(r.open, func(s shardLoad) bool { return s.index == 7 }) {
		t.Errorf("%d shards", len(r.open))
	}
}

// An ON_DEMAND stream under a ramp grows while records flow, with AWS's limits
// on, and no record is refused.
func TestOnDemandGrows(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFixture(t, true)
		r := ref("od")
		f.must(f.Create(t.Context(), r, CreateSpec{Mode: OnDemand}))
		f.mem.discard = true
		done := make(chan error)
		ctx, stop := contextWithStop(t)
		go func() { done <- f.Run(ctx) }()
		recs := make([]PutRecord, 64)
		began := time.Now()
		for i := 0; time.Since(began) < 6*time.Minute; i++ {
			rate := 1.5 * math.Exp2(time.Since(began).Minutes()/1.5) // MiB/s
			for j := range recs {
				recs[j] = PutRecord{Key: "k", Hash: evenStart(uint32(j), 64).add(Hash{uint64(i), 0}), Explicit: true, Size: int(rate * writeBytes / 64 / 10)}
			}
			f.must(f.Put(t.Context(), r, recs, func(int, []byte) error { return nil }))
			for j := range recs {
				if recs[j].Err != nil {
					t.Fatalf("after %v, at %.1f MiB/s with %d shards: %v", time.Since(began), rate, f.describe(r).OpenShards, recs[j].Err)
				}
			}
			time.Sleep(100 * time.Millisecond)
		}
		info := f.describe(r)
		checkShards(t, info.Shards)
		if info.OpenShards != 64 {
			t.Errorf("%d open shards for 24 MiB/s", info.OpenShards)
		}
		stop()
		f.must(<-done)
	})
}

// Traffic that more than doubles at once may be throttled (AWS, "On-demand mode
// features and use cases"), but not for long: shards are doubled by what they
// took until they take everything, in steps that readers see whole.
func TestOnDemandCatchesUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFixture(t, true)
		r := ref("od")
		f.must(f.Create(t.Context(), r, CreateSpec{Mode: OnDemand}))
		f.mem.discard = true
		done := make(chan error)
		ctx, stop := contextWithStop(t)
		go func() { done <- f.Run(ctx) }()
		recs := make([]PutRecord, 64)
		var counts []int
		began, refused := time.Now(), time.Duration(-1) // when a record was last refused
		for i := 0; time.Since(began) < 5*time.Minute; i++ {
			for j := range recs {
				recs[j] = PutRecord{Key: "k", Hash: evenStart(uint32(j), 64).add(Hash{uint64(i), 0}), Explicit: true, Size: 12 * writeBytes / 64 / 10}
			}
			f.must(f.Put(t.Context(), r, recs, func(int, []byte) error { return nil }))
			for j := range recs {
				if recs[j].Err != nil {
					refused = time.Since(began)
				}
			}
			if n := f.describe(r).OpenShards; len(counts) == 0 || counts[len(counts)-1] != n {
				counts = append(counts, n)
			}
			time.Sleep(100 * time.Millisecond)
		}
		checkShards(t, f.describe(r).Shards)
		if refused < 0 || refused > 2*time.Minute {
			t.Errorf("12 MiB/s on 4 shards: a record was last refused after %v", refused)
		}
		if !slices.Equal(counts, []int{4, 8, 16, 32}) {
			t.Errorf("open shards: %v", counts)
		}
		stop()
		f.must(<-done)
	})
}

func TestLoad(t *testing.T) {
	var l load
	l.add(500, 10<<20)
	l.add(1, 1)
	if records, bytes := l.take(); records != 501 || bytes != 10<<20+1 {
		t.Errorf("%d records, %d bytes", records, bytes)
	}
	if records, bytes := l.take(); records != 0 || bytes != 0 {
		t.Errorf("%d records, %d bytes are left", records, bytes)
	}
}

func BenchmarkLoad(b *testing.B) {
	var l load
	for b.Loop() {
		l.add(1, 1024)
	}
}
