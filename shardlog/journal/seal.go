package journal

import (
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"sync"
	"time"

	"github.com/thalweg/thalweg/shardlog"
	"github.com/thalweg/thalweg/shardlog/journal/segment"
)

// The retention classes: records that leave together lie in one file.
const (
	classDay = iota
	classWeek
	classLong
	classes
)

var classNames = [classes]string{"day", "week", "long"}

func classOf(retention int64) uint8 {
	switch {
	case retention == 0 || retention > (7*24*time.Hour).Milliseconds():
		return classLong
	case retention > (24 * time.Hour).Milliseconds():
		return classWeek
	}
	return classDay
}

// sealer moves frozen epochs into segments, one after another.
type sealer struct {
	j *Journal

	mu     sync.Mutex
	frozen []*epoch // to be sealed, oldest first
	warm   []*epoch // sealed, but still in memory for readers who are a little late
	heat   int64    // bytes of the warm ones
	most   int64    // bytes that they and what awaits the disk may take
	kick   chan struct{}
}

func (s *sealer) push(e *epoch) {
	s.mu.Lock()
	s.frozen = append(s.frozen, e)
	s.mu.Unlock()
	select {
	case s.kick <- struct{}{}:
	default:
	}
}

func (s *sealer) oldest() *epoch {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.frozen) == 0 {
		return nil
	}
	return s.frozen[0]
}

func (s *sealer) behind() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.frozen)
}

// run seals until stop is closed. What fails is tried again: the journal
// files stay until it succeeds.
func (s *sealer) run(stop <-chan struct{}) {
	wait := sealAgain
	for {
		e := s.oldest()
		if e == nil {
			select {
			case <-s.kick:
				continue
			case <-stop:
				return
			}
		}
		select {
		case <-stop:
			return
		default:
		}
		if err := s.seal(e, stop); err != nil {
			if errors.Is(err, errStopped) {
				return
			}
			s.block(err)
			s.j.log.Error("move records from the journal into segments", "retry", wait, "error", err)
			select {
			case <-time.After(wait):
			case <-stop:
				return
			}
			wait = min(2*wait, 30*time.Second)
			continue
		}
		wait = sealAgain
		s.block(nil)
	}
}

// block tells those who wait for room or for a slot that there will be none
// while err lasts.
func (s *sealer) block(err error) {
	if err != nil {
		err = fmt.Errorf("records cannot leave the journal (%v): %w", err, shardlog.ErrFull)
	}
	s.j.arena.block(err)
	s.j.pool.block(err)
}

const sealAgain = 250 * time.Millisecond

var errStopped = errors.New("stopped")

// seal writes an epoch's frames into segments, then the checkpoint that lists
// them, and only then lets go of its journal files and its memory.
func (s *sealer) seal(e *epoch, stop <-chan struct{}) error {
	j := s.j
	slices.SortFunc(e.shards, func(a, b *shard) int { return int(int64(a.id) - int64(b.id)) })
	metas, err := s.write(e, stop)
	if err == nil {
		err = j.record(e.state, metas, nil, func() { s.release(e) })
	}
	if err != nil {
		if !errors.Is(err, errDoubt) {
			for _, m := range metas {
				j.fs.Remove(j.store.dir + "/" + m.Name)
			}
		}
		return err
	}
	s.mu.Lock()
	s.frozen = slices.Delete(s.frozen, 0, 1)
	s.mu.Unlock()
	for _, x := range e.slots {
		if err := j.pool.put(x); err != nil {
			j.log.Error("free a journal slot", "error", err)
		}
	}
	j.tidier.poke()
	return nil
}

// release says that the epoch's records no longer await the disk. Readers go
// on finding them in memory until it is wanted for newer ones: those that
// follow the tip by a few seconds never touch a segment.
func (s *sealer) release(e *epoch) {
	e.sealed.Store(true)
	s.j.arena.credit(e.live)
	s.mu.Lock()
	s.warm = append(s.warm, e)
	s.heat += e.live
	s.mu.Unlock()
	s.cool()
}

// cool takes the oldest sealed epochs from memory while they and what awaits
// the disk take too much. Their segments are in
// the list by now, so readers see no gap.
func (s *sealer) cool() {
	for {
		live := s.j.arena.awaiting()
		s.mu.Lock()
		if len(s.warm) == 0 || s.heat+live <= s.most {
			s.mu.Unlock()
			return
		}
		e := s.warm[0]
		s.warm = slices.Delete(s.warm, 0, 1)
		s.heat -= e.live
		s.mu.Unlock()
		for _, sh := range e.shards {
			sh.forget(e)
		}
		e.Unpin()
	}
}

// write writes one segment per retention class that has frames.
func (s *sealer) write(e *epoch, stop <-chan struct{}) (metas []segment.Meta, err error) {
	w := sealing{s: s, e: e}
	defer w.abort()
	for _, sh := range e.shards {
		select {
		case <-stop:
			return nil, errStopped
		default:
		}
		if err := w.shard(sh); err != nil {
			return nil, err
		}
	}
	return w.finish()
}

// sealing is an epoch on its way into segments.
type sealing struct {
	s     *sealer
	e     *epoch
	ws    [classes]*segment.Writer
	names [classes]string
	lot   [32]leaving
	n     int // of the lot
}

// leaving is a frame that is about to be written.
type leaving struct {
	shard shardlog.Shard
	class uint8
	ref   *ref
	sum   uint32
}

// shard adds what the epoch holds of a shard.
func (w *sealing) shard(sh *shard) (err error) {
	sh.mu.Lock()
	dropped, class := sh.dropped, classOf(sh.retention)
	refs := sh.refs(w.e)
	sh.mu.Unlock()
	if dropped {
		return nil
	}
	if w.ws[class] == nil {
		j := w.s.j
		w.names[class] = segmentName(class, w.e.first, w.e.next-1, j.number())
		o := segment.Options{Class: class, Store: j.id}
		if w.ws[class], err = segment.Create(j.fs, j.store.dir+"/"+w.names[class], o); err != nil {
			return fmt.Errorf("make segment %s: %w", w.names[class], err)
		}
	}
	for i := range refs {
		w.lot[w.n] = leaving{shard: sh.id, class: class, ref: &refs[i]}
		if w.n++; w.n == len(w.lot) {
			if err := w.move(); err != nil {
				return err
			}
		}
	}
	return nil
}

// move writes the lot. Its frames lie all over the arena: looking at each
// before any is copied lets the processor fetch many at once.
func (w *sealing) move() error {
	lot := w.lot[:w.n]
	w.n = 0
	for i := range lot {
		lot[i].sum = headSum(w.e.header(lot[i].ref))
	}
	for i := range lot {
		m := &lot[i]
		err := w.ws[m.class].Add(segment.Frame{
			Shard: m.shard, Pos: m.ref.pos, Time: m.ref.time, Count: int(m.ref.count), Sum: m.sum, Payload: w.e.payload(m.ref),
		})
		if err != nil {
			return fmt.Errorf("write segment %s: %w", w.names[m.class], err)
		}
	}
	return nil
}

func (w *sealing) finish() (metas []segment.Meta, err error) {
	if err := w.move(); err != nil {
		return nil, err
	}
	for c, sw := range w.ws {
		if sw == nil {
			continue
		}
		w.ws[c] = nil // Finish cleans up after itself
		m, err := sw.Finish()
		if err != nil {
			return metas, fmt.Errorf("finish segment %s: %w", w.names[c], err)
		}
		metas = append(metas, m)
	}
	return metas, nil
}

// abort removes what is not finished.
func (w *sealing) abort() {
	for _, sw := range w.ws {
		if sw != nil {
			sw.Abort()
		}
	}
}

// record makes a change to the segments durable in a new checkpoint: st is the
// state it builds on from now (nil: as before), added and gone name segments.
// shown is called between the moment readers see the new list and the moment
// the old segments are removed.
func (j *Journal) record(st *state, added []segment.Meta, gone map[string]bool, shown func()) error {
	j.recording.Lock()
	defer j.recording.Unlock()
	if st == nil {
		st = j.base
	}
	list := make([]segment.Meta, 0, len(j.store.all())+len(added))
	for _, m := range j.store.all() {
		if !gone[m.Name] {
			list = append(list, m)
		}
	}
	list = append(list, added...)
	slices.SortFunc(list, func(a, b segment.Meta) int { return cmpPos(a.First, b.First) })
	forgotten := j.forgettable(st, list)
	next := *st
	next.segments = list
	next.shards = slices.DeleteFunc(slices.Clone(st.shards), func(x shardState) bool { return forgotten[x.id] })
	// A number is used once: a checkpoint that is in doubt stays valid, with
	// what it names, until a later one is durable.
	j.ckpt++
	if err := writeCheckpoint(j.fs, j.dir, j.ckpt, &next); err != nil {
		return err
	}
	j.base = &next
	j.store.set(list)
	if shown != nil {
		shown()
	}
	for id := range forgotten {
		j.table.remove(id)
	}
	for ; j.oldest < j.ckpt; j.oldest++ {
		if err := j.fs.Remove(j.dir + "/" + checkpointName(j.oldest)); err != nil && !errors.Is(err, fs.ErrNotExist) {
			j.log.Warn("remove an old checkpoint", "error", err)
		}
	}
	for name := range gone {
		j.store.forget(name)
		if err := j.fs.Remove(j.store.dir + "/" + name); err != nil {
			j.log.Warn("remove an old segment", "error", err)
		}
	}
	return nil
}

// forgettable returns the shards that are dropped as of st and of which no
// segment holds anything any more.
func (j *Journal) forgettable(st *state, list []segment.Meta) map[shardlog.Shard]bool {
	var ids map[shardlog.Shard]bool
	for i := range st.shards {
		if x := &st.shards[i]; x.dropped {
			if !slices.ContainsFunc(list, func(m segment.Meta) bool { return m.Shards.Has(x.id) }) {
				if ids == nil {
					ids = map[shardlog.Shard]bool{}
				}
				ids[x.id] = true
			}
		}
	}
	return ids
}
