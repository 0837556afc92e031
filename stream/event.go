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

// An event is kept for those that are still to come to it, but not for longer
// than sharedFor, as old may be what it says of the shard's tip, and not when
// all that are kept are more than sharedBytes.
const (
	sharedFor   = 100 * time.Millisecond
	sharedBytes = 32 << 20
)

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
	writing sync.RWMutex // held by whom it is made, while it is

	// home.mu guards the rest.
	key          eventKey
	made         time.Time
	holders      int // subscriptions that have it, and home while it keeps it
	wanted       int // by subscriptions that are still to come
	kept, lost   bool
	older, newer *Event // those that are kept, too
}

// Release gives the event and its memory back.
func (ev *Event) Release() { ev.home.release(ev, false) }

// Lose is Release by one who cannot tell whether the message is still being
// read, as after a write that failed: its memory is not used again.
func (ev *Event) Lose() { ev.home.release(ev, true) }

// eventKey is what an event begins with: whoever wants the same is given the
// same.
type eventKey struct {
	audience
	from flow.Pos
}

// audience is all subscriptions to a shard that want events in one form.
type audience struct {
	shard shardlog.Shard
	form  *Form
}

// events is all events that somebody has or will want. One is read and written
// once for all of its audience that come to its position within a moment. As
// each goes on where the event ends, those that keep up stay together.
type events struct {
	mu             sync.Mutex
	audiences      map[audience]int
	shared         map[eventKey]*Event // those that are kept
	oldest, newest *Event              // of them
	keeps, held    int                 // bytes of messages: of those that are kept, of all

	unused  sync.Pool // of *Event
	buffers [maxBuffer + 1]sync.Pool
}

// join counts one subscription more, or less, of an audience.
func (t *events) join(a audience, n int) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.audiences == nil {
		t.audiences = make(map[audience]int)
	}
	if t.audiences[a] += n; t.audiences[a] == 0 {
		delete(t.audiences, a)
	}
}

// Buffers have powers of two bytes, up to the 2^24 that the largest record
// takes; larger ones are not kept.
const (
	minBuffer = 10
	maxBuffer = 24
)

// claim returns the event for a key: one that somebody else has made (mine is
// false), or one for the caller to fill and then to settle.
func (t *events) claim(key eventKey, now time.Time) (ev *Event, mine bool) {
	t.mu.Lock()
	for t.oldest != nil && (now.Sub(t.oldest.made) >= sharedFor || t.keeps > sharedBytes) {
		t.let(t.oldest)
	}
	if ev := t.shared[key]; ev != nil {
		ev.holders++
		if ev.wanted--; ev.wanted == 0 {
			t.let(ev)
		}
		t.mu.Unlock()
		ev.writing.RLock() // wait until it is filled
		defer ev.writing.RUnlock()
		return ev, false
	}
	ev = t.blank()
	ev.key, ev.made = key, now
	if ev.wanted = t.audiences[key.audience] - 1; ev.wanted > 0 {
		t.keep(ev)
	}
	ev.writing.Lock()
	t.mu.Unlock()
	return ev, true
}

// settle tells those who wait for a claimed event what became of it.
func (t *events) settle(ev *Event) {
	if ev.void {
		t.mu.Lock()
		t.let(ev)
		t.mu.Unlock()
	}
	ev.writing.Unlock()
}

// keep keeps an event for others, and let no longer. The lock is held.
func (t *events) keep(ev *Event) {
	if t.shared == nil {
		t.shared = make(map[eventKey]*Event)
	}
	t.shared[ev.key] = ev
	ev.kept, ev.older = true, t.newest
	if t.newest != nil {
		t.newest.newer = ev
	} else {
		t.oldest = ev
	}
	t.newest = ev
	ev.holders++
}

func (t *events) let(ev *Event) {
	if !ev.kept {
		return
	}
	delete(t.shared, ev.key)
	if ev.older != nil {
		ev.older.newer = ev.newer
	} else {
		t.oldest = ev.newer
	}
	if ev.newer != nil {
		ev.newer.older = ev.older
	} else {
		t.newest = ev.older
	}
	ev.kept, ev.older, ev.newer = false, nil, nil
	t.keeps -= cap(ev.Message)
	t.drop(ev)
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

func (t *events) release(ev *Event, lost bool) {
	t.mu.Lock()
	ev.lost = ev.lost || lost
	t.drop(ev)
	t.mu.Unlock()
}

// drop ends one hold on an event, whose memory goes back after the last. The
// lock is held.
func (t *events) drop(ev *Event) {
	if ev.holders--; ev.holders > 0 {
		return
	}
	t.held -= cap(ev.Message)
	if !ev.lost {
		t.giveBack(ev.Message)
	}
	ev.ReadPage.Release()
	ev.Continuation, ev.Message, ev.next, ev.last, ev.void, ev.lost, ev.key = Sequence{}, nil, 0, 0, false, false, eventKey{}
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
	t.mu.Lock()
	ev.Message = dst
	t.held += cap(dst)
	if ev.kept {
		t.keeps += cap(dst)
	}
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
