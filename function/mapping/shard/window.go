package shard

// Tumbling windows: the records of a stretch of time share a state that each
// answer hands to the next invocation. The last invocation of a window has no
// records. A shard's end ends its window; its children begin without one.

func (m *Machine) windowOf(milli int64) int64 {
	length := m.cfg.Tumbling.Milliseconds()
	// What comes after its window was closed counts to the next.
	milli = max(milli, m.state.Closed)
	return milli - milli%length
}

func (m *Machine) endOf(start int64) int64 { return start + m.cfg.Tumbling.Milliseconds() }

// keep makes what an answer holds the state of the window.
func (m *Machine) keep(b *batch, state []byte) {
	if b.window == nil {
		return
	}
	if state == nil {
		state = b.window.State
	}
	m.state.Window = &Window{Start: b.window.Start, State: state}
}

// closeWindow makes the last invocation of the open window.
func (m *Machine) closeWindow(now int64, l *lane) {
	l.batch = batch{final: true, window: m.state.Window}
	m.attempt(now, l)
}

// closeEarly turns a batch into the last invocation of its window, whose state
// is too large to go on with.
func (m *Machine) closeEarly(l *lane, state []byte) {
	b := &l.batch
	b.final, b.early = true, true
	b.failed, b.refused, b.invokes = 0, 0, 0
	b.window = &Window{Start: b.window.Start, State: state}
}

// closed ends the window of a last invocation, and with it the batch that
// ended it early.
func (m *Machine) closed(l *lane, b *batch) {
	if !b.early {
		m.state.Closed = m.endOf(b.window.Start)
	}
	m.state.Window = nil
	m.done(l, b.count)
}
