package mapping

import (
	"iter"
	"sync/atomic"
	"time"
)

// Counts is what a mapping has done since the server began.
type Counts struct {
	Invocations    atomic.Int64 // that the function took, failed ones included
	Failures       atomic.Int64 // of them, those that failed
	ItemFailures   atomic.Int64 // of them, those that reported records that failed
	Refused        atomic.Int64 // that it did not take: throttles and failures of the service
	Records        atomic.Int64 // that were dealt with by the function
	Filtered       atomic.Int64 // that no filter wanted
	Discarded      atomic.Int64 // that were given up
	SendFailures   atomic.Int64 // deliveries to the on-failure destination that were given up
	IteratorAge    atomic.Int64 // milliseconds between the last record of the last batch and its invocation; -1: there was none
	lastResult     atomic.Pointer[string]
	lastRefusalLog atomic.Int64
}

// LastProcessingResult in AWS's words.
const (
	nothingYet = "No records processed"
	allRight   = "OK"
	callFailed = "PROBLEM: Function call failed"
	noFunction = "PROBLEM: Function not found"
	noStream   = "PROBLEM: Stream not found"
	noDelivery = "PROBLEM: The on-failure destination cannot be reached"
)

func (c *Counts) result(text string) {
	if p := c.lastResult.Load(); p == nil || *p != text {
		c.lastResult.Store(&text)
	}
}

func (m *Mappings) countsOf(uuid string) *Counts {
	m.mu.Lock()
	defer m.mu.Unlock()
	c := m.counts[uuid]
	if c == nil {
		c = new(Counts)
		c.IteratorAge.Store(-1)
		m.counts[uuid] = c
	}
	return c
}

func (m *Mappings) lastResult(uuid string) string {
	m.mu.Lock()
	defer m.mu.Unlock()
	if c := m.counts[uuid]; c != nil {
		if p := c.lastResult.Load(); p != nil {
			return *p
		}
	}
	return nothingYet
}

// Figures is a mapping and what it has counted.
type Figures struct {
	*Mapping
	*Counts
}

// Figures yields all mappings that there are, with what they count.
func (m *Mappings) Figures() iter.Seq[Figures] {
	return func(yield func(Figures) bool) {
		for d := range m.catalog.View().Range(kindMapping, "") {
			if x, err := decodeMapping(d); err == nil && !yield(Figures{x, m.countsOf(x.UUID)}) {
				return
			}
		}
	}
}

// refusedLog tells whether a refusal is to be logged: one a minute is.
func (c *Counts) refusedLog(now time.Time) bool {
	last := c.lastRefusalLog.Load()
	return now.Unix()-last >= 60 && c.lastRefusalLog.CompareAndSwap(last, now.Unix())
}
