package catalog

import (
	"bufio"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
)

// Part is a state machine of another room that lives in the catalog's log:
// what is too large or changes too often to be documents. Its commands and its
// snapshot are its own bytes.
type Part interface {
	// Apply performs one command, as shardlog.Machine's does.
	Apply(pos uint64, cmd []byte) any
	// Capture holds on to the state, as shardlog.Machine's does: in little
	// time, however large it is.
	Capture() io.WriterTo
	// Restore replaces the state by one that Capture's wrote, up to its end.
	Restore(r io.Reader) error
}

// Join gives a part the catalog's log under a name of 1 to MaxKind bytes that
// is its own for ever, and returns the way to propose its commands: what Apply
// answered, once the command is durable. It is called before the log is opened.
func (c *Catalog) Join(name string, p Part) (propose func(ctx context.Context, cmd []byte) (any, error)) {
	c.parts[name] = p
	head := appendText([]byte{partVersion}, name)
	return func(ctx context.Context, cmd []byte) (any, error) {
		if len(cmd) > MaxCommand {
			return nil, fmt.Errorf("%w: a command of %d bytes for %s", ErrBounds, len(cmd), name)
		}
		return c.propose(ctx, append(append(make([]byte, 0, len(head)+len(cmd)), head...), cmd...))
	}
}

// partVersion begins a command of a part, where the catalog's own have
// commandVersion.
const partVersion = 2

// decodePart takes a part's command apart. rest shares cmd's memory.
func decodePart(cmd []byte) (name string, rest []byte, ok bool) {
	if len(cmd) == 0 || cmd[0] != partVersion {
		return "", nil, false
	}
	r := reader{rest: cmd[1:]}
	name = r.text(MaxKind)
	return name, r.rest, !r.bad
}

// snapshot is a captured state: the catalog's documents and the parts.
type snapshot struct {
	docs  *State
	parts []capture
}

type capture struct {
	name  string
	state io.WriterTo
}

// partsMagic opens a snapshot with parts; its last byte is the format's version.
const partsMagic = "TWP\x01"

// chunkBytes is how much of a part is written under one length.
const chunkBytes = 64 << 10

// WriteTo writes the documents and then each part, in chunks, since its length
// is not known beforehand.
func (s *snapshot) WriteTo(w io.Writer) (int64, error) {
	count := &counter{w: w}
	docs := s.docs.encode()
	if len(s.parts) == 0 {
		count.Write(docs)
		return count.n, count.err
	}
	count.Write(append(binary.AppendUvarint([]byte(partsMagic), uint64(len(docs))), docs...))
	for _, p := range s.parts {
		count.Write(appendText(nil, p.name))
		buf := bufio.NewWriterSize(chunker{count}, chunkBytes)
		_, err := p.state.WriteTo(buf)
		if err == nil {
			err = buf.Flush()
		}
		if err != nil {
			return count.n, fmt.Errorf("snapshot of %s: %w", p.name, err)
		}
		count.Write([]byte{0}) // a chunk without bytes ends the part
	}
	return count.n, count.err
}

// counter counts what is written; after the first error it writes nothing.
type counter struct {
	w   io.Writer
	n   int64
	err error
}

func (c *counter) Write(b []byte) (int, error) {
	if c.err != nil {
		return 0, c.err
	}
	n, err := c.w.Write(b)
	c.n, c.err = c.n+int64(n), err
	return n, err
}

// chunker writes each piece after its length.
type chunker struct{ w io.Writer }

func (c chunker) Write(b []byte) (int, error) {
	if len(b) == 0 {
		return 0, nil
	}
	if _, err := c.w.Write(binary.AppendUvarint(nil, uint64(len(b)))); err != nil {
		return 0, err
	}
	return c.w.Write(b)
}

// restore reads a snapshot with parts, or one of documents alone.
func (c *Catalog) restore(b []byte) error {
	docs := b
	var parts []byte
	if len(b) >= len(partsMagic) && string(b[:len(partsMagic)]) == partsMagic {
		r := reader{rest: b[len(partsMagic):]}
		docs = r.take(len(b))
		if r.bad {
			return errCorrupt
		}
		parts = r.rest
	}
	s, err := decodeState(docs)
	if err != nil {
		return err
	}
	for len(parts) > 0 {
		r := reader{rest: parts}
		name := r.text(MaxKind)
		if r.bad {
			return errCorrupt
		}
		p := c.parts[name]
		if p == nil {
			return fmt.Errorf("the snapshot holds %q, which this program does not know", name)
		}
		in := &chunks{reader: reader{rest: r.rest}}
		if err := p.Restore(in); err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
		if _, err := in.Read(make([]byte, 1)); !errors.Is(err, io.EOF) {
			return fmt.Errorf("%w: %s goes on after its end", errCorrupt, name)
		}
		parts = in.reader.rest
	}
	c.state.Store(s)
	return nil
}

// chunks reads what chunker wrote.
type chunks struct {
	reader reader
	left   []byte // of the chunk being read
	end    bool
}

func (c *chunks) Read(p []byte) (int, error) {
	if len(c.left) == 0 && !c.end {
		c.left = c.reader.take(len(c.reader.rest))
		c.end = len(c.left) == 0
	}
	switch {
	case c.reader.bad:
		return 0, errCorrupt
	case c.end:
		return 0, io.EOF
	}
	n := copy(p, c.left)
	c.left = c.left[n:]
	return n, nil
}
