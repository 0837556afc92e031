package journal

import (
	"container/list"
	"errors"
	"fmt"
	"io/fs"
	"math"
	"slices"
	"sync"
	"sync/atomic"

	"github.com/thalweg/thalweg/flow"
	"github.com/thalweg/thalweg/internal/vfs"
	"github.com/thalweg/thalweg/shardlog"
	"github.com/thalweg/thalweg/shardlog/journal/segment"
)

const (
	footerBytes = 64 << 20 // of open segments' footers
	blockBytes  = 32 << 20 // of cached blocks
	mostOpen    = 512
)

// store is the segments: the list of them, and those that are open.
type store struct {
	fs    vfs.FS
	dir   string
	cache *segment.Cache
	list  atomic.Pointer[[]segment.Meta] // by first position; replaced, never changed
	reads atomic.Uint64                  // how often readers came

	mu    sync.Mutex
	open  map[string]*list.Element
	order list.List // of *segment.Segment, most recently used first
	bytes int
}

func newStore(fs vfs.FS, dir string) *store {
	st := &store{fs: fs, dir: dir, cache: segment.NewCache(blockBytes), open: map[string]*list.Element{}}
	st.list.Store(new([]segment.Meta))
	return st
}

func (st *store) all() []segment.Meta { return *st.list.Load() }

// set replaces the list.
func (st *store) set(metas []segment.Meta) {
	slices.SortFunc(metas, func(a, b segment.Meta) int {
		if a.First != b.First {
			return cmpPos(a.First, b.First)
		}
		return cmpPos(a.Last, b.Last)
	})
	st.list.Store(&metas)
}

func cmpPos(a, b flow.Pos) int {
	switch {
	case a < b:
		return -1
	case a > b:
		return 1
	}
	return 0
}

// get opens a segment or finds it open.
func (st *store) get(name string) (*segment.Segment, error) {
	st.mu.Lock()
	if e := st.open[name]; e != nil {
		st.order.MoveToFront(e)
		st.mu.Unlock()
		return e.Value.(*segment.Segment), nil
	}
	st.mu.Unlock()
	s, err := segment.OpenWith(st.fs, st.dir+"/"+name, st.cache)
	if err != nil {
		return nil, err
	}
	st.mu.Lock()
	defer st.mu.Unlock()
	if e := st.open[name]; e != nil { // another reader was faster
		s.Close()
		return e.Value.(*segment.Segment), nil
	}
	st.open[name] = st.order.PushFront(s)
	st.bytes += s.FooterBytes()
	for st.order.Len() > 1 && (st.bytes > footerBytes || st.order.Len() > mostOpen) {
		st.evict(st.order.Back())
	}
	return s, nil
}

func (st *store) evict(e *list.Element) {
	s := st.order.Remove(e).(*segment.Segment)
	delete(st.open, s.Meta().Name)
	st.bytes -= s.FooterBytes()
	s.Close()
}

// forget closes a segment that is no longer in the list.
func (st *store) forget(name string) {
	st.mu.Lock()
	if e := st.open[name]; e != nil {
		st.evict(e)
	}
	st.mu.Unlock()
}

func (st *store) close() {
	st.mu.Lock()
	for st.order.Len() > 0 {
		st.evict(st.order.Back())
	}
	st.mu.Unlock()
}

// tries is how often a reader starts over because a segment was merged away
// or closed under it.
const tries = 8

func moved(err error) bool {
	return errors.Is(err, segment.ErrClosed) || errors.Is(err, fs.ErrNotExist)
}

// read adds to r what segments hold of the shard before the position to.
func (st *store) read(id shardlog.Shard, r *run, to flow.Pos) error {
	st.reads.Add(1)
	for try := 0; ; try++ {
		err := st.pass(id, r, to)
		if err == nil || !moved(err) || try == tries {
			return err
		}
	}
}

// pass goes through the segments in order. Merging may leave segments of two
// classes that overlap; a shard that changed its class is then in both, and the
// one with the shard's next frame is read up to the other's.
func (st *store) pass(id shardlog.Shard, r *run, to flow.Pos) error {
	all := st.all()
	for r.from < to && !r.full {
		best, stop := -1, to
		var at flow.Pos
		for i := range all {
			m := &all[i]
			if m.First >= stop {
				break
			}
			if m.Last < r.from || m.MaxTime < r.horizon || !m.Shards.Has(id) {
				continue
			}
			if best < 0 {
				best, at = i, 0
				continue
			}
			if all[best].Last < m.First { // disjoint: the next round's
				stop = min(stop, m.First)
				break
			}
			var err error
			if at == 0 {
				if at, err = st.first(&all[best], id, r.from); err != nil {
					return err
				}
			}
			next, err := st.first(m, id, r.from)
			if err != nil {
				return err
			}
			if next < at {
				best, at, next = i, next, at
			}
			stop = min(stop, next)
		}
		if best < 0 {
			return nil
		}
		from := r.from
		s, err := st.get(all[best].Name)
		if err == nil {
			hold := func(p shardlog.Pin) { r.page.Pins = append(r.page.Pins, p) }
			err = s.Read(id, r.from, hold, func(f segment.Frame) bool {
				if f.Pos >= stop {
					return false
				}
				return r.add(f.Pos, f.Time, f.Count, f.Payload)
			})
		}
		if err != nil {
			return err
		}
		// Nothing more of it before stop: go on with the others.
		if !r.full {
			r.from = max(from, r.from, min(stop, all[best].Last+1))
		}
	}
	return nil
}

// first is the position of the shard's first frame in m at or after from.
func (st *store) first(m *segment.Meta, id shardlog.Shard, from flow.Pos) (flow.Pos, error) {
	s, err := st.get(m.Name)
	if err != nil {
		return 0, err
	}
	pos := flow.Pos(math.MaxUint64)
	err = s.Read(id, from, nil, func(f segment.Frame) bool {
		pos = max(f.Pos, from)
		return false
	})
	return pos, err
}

// seek finds the first record of the shard at or after first and the time at.
func (st *store) seek(id shardlog.Shard, first flow.Pos, at int64) (pos flow.Pos, ok bool, err error) {
	for try := 0; ; try++ {
		pos, ok, err = st.seekOnce(id, first, at)
		if err == nil || !moved(err) || try == tries {
			return pos, ok, err
		}
	}
}

func (st *store) seekOnce(id shardlog.Shard, first flow.Pos, at int64) (best flow.Pos, ok bool, err error) {
	all := st.all()
	for i := range all {
		m := &all[i]
		if ok && m.First > best {
			break
		}
		if m.Last < first || m.MaxTime < at || !m.Shards.Has(id) {
			continue
		}
		s, err := st.get(m.Name)
		if err != nil {
			return 0, false, err
		}
		pos, found, err := s.Seek(id, at)
		if err != nil {
			return 0, false, err
		}
		if found && (!ok || pos < best) {
			best, ok = pos, true
		}
	}
	return best, ok, nil
}

// segmentName names a segment for its class and positions. The number keeps
// names unique when a stretch is written again.
func segmentName(class uint8, first, last flow.Pos, n uint64) string {
	return fmt.Sprintf("%d-%016x-%016x-%x.seg", class, uint64(first), uint64(last), n)
}
