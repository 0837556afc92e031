// Package server builds the house from a Config and runs it. It is the only
// package that knows every other: it opens the log over a file system, puts
// the catalog and the streams on it, and the gate in front. It hides in which
// order they start, drain and stop, and what happens when one of them fails.
// It never handles a request or a record itself, but for the health checks
// and the figures, which are about the house as a whole.
package server

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path"
	"sync"
	"sync/atomic"

	"github.com/thalweg/thalweg/api/dynamodb"
	"github.com/thalweg/thalweg/api/kinesis"
	"github.com/thalweg/thalweg/api/lambda"
	"github.com/thalweg/thalweg/api/sink"
	"github.com/thalweg/thalweg/catalog"
	"github.com/thalweg/thalweg/function"
	"github.com/thalweg/thalweg/function/mapping"
	"github.com/thalweg/thalweg/gate"
	"github.com/thalweg/thalweg/internal/buildinfo"
	"github.com/thalweg/thalweg/internal/inject"
	"github.com/thalweg/thalweg/internal/metric"
	"github.com/thalweg/thalweg/internal/vfs"
	"github.com/thalweg/thalweg/shardlog"
	"github.com/thalweg/thalweg/shardlog/journal"
	"github.com/thalweg/thalweg/stream"
	"github.com/thalweg/thalweg/table"
)

// Config says how to build a server. The zero Config needs at least Data or
// Ephemeral, and Listen or Listener.
type Config struct {
	Listen      string        // host:port; anything but a loopback address wants Auth none or Credentials
	Listener    net.Listener  // used instead of Listen when set; Run closes it
	FS          vfs.FS        // nil: the operating system's, or one in memory when Ephemeral
	Data        string        // folder of everything that is kept
	Ephemeral   bool          // keep everything in memory
	LogFile     int64         // bytes of one file of the log, a quarter of the memory that records take before they are sealed; 0: 64 MiB
	Limits      bool          // enforce AWS's limits
	Auth        string        // AuthAny, AuthNone, AuthVerify, or empty to let Credentials and the address decide
	Credentials []Credential  // who may call, with AuthVerify
	TLSCert     string        // PEM file of a certificate chain; empty: one is made and kept in Data
	TLSKey      string        // PEM file of its key
	Streams     []Stream      // that are there when Ready is called
	Functions   Functions     // how functions run
	Remote      Remote        // services elsewhere, for functions' code and invocations, and for batches that mappings give up
	Pprof       string        // host:port of loopback to serve Go's profiles on; empty: nowhere
	Faults      bool          // let tests have calls meet faults on purpose, at /admin/faults
	Logger      *slog.Logger  // nil: say nothing
	Ready       func(*Server) // called once by Run when requests are answered
}

// Server is a built house, its log recovered and its port bound.
type Server struct {
	cfg       Config
	auth      gate.Auth
	logger    *slog.Logger
	listener  net.Listener
	caFile    string
	authority []byte
	journal   *journal.Journal
	streams   *stream.Streams
	tables    *table.Tables
	functions *function.Functions
	mappings  *mapping.Mappings
	client    *http.Client // for calls to other endpoints
	scratch   string       // a folder of the system's for what functions are unpacked to, when nothing is kept
	codeKey   [32]byte     // of the URLs of functions' code
	gate      *gate.Gate
	metrics   *metric.Registry

	profiles net.Listener  // nil: none
	faults   *inject.Rules // nil: none can be set

	failed  chan error // what ended the log, at most once
	serving atomic.Bool
}

// Open recovers what the data folder holds and binds the port. It answers no
// request: Run does, and lets go of everything Open took.
func Open(cfg Config) (_ *Server, err error) {
	if cfg.Data == "" && !cfg.Ephemeral {
		return nil, errors.New("a server needs a data folder, or to be ephemeral")
	}
	auth, err := cfg.auth()
	if err != nil {
		return nil, err
	}
	if cfg.FS == nil {
		cfg.FS = vfs.OS()
		if cfg.Ephemeral {
			cfg.FS = vfs.NewMem(0)
		}
	}
	if cfg.Data == "" {
		cfg.Data = "thalweg-data"
	}
	if cfg.Logger == nil {
		cfg.Logger = slog.New(slog.DiscardHandler)
	}
	build := buildinfo.Read()
	s := &Server{cfg: cfg, auth: auth, logger: cfg.Logger, client: &http.Client{Transport: http.DefaultTransport.(*http.Transport).Clone()}, failed: make(chan error, 1), metrics: metric.New(build.Version, build.Commit)}
	defer func() {
		if err != nil {
			err = errors.Join(err, s.close())
		}
	}()
	if err := CheckStreams(cfg.Streams); err != nil {
		return nil, err
	}
	if s.profiles, err = listenProfiles(cfg.Pprof); err != nil {
		return nil, err
	}
	if err := s.openLog(); err != nil {
		return nil, err
	}
	for _, d := range cfg.Streams {
		if err := s.Declare(context.Background(), d); err != nil {
			return nil, err
		}
	}
	tls, err := s.certificate()
	if err != nil {
		return nil, err
	}
	if s.listener = cfg.Listener; s.listener == nil {
		if s.listener, err = net.Listen("tcp", cfg.Listen); err != nil {
			return nil, fmt.Errorf("listen: %w", err)
		}
	}
	s.measure()
	clients := new(sink.Metrics)
	exportClients(s.metrics, clients)
	streams := kinesis.New(s.streams)
	if cfg.Faults {
		s.faults = new(inject.Rules)
		kinesis.Inject(streams, s.streams, s.faults)
	}
	s.gate, err = gate.New(gate.Config{
		Listener: s.listener,
		Services: append(sink.New(sink.Config{Metrics: clients, Issue: auth.Issue, OwnAccount: auth.Mode == gate.Verify}),
			streams, dynamodb.New(s.tables), lambda.New(s.functions, s.mappings, s.lambdaConfig())),
		Routes:  s.routes(),
		Admin:   s.admin(),
		Auth:    auth,
		TLS:     tls,
		Logger:  s.logger,
		Observe: s.metrics.Observe,
	})
	return s, err
}

// openLog builds what stands on the disk: log, catalog, tables and streams.
func (s *Server) openLog() error {
	facts := catalog.New()
	s.tables = table.New(table.Config{Catalog: facts, Logger: s.logger, Full: func(err error) bool { return errors.Is(err, shardlog.ErrFull) }})
	err := s.openFunctions(facts)
	if err != nil {
		return err
	}
	s.journal, err = journal.Open(context.Background(), journal.Config{
		FS: s.cfg.FS, Dir: logDir(s.cfg.Data), Machine: facts, Logger: s.logger,
		OnCommit: watchCommits(s.metrics), SegmentBytes: s.cfg.LogFile,
		OnFail: func(err error) {
			select {
			case s.failed <- err:
			default: // the first cause is enough
			}
		},
	})
	switch {
	case errors.Is(err, vfs.ErrLocked):
		return fmt.Errorf("data folder %s is in use by another process: stop that one, or choose another with --data (%w)", s.cfg.Data, err)
	case errors.Is(err, shardlog.ErrCorrupt):
		return fmt.Errorf("data folder %s is damaged, and nothing in it was changed (`thalweg fsck %[1]s` finds all there is): %w", s.cfg.Data, err)
	case err != nil:
		return fmt.Errorf("open data folder %s: %w", s.cfg.Data, err)
	}
	facts.Attach(s.journal)
	if s.streams, err = stream.New(stream.Config{Log: s.journal, Catalog: facts, Limits: s.cfg.Limits, Logger: s.logger}); err != nil {
		return fmt.Errorf("open streams in %s: %w", s.cfg.Data, err)
	}
	s.mappings = mapping.New(mapping.Config{Catalog: facts, Env: s.mappingEnv(), Logger: s.logger})
	return nil
}

// logDir is where in a data folder the log lies.
func logDir(data string) string { return path.Join(data, "log") }

// close lets go of what Open took.
func (s *Server) close() error {
	var errs []error
	if s.profiles != nil {
		if err := s.profiles.Close(); !errors.Is(err, net.ErrClosed) {
			errs = append(errs, err)
		}
	}
	if s.listener != nil {
		if err := s.listener.Close(); !errors.Is(err, net.ErrClosed) {
			errs = append(errs, err)
		}
	}
	s.client.CloseIdleConnections()
	if s.scratch != "" {
		errs = append(errs, os.RemoveAll(s.scratch))
	}
	if s.journal != nil {
		errs = append(errs, s.journal.Close())
	}
	return errors.Join(errs...)
}

// Run serves until ctx ends, which is no error, or something fails for good,
// which it returns. It lets requests under way finish, then closes the log. A
// server runs once.
func (s *Server) Run(ctx context.Context) error {
	// Requests need the streams, and both the log, until the last is answered:
	// each part has its own context, ended in that order.
	serving, stopServing := context.WithCancel(ctx)
	defer stopServing()
	tending, stopTending := context.WithCancel(context.WithoutCancel(ctx))
	defer stopTending()

	if s.profiles != nil {
		defer serveProfiles(s.profiles).Close()
		s.logger.Info("profiles", "url", "http://"+s.profiles.Addr().String()+"/debug/pprof/")
	}
	ended := make(chan error, 5)
	var gated, tended sync.WaitGroup
	gated.Go(func() { ended <- s.gate.Run(serving) })
	tended.Go(func() { ended <- s.streams.Run(tending) })
	tended.Go(func() { ended <- s.tables.Run(tending) })
	tended.Go(func() { ended <- s.functions.Run(tending) })
	tended.Go(func() { ended <- s.mappings.Run(tending) })
	s.serving.Store(true)
	build := buildinfo.Read()
	s.logger.Info("serving", "address", s.Addr(), "data", s.cfg.Data, "ephemeral", s.cfg.Ephemeral, "version", build.Version, "commit", build.Commit)
	if s.cfg.Ready != nil {
		s.cfg.Ready(s)
	}

	var cause error
	select {
	case <-ctx.Done():
		s.logger.Info("stopping: requests under way are finished first")
	case cause = <-s.failed:
		cause = fmt.Errorf("the log has failed, nothing more can be acknowledged: %w", cause)
	case cause = <-ended:
		if cause == nil && ctx.Err() == nil {
			cause = errors.New("stopped serving without being told to")
		}
	}
	s.serving.Store(false)
	stopServing()
	gated.Wait()
	stopTending()
	tended.Wait()
	for range len(ended) {
		cause = errors.Join(cause, <-ended)
	}
	select {
	case err := <-s.failed: // while draining
		cause = errors.Join(cause, err)
	default:
	}
	if err := s.close(); cause == nil && err != nil {
		cause = fmt.Errorf("close: %w", err)
	}
	return cause
}

// Addr is the address that the server listens on, as host:port.
func (s *Server) Addr() string { return s.listener.Addr().String() }

// CAFile is the PEM file of the authority that signed the server's own
// certificate, for clients to trust; empty when the certificate was given or
// is in memory only.
func (s *Server) CAFile() string { return s.caFile }
