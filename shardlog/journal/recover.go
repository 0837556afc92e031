package journal

import (
	"context"
	"crypto/rand"
	"encoding/binary"
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"strings"

	"github.com/thalweg/thalweg/flow"
	"github.com/thalweg/thalweg/internal/vfs"
	"github.com/thalweg/thalweg/shardlog"
)

// recover brings the journal to where the last acknowledgement left it, and
// begins a new file.
func (j *Journal) recover(ctx context.Context) error {
	st, err := j.loadCheckpoint()
	if err != nil {
		return err
	}
	j.id, j.seed = st.log, logSeed(st.log)
	for i := range st.shards {
		j.table.add(st.shards[i].restore())
	}
	if b, ok := st.snapshot.(shardlog.Encoded); ok {
		if err := j.machine.Restore(b); err != nil {
			return fmt.Errorf("restore the state machine: %w", err)
		}
	}
	if err := j.loadSegments(st); err != nil {
		return err
	}
	files, err := findFiles(j.fs, j.pool.dir, true)
	if err != nil {
		return err
	}
	if err := j.fs.SyncDir(j.pool.dir); err != nil { // of slots just made
		return errors.Join(fmt.Errorf("sync %s: %w", j.pool.dir, err), closeAll(files))
	}
	needed, free, err := sortFiles(files, st, j.seed)
	if err != nil {
		return errors.Join(err, closeAll(files))
	}
	c := &j.commit
	c.snapshot = st.snapshot
	c.epoch = newEpoch(j.arena, flow.Pos(st.lsn))
	r := &replay{j: j, at: place{st.group, st.lsn, st.time}}
	end, err := r.files(ctx, needed)
	if err != nil {
		return errors.Join(err, closeAll(files))
	}
	c.file, c.group, c.lsn, c.clock = st.file-1, r.at.group, r.at.lsn, r.at.clock
	for _, x := range needed {
		j.pool.names[x.path] = true
		c.epoch.slots = append(c.epoch.slots, &slot{path: x.path, f: x.f, size: x.size, file: x.head.file})
		c.file = x.head.file
	}
	for _, x := range free {
		if x.size != j.pool.size {
			if err := errors.Join(x.f.Close(), j.fs.Remove(x.path)); err != nil {
				return fmt.Errorf("remove journal slot %s: %w", x.path, err)
			}
			continue
		}
		j.pool.names[x.path] = true
		j.pool.free = append(j.pool.free, &slot{path: x.path, f: x.f, size: x.size})
	}
	j.pool.most = max(mostSlots, len(needed)+spareSlots+2)
	j.arena.charge(c.epoch.live)
	j.next.Store(c.lsn)
	return j.firstFile(end, len(needed) > 0)
}

// firstFile begins the file that this process writes first, and hands what was
// replayed to the sealer.
func (j *Journal) firstFile(prevEnd int64, replayed bool) error {
	c := &j.commit
	if len(j.pool.free) == 0 {
		path := j.pool.wanted()
		s, err := makeSlot(j.fs, j.pool.dir, path, j.pool.size)
		if err != nil {
			return err
		}
		j.pool.free = append(j.pool.free, s)
	}
	n := len(j.pool.free) - 1
	next := j.pool.free[n]
	j.pool.free = j.pool.free[:n]
	c.off = prevEnd
	st := c.capture()
	if err := next.begin(slotHeader{file: c.file + 1, log: j.id, prevEnd: prevEnd, lsn: c.lsn, group: c.group, time: c.clock}); err != nil {
		return err
	}
	c.file++
	if replayed {
		c.freeze(st)
		c.epoch = newEpoch(j.arena, flow.Pos(c.lsn))
	}
	c.slot, c.off = next, block
	c.epoch.slots = append(c.epoch.slots, next)
	return nil
}

func closeAll(files []*journalFile) error {
	for _, x := range files {
		x.f.Close() // what went wrong before matters
	}
	return nil
}

// loadCheckpoint reads the newest valid checkpoint, or makes the first.
func (j *Journal) loadCheckpoint() (*state, error) {
	numbers, temps, err := listCheckpoints(j.fs, j.dir)
	if err != nil {
		return nil, err
	}
	var first error
	for _, n := range slices.Backward(numbers) {
		st, err := readCheckpoint(j.fs, j.dir+"/"+checkpointName(n))
		if err != nil {
			if !errors.Is(err, shardlog.ErrCorrupt) {
				return nil, err
			}
			if first == nil {
				first = err
			}
			j.log.Warn("a checkpoint is damaged; trying an older one", "error", err)
			continue
		}
		// A process killed before it synced the folder may have left the name in
		// the system's memory only; what it replaces must stay until it is on disk.
		if err := j.fs.SyncDir(j.dir); err != nil {
			return nil, fmt.Errorf("sync %s: %w", j.dir, err)
		}
		j.ckpt, j.oldest, j.base = numbers[len(numbers)-1], numbers[0], st
		for _, name := range temps {
			if err := j.fs.Remove(j.dir + "/" + name); err != nil {
				return nil, fmt.Errorf("remove an unfinished checkpoint: %w", err)
			}
		}
		return st, nil
	}
	if first != nil {
		return nil, first
	}
	for _, dir := range []string{j.pool.dir, j.store.dir} {
		names, err := j.fs.List(dir)
		if err != nil {
			return nil, err
		}
		if len(names) > 0 {
			return nil, corrupt(j.dir, 0, "there is no checkpoint, but there is %s/%s", dir, names[0])
		}
	}
	var id [8]byte
	rand.Read(id[:])
	st := &state{file: 1, log: binary.LittleEndian.Uint64(id[:]) | 1, lsn: 1, group: 1}
	if err := writeCheckpoint(j.fs, j.dir, 1, st); err != nil {
		return nil, err
	}
	j.ckpt, j.oldest, j.base = 1, 1, st
	return st, nil
}

func listCheckpoints(fsys vfs.FS, dir string) (numbers []uint64, temps []string, err error) {
	names, err := fsys.List(dir)
	if err != nil {
		return nil, nil, err
	}
	for _, name := range names {
		if n, ok := checkpointNumber(name); ok {
			numbers = append(numbers, n)
		} else if strings.HasPrefix(name, checkpointPrefix) && strings.HasSuffix(name, tempSuffix) {
			temps = append(temps, name)
		}
	}
	slices.Sort(numbers)
	return numbers, temps, nil
}

// loadSegments takes the checkpoint's list over and removes what no
// checkpoint lists.
func (j *Journal) loadSegments(st *state) error {
	names, err := j.fs.List(j.store.dir)
	if err != nil {
		return err
	}
	listed := map[string]bool{}
	for _, m := range st.segments {
		listed[m.Name] = true
		if !slices.Contains(names, m.Name) {
			return corrupt(j.store.dir+"/"+m.Name, 0, "the segment is missing")
		}
	}
	for _, name := range names {
		if !listed[name] && (strings.HasSuffix(name, ".seg") || strings.HasSuffix(name, tempSuffix)) {
			if err := j.fs.Remove(j.store.dir + "/" + name); err != nil && !errors.Is(err, fs.ErrNotExist) {
				return fmt.Errorf("remove an unlisted segment: %w", err)
			}
		}
	}
	j.store.set(slices.Clone(st.segments))
	// Names carry a number so that none is used twice; the checkpoint's number
	// never repeats, so start from it.
	j.names.Store(j.ckpt << 20)
	return nil
}

// sortFiles tells the files to replay, in order, from those that are free.
func sortFiles(files []*journalFile, st *state, seed uint32) (needed, free []*journalFile, err error) {
	newest := st.file - 1
	for _, x := range files {
		switch {
		case x.err == nil && x.head.log != st.log:
			return nil, nil, corrupt(x.path, 16, "the file belongs to another log (%016x, not %016x)", x.head.log, st.log)
		case x.err == nil && x.head.file >= st.file:
			needed = append(needed, x)
			newest = max(newest, x.head.file)
		case x.err == nil, errors.Is(x.err, errHeader), errors.Is(x.err, errNoHeader):
			free = append(free, x)
		default:
			return nil, nil, fmt.Errorf("journal file %s: %w", x.path, x.err)
		}
	}
	for _, x := range free {
		if x.err == nil || x.size < block {
			continue
		}
		if err := torn(x, newest+1, seed); err != nil {
			return nil, nil, err
		}
	}
	slices.SortFunc(needed, func(a, b *journalFile) int { return int(int64(a.head.file) - int64(b.head.file)) })
	for i, x := range needed {
		if want := st.file + uint32(i); x.head.file != want {
			return nil, nil, missing(files, x, want)
		}
	}
	// Only a log that was never written to may lack its first file.
	if len(needed) == 0 && (st.file != 1 || st.lsn != 1) {
		return nil, nil, missing(files, nil, st.file)
	}
	return needed, free, nil
}

// torn makes sure that a slot without a valid header is unused: it would hold
// frames of the file after the newest if its header had been good once.
func torn(x *journalFile, file uint32, seed uint32) error {
	buf, err := x.load(x.size)
	if err != nil {
		return err
	}
	s := &scanner{path: x.path, buf: buf, seed: seed, file: file}
	if at, ok := s.later(0, 0); ok {
		return corrupt(x.path, 0, "the header of journal file %d is damaged, but the file was in use: there is a frame at offset %d", file, at)
	}
	return nil
}

func missing(files []*journalFile, before *journalFile, want uint32) error {
	for _, x := range files {
		if errors.Is(x.err, errHeader) {
			return corrupt(x.path, 0, "the header is damaged, and journal file %d is missing", want)
		}
	}
	if before != nil {
		return corrupt(before.path, 12, "this is journal file %d, but file %d is missing", before.head.file, want)
	}
	return fmt.Errorf("journal file %d is missing: %w", want, shardlog.ErrCorrupt)
}

// replay brings journal files back into memory.
type replay struct {
	j  *Journal
	at place
}

// files replays them in order and returns where the last one ends.
func (r *replay) files(ctx context.Context, list []*journalFile) (end int64, err error) {
	for i, x := range list {
		if err := ctx.Err(); err != nil {
			return 0, err
		}
		var next *journalFile
		if i+1 < len(list) {
			next = list[i+1]
		}
		if end, err = r.file(x, next); err != nil {
			return 0, err
		}
	}
	return end, nil
}

func (r *replay) file(x, next *journalFile) (int64, error) {
	s, end, err := r.open(x, next)
	if err != nil {
		return 0, err
	}
	c := r.j.arena.adopt(s.buf)
	defer c.release(1)
	off, last := int64(block), int64(block)
	for off < end || next == nil {
		to, bad := s.group(off)
		if bad != nil {
			if next != nil {
				return 0, corrupt(x.path, bad.off, "%v", bad.what)
			}
			if err := s.tail(bad); err != nil {
				return 0, err
			}
			if s.torn(bad) {
				r.j.log.Info("the journal ends in a group that was never acknowledged", "file", x.path, "offset", off)
			}
			break
		}
		if err := r.apply(s, c); err != nil {
			return 0, err
		}
		last, off = off, to
	}
	if next == nil {
		if err := x.settle(s.buf, last, off); err != nil {
			return 0, err
		}
	}
	r.at = s.at
	return off, nil
}

// settle makes the header and the last group, at [from, to), durable. The
// process that wrote them may have been killed before its sync, or have died of
// it: then they are in the system's memory only, which may even take them for
// clean, and all that is acknowledged from now on stands on them.
func (x *journalFile) settle(buf []byte, from, to int64) error {
	_, err := x.f.WriteAt(buf[:block], 0)
	if err == nil {
		_, err = x.f.WriteAt(buf[from:min(to, int64(len(buf)))], from)
	}
	if err == nil {
		err = x.f.Sync()
	}
	if err != nil {
		return fmt.Errorf("settle the end of journal file %s: %w", x.path, err)
	}
	return nil
}

// open reads a file, checks that it follows what was replayed, and answers
// where it ends when its successor says so.
func (r *replay) open(x, next *journalFile) (*scanner, int64, error) {
	h := x.head
	if h.lsn != r.at.lsn || h.group != r.at.group {
		return nil, 0, corrupt(x.path, 32, "the file begins at LSN %d, group %d; the log had come to LSN %d, group %d", h.lsn, h.group, r.at.lsn, r.at.group)
	}
	size := x.size
	if next != nil {
		size = next.head.prevEnd
		if size < block || size%block != 0 {
			return nil, 0, corrupt(next.path, 24, "it says that the file before it ends at offset %d", size)
		}
	}
	buf, err := x.load(max(size, block))
	if err != nil {
		return nil, 0, err
	}
	return &scanner{path: x.path, buf: buf, seed: logSeed(h.log), file: h.file, at: r.at}, size, nil
}

// apply repeats what the group last walked did.
func (r *replay) apply(s *scanner, c *chunk) error {
	j := r.j
	for i := range s.frames {
		f := &s.frames[i]
		body := f.payload(s.buf)
		bad := func() error {
			return corrupt(s.path, int64(f.off-frameHeader), "the %v frame does not fit what came before", f.kind)
		}
		if f.kind == kindData {
			sh := j.table.get(shardlog.Shard(f.shard))
			if sh == nil || sh.gone || sh.sealing != 0 {
				return bad()
			}
			e := j.commit.epoch
			sh.mu.Lock()
			e.publish(sh, ref{
				pos: flow.Pos(f.lsn), time: f.time, chunk: e.hold(c), off: uint32(f.off), length: uint32(f.length), count: uint32(f.count),
			})
			sh.mu.Unlock()
			continue
		}
		if !j.redo(f, body) {
			return bad()
		}
	}
	return nil
}

// redo repeats a control frame.
func (j *Journal) redo(f *found, body []byte) bool {
	le := binary.LittleEndian
	switch f.kind {
	case kindMeta:
		// The machine may keep the command; the file's memory must not be.
		j.machine.Apply(flow.Pos(f.lsn), slices.Clone(body))
		j.commit.stale = true
	case kindCreate:
		if len(body)%12 != 0 {
			return false
		}
		for ; len(body) > 0; body = body[12:] {
			id, keep := shardlog.Shard(le.Uint32(body)), int64(le.Uint64(body[4:]))
			if id == 0 || keep < 0 || j.table.get(id) != nil {
				return false
			}
			s := newShard(id, flow.Pos(f.lsn), keep)
			s.live = true
			j.table.add(s)
		}
	case kindSeal, kindDrop:
		return j.each(body, func(s *shard) {
			if f.kind == kindDrop {
				s.gone = true
				s.applyDrop()
			} else if s.sealing == 0 {
				s.sealing = flow.Pos(f.lsn)
				s.applySeal(s.sealing)
			}
		}, f.kind == kindDrop)
	case kindRetain:
		if len(body) < 8 {
			return false
		}
		keep := int64(le.Uint64(body))
		return keep >= 0 && j.each(body[8:], func(s *shard) { s.applyRetain(keep, f.time) }, false)
	}
	return true
}

// each calls do for the shards in a frame. Those that do not exist are passed
// over if lenient, else they are an error.
func (j *Journal) each(body []byte, do func(*shard), lenient bool) bool {
	if len(body)%4 != 0 {
		return false
	}
	for ; len(body) > 0; body = body[4:] {
		s := j.table.get(shardlog.Shard(binary.LittleEndian.Uint32(body)))
		if s == nil {
			if !lenient {
				return false
			}
			continue
		}
		do(s)
	}
	return true
}
