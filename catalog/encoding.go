package catalog

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"slices"
	"strings"
)

// Bounds of what is encoded; what exceeds them is refused before it is
// proposed and, when read, before anything is allocated for it.
const (
	MaxKind    = 64
	MaxName    = 1024
	MaxValue   = 8 << 20  // bytes of one document
	MaxChanges = 1 << 17  // of one command
	MaxCommand = 16 << 20 // bytes of one encoded command
)

// ErrBounds is wrapped by the errors about a command that is empty or exceeds
// the bounds, or names a document by an empty kind or name.
var ErrBounds = errors.New("catalog command out of bounds")

var errCorrupt = errors.New("corrupt encoding")

const (
	commandVersion = 1
	opPut          = 1
	opDelete       = 2
)

// snapshotMagic opens a snapshot; its last byte is the format's version.
const snapshotMagic = "TWC\x01"

var castagnoli = crc32.MakeTable(crc32.Castagnoli) // a constant in all but name

func (cmd Command) append(dst []byte) ([]byte, error) {
	if n := len(cmd.Changes); n == 0 || n > MaxChanges {
		return nil, fmt.Errorf("%w: %d changes", ErrBounds, n)
	}
	dst = append(dst, commandVersion)
	dst = binary.AppendUvarint(dst, uint64(len(cmd.Changes)))
	for _, c := range cmd.Changes {
		k, n := c.Key.Kind, c.Key.Name
		if k == "" || len(k) > MaxKind || n == "" || len(n) > MaxName || len(c.Value) > MaxValue {
			return nil, fmt.Errorf("%w: document %.100q with a value of %d bytes", ErrBounds, c.Key, len(c.Value))
		}
		op := byte(opPut)
		if c.Delete {
			op = opDelete
		}
		dst = append(dst, op)
		dst = appendText(appendText(dst, k), n)
		dst = binary.AppendUvarint(dst, c.If)
		if !c.Delete {
			dst = append(binary.AppendUvarint(dst, uint64(len(c.Value))), c.Value...)
		}
		if len(dst) > MaxCommand {
			return nil, fmt.Errorf("%w: more than %d bytes", ErrBounds, MaxCommand)
		}
	}
	return dst, nil
}

func decodeCommand(b []byte) (Command, error) {
	if len(b) == 0 || len(b) > MaxCommand || b[0] != commandVersion {
		return Command{}, errCorrupt
	}
	r := reader{rest: b[1:]}
	n := r.uvarint(MaxChanges)
	// A change takes at least 5 bytes: a count that the rest cannot hold must
	// not make us allocate.
	if r.bad || n == 0 || n > uint64(len(r.rest)/5) {
		return Command{}, errCorrupt
	}
	changes := make([]Change, n)
	for i := range changes {
		c := &changes[i]
		op := r.byte()
		c.Key = Key{Kind: r.text(MaxKind), Name: r.text(MaxName)}
		c.If = r.uvarint(1<<64 - 1)
		switch op {
		case opPut:
			c.Value = r.bytes(MaxValue)
		case opDelete:
			c.Delete = true
		default:
			r.bad = true
		}
		if r.bad {
			return Command{}, errCorrupt
		}
	}
	if len(r.rest) != 0 {
		return Command{}, errCorrupt
	}
	return Command{Changes: changes}, nil
}

func (s *State) encode() []byte {
	size := len(snapshotMagic) + 16
	for d := range s.all() {
		size += len(d.Key.Kind) + len(d.Key.Name) + len(d.Value) + 24
	}
	dst := append(make([]byte, 0, size), snapshotMagic...)
	dst = binary.AppendUvarint(dst, uint64(s.len()))
	for d := range s.all() {
		dst = appendText(appendText(dst, d.Key.Kind), d.Key.Name)
		dst = binary.AppendUvarint(dst, d.Version)
		dst = append(binary.AppendUvarint(dst, uint64(len(d.Value))), d.Value...)
	}
	return seal(dst)
}

// seal appends the checksum of all before it.
func seal(b []byte) []byte {
	return binary.LittleEndian.AppendUint32(b, crc32.Checksum(b, castagnoli))
}

func decodeState(b []byte) (*State, error) {
	body := len(b) - 4
	if body < len(snapshotMagic) || string(b[:len(snapshotMagic)]) != snapshotMagic {
		return nil, fmt.Errorf("%w: not a catalog snapshot of version 1", errCorrupt)
	}
	if crc32.Checksum(b[:body], castagnoli) != binary.LittleEndian.Uint32(b[body:]) {
		return nil, fmt.Errorf("%w: checksum", errCorrupt)
	}
	r := reader{rest: b[len(snapshotMagic):body]}
	s := &State{kinds: make(map[string]*tree)}
	var last Key
	for range r.uvarint(1 << 40) {
		k := Key{Kind: r.text(MaxKind), Name: r.text(MaxName)}
		d := Doc{Key: k, Version: r.uvarint(1<<64 - 2), Value: r.bytes(MaxValue)}
		ordered := strings.Compare(last.Kind, k.Kind) < 0 || last.Kind == k.Kind && last.Name < k.Name
		if r.bad || d.Version == 0 || !ordered {
			return nil, fmt.Errorf("%w: document after %q", errCorrupt, last)
		}
		t := s.kinds[k.Kind]
		if t == nil {
			t = new(tree)
			s.kinds[k.Kind] = t
		} else {
			d.Key.Kind = last.Kind // one string for all of the kind
		}
		t.Set(k.Name, d)
		last = d.Key
	}
	if r.bad || len(r.rest) != 0 {
		return nil, errCorrupt
	}
	return s, nil
}

func appendText(dst []byte, s string) []byte {
	return append(binary.AppendUvarint(dst, uint64(len(s))), s...)
}

// reader takes an encoding apart; after the first thing that is wrong it is
// bad and yields zeros. What it yields does not share the input's memory.
type reader struct {
	rest []byte
	bad  bool
}

func (r *reader) byte() byte {
	if r.bad || len(r.rest) == 0 {
		r.bad = true
		return 0
	}
	b := r.rest[0]
	r.rest = r.rest[1:]
	return b
}

func (r *reader) uvarint(most uint64) uint64 {
	v, n := binary.Uvarint(r.rest)
	// One number has one encoding: a trailing zero byte would be a second.
	if r.bad || n <= 0 || v > most || n > 1 && r.rest[n-1] == 0 {
		r.bad = true
		return 0
	}
	r.rest = r.rest[n:]
	return v
}

func (r *reader) take(most int) []byte {
	n := r.uvarint(uint64(most))
	if r.bad || n > uint64(len(r.rest)) {
		r.bad = true
		return nil
	}
	b := r.rest[:n]
	r.rest = r.rest[n:]
	return b
}

// text yields a name, which is never empty.
func (r *reader) text(most int) string {
	b := r.take(most)
	r.bad = r.bad || len(b) == 0
	return string(b)
}

func (r *reader) bytes(most int) []byte { return slices.Clone(r.take(most)) }
