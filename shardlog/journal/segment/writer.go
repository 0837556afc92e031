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
	flushSize  = 4 << 20 // bytes after which the disk is told to begin
	keepBuffer = 4 << 20 // a larger buffer, grown by a huge frame, is not kept
	sampleSize = 8 << 10
	shareSize  = 4 << 10 // a payload of this size is not copied, when it need not be
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

	out     []byte // what is not written yet: whole blocks, then the open one
	cuts    []cut  // payloads that belong between the bytes of out
	cut     int    // bytes of all cuts
	off     int64  // of the first byte not written yet
	flushed int64  // up to here the disk was told to begin
	start   int    // of the open block in what is not written
	open    block  // what is known of the open block; frames 0: there is none
	blocks  []block
	vec     [][]byte
	power   powers

	zip  *zstd.Encoder
	zbuf []byte
}

// cut is a payload that lies where the caller has it: it follows out[:at].
type cut struct {
	at      int
	payload []byte
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
	file, err := fs.Create(name + TempSuffix)
	if err != nil {
		return nil, fmt.Errorf("create segment %s: %w", name, err)
	}
	w.file = file
	w.out = make([]byte, 0, writeSize+blockSize)
	return w, nil
}

// Add appends a frame, which must be of the same shard as the one before and
// after it, or of a higher shard; else ErrOrder. The payload is copied unless
// Options.Stable promises that it stays as it is; its Sum is taken on trust.
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
	if w.open.frames > 0 && (f.Shard != w.open.shard || w.pending()-w.start+size > blockSize) {
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
	if w.zip != nil {
		w.out = append(appendHeader(w.out, &f), f.Payload...)
		return nil
	}
	at := len(w.out)
	w.out = appendHeader(w.out, &f)
	b.sum = crc32.Update(b.sum, castagnoli, w.out[at:])
	if len(f.Payload) < shareSize {
		w.out = append(w.out, f.Payload...)
		b.sum = crc32.Update(b.sum, castagnoli, f.Payload)
		return nil
	}
	b.sum = w.power.join(b.sum, f.Sum, len(f.Payload))
	if !w.opts.Stable {
		w.out = append(w.out, f.Payload...)
		return nil
	}
	w.cuts = append(w.cuts, cut{len(w.out), f.Payload})
	w.cut += len(f.Payload)
	return nil
}

// pending is how many bytes are not written yet.
func (w *Writer) pending() int { return len(w.out) + w.cut }

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
	b := w.open
	w.open = block{}
	n := w.pending() - w.start
	b.raw, b.codec = uint32(n), plain
	if w.zip == nil {
		return w.push(b, n)
	}
	// A writer that compresses has no cuts: start is a place in out.
	raw := w.out[w.start:]
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
	w.start = w.pending()
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
	w.out = append(w.out, stored...)
	return w.push(b, len(stored))
}

func (w *Writer) flush() error {
	n := w.pending()
	if n == 0 {
		return nil
	}
	w.vec = w.vec[:0]
	at := 0
	for _, c := range w.cuts {
		w.vec = append(w.vec, w.out[at:c.at], c.payload)
		at = c.at
	}
	w.vec = append(w.vec, w.out[at:])
	if err := w.file.WriteVec(w.vec, w.off); err != nil {
		w.err = fmt.Errorf("write segment %s at offset %d: %w", w.path, w.off, err)
		return w.err
	}
	clear(w.vec)
	clear(w.cuts)
	w.off += int64(n)
	w.start, w.out, w.cuts, w.cut = 0, w.out[:0], w.cuts[:0], 0
	if cap(w.out) > keepBuffer {
		w.out = make([]byte, 0, writeSize+blockSize)
	}
	// One sync of all at the end would keep the disk to itself for long, and
	// the journal's small syncs waiting behind it.
	if w.off-w.flushed >= flushSize {
		if err := w.file.Flush(w.flushed, w.off-w.flushed); err != nil {
			w.err = fmt.Errorf("write segment %s: %w", w.path, err)
			return w.err
		}
		w.flushed = w.off
	}
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
	at := w.off + int64(w.pending())
	sum, from := uint32(0), len(w.out)
	w.out = appendHead(w.out, head{class: w.opts.Class, store: w.opts.Store}, w.blocks)
	for i := range w.blocks {
		w.out = appendEntry(w.out, &w.blocks[i])
		if len(w.out) >= writeSize {
			sum, from = crc32.Update(sum, castagnoli, w.out[from:]), 0
			if err := w.flush(); err != nil {
				return 0, err
			}
		}
	}
	sum = crc32.Update(sum, castagnoli, w.out[from:])
	w.out = appendTrailer(w.out, at, headSize+entrySize*len(w.blocks), sum)
	if err := w.flush(); err != nil {
		return 0, err
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
	w.file, w.out, w.cuts, w.zbuf, w.zip = nil, nil, nil, nil, nil
	return w.off, w.fs.SyncDir(path.Dir(w.path))
}

// Abort gives up and removes what was written. After Finish it does nothing.
func (w *Writer) Abort() {
	if w.file == nil {
		return
	}
	// The file is worthless: neither error says anything that matters.
	_ = w.file.Close()
	_ = w.fs.Remove(w.path + TempSuffix)
	w.file, w.out, w.cuts, w.zbuf, w.zip = nil, nil, nil, nil, nil
	if w.err == nil {
		w.err = fmt.Errorf("segment %s: %w", w.path, ErrClosed)
	}
}
