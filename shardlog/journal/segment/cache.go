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

	fetches atomic.Int64 // going on ahead of readers
	ahead   atomic.Int64 // bytes to read ahead of each
	pool    pool

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
	mem *memory // that raw lies in; nil: the collector's

	read bool // somebody came for it
}

// cachedOverhead is about what a cached block costs besides its bytes.
const cachedOverhead = 256

// NewCache makes a cache that holds up to the given number of bytes of
// decoded blocks. Zero is fine: then only the decoder is shared.
func NewCache(bytes int) *Cache {
	c := &Cache{
		bytes:  bytes,
		blocks: make(map[blockID]*list.Element),
		busy:   make(map[blockID]chan struct{}),
		dec: sync.OnceValues(func() (*zstd.Decoder, error) {
			return zstd.NewReader(nil, zstd.WithDecoderConcurrency(0), zstd.WithDecodeAllCapLimit(true),
				zstd.WithDecoderMaxMemory(frameHeader+MaxPayload))
		}),
	}
	c.ahead.Store(mostFar)
	return c
}

// claim returns block i if it is there. Else it makes the caller the one that
// reads it and those after it, up to end, that are not there either: n of
// them, to be settled. While somebody else reads block i n is 0, and over is
// closed when that is done. A block that is there comes with a hold on its
// memory.
func (c *Cache) claim(segment uint64, i, end int) (raw []byte, mem *memory, over <-chan struct{}, n int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if e := c.blocks[blockID{segment, i}]; e != nil {
		c.order.MoveToFront(e)
		b := e.Value.(*cached)
		if !b.read {
			b.read = true
			c.ahead.Store(min(c.ahead.Load()+blockSize/16, mostFar))
		}
		return b.raw, b.mem.hold(), nil, 0
	}
	if over := c.busy[blockID{segment, i}]; over != nil {
		return nil, nil, over, 0
	}
	done := make(chan struct{})
	for ; i+n < end && !c.known(blockID{segment, i + n}); n++ {
		c.busy[blockID{segment, i + n}] = done
	}
	return nil, nil, nil, n
}

func (c *Cache) known(id blockID) bool { return c.blocks[id] != nil || c.busy[id] != nil }

// settle ends a claim, whatever came of it.
func (c *Cache) settle(segment uint64, i, n int) {
	if n == 0 {
		return
	}
	c.mu.Lock()
	done := c.busy[blockID{segment, i}]
	for k := range n {
		delete(c.busy, blockID{segment, i + k})
	}
	c.mu.Unlock()
	close(done)
}

// missing returns the first block of [i, end) that is not there and that
// nobody reads, or -1. It is -1 as well for a cache too small to read ahead.
func (c *Cache) missing(segment uint64, i, end int) int {
	if c.bytes < 2*mostFar {
		return -1
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	for ; i < end; i++ {
		if !c.known(blockID{segment, i}) {
			return i
		}
	}
	return -1
}

// mostAhead is how many reads ahead go on at a time.
const mostAhead = 8

// mostFar is how far before a reader blocks are read, at most: about what one
// GetRecords takes, so that the next one finds it there.
const mostFar = 12 << 20

// far is how far they are read now: less when blocks were let go unread.
func (c *Cache) far() int { return int(c.ahead.Load()) }

// begin asks whether one more may, until end.
func (c *Cache) begin() bool {
	if c.fetches.Add(1) <= mostAhead {
		return true
	}
	c.fetches.Add(-1)
	return false
}

func (c *Cache) end() { c.fetches.Add(-1) }

// put takes a block in, with a hold of its own on the memory; read says whether
// somebody came for it already.
func (c *Cache) put(segment uint64, i int, raw []byte, mem *memory, read bool) {
	id := blockID{segment, i}
	size := len(raw) + cachedOverhead
	if size > c.bytes {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.blocks[id] != nil {
		return // another reader was as quick
	}
	c.blocks[id] = c.order.PushFront(&cached{id, raw, mem.hold(), read})
	for c.used += size; c.used > c.bytes; {
		last := c.order.Back()
		if !last.Value.(*cached).read { // read too early, for so many readers
			c.ahead.Store(max(c.ahead.Load()/2, aheadSize))
		}
		c.drop(last)
	}
}

func (c *Cache) drop(e *list.Element) {
	b := c.order.Remove(e).(*cached)
	delete(c.blocks, b.id)
	b.mem.Unpin()
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
