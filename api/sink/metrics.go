package sink

import (
	"sync"
	"time"
)

// Metrics holds what clients put to CloudWatch: per series the number and the
// sum of all samples since the server started, and the bounds of the latest
// datum. The zero Metrics is ready, and safe for concurrent use.
//
// Clients choose the names, so their number is bounded: at maxSeries series, or
// maxText bytes of names, one that got nothing for an hour makes room, or the
// datum is dropped and counted.
type Metrics struct {
	mu      sync.Mutex
	series  map[labels]*series
	text    int // bytes of all labels
	swept   time.Time
	dropped uint64
}

const (
	maxSeries = 10_000
	maxText   = 8 << 20
	idle      = time.Hour
	sweepGap  = time.Minute
)

// labels name a series.
type labels struct{ account, namespace, name, dimensions, unit string }

func (l labels) size() int {
	return len(l.account) + len(l.namespace) + len(l.name) + len(l.dimensions) + len(l.unit)
}

// statistics are what is known of some samples.
type statistics struct{ sum, count, minimum, maximum float64 }

type datum struct {
	labels
	statistics
}

type series struct {
	statistics
	at time.Time // of the latest datum
}

// Series is one series of Metrics.
type Series struct {
	Account, Namespace, Name string
	Dimensions               string // Name=Value,Name=Value
	Unit                     string // Count, Milliseconds
	Sum, Count               float64
	Minimum, Maximum         float64 // of the latest datum
}

// All returns every series there is, in no order.
func (m *Metrics) All() []Series {
	m.mu.Lock()
	defer m.mu.Unlock()
	all := make([]Series, 0, len(m.series))
	for l, s := range m.series {
		all = append(all, Series{l.account, l.namespace, l.name, l.dimensions, l.unit, s.sum, s.count, s.minimum, s.maximum})
	}
	return all
}

// Dropped is the number of data that there was no room for.
func (m *Metrics) Dropped() uint64 {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.dropped
}

func (m *Metrics) add(data []datum, now time.Time) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.series == nil {
		m.series = map[labels]*series{}
	}
	for _, d := range data {
		s := m.series[d.labels]
		if s == nil {
			if !m.room(d.size(), now) {
				m.dropped++
				continue
			}
			s = new(series)
			m.series[d.labels] = s
			m.text += d.size()
		}
		s.sum += d.sum
		s.count += d.count
		s.minimum, s.maximum, s.at = d.minimum, d.maximum, now
	}
}

// room reports whether one more series with size bytes of labels may be there,
// after looking, now and then, for those that may go.
func (m *Metrics) room(size int, now time.Time) bool {
	fits := func() bool { return len(m.series) < maxSeries && m.text+size <= maxText }
	if !fits() && now.Sub(m.swept) >= sweepGap {
		m.swept = now
		for l, s := range m.series {
			if now.Sub(s.at) >= idle {
				delete(m.series, l)
				m.text -= l.size()
			}
		}
	}
	return fits()
}
