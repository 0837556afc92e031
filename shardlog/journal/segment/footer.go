package segment

import (
	"encoding/binary"
	"errors"
	"hash/crc32"
	"io"
	"math"
	"sort"

	"github.com/thalweg/thalweg/flow"
	"github.com/thalweg/thalweg/shardlog"
)

const (
	version = 1

	trailerSize = 32
	headSize    = 32
	entrySize   = 64
	maxFooter   = 256 << 20

	footerMagic  = "thwgSEGF"
	trailerMagic = "thwgSEGT"

	maxPos = flow.Pos(math.MaxInt64)
)

// codec is how a block's bytes are stored.
type codec uint8

const (
	plain codec = 1
	zstd1 codec = 2 // a zstd frame
)

func (c codec) String() string {
	switch c {
	case plain:
		return "plain"
	case zstd1:
		return "zstd"
	}
	return "?"
}

// block is a footer entry.
type block struct {
	off              int64
	stored, raw      uint32 // lengths
	sum              uint32 // CRC of the stored bytes
	records          uint32
	first, last      flow.Pos
	minTime, maxTime int64
	shard            shardlog.Shard
	frames           uint16
	codec            codec
}

// head is what a footer says about the whole file.
type head struct {
	class uint8
	store uint64
}

func atEnd(err error) bool { return errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) }

func appendHead(dst []byte, h head, blocks []block) []byte {
	dst = append(dst, footerMagic...)
	dst = binary.LittleEndian.AppendUint16(dst, version)
	dst = append(dst, h.class, 0)
	dst = binary.LittleEndian.AppendUint32(dst, uint32(len(blocks)))
	dst = binary.LittleEndian.AppendUint64(dst, h.store)
	frames := uint64(0)
	for i := range blocks {
		frames += uint64(blocks[i].frames)
	}
	return binary.LittleEndian.AppendUint64(dst, frames)
}

func appendEntry(dst []byte, b *block) []byte {
	le := binary.LittleEndian
	dst = le.AppendUint32(dst, uint32(b.shard))
	dst = append(dst, byte(b.codec), 0)
	dst = le.AppendUint16(dst, b.frames)
	dst = le.AppendUint64(dst, uint64(b.off))
	dst = le.AppendUint32(dst, b.stored)
	dst = le.AppendUint32(dst, b.raw)
	dst = le.AppendUint32(dst, b.sum)
	dst = le.AppendUint32(dst, b.records)
	dst = le.AppendUint64(dst, uint64(b.first))
	dst = le.AppendUint64(dst, uint64(b.last))
	dst = le.AppendUint64(dst, uint64(b.minTime))
	return le.AppendUint64(dst, uint64(b.maxTime))
}

func appendTrailer(dst []byte, off int64, length int, sum uint32) []byte {
	at := len(dst)
	dst = binary.LittleEndian.AppendUint64(dst, uint64(off))
	dst = binary.LittleEndian.AppendUint32(dst, uint32(length))
	dst = binary.LittleEndian.AppendUint32(dst, sum)
	dst = binary.LittleEndian.AppendUint32(dst, version)
	dst = append(dst, 0, 0, 0, 0)
	dst = append(dst, trailerMagic...)
	binary.LittleEndian.PutUint32(dst[at+20:], trailerSum(dst[at:]))
	return dst
}

func trailerSum(b []byte) uint32 {
	return crc32.Update(crc32.Update(0, castagnoli, b[:20]), castagnoli, b[24:trailerSize])
}

// decodeTrailer reads the last bytes of a file of the given size and says
// where its footer is and what its CRC must be.
func decodeTrailer(b []byte, size int64) (off int64, length int, sum uint32, bad *flaw) {
	le := binary.LittleEndian
	if string(b[24:trailerSize]) != trailerMagic {
		return 0, 0, 0, flawed(24, "no trailer: not a segment, or cut short")
	}
	if v := le.Uint32(b[16:]); v != version && le.Uint32(b[20:]) == trailerSum(b) {
		return 0, 0, 0, flawed(16, "format version %d, this program reads %d", v, version)
	}
	if le.Uint32(b[20:]) != trailerSum(b) {
		return 0, 0, 0, flawed(0, "trailer has a wrong checksum")
	}
	o, n := le.Uint64(b), le.Uint32(b[8:])
	if n < headSize+entrySize || n > maxFooter || (n-headSize)%entrySize != 0 {
		return 0, 0, 0, flawed(8, "footer cannot be %d bytes long", n)
	}
	if o > math.MaxInt64-maxFooter-trailerSize || int64(o)+int64(n)+trailerSize != size {
		return 0, 0, 0, flawed(0, "footer of %d bytes at %d does not fit a file of %d bytes", n, o, size)
	}
	return int64(o), int(n), le.Uint32(b[12:]), nil
}

// decodeFooter reads a footer that lies at off in its file.
func decodeFooter(b []byte, off int64, sum uint32) (h head, blocks []block, bad *flaw) {
	le := binary.LittleEndian
	if crc32.Update(0, castagnoli, b) != sum {
		return h, nil, flawed(0, "footer has a wrong checksum")
	}
	if len(b) < headSize || string(b[:8]) != footerMagic {
		return h, nil, flawed(0, "no footer")
	}
	if v := le.Uint16(b[8:]); v != version {
		return h, nil, flawed(8, "format version %d, this program reads %d", v, version)
	}
	n := le.Uint32(b[12:])
	if b[11] != 0 || n == 0 || uint64(n)*entrySize+headSize != uint64(len(b)) {
		return h, nil, flawed(12, "footer of %d bytes cannot have %d blocks", len(b), n)
	}
	h = head{class: b[10], store: le.Uint64(b[16:])}
	blocks = make([]block, n)
	frames, end := uint64(0), int64(0)
	for i := range blocks {
		at := headSize + i*entrySize
		blk, what := decodeEntry(b[at : at+entrySize])
		if what == "" && i > 0 {
			if p := &blocks[i-1]; blk.shard < p.shard || blk.shard == p.shard && blk.first <= p.last {
				what = "blocks are out of order"
			}
		}
		if what == "" && (blk.off != end || int64(blk.stored) > off-end) {
			what = "blocks do not lie one after another"
		}
		if what != "" {
			return h, nil, flawed(int64(at), "entry of block %d: %s", i, what)
		}
		end += int64(blk.stored)
		frames += uint64(blk.frames)
		blocks[i] = blk
	}
	if end != off {
		return h, nil, flawed(12, "blocks end at %d, not at the footer", end)
	}
	if frames != le.Uint64(b[24:]) {
		return h, nil, flawed(24, "blocks have %d frames, not %d", frames, le.Uint64(b[24:]))
	}
	return h, blocks, nil
}

// decodeEntry reads a footer entry, and says what is wrong with it by itself.
func decodeEntry(b []byte) (e block, what string) {
	le := binary.LittleEndian
	e = block{
		shard:   shardlog.Shard(le.Uint32(b)),
		codec:   codec(b[4]),
		frames:  le.Uint16(b[6:]),
		off:     int64(le.Uint64(b[8:])),
		stored:  le.Uint32(b[16:]),
		raw:     le.Uint32(b[20:]),
		sum:     le.Uint32(b[24:]),
		records: le.Uint32(b[28:]),
		first:   flow.Pos(le.Uint64(b[32:])),
		last:    flow.Pos(le.Uint64(b[40:])),
		minTime: int64(le.Uint64(b[48:])),
		maxTime: int64(le.Uint64(b[56:])),
	}
	switch {
	case e.shard == 0 || b[5] != 0:
		what = "no shard"
	case e.frames == 0 || uint64(e.frames)*frameHeader > uint64(e.raw):
		what = "frames cannot fit"
	case e.raw > blockSize && (e.frames != 1 || e.raw > frameHeader+MaxPayload):
		what = "too long"
	case e.codec != plain && e.codec != zstd1:
		what = "unknown codec"
	case e.stored == 0 || e.codec == plain && e.stored != e.raw || e.codec == zstd1 && e.stored >= e.raw:
		what = "stored length does not fit the codec"
	case e.first == 0 || e.first > e.last || e.last > maxPos:
		what = "positions are not a range"
	case e.records < uint32(e.frames) || uint64(e.records) > uint64(e.frames)*MaxCount ||
		uint64(e.records) > uint64(e.last-e.first)+1:
		what = "records do not fit"
	case e.minTime > e.maxTime:
		what = "times are not a range"
	}
	return e, what
}

// find returns the index of the shard's first block whose last position is at
// or after from. The block there may be another shard's, or none.
func find(blocks []block, shard shardlog.Shard, from flow.Pos) int {
	return sort.Search(len(blocks), func(i int) bool {
		b := &blocks[i]
		return b.shard > shard || b.shard == shard && b.last >= from
	})
}
