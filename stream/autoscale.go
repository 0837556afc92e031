package stream

import (
	"slices"
	"time"
)

// On-demand scaling. What AWS documents: an ON_DEMAND stream starts with 4
// MiB/s and takes in up to double the peak of the last 30 days, to 200 MiB/s by
// default; writes may be throttled when traffic more than doubles within 15
// minutes; a shard that takes more than half of its throughput is split.
//
// What is done here: the stream's shards are looked at every 10 seconds. Once
// the mean of the last 30 seconds is above half of what all shards take, each
// is split, and so the capacity doubled; else each shard that is above half of
// its own is split. So traffic may double every 50 seconds without being
// throttled. Shards are never merged: the capacity once reached stays.
const (
	sampleEvery = 10 * time.Second
	windowSize  = 3 // samples
	onDemandMax = 200
	// A shard with less than this part of an even share of the keys is hot by
	// very few of them: splitting it again would help nobody.
	thinnest = 64
)

// shardLoad is what an open shard took in since the step before.
type shardLoad struct {
	index          uint32
	width          Hash // keys it holds, less one
	bytes, records uint64
}

// autoscaler decides when an ON_DEMAND stream's shards are split. It is a
// stepped machine: it knows of nothing but what step is told.
type autoscaler struct {
	last   time.Time
	whole  window
	shards map[uint32]*window
}

// rate is throughput per second.
type rate struct{ bytes, records float64 }

// shards is how many shards take the rate in.
func (r rate) shards() float64 { return max(r.bytes/writeBytes, r.records/writeRecords) }

type window struct {
	samples [windowSize]rate
	n       int // ever taken
}

func (w *window) add(r rate) {
	w.samples[w.n%windowSize] = r
	w.n++
}

func (w *window) full() bool { return w.n >= windowSize }

func (w *window) mean() (sum rate) {
	n := min(w.n, windowSize)
	for _, r := range w.samples[:n] {
		sum.bytes += r.bytes / float64(n)
		sum.records += r.records / float64(n)
	}
	return sum
}

// step takes in what the open shards took since the step before and returns
// which of them to split now, hottest first, so that there are not more than
// most in the end. Until the split shows in open it keeps asking for it.
func (a *autoscaler) step(now time.Time, open []shardLoad, most int) (split []uint32) {
	elapsed := now.Sub(a.last).Seconds()
	first := a.last.IsZero()
	a.last = now
	if first || elapsed <= 0 {
		return nil // what was counted has no time that it took
	}
	known := a.shards
	a.shards = make(map[uint32]*window, len(open))
	changed := len(known) != len(open)
	var total rate
	for i := range open {
		s := &open[i]
		w := known[s.index]
		if w == nil {
			w, changed = new(window), true
		}
		r := rate{float64(s.bytes) / elapsed, float64(s.records) / elapsed}
		w.add(r)
		a.shards[s.index] = w
		total.bytes += r.bytes
		total.records += r.records
	}
	if changed {
		a.whole = window{} // begun anew once the shards stay as they are
	}
	a.whole.add(total)

	room := most - len(open)
	if room <= 0 {
		return nil
	}
	double := a.whole.full() && a.whole.mean().shards() > float64(len(open))/2
	thin := MaxHash.share(uint64(most) * thinnest)
	heat := make(map[uint32]float64)
	for i := range open {
		s := &open[i]
		w := a.shards[s.index]
		use := w.mean().shards()
		if s.width.Compare(thin) > 0 && (double || w.full() && use > 0.5) {
			split = append(split, s.index)
			heat[s.index] = use
		}
	}
	slices.SortStableFunc(split, func(x, y uint32) int {
		switch {
		case heat[x] > heat[y]:
			return -1
		case heat[x] < heat[y]:
			return 1
		}
		return 0
	})
	return split[:min(room, len(split))]
}
