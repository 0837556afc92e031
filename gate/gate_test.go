package gate

import (
	"bytes"
	"compress/gzip"
	"context"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"encoding/hex"
	"errors"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	v4 "github.com/aws/aws-sdk-go-v2/aws/signer/v4"
	"go.uber.org/goleak"

	"github.com/thalweg/thalweg/fault"
	"github.com/thalweg/thalweg/gate/wire"
	"github.com/thalweg/thalweg/internal/vfs"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const (
	jsonType = "application/x-amz-json-1.1"
	cborType = "application/x-amz-cbor-1.1"
	anyAuth  = "AWS4-HMAC-SHA256 Credential=123456789012/20260304/eu-west-1/toy/aws4_request, SignedHeaders=host;x-amz-date, Signature=00"
)

// The toy service: enough operations to take every path through the gate.
type (
	echoIn struct {
		Name *string `aws:"required,min=1,max=8"`
		Data []byte
	}
	echoOut struct {
		Name, Account, Region string
		Data                  []byte
	}
	nothing struct{}
)

type toy struct {
	entered chan struct{} // Wait sends when it has begun,
	release chan struct{} // and ends when it receives
}

func (y *toy) service() *Service {
	return &Service{
		Name: "toy", Target: "Toy_20260101",
		Ops: []Op{
			Handle("Echo", func(_ context.Context, c *Call, in *echoIn) (*echoOut, error) {
				return &echoOut{Name: *in.Name, Account: c.Account, Region: c.Region, Data: in.Data}, nil
			}),
			Handle("Nothing", func(context.Context, *Call, *nothing) (*nothing, error) { return &nothing{}, nil }),
			{Name: "Raw", Serve: func(_ context.Context, c *Call, dst []byte) ([]byte, error) { return append(dst, c.Body...), nil }},
			{Name: "Missing", Serve: func(_ context.Context, _ *Call, dst []byte) ([]byte, error) {
				return dst, fault.New(fault.NotFound, "no such thing")
			}},
			{Name: "Broken", Serve: func(_ context.Context, _ *Call, dst []byte) ([]byte, error) {
				return dst, errors.New("the disk said a secret thing")
			}},
			{Name: "Partly", Serve: func(_ context.Context, c *Call, dst []byte) ([]byte, error) {
				c.Resource, c.Failed = "orders", errors.New("the disk said a secret thing")
				return append(dst, "{}"...), nil
			}},
			{Name: "Full", Serve: func(_ context.Context, c *Call, dst []byte) ([]byte, error) {
				return dst, fault.New(fault.Unavailable, "the disk is full")
			}},
			{Name: "Panics", Serve: func(context.Context, *Call, []byte) ([]byte, error) { panic("oh") }},
			{Name: "Wait", Serve: func(ctx context.Context, _ *Call, dst []byte) ([]byte, error) {
				y.entered <- struct{}{}
				select {
				case <-y.release:
					return append(dst, "{}"...), nil
				case <-ctx.Done():
					return dst, ctx.Err()
				}
			}},
		},
		Later: map[string]string{"Someday": "Someday is not built yet."},
		Exception: func(f *fault.Error) (string, int) {
			if f.Kind == fault.NotFound {
				return "ResourceNotFoundException", 400
			}
			if f.Kind == fault.Constraint {
				return "ValidationException", 400
			}
			return "", 400
		},
	}
}

// house is a running gate.
type house struct {
	*Gate
	toy  *toy
	addr string
	ca   *x509.CertPool
	stop func() error // ends Run and returns what it returned
}

func start(t testing.TB, change func(*Config)) *house {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	fsys := vfs.NewMem(1 << 20)
	config, caPath, err := SelfSigned(fsys, "tls", time.Now(), nil)
	if err != nil {
		t.Fatal(err)
	}
	pool := x509.NewCertPool()
	pool.AppendCertsFromPEM(contents(t, fsys, caPath))
	y := &toy{entered: make(chan struct{}, 8), release: make(chan struct{})}
	cfg := Config{Listener: l, Services: []*Service{y.service()}, TLS: config,
		Routes: map[string]http.Handler{"/healthz": http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { io.WriteString(w, "ok\n") })}}
	if change != nil {
		change(&cfg)
	}
	g, err := New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- g.Run(ctx) }()
	h := &house{Gate: g, toy: y, addr: l.Addr().String(), ca: pool, stop: sync.OnceValue(func() error { cancel(); return <-done })}
	t.Cleanup(func() { h.stop() })
	return h
}

func contents(t testing.TB, fsys vfs.FS, name string) []byte {
	t.Helper()
	f, err := fsys.Open(name)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	size, _ := f.Size()
	b := make([]byte, size)
	if _, err := f.ReadAt(b, 0); err != nil && err != io.EOF {
		t.Fatal(err)
	}
	return b
}

// The five ways in which clients reach the port (facts: JS v3 and Java v2 by
// prior knowledge, Java v2 before 2.30 with the preface over TLS and no ALPN).
var ways = []string{"http/1.1", "h2c", "TLS http/1.1", "TLS h2", "TLS h2 without ALPN"}

func (h *house) client(t testing.TB, way string) *http.Client {
	var p http.Protocols
	tr := &http.Transport{Protocols: &p, DisableCompression: true}
	scheme := "https://"
	switch way {
	case "http/1.1":
		scheme = "http://"
		p.SetHTTP1(true)
	case "h2c":
		scheme = "http://"
		p.SetUnencryptedHTTP2(true)
	case "TLS http/1.1":
		p.SetHTTP1(true)
		tr.TLSClientConfig = &tls.Config{RootCAs: h.ca}
	case "TLS h2":
		p.SetHTTP2(true)
		tr.TLSClientConfig = &tls.Config{RootCAs: h.ca}
		tr.ForceAttemptHTTP2 = true
	case "TLS h2 without ALPN":
		// A client that writes the preface right after a handshake in which it
		// offered no protocol is one with prior knowledge over a secret pipe.
		scheme = "http://"
		p.SetUnencryptedHTTP2(true)
		tr.DialContext = func(ctx context.Context, network, addr string) (net.Conn, error) {
			c, err := (&tls.Dialer{Config: &tls.Config{RootCAs: h.ca}}).DialContext(ctx, network, addr)
			if err != nil {
				return nil, err
			}
			return struct{ net.Conn }{c}, nil
		}
	}
	t.Cleanup(tr.CloseIdleConnections)
	return &http.Client{Transport: base{scheme + h.addr, tr}}
}

// base sends requests for a bare path to a server.
type base struct {
	url string
	rt  http.RoundTripper
}

func (b base) RoundTrip(r *http.Request) (*http.Response, error) {
	r = r.Clone(r.Context())
	u, err := r.URL.Parse(b.url + r.URL.RequestURI())
	if err != nil {
		return nil, err
	}
	r.URL = u
	return b.rt.RoundTrip(r)
}

// request makes one as clients do; pairs are header names and values.
func request(method, target, body string, pairs ...string) *http.Request {
	r, err := http.NewRequest(method, "http://gate"+target, strings.NewReader(body))
	if err != nil {
		panic(err)
	}
	r.Host = ""
	for i := 0; i < len(pairs); i += 2 {
		r.Header.Set(pairs[i], pairs[i+1])
	}
	return r
}

func do(t testing.TB, c *http.Client, r *http.Request) (*http.Response, string) {
	t.Helper()
	res, err := c.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	b, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	return res, string(b)
}

func TestWays(t *testing.T) {
	h := start(t, nil)
	shape, err := wire.Compile(typeOf[echoIn]())
	if err != nil {
		t.Fatal(err)
	}
	answer, err := wire.Compile(typeOf[echoOut]())
	if err != nil {
		t.Fatal(err)
	}
	for _, way := range ways {
		for _, f := range []wire.Format{wire.JSON, wire.CBOR} {
			t.Run(way+" "+f.String(), func(t *testing.T) {
				c := h.client(t, way)
				// CBOR answers cut at 16 KiB were seen in a peer: take far more.
				for _, n := range []int{0, 1, 5_000, 3 << 20} {
					in := echoIn{Name: new("orders"), Data: bytes.Repeat([]byte{0xfe}, n)}
					body, err := shape.Append(nil, f, &in)
					if err != nil {
						t.Fatal(err)
					}
					res, text := do(t, c, request("POST", "/", string(body), "Content-Type", f.ContentType(),
						"X-Amz-Target", "Toy_20260101.Echo", "Authorization", anyAuth, "X-Amz-Date", "20260304T050607Z"))
					var out echoOut
					if err := answer.Decode(f, []byte(text), &out); err != nil || res.StatusCode != 200 {
						t.Fatalf("%d %v: %.200q", res.StatusCode, err, text)
					}
					if out.Name != "orders" || out.Account != "123456789012" || out.Region != "eu-west-1" || !bytes.Equal(out.Data, in.Data) {
						t.Errorf("%d bytes: wrong answer from %s %s", n, out.Account, out.Region)
					}
					if want := map[bool]int{true: 2, false: 1}[strings.Contains(way, "h2")]; res.ProtoMajor != want {
						t.Errorf("spoke %s", res.Proto)
					}
					wantHeaders(t, res, f.ContentType(), len(text))
				}
			})
		}
	}
}

// Every answer has both ids, and the length of its body
// (kinesalite's test/connection.js asserts these shapes against AWS).
func wantHeaders(t *testing.T, res *http.Response, contentType string, length int) {
	t.Helper()
	if id := res.Header.Get("x-amzn-RequestId"); len(id) != 36 || strings.Count(id, "-") != 4 || id[14] != '4' {
		t.Errorf("request id %q", id)
	}
	if id := res.Header.Get("x-amz-id-2"); len(id) != 96 {
		t.Errorf("extended id %q", id)
	}
	if got := res.Header.Get("Content-Type"); got != contentType {
		t.Errorf("content type %q, want %q", got, contentType)
	}
	if res.ContentLength != int64(length) {
		t.Errorf("content length %d, want %d", res.ContentLength, length)
	}
	if res.Header.Get("Date") == "" {
		t.Error("no date")
	}
}

func TestErrors(t *testing.T) {
	const (
		echo     = "Toy_20260101.Echo"
		cborType = "application/x-amz-cbor-1.1"
		denied   = "<AccessDeniedException>\n  <Message>Unable to determine service/operation name to be authorized</Message>\n</AccessDeniedException>\n"
	)
	// A CBOR error with a name and nothing else.
	named := func(name string) string { return string(wire.AppendError(nil, wire.CBOR, name, "")) }
	h := start(t, func(c *Config) { c.MaxBody = 1000 })
	c := h.client(t, "http/1.1")
	for _, k := range []struct {
		name, method, path, contentType, target, auth, body string
		status                                              int
		wantType, want                                      string
	}{
		{name: "GET", method: "GET", status: 403, want: denied},
		{name: "PUT", method: "PUT", status: 403, want: denied},
		{name: "DELETE", method: "DELETE", status: 403, want: denied},
		{name: "OPTIONS without Origin", method: "OPTIONS", status: 403, want: denied},
		{name: "no body", status: 400, wantType: cborType, want: named("UnknownOperationException")},
		{name: "no body, JSON 1.0", contentType: "application/x-amz-json-1.0", status: 400, wantType: cborType, want: named("UnknownOperationException")},
		{name: "no body, odd target", target: "Toy_20260101.", status: 400, wantType: cborType, want: named("UnknownOperationException")},
		{name: "no body, target", target: echo, status: 400, wantType: cborType, want: named("SerializationException")},
		{name: "no body, plain JSON", contentType: "application/json", target: echo, status: 400, wantType: cborType, want: named("SerializationException")},
		{name: "no body, JSON", contentType: jsonType, status: 400, wantType: jsonType, want: `{"__type":"UnknownOperationException"}`},
		{name: "no body, JSON, target", contentType: jsonType, target: echo, status: 400, wantType: jsonType, want: `{"__type":"SerializationException"}`},
		{name: "no content type", body: "{}", status: 403, want: denied},
		{name: "no content type, target", body: "{}", target: echo, status: 404, want: "<UnknownOperationException/>\n"},
		{name: "JSON 1.0", contentType: "application/x-amz-json-1.0", body: "{}", target: echo, status: 404, want: "<UnknownOperationException/>\n"},
		{name: "plain JSON", contentType: "application/json", body: "{}", target: echo, status: 404, wantType: "application/json",
			want: `{"Output":{"__type":"com.amazon.coral.service#UnknownOperationException"},"Version":"1.0"}`},
		{name: "plain JSON that is none", contentType: "     application/json     ;", body: "hello", target: echo, status: 400, wantType: "application/json",
			want: `{"Output":{"__type":"com.amazon.coral.service#SerializationException"},"Version":"1.0"}`},
		{name: "not JSON, no auth", contentType: jsonType, body: "hello", target: echo, status: 400, wantType: jsonType, want: `{"__type":"SerializationException"}`},
		{name: "not JSON, no target", contentType: jsonType, body: "true", status: 400, wantType: jsonType, want: `{"__type":"SerializationException"}`},
		{name: "unknown target", contentType: jsonType, body: "{}", target: "Toy_20260101.Nope", status: 400, wantType: jsonType, want: `{"__type":"UnknownOperationException"}`},
		{name: "operation to come", contentType: jsonType, body: "{}", target: "Toy_20260101.Someday", status: 400, wantType: jsonType,
			want: `{"__type":"UnknownOperationException","message":"Someday is not built yet."}`},
		{name: "no auth", contentType: "   application/x-amz-json-1.1   ;whatever", body: "{}", target: echo, status: 400, wantType: jsonType,
			want: `{"__type":"MissingAuthenticationTokenException","message":"Missing Authentication Token"}`},
		{name: "poor auth", contentType: jsonType, body: "{}", target: echo, auth: "X", status: 400, wantType: jsonType,
			want: `{"__type":"IncompleteSignatureException","message":"Authorization header requires 'Credential' parameter. ` +
				`Authorization header requires 'Signature' parameter. Authorization header requires 'SignedHeaders' parameter. ` +
				`Authorization header requires existence of either a 'X-Amz-Date' or a 'Date' header. Authorization=X"}`},
		{name: "auth twice", path: "/?X-Amz-Algorithm", contentType: jsonType, body: "{}", target: echo, auth: "X", status: 400, wantType: jsonType,
			want: `{"__type":"InvalidSignatureException","message":"Found both 'X-Amz-Algorithm' as a query-string param and 'Authorization' as HTTP header."}`},
		{name: "constraint", contentType: jsonType, body: `{"Name":""}`, target: echo, auth: anyAuth, status: 400, wantType: jsonType,
			want: `{"__type":"ValidationException","message":"1 validation error detected: Value '' at 'name' failed to satisfy constraint: Member must have length greater than or equal to 1"}`},
		{name: "not found", contentType: jsonType, body: `{}`, target: "Toy_20260101.Missing", auth: anyAuth, status: 400, wantType: jsonType,
			want: `{"__type":"ResourceNotFoundException","message":"no such thing"}`},
		{name: "broken", contentType: jsonType, body: `{}`, target: "Toy_20260101.Broken", auth: anyAuth, status: 500, wantType: jsonType, want: `{"__type":"InternalFailure"}`},
		{name: "panics", contentType: jsonType, body: `{}`, target: "Toy_20260101.Panics", auth: anyAuth, status: 500, wantType: jsonType, want: `{"__type":"InternalFailure"}`},
		{name: "nothing", contentType: jsonType, body: `{}`, target: "Toy_20260101.Nothing", auth: anyAuth, status: 200, wantType: jsonType},
		{name: "nothing, CBOR", contentType: cborType, body: "\xa0", target: "Toy_20260101.Nothing", auth: anyAuth, status: 200, wantType: cborType},
		{name: "too large", contentType: jsonType, body: strings.Repeat(" ", 1001), target: echo, auth: anyAuth, status: 413, wantType: jsonType,
			want: `{"__type":"RequestEntityTooLargeException","message":"The request body is larger than this server reads."}`},
		{name: "smithy", path: "/service/Toy_20260101/operation/Echo", contentType: "application/cbor", body: "\xa0", status: 400, wantType: "application/cbor",
			want: string(wire.AppendError(nil, wire.CBOR, "UnknownOperationException",
				"No service here speaks rpc-v2-cbor (/service/Toy_20260101/operation/Echo): use AWS JSON 1.1 or CBOR 1.1 with X-Amz-Target."))},
	} {
		t.Run(k.name, func(t *testing.T) {
			if k.method == "" {
				k.method = "POST"
			}
			if k.path == "" {
				k.path = "/"
			}
			r := request(k.method, k.path, k.body)
			for name, value := range map[string]string{"Content-Type": k.contentType, "X-Amz-Target": k.target, "Authorization": k.auth} {
				if value != "" {
					r.Header.Set(name, value)
				}
			}
			if k.auth == anyAuth {
				r.Header.Set("X-Amz-Date", "20260304T050607Z")
			}
			res, got := do(t, c, r)
			if res.StatusCode != k.status || got != k.want {
				t.Errorf("got  %d %q\nwant %d %q", res.StatusCode, got, k.status, k.want)
			}
			wantHeaders(t, res, k.wantType, len(k.want))
		})
	}
}

func TestUnsizedBody(t *testing.T) {
	h := start(t, func(c *Config) { c.MaxBody = 3 << 20 })
	for _, way := range ways {
		c := h.client(t, way)
		for _, n := range []int{10, small, small + 1, middle + 5, 3 << 20} {
			r := request("POST", "/", "", "Content-Type", jsonType, "X-Amz-Target", "Toy_20260101.Raw", "Authorization", anyAuth, "X-Amz-Date", "20260304T050607Z")
			body := strings.Repeat("x", n)
			r.Body, r.ContentLength = io.NopCloser(strings.NewReader(body)), -1
			if res, got := do(t, c, r); res.StatusCode != 200 || got != body {
				t.Errorf("%s: %d bytes: %d, %d back", way, n, res.StatusCode, len(got))
			}
		}
	}
	c := h.client(t, "http/1.1")
	r := request("POST", "/", "", "Content-Type", jsonType, "X-Amz-Target", "Toy_20260101.Raw")
	r.Body, r.ContentLength = io.NopCloser(strings.NewReader(strings.Repeat("x", 3<<20+1))), -1
	if res, _ := do(t, c, r); res.StatusCode != 413 {
		t.Errorf("unsized and too large: %d", res.StatusCode)
	}
}

// AWS's SDKs compress large requests to CloudWatch, by gzip. The signature is
// of what was sent.
func TestCompressedBody(t *testing.T) {
	h := start(t, func(c *Config) { c.MaxBody = 3 << 20 })
	c := h.client(t, "http/1.1")
	plain := strings.Repeat(`{"Name":"x"}`, 10_000)
	for _, test := range []struct {
		name, encoding, body string
		status               int
		want                 string
	}{
		{"gzip", "gzip", gzipped(plain), 200, plain},
		{"nothing, by that name", "identity", plain, 200, plain},
		{"as large as may be", "gzip", gzipped(strings.Repeat("x", 3<<20)), 200, strings.Repeat("x", 3<<20)},
		{"a bomb", "gzip", gzipped(strings.Repeat("x", 3<<20+1)), 413, "larger than this server reads"},
		{"not gzip", "gzip", plain, 400, "The request body is not in gzip"},
		{"cut off", "gzip", gzipped(plain)[:20], 400, "The request body is not in gzip"},
		{"another encoding", "br", plain, 400, "Content-Encoding 'br' is not supported here"},
	} {
		r := request("POST", "/", test.body, "Content-Type", jsonType, "X-Amz-Target", "Toy_20260101.Raw", "Content-Encoding", test.encoding,
			"Authorization", anyAuth, "X-Amz-Date", "20260304T050607Z")
		if res, got := do(t, c, r); res.StatusCode != test.status || !strings.Contains(got, test.want) {
			t.Errorf("%s: %d, %d bytes %.100s", test.name, res.StatusCode, len(got), got)
		}
	}
}

func gzipped(s string) string {
	var b bytes.Buffer
	z := gzip.NewWriter(&b)
	io.WriteString(z, s)
	z.Close()
	return b.String()
}

// The shapes of kinesalite's test/connection.js for browsers.
func TestCORSAndRoutes(t *testing.T) {
	h := start(t, nil)
	c := h.client(t, "http/1.1")
	res, got := do(t, c, request("OPTIONS", "/", "", "Origin", "whatever", "Access-Control-Request-Headers", "a, b, c", "Access-Control-Request-Method", "d"))
	for name, want := range map[string]string{"Access-Control-Allow-Origin": "*", "Access-Control-Allow-Headers": "a, b, c", "Access-Control-Allow-Methods": "d",
		"Access-Control-Max-Age": "172800", "Content-Length": "0", "X-Amz-Id-2": "", "Content-Type": ""} {
		if res.StatusCode != 200 || got != "" || res.Header.Get(name) != want {
			t.Errorf("preflight: %d, %s is %q, want %q", res.StatusCode, name, res.Header.Get(name), want)
		}
	}
	res, _ = do(t, c, request("POST", "/", "", "Origin", "whatever"))
	if res.StatusCode != 400 || res.Header.Get("Access-Control-Expose-Headers") != "x-amzn-RequestId,x-amzn-ErrorType,x-amz-request-id,x-amz-id-2,x-amzn-ErrorMessage,Date" {
		t.Errorf("with origin: %d %v", res.StatusCode, res.Header)
	}
	if res, got := do(t, c, request("GET", "/healthz", "")); res.StatusCode != 200 || got != "ok\n" {
		t.Errorf("health: %d %q", res.StatusCode, got)
	}
}

func TestVerify(t *testing.T) {
	h := start(t, func(c *Config) {
		c.Auth = Auth{Mode: Verify, Regions: []string{"us-east-1"}, Lookup: func(key string) (string, string, bool) {
			return "secret", "111122223333", key == "AKID"
		}}
	})
	send := func(t *testing.T, way, key, secret, region string, spoil func(*http.Request)) (int, string) {
		body := `{"Name":"x"}`
		r := request("POST", "/p%20q?b=2&a=%2F", body, "Content-Type", jsonType, "X-Amz-Target", "Toy_20260101.Echo")
		r.Host = h.addr
		sum := sha256.Sum256([]byte(body))
		if err := v4.NewSigner().SignHTTP(t.Context(), aws.Credentials{AccessKeyID: key, SecretAccessKey: secret}, r, hex.EncodeToString(sum[:]), "toy", region, time.Now()); err != nil {
			t.Fatal(err)
		}
		if spoil != nil {
			spoil(r)
		}
		res, got := do(t, h.client(t, way), r)
		return res.StatusCode, got
	}
	for _, way := range ways {
		for range 2 { // the second time with the kept key
			if status, got := send(t, way, "AKID", "secret", "us-east-1", nil); status != 200 || got != `{"Name":"x","Account":"111122223333","Region":"us-east-1"}` {
				t.Errorf("%s: %d %s", way, status, got)
			}
		}
	}
	for name, k := range map[string]struct {
		key, secret, region string
		spoil               func(*http.Request)
		want                string
	}{
		"unknown key":  {"AKIX", "secret", "us-east-1", nil, `{"__type":"UnrecognizedClientException","message":"The security token included in the request is invalid."}`},
		"nobody":       {"AKIX", "nobody", "us-east-1", nil, `{"__type":"UnrecognizedClientException","message":"The security token included in the request is invalid."}`},
		"wrong secret": {"AKID", "guess", "us-east-1", nil, `{"__type":"InvalidSignatureException","message":"The request signature we calculated does not match the signature you provided. Check your AWS Secret Access Key and signing method. Consult the service documentation for details."}`},
		"wrong region": {"AKID", "secret", "mars-1", nil, `{"__type":"InvalidSignatureException","message":"Credential should be scoped to a valid region. "}`},
		"other body": {"AKID", "secret", "us-east-1", func(r *http.Request) { r.Body = io.NopCloser(strings.NewReader(`{"Name":"y"}`)) },
			`{"__type":"InvalidSignatureException","message":"The request signature we calculated does not match the signature you provided. Check your AWS Secret Access Key and signing method. Consult the service documentation for details."}`},
	} {
		if status, got := send(t, "http/1.1", k.key, k.secret, k.region, k.spoil); status != 400 || got != k.want {
			t.Errorf("%s: %d %s", name, status, got)
		}
	}
	if len(h.keys.keys) != 1 {
		t.Errorf("%d keys kept", len(h.keys.keys))
	}
}

func TestNoAuth(t *testing.T) {
	h := start(t, func(c *Config) { c.Auth.Mode = None })
	if res, got := do(t, h.client(t, "h2c"), request("POST", "/", `{"Name":"x"}`, "Content-Type", jsonType, "X-Amz-Target", "Toy_20260101.Echo")); res.StatusCode != 200 ||
		got != `{"Name":"x","Account":"000000000000","Region":"us-east-1"}` {
		t.Errorf("%d %s", res.StatusCode, got)
	}
	// "An access key id of 12 digits names the account", whether or not anybody
	// looks at the signature.
	if _, got := do(t, h.client(t, "http/1.1"), request("POST", "/", `{"Name":"x"}`, "Content-Type", jsonType, "X-Amz-Target", "Toy_20260101.Echo",
		"Authorization", anyAuth, "X-Amz-Date", "20260304T050607Z")); got != `{"Name":"x","Account":"123456789012","Region":"eu-west-1"}` {
		t.Error(got)
	}
}
