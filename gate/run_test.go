package gate

import (
	"bytes"
	"context"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"reflect"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/thalweg/thalweg/internal/vfs"
)

func typeOf[T any]() reflect.Type { return reflect.TypeFor[T]() }

// A drain lets what runs finish, and turns away what comes.
func TestDrain(t *testing.T) {
	for _, way := range ways {
		t.Run(way, func(t *testing.T) {
			h := start(t, nil)
			c := h.client(t, way)
			type result struct {
				res  *http.Response
				body string
			}
			answered := make(chan result, 1)
			go func() {
				res, body := do(t, c, request("POST", "/", "{}", "Content-Type", jsonType, "X-Amz-Target", "Toy_20260101.Wait", "Authorization", anyAuth, "X-Amz-Date", "20260304T050607Z"))
				answered <- result{res, body}
			}()
			<-h.toy.entered
			stopped := make(chan error, 1)
			go func() { stopped <- h.stop() }()
			// The listener closes first of all.
			for {
				probe, err := net.Dial("tcp", h.addr)
				if err != nil {
					break
				}
				probe.Close()
			}
			close(h.toy.release)
			if r := <-answered; r.res.StatusCode != 200 || r.body != "{}" {
				t.Errorf("%d %q", r.res.StatusCode, r.body)
			}
			if err := <-stopped; err != nil {
				t.Error(err)
			}
		})
	}
}

// A reader holds a stream open for every shard, all on one connection
// (clients.md 0.1: allow at least shards + 20).
func TestManyStreams(t *testing.T) {
	const streams = 1000
	dials := 0
	h := start(t, nil)
	for _, way := range []string{"h2c", "TLS h2"} {
		c := h.client(t, way)
		tr := c.Transport.(base).rt.(*http.Transport)
		tr.DialContext = func(ctx context.Context, network, addr string) (net.Conn, error) {
			dials++
			return new(net.Dialer).DialContext(ctx, network, addr)
		}
		// One request first, so that all others find its connection.
		do(t, c, request("POST", "/", "{}"))
		var all sync.WaitGroup
		for range streams {
			all.Go(func() {
				if res, body := do(t, c, request("POST", "/", "{}", "Content-Type", jsonType, "X-Amz-Target", "Toy_20260101.Wait", "Authorization", anyAuth, "X-Amz-Date", "20260304T050607Z")); res.StatusCode != 200 || body != "{}" {
					t.Errorf("%d %q", res.StatusCode, body)
				}
			})
		}
		for range streams {
			<-h.toy.entered
		}
		for range streams {
			h.toy.release <- struct{}{}
		}
		all.Wait()
	}
	if dials != 2 {
		t.Errorf("%d connections", dials)
	}
}

// What does not finish is cut off when the drain's time is up.
func TestDrainBound(t *testing.T) {
	var status int
	var mu sync.Mutex
	seen := make(chan struct{})
	h := start(t, func(c *Config) {
		c.Drain = time.Millisecond
		c.Observe = func(service, op string, s int, d time.Duration) {
			mu.Lock()
			defer mu.Unlock()
			status = s
			close(seen)
		}
	})
	c := h.client(t, "http/1.1")
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		if res, err := c.Do(request("POST", "/", "{}", "Content-Type", jsonType, "X-Amz-Target", "Toy_20260101.Wait", "Authorization", anyAuth, "X-Amz-Date", "20260304T050607Z")); err == nil {
			res.Body.Close()
		}
	}()
	<-h.toy.entered
	if err := h.stop(); err == nil || !strings.Contains(err.Error(), "cut off after 1ms") {
		t.Errorf("drain said %v", err)
	}
	<-seen
	<-ended
	mu.Lock()
	defer mu.Unlock()
	if status != statusGone {
		t.Errorf("observed %d", status)
	}
}

func TestNewRefuses(t *testing.T) {
	y := (&toy{}).service()
	twice := *y
	twice.Ops = append(twice.Ops, y.Ops[0])
	both := *y
	both.Later = map[string]string{"Echo": "later"}
	type bad struct{ C chan int }
	for name, cfg := range map[string]Config{
		"twice":      {Services: []*Service{&twice}},
		"both":       {Services: []*Service{&both}},
		"shape":      {Services: []*Service{{Ops: []Op{Handle("X", func(context.Context, *Call, *bad) (*nothing, error) { return nil, nil })}}}},
		"no look-up": {Auth: Auth{Mode: Verify}},
	} {
		if _, err := New(cfg); err == nil {
			t.Errorf("%s: taken", name)
		}
	}
}

// pipes is a listener whose connections are in memory, so that time in a
// bubble passes for them.
type pipes struct {
	conns chan net.Conn
	once  sync.Once
	done  chan struct{}
}

func (p *pipes) Accept() (net.Conn, error) {
	select {
	case c := <-p.conns:
		return c, nil
	case <-p.done:
		return nil, net.ErrClosed
	}
}
func (p *pipes) Close() error   { p.once.Do(func() { close(p.done) }); return nil }
func (p *pipes) Addr() net.Addr { return &net.TCPAddr{} }

// Whoever dawdles before a request is whole is hung up on: with nothing sent,
// with half a preface, half a header, half a handshake; and within two minutes
// with half a body.
func TestDawdlers(t *testing.T) {
	for name, k := range map[string]struct {
		send string
		want time.Duration
	}{
		"nothing":   {"", headerTimeout},
		"preface":   {"PRI * HT", headerTimeout},
		"header":    {"POST / HTTP/1.1\r\nHost: x\r\nX-", headerTimeout},
		"handshake": {"\x16\x03\x01\x02\x00\x01\x00\x01", headerTimeout},
		"body":      {"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\n123", bodyTimeout},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				config, _, err := SelfSigned(vfs.NewMem(1<<20), "tls", time.Now(), nil)
				if err != nil {
					t.Fatal(err)
				}
				l := &pipes{conns: make(chan net.Conn), done: make(chan struct{})}
				g, err := New(Config{Listener: l, TLS: config})
				if err != nil {
					t.Fatal(err)
				}
				ctx, cancel := context.WithCancel(t.Context())
				done := make(chan error, 1)
				go func() { done <- g.Run(ctx) }()
				mine, theirs := net.Pipe()
				l.conns <- theirs
				began := time.Now()
				go io.WriteString(mine, k.send)
				io.Copy(io.Discard, mine)
				if took := time.Since(began); took < k.want || took > k.want+time.Second {
					t.Errorf("hung up after %s, want %s", took, k.want)
				}
				mine.Close()
				cancel()
				if err := <-done; err != nil {
					t.Error(err)
				}
			})
		})
	}
}

// The certificate stays, is renewed in time or for a new name, and its
// authority outlives it.
func TestSelfSigned(t *testing.T) {
	fsys := vfs.NewMem(1 << 20)
	now := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	serial := func(now time.Time, hosts ...string) string {
		c, _, err := SelfSigned(fsys, "data/tls", now, hosts)
		if err != nil {
			t.Fatal(err)
		}
		leaf := c.Certificates[0].Leaf
		for _, name := range append([]string{"localhost", "127.0.0.1", "::1"}, hosts...) {
			if err := leaf.VerifyHostname(name); err != nil {
				t.Error(err)
			}
		}
		return leaf.SerialNumber.String()
	}
	one := serial(now, "box")
	ca := contents(t, fsys, "data/tls/ca.pem")
	if serial(now.AddDate(0, 6, 0), "box") != one {
		t.Error("made anew without need")
	}
	if serial(now.AddDate(1, 0, 20), "box") == one {
		t.Error("not renewed before its end")
	}
	if two := serial(now, "box"); serial(now, "other.example") == two {
		t.Error("not renewed for another name")
	}
	if !bytes.Equal(contents(t, fsys, "data/tls/ca.pem"), ca) {
		t.Error("the authority changed")
	}
	serial(now.AddDate(9, 6, 0))
	if bytes.Equal(contents(t, fsys, "data/tls/ca.pem"), ca) {
		t.Error("the authority stayed past its use")
	}
}

// Whatever arrives is answered, with both ids and a status that says
// something, and nothing is ever internal.
func FuzzDispatch(f *testing.F) {
	g, err := New(Config{Services: []*Service{(&toy{}).service()}})
	if err != nil {
		f.Fatal(err)
	}
	f.Add("POST", "/", jsonType, "Toy_20260101.Echo", anyAuth, []byte(`{"Name":"x","Data":"AAAA"}`))
	f.Add("POST", "/?X-Amz-Algorithm=AWS4-HMAC-SHA256", cborType, "Toy_20260101.Nothing", "", []byte{0xa0})
	f.Add("GET", "/healthz", "", "", "", []byte(nil))
	f.Add("POST", "/service/a/operation/b", "application/cbor", "", "", []byte{0xbf, 0xff})
	f.Add("OPTIONS", "/", "application/json", "Toy_20260101.Someday", "X", []byte("{"))
	f.Fuzz(func(t *testing.T, method, target, contentType, name, auth string, body []byte) {
		if strings.HasSuffix(name, ".Wait") || strings.HasSuffix(name, ".Broken") || strings.HasSuffix(name, ".Panics") {
			return
		}
		r, err := http.NewRequest(method, "http://h/", bytes.NewReader(body))
		if err != nil {
			return
		}
		r.RequestURI = target
		r.Header = http.Header{"Content-Type": {contentType}, "X-Amz-Target": {name}, "Authorization": {auth}, "X-Amz-Date": {"20260304T050607Z"}}
		w := httptest.NewRecorder()
		g.ServeHTTP(w, r)
		switch w.Code {
		case 200, 400, 403, 404:
		default:
			t.Errorf("status %d: %q", w.Code, w.Body)
		}
		//lint:ignore SA1008 the header is written as AWS spells it
		if len(w.Header()[headerID]) != 1 || len(w.Header()[headerID][0]) != 36 {
			t.Error("no request id")
		}
	})
}
