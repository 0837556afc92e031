package segment

import (
	"sync"
	"sync/atomic"

	"github.com/thalweg/thalweg/internal/offheap"
)

// memory is what blocks were read into, one after another. It is used again
// when nobody holds it any more: the cache holds it once per block, a reader
// until its page is released. A nil memory is the garbage collector's.
type memory struct {
	pool *pool
	mem  *offheap.Memory
	refs atomic.Int64
}

// hold adds a hold and returns m.
func (m *memory) hold() *memory {
	if m != nil {
		m.refs.Add(1)
	}
	return m
}

// Unpin implements shardlog.Pin.
func (m *memory) Unpin() {
	if m != nil && m.refs.Add(-1) == 0 {
		m.pool.put(m)
	}
}

// The sizes of pooled memory: for one block, and for a read ahead.
const (
	oneRead = blockSize
	bigRead = aheadSize
)

// spare is how much memory of each size is kept for the next reads.
const spare = 16

// pool keeps memory of the two sizes.
type pool struct {
	mu       sync.Mutex
	one, big []*memory
}

// get returns memory for a read of n bytes, held once; nil when it is too
// little or too much to be worth it.
func (p *pool) get(n int) *memory {
	list, size := &p.one, oneRead
	switch {
	case n > bigRead, n < oneRead/4:
		return nil
	case n > oneRead:
		list, size = &p.big, bigRead
	}
	p.mu.Lock()
	var m *memory
	if at := len(*list) - 1; at >= 0 {
		m = (*list)[at]
		*list = (*list)[:at]
	}
	p.mu.Unlock()
	if m == nil {
		m = &memory{pool: p, mem: offheap.New(size)}
	}
	m.refs.Store(1)
	return m
}

func (p *pool) put(m *memory) {
	list := &p.one
	if len(m.mem.Bytes) == bigRead {
		list = &p.big
	}
	p.mu.Lock()
	kept := len(*list) < spare
	if kept {
		*list = append(*list, m)
	}
	p.mu.Unlock()
	if !kept {
		m.mem.Free()
	}
}

// bytes is the memory's, or none.
func (m *memory) bytes() []byte {
	if m == nil {
		return nil
	}
	return m.mem.Bytes
}
