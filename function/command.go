package function

import (
	"encoding/binary"
	"errors"
	"fmt"
)

// Commands begin with their version and their kind; docs/format/function.md
// has the rest. Numbers are on disk.
const (
	commandVersion = 1
	kindDefine     = 1
	kindAccept     = 2
	kindSettle     = 3
)

var errCorrupt = errors.New("corrupt encoding")

func appendText(dst []byte, s string) []byte {
	return append(binary.AppendUvarint(dst, uint64(len(s))), s...)
}

// reader takes texts and numbers off a command. After the first thing that is
// wrong it is bad and yields zeros.
type reader struct {
	rest []byte
	bad  bool
}

func (r *reader) uvarint() uint64 {
	v, n := binary.Uvarint(r.rest)
	if r.bad || n <= 0 {
		r.bad = true
		return 0
	}
	r.rest = r.rest[n:]
	return v
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

// bytes shares the command's memory.
func (r *reader) bytes() []byte {
	n := r.uvarint()
	if r.bad || n > uint64(len(r.rest)) {
		r.bad = true
		return nil
	}
	b := r.rest[:n]
	r.rest = r.rest[n:]
	return b
}

func (r *reader) text() string { return string(r.bytes()) }

// count reads how many things follow, of at least size bytes each.
func (r *reader) count(size int) int {
	n := r.uvarint()
	if r.bad || n > uint64(len(r.rest)/size) {
		r.bad = true
		return 0
	}
	return int(n)
}

func (n Name) append(dst []byte) []byte {
	return appendText(appendText(appendText(dst, n.Account), n.Region), n.Function)
}

func readName(r *reader) Name { return Name{r.text(), r.text(), r.text()} }

// define makes, changes or deletes (document "") a function whose definition
// has the version now; 0 is one that does not exist.
type define struct {
	name     Name
	version  uint64
	document string // a Function as JSON
	versions []versionChange
}

// versionChange adds or deletes (document "") a published version.
type versionChange struct {
	number   int
	document string // a Version as JSON
}

func (c *define) append() []byte {
	dst := c.name.append([]byte{commandVersion, kindDefine})
	dst = appendText(binary.AppendUvarint(dst, c.version), c.document)
	dst = binary.AppendUvarint(dst, uint64(len(c.versions)))
	for _, v := range c.versions {
		dst = appendText(binary.AppendUvarint(dst, uint64(v.number)), v.document)
	}
	return dst
}

func readDefine(r *reader) *define {
	c := &define{name: readName(r), version: r.uvarint(), document: r.text()}
	c.versions = make([]versionChange, r.count(2))
	for i := range c.versions {
		c.versions[i] = versionChange{r.small(), r.text()}
	}
	return c
}

// accept puts an event into the queue; its id is the command's position.
type accept struct{ event }

func (c *accept) append() []byte { return c.event.append([]byte{commandVersion, kindAccept}) }

// append adds what of an event never changes.
func (e *event) append(dst []byte) []byte {
	dst = e.name.append(dst)
	for _, s := range []string{e.qualifier, e.request, e.context} {
		dst = appendText(dst, s)
	}
	return appendText(binary.AppendUvarint(dst, uint64(e.accepted)), e.payload)
}

func readEvent(r *reader) event {
	e := event{name: readName(r), qualifier: r.text(), request: r.text(), context: r.text(), accepted: int64(r.uvarint()), payload: r.text()}
	e.due = e.accepted
	return e
}

// settle removes an event, or puts it off to another attempt.
type settle struct {
	id       uint64
	again    bool
	attempts int
	troubles int
	due      int64
}

func (c *settle) append() []byte {
	dst := binary.AppendUvarint([]byte{commandVersion, kindSettle}, c.id)
	if !c.again {
		return append(dst, 0)
	}
	dst = append(dst, 1)
	for _, n := range []uint64{uint64(c.attempts), uint64(c.troubles), uint64(c.due)} {
		dst = binary.AppendUvarint(dst, n)
	}
	return dst
}

func readSettle(r *reader) *settle {
	c := &settle{id: r.uvarint(), again: r.byte() == 1}
	if c.again {
		c.attempts, c.troubles, c.due = r.small(), r.small(), int64(r.uvarint())
	}
	return c
}

// small reads a number that is never large.
func (r *reader) small() int { return int(r.uvarint() & (1<<31 - 1)) }

// readCommand reads any command.
func readCommand(cmd []byte) (any, error) {
	r := &reader{rest: cmd}
	version, kind := r.byte(), r.byte()
	var c any
	switch {
	case version != commandVersion:
		return nil, fmt.Errorf("function command of version %d; this program knows version %d", version, commandVersion)
	case kind == kindDefine:
		c = readDefine(r)
	case kind == kindAccept:
		c = &accept{readEvent(r)}
	case kind == kindSettle:
		c = readSettle(r)
	}
	if c == nil || r.bad || len(r.rest) != 0 {
		return nil, fmt.Errorf("function command: %w", errCorrupt)
	}
	return c, nil
}
