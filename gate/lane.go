package gate

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/textproto"
	"net/url"
	"runtime/debug"
	"strconv"
	"strings"
	"sync"
	"time"
)

// lane serves a connection for as long as nothing but plain calls come: POST /
// by HTTP/1.1 in the clear, with a length and an operation that answers at
// once. That is nearly all that SDKs send, and takes it half of what net/http
// needs, which makes and clears away much for each request and watches the
// connection meanwhile. At the first request of another kind the connection
// goes to net/http, from that request's first byte on; it never comes back.
//
// What a handler gets is net/http's: an http.Request with the same members and
// an http.ResponseWriter. Only its context does not end when the caller goes
// away before the answer.
type lane struct {
	g    *Gate
	conn net.Conn
	buf  []byte // what was read and not yet used is buf[from:to]
	from int
	to   int

	mu   sync.Mutex
	idle bool // between two requests
	used bool // something has come
	over bool // no further request is to be waited for

	read, write time.Time // when the deadlines were last put off

	req    http.Request
	url    url.URL
	values [maxHeaders]string
	body   laneBody
	answer laneAnswer
}

const (
	laneBuffer = 8 << 10     // holds a header, or it is for net/http
	maxHeaders = 32          // more are for net/http
	laneRest   = 256 << 10   // of a body that nobody read is read past, as net/http does
	laneSlack  = time.Second // by which a deadline may be short: moving it costs a system call's worth
)

// errElse says that what comes next is for net/http.
var errElse = errors.New("not a plain call")

// serve runs until the connection ends or has to go to net/http: then it
// returns true, and what net/http is to read first is buf[from:to].
func (l *lane) serve(base context.Context) (other bool) {
	l.req = *(&http.Request{Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1, Method: http.MethodPost, RequestURI: "/", Header: http.Header{}}).WithContext(base)
	l.req.RemoteAddr = l.conn.RemoteAddr().String()
	l.answer.header = http.Header{}
	for {
		end, err := l.head()
		if err == errElse {
			return true
		}
		if err != nil {
			return false
		}
		n, err := l.parse(l.buf[l.from:end])
		if err != nil {
			return true
		}
		l.from = end
		l.body = laneBody{l: l, left: n}
		if !l.call() || !l.skip() {
			return false
		}
		clear(l.req.Header)
		clear(l.values[:])
	}
}

// head reads until buf holds a whole header, and returns its end.
func (l *lane) head() (end int, err error) {
	if l.from == l.to {
		l.from, l.to = 0, 0
	}
	begun := false
	for searched := l.from; ; {
		if at := bytes.Index(l.buf[searched:l.to], []byte("\r\n\r\n")); at >= 0 {
			return searched + at + 4, nil
		}
		searched = max(l.from, l.to-3)
		if l.from < l.to && !begins(l.buf[l.from:l.to]) {
			return 0, errElse
		}
		if l.from > 0 {
			searched -= l.from
			l.to = copy(l.buf, l.buf[l.from:l.to])
			l.from = 0
		}
		if l.to == len(l.buf) {
			return 0, errElse
		}
		var n int
		if l.to > 0 {
			if !begun {
				begun = true
				l.deadline(headerTimeout)
			}
			n, err = l.conn.Read(l.buf[l.to:])
		} else if l.rest() {
			n, err = l.conn.Read(l.buf)
			l.wake()
		} else {
			return 0, net.ErrClosed
		}
		l.to += n
		l.used = l.used || n > 0
		if n == 0 && err != nil {
			return 0, err
		}
	}
}

const laneStart = "POST / HTTP/1.1\r\n"

// begins tells whether b may be, or is, the beginning of a plain call.
func begins(b []byte) bool {
	n := min(len(b), len(laneStart))
	return string(b[:n]) == laneStart[:n]
}

// rest says that the next request is being waited for; false if it is not to
// be.
func (l *lane) rest() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.over {
		return false
	}
	l.idle = true
	if now := time.Now(); now.Sub(l.read) > laneSlack || now.Before(l.read) {
		l.read = now
		wait := idleTimeout
		if !l.used { // nobody keeps a port busy by saying nothing
			wait, l.read = headerTimeout, time.Time{}
		}
		l.conn.SetReadDeadline(now.Add(wait))
	}
	return true
}

func (l *lane) wake() {
	l.mu.Lock()
	l.idle = false
	l.mu.Unlock()
}

// end lets a request that is being served end, and none follow it.
func (l *lane) end() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.over = true
	if l.idle {
		l.conn.SetReadDeadline(time.Unix(1, 0))
	}
}

func (l *lane) ending() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.over
}

// deadline bounds the reads of the request that has begun.
func (l *lane) deadline(d time.Duration) {
	l.read = time.Time{}
	l.conn.SetReadDeadline(time.Now().Add(d))
}

// parse fills req from a header and returns the length of its body, or errElse.
func (l *lane) parse(head []byte) (length int64, err error) {
	if !begins(head) {
		return 0, errElse
	}
	length = -1
	r := &l.req
	r.Host = ""
	// One string holds all, for handlers to keep parts of.
	rest := string(head[len(laneStart) : len(head)-2])
	for n := 0; rest != ""; n++ {
		line, after, _ := strings.Cut(rest, "\r\n")
		rest = after
		name, value, ok := strings.Cut(line, ":")
		if !ok || n == maxHeaders || !isToken(name) || !isValue(value) {
			return 0, errElse
		}
		value = strings.Trim(value, " \t")
		name = canonical(name)
		switch name {
		case "Host":
			if r.Host != "" || !isHost(value) {
				return 0, errElse
			}
			r.Host = value
			continue // as net/http has it
		case "Content-Length":
			if len(value) == 0 || len(value) > 10 || strings.Trim(value, "0123456789") != "" {
				return 0, errElse
			}
			length, _ = strconv.ParseInt(value, 10, 64)
		case "Connection":
			if !strings.EqualFold(value, "keep-alive") {
				return 0, errElse
			}
		case "Transfer-Encoding", "Expect", "Upgrade", "Trailer", "Origin", "Http2-Settings", "Te", "Proxy-Connection", "Pragma":
			return 0, errElse
		}
		if r.Header[name] != nil {
			return 0, errElse
		}
		l.values[n] = value
		r.Header[name] = l.values[n : n+1 : n+1]
	}
	op := l.g.ops[first(r.Header, "X-Amz-Target")]
	if r.Host == "" || length < 0 || length > l.g.cfg.MaxBody || op == nil || op.stream != nil {
		return 0, errElse
	}
	l.url = url.URL{Path: "/"}
	r.URL, r.ContentLength, r.Body = &l.url, length, &l.body
	return length, nil
}

// canonical is textproto.CanonicalMIMEHeaderKey, without a look at those that
// nearly every request has.
func canonical(name string) string {
	switch name {
	case "Host", "Content-Length", "Content-Type", "X-Amz-Target", "X-Amz-Date", "Authorization", "User-Agent", "Accept-Encoding", "Connection",
		"X-Amz-Content-Sha256", "X-Amz-Security-Token", "Amz-Sdk-Invocation-Id", "Amz-Sdk-Request", "X-Amz-User-Agent":
		return name
	}
	return textproto.CanonicalMIMEHeaderKey(name)
}

func isToken(s string) bool {
	for i := range len(s) {
		switch c := s[i]; {
		case 'a' <= c && c <= 'z', 'A' <= c && c <= 'Z', '0' <= c && c <= '9', c == '-', c == '_', c == '.':
		default:
			return false
		}
	}
	return s != ""
}

func isValue(s string) bool {
	for i := range len(s) {
		if c := s[i]; c < ' ' && c != '\t' || c == 0x7f {
			return false
		}
	}
	return true
}

// isHost lets a name or an address with a port through; net/http has the say
// about others.
func isHost(s string) bool {
	return s != "" && strings.Trim(s, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789.-:[]_") == ""
}

// call runs the handler and sends its answer. It reports whether the
// connection can go on.
func (l *lane) call() (on bool) {
	a := &l.answer
	a.begin(l)
	if now := time.Now(); now.Sub(l.write) > laneSlack || now.Before(l.write) {
		l.write = now
		l.conn.SetWriteDeadline(now.Add(answerTimeout + laneSlack))
	}
	defer func() {
		if p := recover(); p != nil {
			on = false
			if p != http.ErrAbortHandler {
				l.g.cfg.Logger.Error("panic", "remote", l.req.RemoteAddr, "error", fmt.Sprint(p), "stack", string(debug.Stack()))
			}
		}
	}()
	l.g.ServeHTTP(a, &l.req)
	return a.finish()
}

// skip reads past what the handler left of the body.
func (l *lane) skip() bool {
	if l.body.left > laneRest {
		return false
	}
	for l.body.left > 0 {
		var waste [4 << 10]byte
		if _, err := l.body.Read(waste[:]); err != nil {
			return false
		}
	}
	return true
}

// laneBody is a request's body.
type laneBody struct {
	l     *lane
	left  int64
	bound bool // reads have their deadline
}

// Read implements io.Reader.
func (b *laneBody) Read(p []byte) (n int, err error) {
	if b.left == 0 {
		return 0, io.EOF
	}
	p = p[:min(int64(len(p)), b.left)]
	l := b.l
	if l.from < l.to {
		n = copy(p, l.buf[l.from:l.to])
		l.from += n
	} else {
		if !b.bound {
			b.bound = true
			l.deadline(bodyTimeout)
		}
		if n, err = l.conn.Read(p); errors.Is(err, io.EOF) {
			err = io.ErrUnexpectedEOF
		}
	}
	b.left -= int64(n)
	return n, err
}

// Close implements io.Closer.
func (b *laneBody) Close() error { return nil }

// laneAnswer is an http.ResponseWriter whose answer leaves in one piece.
type laneAnswer struct {
	l      *lane
	header http.Header
	status int    // 0: not known yet
	head   []byte // as it is sent
	body   []byte // what was written before its length was known
	sent   bool
	err    error

	length, written int64 // of the body; length -1: not known yet
}

func (a *laneAnswer) begin(l *lane) {
	clear(a.header)
	*a = laneAnswer{l: l, header: a.header, head: a.head[:0], body: a.body[:0]}
}

// Header implements http.ResponseWriter.
func (a *laneAnswer) Header() http.Header { return a.header }

// WriteHeader implements http.ResponseWriter. The header's values are the
// handler's again when it returns, as with net/http.
func (a *laneAnswer) WriteHeader(status int) {
	if a.status != 0 {
		return
	}
	a.status, a.length = status, -1
	h := append(a.head, "HTTP/1.1 "...)
	h = strconv.AppendInt(h, int64(status), 10)
	h = append(append(append(h, ' '), http.StatusText(status)...), "\r\nDate: "...)
	h = a.l.g.date.append(h, time.Now())
	for name, values := range a.header {
		for _, v := range values {
			if name == "Content-Length" {
				a.length, _ = strconv.ParseInt(v, 10, 64)
				continue
			}
			h = append(append(append(h, "\r\n"...), name...), ": "...)
			at := len(h)
			h = append(h, v...)
			for i, c := range h[at:] {
				if c == '\r' || c == '\n' {
					h[at+i] = ' '
				}
			}
		}
	}
	a.head = h
}

// Write implements http.ResponseWriter.
func (a *laneAnswer) Write(p []byte) (int, error) {
	a.WriteHeader(http.StatusOK)
	switch {
	case a.err != nil:
		return 0, a.err
	case a.length < 0:
		a.body = append(a.body, p...)
		return len(p), nil
	case a.written+int64(len(p)) > a.length:
		return 0, http.ErrContentLength
	}
	a.written += int64(len(p))
	if a.err = a.send(p); a.err != nil {
		return 0, a.err
	}
	return len(p), nil
}

// SetWriteDeadline is for http.ResponseController.
func (a *laneAnswer) SetWriteDeadline(t time.Time) error {
	a.l.write = time.Time{}
	return a.l.conn.SetWriteDeadline(t)
}

// finish sends what is left to send. It reports whether the connection can go
// on.
func (a *laneAnswer) finish() bool {
	a.WriteHeader(http.StatusOK)
	if a.length < 0 {
		a.length, a.written = int64(len(a.body)), int64(len(a.body))
	}
	if a.err == nil && !a.sent {
		a.err = a.send(a.body)
	}
	if cap(a.body) > small {
		a.body = nil
	}
	return a.err == nil && a.written == a.length && !a.l.ending()
}

// laneCopy is up to where it is cheaper to copy a body behind its header than
// to have the system gather them.
const laneCopy = 16 << 10

// send sends p, after the header if that is not sent yet.
func (a *laneAnswer) send(p []byte) error {
	if a.sent {
		_, err := a.l.conn.Write(p)
		return err
	}
	a.sent = true
	h := strconv.AppendInt(append(a.head, "\r\nContent-Length: "...), a.length, 10)
	if a.l.ending() {
		h = append(h, "\r\nConnection: close"...)
	}
	h = append(h, "\r\n\r\n"...)
	a.head = h
	if len(p) <= laneCopy {
		a.head = append(h, p...)
		_, err := a.l.conn.Write(a.head)
		return err
	}
	whole := net.Buffers{h, p}
	_, err := whole.WriteTo(a.l.conn)
	return err
}

// date is the Date of answers, made once a second.
type date struct {
	mu   sync.Mutex
	unix int64
	text []byte
}

func (d *date) append(dst []byte, now time.Time) []byte {
	d.mu.Lock()
	defer d.mu.Unlock()
	if unix := now.Unix(); unix != d.unix || d.text == nil {
		d.unix, d.text = unix, now.UTC().AppendFormat(d.text[:0], http.TimeFormat)
	}
	return append(dst, d.text...)
}
