package stream

import (
	"sync"
	"time"
)

// Rates limits how often calls of the control plane are made: so many in any
// second for each key, which is what the rate is counted by. The zero Rates is
// ready for use, and its methods may be called concurrently.
type Rates struct {
	mu      sync.Mutex
	buckets map[RateKey]*bucket
}

// RateKey is what calls are counted by: an owner's calls of an operation, or
// those about one stream.
type RateKey struct {
	Owner
	Operation string
	Stream    string // "": all of the owner's together
}

// maxRates is how many keys are remembered before those at rest are dropped.
const maxRates = 4096

// Take makes one call at now (Unix nanoseconds), if fewer than perSecond have
// been made in the second under way.
func (r *Rates) Take(k RateKey, perSecond int, now int64) bool {
	rate := float64(perSecond)
	r.mu.Lock()
	defer r.mu.Unlock()
	b := r.buckets[k]
	if b == nil {
		r.tidy(now)
		b = new(bucket)
		r.buckets[k] = b
	}
	b.step(now, rate)
	if b.tokens < 1 {
		return false
	}
	b.tokens--
	return true
}

// tidy makes room for a key: a bucket that nobody has used for a second is
// full, like a new one.
func (r *Rates) tidy(now int64) {
	if r.buckets == nil {
		r.buckets = make(map[RateKey]*bucket)
	}
	if len(r.buckets) < maxRates {
		return
	}
	for k, b := range r.buckets {
		if now-b.at > 2*int64(time.Second) {
			delete(r.buckets, k)
		}
	}
}
