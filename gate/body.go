package gate

import (
	"bytes"
	"compress/gzip"
	"errors"
	"io"
	"net/http"
	"sync"
	"sync/atomic"

	"github.com/thalweg/thalweg/fault"
)

// Sizes of buffers that are kept: small ones with their exchange, middle and
// large ones apart, so that few of them serve many connections.
const (
	small  = 64 << 10
	middle = 1 << 20
	large  = 16 << 20
)

// mostLarge is how many large buffers are kept.
const mostLarge = 4

// buffers keeps byte slices by size. A pool that the collector empties would
// make the large ones anew again and again, and each is a quarter of a small
// heap: those are kept for good, and few of them.
type buffers struct {
	small, middle sync.Pool

	mu    sync.Mutex
	large [][]byte
}

func (b *buffers) getLarge() []byte {
	b.mu.Lock()
	defer b.mu.Unlock()
	n := len(b.large)
	if n == 0 {
		return make([]byte, 0, large)
	}
	p := b.large[n-1]
	b.large[n-1] = nil
	b.large = b.large[:n-1]
	return p
}

func (b *buffers) putLarge(p []byte) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if len(b.large) < mostLarge {
		b.large = append(b.large, p[:0])
	}
}

// get returns an empty slice with room for n bytes.
func (b *buffers) get(n int) []byte {
	switch {
	case n <= small:
		if p, ok := b.small.Get().(*[]byte); ok && cap(*p) >= n {
			return (*p)[:0]
		}
		return make([]byte, 0, max(n, 2<<10))
	case n > large:
		return make([]byte, 0, n)
	case n > middle:
		return b.getLarge()
	}
	if p, ok := b.middle.Get().(*[]byte); ok {
		return (*p)[:0]
	}
	return make([]byte, 0, middle)
}

// put takes a slice back, of any size; those of odd size go to the collector.
func (b *buffers) put(p []byte) {
	switch c := cap(p); {
	case c >= large && c < 2*large:
		b.putLarge(p)
	case c >= middle && c < large:
		b.middle.Put(&p)
	case c <= small:
		b.small.Put(&p)
	}
}

// answerSize is a guess at how large the next answer of an operation will be:
// as large as the last few.
type answerSize struct{ n atomic.Int64 }

func (a *answerSize) guess() int { return int(a.n.Load()) }

func (a *answerSize) saw(n int) {
	old := a.n.Load()
	if n := int64(n); n > small || old > small {
		a.n.Store(max(n, old-old/8))
	}
}

var errTooLarge error = fault.Coded(fault.TooLarge, "RequestEntityTooLargeException", "The request body is larger than this server reads.")

// read reads the whole body, into the exchange's own small buffer or one from
// the pool. What the header claims to follow is not believed beyond a
// megabyte: more room is taken only once that much has come.
func (x *exchange) read(r *http.Request, pool *buffers, limit int64) error {
	n := r.ContentLength
	if n > limit {
		return errTooLarge
	}
	if n < 0 {
		return x.readUnknown(r.Body, pool, limit)
	}
	b := x.small(int(min(n, middle)), pool)
	b = b[:min(n, middle)]
	got, err := io.ReadFull(r.Body, b)
	if err == nil && n > middle {
		whole := append(pool.get(int(n)), b...)
		pool.put(b)
		b = whole[:n]
		var more int
		more, err = io.ReadFull(r.Body, b[got:])
		got += more
	}
	x.body = b
	if err != nil {
		return fault.New(fault.Malformed, "The request body ended after %d of %d bytes.", got, n)
	}
	return nil
}

// readUnknown reads a body that says nothing of its length.
func (x *exchange) readUnknown(body io.Reader, pool *buffers, limit int64) (err error) {
	x.body, err = pool.readAll(x.small(small, pool), body, limit)
	if err != nil && err != errTooLarge {
		return fault.New(fault.Malformed, "The request body ended after %d bytes.", len(x.body))
	}
	return err
}

// readAll appends all that r holds to b, or to a larger slice in its stead, up
// to a limit. A b of more than small bytes is the pool's.
func (p *buffers) readAll(b []byte, r io.Reader, limit int64) ([]byte, error) {
	for {
		if len(b) == cap(b) {
			grown := append(p.get(int(min(2*int64(len(b)), limit+1))), b...)
			if cap(b) > small { // else it may be an exchange's own
				p.put(b)
			}
			b = grown
		}
		n, err := r.Read(b[len(b):cap(b)])
		b = b[:len(b)+n]
		switch {
		case int64(len(b)) > limit:
			return b, errTooLarge
		case errors.Is(err, io.EOF):
			return b, nil
		case err != nil:
			return b, err
		}
	}
}

// inflate takes the call's body out of its Content-Encoding: gzip, which SDKs
// choose for large requests, or none. What comes out is bounded like a body
// that was never compressed.
func (g *Gate) inflate(r *http.Request, x *exchange) error {
	switch encoding := first(r.Header, "Content-Encoding"); encoding {
	case "", "identity":
		return nil
	case "gzip":
	default:
		return fault.Coded(fault.Malformed, "SerializationException",
			"Content-Encoding '%s' is not supported here: send the body in gzip or uncompressed.", encoding)
	}
	z, _ := g.inflaters.Get().(*gzip.Reader)
	if z == nil {
		z = new(gzip.Reader)
	}
	defer g.inflaters.Put(z)
	err := z.Reset(bytes.NewReader(x.body))
	if err == nil {
		x.inflated, err = g.buffers.readAll(g.buffers.get(small), z, g.cfg.MaxBody)
	}
	switch {
	case err == errTooLarge:
		return err
	case err != nil:
		return fault.Coded(fault.Malformed, "SerializationException", "The request body is not in gzip: %v.", err)
	}
	x.call.Body = x.inflated
	return nil
}

// small returns an empty slice with room for n bytes: the exchange's own where
// that will do.
func (x *exchange) small(n int, pool *buffers) []byte {
	if n > small {
		return pool.get(n)
	}
	if cap(x.ownBody) < n {
		x.ownBody = make([]byte, 0, max(n, 2<<10))
	}
	return x.ownBody[:0]
}
