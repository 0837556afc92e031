package stream

import (
	"cmp"
	"errors"

	"github.com/thalweg/thalweg/flow"
)

// Sequence is a sequence number in AWS's layout of 186 bits, which clients
// decode and compare. From the most significant bit:
//
//	2 | shard created, seconds: 36 | shard index, low nibble: 4 | position: 64 |
//	0: 8 | taken in, seconds: 36 | shard index: 32 | version: 4
//
// So numbers of a shard grow with the position, and those of a child are above
// those of its parents, whose creation is earlier.
type Sequence struct {
	Created int64    // Unix seconds when the shard was created
	Shard   uint32   // index of the shard within its stream
	Pos     flow.Pos // position in the log
	Secs    int64    // Unix seconds when the record was taken in
	Version uint8    // 2 for all that this service writes; parsed: 0 (the oldest layout), 1 or 2
}

const (
	sequenceVersion = 2
	leading         = 2 << 56 // in the top limb
	mask28          = 1<<28 - 1
	mask36          = 1<<36 - 1
	mask48          = 1<<48 - 1
	maxShardIndex   = 1<<31 - 1

	// The oldest numbers have 125 bits and no creation time:
	// 1 | seconds: 36 | any: 8 | position: 64 | shard index: 16.
	// Those with times from here on are invalid to AWS (the year 2477).
	maxOldSecs = 16025175000
)

var errSequence = errors.New("not a sequence number")

// AppendText appends the number in decimal, 56 digits for any shard created
// since 1970. It allocates nothing when dst has room.
func (s Sequence) AppendText(dst []byte) []byte { return appendDecimal(dst, s.limbs()) }

func (s Sequence) String() string { return string(s.AppendText(make([]byte, 0, 56))) }

// Successive appends the numbers of a shard's records in decimal, as AppendText
// does. The number after the one before, in the same second, costs two
// additions where another costs divisions. The zero value is ready.
type Successive struct {
	last           Sequence
	high, mid, low uint64 // of last, in groups of 18, 19 and 19 digits
	text           [18 + 19 + 19]byte
}

// The difference between two numbers whose positions differ by one is 2^80.
const (
	stepMid = (1 << 80) / 10_000_000_000_000_000_000
	stepLow = (1 << 80) % 10_000_000_000_000_000_000
)

// AppendText appends s.
func (t *Successive) AppendText(dst []byte, s Sequence) []byte {
	next := t.last
	next.Pos++
	if s == next && s.Version == sequenceVersion {
		t.low += stepLow
		t.mid += stepMid
		if t.low >= ten19 {
			t.low -= ten19
			t.mid++
		}
		if t.mid >= ten19 {
			t.mid -= ten19
			t.high++
			t.putHigh()
		}
	} else {
		var n limbs
		n, t.low = divTen19(s.limbs())
		n, t.mid = divTen19(n)
		if t.high = n[0]; n[1]|n[2] != 0 || t.high < ten18/10 || t.high >= ten18 {
			t.last = Sequence{}
			return s.AppendText(dst) // of another length
		}
		t.putHigh()
	}
	t.last = s
	putDigits(t.text[18:37], t.mid)
	putDigits(t.text[37:], t.low)
	return append(dst, t.text[:]...)
}

func (t *Successive) putHigh() {
	putNine((*[9]byte)(t.text[0:]), uint32(t.high/1e9))
	putNine((*[9]byte)(t.text[9:]), uint32(t.high%1e9))
}

func (s Sequence) limbs() limbs {
	secs, pos := uint64(s.Secs)&mask36, uint64(s.Pos)
	if s.Version == 0 {
		return limbs{
			pos<<16 | uint64(s.Shard)&0xffff,
			1<<60 | secs<<24 | pos>>48,
			0,
		}
	}
	return limbs{
		uint64(s.Version) | uint64(s.Shard)<<4 | secs<<36,
		secs>>28 | pos&mask48<<16,
		leading | uint64(s.Created)&mask36<<20 | uint64(s.Shard)&0xf<<16 | pos>>48,
	}
}

// Compare orders sequence numbers of one stream as their decimals are ordered.
func (s Sequence) Compare(o Sequence) int {
	a, b := s.limbs(), o.limbs()
	return cmp.Or(cmp.Compare(a[2], b[2]), cmp.Compare(a[1], b[1]), cmp.Compare(a[0], b[0]))
}

// ParseSequence reads a sequence number strictly: a decimal without leading
// zeros, of version 1 or 2, or one of AWS's oldest form, which counts as
// version 0 (any number below 2^128). Whether it belongs to a shard is for the
// caller to judge.
func ParseSequence(text string) (Sequence, error) {
	n, ok := parseDecimal(text)
	if !ok {
		return Sequence{}, errSequence
	}
	return parseLimbs(n)
}

func parseLimbs(n limbs) (Sequence, error) {
	if n[2] == 0 {
		s := Sequence{
			Shard: uint32(n[0] & 0xffff),
			Pos:   flow.Pos(n[1]&0xffff<<48 | n[0]>>16),
			Secs:  int64(n[1] >> 24 & mask36),
		}
		if s.Pos > 1<<63-1 || s.Secs >= maxOldSecs {
			return Sequence{}, errSequence
		}
		return s, nil
	}
	s := Sequence{
		Created: int64(n[2] >> 20 & mask36),
		Shard:   uint32(n[0] >> 4),
		Pos:     flow.Pos(n[2]&0xffff<<48 | n[1]>>16),
		Secs:    int64(n[1]&0xff<<28 | n[0]>>36),
		Version: uint8(n[0] & 0xf),
	}
	if n[2]>>56 != leading>>56 || n[1]>>8&0xff != 0 || s.Version != 1 && s.Version != 2 ||
		s.Pos > 1<<63-1 || s.Shard > maxShardIndex || n[2]>>16&0xf != uint64(s.Shard&0xf) {
		return Sequence{}, errSequence
	}
	return s, nil
}

// canonical returns the number as AWS repeats it in messages: the oldest form
// with its leading bit set, whatever its top four bits were.
func canonical(text string) string {
	n, ok := parseDecimal(text)
	if !ok || n[2] != 0 {
		return text
	}
	n[1] = 1<<60 | n[1]&(1<<60-1)
	return string(appendDecimal(nil, n))
}
