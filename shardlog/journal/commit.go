package journal

import (
	"errors"
	"fmt"
	"io"
	"slices"
	"time"

	"github.com/thalweg/thalweg/flow"
	"github.com/thalweg/thalweg/shardlog"
)

// committer is the one goroutine that writes the journal. Nothing here is
// shared but what it publishes.
type committer struct {
	j *Journal

	slot  *slot
	off   int64 // where the next group goes
	file  uint32
	group uint64 // of the next group
	lsn   uint64 // of the next frame
	clock int64  // time of the last frame, Unix ms
	epoch *epoch

	snapshot io.WriterTo // the machine's, while no command was applied since
	stale    bool

	checked time.Time // when the disk's free space was looked at
	low     error     // ErrFull with the reason while it is too low

	// Of the group being built:
	found   []arriving // of the call whose entries are being added
	vec     [][]byte
	lastBuf *chunk // chunk and end of the last buffer in vec, to grow it by an adjacent frame
	lastEnd int
	head    []byte // header of the last frame, not finished yet
	size    int64
	frames  int
	pubs    []pub
	warmed  flow.Pos // what warm read
}

// arriving is what an entry names: its shard, nil if there is none, and where its
// payload lies.
type arriving struct {
	shard       *shard
	home        *chunk
	off, length uint32
}

type pub struct {
	shard *shard
	chunk *chunk
	ref   ref
}

func (c *committer) run() {
	for {
		b := c.j.queue.take()
		if b == nil {
			return
		}
		c.commit(b)
		c.j.queue.finish(b)
	}
}

// commit settles the fate of everything in the batch.
func (c *committer) commit(b *batch) {
	refuse, refuseOps := c.room(b)
	c.begin()
	for i := range b.items {
		it := &b.items[i]
		if it.op != nil {
			c.addOp(it.op, refuseOps)
			continue
		}
		c.find(it.entries)
		for k := range it.entries {
			c.addEntry(&it.entries[k], &c.found[k], refuse)
		}
	}
	if len(c.vec) > 0 {
		if err := c.write(); err != nil {
			c.j.fail(err)
		}
	}
	if err := c.j.failure(); err != nil {
		c.failAll(b, err)
		return
	}
	c.publish(b)
	for i := range b.items {
		c.j.arena.giveBack(b.items[i].entries, false)
	}
}

// room makes room for the batch, in a new file if need be. It answers why
// entries, or ops, must be refused.
func (c *committer) room(b *batch) (entries, ops error) {
	if b.bytes > b.control {
		entries = c.diskLow()
		if entries == nil {
			if entries = c.ensure(b.bytes, 1); entries == nil {
				return nil, nil
			}
		}
	}
	if b.control > 0 {
		ops = c.ensure(b.control, 0)
	}
	return entries, ops
}

// ensure sees to it that a group of n bytes can be written. After a failure
// nothing is: a file that could not be begun may be on disk all the same, and
// a second attempt would give another file its number.
func (c *committer) ensure(n int64, reserve int) error {
	if err := c.j.failure(); err != nil {
		return err
	}
	if c.off+align(n) <= c.slot.size || c.off == block {
		return nil
	}
	return c.roll(reserve)
}

// roll freezes the epoch and begins the next file.
func (c *committer) roll(reserve int) error {
	next, err := c.j.pool.take(reserve)
	if err != nil {
		return err
	}
	st := c.capture()
	h := slotHeader{file: c.file + 1, log: c.j.id, prevEnd: c.off, lsn: c.lsn, group: c.group, time: c.clock}
	if err := next.begin(h); err != nil {
		c.j.fail(err)
		return c.j.failure()
	}
	c.file++
	c.freeze(st)
	c.slot, c.off = next, block
	c.epoch = newEpoch(c.j.arena, flow.Pos(c.lsn))
	c.epoch.slots = append(c.epoch.slots, next)
	return nil
}

// freeze hands the epoch to the sealer, with the state that the journal's next
// file builds on.
func (c *committer) freeze(st *state) {
	st.file = c.file
	e := c.epoch
	e.next, e.state = flow.Pos(c.lsn), st
	c.j.sealer.push(e)
	c.j.sealer.cool()
}

// capture copies the state as of the last group. The committer is between two
// groups, so all that was decided is published.
func (c *committer) capture() *state {
	if c.stale {
		c.snapshot, c.stale = c.j.machine.Capture(), false
	}
	return &state{
		log: c.j.id, lsn: c.lsn, group: c.group, time: c.clock,
		shards: c.j.table.capture(), snapshot: c.snapshot,
	}
}

// diskLow looks at the disk's free space, at most once per second.
func (c *committer) diskLow() error {
	now := time.Now()
	if d := now.Sub(c.checked); d >= 0 && d < time.Second {
		return c.low
	}
	c.checked = now
	was := c.low
	c.low = nil
	free, total, err := c.j.fs.Free(c.j.dir)
	if err != nil {
		c.j.log.Warn("cannot tell how much disk is free", "dir", c.j.dir, "error", err)
	} else if float64(free) < c.j.minFree*float64(total) {
		c.low = fmt.Errorf("%d MiB free of %d MiB on the disk of %s, at least %.0f %% are kept free: %w",
			free>>20, total>>20, c.j.dir, c.j.minFree*100, shardlog.ErrFull)
	}
	if (was == nil) != (c.low == nil) {
		c.j.log.Warn("disk space", "dir", c.j.dir, "free", free, "total", total, "appends", map[bool]string{true: "taken again", false: "refused"}[c.low == nil])
	}
	return c.low
}

func (c *committer) begin() {
	clear(c.vec)
	clear(c.pubs)
	clear(c.found)
	c.vec, c.pubs, c.size, c.frames = c.vec[:0], c.pubs[:0], 0, 0
	c.lastBuf, c.head = nil, nil
	c.clock = max(c.clock, time.Now().UnixMilli())
}

// find looks up the shards and the headers of a call's entries. Doing so before
// anything else lets the processor wait for the memory of many at once.
func (c *committer) find(entries []shardlog.Entry) {
	c.found = slices.Grow(c.found[:0], len(entries))[:len(entries)]
	for i := range entries {
		e, f := &entries[i], &c.found[i]
		*f = arriving{}
		if e.Err != nil { // found wanting by Append already
			continue
		}
		f.home = e.Home.(*chunk)
		f.off = uint32(f.home.offset(e.Payload))
		f.length = headLength(f.home.buf[f.off-frameHeader:])
		if s := c.j.table.get(e.Shard); s != nil && !s.gone {
			f.shard = s
		}
	}
}

// addEntry gives an entry its place in the group, or its error.
func (c *committer) addEntry(e *shardlog.Entry, f *arriving, refuse error) {
	if e.Err != nil {
		return
	}
	if refuse != nil {
		e.Err = refuse
		return
	}
	switch {
	case f.shard == nil:
		e.Err = noShard(e.Shard)
		return
	case f.shard.sealing != 0:
		e.Err = sealedShard(e.Shard)
		return
	}
	e.Pos, e.Time = flow.Pos(c.lsn), c.clock
	c.pubs = append(c.pubs, pub{shard: f.shard, chunk: f.home, ref: ref{
		pos: e.Pos, time: e.Time, off: f.off, length: f.length, count: uint32(e.Count),
	}})
	home, start, end := f.home, int(f.off)-frameHeader, int(f.off+f.length)
	c.place(home.buf[start:f.off], uint64(e.Count))
	if home == c.lastBuf && start == c.lastEnd {
		v := &c.vec[len(c.vec)-1]
		*v = (*v)[:len(*v)+end-start]
	} else {
		c.vec = append(c.vec, home.buf[start:end])
	}
	c.lastBuf, c.lastEnd = home, end
	c.size += int64(end - start)
}

// addOp does the same for an op.
func (c *committer) addOp(o *op, refuse error) {
	if o.kind == kindRoll {
		return // after the group: see publish
	}
	if refuse != nil {
		o.err, o.skip = refuse, true
		return
	}
	if !c.j.admit(o, flow.Pos(c.lsn)) {
		o.skip = true
		return
	}
	o.pos = flow.Pos(c.lsn)
	c.place(o.buf[:frameHeader], 1)
	c.vec = append(c.vec, o.buf)
	c.lastBuf = nil
	c.size += int64(len(o.buf))
}

// place finishes the frame before and starts this one. A header waits for the
// next frame, which tells that it is not the last of the group.
func (c *committer) place(h []byte, count uint64) {
	if c.head != nil {
		putFinish(c.head, c.j.seed, false)
	}
	putPlace(h, c.slot.file, c.group, c.lsn, c.clock)
	c.head = h
	c.frames++
	c.lsn += count
}

// write puts the group on disk.
func (c *committer) write() error {
	putFinish(c.head, c.j.seed, true)
	end := align(c.size)
	if pad := end - c.size; pad > 0 {
		c.vec = append(c.vec, zeros[:pad])
	}
	if err := c.slot.f.WriteVec(c.vec, c.off); err != nil {
		return fmt.Errorf("write journal file %s: %w", c.slot.path, err)
	}
	sync := c.slot.f.SyncData
	if c.off+end > c.slot.size { // a group larger than the slot
		c.slot.size = c.off + end
		sync = c.slot.f.Sync
	}
	began := time.Now()
	if err := sync(); err != nil {
		return fmt.Errorf("sync journal file %s: %w", c.slot.path, err)
	}
	if c.j.onCommit != nil {
		c.j.onCommit(c.frames, end, time.Since(began))
	}
	c.off += end
	c.group++
	return nil
}

// warm reads a word of each shard that a group is about to change: the
// processor then waits for their memory once, and not for each as its lock is
// taken.
func (c *committer) warm() (sum flow.Pos) {
	for i := range c.pubs {
		sum ^= c.pubs[i].shard.tail
	}
	return sum
}

// publish shows readers what is on disk now, and begins a new file if it is time.
func (c *committer) publish(b *batch) {
	c.warmed = c.warm()
	var s *shard
	for i := range c.pubs {
		p := &c.pubs[i]
		if p.shard != s {
			if s != nil {
				s.wakeAndUnlock()
			}
			s = p.shard
			s.mu.Lock()
		}
		p.ref.chunk = c.epoch.hold(p.chunk)
		c.epoch.publish(s, p.ref)
	}
	if s != nil {
		s.wakeAndUnlock()
	}
	c.j.next.Store(c.lsn)
	roll := c.epoch.live > c.j.arena.limit/2 // or nothing would ever make room again
	for i := range b.items {
		o := b.items[i].op
		switch {
		case o == nil || o.skip:
		case o.kind == kindRoll:
			roll = roll || c.epoch.born != 0 && c.clock-c.epoch.born >= c.j.sealAfter.Milliseconds()
		default:
			c.apply(o)
		}
	}
	if roll && c.epoch.frames > 0 {
		if err := c.roll(1); err != nil && !errors.Is(err, shardlog.ErrFull) {
			c.j.log.Error("begin a new journal file", "error", err)
		}
	}
}

func (s *shard) wakeAndUnlock() {
	if s.waiters != nil {
		s.wake()
	}
	s.mu.Unlock()
}

func (c *committer) apply(o *op) {
	switch o.kind {
	case kindMeta:
		o.result = c.j.machine.Apply(o.pos, o.payload())
		c.stale = true
	case kindCreate:
		for _, spec := range o.specs {
			c.j.table.get(spec.Shard).applyCreate()
		}
	case kindSeal:
		for _, id := range o.shards {
			c.j.table.get(id).applySeal(o.pos)
		}
	case kindRetain:
		for _, id := range o.shards {
			c.j.table.get(id).applyRetain(o.keep, c.clock)
		}
	case kindDrop:
		for _, id := range o.shards {
			if s := c.j.table.get(id); s != nil {
				s.applyDrop()
			}
		}
		c.j.tidier.poke()
	}
}

func (c *committer) failAll(b *batch, err error) {
	for i := range b.items {
		it := &b.items[i]
		if it.op != nil {
			it.op.err = err
		}
		for k := range it.entries {
			it.entries[k].Err = err
		}
		c.j.arena.giveBack(it.entries, false)
	}
}

func sealedShard(id shardlog.Shard) error {
	return fmt.Errorf("shard %d: %w", id, shardlog.ErrSealed)
}
