package gate

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"io"
	"net"
	"net/http"
	"runtime"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	v4 "github.com/aws/aws-sdk-go-v2/aws/signer/v4"
)

// sinkWriter is a ResponseWriter without a connection.
type sinkWriter struct{ h http.Header }

func (w *sinkWriter) Header() http.Header         { return w.h }
func (w *sinkWriter) WriteHeader(int)             {}
func (w *sinkWriter) Write(p []byte) (int, error) { return len(p), nil }

type rewinder struct{ *bytes.Reader }

func (rewinder) Close() error { return nil }

// One request of 1 KiB through ServeHTTP, without net/http's own share:
// what the gate adds to a bare handler.
func BenchmarkServeHTTP(b *testing.B) {
	for _, mode := range []Mode{AnyCredentials, Verify} {
		b.Run(map[Mode]string{AnyCredentials: "any", Verify: "verify"}[mode], func(b *testing.B) {
			answer := []byte(`{"SequenceNumber":"49590338271490256608559692538361571095921575989136588898","ShardId":"shardId-000000000000"}`)
			g, err := New(Config{
				Services: []*Service{{Name: "toy", Target: "Toy", Ops: []Op{{Name: "Put", Serve: func(_ context.Context, _ *Call, dst []byte) ([]byte, error) {
					return append(dst, answer...), nil
				}}}}},
				Auth: Auth{Mode: mode, Lookup: func(string) (string, string, bool) { return "secret", "000000000000", true }},
			})
			if err != nil {
				b.Fatal(err)
			}
			body := bytes.Repeat([]byte{'x'}, 1400)
			r := request("POST", "/", "", "Content-Type", jsonType, "X-Amz-Target", "Toy.Put")
			sum := sha256.Sum256(body)
			if err := v4.NewSigner().SignHTTP(b.Context(), aws.Credentials{AccessKeyID: "AKID", SecretAccessKey: "secret"}, r, hex.EncodeToString(sum[:]), "toy", "us-east-1", time.Now()); err != nil {
				b.Fatal(err)
			}
			r.Host, r.RequestURI = "gate", "/"
			reader := bytes.NewReader(body)
			r.Body, r.ContentLength = rewinder{reader}, int64(len(body))
			w := &sinkWriter{http.Header{}}
			b.ReportAllocs()
			for b.Loop() {
				clear(w.h)
				reader.Seek(0, io.SeekStart)
				g.ServeHTTP(w, r)
			}
		})
	}
}

// The whole way of a 1 KiB put over 64 loopback connections, HTTP/1.1, next to
// a bare net/http handler that reads the body and answers: the gate is to
// reach 0.8 of it.
func BenchmarkPort(b *testing.B) {
	answer := []byte(`{"SequenceNumber":"49590338271490256608559692538361571095921575989136588898","ShardId":"shardId-000000000000"}`)
	body := bytes.Repeat([]byte{'x'}, 1400)
	r := request("POST", "/", "", "Content-Type", jsonType, "X-Amz-Target", "Toy.Put")
	sum := sha256.Sum256(body)
	if err := v4.NewSigner().SignHTTP(b.Context(), aws.Credentials{AccessKeyID: "AKID", SecretAccessKey: "secret"}, r, hex.EncodeToString(sum[:]), "toy", "us-east-1", time.Now()); err != nil {
		b.Fatal(err)
	}
	r.Body, r.ContentLength = io.NopCloser(bytes.NewReader(body)), int64(len(body))
	r.Host = "gate"
	var whole bytes.Buffer
	if err := r.Write(&whole); err != nil {
		b.Fatal(err)
	}
	bare := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		var body [2 << 10]byte
		io.ReadFull(r.Body, body[:r.ContentLength])
		w.Header()["Content-Type"] = plainJSON
		w.Write(answer)
	})
	service := &Service{Name: "toy", Target: "Toy", Ops: []Op{{Name: "Put", Serve: func(_ context.Context, _ *Call, dst []byte) ([]byte, error) {
		return append(dst, answer...), nil
	}}}}
	for name, serve := range map[string]func(net.Listener) (stop func()){
		"bare": func(l net.Listener) func() {
			s := &http.Server{Handler: bare}
			go s.Serve(l)
			return func() { s.Close() }
		},
		"any":    func(l net.Listener) func() { return serveBench(b, l, service, AnyCredentials) },
		"verify": func(l net.Listener) func() { return serveBench(b, l, service, Verify) },
	} {
		b.Run(name, func(b *testing.B) {
			l, err := net.Listen("tcp", "127.0.0.1:0")
			if err != nil {
				b.Fatal(err)
			}
			defer serve(l)()
			b.SetParallelism(64 / runtime.GOMAXPROCS(0))
			b.ReportAllocs()
			b.RunParallel(func(pb *testing.PB) {
				c, err := net.Dial("tcp", l.Addr().String())
				if err != nil {
					b.Error(err)
					return
				}
				defer c.Close()
				var buf [4 << 10]byte
				for pb.Next() {
					if _, err := c.Write(whole.Bytes()); err != nil {
						b.Error(err)
						return
					}
					// Answers are one segment, and end as the body does.
					for n := 0; n == 0 || buf[n-1] != '}'; {
						m, err := c.Read(buf[n:])
						if n += m; err != nil || !bytes.HasPrefix(buf[:n], []byte("HTTP/1.1 200")) {
							b.Errorf("%q %v", buf[:n], err)
							return
						}
					}
				}
			})
		})
	}
}

func serveBench(b *testing.B, l net.Listener, s *Service, mode Mode) (stop func()) {
	g, err := New(Config{Listener: l, Services: []*Service{s}, Drain: time.Second,
		Auth: Auth{Mode: mode, Lookup: func(string) (string, string, bool) { return "secret", "000000000000", true }}})
	if err != nil {
		b.Fatal(err)
	}
	ctx, cancel := context.WithCancel(b.Context())
	done := make(chan struct{})
	go func() { defer close(done); g.Run(ctx) }()
	return func() { cancel(); <-done }
}
