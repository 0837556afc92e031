package gate

import (
	"context"
	"crypto/tls"
	"errors"
	"net"
	"sync"
	"time"
)

// lanes accepts connections, serves those with plain calls, and hands all
// others to net/http, for which it is the listener.
type lanes struct {
	g    *Gate
	from net.Listener
	tls  *tls.Config
	base context.Context

	others chan net.Conn
	closed chan struct{}
	once   sync.Once

	mu      sync.Mutex
	open    map[*lane]bool
	over    bool
	running sync.WaitGroup // lanes
}

func newLanes(g *Gate, base context.Context) *lanes {
	return &lanes{g: g, from: g.cfg.Listener, tls: g.tlsConfig(), base: base,
		others: make(chan net.Conn), closed: make(chan struct{}), open: map[*lane]bool{}}
}

// run accepts until the listener is closed, and returns why it stopped.
func (s *lanes) run() error {
	for wait := time.Duration(0); ; {
		c, err := s.from.Accept()
		var later interface{ Temporary() bool }
		switch {
		case err == nil:
			wait = 0
			s.running.Go(func() { s.greet(c) })
			continue
		case errors.As(err, &later) && later.Temporary():
			// Such as too many open files: it passes.
			wait = min(max(2*wait, 5*time.Millisecond), time.Second)
			select {
			case <-time.After(wait):
				continue
			case <-s.closed:
			}
		}
		return err
	}
}

// greet serves one connection.
func (s *lanes) greet(c net.Conn) {
	l := &lane{g: s.g, conn: c, buf: make([]byte, laneBuffer)}
	if !s.enter(l) {
		c.Close()
		return
	}
	other := l.serve(s.base)
	s.leave(l)
	if !other {
		c.Close()
		return
	}
	c.SetDeadline(time.Time{})
	select {
	case s.others <- &conn{Conn: c, cfg: s.tls, head: append([]byte(nil), l.buf[l.from:l.to]...)}:
	case <-s.closed:
		c.Close()
	}
}

func (s *lanes) enter(l *lane) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.over {
		return false
	}
	s.open[l] = true
	return true
}

func (s *lanes) leave(l *lane) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.open, l)
}

// Accept implements net.Listener for net/http.
func (s *lanes) Accept() (net.Conn, error) {
	select {
	case c := <-s.others:
		return c, nil
	case <-s.closed:
		return nil, net.ErrClosed
	}
}

// Addr implements net.Listener.
func (s *lanes) Addr() net.Addr { return s.from.Addr() }

// Close implements net.Listener: nothing more is accepted, and lanes end with
// the request that they are at.
func (s *lanes) Close() (err error) {
	s.once.Do(func() {
		err = s.from.Close()
		close(s.closed)
		s.mu.Lock()
		defer s.mu.Unlock()
		s.over = true
		for l := range s.open {
			l.end()
		}
	})
	return err
}

// wait waits for the lanes that are still at a request, until ctx ends.
func (s *lanes) wait(ctx context.Context) error {
	done := make(chan struct{})
	go func() {
		defer close(done)
		s.running.Wait()
	}()
	select {
	case <-done:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// cut closes the connections of lanes that are still at a request.
func (s *lanes) cut() {
	s.mu.Lock()
	defer s.mu.Unlock()
	for l := range s.open {
		l.conn.Close()
	}
}
