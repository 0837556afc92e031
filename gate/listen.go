package gate

import (
	"crypto/tls"
	"net"
	"sync/atomic"
	"time"
)

// record is the first byte of a TLS connection: a handshake record.
const record = 0x16

// conn is a connection that net/http serves: in the clear until its first byte
// says otherwise, which it finds out in its first Read. The server's deadline
// for the first header is on it before that, and so bounds the handshake too.
//
// The TLS connection stays hidden inside: net/http, seeing a plain one, looks
// for the HTTP/2 preface itself, and so takes it with and without ALPN (older
// Java SDKs send it without), next to HTTP/1.1.
type conn struct {
	net.Conn
	head    []byte      // what was read of it before
	cfg     *tls.Config // nil: never TLS
	sniffed bool        // used by the reader only; the first Read has no other beside it
	secure  atomic.Pointer[tls.Conn]
	clogged atomic.Bool // a write failed

	gather *gather // what is written goes there; of HTTP/1.1 in the clear
	failed error   // of a gather: what is written after it would be out of place
}

func (c *conn) Read(p []byte) (int, error) {
	if c.sniffed {
		if s := c.secure.Load(); s != nil {
			return s.Read(p)
		}
		return c.next(p)
	}
	n, err := c.next(p)
	if n == 0 {
		return n, err
	}
	c.sniffed = true
	if p[0] != record || c.cfg == nil {
		return n, err
	}
	s := tls.Server(&replay{Conn: c.Conn, head: append(append([]byte(nil), p[:n]...), c.head...)}, c.cfg)
	c.head = nil
	c.secure.Store(s)
	// Reads of the handshake end with the server's deadline, its writes here.
	c.Conn.SetWriteDeadline(time.Now().Add(headerTimeout))
	if err := s.Handshake(); err != nil {
		return 0, err
	}
	c.Conn.SetWriteDeadline(time.Time{})
	return s.Read(p)
}

// next reads what came before the handshake, or without one.
func (c *conn) next(p []byte) (int, error) {
	if len(c.head) > 0 {
		n := copy(p, c.head)
		if c.head = c.head[n:]; len(c.head) == 0 {
			c.head = nil
		}
		return n, nil
	}
	return c.Conn.Read(p)
}

func (c *conn) Write(p []byte) (int, error) {
	if s := c.secure.Load(); s != nil {
		n, err := s.Write(p)
		if err != nil {
			c.clogged.Store(true)
		}
		return n, err
	}
	switch {
	case c.failed != nil:
		return 0, c.failed
	case c.gather != nil:
		return c.gather.write(p)
	}
	return c.Conn.Write(p)
}

// Close says goodbye over TLS, unless writes fail already: that would only
// wait five seconds to fail, too.
func (c *conn) Close() error {
	if s := c.secure.Load(); s != nil && !c.clogged.Load() {
		return s.Close()
	}
	return c.Conn.Close()
}

// CloseWrite lets a caller whose body was too large to read still read why.
func (c *conn) CloseWrite() error {
	if s := c.secure.Load(); s != nil {
		return s.CloseWrite()
	}
	if half, ok := c.Conn.(interface{ CloseWrite() error }); ok {
		return half.CloseWrite()
	}
	return nil
}

// replay gives the bytes that were read to tell TLS apart once more.
type replay struct {
	net.Conn
	head []byte
}

func (r *replay) Read(p []byte) (int, error) {
	if len(r.head) > 0 {
		n := copy(p, r.head)
		r.head = r.head[n:]
		return n, nil
	}
	return r.Conn.Read(p)
}

// tlsConfig is the configured one with both protocols offered.
func (g *Gate) tlsConfig() *tls.Config {
	if g.cfg.TLS == nil {
		return nil
	}
	c := g.cfg.TLS.Clone()
	c.NextProtos = []string{"h2", "http/1.1"}
	c.MinVersion = max(c.MinVersion, tls.VersionTLS12)
	return c
}
