package journal

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"
	"unsafe"

	"github.com/thalweg/thalweg/internal/offheap"
	"github.com/thalweg/thalweg/shardlog"
)

// chunkSize is the memory that entries are cut from. A larger entry gets a
// chunk of its own.
const chunkSize = 4 << 20

// A chunk is memory for frames. It goes back to the arena when nobody holds
// it: refs counts the entries reserved in it and not yet appended or released,
// one for each epoch with frames in it, and one while it is being filled.
type chunk struct {
	arena *arena
	buf   []byte
	mem   *offheap.Memory // buf is of; nil: of memory that recovery read into
	refs  atomic.Int64
	epoch *epoch // the last epoch that took a hold; the committer's
	index uint32 // the chunk's number in that epoch
}

func (c *chunk) release(n int64) {
	if c.refs.Add(-n) == 0 {
		c.arena.recycle(c)
	}
}

// offset tells where in the chunk an entry's payload lies.
func (c *chunk) offset(payload []byte) int {
	return int(uintptr(unsafe.Pointer(unsafe.SliceData(payload))) - uintptr(unsafe.Pointer(unsafe.SliceData(c.buf))))
}

// arena hands out memory for frames and bounds how much of it awaits the
// sorted segments.
type arena struct {
	limit int64 // bytes that may be live before Reserve waits

	mu      sync.Mutex
	cur     *chunk
	used    int // of cur
	free    []*chunk
	keep    int   // chunks kept for reuse
	live    int64 // bytes reserved and neither released nor sealed
	err     error // set: nothing more is handed out
	stuck   error // set: there will be no room soon, so nobody waits for it
	waiting []*roomWaiter
}

type roomWaiter struct {
	need int64
	room chan error
}

func newArena(limit int64) *arena {
	return &arena{limit: limit, keep: int(max(4, limit/chunkSize/2))}
}

// reserve gives each entry its payload, with room for a frame header in front.
func (a *arena) reserve(ctx context.Context, entries []shardlog.Entry) error {
	need := int64(0)
	for i := range entries {
		if n := entries[i].Size; n < 0 || n > maxPayload {
			return fmt.Errorf("reserve: an entry of %d bytes; at most %d", n, maxPayload)
		}
		need += int64(frameHeader + entries[i].Size)
	}
	a.mu.Lock()
	if a.err != nil {
		defer a.mu.Unlock()
		return a.err
	}
	// Live bytes alone decide, not what is asked for: a call larger than the
	// limit must pass as well, when its turn comes.
	if a.live >= a.limit && a.stuck != nil {
		defer a.mu.Unlock()
		return a.stuck
	}
	if a.live >= a.limit || len(a.waiting) > 0 {
		w := &roomWaiter{need: need, room: make(chan error, 1)}
		a.waiting = append(a.waiting, w)
		a.mu.Unlock()
		select {
		case err := <-w.room:
			if err != nil {
				return err
			}
		case <-ctx.Done():
			a.abandon(w)
			return ctx.Err()
		}
		a.mu.Lock()
	} else {
		a.live += need
	}
	defer a.mu.Unlock()
	a.cut(entries)
	return nil
}

// cut places the entries, one after another in the current chunk while they
// fit. The lock is held.
func (a *arena) cut(entries []shardlog.Entry) {
	held, c := int64(0), a.cur
	for i := range entries {
		e := &entries[i]
		n := frameHeader + e.Size
		home := a.cur
		switch {
		case n > chunkSize:
			home = a.make(n)
			home.refs.Store(1)
			e.Payload = home.buf[frameHeader:n:n]
			e.Home = home
			continue
		case home == nil || a.used+n > len(home.buf):
			if held > 0 {
				c.refs.Add(held)
				held = 0
			}
			home = a.next()
			c = home
		}
		at := a.used + frameHeader
		a.used += n
		e.Payload = home.buf[at:a.used:a.used]
		e.Home = home
		held++
	}
	if held > 0 {
		c.refs.Add(held)
	}
}

// next puts a fresh chunk in place of the current one.
func (a *arena) next() *chunk {
	old := a.cur
	if n := len(a.free); n > 0 {
		a.cur = a.free[n-1]
		a.free[n-1] = nil
		a.free = a.free[:n-1]
	} else {
		a.cur = a.make(chunkSize)
	}
	a.cur.refs.Store(1)
	a.used = 0
	if old != nil && old.refs.Add(-1) == 0 {
		a.putBack(old)
	}
	return a.cur
}

func (a *arena) make(n int) *chunk {
	mem := offheap.New(n)
	return &chunk{arena: a, buf: mem.Bytes, mem: mem}
}

func (a *arena) recycle(c *chunk) {
	a.mu.Lock()
	a.putBack(c)
	a.mu.Unlock()
}

func (a *arena) putBack(c *chunk) {
	c.epoch = nil
	if len(c.buf) == chunkSize && c.mem != nil && len(a.free) < a.keep {
		a.free = append(a.free, c)
		return
	}
	c.buf = nil
	if c.mem != nil {
		c.mem.Free()
	}
}

// adopt makes a chunk of memory that recovery filled; the caller holds it once.
func (a *arena) adopt(buf []byte) *chunk {
	c := &chunk{arena: a, buf: buf}
	c.refs.Store(1)
	return c
}

// charge counts bytes that recovery brought in.
func (a *arena) charge(n int64) {
	a.mu.Lock()
	a.live += n
	a.mu.Unlock()
}

// awaiting is how many bytes are reserved and neither released nor sealed.
func (a *arena) awaiting() int64 {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.live
}

// credit takes n live bytes off and lets those in who wait for room, in the
// order they came.
func (a *arena) credit(n int64) {
	if n == 0 {
		return
	}
	a.mu.Lock()
	a.live -= n
	a.admit()
	a.mu.Unlock()
}

func (a *arena) admit() {
	n := 0
	for n < len(a.waiting) && a.live < a.limit {
		w := a.waiting[n]
		a.live += w.need
		w.room <- nil
		n++
	}
	if n > 0 {
		rest := copy(a.waiting, a.waiting[n:])
		clear(a.waiting[rest:])
		a.waiting = a.waiting[:rest]
	}
}

// abandon takes back a wait for room. If room was granted meanwhile it is
// given back.
func (a *arena) abandon(w *roomWaiter) {
	a.mu.Lock()
	defer a.mu.Unlock()
	for i, x := range a.waiting {
		if x == w {
			a.waiting = append(a.waiting[:i], a.waiting[i+1:]...)
			a.admit()
			return
		}
	}
	if err := <-w.room; err == nil {
		a.live -= w.need
		a.admit()
	}
}

// stop makes every reserve, waiting or to come, fail with err.
func (a *arena) stop(err error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.err != nil {
		return
	}
	a.err = err
	for _, w := range a.waiting {
		w.room <- err
	}
	a.waiting = nil
}

// block makes those who would wait for room fail with err instead, until err
// is nil again.
func (a *arena) block(err error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.stuck = err
	if err != nil {
		for _, w := range a.waiting {
			w.room <- err
		}
		a.waiting = nil
	}
}

// giveBack ends the entries' hold on their memory. The bytes of those that
// are in no epoch, because they failed or all were released, no longer count
// as awaiting the disk either.
func (a *arena) giveBack(entries []shardlog.Entry, released bool) {
	var n, bytes int64
	var c *chunk
	for i := range entries {
		e := &entries[i]
		home, ok := e.Home.(*chunk)
		if !ok {
			continue
		}
		if home != c && n > 0 {
			c.release(n)
			n = 0
		}
		c = home
		n++
		if released || e.Err != nil {
			bytes += int64(frameHeader + e.Size)
		}
		e.Home, e.Payload = nil, nil
	}
	if n > 0 {
		c.release(n)
	}
	a.credit(bytes)
}
