package mapping

import (
	"context"
	"sync"
	"sync/atomic"
)

// How much memory mappings take at most, besides what the machines know of
// records (some 50 bytes each).
const (
	heldBytes  = 64 << 20 // data of records read ahead, of all mappings: what is beyond is read again
	eventBytes = 64 << 20 // events under way, of one mapping: what is beyond waits
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

// now takes n bytes if nobody waits and they are there, and returns what gives
// them back; else nil.
func (r *room) now(n int) (give func()) {
	n = min(n, r.size)
	r.mu.Lock()
	defer r.mu.Unlock()
	if len(r.line) > 0 || r.taken+n > r.size {
		return nil
	}
	r.taken += n
	return func() { r.give(n) }
}

func (r *room) give(n int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.taken -= n
	r.next()
}

// take waits for n bytes until ctx ends, and returns what gives them back.
func (r *room) take(ctx context.Context, n int) (give func(), err error) {
	if give := r.now(n); give != nil {
		return give, nil
	}
	n = min(n, r.size)
	t := &turn{n, make(chan struct{})}
	r.mu.Lock()
	r.line = append(r.line, t)
	r.next() // what there is may have been given back since
	r.mu.Unlock()
	select {
	case <-t.ready:
		return func() { r.give(n) }, nil
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
