package gate

import (
	"bufio"
	"bytes"
	"context"
	"io"
	"net"
	"net/http"
	"reflect"
	"strconv"
	"strings"
	"testing"
	"testing/iotest"
)

// laneGate knows one operation that echoes its body and one that streams.
func laneGate(t testing.TB) *Gate {
	g, err := New(Config{Services: []*Service{{Name: "toy", Target: "Toy", Ops: []Op{
		{Name: "Echo", Serve: func(_ context.Context, c *Call, dst []byte) ([]byte, error) { return append(dst, c.Body...), nil }},
		{Name: "Live", Stream: func(context.Context, *Call, *Flow) error { return nil }},
	}}}, Auth: Auth{Mode: None}})
	if err != nil {
		t.Fatal(err)
	}
	return g
}

// oneWay is a connection that holds what is read and keeps what is written.
type oneWay struct {
	net.Conn
	io.Reader
	bytes.Buffer
}

func (c *oneWay) Read(p []byte) (int, error)  { return c.Reader.Read(p) }
func (c *oneWay) Write(p []byte) (int, error) { return c.Buffer.Write(p) }

func call(target, body string, more ...string) string {
	return "POST / HTTP/1.1\r\nHost: gate\r\nX-Amz-Target: " + target + "\r\nContent-Type: application/x-amz-json-1.1\r\n" +
		strings.Join(more, "") + "Content-Length: " + strconv.Itoa(len(body)) + "\r\n\r\n" + body
}

// laneOver serves what r holds and returns the bodies of the answers, and what
// net/http would have been left.
func laneOver(t *testing.T, g *Gate, r io.Reader) (bodies []string, other bool, rest string) {
	t.Helper()
	near, far := net.Pipe() // for the deadlines alone
	defer near.Close()
	defer far.Close()
	c := &oneWay{Conn: near, Reader: r}
	l := &lane{g: g, conn: c, buf: make([]byte, laneBuffer)}
	other = l.serve(t.Context())
	answers := bufio.NewReader(&c.Buffer)
	for {
		res, err := http.ReadResponse(answers, nil)
		if err != nil {
			break
		}
		b, err := io.ReadAll(res.Body)
		if err != nil || res.Header.Get("Date") == "" || res.Header.Get("X-Amzn-Requestid") == "" {
			t.Fatalf("answer %v %v: %v", res.Status, res.Header, err)
		}
		bodies = append(bodies, string(b))
	}
	return bodies, other, string(l.buf[l.from:l.to])
}

// Requests may come in any pieces and several at once; the first that is not
// plain is left, whole, to net/http.
func TestLane(t *testing.T) {
	g := laneGate(t)
	large := `"` + strings.Repeat("x", 100<<10) + `"`
	for _, c := range []struct {
		name, in string
		bodies   []string
		rest     string // for net/http
	}{
		{"nothing", "", nil, ""},
		{"one", call("Toy.Echo", `{"a":1}`), []string{`{"a":1}`}, ""},
		{"three at once", call("Toy.Echo", `1`) + call("Toy.Echo", large) + call("Toy.Echo", `3`), []string{`1`, large, `3`}, ""},
		{"keep-alive", call("Toy.Echo", `1`, "Connection: Keep-Alive\r\n"), []string{`1`}, ""},
		{"cut in its header", call("Toy.Echo", `1`) + "POST / HTTP/1.1\r\nHo", []string{`1`}, ""},
		{"TLS", "\x16\x03\x01", nil, "\x16\x03\x01"},
		{"HTTP/2", "PRI * HTTP/2.0\r\n\r\n", nil, "PRI * HTTP/2.0\r\n\r\n"},
		{"a stream, later", call("Toy.Echo", `1`) + call("Toy.Live", `2`), []string{`1`}, call("Toy.Live", `2`)},
		{"no operation", call("Toy.None", `2`), nil, call("Toy.None", `2`)},
		{"to be closed", call("Toy.Echo", `2`, "Connection: close\r\n"), nil, call("Toy.Echo", `2`, "Connection: close\r\n")},
		{"chunks", call("Toy.Echo", ``, "Transfer-Encoding: chunked\r\n"), nil, call("Toy.Echo", ``, "Transfer-Encoding: chunked\r\n")},
		{"expects", call("Toy.Echo", `2`, "Expect: 100-continue\r\n"), nil, call("Toy.Echo", `2`, "Expect: 100-continue\r\n")},
		{"a browser", call("Toy.Echo", `2`, "Origin: http://x\r\n"), nil, call("Toy.Echo", `2`, "Origin: http://x\r\n")},
		{"two lengths", call("Toy.Echo", `2`, "Content-Length: 2\r\n"), nil, call("Toy.Echo", `2`, "Content-Length: 2\r\n")},
		{"a folded line", call("Toy.Echo", `2`, "A: b\r\n c\r\n"), nil, call("Toy.Echo", `2`, "A: b\r\n c\r\n")},
		{"a bare line end", call("Toy.Echo", `2`, "A: b\nC: d\r\n"), nil, call("Toy.Echo", `2`, "A: b\nC: d\r\n")},
	} {
		t.Run(c.name, func(t *testing.T) {
			for name, r := range map[string]io.Reader{"whole": strings.NewReader(c.in), "by the byte": iotest.OneByteReader(strings.NewReader(c.in))} {
				bodies, other, rest := laneOver(t, g, r)
				if !reflect.DeepEqual(bodies, c.bodies) {
					t.Errorf("%s: answers %.100q, want %.100q", name, bodies, c.bodies)
				}
				if other != (c.rest != "") || other && (rest == "" || !strings.HasPrefix(c.rest, rest)) {
					t.Errorf("%s: goes to net/http: %v, with %q", name, other, rest)
				}
			}
		})
	}
}

// A header that never ends is net/http's to refuse, and so is one with more
// fields than are looked at.
func TestLaneBounds(t *testing.T) {
	g := laneGate(t)
	for _, in := range []string{
		call("Toy.Echo", `1`, "A: "+strings.Repeat("x", laneBuffer)+"\r\n"),
		call("Toy.Echo", `1`, func() (s string) {
			for i := range maxHeaders {
				s += "A" + strconv.Itoa(i) + ": b\r\n"
			}
			return s
		}()),
	} {
		if bodies, other, _ := laneOver(t, g, strings.NewReader(in)); bodies != nil || !other {
			t.Errorf("%.60q: %q %v", in, bodies, other)
		}
	}
}

// What a lane takes, net/http takes, and understands the same of it. Request
// smuggling lives where two readers of one header differ.
func FuzzLane(f *testing.F) {
	for _, more := range []string{"", "a: b\r\n", "Pragma: no-cache\r\n", "Connection: keep-alive\r\n", "X-amz-target: Toy.Echo\r\n", "A:\r\n", "A : b\r\n", " A: b\r\n", "Content-Length: +1\r\n"} {
		f.Add([]byte(call("Toy.Echo", "{}", more)))
	}
	g := laneGate(f)
	f.Fuzz(func(t *testing.T, raw []byte) {
		at := bytes.Index(raw, []byte("\r\n\r\n"))
		if at < 0 || at > laneBuffer {
			return
		}
		l := &lane{g: g}
		l.req.Header = http.Header{}
		length, err := l.parse(raw[:at+4])
		if err != nil {
			return
		}
		want, err := http.ReadRequest(bufio.NewReader(bytes.NewReader(raw)))
		if err != nil {
			t.Fatalf("net/http refuses what was taken: %v", err)
		}
		r := &l.req
		if length != want.ContentLength || r.Host != want.Host || r.URL.Path != want.URL.Path || want.Method != http.MethodPost || want.Close ||
			len(want.TransferEncoding) > 0 || !reflect.DeepEqual(r.Header, want.Header) {
			t.Fatalf("understood %d %q %v, net/http %d %q %v", length, r.Host, r.Header, want.ContentLength, want.Host, want.Header)
		}
	})
}

// A handler keeps what it set in the header, and may change it once it has
// written: exchanges serve the next request while an answer is on its way.
func TestLaneAnswerCopiesTheHeader(t *testing.T) {
	near, far := net.Pipe()
	defer near.Close()
	defer far.Close()
	c := &oneWay{Conn: near, Reader: strings.NewReader("")}
	a := &laneAnswer{header: http.Header{}}
	a.begin(&lane{g: laneGate(t), conn: c})
	mine := []string{"first"}
	a.Header()["X-Id"] = mine
	a.Header()["X-Bad"] = []string{"a\r\nb"}
	a.WriteHeader(http.StatusTeapot)
	mine[0] = "next"
	io.WriteString(a, "body")
	if !a.finish() {
		t.Fatal(a.err)
	}
	res, err := http.ReadResponse(bufio.NewReader(&c.Buffer), nil)
	if err != nil || res.StatusCode != http.StatusTeapot || res.Header.Get("X-Id") != "first" || res.Header.Get("X-Bad") != "a  b" || res.ContentLength != 4 {
		t.Errorf("%+v %v", res, err)
	}
}
