package shard

import (
	"time"

	"github.com/thalweg/thalweg/function/mapping/event"
)

// Step returns what is to be done as of now, and when to ask again even if
// nothing happens (zero: never).
func (m *Machine) Step(now time.Time) (todo []Batch, wake time.Time) {
	m.reshape()
	for i := range m.lanes {
		at := m.lane(now.UnixMilli(), &m.lanes[i])
		if at != 0 && (wake.IsZero() || at < wake.UnixMilli()) {
			wake = time.UnixMilli(at)
		}
	}
	m.reshape()
	todo, m.out = m.out, nil
	return todo, wake
}

// lane does what is due in a lane and returns when to look again, 0 for never.
func (m *Machine) lane(now int64, l *lane) (wake int64) {
	switch l.batch.phase {
	case invoked, sending:
		return 0
	case resting:
		return m.rested(now, l)
	}
	switch {
	case m.changed:
		if m.state.Window != nil && l == &m.lanes[0] {
			m.closeWindow(now, l)
		}
		return 0
	case len(l.pieces) > 0:
		last := len(l.pieces) - 1
		l.batch = batch{count: l.pieces[last]}
		l.pieces = l.pieces[:last]
		return m.attempt(now, l)
	case len(l.queue) == 0:
		// A window belongs to the first lane; there are others only where it is
		// left from settings with windows.
		if w := m.state.Window; w != nil && l == &m.lanes[0] && (m.ended || m.until >= m.endOf(w.Start)) {
			m.closeWindow(now, l)
		}
		return 0
	}
	return m.form(now, l)
}

// rested goes on with a batch that rests, when it is time.
func (m *Machine) rested(now int64, l *lane) (wake int64) {
	if now >= l.batch.until {
		return m.attempt(now, l)
	}
	wake = l.batch.until
	if first := m.oldest(l); m.cfg.Age > 0 {
		expires := first + m.cfg.Age.Milliseconds() + 1
		if now >= expires {
			return m.attempt(now, l)
		}
		wake = min(wake, expires)
	}
	return wake
}

// oldest is the time of a batch's first record, or of its window's end.
func (m *Machine) oldest(l *lane) int64 {
	if l.batch.final {
		return m.endOf(l.batch.window.Start)
	}
	return m.at(l.queue[0]).Time
}

// form makes a batch of a lane's first records, if there is reason to.
func (m *Machine) form(now int64, l *lane) (wake int64) {
	first := m.at(l.queue[0])
	limit := m.cfg.MaxBytes
	var w *Window
	if m.cfg.Tumbling > 0 {
		start := m.windowOf(first.Time)
		if w = m.state.Window; w == nil {
			w = &Window{Start: start}
		}
		if w.Start != start {
			m.closeWindow(now, l)
			return 0
		}
		limit -= len(w.State)
	}
	count, bytes, full := 0, 0, false
	for _, at := range l.queue {
		e := m.at(at)
		if count == m.cfg.BatchSize || count > 0 && bytes+e.Size+1 > limit || w != nil && m.windowOf(e.Time) != w.Start {
			full = true
			break
		}
		count++
		bytes += e.Size + 1
	}
	full = full || count == m.cfg.BatchSize || m.ended || w != nil && m.until >= m.endOf(w.Start)
	if due := first.seen + m.cfg.Window.Milliseconds(); !full && now < due {
		return due
	}
	l.batch = batch{count: count, window: w}
	return m.attempt(now, l)
}

// attempt invokes the function with a batch, unless some of its records are
// too old or too large.
func (m *Machine) attempt(now int64, l *lane) (wake int64) {
	b := &l.batch
	b.phase = idle
	if b.window == nil && m.cfg.Tumbling > 0 { // a piece, or what is left of a batch
		if b.window = m.state.Window; b.window == nil {
			b.window = &Window{Start: m.windowOf(m.at(l.queue[0]).Time)}
		}
	}
	if age := m.cfg.Age.Milliseconds(); age > 0 {
		old := 0
		if b.final && now-m.endOf(b.window.Start) > age {
			m.giveUp(l, event.RecordAgeExceeded)
			return 0
		}
		for !b.final && old < b.count && now-m.at(l.queue[old]).Time > age {
			old++
		}
		if old > 0 {
			m.giveUpFirst(l, old, event.RecordAgeExceeded)
			return 0
		}
	}
	if !b.final && b.count == 1 && m.at(l.queue[0]).Size+1 > m.room(b) {
		if b.window != nil && m.at(l.queue[0]).Size+1 <= m.cfg.MaxBytes {
			// There is room without the state.
			l.pieces = append(l.pieces, 1)
			b.count = 0
			m.closeEarly(l, b.window.State)
		} else {
			m.giveUp(l, event.PayloadSizeExceeded)
			return 0
		}
	}
	b.phase = invoked
	b.invokes++
	m.emit(l, "")
	return 0
}

// room is how large a batch's records may be.
func (m *Machine) room(b *batch) int {
	if b.window == nil {
		return m.cfg.MaxBytes
	}
	return m.cfg.MaxBytes - len(b.window.State)
}

// emit hands a lane's batch out.
func (m *Machine) emit(l *lane, why event.Condition) {
	b := &l.batch
	m.ids++
	b.id = m.ids
	out := Batch{ID: b.id, Failure: why, Invokes: b.invokes, Expect: event.Expect{Items: m.cfg.Items}}
	if !b.final {
		out.Records = make([]Record, b.count)
		for i := range out.Records {
			out.Records[i] = m.at(l.queue[i]).Record
		}
	}
	if b.window != nil {
		out.Window = &event.Window{
			Start: b.window.Start, End: m.endOf(b.window.Start), State: b.window.State, Final: b.final, Early: b.early,
		}
		out.Expect.Window, out.Expect.Final = true, b.final
	}
	m.out = append(m.out, out)
}

// giveUp sends a batch to the on-failure destination.
func (m *Machine) giveUp(l *lane, why event.Condition) {
	l.batch.phase = sending
	m.emit(l, why)
}

// giveUpFirst sends the first n records of a batch there; the others are a
// batch of their own.
func (m *Machine) giveUpFirst(l *lane, n int, why event.Condition) {
	if rest := l.batch.count - n; rest > 0 {
		l.pieces = append(l.pieces, rest)
	}
	l.batch.count = n
	m.giveUp(l, why)
}

// Sent tells that a batch that was given up is with the destination, or that
// there is none.
func (m *Machine) Sent(id uint64) {
	l := m.find(id, sending)
	if l == nil {
		return
	}
	b := l.batch
	l.batch = batch{}
	if b.final {
		m.closed(l, &b)
	} else {
		m.done(l, b.count)
	}
	m.advance()
}

// Result tells what became of an invocation.
func (m *Machine) Result(now time.Time, id uint64, r Result) {
	l := m.find(id, invoked)
	if l == nil {
		return
	}
	b := &l.batch
	b.phase = idle
	switch {
	case r.Refused:
		b.refused = min(b.refused+1, mostRefused)
		b.invokes--
		m.rest(now, b, b.refused)
	case b.final:
		if r.Failed {
			m.failed(now, l, true)
			break
		}
		whole := *b
		l.batch = batch{}
		m.closed(l, &whole)
	case r.Failed, r.Cut >= 0 && len(r.State) > event.MaxState:
		m.failed(now, l, true)
	case r.Cut >= 0:
		m.cut(now, l, r)
	case b.window != nil && len(r.State) > event.MaxState:
		// The window ends here: its last call gets the state as it is. Until
		// that is over, the batch does not count as dealt with.
		m.closeEarly(l, r.State)
		b.phase = invoked
		b.invokes = 1
		m.emit(l, "")
	default:
		m.keep(b, r.State)
		n := b.count
		l.batch = batch{}
		m.done(l, n)
	}
	m.advance()
}

// cut goes on with a batch of which the first records are dealt with.
func (m *Machine) cut(now time.Time, l *lane, r Result) {
	b := &l.batch
	progress := r.Cut > 0
	if progress {
		m.keep(b, r.State)
		m.done(l, r.Cut)
		b.count -= r.Cut
		// What failed is another record now, whose first failure this is: and
		// none where cutting is splitting, which uses up no retries.
		b.failed, b.invokes, b.window = 0, 1, nil
		if m.cfg.Bisect {
			m.rest(now, b, 1)
			return
		}
	}
	m.failed(now, l, false)
}

// failed counts a failure of a batch: it is split, tried again or given up.
func (m *Machine) failed(now time.Time, l *lane, split bool) {
	b := &l.batch
	b.refused = 0
	if split && m.cfg.Bisect && b.count > 1 && !b.final {
		half := b.count / 2
		l.pieces = append(l.pieces, b.count-half)
		*b = batch{count: half}
		m.rest(now, b, 1)
		return
	}
	b.failed++
	if m.cfg.Retries >= 0 && b.failed > m.cfg.Retries {
		m.giveUp(l, event.RetryAttemptsExhausted)
		return
	}
	m.rest(now, b, b.failed)
}

// rest lets a batch rest, the longer the more often it has.
func (m *Machine) rest(now time.Time, b *batch, times int) {
	pause := longRest
	if times < 16 {
		pause = min(longRest, firstRest<<(times-1))
	}
	b.phase, b.until = resting, now.Add(pause).UnixMilli()
}

func (m *Machine) find(id uint64, p phase) *lane {
	for i := range m.lanes {
		if l := &m.lanes[i]; l.batch.id == id && l.batch.phase == p {
			return l
		}
	}
	return nil
}

// done takes the first n records off a lane.
func (m *Machine) done(l *lane, n int) {
	for _, at := range l.queue[:n] {
		m.finish(at)
	}
	l.queue = l.queue[n:]
}
