// Package shard is the machine that takes one shard's records to a function:
// it forms batches, keeps the order of each partition key, tries again, gives
// up and moves the checkpoint. It hides all rules of order and time of an event
// source mapping. It is pure: records, results and the time go in, and what is
// to be done comes out; it knows of a record where it lies, when it came, how
// large it is and in which lane it goes, never its data. (Lambda Developer
// Guide, "Using Lambda to process records from Amazon Kinesis Data Streams")
package shard

import (
	"time"

	"github.com/thalweg/thalweg/flow"
	"github.com/thalweg/thalweg/function/mapping/event"
)

// Config is what a mapping says about its shards.
type Config struct {
	BatchSize int           // 1..10000
	Window    time.Duration // to wait for a full batch; 0: not at all
	Parallel  int           // lanes, 1..10; 1 with Tumbling
	Bisect    bool          // split a batch that failed
	Retries   int           // of a batch that failed; -1: for ever
	Age       time.Duration // of a record that is still tried; 0: any
	Items     bool          // the function reports which records failed
	Tumbling  time.Duration // of windows whose state goes from batch to batch; 0: none
	MaxBytes  int           // of an event's records and the window's state
}

// Record is what the machine knows of one record.
type Record struct {
	Pos  flow.Pos
	Time int64  // Unix milliseconds, never decreasing within a shard
	Size int    // bytes in an event
	Hash uint32 // of its partition key
	Drop bool   // no filter wants it
}

// State is how far a shard is dealt with: what is kept durably. The zero State
// is the beginning of a shard.
type State struct {
	Next flow.Pos `json:"next"` // every record before it is dealt with
	// Of each of several lanes, every record of it before a position is dealt
	// with. Records are in lane Hash modulo the number of lanes.
	Lanes  []flow.Pos `json:"lanes,omitempty"`
	Window *Window    `json:"window,omitempty"` // the open one
	Closed int64      `json:"closed,omitzero"`  // Unix milliseconds: the end of the last window that was closed
	Done   bool       `json:"done,omitzero"`    // the shard has ended and all of it is dealt with
}

// Window is an open tumbling window.
type Window struct {
	Start int64  `json:"start"` // Unix milliseconds
	State []byte `json:"state,omitempty"`
}

// Batch is what is to be done: a function is to be invoked with some records,
// or they are to be sent to the on-failure destination. Each is answered by
// one call of Result or Sent.
type Batch struct {
	ID      uint64
	Records []Record
	Window  *event.Window // of a tumbling window
	Expect  event.Expect

	Failure event.Condition // not "": it was given up
	Invokes int             // how often it was tried
}

// Result is what became of an invocation.
type Result struct {
	Refused bool // it did not take place, or not for the function's fault
	event.Verdict
}

// Machine takes one shard through. The zero Machine is not ready: see New. It
// is used by one goroutine.
type Machine struct {
	cfg     Config
	next    Config // to be taken over once no lane is busy, if changed
	changed bool

	entries []entry // those from base on, by position, not all dealt with
	base    uint64  // the index of the first
	read    flow.Pos
	bytes   int // of entries not dealt with
	until   int64
	ended   bool

	lanes []lane
	skip  []flow.Pos // the Lanes that the machine began with, whatever its own are
	ids   uint64
	state State

	out []Batch
}

type entry struct {
	Record
	seen int64 // Unix milliseconds when the machine took it in
	done bool
}

// lane is what goes one after another: all records of some partition keys.
type lane struct {
	queue []uint64 // indexes of its entries that are not dealt with, from the oldest
	batch batch
	// Lengths of the pieces that a bisected batch still has, the next last.
	pieces []int
}

// phase is where a lane's batch is.
type phase uint8

const (
	idle    phase = iota
	invoked       // with the function
	resting       // until it is tried again
	sending       // given up, with the on-failure destination
)

// batch is the first records of a lane's queue.
type batch struct {
	phase   phase
	id      uint64
	count   int // records; 0 for the final invocation of a window
	final   bool
	early   bool
	failed  int // results that count, since it has its first record
	refused int // results that do not, since the last that does
	invokes int
	until   int64 // resting
	window  *Window
}

// The pace of trying again: exponential. Eight invocations are seen within a
// minute. (probed on AWS, facts on event source mappings)
const (
	firstRest   = 250 * time.Millisecond
	longRest    = time.Minute
	mostRefused = 6 // rests that grow, of a function that takes nothing: to 8 s
)

// New returns a machine that goes on from a state.
func New(cfg Config, from State) *Machine {
	m := &Machine{cfg: cfg, read: from.Next, state: from, skip: from.Lanes}
	m.lanes = make([]lane, cfg.Parallel)
	return m
}

// Records takes in the records that follow those taken in before. next is
// where reading goes on, until a time before which no record is missing (zero:
// not known).
func (m *Machine) Records(now time.Time, records []Record, next flow.Pos, until time.Time) {
	for _, r := range records {
		if r.Pos < m.read {
			continue
		}
		m.read = r.Pos + 1
		if n := uint32(len(m.skip)); n > 0 && r.Pos < m.skip[r.Hash%n] {
			continue // dealt with before
		}
		if r.Drop { // it takes no place: a batch that waits to be full is read on for
			continue
		}
		at := m.base + uint64(len(m.entries))
		m.entries = append(m.entries, entry{Record: r, seen: now.UnixMilli()})
		m.bytes += r.Size
		l := &m.lanes[r.Hash%uint32(len(m.lanes))]
		l.queue = append(l.queue, at)
	}
	m.read = max(m.read, next)
	if !until.IsZero() {
		m.until = max(m.until, until.UnixMilli())
	}
	m.advance()
}

// End tells that the shard has ended: Records was given its last one.
func (m *Machine) End() {
	m.ended = true
	m.advance()
}

// Configure changes what the mapping says. How often and how long batches are
// tried changes at once, the number of lanes once nothing is under way.
func (m *Machine) Configure(cfg Config) {
	m.next, m.changed = cfg, cfg.Parallel != len(m.lanes) || cfg.Tumbling != m.cfg.Tumbling
	if m.changed {
		// What rests is formed anew; the rest is waited for.
		for i := range m.lanes {
			if l := &m.lanes[i]; l.batch.phase == resting {
				l.batch, l.pieces = batch{}, nil
			}
		}
		cfg.Parallel, cfg.Tumbling = m.cfg.Parallel, m.cfg.Tumbling
	}
	m.cfg = cfg
	m.reshape()
}

// reshape deals the records out to the lanes anew, once nothing is under way.
func (m *Machine) reshape() {
	if !m.changed || m.Busy() {
		return
	}
	if m.next.Tumbling != m.cfg.Tumbling && m.state.Window != nil {
		return // until it is closed
	}
	m.cfg, m.changed = m.next, false
	m.lanes = make([]lane, m.cfg.Parallel)
	for i := range m.entries {
		if e := &m.entries[i]; !e.done {
			l := &m.lanes[e.Hash%uint32(len(m.lanes))]
			l.queue = append(l.queue, m.base+uint64(i))
		}
	}
}

// Lost tells that records of these positions are no more: retention took them
// before they were dealt with.
func (m *Machine) Lost(from, to flow.Pos) {
	for i := range m.lanes {
		l := &m.lanes[i]
		if l.batch.phase == invoked || l.batch.phase == sending {
			continue
		}
		kept := l.queue[:0]
		for _, at := range l.queue {
			if e := m.at(at); e.Pos < from || e.Pos >= to {
				kept = append(kept, at)
				continue
			}
			m.finish(at)
			l.batch, l.pieces = batch{}, nil // formed anew of what there is
		}
		l.queue = kept
	}
	m.advance()
}

// Next is where the shard is to be read on.
func (m *Machine) Next() flow.Pos { return m.read }

// Wants tells whether the machine can take more records: it holds what its
// lanes can work on, and little more.
func (m *Machine) Wants() bool {
	if m.ended || m.changed {
		return false
	}
	count := max(2*m.cfg.Parallel*m.cfg.BatchSize, 2000)
	return len(m.entries) < count && m.bytes < (m.cfg.Parallel+1)*m.cfg.MaxBytes
}

// Busy tells whether an invocation or a delivery is under way.
func (m *Machine) Busy() bool {
	for i := range m.lanes {
		if p := m.lanes[i].batch.phase; p == invoked || p == sending {
			return true
		}
	}
	return false
}

// State is how far the shard is dealt with.
func (m *Machine) State() State {
	s := m.state
	s.Next = m.read
	if len(m.entries) > 0 {
		s.Next = m.entries[0].Pos
	}
	s.Lanes = nil
	for i := range m.lanes {
		at := m.read
		if l := &m.lanes[i]; len(l.queue) > 0 {
			at = m.at(l.queue[0]).Pos
		} else if len(m.skip) == len(m.lanes) {
			at = max(at, m.skip[i])
		}
		if at > s.Next && s.Lanes == nil && len(m.lanes) > 1 {
			s.Lanes = make([]flow.Pos, len(m.lanes))
			for j := range i {
				s.Lanes[j] = s.Next
			}
		}
		if s.Lanes != nil {
			s.Lanes[i] = at
		}
	}
	s.Done = m.ended && len(m.entries) == 0 && s.Window == nil && !m.Busy()
	return s
}

func (m *Machine) at(i uint64) *entry { return &m.entries[i-m.base] }

// finish notes that a record is dealt with.
func (m *Machine) finish(at uint64) {
	if e := m.at(at); !e.done {
		e.done = true
		m.bytes -= e.Size
	}
}

// advance forgets the records before the first that is not dealt with.
func (m *Machine) advance() {
	n := 0
	for n < len(m.entries) && m.entries[n].done {
		n++
	}
	m.base += uint64(n)
	m.entries = m.entries[n:]
}
