// Package table is DynamoDB-compatible tables: items under a key of one or two
// attributes, conditional writes, secondary indexes, queries and scans,
// transactions, and items that expire. It hides that all of it is one state
// machine in the catalog's log: a write is a command, decided when its turn
// comes in the order of the log, so that reads and writes are linearizable and
// every answer is on disk. It never interprets what an attribute means, and
// knows nothing of how AWS puts its requests and exceptions on the wire; the
// messages of its faults are AWS's.
package table

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/thalweg/thalweg/catalog"
	"github.com/thalweg/thalweg/fault"
)

// Config is what Tables stand on.
type Config struct {
	Catalog *catalog.Catalog     // whose log is not open yet
	Full    func(err error) bool // whether an error of the log says that the disk is full; nil: none does
	Logger  *slog.Logger         // nil: say nothing
}

// Tables is all tables of all owners. Its methods may be called concurrently
// once the catalog is attached to its log; Run completes indexes and removes
// what has expired.
type Tables struct {
	propose func(ctx context.Context, cmd []byte) (any, error)
	full    func(err error) bool
	logger  *slog.Logger
	wake    chan struct{} // tells Run that there may be an index to fill

	mu     sync.RWMutex // the log's goroutine writes, all others read
	byName map[Name]*table
	byID   map[uint64]*table
	tokens tokens

	proposals proposals
	scratch   []byte    // of update, with mu held
	buffers   sync.Pool // of *[]byte, of encode
}

// New joins the tables to the catalog.
func New(cfg Config) *Tables {
	t := &Tables{
		full: cfg.Full, logger: cfg.Logger, wake: make(chan struct{}, 1),
		byName: map[Name]*table{}, byID: map[uint64]*table{}, tokens: newTokens(),
	}
	if t.logger == nil {
		t.logger = slog.New(slog.DiscardHandler)
	}
	t.propose = cfg.Catalog.Join("table", machine{t})
	return t
}

// ask proposes a command and returns its answer as the type that it has.
func ask[A any](ctx context.Context, t *Tables, cmd []byte) (A, error) {
	var none A
	answer, err := t.propose(ctx, cmd)
	if err != nil {
		if errors.Is(err, catalog.ErrBounds) {
			return none, invalid("Item size to update has exceeded the maximum allowed size")
		}
		if t.full != nil && t.full(err) {
			return none, errFull()
		}
		return none, err
	}
	switch a := answer.(type) {
	case A:
		return a, nil
	case error:
		return none, a
	}
	return none, fmt.Errorf("table: the log answered with a %T", answer)
}

// errFull is for whoever can do something about it.
func errFull() error {
	return fault.New(fault.Unavailable, "The server's disk is full: tables are not changed until there is room on the disk of its data folder, and can be read meanwhile. "+
		"Free some space there; writes are taken again by themselves.")
}

// The pauses of Run.
const (
	sweepEvery = 20 * time.Second // between two looks at what has expired
	retryAfter = time.Second
)

// Run fills indexes that were made of tables that had items, and removes items
// that have expired. It returns nil when ctx ends.
func (t *Tables) Run(ctx context.Context) error {
	timer := time.NewTimer(0)
	defer timer.Stop()
	sweep := time.NewTicker(sweepEvery)
	defer sweep.Stop()
	for {
		var err error
		select {
		case <-ctx.Done():
			return nil
		case <-timer.C:
			err = t.fillAll(ctx)
		case <-t.wake:
			err = t.fillAll(ctx)
		case now := <-sweep.C:
			err = t.expireAll(ctx, now)
		}
		if err != nil && ctx.Err() == nil {
			t.logger.Warn("tables need another try", "err", err)
			timer.Reset(retryAfter)
		}
	}
}

// nudge makes Run look for indexes to fill.
func (t *Tables) nudge() {
	select {
	case t.wake <- struct{}{}:
	default:
	}
}
