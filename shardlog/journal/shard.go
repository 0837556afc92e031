package journal

import (
	"slices"
	"sync"

	"github.com/thalweg/thalweg/flow"
	"github.com/thalweg/thalweg/shardlog"
)

// shard is what the journal knows of one shard.
type shard struct {
	id shardlog.Shard

	// The committer's view, ahead of what readers see by the group it is
	// writing: what it decides here holds only if that group reaches the disk,
	// and if it does not nothing is acknowledged any more.
	sealing flow.Pos
	gone    bool

	mu        sync.Mutex
	live      bool // its creation is on disk
	dropped   bool
	created   flow.Pos
	retention int64    // ms
	floor     int64    // records taken in before this time (Unix ms) are hidden for ever
	first     flow.Pos // no record before it is visible
	firstAt   int64    // the horizon that first was found for
	tail      flow.Pos // after the last record; 0 when there was none
	last      int64    // time of the last record, Unix ms
	end       flow.Pos // 0 while open
	mem       []piece  // what epochs in memory hold of it, oldest first
	waiters   *waiter
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
	// Views share nothing with mem but the refs, so it may change in place.
	s.mem = slices.DeleteFunc(s.mem, func(p piece) bool { return p.epoch == e })
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

// table is all shards. The committer alone adds; the sealer removes those
// dropped of which nothing is left.
type table struct {
	mu     sync.RWMutex
	shards map[shardlog.Shard]*shard
}

func (t *table) get(id shardlog.Shard) *shard {
	t.mu.RLock()
	s := t.shards[id]
	t.mu.RUnlock()
	return s
}

func (t *table) add(s *shard) {
	t.mu.Lock()
	t.shards[s.id] = s
	t.mu.Unlock()
}

func (t *table) remove(id shardlog.Shard) {
	t.mu.Lock()
	delete(t.shards, id)
	t.mu.Unlock()
}

func (t *table) all() []*shard {
	t.mu.RLock()
	defer t.mu.RUnlock()
	list := make([]*shard, 0, len(t.shards))
	for _, s := range t.shards {
		list = append(list, s)
	}
	return list
}
