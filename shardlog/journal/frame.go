package journal

import (
	"encoding/binary"
	"errors"
	"hash/crc32"

	"github.com/thalweg/thalweg/shardlog/journal/segment"
)

// The layout is docs/format/journal.md's.
const (
	frameHeader = 48
	block       = 4096               // groups start at multiples of it
	maxPayload  = segment.MaxPayload // bytes of one frame's payload

	formatVersion = 1
)

// kind is a frame's type. Zero is none.
type kind uint8

const (
	kindData kind = iota + 1
	kindMeta
	kindCreate
	kindSeal
	kindRetain
	kindDrop
	kindEnd
)

var kindNames = [...]string{"?", "DATA", "META", "CREATE", "SEAL", "RETAIN", "DROP", "END"}

func (k kind) String() string {
	if int(k) < len(kindNames) {
		return kindNames[k]
	}
	return kindNames[0]
}

const flagLast = 1 // the last frame of its group

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

func checksum(b []byte) uint32 { return crc32.Checksum(b, castagnoli) }

// logSeed is what the checksums of a log's frame headers start from, so that
// frames of another log are never valid in this one.
func logSeed(id uint64) uint32 {
	var b [8]byte
	binary.LittleEndian.PutUint64(b[:], id)
	return checksum(b[:])
}

// frame is a decoded frame header.
type frame struct {
	length int
	sum    uint32 // CRC of the payload
	kind   kind
	last   bool
	count  int
	shard  uint32
	file   uint32
	group  uint64
	lsn    uint64
	time   int64
}

// putHead writes what is known before the frame has its place in the log.
func putHead(h []byte, k kind, shard uint32, count int, payload []byte) {
	le := binary.LittleEndian
	le.PutUint32(h[4:], uint32(len(payload)))
	le.PutUint32(h[8:], checksum(payload))
	h[12], h[13] = byte(k), 0
	le.PutUint16(h[14:], uint16(count))
	le.PutUint32(h[16:], shard)
}

// headLength and headSum are what putHead wrote of the payload.
func headLength(h []byte) uint32 { return binary.LittleEndian.Uint32(h[4:]) }
func headSum(h []byte) uint32    { return binary.LittleEndian.Uint32(h[8:]) }

// putPlace writes a frame's place in the log, all but the flags and the
// checksum, which wait until it is known whether the frame is its group's last.
func putPlace(h []byte, file uint32, group, lsn uint64, time int64) {
	le := binary.LittleEndian
	le.PutUint32(h[20:], file)
	le.PutUint64(h[24:], group)
	le.PutUint64(h[32:], lsn)
	le.PutUint64(h[40:], uint64(time))
}

func putFinish(h []byte, seed uint32, last bool) {
	if last {
		h[13] = flagLast
	}
	binary.LittleEndian.PutUint32(h, crc32.Update(seed, castagnoli, h[4:frameHeader]))
}

var (
	errBlank    = errors.New("no frame here")
	errFrameSum = errors.New("frame header checksum does not match")
	errFrame    = errors.New("frame header makes no sense")
)

// parseFrame decodes the frame header at the start of b. It checks the header
// by itself, not the payload.
func parseFrame(b []byte, seed uint32) (frame, error) {
	if len(b) < frameHeader {
		return frame{}, errBlank
	}
	le := binary.LittleEndian
	if b[12] == 0 {
		return frame{}, errBlank
	}
	if crc32.Update(seed, castagnoli, b[4:frameHeader]) != le.Uint32(b) {
		return frame{}, errFrameSum
	}
	f := frame{
		length: int(le.Uint32(b[4:])),
		sum:    le.Uint32(b[8:]),
		kind:   kind(b[12]),
		last:   b[13]&flagLast != 0,
		count:  int(le.Uint16(b[14:])),
		shard:  le.Uint32(b[16:]),
		file:   le.Uint32(b[20:]),
		group:  le.Uint64(b[24:]),
		lsn:    le.Uint64(b[32:]),
		time:   int64(le.Uint64(b[40:])),
	}
	if f.kind > kindEnd || f.length > maxPayload || b[13]&^flagLast != 0 || f.count == 0 ||
		f.group == 0 || f.lsn == 0 || f.lsn >= 1<<63 || f.file == 0 || (f.kind == kindData) != (f.shard != 0) ||
		f.kind != kindData && f.count != 1 {
		return frame{}, errFrame
	}
	return f, nil
}

// align rounds n up to whole blocks.
func align(n int64) int64 { return (n + block - 1) &^ (block - 1) }
