package wire

import (
	"bytes"
	"encoding/binary"
	"unicode/utf16"
	"unicode/utf8"
)

// Scanner reads one JSON text by position, without allocating and without
// looking ahead. The caller says what it expects; the first thing that is not
// so makes the scanner fail, for good: every later call answers zero, so that
// a decoder asks Failed once, at its end. What a whole pass accepts is exactly
// what Decode accepts (RFC 8259, UTF-8 only, at most 128 containers deep), apart
// from the contents of Raw. A decoder that meets anything it does not handle
// gives up and hands the body to Shape.Decode, which knows AWS's error texts.
//
//	for s.Open('{'); s.Next('}'); {
//		switch string(s.Key()) {
//		case "StreamName": name = s.Text()
//		default: s.Skip()
//		}
//	}
//	if !s.End() { ...the general codec... }
//
// Slices it returns are read-only and either point into the text or, where an
// escape had to be undone, into Scratch.
type Scanner struct {
	// Scratch takes what escapes stand for. A caller may lend a buffer of
	// length zero; unescaped text is appended, never overwritten, and needs no
	// more room than the text that is scanned.
	Scratch []byte

	buf    []byte
	pos    int
	depth  int
	fresh  bool // nothing yet in the container just opened
	failed bool
}

// Reset points the scanner at the start of text and forgets all else, Scratch
// apart, whose length it sets to zero.
func (s *Scanner) Reset(text []byte) {
	*s = Scanner{buf: text, Scratch: s.Scratch[:0]}
}

// Failed reports whether something was not as it had to be.
func (s *Scanner) Failed() bool { return s.failed }

// Fail makes the scanner fail: the caller saw something it does not handle.
func (s *Scanner) Fail() { s.failed = true }

// Pos is the offset of the next unread byte.
func (s *Scanner) Pos() int { return s.pos }

// Peek skips white space and returns the byte that starts what comes next,
// without reading it: '{', '[', '"', '-' or a digit, 't', 'f', 'n', a closing
// bracket or a comma; 0 at the end of the text or after a failure.
func (s *Scanner) Peek() byte {
	if s.failed {
		return 0
	}
	for s.pos < len(s.buf) {
		switch c := s.buf[s.pos]; c {
		case ' ', '\t', '\n', '\r':
			s.pos++
		default:
			return c
		}
	}
	return 0
}

// End reports whether the text was read to its end without a failure.
func (s *Scanner) End() bool {
	return s.Peek() == 0 && !s.failed && s.pos == len(s.buf)
}

// Open enters the object ('{') or list ('[') that comes next.
func (s *Scanner) Open(bracket byte) {
	if s.Peek() != bracket || s.depth == maxDepth {
		s.failed = true
		return
	}
	s.pos++
	s.depth++
	s.fresh = true
}

// Next reports whether the container entered last has another member, whose
// key or value is then next, having read the comma before it. At the bracket
// that closes the container, '}' or ']', it reads that and answers false, as it
// does after a failure.
func (s *Scanner) Next(bracket byte) bool {
	switch s.Peek() {
	case bracket:
		s.pos++
		s.depth--
		s.fresh = false
		return false
	case ',':
		if s.fresh {
			s.failed = true
			return false
		}
		s.pos++
		if s.Peek() == bracket {
			s.failed = true
			return false
		}
		return !s.failed
	case 0:
		s.failed = true
		return false
	}
	if !s.fresh {
		s.failed = true
		return false
	}
	s.fresh = false
	return true
}

// Key reads a member's name and the colon after it.
func (s *Scanner) Key() []byte {
	name := s.Text()
	if s.Peek() != ':' {
		s.failed = true
		return nil
	}
	s.pos++
	return name
}

// Raw reads a string and returns what stands between its quotes, as it stands:
// escapes are in it as they are, plain says that there are none, and control
// characters and broken UTF-8 have not been looked for. It is for strings that
// are checked by what reads them, as base64 is.
func (s *Scanner) Raw() (raw []byte, plain bool) {
	if s.Peek() != '"' {
		s.failed = true
		return nil, false
	}
	start := s.pos + 1
	end := bytes.IndexByte(s.buf[start:], '"')
	if end < 0 {
		s.failed = true
		return nil, false
	}
	raw = s.buf[start : start+end]
	slash := bytes.IndexByte(raw, '\\')
	if slash < 0 {
		s.pos = start + end + 1
		return raw, true
	}
	for i := start + slash; i < len(s.buf); i++ {
		switch s.buf[i] {
		case '\\':
			i++
		case '"':
			s.pos = i + 1
			return s.buf[start:i], false
		}
	}
	s.failed = true
	return nil, false
}

// Unescape undoes the escapes of a string that Raw returned as not plain.
func (s *Scanner) Unescape(raw []byte) []byte {
	if s.failed {
		return nil
	}
	start := len(s.Scratch)
	out, ok := appendUnescaped(s.Scratch, raw)
	if !ok {
		s.failed = true
		return nil
	}
	s.Scratch = out
	return out[start:]
}

// Text reads a string: UTF-8, with escapes undone.
func (s *Scanner) Text() []byte {
	raw, plain := s.Raw()
	if !validText(raw) {
		s.failed = true
	}
	if s.failed {
		return nil
	}
	if plain {
		return raw
	}
	return s.Unescape(raw)
}

// Null reads a null if that is what comes next.
func (s *Scanner) Null() bool {
	if s.Peek() != 'n' {
		return false
	}
	return s.word("null")
}

// Bool reads true or false.
func (s *Scanner) Bool() bool {
	if s.Peek() == 't' {
		return s.word("true")
	}
	s.word("false")
	return false
}

func (s *Scanner) word(w string) bool {
	if s.failed || len(s.buf)-s.pos < len(w) || string(s.buf[s.pos:s.pos+len(w)]) != w {
		s.failed = true
		return false
	}
	s.pos += len(w)
	return true
}

// Number reads a number and returns it as it is written.
func (s *Scanner) Number() []byte {
	s.Peek()
	if s.failed {
		return nil
	}
	n := numberLen(s.buf[s.pos:])
	if n == 0 {
		s.failed = true
		return nil
	}
	s.pos += n
	return s.buf[s.pos-n : s.pos]
}

// numberLen is the length of the number that b starts with, 0 if it starts
// with none. A digit that follows it is the caller's to refuse: "01" is 1 long,
// and no value can be followed by a digit.
func numberLen(b []byte) int {
	i := 0
	digits := func() bool {
		start := i
		for i < len(b) && '0' <= b[i] && b[i] <= '9' {
			i++
		}
		return i > start
	}
	if i < len(b) && b[i] == '-' {
		i++
	}
	if i < len(b) && b[i] == '0' {
		i++
	} else if !digits() {
		return 0
	}
	if i < len(b) && b[i] == '.' {
		i++
		if !digits() {
			return 0
		}
	}
	if i < len(b) && (b[i] == 'e' || b[i] == 'E') {
		i++
		if i < len(b) && (b[i] == '+' || b[i] == '-') {
			i++
		}
		if !digits() {
			return 0
		}
	}
	return i
}

// Skip reads any value, checking it as if it were wanted.
func (s *Scanner) Skip() {
	var objects [maxDepth / 64]uint64 // bit i: of the containers that are open, the one at depth i is an object
	for base := s.depth; ; {
		switch c := s.Peek(); c {
		case '{', '[':
			if s.Open(c); s.failed {
				return
			}
			word, bit := &objects[(s.depth-1)/64], uint64(1)<<((s.depth-1)%64)
			if *word &^= bit; c == '{' {
				*word |= bit
			}
		case '"':
			s.skipText()
		case 't', 'f':
			s.Bool()
		case 'n':
			s.Null()
		default:
			s.Number()
		}
		for {
			if s.failed || s.depth == base {
				return
			}
			if at := s.depth - 1; objects[at/64]>>(at%64)&1 == 1 {
				if s.Next('}') {
					s.skipKey()
					break
				}
			} else if s.Next(']') {
				break
			}
		}
	}
}

// skipText is Text without keeping what escapes stand for.
func (s *Scanner) skipText() {
	keep := len(s.Scratch)
	s.Text()
	s.Scratch = s.Scratch[:keep]
}

func (s *Scanner) skipKey() {
	keep := len(s.Scratch)
	s.Key()
	s.Scratch = s.Scratch[:keep]
}

// validText reports whether b may stand between the quotes of a JSON string,
// its escapes not being looked at: UTF-8 without control characters.
func validText(b []byte) bool {
	const ones, high = 0x0101010101010101, 0x8080808080808080
	i := 0
	for ; len(b)-i >= 8; i += 8 {
		x := binary.LittleEndian.Uint64(b[i:])
		if (x|(x-0x20*ones))&high != 0 { // a byte at or above 0x80, or one below 0x20
			break
		}
	}
	ascii := true
	for _, c := range b[i:] {
		if c < 0x20 {
			return false
		}
		ascii = ascii && c < utf8.RuneSelf
	}
	return ascii || utf8.Valid(b[i:])
}

// appendUnescaped appends raw with its escapes undone; ok is false for an
// escape that does not exist and for half of a surrogate pair.
func appendUnescaped(dst, raw []byte) (out []byte, ok bool) {
	for {
		n := bytes.IndexByte(raw, '\\')
		if n < 0 {
			return append(dst, raw...), true
		}
		dst = append(dst, raw[:n]...)
		raw = raw[n+1:]
		if len(raw) == 0 {
			return dst, false
		}
		c := raw[0]
		raw = raw[1:]
		switch c {
		case '"', '\\', '/':
		case 'b':
			c = '\b'
		case 'f':
			c = '\f'
		case 'n':
			c = '\n'
		case 'r':
			c = '\r'
		case 't':
			c = '\t'
		case 'u':
			r := hexRune(raw)
			if r < 0 {
				return dst, false
			}
			raw = raw[4:]
			if utf16.IsSurrogate(r) {
				if len(raw) < 6 || raw[0] != '\\' || raw[1] != 'u' {
					return dst, false
				}
				if r = utf16.DecodeRune(r, hexRune(raw[2:])); r == utf8.RuneError {
					return dst, false
				}
				raw = raw[6:]
			}
			dst = utf8.AppendRune(dst, r)
			continue
		default:
			return dst, false
		}
		dst = append(dst, c)
	}
}

// hexRune is the rune that the first four bytes of b spell in hexadecimal, -1
// if they do not.
func hexRune(b []byte) rune {
	if len(b) < 4 {
		return -1
	}
	var r rune
	for _, c := range b[:4] {
		switch {
		case '0' <= c && c <= '9':
			c -= '0'
		case 'a' <= c && c <= 'f':
			c -= 'a' - 10
		case 'A' <= c && c <= 'F':
			c -= 'A' - 10
		default:
			return -1
		}
		r = r<<4 | rune(c)
	}
	return r
}
