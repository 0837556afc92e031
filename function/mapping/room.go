package mapping

import (
	"context"
	"sync"
	"sync/atomic"
)

// How much memory mappings take at most, besides what the machines know of
// records (some 50 bytes each).
const (
	heldBytes  = 256 << 20 // data of records read ahead, of all mappings: what is beyond is read again
	eventBytes = 64 << 20  // events under way, of one mapping: what is beyond waits
)

// room is memory that has to be asked for, in turn. What asks for more than
// all of it gets all of it.
type room struct {
	size int

	mu    sync.Mutex
	taken int
	line  []*turn
}

type turn struct {
	n     int
	ready chan struct{}
}

// take waits for n bytes until ctx ends, and returns what gives them back.
func (r *room) take(ctx context.Context, n int) (give func(), err error) {
	n = min(n, r.size)
	give = func() {
		r.mu.Lock()
		defer r.mu.Unlock()
		r.taken -= n
		r.next()
	}
	r.mu.Lock()
	if len(r.line) == 0 && r.taken+n <= r.size {
		r.taken += n
		r.mu.Unlock()
		return give, nil
	}
	t := &turn{n, make(chan struct{})}
	r.line = append(r.line, t)
	r.mu.Unlock()
	select {
	case <-t.ready:
		return give, nil
	case <-ctx.Done():
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	for i := range r.line {
		if r.line[i] == t {
			r.line = append(r.line[:i], r.line[i+1:]...)
			r.next() // who came after may need less
			return nil, ctx.Err()
		}
	}
	r.taken -= n // its turn came at the same moment
	r.next()
	return nil, ctx.Err()
}

// next lets those in that there is room for, in their order.
func (r *room) next() {
	for len(r.line) > 0 && r.taken+r.line[0].n <= r.size {
		r.taken += r.line[0].n
		close(r.line[0].ready)
		r.line = r.line[1:]
	}
}

// budget counts bytes that are held, of all mappings.
type budget struct{ held atomic.Int64 }

func (b *budget) full() bool { return b.held.Load() > heldBytes }
