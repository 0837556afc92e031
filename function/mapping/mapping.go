// Package mapping is Lambda's event source mappings for Kinesis: each takes
// the records of a stream to a function, shard by shard, from where it stood.
// It hides how shards are read, how batches travel and what is kept: mappings
// and checkpoints are documents of the catalog, and a shard's checkpoint and
// the state of its tumbling window are one of them. The rules of order and time
// are package shard's. It never reaches into streams, functions' processes or
// other services: those are fields of Env.
package mapping

import (
	"context"
	"log/slog"
	"sync"
	"time"

	"github.com/thalweg/thalweg/catalog"
	"github.com/thalweg/thalweg/fault"
	"github.com/thalweg/thalweg/flow"
	"github.com/thalweg/thalweg/function"
	"github.com/thalweg/thalweg/function/mapping/event"
)

// Owner is who a mapping belongs to, and where.
type Owner struct{ Account, Region string }

// Settings is what a mapping does.
type Settings struct {
	Enabled   bool     `json:"enabled"`
	Function  string   `json:"function"` // ARN as it was named, with its qualifier if there was one
	BatchSize int      `json:"batchSize"`
	Window    int      `json:"window,omitzero"` // seconds to wait for a full batch
	Parallel  int      `json:"parallel"`
	Bisect    bool     `json:"bisect,omitzero"`
	Retries   int      `json:"retries"` // -1: for ever
	Age       int      `json:"age"`     // seconds; -1: any
	Items     bool     `json:"items,omitzero"`
	Tumbling  int      `json:"tumbling,omitzero"` // seconds
	Filters   []string `json:"filters,omitempty"`
	OnFailure string   `json:"onFailure,omitzero"` // see Env.Send
}

// StartType says where a mapping starts to read, in AWS's words.
type StartType string

// The places to start.
const (
	TrimHorizon StartType = "TRIM_HORIZON"
	Latest      StartType = "LATEST"
	AtTime      StartType = "AT_TIMESTAMP"
)

// Start is where a mapping starts to read the shards that there are when it is
// made. Their children are read from their beginning.
type Start struct {
	Type StartType `json:"type"`
	Time time.Time `json:"time,omitzero"` // for AtTime
}

// Phase is where a mapping is in its life, in AWS's words.
type Phase string

// The phases. A mapping leaves all but Enabled and Disabled by itself.
const (
	Creating  Phase = "Creating"
	Enabling  Phase = "Enabling"
	Enabled   Phase = "Enabled"
	Disabling Phase = "Disabling"
	Disabled  Phase = "Disabled"
	Updating  Phase = "Updating"
	Deleting  Phase = "Deleting"
)

// Mapping is a mapping as of one instant. It is read-only.
type Mapping struct {
	Owner  `json:"-"`
	UUID   string `json:"-"`
	Source string `json:"source"` // ARN of a stream or of a consumer
	Settings
	Start    Start             `json:"start"`
	Phase    Phase             `json:"phase"`
	Modified time.Time         `json:"modified"`
	Tags     map[string]string `json:"tags,omitempty"`

	LastResult string `json:"-"` // in AWS's words

	version uint64
}

// ARN is the mapping's.
func (m *Mapping) ARN() string {
	return "arn:aws:lambda:" + m.Region + ":" + m.Account + ":event-source-mapping:" + m.UUID
}

// Stream is what an ARN of a stream or of a consumer means, as of one instant.
type Stream struct {
	ARN    string // of the stream, also where a consumer was named
	ID     string // never reused
	Shards []Shard
}

// Shard is one shard of a Stream.
type Shard struct {
	Index    uint32
	ID       string
	Parents  []string // the ids of the shards it was made of
	Sequence func(pos flow.Pos, unixMilli int64) string
}

// Page is what one read of a shard found.
type Page struct {
	Next flow.Pos // read on from here
	End  bool     // the shard is closed and read, and its children are there
	Tip  bool     // nothing was left to read
}

// Limit bounds one read.
type Limit struct{ Records, Bytes int }

// Env is what mappings need of others. All fields but Send are required.
type Env struct {
	// Stream tells what an ARN means. Faults: NotFound.
	Stream func(ctx context.Context, arn string) (*Stream, error)
	// Position returns where in a shard a start is. Faults: NotFound, Invalid.
	Position func(ctx context.Context, arn string, shard uint32, at Start) (flow.Pos, error)
	// Read gives take each record of a shard from a position on, whose memory
	// is its own only until take returns. It does not wait. Faults: NotFound.
	Read func(ctx context.Context, s *Stream, shard uint32, from flow.Pos, limit Limit, take func(flow.Record)) (Page, error)
	// Await blocks until Read has something to tell. Faults: NotFound.
	Await func(ctx context.Context, s *Stream, shard uint32, from flow.Pos) error
	// Function returns the ARN of the role of what a function's ARN means.
	// Faults: NotFound.
	Function func(o Owner, arn string) (role string, err error)
	// Invoke runs a function; see function.Functions.Invoke.
	Invoke func(ctx context.Context, in function.Invocation) (function.Outcome, error)
	// CheckDestination tells whether Send knows what to do with a destination.
	// Faults: Invalid.
	CheckDestination func(o Owner, destination string) error
	// Send gives a failure to an on-failure destination. An error means that it
	// is to be tried again.
	Send func(ctx context.Context, o Owner, destination string, d Delivery) error
}

// Delivery is what an on-failure destination gets.
type Delivery struct {
	Mapping string // UUID
	ID      string // a UUID of its own, the same however often it is tried
	event.Failure
	// Event returns the event of the batch, for destinations that take it.
	Event func(ctx context.Context) ([]byte, error)
}

// Config is what Mappings stand on.
type Config struct {
	Catalog *catalog.Catalog
	Env     Env
	Logger  *slog.Logger // nil: say nothing
}

// Mappings is all mappings of all owners. Its methods may be called
// concurrently once the catalog is attached to its log; Run makes them work.
type Mappings struct {
	catalog *catalog.Catalog
	env     Env
	logger  *slog.Logger
	wake    chan struct{} // there may be something to do for Run
	budget  budget

	mu      sync.Mutex
	running map[string]*runner // by UUID
	counts  map[string]*Counts // by UUID, for as long as the mapping is there
}

// New returns the mappings that a catalog holds. It starts nothing.
func New(cfg Config) *Mappings {
	m := &Mappings{
		catalog: cfg.Catalog, env: cfg.Env, logger: cfg.Logger, wake: make(chan struct{}, 1),
		running: map[string]*runner{}, counts: map[string]*Counts{},
	}
	if m.logger == nil {
		m.logger = slog.New(slog.DiscardHandler)
	}
	return m
}

// nudge makes Run look again soon.
func (m *Mappings) nudge() {
	select {
	case m.wake <- struct{}{}:
	default:
	}
}

// invalid is an InvalidParameterValueException.
func invalid(format string, args ...any) error { return fault.New(fault.Invalid, format, args...) }
