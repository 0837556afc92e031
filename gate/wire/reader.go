package wire

import (
	"encoding/binary"
	"math"
	"unicode/utf8"
)

// Reader reads one CBOR item by position, without allocating: the counterpart
// of Scanner, failing in the same lasting way. Strings of definite length are
// returned as they lie in the input; the chunks of an indefinite one are joined
// in Scratch. A length is held against the bytes that are left before anything
// is done with it. Tags are not skipped: where one may stand, call Tag.
//
//	for n := r.Open(MajorMap); r.Next(&n); {
//		switch string(r.Key()) {
//		case "Data": data = r.Bytes()
//		default: r.Skip()
//		}
//	}
//	if !r.End() { ...the general codec... }
type Reader struct {
	// Scratch takes strings that come in chunks. A caller may lend a buffer of
	// length zero; it is appended to, never overwritten.
	Scratch []byte

	buf    []byte
	pos    int
	depth  int
	failed bool
}

// Reset points the reader at the start of item and forgets all else, Scratch
// apart, whose length it sets to zero.
func (r *Reader) Reset(item []byte) {
	*r = Reader{buf: item, Scratch: r.Scratch[:0]}
}

// Failed reports whether something was not as it had to be.
func (r *Reader) Failed() bool { return r.failed }

// Fail makes the reader fail: the caller saw something it does not handle.
func (r *Reader) Fail() { r.failed = true }

// Pos is the offset of the next unread byte.
func (r *Reader) Pos() int { return r.pos }

// End reports whether the input was read to its end without a failure.
func (r *Reader) End() bool { return !r.failed && r.pos == len(r.buf) }

// Peek returns the first byte of the next item, without reading it; ok is false
// at the end of the input and after a failure. Its Major is the upper three
// bits: Major(b &^ 31).
func (r *Reader) Peek() (b byte, ok bool) {
	if r.failed || r.pos == len(r.buf) {
		return 0, false
	}
	return r.buf[r.pos], true
}

// Head reads the head of the next item: its type and its argument (see
// AppendHead). For an indefinite length open is true and n is 0; a break fails.
// After the head of a string, a list, a map or a tag, what it announces is next.
// The argument of MajorSimple is the simple value or the bits of the float,
// which only the first byte (Peek) tells apart.
func (r *Reader) Head() (m Major, n uint64, open bool) {
	b, ok := r.Peek()
	if !ok {
		r.failed = true
		return 0, 0, false
	}
	r.pos++
	m = Major(b &^ 31)
	info := b & 31
	switch {
	case info < 24:
		return m, uint64(info), false
	case info < 28:
		size := 1 << (info - 24)
		if len(r.buf)-r.pos < size {
			break
		}
		arg := r.buf[r.pos : r.pos+size]
		r.pos += size
		switch size {
		case 1:
			n = uint64(arg[0])
			if m == MajorSimple && n < 32 { // RFC 8949, 3.3: not well-formed
				r.failed = true
				return 0, 0, false
			}
		case 2:
			n = uint64(binary.BigEndian.Uint16(arg))
		case 4:
			n = uint64(binary.BigEndian.Uint32(arg))
		case 8:
			n = binary.BigEndian.Uint64(arg)
		}
		return m, n, false
	case info == 31 && m >= MajorBytes && m <= MajorMap:
		return m, 0, true
	}
	r.failed = true
	return 0, 0, false
}

// Open enters the map or list that comes next and returns what Next wants: the
// number of elements or pairs, -1 for an indefinite length, 0 after a failure.
func (r *Reader) Open(m Major) int {
	got, n, open := r.Head()
	size := uint64(1) // the least bytes an element takes
	if m == MajorMap {
		size = 2
	}
	if r.failed || got != m || r.depth == maxDepth || n > uint64(len(r.buf)-r.pos)/size {
		r.failed = true
		return 0
	}
	r.depth++
	if open {
		return -1
	}
	return int(n)
}

// Next reports whether the container that Open entered has another element or
// pair, counting n down. It reads the break of an indefinite one.
func (r *Reader) Next(n *int) bool {
	b, ok := r.Peek()
	switch {
	case *n == 0 && !r.failed:
		r.depth--
		return false
	case !ok:
		r.failed = true
		return false
	case *n > 0:
		*n--
		return true
	case b == cborBreak:
		r.pos++
		r.depth--
		return false
	}
	return true
}

// Key reads a key of a map, which is text in every body that AWS knows.
func (r *Reader) Key() []byte { return r.Text() }

// Text reads a text string, which must be UTF-8. It is nil only when the body
// is broken, as is what Bytes reads: to callers nil is a member that is not
// there.
func (r *Reader) Text() []byte {
	t := r.chunks(MajorText)
	if !utf8.Valid(t) {
		r.failed = true
		return nil
	}
	return t
}

// Bytes reads a byte string.
func (r *Reader) Bytes() []byte { return r.chunks(MajorBytes) }

func (r *Reader) chunks(m Major) []byte {
	got, n, open := r.Head()
	if got != m {
		r.failed = true
	}
	if !open {
		return r.take(n)
	}
	if r.Scratch == nil {
		r.Scratch = []byte{} // so that no chunks are text all the same
	}
	start := len(r.Scratch)
	for !r.failed {
		if b, _ := r.Peek(); b == cborBreak {
			r.pos++
			return r.Scratch[start:]
		}
		got, n, open := r.Head()
		if got != m || open {
			r.failed = true
			break
		}
		chunk := r.take(n)
		if m == MajorText && !utf8.Valid(chunk) { // a chunk is text by itself
			r.failed = true
		}
		r.Scratch = append(r.Scratch, chunk...)
	}
	return nil
}

// take reads n bytes.
func (r *Reader) take(n uint64) []byte {
	if r.failed || n > uint64(len(r.buf)-r.pos) {
		r.failed = true
		return nil
	}
	start := r.pos
	r.pos += int(n)
	return r.buf[start:r.pos:r.pos]
}

// Tag reads a tag if that is what comes next.
func (r *Reader) Tag() (tag uint64, ok bool) {
	if b, ok := r.Peek(); !ok || Major(b&^31) != MajorTag {
		return 0, false
	}
	_, tag, _ = r.Head()
	return tag, !r.failed
}

// Null reads a null, or undefined, if that is what comes next.
func (r *Reader) Null() bool {
	b, ok := r.Peek()
	if !ok || b != cborNull && b != cborUndefined {
		return false
	}
	r.pos++
	return true
}

// Bool reads a boolean.
func (r *Reader) Bool() bool {
	b, ok := r.Peek()
	if !ok || b != cborTrue && b != cborFalse {
		r.failed = true
		return false
	}
	r.pos++
	return b == cborTrue
}

// Int reads an integer. One beyond 64 bits becomes the nearest that is not.
func (r *Reader) Int() int64 {
	m, n, _ := r.Head()
	if m != MajorUint && m != MajorNegInt {
		r.failed = true
	}
	if r.failed {
		return 0
	}
	i := int64(min(n, math.MaxInt64))
	if m == MajorNegInt {
		return ^i
	}
	return i
}

// Float reads a float of 16, 32 or 64 bits.
func (r *Reader) Float() float64 {
	b, _ := r.Peek()
	_, n, _ := r.Head()
	if r.failed {
		return 0
	}
	switch b {
	case cborHalf:
		return halfFloat(uint16(n))
	case cborFloat:
		return float64(math.Float32frombits(uint32(n)))
	case cborDouble:
		return math.Float64frombits(n)
	}
	r.failed = true
	return 0
}

// halfFloat widens an IEEE 754 float of 16 bits: one of sign, five of exponent,
// ten of fraction.
func halfFloat(bits uint16) float64 {
	exp, frac := int(bits>>10&31), float64(bits&1023)
	var f float64
	switch exp {
	case 0:
		f = math.Ldexp(frac, -24)
	case 31:
		f = math.Inf(1)
		if frac != 0 {
			return math.NaN()
		}
	default:
		f = math.Ldexp(1024+frac, exp-25)
	}
	if bits>>15 == 1 {
		return -f
	}
	return f
}

// Millis reads a timestamp as milliseconds since 1970: an integer is
// milliseconds already, under tag 1 (AWS's dialect) or under none; a float is
// seconds, as RFC 8949 has it.
func (r *Reader) Millis() int64 {
	for {
		if _, ok := r.Tag(); !ok {
			break
		}
	}
	if b, _ := r.Peek(); Major(b&^31) == MajorSimple {
		return clampInt(math.Round(r.Float() * 1000))
	}
	return r.Int()
}

// Skip reads any item, checking it as if it were wanted.
func (r *Reader) Skip() {
	b, ok := r.Peek()
	for ok && Major(b&^31) == MajorTag {
		r.Head()
		b, ok = r.Peek()
	}
	switch m := Major(b &^ 31); m {
	case MajorBytes, MajorText:
		keep := len(r.Scratch)
		if m == MajorText {
			r.Text()
		} else {
			r.Bytes()
		}
		r.Scratch = r.Scratch[:keep]
	case MajorList:
		for n := r.Open(m); r.Next(&n); {
			r.Skip()
		}
	case MajorMap:
		for n := r.Open(m); r.Next(&n); {
			keep := len(r.Scratch)
			r.Key()
			r.Scratch = r.Scratch[:keep]
			r.Skip()
		}
	default:
		r.Head()
	}
}
