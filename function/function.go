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
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"log"
	"log/slog"
	"path"
	"runtime"
	"sync"
	"time"

	"github.com/thalweg/thalweg/catalog"
	"github.com/thalweg/thalweg/internal/vfs"
)

// Config is what Functions stand on. Catalog, FS, Dir and Work are required.
type Config struct {
	Catalog *catalog.Catalog // whose log is not open yet
	FS      vfs.FS
	Dir     string // folder of archives and logs, in FS
	Work    string // folder of the operating system for what is unpacked; Run empties it
	// Home is where functions find this server, for AWS_ENDPOINT_URL; nil or
	// "": they are not told.
	Home func() string
	// Credentials are what a function of an account finds in its environment.
	Credentials func(account, region string) Credentials
	// Deliver hands the record of an event to a destination, by its ARN, of
	// the services that Delivers says; nil: only functions are destinations.
	Deliver  func(ctx context.Context, account, arn string, record []byte) error
	Delivers func(service string) bool
	// Forward, where it is set, has all invocations run elsewhere.
	Forward     Forward
	Processes   int           // most instances at once, of all functions; 0: four per processor, at least 8
	Concurrency int           // most invocations under way at once, of an account in a region; 0: 1000
	Idle        time.Duration // after which an instance that has nothing to do ends; 0: 5 min
	Logger      *slog.Logger  // nil: say nothing
}

// Functions is all functions of all owners. Its methods may be called
// concurrently once the catalog is attached to its log.
type Functions struct {
	cfg      Config
	logger   *slog.Logger
	quiet    *log.Logger // for what http.Server has to say of its clients
	propose  func(ctx context.Context, cmd []byte) (any, error)
	codes    *codes
	logs     *logs
	programs programs
	mark     string // of all our processes

	ready   chan struct{}   // closed when Run has begun
	running context.Context // ends when Run does
	stop    context.CancelFunc
	ending  sync.WaitGroup // starts and ends of instances that are under way

	mu       sync.RWMutex // the log's goroutine writes, all others read
	byName   map[Name]*entry
	reserved map[owner]int // concurrency
	queue    queue         // of events
	wake     chan struct{} // tells Run of a change in it

	pmu       sync.Mutex // over what follows
	pool      *pool
	meter     meter
	instances map[int]*instance // by slot
	wants     map[int]*call
	lastWant  int
	closing   bool // Run is about to return
}

// New joins the functions to the catalog. It starts nothing.
func New(cfg Config) *Functions {
	mark := sha256.Sum256([]byte(cfg.Work))
	f := &Functions{
		cfg: cfg, logger: cfg.Logger, quiet: log.New(io.Discard, "", 0), ready: make(chan struct{}), mark: hex.EncodeToString(mark[:8]),
		codes: newCodes(cfg.FS, path.Join(cfg.Dir, "code"), cfg.Work), logs: newLogs(cfg.FS, path.Join(cfg.Dir, "logs")),
		byName: map[Name]*entry{}, reserved: map[owner]int{}, queue: newQueue(), wake: make(chan struct{}, 1),
		pool: newPool(poolLimits{
			processes: cmp.Or(cfg.Processes, max(8, 4*runtime.NumCPU())), idle: cmp.Or(cfg.Idle, 5*time.Minute), age: 6 * time.Hour, line: 10_000,
		}),
		meter: newMeter(cmp.Or(cfg.Concurrency, 1000)), instances: map[int]*instance{}, wants: map[int]*call{},
	}
	f.running, f.stop = context.WithCancel(context.Background())
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

// How often Run looks after things.
const (
	reapEvery  = 5 * time.Second
	sweepEvery = 10 * time.Minute
)

// Run clears up what an earlier run has left behind, and from then on ends idle
// instances, watches memory and works off queued events. It returns nil when
// ctx ends, once no process is left.
func (f *Functions) Run(ctx context.Context) error {
	defer f.stop()
	if n := killMarked(f.mark); n > 0 {
		f.logger.Warn("functions of an earlier run were still there, and were killed", "processes", n)
	}
	if err := f.codes.clear(); err != nil {
		return err
	}
	if err := f.writeShims(); err != nil {
		return err
	}
	f.sweep()
	close(f.ready)
	guard, reap, sweep := time.NewTicker(measureEvery), time.NewTicker(reapEvery), time.NewTicker(sweepEvery)
	defer guard.Stop()
	defer reap.Stop()
	defer sweep.Stop()
	var worked sync.WaitGroup
	worked.Go(func() { f.work(ctx) })
	for ctx.Err() == nil {
		select {
		case <-ctx.Done():
		case now := <-guard.C:
			f.guardAll(now)
		case <-reap.C:
			f.reap(f.stale)
		case <-sweep.C:
			f.sweep()
		}
	}
	f.stop()
	f.pmu.Lock()
	f.closing = true // what is started from now on fails at once
	f.pmu.Unlock()
	f.endAll()
	f.ending.Wait()
	f.endAll() // what was being started
	worked.Wait()
	return f.logs.close()
}

// sweep removes code that no function has any more.
func (f *Functions) sweep() {
	if err := f.codes.sweep(f.usedCode); err != nil {
		f.logger.Warn("code of functions that are gone cannot be removed", "err", err)
	}
}

// usedCode is the code of all versions, by SHA-256.
func (f *Functions) usedCode() map[string]bool {
	used := map[string]bool{}
	f.mu.RLock()
	for _, e := range f.byName {
		used[e.def.Latest.Code.SHA256] = true
		for _, v := range e.versions {
			used[v.Code.SHA256] = true
		}
	}
	f.mu.RUnlock()
	return used
}

// Logs returns the last lines that a function wrote, each after the time when
// it did, at most max bytes of them.
func (f *Functions) Logs(n Name, max int64) ([]byte, error) {
	if _, err := f.get(n); err != nil {
		return nil, err
	}
	return f.logs.of(n).tail(max)
}
