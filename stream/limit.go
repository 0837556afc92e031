package stream

import (
	"sync"
	"time"
)

// AWS's limits of a shard.
const (
	writeBytes   = 1 << 20 // per second
	writeRecords = 1000    // per second
	readBytes    = 2 << 20 // per second
	readCalls    = 5       // per second
	mintCalls    = 5       // GetShardIterator, per second
)

// bucket is a token bucket that holds one second's worth. It may go into debt:
// whoever finds enough tokens for a start takes all that is needed, and the
// next ones wait until the debt is paid. So records and pages larger than a
// second's worth pass, and still the rate holds over time.
type bucket struct {
	tokens float64
	at     int64 // Unix nanoseconds of the last refill
}

// refill brings the bucket to now (Unix nanoseconds; going back counts as
// standing still) at rate tokens per second.
func (b *bucket) refill(now int64, rate float64) {
	switch {
	case b.at == 0:
		b.tokens, b.at = rate, now
	case now > b.at:
		b.tokens = min(rate, b.tokens+rate*float64(now-b.at)/float64(time.Second))
		b.at = now
	}
}

// has tells whether n tokens are there, or all that the bucket can hold.
func (b *bucket) has(n, rate float64) bool { return b.tokens >= min(n, rate) }

// limits are the rates of one shard. refused is the fault for exceeding one,
// made beforehand: a throttled record must be cheap to refuse.
type limits struct {
	refused error

	mu                     sync.Mutex
	records, bytes         bucket // written
	calls, readOut, minted bucket
}

func newLimits(r Ref, index uint32) *limits {
	return &limits{refused: rateExceeded(r, index)}
}

// write takes one record of n bytes (key and data) at now.
func (l *limits) write(now int64, n int) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.records.refill(now, writeRecords)
	l.bytes.refill(now, writeBytes)
	if !l.records.has(1, writeRecords) || !l.bytes.has(float64(n), writeBytes) {
		return false
	}
	l.records.tokens--
	l.bytes.tokens -= float64(n)
	return true
}

// read takes one call at now, provided that earlier reads are paid for.
func (l *limits) read(now int64) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.calls.refill(now, readCalls)
	l.readOut.refill(now, readBytes)
	if l.calls.tokens < 1 || l.readOut.tokens <= 0 {
		return false
	}
	l.calls.tokens--
	return true
}

// spent tells how many bytes a read that was let through has found.
func (l *limits) spent(n int) {
	l.mu.Lock()
	l.readOut.tokens -= float64(n)
	l.mu.Unlock()
}

// mint takes one iterator at now.
func (l *limits) mint(now int64) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.minted.refill(now, mintCalls)
	if l.minted.tokens < 1 {
		return false
	}
	l.minted.tokens--
	return true
}
