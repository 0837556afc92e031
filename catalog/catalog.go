// Package catalog keeps small durable facts (streams, shards, consumers,
// checkpoints, applications) as typed documents in a replicated state machine.
// It hides how a change becomes durable and how readers see one consistent
// state: changes are commands in the log, judged where they are applied, in
// log order; readers hold immutable snapshots and take no lock. It never
// interprets a document's value and never performs I/O of its own.
package catalog

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"sync/atomic"

	"github.com/thalweg/thalweg/flow"
)

// Preconditions of a Change, beside a version that the document must have.
const (
	Absent uint64 = 0         // the document must not exist
	Any    uint64 = 1<<64 - 1 // no precondition
)

// Key names a document: a kind ("stream") and a name unique within the kind
// ("000000000000/us-east-1/orders").
type Key struct{ Kind, Name string }

func (k Key) String() string { return k.Kind + " " + k.Name }

// Doc is a document. Value is read-only and may be kept for ever.
type Doc struct {
	Key     Key
	Version uint64 // the position of the command that wrote it; never 0
	Value   []byte
}

// Change writes or deletes one document, provided that it has version If now.
type Change struct {
	Key    Key
	If     uint64 // a version, Absent or Any
	Value  []byte // ignored when Delete
	Delete bool
}

// Command is a set of changes that happen all at once or not at all. The
// preconditions are judged against the state before the command; the changes
// are made in their order, so of two to one document the later one stays.
type Command struct{ Changes []Change }

// Verdict tells what became of a command.
type Verdict struct {
	OK       bool
	Pos      flow.Pos // the command's position: the version of what it wrote
	Conflict Key      // not OK: the first document whose precondition failed; nothing changed
}

// Log is what the catalog needs of the log: to carry a command and to answer
// what Apply returned for it, once the command is durable. shardlog.Log
// satisfies it.
type Log interface {
	Propose(ctx context.Context, cmd []byte) (any, error)
}

// Catalog is the state machine and the way to change it. It is a
// shardlog.Machine: the log is opened with it, and then attached to it.
type Catalog struct {
	state atomic.Pointer[State]
	log   atomic.Pointer[Log]
	parts map[string]Part // read-only once the log is open
}

// New returns an empty catalog.
func New() *Catalog {
	c := &Catalog{parts: map[string]Part{}}
	c.state.Store(new(State))
	return c
}

// Attach gives the catalog the log that carries its commands. It is called
// once, after the log is open and before the first Propose.
func (c *Catalog) Attach(l Log) { c.log.Store(&l) }

// View returns the state as of the last command applied. It is immutable;
// two calls return the same pointer exactly when nothing was applied between.
func (c *Catalog) View() *State { return c.state.Load() }

// Propose makes the changes of cmd if all their preconditions hold when its
// turn comes, and returns once that is decided and durable; View shows it
// from then on. The error is ErrBounds, the log's or the context's: then the
// command may or may not take effect.
func (c *Catalog) Propose(ctx context.Context, cmd Command) (Verdict, error) {
	b, err := cmd.append(nil)
	if err != nil {
		return Verdict{}, err
	}
	answer, err := c.propose(ctx, b)
	if err != nil {
		return Verdict{}, err
	}
	switch a := answer.(type) {
	case Verdict:
		return a, nil
	case error:
		return Verdict{}, a
	}
	return Verdict{}, fmt.Errorf("catalog: the log answered with a %T", answer)
}

func (c *Catalog) propose(ctx context.Context, cmd []byte) (any, error) {
	l := c.log.Load()
	if l == nil {
		return nil, errors.New("catalog: no log attached")
	}
	answer, err := (*l).Propose(ctx, cmd)
	if err != nil {
		return nil, fmt.Errorf("propose to catalog: %w", err)
	}
	return answer, nil
}

// Apply performs one command, its own or a part's; it is the log's to call. The
// answer is a Verdict, or what the part answers, or an error when cmd is no
// command: then nothing changes, on every replay alike.
func (c *Catalog) Apply(pos flow.Pos, cmd []byte) any {
	if name, rest, ok := decodePart(cmd); ok && c.parts[name] != nil {
		return c.parts[name].Apply(uint64(pos), rest)
	}
	command, err := decodeCommand(cmd)
	if err != nil {
		return fmt.Errorf("catalog command at %d: %w", pos, err)
	}
	next, verdict := c.state.Load().apply(pos, command)
	c.state.Store(next)
	return verdict
}

// Capture holds on to the whole state, the parts' included, to be written in
// the encoding of docs/format/catalog.md.
func (c *Catalog) Capture() io.WriterTo {
	s := &snapshot{docs: c.state.Load()}
	for _, name := range slices.Sorted(maps.Keys(c.parts)) {
		s.parts = append(s.parts, capture{name, c.parts[name].Capture()})
	}
	return s
}

// Restore replaces the state by a snapshot's.
func (c *Catalog) Restore(snapshot []byte) error {
	if err := c.restore(snapshot); err != nil {
		return fmt.Errorf("restore catalog: %w", err)
	}
	return nil
}
