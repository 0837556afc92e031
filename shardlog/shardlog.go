// Package shardlog is the contract of the log: many shards, each an ordered
// run of records that grows at one end, loses its oldest records to retention
// at the other, and can be closed for ever. It hides how records are kept;
// the engines below it (shardlog/journal on one machine) pass the same suite,
// shardlog/logtest. It knows shards only by number: streams, names, hash
// ranges and sequence numbers belong to the room above.
package shardlog

import (
	"context"
	"errors"
	"io"
	"time"

	"github.com/thalweg/thalweg/flow"
)

// Shard is the log's own number of a shard: dense, from 1, never reused.
type Shard uint32

// The errors a Log answers with. They come back wrapped; use errors.Is.
var (
	ErrNoShard = errors.New("no such shard")
	ErrSealed  = errors.New("shard is sealed")      // nothing lands after its end
	ErrExists  = errors.New("shard exists already") // Create of a number in use
	ErrFull    = errors.New("disk is full")         // appends refused until there is room; reads go on
	ErrClosed  = errors.New("log is closed")
	ErrFailed  = errors.New("log has failed") // an fsync failed: nothing more is acknowledged, the process must end
	ErrCorrupt = errors.New("corrupt")        // wrapped with file and offset
)

// Entry is what one call appends to one shard: Count records, encoded by
// Encode one after another into Payload. An entry is stored whole, under
// consecutive positions, or not at all.
type Entry struct {
	Shard   Shard
	Count   int    // records in Payload, 1..65535
	Size    int    // bytes of Payload wanted from Reserve
	Payload []byte // Size bytes of the log's own memory, from Reserve

	// Set by Append:
	Pos  flow.Pos // of the first record; the others follow by one
	Time int64    // when the log took it in: Unix milliseconds, never decreasing within a shard
	Err  error    // nil: on disk

	Home any // the engine's note of where Payload lives; others leave it alone
}

// Appender takes records in. Concurrent calls share one sync.
type Appender interface {
	// Reserve sets Payload of each entry to Size bytes (contents undefined),
	// for the caller to fill and then to Append or Release. It waits while too
	// much memory awaits the disk, until ctx ends.
	Reserve(ctx context.Context, entries []Entry) error

	// Append stores reserved entries and sets Pos, Time and Err of each. It
	// returns when each entry's fate is known: Err nil means it survives power
	// loss, and it is then visible to readers. Entries of one call are stored
	// in their order, but each has its own fate. Payload must not be touched
	// afterwards. Append does not give up when ctx ends once the entries are
	// handed to the disk, since their fate would then be unknown.
	Append(ctx context.Context, entries []Entry)

	// Release gives back entries that were reserved and will not be appended.
	Release(entries []Entry)
}

// Limit bounds one Read. Zero fields mean no bound; at least one record is
// returned when there is one, however large.
type Limit struct {
	Records int
	Bytes   int // of keys and data
}

// Bounds is what a shard holds at one instant.
type Bounds struct {
	First flow.Pos // the oldest record still held is at or after First
	Next  flow.Pos // every record held is before Next; reading from Next finds only records appended later
	End   flow.Pos // where the shard was sealed: after its last record. 0 while open
	Last  int64    // Unix milliseconds of the newest record ever; 0 when there was none
}

// Reader reads shards. All methods may be called concurrently with each other
// and with everything else.
type Reader interface {
	// Read fills p with records of s at or after from, in order, skipping what
	// retention has taken. It does not wait: at the tip p is empty. The caller
	// must Release p when it no longer uses the records' memory, also before
	// it reads into p again. Errors: ErrNoShard, ErrCorrupt, ctx's.
	Read(ctx context.Context, s Shard, from flow.Pos, lim Limit, p *Page) error

	// Wait blocks until s holds a record at or after from, or is sealed at or
	// before from, or is dropped (ErrNoShard), or ctx ends.
	Wait(ctx context.Context, s Shard, from flow.Pos) error

	// Seek returns the position of the first record of s taken in at or after
	// t (inclusive, by milliseconds), or Bounds.Next when there is none yet.
	Seek(ctx context.Context, s Shard, t time.Time) (flow.Pos, error)

	// Bounds tells what s holds now.
	Bounds(s Shard) (Bounds, error)
}

// Spec describes a shard to be created.
type Spec struct {
	Shard     Shard
	Retention time.Duration
}

// Log is the whole contract. Every method that changes something returns once
// the change survives power loss.
type Log interface {
	Appender
	Reader

	// Create adds shards, all or none. Creating a shard that exists with the
	// same number is ErrExists.
	Create(ctx context.Context, specs []Spec) error

	// Seal closes shards for ever, all at one position, which it returns:
	// every record of theirs is before it and nothing lands after it. A shard
	// that is sealed already keeps its end; the answer holds the end of each.
	Seal(ctx context.Context, shards []Shard) ([]flow.Pos, error)

	// Retain sets how long the shards' records are kept from now on. Lowering
	// hides older records at once; raising brings nothing back.
	Retain(ctx context.Context, shards []Shard, d time.Duration) error

	// Drop removes shards and their records. Dropping what does not exist is
	// no error.
	Drop(ctx context.Context, shards []Shard) error

	// Propose appends a command for the state machine that the log was opened
	// with, and returns what its Apply answered, once the command is durable.
	// Commands are applied one at a time in log order.
	Propose(ctx context.Context, cmd []byte) (any, error)

	// Next is the position that the next record or command will have at least.
	Next() flow.Pos

	// Close stops taking appends, waits for those under way and lets go of
	// the files. What was acknowledged is on disk already.
	Close() error
}

// Machine is a deterministic state machine whose commands the log carries.
// The log calls it from one goroutine at a time, in log order, both live and
// during recovery.
type Machine interface {
	// Apply performs one command and returns a verdict for its proposer. The
	// same commands must lead to the same state on every replay.
	Apply(pos flow.Pos, cmd []byte) any
	// Capture holds on to the whole state as of the last Apply. The log waits
	// for it, so it must take little time however large the state is. What it
	// returns stays that state while commands go on being applied; it is
	// written later, by another goroutine, possibly more than once, and writes
	// the same bytes each time. Capture itself is called concurrently with
	// nothing else.
	Capture() io.WriterTo
	// Restore replaces the state by a snapshot's; it is called at most once,
	// before any Apply.
	Restore(snapshot []byte) error
}

// Encoded is a state in its bytes, as Capture may return it.
type Encoded []byte

// WriteTo implements io.WriterTo.
func (b Encoded) WriteTo(w io.Writer) (int64, error) {
	n, err := w.Write(b)
	return int64(n), err
}
