package table

import (
	"bufio"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"slices"

	"github.com/go-json-experiment/json"

	"github.com/thalweg/thalweg/table/attr"
)

// snapshotVersion begins a snapshot; docs/format/table.md has the rest.
const snapshotVersion = 1

// maxSnapshotText bounds what a snapshot may make us allocate at once: an item
// of 400 KB needs less, and a definition much less.
const maxSnapshotText = 4 << 20

// captured is a state held on to.
type captured struct {
	tables []capturedTable
	tokens []token
}

type capturedTable struct {
	id, version uint64
	name        Name
	def         *Definition
	items       *tree
	filling     []string // indexes that are not ready
}

// Capture holds on to the state: trees are copied at no cost, and node by node
// as they change afterwards.
func (m machine) Capture() io.WriterTo {
	t := m.t
	t.mu.Lock() // copying a tree marks its nodes
	defer t.mu.Unlock()
	c := &captured{tokens: slices.Clone(t.tokens.order)}
	for _, x := range t.byID {
		s := capturedTable{id: x.id, version: x.version, name: x.name, def: x.def, items: x.items.Copy()}
		for name, in := range x.indexes {
			if !in.ready {
				s.filling = append(s.filling, name)
			}
		}
		slices.Sort(s.filling)
		c.tables = append(c.tables, s)
	}
	slices.SortFunc(c.tables, func(a, b capturedTable) int { return int(int64(a.id) - int64(b.id)) })
	return c
}

// WriteTo writes the state. It reads trees that nobody changes any more.
func (c *captured) WriteTo(w io.Writer) (int64, error) {
	out := &snapshotWriter{w: w}
	out.buf = append(out.buf, snapshotVersion)
	out.uvarint(uint64(len(c.tables)))
	for i := range c.tables {
		x := &c.tables[i]
		document, err := json.Marshal(x.def, json.Deterministic(true))
		if err != nil {
			return out.n, fmt.Errorf("encode table %s: %w", x.name.Table, err)
		}
		out.uvarint(x.id)
		out.uvarint(x.version)
		out.buf = x.name.append(out.buf)
		out.text(string(document))
		out.uvarint(uint64(len(x.filling)))
		for _, name := range x.filling {
			out.text(name)
		}
		out.uvarint(uint64(x.items.Len()))
		x.items.Scan(func(_, item string) bool {
			out.text(item)
			return out.err == nil
		})
	}
	out.uvarint(uint64(len(c.tokens)))
	for _, k := range c.tokens {
		out.text(k.name)
		out.text(k.digest)
		out.uvarint(uint64(k.at))
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

func (s *snapshotWriter) flush() {
	if s.err == nil {
		var n int
		n, s.err = s.w.Write(s.buf)
		s.n += int64(n)
	}
	s.buf = s.buf[:0]
}

// Restore replaces the state by a snapshot's. Indexes are not in it: they are
// made anew from the items.
func (m machine) Restore(r io.Reader) error {
	t := m.t
	t.mu.Lock()
	defer t.mu.Unlock()
	in := &snapshotReader{r: bufio.NewReaderSize(r, 64<<10)}
	if v := in.byte(); v != snapshotVersion {
		return fmt.Errorf("snapshot of tables of version %d; this program knows version %d", v, snapshotVersion)
	}
	for range in.uvarint() {
		if in.err != nil {
			break
		}
		x, err := in.table()
		if err != nil {
			return err
		}
		t.byID[x.id], t.byName[x.name] = x, x
	}
	for range in.uvarint() {
		if in.err != nil {
			break
		}
		name, digest := in.text(), in.text()
		t.tokens.add(name, digest, int64(in.uvarint()))
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

func (s *snapshotReader) uvarint() uint64 {
	if s.err != nil {
		return 0
	}
	v, err := binary.ReadUvarint(s.r)
	s.fail(err)
	return v
}

func (s *snapshotReader) text() string {
	n := s.uvarint()
	if n > maxSnapshotText {
		s.fail(attr.ErrCorrupt)
	}
	if s.err != nil {
		return ""
	}
	b := make([]byte, n)
	_, err := io.ReadFull(s.r, b)
	s.fail(err)
	return string(b)
}

func (s *snapshotReader) table() (*table, error) {
	x := &table{id: s.uvarint(), version: s.uvarint(), def: new(Definition), items: new(tree), indexes: map[string]*index{}}
	x.name = Name{s.text(), s.text(), s.text()}
	document := s.text()
	if s.err != nil {
		return nil, s.err
	}
	if err := json.Unmarshal([]byte(document), x.def); err != nil {
		return nil, fmt.Errorf("definition of table %s: %w", x.name.Table, err)
	}
	var filling []string
	for range s.uvarint() {
		if filling = append(filling, s.text()); s.err != nil {
			return nil, s.err
		}
	}
	last := ""
	for range s.uvarint() {
		item := s.text()
		if s.err != nil {
			return nil, s.err
		}
		key, ok := x.def.Keys.keyIn(item)
		if !ok || key <= last {
			return nil, fmt.Errorf("table %s: %w", x.name.Table, attr.ErrCorrupt)
		}
		x.items.Load(key, item)
		x.bytes += int64(len(item))
		last = key
	}
	for i := range x.def.Indexes {
		def := &x.def.Indexes[i]
		made := &index{def: def, entries: new(tree)}
		x.indexes[def.Name] = made
		x.fill(made, x.items.Len())
		if slices.Contains(filling, def.Name) { // as it was told; its commands go on from the start
			made.ready, made.next = false, ""
		}
	}
	return x, s.err
}
