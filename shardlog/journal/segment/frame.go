package segment

import (
	"encoding/binary"
	"hash/crc32"

	"github.com/thalweg/thalweg/flow"
	"github.com/thalweg/thalweg/shardlog"
)

const (
	frameHeader = 28
	blockSize   = 256 << 10 // raw, unless one frame alone is more
)

func appendHeader(dst []byte, f *Frame) []byte {
	var h [frameHeader]byte
	le := binary.LittleEndian
	le.PutUint64(h[0:], uint64(f.Pos))
	le.PutUint64(h[8:], uint64(f.Time))
	le.PutUint32(h[16:], uint32(f.Count))
	le.PutUint32(h[20:], uint32(len(f.Payload)))
	le.PutUint32(h[24:], f.Sum)
	return append(dst, h[:]...)
}

// firstFrame splits the first frame off a raw block that checkBlock has
// passed.
func firstFrame(raw []byte, shard shardlog.Shard) (Frame, []byte) {
	le := binary.LittleEndian
	end := frameHeader + int(le.Uint32(raw[20:]))
	return Frame{
		Shard:   shard,
		Pos:     flow.Pos(le.Uint64(raw)),
		Time:    int64(le.Uint64(raw[8:])),
		Count:   int(le.Uint32(raw[16:])),
		Sum:     le.Uint32(raw[24:]),
		Payload: raw[frameHeader:end:end],
	}, raw[end:]
}

// checkBlock makes sure that raw is whole frames, in order, and what the
// footer says of them.
func checkBlock(raw []byte, b *block) *flaw {
	le := binary.LittleEndian
	if len(raw) != int(b.raw) {
		return flawed(0, "block has %d bytes, not %d", len(raw), b.raw)
	}
	var got block
	for at := 0; at < len(raw); {
		if len(raw)-at < frameHeader {
			return flawed(int64(at), "frame is cut short")
		}
		h := raw[at : at+frameHeader]
		pos, t := flow.Pos(le.Uint64(h)), int64(le.Uint64(h[8:]))
		count, n := le.Uint32(h[16:]), le.Uint32(h[20:])
		if n > MaxPayload || int(n) > len(raw)-at-frameHeader {
			return flawed(int64(at), "frame of %d bytes does not fit its block", n)
		}
		if pos <= got.last || pos > maxPos || count == 0 || count > MaxCount {
			return flawed(int64(at), "frame of %d records at position %d cannot be", count, pos)
		}
		if got.frames == 0 {
			got.first, got.minTime, got.maxTime = pos, t, t
		}
		got.last = pos + flow.Pos(count) - 1
		got.minTime, got.maxTime = min(got.minTime, t), max(got.maxTime, t)
		got.records += count
		got.frames++
		at += frameHeader + int(n)
	}
	if got.frames != b.frames || got.records != b.records || got.first != b.first || got.last != b.last ||
		got.minTime != b.minTime || got.maxTime != b.maxTime {
		return flawed(0, "frames are not those that the footer names")
	}
	return nil
}

// checkPayloads makes sure of each payload's own checksum, in a raw block
// that checkBlock has passed.
func checkPayloads(raw []byte, b *block) *flaw {
	for at, rest := 0, raw; len(rest) > 0; at = len(raw) - len(rest) {
		var f Frame
		f, rest = firstFrame(rest, b.shard)
		if Sum(f.Payload) != f.Sum {
			return flawed(int64(at), "payload at position %d has a wrong checksum", f.Pos)
		}
	}
	return nil
}

// checkStored makes sure of a block's bytes as they came from the file.
func checkStored(stored []byte, b *block) *flaw {
	if crc32.Update(0, castagnoli, stored) == b.sum {
		return nil
	}
	for _, c := range stored {
		if c != 0 {
			return flawed(0, "block of shard %d has a wrong checksum", b.shard)
		}
	}
	return flawed(0, "block of shard %d is all zeros: lost, or given back", b.shard)
}
