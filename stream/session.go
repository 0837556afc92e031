package stream

import (
	"sync"
	"time"
)

// The times of a subscription.
const (
	sessionLife = 5 * time.Minute
	// AWS promises an event every five seconds, and clients give up after ten.
	beatEvery = 4 * time.Second
	// takeOverAfter is how old a subscription must be before another one to
	// the same shard, for the same consumer, takes its place.
	takeOverAfter = 5 * time.Second
)

// session is when a subscription does what: it is told of what happened, and
// asked what comes next. It looks at no clock and waits for nothing.
type session struct {
	began time.Time
	spoke time.Time // when the last event was sent
	over  bool      // the end of the shard was told
}

// step is what a subscription does next.
type step uint8

const (
	look step = iota // for records
	wait             // for records, until the time named
	rest             // until the time named: more than its rate was sent
	beat             // say that there is nothing to say
	stop             // end the stream
)

// next returns what to do at now. paid is when what was sent so far is within
// the rate; empty tells that a look has just found nothing. Records come before
// heartbeats, or a reader that takes long over each event would get no other.
func (s *session) next(now, paid time.Time, empty bool) (step, time.Time) {
	end, due := s.began.Add(sessionLife), s.spoke.Add(beatEvery)
	until := due
	if end.Before(due) {
		until = end
	}
	resting := now.Before(paid)
	switch {
	case s.over || !now.Before(end):
		return stop, now
	case !empty && !resting:
		return look, now
	case !now.Before(due):
		return beat, now
	case !resting:
		return wait, until
	case paid.Before(until):
		until = paid
	}
	return rest, until
}

// pace is the rate at which one consumer gets one shard's records: it goes on
// from one subscription to the next.
type pace struct {
	mu    sync.Mutex
	bytes bucket
}

// paid returns when what was sent is paid for: in the past, if it is.
func (p *pace) paid(now time.Time) time.Time {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.bytes.step(now.UnixNano(), readBytes)
	if p.bytes.tokens > 0 {
		return now
	}
	seconds := time.Duration(-p.bytes.tokens/readBytes) + 1
	return time.Unix(0, p.bytes.at).Add(seconds * time.Second)
}

func (p *pace) spend(n int) {
	p.mu.Lock()
	p.bytes.tokens -= float64(n)
	p.mu.Unlock()
}
