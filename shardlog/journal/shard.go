package journal

import (
	"slices"
	"sync"
	"sync/atomic"

	"github.com/thalweg/thalweg/flow"
	"github.com/thalweg/thalweg/shardlog"
)

// shard is what the journal knows of one shard.
type shard struct {
	id shardlog.Shard

	// The committer's view, ahead of what readers see by the group it is
	// writing: what it decides here holds only if that group reaches the disk,
	// and if it does not nothing is acknowledged any more.
	gone    bool
	sealing flow.Pos

	mu        sync.Mutex
	waiters   *waiter
	tail      flow.Pos // after the last record; 0 when there was none
	last      int64    // time of the last record, Unix ms
	newest    piece    // what the last epoch with frames of it holds, if that is in memory; so far one line of memory is all a put needs
	older     []piece  // what earlier epochs in memory hold, oldest first
	live      bool     // its creation is on disk
	dropped   bool
	created   flow.Pos
	retention int64    // ms
	floor     int64    // records taken in before this time (Unix ms) are hidden for ever
	first     flow.Pos // no record before it is visible
	firstAt   int64    // the horizon that first was found for
	end       flow.Pos // 0 while open

	_ [24]byte // to three lines of 64 bytes, which the allocator then aligns
}

// piece is one epoch's frames of one shard. The slice behind refs only grows:
// whoever copied it under the lock may read it without.
type piece struct {
	epoch *epoch
	refs  []ref
}

// ref is one DATA frame in memory: no pointers, so that the collector never
// looks at millions of them.
type ref struct {
	pos    flow.Pos
	time   int64
	chunk  uint32 // in epoch.chunks
	off    uint32 // of the payload
	length uint32
	count  uint32
}

func (r *ref) next() flow.Pos { return r.pos + flow.Pos(r.count) }

// forget takes an epoch out of what readers see.
func (s *shard) forget(e *epoch) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.newest.epoch == e {
		s.newest = piece{}
		return
	}
	// Views share nothing with older but the refs, so it may change in place.
	s.older = slices.DeleteFunc(s.older, func(p piece) bool { return p.epoch == e })
}

// pieces appends what is in memory to dst, oldest first. It wants the lock.
func (s *shard) pieces(dst []piece) []piece {
	dst = append(dst, s.older...)
	if s.newest.epoch != nil {
		dst = append(dst, s.newest)
	}
	return dst
}

// refs returns the frames that an epoch holds. It wants the lock.
func (s *shard) refs(e *epoch) []ref {
	if s.newest.epoch == e {
		return s.newest.refs
	}
	for i := range s.older {
		if s.older[i].epoch == e {
			return s.older[i].refs
		}
	}
	return nil
}

// horizon is the time before which records are hidden, as of now. A retention
// of zero keeps records for ever.
func (s *shard) horizon(now int64) int64 {
	if s.retention == 0 {
		return s.floor
	}
	return max(s.floor, now-s.retention)
}

// next is the position that a reader at the tip reads on from.
func (s *shard) next() flow.Pos { return max(s.tail, s.created+1) }

// waiter is one call of Wait, in a doubly linked list of its shard's.
type waiter struct {
	from       flow.Pos
	woken      chan struct{} // one slot
	prev, next *waiter
}

// enlist and delist want the lock.
func (s *shard) enlist(w *waiter) {
	w.prev, w.next = nil, s.waiters
	if s.waiters != nil {
		s.waiters.prev = w
	}
	s.waiters = w
}

func (s *shard) delist(w *waiter) {
	if w.prev != nil {
		w.prev.next = w.next
	} else if s.waiters == w {
		s.waiters = w.next
	} else {
		return // woken already
	}
	if w.next != nil {
		w.next.prev = w.prev
	}
	w.prev, w.next = nil, nil
}

// wake wakes those who wait for what is there now. It wants the lock.
func (s *shard) wake() {
	for w := s.waiters; w != nil; {
		next := w.next
		if s.ready(w.from) {
			s.delist(w)
			w.woken <- struct{}{}
		}
		w = next
	}
}

// ready tells whether a Wait for from is over.
func (s *shard) ready(from flow.Pos) bool {
	return s.dropped || s.tail > from || s.end != 0
}

// table is all shards by number. Numbers are dense and never used again, so it
// is an array, in pages of which those without any shard are let go of. The
// committer alone adds; the sealer removes those dropped of which nothing is
// left. Whoever looks takes no lock.
type table struct {
	mu    sync.Mutex
	pages atomic.Pointer[[]*page] // replaced, never changed
}

const pageShards = 4096

type page struct {
	shards [pageShards]atomic.Pointer[shard]
	used   int // under the table's lock
}

func (t *table) get(id shardlog.Shard) *shard {
	pages := t.pages.Load()
	if pages == nil || int(id/pageShards) >= len(*pages) {
		return nil
	}
	p := (*pages)[id/pageShards]
	if p == nil {
		return nil
	}
	return p.shards[id%pageShards].Load()
}

// page returns the page of a number, and a list of pages to put it in place.
func (t *table) page(id shardlog.Shard) (*page, []*page) {
	var pages []*page
	if old := t.pages.Load(); old != nil {
		pages = *old
	}
	n := int(id / pageShards)
	if n < len(pages) {
		return pages[n], slices.Clone(pages)
	}
	return nil, append(slices.Clone(pages), make([]*page, n+1-len(pages))...)
}

func (t *table) add(s *shard) {
	t.mu.Lock()
	defer t.mu.Unlock()
	p, pages := t.page(s.id)
	if p == nil {
		p = new(page)
		pages[s.id/pageShards] = p
		t.pages.Store(&pages)
	}
	if p.shards[s.id%pageShards].Swap(s) == nil {
		p.used++
	}
}

func (t *table) remove(id shardlog.Shard) {
	t.mu.Lock()
	defer t.mu.Unlock()
	p, pages := t.page(id)
	if p == nil || p.shards[id%pageShards].Swap(nil) == nil {
		return
	}
	if p.used--; p.used == 0 {
		pages[id/pageShards] = nil
		t.pages.Store(&pages)
	}
}

// all returns the shards in the order of their numbers.
func (t *table) all() (list []*shard) {
	pages := t.pages.Load()
	if pages == nil {
		return nil
	}
	for _, p := range *pages {
		if p == nil {
			continue
		}
		for i := range p.shards {
			if s := p.shards[i].Load(); s != nil {
				list = append(list, s)
			}
		}
	}
	return list
}
