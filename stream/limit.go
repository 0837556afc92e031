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

// step brings the bucket to now by whole seconds, and returns what was too much
// for it. Whoever uses up what there is gets no more than rate in each second
// from then on: with refill it would be a second's worth more over any time,
// which is a tenth too much over ten seconds. A second begins when a full
// bucket is used.
func (b *bucket) step(now int64, rate float64) (over float64) {
	switch {
	case b.at == 0:
		b.tokens, b.at = rate, now
	case now <= b.at:
	case b.tokens >= rate:
		over = rate * float64(now-b.at) / float64(time.Second)
		b.at = now
	default:
		n := (now - b.at) / int64(time.Second)
		all := b.tokens + rate*float64(n)
		b.at += n * int64(time.Second)
		if b.tokens = min(rate, all); all >= rate {
			over = all - rate + rate*float64(now-b.at)/float64(time.Second)
			b.at = now
		}
	}
	return over
}

// has tells whether n tokens are there, or all that the bucket can hold.
func (b *bucket) has(n, rate float64) bool { return b.tokens >= min(n, rate) }

// tank is what large records may take beyond a second's worth: AWS has them
// burst, up to the largest there can be, out of a tank that fills while there
// is less traffic than the shard takes. So records of up to a second's worth go
// on at their rate right after a large one, and over time the rate holds for
// all of them together.
const tankBytes = 10 << 20

// refillBytes brings the bucket of bytes to now; what is too much for it goes
// to the tank, which starts full.
func (l *limits) refillBytes(now int64) {
	if l.bytes.at == 0 {
		l.tank = tankBytes
	}
	l.tank = min(tankBytes, l.tank+l.bytes.step(now, writeBytes))
}

// takeBytes takes what a record needs: a large one from the tank first.
func (l *limits) takeBytes(n float64) bool {
	if n <= writeBytes {
		if l.bytes.tokens < n {
			return false
		}
		l.bytes.tokens -= n
		return true
	}
	// The largest record and its key may be a little more than the tank holds.
	if l.tank+l.bytes.tokens < min(n, tankBytes) {
		return false
	}
	rest := max(0, n-l.tank)
	l.tank = max(0, l.tank-n)
	l.bytes.tokens -= rest
	return true
}

// limits are the rates of one shard. refused is the fault for exceeding one,
// made beforehand: a throttled record must be cheap to refuse.
type limits struct {
	refused error
	load    load // of writes, whether limited or not

	mu                     sync.Mutex
	records, bytes         bucket // written
	tank                   float64
	calls, readOut, minted bucket

	writesRefused, readsRefused int64 // records and calls, for the figures
	traffic                     shardTraffic
}

func newLimits(r Ref, index uint32) *limits {
	return &limits{refused: rateExceeded(r, index)}
}

// write takes one record of n bytes (key and data) at now.
func (l *limits) write(now int64, n int) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.records.step(now, writeRecords)
	l.refillBytes(now)
	if !l.records.has(1, writeRecords) || !l.takeBytes(float64(n)) {
		l.writesRefused++
		return false
	}
	l.records.tokens--
	return true
}

// read takes one call at now, provided that earlier reads are paid for.
func (l *limits) read(now int64) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.calls.step(now, readCalls)
	l.readOut.step(now, readBytes)
	if l.calls.tokens < 1 || l.readOut.tokens <= 0 {
		l.readsRefused++
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
	l.minted.step(now, mintCalls)
	if l.minted.tokens < 1 {
		return false
	}
	l.minted.tokens--
	return true
}
