package segment

import (
	"errors"
	"fmt"
	"hash/crc32"
	"path"

	"github.com/klauspost/compress/zstd"

	"github.com/thalweg/thalweg/flow"
	"github.com/thalweg/thalweg/internal/vfs"
	"github.com/thalweg/thalweg/shardlog"
)

const (
	writeSize  = 1 << 20 // bytes per write to the file, at least
	keepBuffer = 4 << 20 // a larger buffer, grown by a huge frame, is not kept
	sampleSize = 8 << 10
	joinSize   = 4 << 10 // the checksum of a payload of this size is joined, not made anew; smaller frames are summed up together
)

// ErrOrder is Add's answer to a frame that is not after the one before.
var ErrOrder = errors.New("frames are out of order")

// Writer makes one segment. It is used by one goroutine.
type Writer struct {
	fs   vfs.FS
	path string
	file vfs.File // nil once finished or aborted
	opts Options
	err  error // the first failure; nothing is written after it

	out    []byte // what is not written yet: whole blocks, then the open one. vfs.Aligned
	off    int64  // of the first byte not written yet
	start  int    // of the open block in out
	summed int    // up to where in out the open block's sum goes
	open   block  // what is known of the open block; frames 0: there is none
	blocks []block
	power  powers

	zip  *zstd.Encoder
	zbuf []byte
}

// Create begins the segment that will be called name once Finish returns.
// Until then it is a file of that name with TempSuffix; one left from before
// is overwritten.
func Create(fs vfs.FS, name string, o Options) (*Writer, error) {
	w := &Writer{fs: fs, path: name, opts: o, power: newPowers()}
	if o.Compress {
		zip, err := zstd.NewWriter(nil, zstd.WithEncoderLevel(zstd.SpeedFastest), zstd.WithEncoderConcurrency(1),
			zstd.WithEncoderCRC(false), zstd.WithWindowSize(blockSize), zstd.WithLowerEncoderMem(true))
		if err != nil {
			return nil, fmt.Errorf("create segment %s: %w", name, err)
		}
		w.zip = zip
	}
	// Nobody reads a segment for as long as the engine remembers its records,
	// so its bytes would only push others out of the system's cache.
	file, err := fs.CreateDirect(name + TempSuffix)
	if err != nil {
		return nil, fmt.Errorf("create segment %s: %w", name, err)
	}
	w.file = file
	w.out = vfs.Aligned(writeSize + blockSize)
	return w, nil
}

// Add appends a frame, which must be of the same shard as the one before and
// after it, or of a higher shard; else ErrOrder. Its Sum is taken on trust.
func (w *Writer) Add(f Frame) error {
	if w.err != nil {
		return w.err
	}
	if f.Shard == 0 || f.Pos == 0 || f.Pos > maxPos-MaxCount || f.Count <= 0 || f.Count > MaxCount || len(f.Payload) > MaxPayload {
		return fmt.Errorf("segment %s: shard %d cannot have a frame of %d records, %d bytes at position %d",
			w.path, f.Shard, f.Count, len(f.Payload), f.Pos)
	}
	if last, at := w.tip(); f.Shard < last || f.Shard == last && f.Pos <= at {
		return fmt.Errorf("segment %s: shard %d position %d after shard %d position %d: %w", w.path, f.Shard, f.Pos, last, at, ErrOrder)
	}
	size := frameHeader + len(f.Payload)
	if w.open.frames > 0 && (f.Shard != w.open.shard || len(w.out)-w.start+size > blockSize) {
		if err := w.seal(); err != nil {
			return err
		}
	}
	b := &w.open
	if b.frames == 0 {
		*b = block{shard: f.Shard, first: f.Pos, minTime: f.Time, maxTime: f.Time}
	}
	b.last = f.Last()
	b.minTime, b.maxTime = min(b.minTime, f.Time), max(b.maxTime, f.Time)
	b.records += uint32(f.Count)
	b.frames++
	w.room(size)
	w.out = append(appendHeader(w.out, &f), f.Payload...)
	switch {
	case w.zip != nil: // seal sums up what it stores
	case len(f.Payload) >= joinSize:
		w.sum(len(w.out) - len(f.Payload))
		b.sum = w.power.join(b.sum, f.Sum, len(f.Payload))
		w.summed = len(w.out)
	case len(w.out)-w.summed >= joinSize:
		w.sum(len(w.out))
	}
	return nil
}

// sum brings the open block's checksum up to an offset in out.
func (w *Writer) sum(end int) {
	w.open.sum = crc32.Update(w.open.sum, castagnoli, w.out[w.summed:end])
	w.summed = end
}

// room makes room for n more bytes in out.
func (w *Writer) room(n int) {
	if need := len(w.out) + n; need > cap(w.out) {
		w.out = append(vfs.Aligned(max(need, 2*cap(w.out))), w.out...)
	}
}

// tip is the shard and the position of the last record added.
func (w *Writer) tip() (shardlog.Shard, flow.Pos) {
	if w.open.frames > 0 {
		return w.open.shard, w.open.last
	}
	if n := len(w.blocks); n > 0 {
		return w.blocks[n-1].shard, w.blocks[n-1].last
	}
	return 0, 0
}

// seal ends the open block.
func (w *Writer) seal() error {
	if w.zip == nil {
		w.sum(len(w.out))
	}
	b := w.open
	w.open = block{}
	raw := w.out[w.start:]
	b.raw, b.codec = uint32(len(raw)), plain
	if w.zip == nil {
		return w.push(b, len(raw))
	}
	if w.shrinks(raw) {
		w.zbuf = w.zip.EncodeAll(raw, w.zbuf[:0])
		if worth(len(w.zbuf), len(raw)) {
			w.out = append(w.out[:w.start], w.zbuf...)
			b.codec = zstd1
		}
		if cap(w.zbuf) > keepBuffer {
			w.zbuf = nil
		}
	}
	stored := w.out[w.start:]
	b.sum = crc32.Update(0, castagnoli, stored)
	return w.push(b, len(stored))
}

// push enters a block whose n stored bytes are the last that are pending.
func (w *Writer) push(b block, n int) error {
	b.off, b.stored = w.off+int64(w.start), uint32(n)
	w.blocks = append(w.blocks, b)
	w.start, w.summed = len(w.out), len(w.out)
	if w.start < writeSize {
		return nil
	}
	return w.flush()
}

// worth reports whether n bytes are enough less than before.
func worth(n, before int) bool { return n <= before-before/8 }

// shrinks guesses from two samples whether compressing a large block will
// pay, so that random data costs a sixteenth of a try.
func (w *Writer) shrinks(raw []byte) bool {
	if len(raw) < 8*sampleSize {
		return true
	}
	for _, at := range [...]int{len(raw) / 4, len(raw) / 4 * 3} {
		w.zbuf = w.zip.EncodeAll(raw[at:at+sampleSize], w.zbuf[:0])
		if worth(len(w.zbuf), sampleSize) {
			return true
		}
	}
	return false
}

// copyBlock takes over a block of another segment as it is stored. Its frames
// must be after all that were added.
func (w *Writer) copyBlock(b block, stored []byte) error {
	if w.err != nil {
		return w.err
	}
	if last, at := w.tip(); b.shard < last || b.shard == last && b.first <= at {
		return fmt.Errorf("segment %s: shard %d position %d after shard %d position %d: %w", w.path, b.shard, b.first, last, at, ErrOrder)
	}
	if w.open.frames > 0 {
		if err := w.seal(); err != nil {
			return err
		}
	}
	w.room(len(stored))
	w.out = append(w.out, stored...)
	return w.push(b, len(stored))
}

// flush writes the whole sectors of out, and keeps the rest for the next.
func (w *Writer) flush() error {
	n := len(w.out) &^ (vfs.Sector - 1)
	if _, err := w.file.WriteAt(w.out[:n], w.off); err != nil {
		w.err = fmt.Errorf("write segment %s at offset %d: %w", w.path, w.off, err)
		return w.err
	}
	rest := w.out[n:]
	if cap(w.out) > keepBuffer {
		w.out = vfs.Aligned(writeSize + blockSize)
	}
	w.out = append(w.out[:0], rest...)
	w.off += int64(n)
	w.start, w.summed = w.start-n, w.summed-n
	return nil
}

// Finish writes the footer, makes the file durable and gives it its name: on
// return without error it survives power loss. A writer that got no frame
// makes no file and returns a Meta with no Records. On error nothing is left
// but, when only the last step failed (syncing the folder), the segment
// itself, which may or may not survive.
func (w *Writer) Finish() (Meta, error) {
	if w.file == nil && w.err == nil {
		w.err = fmt.Errorf("finish segment %s: %w", w.path, ErrClosed)
	}
	if w.err == nil && w.open.frames > 0 {
		_ = w.seal() // w.err has it
	}
	if err := w.err; err != nil || len(w.blocks) == 0 {
		w.Abort()
		return Meta{}, err
	}
	size, err := w.finish()
	if err != nil {
		w.Abort()
		w.err = fmt.Errorf("finish segment %s: %w", w.path, err)
		return Meta{}, w.err
	}
	return metaOf(w.path, w.opts.Class, size, w.blocks), nil
}

func (w *Writer) finish() (size int64, err error) {
	if len(w.blocks) > (maxFooter-headSize)/entrySize {
		return 0, fmt.Errorf("%d blocks are too many", len(w.blocks))
	}
	at := w.off + int64(len(w.out))
	sum, from := uint32(0), len(w.out)
	w.out = appendHead(w.out, head{class: w.opts.Class, store: w.opts.Store}, w.blocks)
	for i := range w.blocks {
		w.room(entrySize)
		w.out = appendEntry(w.out, &w.blocks[i])
		if len(w.out) >= writeSize {
			sum = crc32.Update(sum, castagnoli, w.out[from:])
			if err := w.flush(); err != nil {
				return 0, err
			}
			from = len(w.out)
		}
	}
	sum = crc32.Update(sum, castagnoli, w.out[from:])
	w.room(trailerSize + vfs.Sector)
	w.out = appendTrailer(w.out, at, headSize+entrySize*len(w.blocks), sum)
	size = w.off + int64(len(w.out))
	w.out = append(w.out, make([]byte, -len(w.out)&(vfs.Sector-1))...)
	if err := w.flush(); err != nil {
		return 0, err
	}
	if w.off > size {
		if err := w.file.Truncate(size); err != nil {
			return 0, err
		}
	}
	if err := w.file.Sync(); err != nil {
		return 0, err
	}
	file := w.file
	if err := file.Close(); err != nil {
		return 0, err
	}
	if err := w.fs.Rename(w.path+TempSuffix, w.path); err != nil {
		return 0, err
	}
	w.file, w.out, w.zbuf, w.zip = nil, nil, nil, nil
	return size, w.fs.SyncDir(path.Dir(w.path))
}

// Abort gives up and removes what was written. After Finish it does nothing.
func (w *Writer) Abort() {
	if w.file == nil {
		return
	}
	// The file is worthless: neither error says anything that matters.
	_ = w.file.Close()
	_ = w.fs.Remove(w.path + TempSuffix)
	w.file, w.out, w.zbuf, w.zip = nil, nil, nil, nil
	if w.err == nil {
		w.err = fmt.Errorf("segment %s: %w", w.path, ErrClosed)
	}
}
