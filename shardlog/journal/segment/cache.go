package segment

import (
	"container/list"
	"fmt"
	"sync"
	"sync/atomic"

	"github.com/klauspost/compress/zstd"
)

// Cache is what the segments of one log share while they are read: recently
// used blocks, least recently used out first, and what decompression needs.
// It serves readers that come back for the rest of a block. All methods may be
// called concurrently; a nil Cache is none.
type Cache struct {
	bytes int // most to hold
	ids   atomic.Uint64
	dec   func() (*zstd.Decoder, error)

	mu     sync.Mutex
	used   int
	blocks map[blockID]*list.Element
	busy   map[blockID]chan struct{} // blocks being read: closed when that is over
	order  list.List                 // of *cached, most recently used first
}

type blockID struct {
	segment uint64
	index   int
}

type cached struct {
	id  blockID
	raw []byte
}

// cachedOverhead is about what a cached block costs besides its bytes.
const cachedOverhead = 256

// NewCache makes a cache that holds up to the given number of bytes of
// decoded blocks. Zero is fine: then only the decoder is shared.
func NewCache(bytes int) *Cache {
	return &Cache{
		bytes:  bytes,
		blocks: make(map[blockID]*list.Element),
		busy:   make(map[blockID]chan struct{}),
		dec: sync.OnceValues(func() (*zstd.Decoder, error) {
			return zstd.NewReader(nil, zstd.WithDecoderConcurrency(0), zstd.WithDecodeAllCapLimit(true),
				zstd.WithDecoderMaxMemory(frameHeader+MaxPayload))
		}),
	}
}

func (c *Cache) get(id blockID) []byte {
	c.mu.Lock()
	defer c.mu.Unlock()
	e := c.blocks[id]
	if e == nil {
		return nil
	}
	c.order.MoveToFront(e)
	return e.Value.(*cached).raw
}

// enter makes the caller the one that reads a block, until leave; or waits for
// the one that does, and is false.
func (c *Cache) enter(id blockID) bool {
	c.mu.Lock()
	over := c.busy[id]
	if over == nil {
		c.busy[id] = make(chan struct{})
	}
	c.mu.Unlock()
	if over != nil {
		<-over
	}
	return over == nil
}

func (c *Cache) leave(id blockID) {
	c.mu.Lock()
	over := c.busy[id]
	delete(c.busy, id)
	c.mu.Unlock()
	close(over)
}

func (c *Cache) put(id blockID, raw []byte) {
	size := len(raw) + cachedOverhead
	if size > c.bytes {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.blocks[id] != nil {
		return // another reader was as quick
	}
	c.blocks[id] = c.order.PushFront(&cached{id, raw})
	for c.used += size; c.used > c.bytes; {
		c.drop(c.order.Back())
	}
}

func (c *Cache) drop(e *list.Element) {
	b := c.order.Remove(e).(*cached)
	delete(c.blocks, b.id)
	c.used -= len(b.raw) + cachedOverhead
}

// forget lets go of a segment's blocks.
func (c *Cache) forget(segment uint64) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for e := c.order.Front(); e != nil; {
		next := e.Next()
		if e.Value.(*cached).id.segment == segment {
			c.drop(e)
		}
		e = next
	}
}

// expand turns a block's stored bytes into its raw ones, in dst's memory when
// that is large enough. Never more than b.raw bytes come out.
func (c *Cache) expand(dst, stored []byte, b *block) ([]byte, error) {
	dec, err := c.dec()
	if err != nil {
		return nil, fmt.Errorf("start zstd: %w", err)
	}
	if cap(dst) < int(b.raw) {
		dst = make([]byte, 0, b.raw)
	}
	raw, err := dec.DecodeAll(stored, dst[:0:b.raw])
	if err != nil {
		return nil, flawed(0, "block of shard %d does not decompress: %v", b.shard, err)
	}
	return raw, nil
}
