package journal

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"strconv"
	"strings"

	"github.com/thalweg/thalweg/flow"
	"github.com/thalweg/thalweg/internal/vfs"
	"github.com/thalweg/thalweg/shardlog"
	"github.com/thalweg/thalweg/shardlog/journal/segment"
)

const (
	checkpointMagic  = "thwgckpt"
	checkpointPrefix = "checkpoint-"
	tempSuffix       = segment.TempSuffix
	checkpointHead   = 76
)

// state is what is true between two groups: all that the journal files before
// said, but for records.
type state struct {
	file     uint32 // replay begins with this journal file
	log      uint64
	lsn      uint64
	group    uint64
	time     int64
	shards   []shardState // by number
	segments []segment.Meta
	snapshot io.WriterTo // the machine's; nil before its first command
}

// snapshotSize is how long the snapshot of a state is that was read.
func (st *state) snapshotSize() int {
	b, _ := st.snapshot.(shardlog.Encoded)
	return len(b)
}

// shardState is a shard as a checkpoint keeps it.
type shardState struct {
	id        shardlog.Shard
	dropped   bool
	retention int64
	created   flow.Pos
	end       flow.Pos
	tail      flow.Pos
	last      int64
	floor     int64
	first     flow.Pos
}

const (
	shardDropped = 1
	shardSealed  = 2
)

// capture copies all shards that are on disk, by number.
func (t *table) capture() []shardState {
	all := t.all()
	list := make([]shardState, 0, len(all))
	for _, s := range all {
		s.mu.Lock()
		if s.live {
			list = append(list, shardState{s.id, s.dropped, s.retention, s.created, s.end, s.tail, s.last, s.floor, s.first})
		}
		s.mu.Unlock()
	}
	return list
}

func (x *shardState) restore() *shard {
	return &shard{
		id: x.id, live: true, dropped: x.dropped, gone: x.dropped, retention: x.retention, created: x.created,
		end: x.end, sealing: x.end, tail: x.tail, last: x.last, floor: x.floor, first: x.first,
	}
}

// tables encodes the shard table and the segment table.
func (st *state) tables() (shards, segs []byte) {
	shards = binary.AppendUvarint(shards, uint64(len(st.shards)))
	before := shardlog.Shard(0)
	for i := range st.shards {
		x := &st.shards[i]
		shards = binary.AppendUvarint(shards, uint64(x.id-before))
		before = x.id
		flags := byte(0)
		if x.dropped {
			flags |= shardDropped
		}
		if x.end != 0 {
			flags |= shardSealed
		}
		shards = append(shards, flags)
		shards = binary.AppendUvarint(shards, uint64(x.retention))
		shards = binary.AppendUvarint(shards, uint64(x.created))
		if x.end != 0 {
			shards = binary.AppendUvarint(shards, uint64(x.end))
		}
		for _, v := range [...]uint64{uint64(x.tail), uint64(x.last), uint64(max(0, x.floor)), uint64(x.first)} {
			shards = binary.AppendUvarint(shards, v)
		}
	}
	segs = binary.AppendUvarint(segs, uint64(len(st.segments)))
	for i := range st.segments {
		m := &st.segments[i]
		segs = binary.AppendUvarint(segs, uint64(len(m.Name)))
		segs = append(segs, m.Name...)
		segs = append(segs, m.Class)
		for _, v := range [...]uint64{uint64(m.Bytes), uint64(m.First), uint64(m.Last), uint64(m.MinTime), uint64(m.MaxTime), uint64(m.Records)} {
			segs = binary.AppendUvarint(segs, v)
		}
		set := m.Shards.AppendBinary(nil)
		segs = binary.AppendUvarint(segs, uint64(len(set)))
		segs = append(segs, set...)
	}
	return shards, segs
}

// head encodes the head of a checkpoint whose parts have these lengths.
func (st *state) head(shards, segs, snapshot int64) []byte {
	le := binary.LittleEndian
	b := make([]byte, checkpointHead)
	copy(b, checkpointMagic)
	le.PutUint32(b[8:], formatVersion)
	le.PutUint32(b[12:], st.file)
	le.PutUint64(b[16:], st.log)
	le.PutUint64(b[24:], st.lsn)
	le.PutUint64(b[32:], st.group)
	le.PutUint64(b[40:], uint64(st.time))
	le.PutUint64(b[48:], uint64(shards))
	le.PutUint64(b[56:], uint64(segs))
	le.PutUint64(b[64:], uint64(snapshot))
	le.PutUint32(b[72:], checksum(b[:72]))
	return b
}

// write writes the checkpoint. A snapshot may be large, so it goes to the file
// piece by piece, and the head, which has its length, last.
func (st *state) write(w io.WriterAt) error {
	shards, segs := st.tables()
	out := partWriter{w: w, at: checkpointHead}
	var sizes [3]int64
	for i, part := range [...]io.WriterTo{shardlog.Encoded(shards), shardlog.Encoded(segs), st.snapshot} {
		if part != nil {
			if _, err := part.WriteTo(&out); err != nil {
				return err
			}
		}
		var err error
		if sizes[i], err = out.end(); err != nil {
			return err
		}
	}
	_, err := w.WriteAt(st.head(sizes[0], sizes[1], sizes[2]), 0)
	return err
}

// partWriter appends to a file, a quarter of a MiB at a time, and keeps the
// length and the checksum of the part being written.
type partWriter struct {
	w    io.WriterAt
	at   int64
	buf  []byte
	size int64
	sum  uint32
}

const pieceBytes = 256 << 10

func (p *partWriter) Write(b []byte) (int, error) {
	p.size += int64(len(b))
	p.sum = crc32.Update(p.sum, castagnoli, b)
	if p.buf = append(p.buf, b...); len(p.buf) < pieceBytes {
		return len(b), nil
	}
	return len(b), p.flush()
}

func (p *partWriter) flush() error {
	_, err := p.w.WriteAt(p.buf, p.at)
	p.at += int64(len(p.buf))
	p.buf = p.buf[:0]
	return err
}

// end ends a part with its checksum and returns its length.
func (p *partWriter) end() (size int64, err error) {
	size = p.size
	p.buf = binary.LittleEndian.AppendUint32(p.buf, p.sum)
	p.size, p.sum = 0, 0
	return size, p.flush()
}

// damage is what is wrong with bytes, and where in them.
type damage struct {
	at   int64
	what string
}

func (d *damage) Error() string { return fmt.Sprintf("at offset %d: %s", d.at, d.what) }

// parseCheckpoint decodes a checkpoint; errors are *damage. The snapshot
// shares b's memory.
func parseCheckpoint(b []byte) (*state, error) {
	le := binary.LittleEndian
	if len(b) < checkpointHead || string(b[:8]) != checkpointMagic {
		return nil, &damage{0, "not a checkpoint"}
	}
	if checksum(b[:72]) != le.Uint32(b[72:]) {
		return nil, &damage{0, "checksum of the head does not match"}
	}
	if v := le.Uint32(b[8:]); v != formatVersion {
		return nil, &damage{8, fmt.Sprintf("format version %d; this program knows version %d", v, formatVersion)}
	}
	st := &state{file: le.Uint32(b[12:]), log: le.Uint64(b[16:]), lsn: le.Uint64(b[24:]), group: le.Uint64(b[32:]), time: int64(le.Uint64(b[40:]))}
	if st.file == 0 || st.lsn == 0 || st.group == 0 {
		return nil, &damage{12, "a number is zero that cannot be"}
	}
	var parts [3][]byte
	var starts [3]int64
	at, rest := int64(checkpointHead), b[checkpointHead:]
	for i := range parts {
		n := le.Uint64(b[48+8*i:])
		if uint64(len(rest)) < 4 || n > uint64(len(rest))-4 {
			return nil, &damage{at, "file ends too early"}
		}
		parts[i], starts[i] = rest[:n], at
		if checksum(parts[i]) != le.Uint32(rest[n:]) {
			return nil, &damage{at, fmt.Sprintf("checksum of part %d does not match", i+1)}
		}
		rest, at = rest[n+4:], at+int64(n)+4
	}
	if len(rest) != 0 {
		return nil, &damage{at, "bytes after the end"}
	}
	if !st.parseShards(parts[0]) {
		return nil, &damage{starts[0], "malformed shard table"}
	}
	if !st.parseSegments(parts[1]) {
		return nil, &damage{starts[1], "malformed segment table"}
	}
	if len(parts[2]) > 0 {
		st.snapshot = shardlog.Encoded(parts[2])
	}
	return st, nil
}

// fields reads varints off bytes and remembers whether all were there.
type fields struct {
	b  []byte
	ok bool
}

func (r *fields) num() uint64 {
	v, n := binary.Uvarint(r.b)
	if n <= 0 || v >= 1<<63 {
		r.ok, r.b = false, nil
		return 0
	}
	r.b = r.b[n:]
	return v
}

func (r *fields) take(n uint64) []byte {
	if n > uint64(len(r.b)) {
		r.ok, r.b = false, nil
		return nil
	}
	t := r.b[:n]
	r.b = r.b[n:]
	return t
}

func (r *fields) byte() byte {
	if t := r.take(1); t != nil {
		return t[0]
	}
	return 0
}

func (st *state) parseShards(b []byte) bool {
	r := &fields{b, true}
	n := r.num()
	if n > uint64(len(b)) {
		return false
	}
	st.shards = make([]shardState, 0, n)
	id := uint64(0)
	for range n {
		step := r.num()
		id += step
		if !r.ok || step == 0 || id > 1<<32-1 {
			return false
		}
		x := shardState{id: shardlog.Shard(id)}
		flags := r.byte()
		x.dropped = flags&shardDropped != 0
		x.retention = int64(r.num())
		x.created = flow.Pos(r.num())
		if flags&shardSealed != 0 {
			x.end = flow.Pos(r.num())
			r.ok = r.ok && x.end != 0
		}
		x.tail, x.last, x.floor, x.first = flow.Pos(r.num()), int64(r.num()), int64(r.num()), flow.Pos(r.num())
		if flags&^(shardDropped|shardSealed) != 0 {
			return false
		}
		st.shards = append(st.shards, x)
	}
	return r.ok && len(r.b) == 0
}

func (st *state) parseSegments(b []byte) bool {
	r := &fields{b, true}
	n := r.num()
	if n > uint64(len(b)) {
		return false
	}
	for range n {
		var m segment.Meta
		m.Name = string(r.take(r.num()))
		m.Class = r.byte()
		m.Bytes, m.First, m.Last = int64(r.num()), flow.Pos(r.num()), flow.Pos(r.num())
		m.MinTime, m.MaxTime, m.Records = int64(r.num()), int64(r.num()), int64(r.num())
		set := r.take(r.num())
		if !r.ok || m.Name == "" || strings.ContainsAny(m.Name, "/\\") {
			return false
		}
		shards, rest, err := segment.DecodeSet(set)
		if err != nil || len(rest) != 0 {
			return false
		}
		m.Shards = shards
		st.segments = append(st.segments, m)
	}
	return r.ok && len(r.b) == 0
}

func checkpointName(n uint64) string { return fmt.Sprintf("%s%012d", checkpointPrefix, n) }

// checkpointNumber parses a checkpoint's name.
func checkpointNumber(name string) (uint64, bool) {
	digits, ok := strings.CutPrefix(name, checkpointPrefix)
	if !ok {
		return 0, false
	}
	n, err := strconv.ParseUint(digits, 10, 64)
	return n, err == nil && checkpointName(n) == name
}

// errDoubt wraps a failure after which a checkpoint may be on disk or not:
// what it names must stay.
var errDoubt = errors.New("checkpoint in doubt")

// writeCheckpoint makes st durable as checkpoint n.
func writeCheckpoint(fs vfs.FS, dir string, n uint64, st *state) error {
	path := dir + "/" + checkpointName(n)
	if err := writeFile(fs, path+tempSuffix, st.write); err != nil {
		fs.Remove(path + tempSuffix)
		return fmt.Errorf("write checkpoint %s: %w", path, err)
	}
	err := fs.Rename(path+tempSuffix, path)
	if err == nil {
		err = fs.SyncDir(dir)
	}
	if err != nil {
		return fmt.Errorf("write checkpoint %s: %w: %w", path, err, errDoubt)
	}
	return nil
}

func writeFile(fs vfs.FS, path string, write func(io.WriterAt) error) error {
	f, err := fs.Create(path)
	if err != nil {
		return err
	}
	if err = write(f); err == nil {
		err = f.Sync()
	}
	return errors.Join(err, f.Close())
}

func readFile(fs vfs.FS, path string) ([]byte, error) {
	f, err := fs.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	size, err := f.Size()
	if err != nil {
		return nil, err
	}
	b := make([]byte, size)
	if n, err := f.ReadAt(b, 0); n < len(b) {
		return nil, errors.Join(err, io.ErrUnexpectedEOF)
	}
	return b, nil
}

// readCheckpoint reads and checks one.
func readCheckpoint(fs vfs.FS, path string) (*state, error) {
	b, err := readFile(fs, path)
	if err != nil {
		return nil, fmt.Errorf("read checkpoint %s: %w", path, err)
	}
	st, err := parseCheckpoint(b)
	var d *damage
	if errors.As(err, &d) {
		return nil, corrupt(path, d.at, "%s", d.what)
	}
	return st, err
}
