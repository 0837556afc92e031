// Package gate is the one port: it accepts connections in the clear and over
// TLS, HTTP/1.1 and HTTP/2, reads a bounded body, checks a request in AWS's
// order, knows who sent it, finds the operation, and writes its answer or its
// fault in the caller's own format. It hides HTTP from every service: they see
// a Call and append bytes.
//
// It never looks into a body beyond whether it parses, never logs a body or a
// credential, and knows no service by name: all of them are handed to New.
package gate

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"sync"
	"time"

	"github.com/thalweg/thalweg/fault"
	"github.com/thalweg/thalweg/gate/wire"
)

// Call is one request to an operation. It and its Body are valid until the
// operation returns; what is kept longer must be copied.
type Call struct {
	Account, Region string  // of the caller: 12 digits; us-east-1 when nothing names one
	AccessKey       string  // empty when the caller showed none
	Session         Session // zero when the credentials are not temporary
	RequestID       string
	Format          wire.Format // of Body, and of what the operation appends
	Target          string      // X-Amz-Target as it arrived: Kinesis_20131202.PutRecord
	Body            []byte
	Now             time.Time // when the request arrived
	Rest            *Exchange // what else a request of REST-JSON has; nil: it is none

	// What an operation finds out, for the log:
	Resource string // what the call is about: the name of a stream
	Failed   error  // what went wrong within an answer that tells of it without detail
}

// Op is an operation of a service.
type Op struct {
	Name string
	// Serve appends the body of the answer, in c.Format, to dst; nothing
	// appended is an empty body. An error is a *fault.Error for what the caller
	// caused, anything else is answered as an internal failure and logged.
	Serve func(ctx context.Context, c *Call, dst []byte) ([]byte, error)
	// Stream, in Serve's stead, answers with an event stream. Before flow.Open
	// an error is answered as Serve's is; after it, it becomes an exception in
	// the stream and ends it, and nil ends it cleanly. ctx ends when the
	// caller goes away and when the gate begins to drain: its error, returned,
	// is a clean end too. c.Body is valid until flow.Open.
	Stream func(ctx context.Context, c *Call, flow *Flow) error
	// Request is the shape of what it takes, for those who ask what that is;
	// the gate does not need it.
	Request *wire.Shape
	// Rest, where it is set, is how the operation is called, and the only way.
	Rest *Rest

	err error // why Handle could not make it
}

// Service is a set of operations under one target prefix.
type Service struct {
	Name   string // in signatures' scope: kinesis
	Target string // before the dot of X-Amz-Target: Kinesis_20131202
	Ops    []Op
	// Later holds operations that AWS has and we have not, with the sentence
	// that says so to their callers.
	Later map[string]string
	// Exception spells a fault as the service does: its exception name and
	// HTTP status. Without it a fault's own Code is its name.
	Exception func(*fault.Error) (name string, status int)
	// Checksum adds the header X-Amz-Crc32 to answers: the CRC-32 of the body,
	// which some of AWS's SDKs check where it is there.
	Checksum bool
	// JSON10 says that the service speaks AWS JSON 1.0; to others a body in it
	// is of no known type.
	JSON10 bool
	// Query, where it is set, lets the service be called with forms and be
	// answered in XML as well.
	Query *Query
	// RPC lets it be called in rpc-v2-cbor as well, whose path names the
	// operation: /service/<Target>/operation/<Name>.
	RPC bool
}

// Query is what AWS's Query protocol needs to know of a service.
type Query struct {
	Version   string // of the API, as requests give it: 2010-08-01
	Namespace string // of the answers' XML
	// Codes has the names of exceptions in this protocol, where they are not
	// the usual ones: MissingParameter for MissingRequiredParameterException.
	Codes map[string]string
}

// Failure is a fault whose answer tells more than its name and its message.
type Failure struct {
	Fault   *fault.Error
	Members []byte // of the answer, in JSON without the braces around them; only callers that speak JSON get them
}

func (f *Failure) Error() string { return f.Fault.Error() }

// Unwrap returns the fault.
func (f *Failure) Unwrap() error { return f.Fault }

// Config is what a Gate is made from. Only Listener and Services are required.
type Config struct {
	Listener net.Listener
	Services []*Service
	// Routes are exact paths for GET: /healthz, /readyz, /metrics.
	Routes map[string]http.Handler
	// Admin are exact paths, for any method, of what only callers on this
	// machine may do, or in mode Verify those whose signature, scoped to the
	// service AdminService, is true. Web pages may never.
	Admin map[string]http.Handler
	Auth  Auth
	TLS   *tls.Config // nil: no TLS on this port
	// Logger is told of what failed on our side, with the id that the caller
	// got, and at level debug of every request, but for those to Routes. Neither
	// bodies nor credentials are ever in it.
	Logger *slog.Logger
	// Observe is told of every request to an operation, when it was answered.
	// A caller that went away counts as status 499, as does one that was cut
	// off; a stream ends with 200, or with the status that its exception would
	// have had, and took as long as it was open.
	Observe func(service, op string, status int, d time.Duration)
	MaxBody int64         // bytes; 0: 16 MiB, which holds AWS's largest request
	Drain   time.Duration // how long Run lets requests finish; 0: 20 s
	// Stall is how long the reader of a stream may take none of what is sent
	// to it, before it is cut off; 0: 30 s.
	Stall time.Duration
}

// operation is an Op where dispatch finds it.
type operation struct {
	service *Service
	name    string
	serve   func(ctx context.Context, c *Call, dst []byte) ([]byte, error)
	stream  func(ctx context.Context, c *Call, flow *Flow) error // or this
	rest    *Rest
	size    answerSize
}

// Gate serves requests. It is safe for concurrent use.
type Gate struct {
	cfg       Config
	ops       map[string]*operation   // by X-Amz-Target
	actions   map[string][]*operation // of Query, by Action
	json10    map[string]bool         // the targets of services that speak it
	later     map[string]string       // by X-Amz-Target
	paths     restTree                // of REST-JSON
	keys      keyring                 // of callers
	decoys    keyring                 // for access keys that nobody has
	buffers   buffers
	exchanges sync.Pool // of *exchange
	inflaters sync.Pool
	gathers   sync.Pool // of *gather
	date      date
	draining  context.Context // ends when streams are to end
	drain     context.CancelFunc
}

// New makes a Gate, finding mistakes in its services: two operations of one
// name, shapes that do not compile.
func New(cfg Config) (*Gate, error) {
	if cfg.MaxBody <= 0 {
		cfg.MaxBody = 16 << 20
	}
	if cfg.Drain <= 0 {
		cfg.Drain = 20 * time.Second
	}
	if cfg.Stall <= 0 {
		cfg.Stall = 30 * time.Second
	}
	if cfg.Logger == nil {
		cfg.Logger = slog.New(slog.DiscardHandler)
	}
	if cfg.Auth.Mode == Verify && cfg.Auth.Lookup == nil {
		return nil, errors.New("gate: signatures cannot be verified without a look-up of secrets")
	}
	g := &Gate{cfg: cfg, ops: map[string]*operation{}, later: map[string]string{}, actions: map[string][]*operation{}, json10: map[string]bool{}}
	g.draining, g.drain = context.WithCancel(context.Background())
	g.exchanges.New = func() any { return new(exchange) }
	g.gathers.New = func() any { return new(gather) }
	for _, s := range cfg.Services {
		g.json10[s.Target] = s.JSON10
		for _, op := range s.Ops {
			target := s.Target + "." + op.Name
			if op.err != nil {
				return nil, fmt.Errorf("operation %s: %w", target, op.err)
			}
			if (op.Serve == nil) == (op.Stream == nil) || g.ops[target] != nil {
				return nil, fmt.Errorf("operation %s is empty or there twice", target)
			}
			known := &operation{service: s, name: op.Name, serve: op.Serve, stream: op.Stream, rest: op.Rest}
			if op.Rest != nil {
				if !g.paths.add(known) {
					return nil, fmt.Errorf("operation %s: there is one of %s %s already", target, op.Rest.Method, op.Rest.Path)
				}
				continue
			}
			g.ops[target] = known
			if s.Query != nil {
				g.actions[op.Name] = append(g.actions[op.Name], known)
			}
		}
		for name, text := range s.Later {
			target := s.Target + "." + name
			if g.ops[target] != nil {
				return nil, fmt.Errorf("operation %s is both there and to come", target)
			}
			g.later[target] = text
		}
	}
	return g, nil
}

// Run serves until ctx ends, then accepts nothing more, closes idle
// connections, ends streams, tells HTTP/2 peers to go away and lets requests
// finish, for Drain at most: those that have not are cut off, and the error
// says so. It is called once.
func (g *Gate) Run(ctx context.Context) error {
	// Requests outlive ctx while they drain.
	base, cut := context.WithCancel(context.WithoutCancel(ctx))
	defer cut()
	srv, plain := g.server(base), newLanes(g, base)
	served, accepted := make(chan error, 1), make(chan error, 1)
	go func() { served <- srv.Serve(plain) }()
	go func() { accepted <- plain.run() }()
	select {
	case err := <-accepted:
		cut()
		err = errors.Join(fmt.Errorf("serve %s: %w", g.cfg.Listener.Addr(), err), srv.Close())
		plain.cut()
		<-served
		return err
	case <-ctx.Done():
	}
	g.drain()
	bound, cancel := context.WithTimeout(base, g.cfg.Drain)
	defer cancel()
	err := srv.Shutdown(bound)
	if e := plain.wait(bound); err == nil {
		err = e
	}
	if err != nil {
		cut()
		srv.Close()
		plain.cut()
		err = fmt.Errorf("drain: requests cut off after %s: %w", g.cfg.Drain, err)
	}
	<-served
	<-accepted
	return err
}

// server is the one HTTP server for all that arrives on the port.
//
// An HTTP/2 client may wait a minute between pings and open a stream for
// every shard it reads, and it sends records by the megabyte: hence the
// stream count and the windows.
func (g *Gate) server(base context.Context) *http.Server {
	var protocols http.Protocols
	protocols.SetHTTP1(true)
	protocols.SetUnencryptedHTTP2(true)
	return &http.Server{
		Handler:                      g,
		Protocols:                    &protocols,
		DisableGeneralOptionsHandler: true,
		ReadHeaderTimeout:            headerTimeout,
		ReadTimeout:                  bodyTimeout,
		WriteTimeout:                 answerTimeout,
		IdleTimeout:                  idleTimeout,
		MaxHeaderBytes:               64 << 10,
		HTTP2: &http.HTTP2Config{
			MaxConcurrentStreams:          20_000,
			MaxReadFrameSize:              1 << 20,
			MaxReceiveBufferPerConnection: 8 << 20,
			MaxReceiveBufferPerStream:     8 << 20,
			WriteByteTimeout:              g.cfg.Stall,
		},
		BaseContext: func(net.Listener) context.Context { return base },
		ConnContext: func(ctx context.Context, c net.Conn) context.Context { return context.WithValue(ctx, connKey{}, c) },
		ErrorLog:    slog.NewLogLogger(g.cfg.Logger.Handler(), slog.LevelDebug),
	}
}

// connKey is under what a request's context has its *conn.
type connKey struct{}

const (
	headerTimeout = 10 * time.Second // also for a TLS handshake
	bodyTimeout   = 2 * time.Minute  // header and body; the answer may take longer
	answerTimeout = 5 * time.Minute  // from the header to the answer's last byte; streams have their own
	idleTimeout   = 3 * time.Minute
)
