// Package thalwegtest runs a whole thalweg within a Go test: in memory, on a
// free port of 127.0.0.1, gone when the test ends.
//
//	func TestOrders(t *testing.T) {
//		srv := thalwegtest.Start(t)
//		srv.CreateStream(t, "orders", 2)
//		client := kinesis.NewFromConfig(srv.Config())
//		...
//	}
//
// It is the same server that "thalweg serve" runs, with two settings that suit
// tests: the limits of AWS are off (see Limits), and nobody's credentials are
// looked at, though an access key id of 12 digits still names the account.
// Faults on purpose can be asked for at any time: see Fault. Time is the real
// one: there is no way to move it.
//
// The package hides how a server is built and stopped. It never touches the
// disk, and keeps nothing from one server to the next.
package thalwegtest

import (
	"cmp"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"sync"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"

	"github.com/thalweg/thalweg/internal/inject"
	"github.com/thalweg/thalweg/server"
)

// Stream declares a data stream.
type Stream = server.Stream

// Fault is a rule that says which calls meet what; docs/faults.md explains its
// fields. Matched and Hits count.
type Fault = inject.Rule

// The effects of a Fault.
const (
	Throttle = inject.Throttle // refused as beyond its rate
	Fail     = inject.Fail     // refused with an internal failure
	Expire   = inject.Expire   // GetRecords alone: its iterator has expired
	Delay    = inject.Delay    // carried out after DelayMillis
	Drop     = inject.Drop     // carried out, and the connection dropped instead of an answer
)

// Option changes how a server is started.
type Option func(*server.Config)

// Limits has the server enforce AWS's limits and rates.
func Limits() Option { return func(c *server.Config) { c.Limits = true } }

// Streams are there from the start.
func Streams(streams ...Stream) Option {
	return func(c *server.Config) { c.Streams = append(c.Streams, streams...) }
}

// Credentials has the server verify signatures, and take those made with this
// secret. Config gives the first ones to clients.
func Credentials(accessKeyID, secretAccessKey, account string) Option {
	return func(c *server.Config) {
		c.Auth = server.AuthVerify
		c.Credentials = append(c.Credentials, server.Credential{AccessKeyID: accessKeyID, SecretAccessKey: secretAccessKey, Account: account})
	}
}

// Logger has the server log there: at level debug, a line for each request.
func Logger(l *slog.Logger) Option { return func(c *server.Config) { c.Logger = l } }

// Server is a running server.
type Server struct {
	URL    string // http://127.0.0.1:port
	TLSURL string // https://127.0.0.1:port, the same port: see RootCAs

	house     *server.Server
	id        string // of the credentials for clients
	secret    string
	transport *http.Transport
	stop      context.CancelFunc
	ended     chan struct{}
	err       error // what Run returned, once ended
	closing   sync.Once
}

// Start starts a server that ends with the test.
func Start(t testing.TB, options ...Option) *Server {
	t.Helper()
	s, err := New(options...)
	if err != nil {
		t.Fatalf("thalwegtest: %v", err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Errorf("thalwegtest: %v", err)
		}
	})
	return s
}

// New starts a server where there is no test at hand, as in TestMain. The
// caller must Close it.
func New(options ...Option) (*Server, error) {
	ready := make(chan struct{})
	cfg := server.Config{
		Listen: "127.0.0.1:0", Ephemeral: true, Auth: server.AuthNone, Faults: true,
		LogFile: 16 << 20, // tests have many servers, and few records
		Ready:   func(*server.Server) { close(ready) },
	}
	for _, o := range options {
		o(&cfg)
	}
	house, err := server.Open(cfg)
	if err != nil {
		return nil, err
	}
	ctx, stop := context.WithCancel(context.Background())
	s := &Server{
		URL: "http://" + house.Addr(), TLSURL: "https://" + house.Addr(),
		house: house, id: "test", secret: "test", stop: stop, ended: make(chan struct{}),
	}
	if len(cfg.Credentials) > 0 {
		s.id, s.secret = cfg.Credentials[0].AccessKeyID, cfg.Credentials[0].SecretAccessKey
	}
	s.transport = &http.Transport{TLSClientConfig: &tls.Config{RootCAs: s.RootCAs()}, ForceAttemptHTTP2: true}
	go func() {
		s.err = house.Run(ctx)
		close(s.ended)
	}()
	select {
	case <-ready:
		return s, nil
	case <-s.ended:
		return nil, cmp.Or(s.err, errors.New("the server ended at once"))
	}
}

// Close ends the server: calls under way are finished, and subscriptions end.
func (s *Server) Close() error {
	s.closing.Do(func() {
		s.transport.CloseIdleConnections()
		s.stop()
	})
	<-s.ended
	return s.err
}

// Config is for clients of the AWS SDK for Go, of any service that the server
// has: kinesis.NewFromConfig(srv.Config()). It is a copy, to be changed at will.
func (s *Server) Config() aws.Config {
	return aws.Config{
		Region:       "us-east-1",
		BaseEndpoint: aws.String(s.URL),
		HTTPClient:   s.Client(),
		Credentials: aws.CredentialsProviderFunc(func(context.Context) (aws.Credentials, error) {
			return aws.Credentials{AccessKeyID: s.id, SecretAccessKey: s.secret, Source: "thalwegtest"}, nil
		}),
	}
}

// Client is an HTTP client that trusts the server's certificate, and whose idle
// connections are closed with the server.
func (s *Server) Client() *http.Client { return &http.Client{Transport: s.transport} }

// AuthorityPEM is the certificate of the authority to trust for TLSURL.
func (s *Server) AuthorityPEM() []byte { return s.house.Authority() }

// RootCAs is a pool that holds that authority alone.
func (s *Server) RootCAs() *x509.CertPool {
	pool := x509.NewCertPool()
	pool.AppendCertsFromPEM(s.AuthorityPEM())
	return pool
}

// CreateStream makes a stream with a number of shards in the default account
// and region. It can be used at once.
func (s *Server) CreateStream(t testing.TB, name string, shards int) {
	t.Helper()
	s.Declare(t, Stream{Name: name, Shards: shards})
}

// Declare makes a stream of any kind; one that is there gets what it lacks.
func (s *Server) Declare(t testing.TB, d Stream) {
	t.Helper()
	if err := s.house.Declare(context.Background(), d); err != nil {
		t.Fatalf("thalwegtest: %v", err)
	}
}

// Fault has calls from now on meet what f says, until ClearFaults. It returns
// the id of the rule.
func (s *Server) Fault(t testing.TB, f Fault) (id string) {
	t.Helper()
	f, err := s.house.Faults().Add(f)
	if err != nil {
		t.Fatalf("thalwegtest: fault: %v", err)
	}
	return f.ID
}

// Faults are the rules there are, with their counts, oldest first.
func (s *Server) Faults() []Fault { return s.house.Faults().List() }

// ClearFaults removes all rules.
func (s *Server) ClearFaults() { s.house.Faults().Clear("") }

// String is the server's URL.
func (s *Server) String() string { return fmt.Sprintf("thalweg on %s", s.URL) }
