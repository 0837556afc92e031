// Package segment keeps a stretch of the log in one immutable file: the
// frames of all shards of one retention class, sorted by shard and then by
// position, in blocks with checksums and optional compression, under a footer
// that says where each shard's blocks lie. It hides the format
// (docs/format/segment.md) and the reading and writing of it. It never looks
// inside a payload, never changes a finished file (but for giving dropped
// shards' bytes back), and never decides what is kept, merged or removed:
// that is the journal's.
package segment

import (
	"errors"
	"fmt"
	"hash/crc32"
	"path"

	"github.com/thalweg/thalweg/flow"
	"github.com/thalweg/thalweg/internal/vfs"
	"github.com/thalweg/thalweg/shardlog"
)

// MaxPayload is the most bytes that one frame carries.
const MaxPayload = 64 << 20

// MaxCount is the most records that one frame carries.
const MaxCount = 65535

// TempSuffix ends the name of a segment that is still being written. What
// carries it when a log is opened is rubbish from a crash.
const TempSuffix = ".tmp"

// ErrClosed is what a closed Segment answers.
var ErrClosed = errors.New("segment is closed")

// Frame is a run of records of one shard that arrived together.
type Frame struct {
	Shard   shardlog.Shard
	Pos     flow.Pos // of the first record; the others follow by one
	Time    int64    // of all its records, Unix milliseconds
	Count   int      // records, 1..MaxCount
	Sum     uint32   // CRC-32C of Payload
	Payload []byte   // at most MaxPayload bytes
}

// Last is the position of the frame's last record.
func (f *Frame) Last() flow.Pos { return f.Pos + flow.Pos(f.Count) - 1 }

// Options say what a new segment is.
type Options struct {
	Class    uint8  // the retention class: the engine's number, kept as it is
	Compress bool   // store blocks compressed where that saves at least an eighth
	Store    uint64 // the log that the segment belongs to
}

// Meta is what a segment holds as a whole.
type Meta struct {
	Name             string // of the file, without folder
	Class            uint8
	Bytes            int64    // of the file
	First, Last      flow.Pos // of the first and the last record
	MinTime, MaxTime int64    // Unix milliseconds
	Records          int64
	Shards           Set
}

// Sum returns the checksum of a payload as frames carry it: CRC-32C.
func Sum(payload []byte) uint32 { return crc32.Update(0, castagnoli, payload) }

// castagnoli is a constant in all but syntax.
var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// metaOf sums up the blocks of the file called name.
func metaOf(name string, class uint8, bytes int64, blocks []block) Meta {
	m := Meta{Name: path.Base(name), Class: class, Bytes: bytes}
	for i := range blocks {
		b := &blocks[i]
		if i == 0 {
			m.First, m.Last, m.MinTime, m.MaxTime = b.first, b.last, b.minTime, b.maxTime
		}
		m.First, m.Last = min(m.First, b.first), max(m.Last, b.last)
		m.MinTime, m.MaxTime = min(m.MinTime, b.minTime), max(m.MaxTime, b.maxTime)
		m.Records += int64(b.records)
		m.Shards.push(b.shard)
	}
	return m
}

// flaw is what is wrong with bytes that were read, and where: at counts from
// the start of what was being decoded.
type flaw struct {
	at   int64
	what string
}

func (f *flaw) Error() string { return fmt.Sprintf("at %d: %s", f.at, f.what) }

func flawed(at int64, format string, args ...any) *flaw {
	return &flaw{at, fmt.Sprintf(format, args...)}
}

// corrupt names the file and, in the file, the place of a flaw.
func corrupt(name string, base int64, f *flaw) error {
	return fmt.Errorf("segment %s at offset %d: %s: %w", name, base+f.at, f.what, shardlog.ErrCorrupt)
}

// readAt returns the n bytes at off, in buf if it has the room and in new
// memory else. A file that ends too early is corrupt.
func readAt(f vfs.File, name string, buf []byte, n int, off int64) ([]byte, error) {
	if cap(buf) < n {
		buf = make([]byte, n)
	}
	m, err := f.ReadAt(buf[:n], off)
	switch {
	case m == n:
		return buf[:n], nil
	case atEnd(err):
		return nil, corrupt(name, off, flawed(int64(m), "file ends %d bytes too early", n-m))
	default:
		return nil, fmt.Errorf("read segment %s at offset %d: %w", name, off, err)
	}
}
