package wire

import "math"

// source is one body, read value by value: what Decode needs of Scanner and
// Reader so that it need not know the format. After a failure every method
// answers something harmless and done answers false.
type source interface {
	what() what       // the value that comes next
	null()            // reads a null
	boolean() bool    // reads a boolean
	integer() int64   // reads a number: truncated, and clamped to 64 bits
	double() float64  // reads a number
	millis() int64    // reads a number as a timestamp
	text() []byte     // reads a text
	bytes() []byte    // reads a byte string
	open(w what) int  // enters a list or map; the result is for next
	next(n *int) bool // reports whether it has another element or pair
	key() []byte      // reads the key of a pair
	skip()            // reads any value
	raw() []byte      // reads any value and returns its bytes
	failed() bool     // reports whether there was a failure
	done() bool       // reports whether all was read, without a failure
}

// what is a type of value that stands in a body.
type what uint8

const (
	whatNothing what = iota // no value: the body is malformed
	whatNull
	whatBoolean
	whatNumber
	whatText
	whatBytes // CBOR only
	whatList
	whatMap
)

// java is the class that AWS's decoder has for w, as its texts name it. The one
// for bytes is a guess; AWS was never recorded refusing them.
func (w what) java() string {
	switch w {
	case whatBoolean:
		return "class java.lang.Boolean"
	case whatNumber:
		return "class com.amazon.coral.value.json.numbers.TruncatingBigNumber"
	case whatText:
		return "class java.lang.String"
	}
	return "class java.nio.HeapByteBuffer"
}

func newSource(f Format, body []byte) source {
	if f.isCBOR() {
		return &cborSource{Reader: Reader{buf: body}, seconds: f == RPC}
	}
	return &jsonSource{Scanner{buf: body}}
}

type jsonSource struct{ Scanner }

func (s *jsonSource) what() what {
	switch c := s.Peek(); c {
	case '{':
		return whatMap
	case '[':
		return whatList
	case '"':
		return whatText
	case 't', 'f':
		return whatBoolean
	case 'n':
		return whatNull
	default:
		if c == '-' || '0' <= c && c <= '9' {
			return whatNumber
		}
	}
	return whatNothing
}

func (s *jsonSource) null()           { s.Null() }
func (s *jsonSource) boolean() bool   { return s.Bool() }
func (s *jsonSource) integer() int64  { return truncate(s.Number()) }
func (s *jsonSource) double() float64 { return double(s.Number()) }
func (s *jsonSource) millis() int64   { return millis(s.Number()) }
func (s *jsonSource) text() []byte    { return s.Text() }
func (s *jsonSource) bytes() []byte   { s.Fail(); return nil }
func (s *jsonSource) key() []byte     { return s.Key() }
func (s *jsonSource) skip()           { s.Skip() }

func (s *jsonSource) raw() []byte {
	s.Peek() // past white space
	from := s.pos
	s.Skip()
	return s.buf[from:s.pos]
}

func (s *jsonSource) failed() bool { return s.Failed() }
func (s *jsonSource) done() bool   { return s.End() }

// open returns the bracket that will close the container.
func (s *jsonSource) open(w what) int {
	if w == whatMap {
		s.Open('{')
		return '}'
	}
	s.Open('[')
	return ']'
}

func (s *jsonSource) next(n *int) bool { return s.Next(byte(*n)) }

type cborSource struct {
	Reader
	seconds bool // integer timestamps are seconds
}

// what reads over tags: what they say is in AWS's dialect only ever that an
// integer is a timestamp, which the member's type says already.
func (s *cborSource) what() what {
	for {
		if _, ok := s.Tag(); !ok {
			break
		}
	}
	b, ok := s.Peek()
	if !ok {
		return whatNothing
	}
	switch Major(b &^ 31) {
	case MajorUint, MajorNegInt:
		return whatNumber
	case MajorBytes:
		return whatBytes
	case MajorText:
		return whatText
	case MajorList:
		return whatList
	case MajorMap:
		return whatMap
	}
	switch b {
	case cborFalse, cborTrue:
		return whatBoolean
	case cborNull, cborUndefined:
		return whatNull
	case cborHalf, cborFloat, cborDouble:
		return whatNumber
	}
	return whatNothing
}

func (s *cborSource) isFloat() bool {
	b, _ := s.Peek()
	return Major(b&^31) == MajorSimple
}

func (s *cborSource) integer() int64 {
	if s.isFloat() {
		return clampInt(s.Float())
	}
	return s.Int()
}

func (s *cborSource) double() float64 {
	if s.isFloat() {
		return s.Float()
	}
	return float64(s.Int())
}

func (s *cborSource) null()         { s.Null() }
func (s *cborSource) boolean() bool { return s.Bool() }
func (s *cborSource) text() []byte  { return s.Text() }
func (s *cborSource) bytes() []byte { return s.Bytes() }
func (s *cborSource) key() []byte   { return s.Key() }
func (s *cborSource) skip()         { s.Skip() }

func (s *cborSource) raw() []byte {
	from := s.pos
	s.Skip()
	return s.buf[from:s.pos]
}

func (s *cborSource) failed() bool { return s.Failed() }
func (s *cborSource) done() bool   { return s.End() }

func (s *cborSource) millis() int64 {
	whole := !s.isFloat()
	ms := s.Millis()
	if whole && s.seconds {
		ms = min(max(ms, math.MinInt64/1000), math.MaxInt64/1000) * 1000
	}
	return ms
}

func (s *cborSource) open(w what) int {
	if w == whatMap {
		return s.Open(MajorMap)
	}
	return s.Open(MajorList)
}

func (s *cborSource) next(n *int) bool { return s.Next(n) }
