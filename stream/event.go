package stream

import (
	"math/bits"
	"sync"
	"time"

	"github.com/thalweg/thalweg/flow"
	"github.com/thalweg/thalweg/shardlog"
)

// What one event holds at most, but for a single record that is larger: less
// while what all subscriptions hold, for readers that are slow to take it, is
// near eventsHeld.
const (
	eventRecords = 10000
	eventBytes   = 1 << 20
	eventLeast   = 32 << 10
	eventsHeld   = 256 << 20
)

// sharedFor is how long an event is given to more subscriptions: as old may be
// what it says of the shard's tip.
const sharedFor = 100 * time.Millisecond

// Form is how events are written for their readers. It is told from others by
// its address.
type Form struct {
	Size   func(ev *Event) int // about how many bytes Append appends
	Append func(dst []byte, ev *Event) ([]byte, error)
}

// Event is what a subscription has to say. Subscriptions may share it: it is
// read-only, and Release gives back their part in it.
type Event struct {
	ReadPage              // without Next; once written, of the records only the figures are left
	Continuation Sequence // subscribing after it goes on here; not at the shard's end
	Message      []byte   // the event in the subscription's Form; nil if that is

	next flow.Pos // read on from here
	last int64    // when the last record was taken in, Unix milliseconds
	void bool     // nothing was there to be told

	home    *events
	writing sync.Mutex // held by whom it is made
	key     eventKey
	made    time.Time
	holders int // home.mu guards it
}

// Release gives the event and its memory back.
func (ev *Event) Release() { ev.home.release(ev) }

// eventKey is what an event begins with: whoever wants the same is given the
// same.
type eventKey struct {
	shard shardlog.Shard
	from  flow.Pos
	form  *Form
}

// events is all events that somebody has. One is read and written once for all
// subscriptions that come to its position within a moment. As each goes on
// where the event ends, those that keep up stay together.
type events struct {
	mu     sync.Mutex
	shared map[eventKey]*Event
	held   int // bytes of all messages

	unused  sync.Pool // of *Event
	buffers [maxBuffer + 1]sync.Pool
}

// Buffers have powers of two bytes, up to the 2^24 that the largest record
// takes; larger ones are not kept.
const (
	minBuffer = 10
	maxBuffer = 24
)

// claim returns the event for a key: one that somebody else has (mine is
// false), or one for the caller to fill and then to settle.
func (t *events) claim(key eventKey, now time.Time) (ev *Event, mine bool) {
	t.mu.Lock()
	if ev := t.shared[key]; ev != nil && now.Sub(ev.made) < sharedFor {
		ev.holders++
		t.mu.Unlock()
		ev.writing.Lock() // wait until it is filled
		ev.writing.Unlock()
		return ev, false
	}
	ev = t.blank()
	ev.key, ev.made = key, now
	ev.writing.Lock()
	if t.shared == nil {
		t.shared = make(map[eventKey]*Event)
	}
	t.shared[key] = ev
	t.mu.Unlock()
	return ev, true
}

// settle tells those who wait for a claimed event what became of it.
func (t *events) settle(ev *Event) {
	if ev.void {
		t.mu.Lock()
		t.unshare(ev)
		t.mu.Unlock()
	}
	ev.writing.Unlock()
}

// unshare lets nobody else have the event. The lock is held.
func (t *events) unshare(ev *Event) {
	if t.shared[ev.key] == ev {
		delete(t.shared, ev.key)
	}
}

// blank returns an event that is its caller's alone.
func (t *events) blank() *Event {
	ev, _ := t.unused.Get().(*Event)
	if ev == nil {
		ev = &Event{home: t}
	}
	ev.holders = 1
	return ev
}

func (t *events) release(ev *Event) {
	t.mu.Lock()
	if ev.holders--; ev.holders > 0 {
		t.mu.Unlock()
		return
	}
	t.unshare(ev)
	t.held -= cap(ev.Message)
	t.mu.Unlock()
	t.giveBack(ev.Message)
	ev.ReadPage.Release()
	ev.Continuation, ev.Message, ev.next, ev.last, ev.void, ev.key = Sequence{}, nil, 0, 0, false, eventKey{}
	t.unused.Put(ev)
}

// room is how many bytes of records an event may have now.
func (t *events) room() int {
	t.mu.Lock()
	defer t.mu.Unlock()
	return max(eventLeast, min(eventBytes, (eventsHeld-t.held)/8))
}

// write makes the event's message and lets go of the records, whose memory the
// log needs: the reader may be slow.
func (t *events) write(ev *Event, form *Form) error {
	if form == nil {
		return nil
	}
	dst, err := form.Append(t.buffer(form.Size(ev)), ev)
	ev.Message = dst
	t.mu.Lock()
	t.held += cap(dst)
	t.mu.Unlock()
	records, size, behind := ev.Records, ev.Bytes, ev.Behind
	ev.Page.Release()
	ev.Records, ev.Bytes, ev.Behind = records, size, behind
	return err
}

// buffer returns an empty buffer for n bytes.
func (t *events) buffer(n int) []byte {
	class := max(minBuffer, bits.Len(uint(max(n, 1)-1)))
	if class > maxBuffer {
		return make([]byte, 0, n)
	}
	if b, ok := t.buffers[class].Get().(*[]byte); ok {
		return (*b)[:0]
	}
	return make([]byte, 0, 1<<class)
}

func (t *events) giveBack(b []byte) {
	if class := bits.Len(uint(cap(b))) - 1; class >= minBuffer && class <= maxBuffer {
		t.buffers[class].Put(&b)
	}
}
