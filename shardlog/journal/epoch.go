package journal

import (
	"slices"
	"sync/atomic"

	"github.com/thalweg/thalweg/flow"
)

// epoch is the frames of one journal file (after recovery: of all files that
// were replayed) in memory, until they are in segments. The committer fills
// it, then freezes it; from then on it is read-only.
type epoch struct {
	arena  *arena
	slots  []*slot
	chunks atomic.Pointer[[]*chunk] // readers of what is published look while the committer appends
	shards []*shard                 // those with frames here; sorted when frozen
	first  flow.Pos                 // LSN it begins at
	next   flow.Pos                 // LSN after it; set when frozen
	born   int64                    // time of its first frame, Unix ms; 0 while empty
	frames int64
	live   int64 // bytes charged to the arena
	slab   []ref // room for the shards' short lists of frames
	state  *state

	sealed atomic.Bool  // its records are in segments
	refs   atomic.Int64 // one while readers may find it, one per pin
}

func newEpoch(a *arena, first flow.Pos) *epoch {
	e := &epoch{arena: a, first: first}
	e.chunks.Store(new([]*chunk))
	e.refs.Store(1)
	return e
}

// hold makes the epoch keep c and returns its number here.
func (e *epoch) hold(c *chunk) uint32 {
	if c.epoch != e {
		c.refs.Add(1)
		c.epoch = e
		list := append(*e.chunks.Load(), c)
		c.index = uint32(len(list) - 1)
		e.chunks.Store(&list)
	}
	return c.index
}

// Unpin ends one hold on the epoch's memory.
func (e *epoch) Unpin() {
	if e.refs.Add(-1) != 0 {
		return
	}
	for _, c := range *e.chunks.Swap(nil) {
		c.release(1)
	}
}

func (e *epoch) payload(r *ref) []byte {
	return (*e.chunks.Load())[r.chunk].buf[r.off : r.off+r.length : r.off+r.length]
}

// header is the frame header in front of a payload.
func (e *epoch) header(r *ref) []byte {
	return (*e.chunks.Load())[r.chunk].buf[r.off-frameHeader : r.off]
}

// publish makes a frame on disk visible to readers. The shard's lock is held.
func (e *epoch) publish(s *shard, r ref) {
	p := &s.newest
	if p.epoch != e {
		if p.epoch != nil {
			s.older = append(s.older, *p)
		}
		*p = piece{epoch: e}
		e.shards = append(e.shards, s)
	}
	if len(p.refs) == cap(p.refs) {
		p.refs = e.grow(p.refs)
	}
	p.refs = append(p.refs, r)
	s.tail, s.last = r.next(), r.time
	if e.born == 0 {
		e.born = r.time
	}
	e.frames++
	e.live += int64(frameHeader) + int64(r.length)
}

// slabRefs is how many refs are made at a time. With thousands of shards an
// epoch has only some frames of each, whose lists would be as many pieces of
// memory and as many again each time they grow.
const slabRefs = 4096

// grow moves refs to where there is room for as many again.
func (e *epoch) grow(refs []ref) []ref {
	n := max(2, 2*cap(refs))
	if n > slabRefs/16 {
		return slices.Grow(refs, n-len(refs))
	}
	if len(e.slab) < n {
		e.slab = make([]ref, slabRefs)
	}
	more := e.slab[:len(refs):n]
	e.slab = e.slab[n:]
	copy(more, refs)
	return more
}

// seekPos returns the index of the first frame with a record at or after from.
func seekPos(refs []ref, from flow.Pos) int {
	i, _ := slices.BinarySearchFunc(refs, from, func(r ref, p flow.Pos) int {
		if r.next() <= p {
			return -1
		}
		return 1
	})
	return i
}

// seekTime returns the index of the first frame taken in at or after t.
func seekTime(refs []ref, t int64) int {
	i, _ := slices.BinarySearchFunc(refs, t, func(r ref, t int64) int {
		if r.time < t {
			return -1
		}
		return 1
	})
	return i
}
