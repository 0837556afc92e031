package function

import (
	"bufio"
	"cmp"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"

	"github.com/go-json-experiment/json"
)

// snapshotVersion begins a snapshot; docs/format/function.md has the rest.
const snapshotVersion = 1

// maxSnapshotText bounds what a snapshot may make us allocate at once.
const maxSnapshotText = 16 << 20

// captured is a state held on to; entries never change.
type captured struct {
	entries []*entry
	events  []*event
}

// Capture holds on to the state.
func (m machine) Capture() io.WriterTo {
	m.f.mu.RLock()
	defer m.f.mu.RUnlock()
	return &captured{slices.Collect(maps.Values(m.f.byName)), slices.Collect(maps.Values(m.f.queue.byID))}
}

func (n Name) compare(o Name) int {
	return cmp.Or(cmp.Compare(n.Account, o.Account), cmp.Compare(n.Region, o.Region), cmp.Compare(n.Function, o.Function))
}

// WriteTo writes the state.
func (c *captured) WriteTo(w io.Writer) (int64, error) {
	slices.SortFunc(c.entries, func(a, b *entry) int { return a.def.Name.compare(b.def.Name) })
	out := &snapshotWriter{w: w, buf: []byte{snapshotVersion}}
	out.uvarint(uint64(len(c.entries)))
	for _, e := range c.entries {
		out.uvarint(e.version)
		out.document(e.def)
		out.uvarint(uint64(len(e.versions)))
		for _, n := range slices.Sorted(maps.Keys(e.versions)) {
			out.document(e.versions[n])
		}
	}
	slices.SortFunc(c.events, func(a, b *event) int { return cmp.Compare(a.id, b.id) })
	out.uvarint(uint64(len(c.events)))
	for _, e := range c.events {
		out.uvarint(e.id)
		for _, n := range []uint64{uint64(e.attempts), uint64(e.troubles), uint64(e.due)} {
			out.uvarint(n)
		}
		out.text(string(e.append(nil)))
	}
	out.flush()
	return out.n, out.err
}

// snapshotWriter collects what is written into pieces of some size.
type snapshotWriter struct {
	w   io.Writer
	buf []byte
	n   int64
	err error
}

func (s *snapshotWriter) uvarint(v uint64) { s.buf = binary.AppendUvarint(s.buf, v) }

func (s *snapshotWriter) text(t string) {
	if s.buf = appendText(s.buf, t); len(s.buf) >= 32<<10 {
		s.flush()
	}
}

func (s *snapshotWriter) document(v any) {
	b, err := json.Marshal(v, json.Deterministic(true))
	if err != nil && s.err == nil {
		s.err = err
	}
	s.text(string(b))
}

func (s *snapshotWriter) flush() {
	if s.err == nil {
		var n int
		n, s.err = s.w.Write(s.buf)
		s.n += int64(n)
	}
	s.buf = s.buf[:0]
}

// Restore replaces the state by a snapshot's.
func (m machine) Restore(r io.Reader) error {
	m.f.mu.Lock()
	defer m.f.mu.Unlock()
	in := &snapshotReader{r: bufio.NewReaderSize(r, 64<<10)}
	if v := in.byte(); v != snapshotVersion {
		return fmt.Errorf("snapshot of functions of version %d; this program knows version %d", v, snapshotVersion)
	}
	for range in.uvarint() {
		e := &entry{version: in.uvarint(), def: new(Function), versions: map[int]*Version{}}
		in.document(e.def)
		for range in.uvarint() {
			v := new(Version)
			if in.document(v); in.err != nil {
				return in.err
			}
			e.versions[v.Number] = v
		}
		if in.err != nil {
			return in.err
		}
		m.f.reserve(owner{e.def.Name.Account, e.def.Name.Region}, nil, e)
		m.f.byName[e.def.Name] = e
	}
	for range in.uvarint() {
		id := in.uvarint()
		attempts, troubles, due := int(in.uvarint()), int(in.uvarint()), int64(in.uvarint())
		r := &reader{rest: in.text()}
		e := readEvent(r)
		if in.err == nil && (r.bad || len(r.rest) > 0) {
			in.err = errCorrupt
		}
		if in.err != nil {
			return in.err
		}
		e.id, e.attempts, e.troubles, e.due = id, attempts, troubles, due
		m.f.queue.add(&e)
	}
	return in.err
}

type snapshotReader struct {
	r   *bufio.Reader
	err error
}

func (s *snapshotReader) fail(err error) {
	if s.err == nil && err != nil {
		if errors.Is(err, io.EOF) {
			err = io.ErrUnexpectedEOF
		}
		s.err = err
	}
}

func (s *snapshotReader) byte() byte {
	b, err := s.r.ReadByte()
	s.fail(err)
	return b
}

// uvarint yields 0 after a failure, so that loops over counts end.
func (s *snapshotReader) uvarint() uint64 {
	if s.err != nil {
		return 0
	}
	v, err := binary.ReadUvarint(s.r)
	if s.fail(err); s.err != nil {
		return 0
	}
	return v
}

func (s *snapshotReader) text() []byte {
	n := s.uvarint()
	if n > maxSnapshotText {
		s.fail(errCorrupt)
	}
	if s.err != nil {
		return nil
	}
	b := make([]byte, n)
	_, err := io.ReadFull(s.r, b)
	s.fail(err)
	return b
}

func (s *snapshotReader) document(into any) {
	if b := s.text(); s.err == nil {
		s.fail(json.Unmarshal(b, into))
	}
}
