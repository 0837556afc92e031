package gate

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/thalweg/thalweg/fault"
	"github.com/thalweg/thalweg/gate/wire"
)

// live is a service of streams, each doing as its request says.
type live struct {
	opened  chan *Call    // told of each stream that is open
	release chan struct{} // Wait goes on when it receives
	ended   chan error    // what a stream's operation returned
	seen    chan int      // statuses observed
}

type liveIn struct {
	Do    string `aws:"min=1"`
	Count int64
	Size  int64
}

func newLive() *live {
	return &live{make(chan *Call, 4000), make(chan struct{}), make(chan error, 4000), make(chan int, 4000)}
}

func (l *live) config(c *Config) {
	c.Services = append(c.Services, &Service{Name: "live", Target: "Live",
		Ops: []Op{HandleStream("Go", func(ctx context.Context, c *Call, in *liveIn, flow *Flow) error {
			err := l.serve(ctx, c, in, flow)
			l.ended <- err
			return err
		})},
		Exception: func(f *fault.Error) (string, int) {
			if f.Kind == fault.NotFound {
				return "ResourceNotFoundException", 400
			}
			return f.Code, 503
		}})
	c.Observe = func(_, _ string, status int, _ time.Duration) { l.seen <- status }
}

func (l *live) serve(ctx context.Context, c *Call, in *liveIn, flow *Flow) error {
	switch in.Do {
	case "refuse":
		return fault.New(fault.NotFound, "no such thing")
	case "nothing":
		return nil
	case "early":
		return flow.Send(nil)
	case "linger":
		l.opened <- c
		<-ctx.Done()
		return ctx.Err()
	}
	if err := flow.Open(); err != nil {
		return err
	}
	l.opened <- c
	switch in.Do {
	case "idle":
		<-ctx.Done()
		return ctx.Err()
	case "fault":
		return fault.New(fault.NotFound, "it went away")
	case "broken":
		return errors.New("the disk said a secret thing")
	case "panic":
		panic("oh")
	case "wait":
		<-l.release
	case "late":
		time.Sleep(6 * time.Minute) // of a bubble
	}
	for i := int64(0); i < in.Count || in.Count < 0; i++ {
		payload := bytes.Repeat([]byte{byte(i)}, int(in.Size))
		message, err := wire.AppendEvent(nil, "Tick", c.Format.ContentType(), payload)
		if err == nil {
			err = flow.Send(message)
		}
		if err != nil {
			return err
		}
		if in.Do == "ticks" {
			select {
			case <-ctx.Done():
				return ctx.Err()
			case <-time.After(5 * time.Second):
			}
		}
	}
	return nil
}

func liveRequest(t testing.TB, f wire.Format, in liveIn) *http.Request {
	shape, err := wire.Compile(typeOf[liveIn]())
	if err != nil {
		t.Fatal(err)
	}
	body, err := shape.Append(nil, f, &in)
	if err != nil {
		t.Fatal(err)
	}
	return request("POST", "/", string(body), "Content-Type", f.ContentType(), "X-Amz-Target", "Live.Go",
		"Authorization", strings.Replace(anyAuth, "/toy/", "/live/", 1), "X-Amz-Date", "20260304T050607Z")
}

// open starts a stream and reads its initial response, which comes before
// anything else happens (clients.md 0.3: flushed at once with the headers).
func open(t testing.TB, c *http.Client, f wire.Format, in liveIn) (*http.Response, *wire.Decoder) {
	t.Helper()
	res, err := c.Do(liveRequest(t, f, in))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { res.Body.Close() })
	if res.StatusCode != 200 || res.Header.Get("Content-Type") != "application/vnd.amazon.eventstream" || len(res.Header.Get("x-amzn-RequestId")) != 36 || res.ContentLength != -1 {
		t.Fatalf("%d %v", res.StatusCode, res.Header)
	}
	d := wire.NewDecoder(res.Body)
	m, err := d.Next()
	want := map[wire.Format]string{wire.JSON: "{}", wire.CBOR: "\xa0"}[f]
	if err != nil || m.Type != "initial-response" || m.Exception || m.ContentType != f.ContentType() || string(m.Payload) != want {
		t.Fatalf("first %+v, %v", m, err)
	}
	return res, d
}

func TestStream(t *testing.T) {
	l := newLive()
	h := start(t, l.config)
	for _, way := range ways {
		for _, f := range []wire.Format{wire.JSON, wire.CBOR} {
			t.Run(way+" "+f.String(), func(t *testing.T) {
				c := h.client(t, way)
				for range 2 { // the second time on the same connection
					for _, size := range []int64{0, 100, small + 1, piece, 3 << 20} {
						_, d := open(t, c, f, liveIn{Do: "wait", Count: 3, Size: size})
						if call := <-l.opened; call.Body != nil || call.Account != "123456789012" || call.Format != f {
							t.Errorf("call %+v", call)
						}
						l.release <- struct{}{}
						for i := range 3 {
							m, err := d.Next()
							if err != nil || m.Exception || m.Type != "Tick" || m.ContentType != f.ContentType() || int64(len(m.Payload)) != size || size > 0 && m.Payload[size-1] != byte(i) {
								t.Fatalf("event %d: %s, %d bytes, %v", i, m.Type, len(m.Payload), err)
							}
						}
						if _, err := d.Next(); err != io.EOF {
							t.Errorf("end: %v", err)
						}
						if status := <-l.seen; status != 200 {
							t.Errorf("observed %d", status)
						}
						<-l.ended
					}
				}
			})
		}
	}
}

// What is wrong before the stream is open is an ordinary answer; after that it
// is the stream's last message.
func TestStreamErrors(t *testing.T) {
	l := newLive()
	h := start(t, l.config)
	for _, way := range ways {
		c := h.client(t, way)
		for in, k := range map[string]struct {
			status int
			want   string
		}{
			"refuse":  {400, `{"__type":"ResourceNotFoundException","message":"no such thing"}`},
			"nothing": {500, `{"__type":"InternalFailure"}`},
			"early":   {500, `{"__type":"InternalFailure"}`},
			"":        {503, ``},
		} {
			res, got := do(t, c, liveRequest(t, wire.JSON, liveIn{Do: in}))
			if res.StatusCode != k.status || k.want != "" && got != k.want || res.Header.Get("Content-Type") != jsonType {
				t.Errorf("%s: %s: %d %s", way, in, res.StatusCode, got)
			}
			if status := <-l.seen; status != k.status {
				t.Errorf("%s: %s: observed %d", way, in, status)
			}
		}
		for in, k := range map[string]struct {
			status    int
			name      string
			json, bor string
		}{
			"fault":  {400, "ResourceNotFoundException", `{"message":"it went away"}`, "\xa1\x67message\x6cit went away"},
			"broken": {500, "InternalFailure", `{"message":""}`, "\xa1\x67message\x60"},
			"panic":  {500, "InternalFailure", `{"message":""}`, "\xa1\x67message\x60"},
		} {
			for f, want := range map[wire.Format]string{wire.JSON: k.json, wire.CBOR: k.bor} {
				_, d := open(t, c, f, liveIn{Do: in})
				m, err := d.Next()
				if err != nil || !m.Exception || m.Type != k.name || m.ContentType != f.ContentType() || string(m.Payload) != want {
					t.Errorf("%s: %s: %+v %q %v", way, in, m, m.Payload, err)
				}
				if _, err := d.Next(); err != io.EOF {
					t.Errorf("%s: %s: end: %v", way, in, err)
				}
				if status := <-l.seen; status != k.status {
					t.Errorf("%s: %s: observed %d", way, in, status)
				}
			}
		}
	}
}

// A reader that leaves ends its stream's context.
func TestStreamAbort(t *testing.T) {
	l := newLive()
	h := start(t, l.config)
	for _, way := range ways {
		res, _ := open(t, h.client(t, way), wire.JSON, liveIn{Do: "idle"})
		<-l.opened
		res.Body.Close()
		if err := <-l.ended; !errors.Is(err, context.Canceled) {
			t.Errorf("%s: ended with %v", way, err)
		}
		if status := <-l.seen; status != statusGone {
			t.Errorf("%s: observed %d", way, status)
		}
	}
}

// A reader that stops reading is cut off, while others on its connection and
// slow ones go on.
func TestStreamStalled(t *testing.T) {
	l := newLive()
	h := start(t, func(c *Config) { l.config(c); c.Stall = 300 * time.Millisecond })
	for _, way := range ways {
		c := h.client(t, way)
		open(t, c, wire.JSON, liveIn{Do: "endless", Count: -1, Size: 1 << 20})
		if strings.Contains(way, "h2") {
			if res, got := do(t, c, liveRequest(t, wire.JSON, liveIn{Do: "refuse"})); res.StatusCode != 400 {
				t.Errorf("%s: beside it: %d %s", way, res.StatusCode, got)
			}
			if status := <-l.seen; status != 400 {
				t.Errorf("%s: observed beside it %d", way, status)
			}
			<-l.ended
		}
		if err := <-l.ended; err == nil || !strings.HasPrefix(err.Error(), "send to the reader of a stream: ") {
			t.Errorf("%s: ended with %v", way, err)
		}
		if status := <-l.seen; status != statusGone {
			t.Errorf("%s: observed %d", way, status)
		}
	}
}

// stuck is a connection whose reader stops at will.
type stuck struct {
	net.Conn
	stop, done chan struct{}
}

func (s *stuck) Read(p []byte) (int, error) {
	select {
	case <-s.stop:
		<-s.done
		return 0, io.EOF
	default:
		return s.Conn.Read(p)
	}
}

// Where nothing at all is read from an HTTP/2 connection no stream can be
// reset on it, so the connection is cut off, with all its streams.
func TestStalledConnection(t *testing.T) {
	l := newLive()
	h := start(t, func(c *Config) { l.config(c); c.Stall = 300 * time.Millisecond })
	for _, way := range []string{"h2c", "TLS h2 without ALPN"} {
		c := h.client(t, way)
		tr := c.Transport.(base).rt.(*http.Transport)
		dial := tr.DialContext
		if dial == nil {
			dial = new(net.Dialer).DialContext
		}
		s := &stuck{stop: make(chan struct{}), done: make(chan struct{})}
		tr.DialContext = func(ctx context.Context, network, addr string) (net.Conn, error) {
			conn, err := dial(ctx, network, addr)
			s.Conn = conn
			return s, err
		}
		const streams = 8 // their windows together are more than the system buffers
		for range streams {
			open(t, c, wire.JSON, liveIn{Do: "wait", Count: -1, Size: 1 << 20})
		}
		close(s.stop)
		for range streams {
			l.release <- struct{}{}
		}
		for range streams {
			if err := <-l.ended; err == nil {
				t.Errorf("%s: ended well", way)
			}
			if status := <-l.seen; status != statusGone {
				t.Errorf("%s: observed %d", way, status)
			}
		}
		close(s.done)
	}
}

// The drain ends streams at once and cleanly: those that wait, and those whose
// reader is in the way.
func TestStreamDrain(t *testing.T) {
	for _, way := range ways {
		t.Run(way, func(t *testing.T) {
			t.Parallel()
			l := newLive()
			h := start(t, func(c *Config) { l.config(c); c.Drain, c.Stall = time.Minute, time.Minute })
			c := h.client(t, way)
			_, idle := open(t, c, wire.JSON, liveIn{Do: "idle"})
			open(t, c, wire.JSON, liveIn{Do: "endless", Count: -1, Size: 1 << 20})
			refused := make(chan string)
			go func() {
				_, body := do(t, c, liveRequest(t, wire.JSON, liveIn{Do: "linger"}))
				refused <- body
			}()
			for range 3 {
				<-l.opened
			}
			began := time.Now()
			stopped := make(chan error, 1)
			go func() { stopped <- h.stop() }()
			if _, err := idle.Next(); err != io.EOF {
				t.Errorf("the one that waits ends with %v", err)
			}
			if got := <-refused; !strings.Contains(got, "The server is stopping.") {
				t.Errorf("the one to be: %s", got)
			}
			if err := <-stopped; err != nil {
				t.Error(err)
			}
			if took := time.Since(began); took > 20*time.Second {
				t.Errorf("took %s", took)
			}
		})
	}
}

// A session of minutes, with an event every five seconds (clients.md 0.3) or
// with none for long, outlives every deadline of requests and of earlier
// writes, ends cleanly, and leaves its connection to the next request.
func TestStreamSession(t *testing.T) {
	for _, way := range []string{"http/1.1", "h2c"} {
		t.Run(way, func(t *testing.T) { synctest.Test(t, func(t *testing.T) { testSession(t, way) }) })
	}
}

func testSession(t *testing.T, way string) {
	l := newLive()
	pipe := &pipes{conns: make(chan net.Conn), done: make(chan struct{})}
	cfg := Config{Listener: pipe}
	l.config(&cfg)
	g, err := New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- g.Run(ctx) }()
	c := (&house{Gate: g, addr: "gate"}).client(t, way)
	tr := c.Transport.(base).rt.(*http.Transport)
	dials := 0
	tr.DialContext = func(context.Context, string, string) (net.Conn, error) {
		dials++
		mine, theirs := net.Pipe()
		pipe.conns <- theirs
		return mine, nil
	}
	for in, events := range map[liveIn]int{{Do: "ticks", Count: 72, Size: 10}: 72, {Do: "late", Count: 1}: 1} {
		began := time.Now()
		_, d := open(t, c, wire.JSON, in)
		n := 0
		for ; ; n++ {
			if _, err := d.Next(); err != nil {
				if err != io.EOF {
					t.Error(in.Do, err)
				}
				break
			}
		}
		if took := time.Since(began); n != events || took != 6*time.Minute {
			t.Errorf("%s: %d events in %s", in.Do, n, took)
		}
		time.Sleep(2 * time.Minute) // past the last write's deadline
	}
	if dials != 1 {
		t.Errorf("%d connections", dials)
	}
	tr.CloseIdleConnections()
	cancel()
	if err := <-done; err != nil {
		t.Error(err)
	}
}

func TestStreamOpsRefused(t *testing.T) {
	serve := func(context.Context, *Call, []byte) ([]byte, error) { return nil, nil }
	stream := func(context.Context, *Call, *Flow) error { return nil }
	type bad struct{ C chan int }
	for name, op := range map[string]Op{
		"neither": {Name: "X"},
		"both":    {Name: "X", Serve: serve, Stream: stream},
		"shape":   HandleStream("X", func(context.Context, *Call, *bad, *Flow) error { return nil }),
	} {
		if _, err := New(Config{Services: []*Service{{Ops: []Op{op}}}}); err == nil {
			t.Error(fmt.Sprint(name, ": taken"))
		}
	}
}
