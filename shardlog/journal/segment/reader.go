package segment

import (
	"fmt"
	"path"
	"sync"
	"unsafe"

	"github.com/thalweg/thalweg/flow"
	"github.com/thalweg/thalweg/internal/vfs"
	"github.com/thalweg/thalweg/shardlog"
)

// Segment is a finished segment, open for reading. All methods may be called
// concurrently.
type Segment struct {
	fs     vfs.FS
	path   string
	file   vfs.File
	head   head
	blocks []block
	meta   Meta
	cache  *Cache
	id     uint64 // in the cache

	mu    sync.Mutex
	users int  // calls that read the file now
	gone  bool // closed: the last user closes the file
}

// Open opens a segment with a cache of its own that holds no blocks.
func Open(fs vfs.FS, name string) (*Segment, error) { return OpenWith(fs, name, nil) }

// OpenWith opens a segment that shares a cache with others. It reads and
// checks trailer and footer, and no block; what is wrong with them wraps
// shardlog.ErrCorrupt and names file and offset.
func OpenWith(fs vfs.FS, name string, c *Cache) (*Segment, error) {
	if c == nil {
		c = NewCache(0)
	}
	file, err := fs.Open(name)
	if err != nil {
		return nil, fmt.Errorf("open segment %s: %w", name, err)
	}
	s := &Segment{fs: fs, path: name, file: file, cache: c, id: c.ids.Add(1)}
	if err := s.load(); err != nil {
		_ = file.Close() // the other error is the one that matters
		return nil, err
	}
	return s, nil
}

func (s *Segment) load() error {
	size, err := s.file.Size()
	if err != nil {
		return fmt.Errorf("open segment %s: %w", s.path, err)
	}
	if size < trailerSize {
		return corrupt(s.path, size, flawed(0, "file ends before it has a trailer"))
	}
	end, err := readAt(s.file, s.path, nil, trailerSize, size-trailerSize)
	if err != nil {
		return err
	}
	off, n, sum, bad := decodeTrailer(end, size)
	if bad != nil {
		return corrupt(s.path, size-trailerSize, bad)
	}
	footer, err := readAt(s.file, s.path, nil, n, off)
	if err != nil {
		return err
	}
	if s.head, s.blocks, bad = decodeFooter(footer, off, sum); bad != nil {
		return corrupt(s.path, off, bad)
	}
	s.meta = metaOf(path.Base(s.path), s.head.class, size, s.blocks)
	return nil
}

// Meta says what the segment holds.
func (s *Segment) Meta() Meta { return s.meta }

// Store is the log that the segment belongs to.
func (s *Segment) Store() uint64 { return s.head.store }

// FooterBytes is about the memory that an open segment takes.
func (s *Segment) FooterBytes() int {
	return len(s.blocks)*int(unsafe.Sizeof(block{})) + int(unsafe.Sizeof(*s))
}

// Close lets go of the file once the calls under way are done; it does not
// wait for them. Later calls answer ErrClosed. The file may be removed from
// its folder before or after.
func (s *Segment) Close() error {
	s.mu.Lock()
	if s.gone {
		s.mu.Unlock()
		return nil
	}
	s.gone = true
	last := s.users == 0
	s.mu.Unlock()
	s.cache.forget(s.id)
	if last {
		return s.file.Close()
	}
	return nil
}

// acquire keeps the file open until release.
func (s *Segment) acquire() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.gone {
		return fmt.Errorf("segment %s: %w", s.path, ErrClosed)
	}
	s.users++
	return nil
}

func (s *Segment) release() {
	s.mu.Lock()
	s.users--
	last := s.gone && s.users == 0
	s.mu.Unlock()
	if last {
		_ = s.file.Close() // opened for reading: nothing can be lost
	}
}

// Read calls visit with the shard's frames whose last position is at or after
// from, in order, until it answers false or there are no more. The payloads
// are read-only. They stay valid while what hold is given is not unpinned; with
// a nil hold, during visit only. A block with a wrong checksum, or that does
// not hold what the footer says, ends the call with shardlog.ErrCorrupt, before
// any frame of it is visited.
func (s *Segment) Read(shard shardlog.Shard, from flow.Pos, hold func(shardlog.Pin), visit func(Frame) (more bool)) error {
	if err := s.acquire(); err != nil {
		return err
	}
	defer s.release()
	for i := find(s.blocks, shard, from); i < len(s.blocks) && s.blocks[i].shard == shard; i++ {
		rest, mem, err := s.block(i)
		if err != nil {
			return err
		}
		if mem != nil && hold != nil {
			hold(mem)
		}
		more := true
		for len(rest) > 0 && more {
			var f Frame
			f, rest = firstFrame(rest, shard)
			more = f.Last() < from || visit(f)
		}
		if hold == nil {
			mem.Unpin()
		}
		if !more {
			return nil
		}
		// Who goes on to the next block will go on to more.
		s.ahead(shard, i+1)
	}
	return nil
}

// Seek returns the position of the shard's first record whose time is at or
// after t (Unix milliseconds); false when there is none.
func (s *Segment) Seek(shard shardlog.Shard, t int64) (flow.Pos, bool, error) {
	if err := s.acquire(); err != nil {
		return 0, false, err
	}
	defer s.release()
	// One by one, since it is the footer in memory and nothing here relies on
	// clocks that never step back.
	for i := find(s.blocks, shard, 0); i < len(s.blocks) && s.blocks[i].shard == shard; i++ {
		if s.blocks[i].maxTime < t {
			continue
		}
		rest, mem, err := s.block(i)
		if err != nil {
			return 0, false, err
		}
		for len(rest) > 0 {
			var f Frame
			if f, rest = firstFrame(rest, shard); f.Time >= t {
				mem.Unpin()
				return f.Pos, true, nil
			}
		}
		mem.Unpin()
	}
	return 0, false, nil
}

// block returns the raw bytes of block i, checked, from the cache or from the
// file, with a hold on their memory.
func (s *Segment) block(i int) ([]byte, *memory, error) {
	for {
		raw, mem, over, n := s.cache.claim(s.id, i, i+1)
		switch {
		case raw != nil:
			return raw, mem, nil
		case n > 0:
			return s.fetch(i, n)
		}
		<-over // somebody reads it already
	}
}

// aheadSize is how much of a shard is read at once for a reader who goes
// through it.
const aheadSize = 1 << 20

// ahead has the blocks of the shard read that a reader who is at block i will
// come to. There may be no such block.
func (s *Segment) ahead(shard shardlog.Shard, i int) {
	far := s.reach(shard, i, s.cache.far())
	if at := s.cache.missing(s.id, i, far); at >= 0 && s.cache.begin() {
		raw, mem, _, n := s.cache.claim(s.id, at, s.reach(shard, at, aheadSize))
		if n == 0 || s.acquire() != nil {
			if raw != nil { // somebody was faster
				mem.Unpin()
			}
			s.cache.settle(s.id, at, n)
			s.cache.end()
			return
		}
		go func() {
			defer s.release()
			defer s.cache.end()
			_, mem, _ := s.fetch(at, n) // what is wrong is for whoever comes to it
			mem.Unpin()
		}()
	}
}

// reach returns the end of the shard's blocks that follow each other from i on
// and have at most so many bytes together; of one block at least, if i is one.
func (s *Segment) reach(shard shardlog.Shard, i, bytes int) int {
	end := i
	for n := 0; end < len(s.blocks) && s.blocks[end].shard == shard; end++ {
		if n += int(s.blocks[end].stored); end > i && n > bytes {
			break
		}
	}
	return end
}

// fetch reads n blocks from i on, which the caller has claimed, and returns the
// raw bytes of the first, with a hold on their memory.
func (s *Segment) fetch(i, n int) (first []byte, mem *memory, err error) {
	defer s.cache.settle(s.id, i, n)
	at, end := s.blocks[i].off, s.blocks[i+n-1].off+int64(s.blocks[i+n-1].stored)
	read := s.cache.pool.get(int(end - at))
	defer read.Unpin()
	stored, err := readAt(s.file, s.path, read.bytes(), int(end-at), at)
	if err != nil {
		return nil, nil, err
	}
	for k := i; k < i+n; k++ {
		b := &s.blocks[k]
		from := b.off - at
		raw, err := s.decode(nil, stored[from:from+int64(b.stored):from+int64(b.stored)], b)
		in := read
		if b.codec != plain {
			in = nil // decompressed, it is elsewhere
		}
		switch {
		case err != nil && k == i:
			return nil, nil, err
		case err != nil:
			return first, mem, nil // whoever comes to it will be told
		case k == i:
			first, mem = raw, in.hold()
		}
		s.cache.put(s.id, k, raw, in, k == i)
	}
	return first, mem, nil
}

// decode checks a block's stored bytes and returns the raw ones: the same
// memory for a plain block, else dst's when it is large enough.
func (s *Segment) decode(dst, stored []byte, b *block) ([]byte, error) {
	if bad := checkStored(stored, b); bad != nil {
		return nil, corrupt(s.path, b.off, bad)
	}
	raw := stored
	if b.codec != plain {
		var err error
		if raw, err = s.cache.expand(dst, stored, b); err != nil {
			if bad, ok := err.(*flaw); ok {
				return nil, corrupt(s.path, b.off, bad)
			}
			return nil, err
		}
	}
	if bad := checkBlock(raw, b); bad != nil {
		if b.codec != plain {
			bad = flawed(0, "decompressed, %v", bad) // its place is not one in the file
		}
		return nil, corrupt(s.path, b.off, bad)
	}
	return raw, nil
}

// Punch gives the bytes of dropped shards back to the file system. Reading
// such a shard is an error from then on (or still works: that depends on the
// file system), so the caller must have stopped that. Nothing is lost when a
// crash undoes it, and it may be repeated.
func (s *Segment) Punch(dropped func(shardlog.Shard) bool) error {
	if err := s.acquire(); err != nil {
		return err
	}
	defer s.release()
	var file vfs.File // opened at the first hole
	var hole, n int64
	punch := func() error {
		if n == 0 {
			return nil
		}
		if file == nil {
			f, err := s.fs.OpenRW(s.path)
			if err != nil {
				return err
			}
			file = f
		}
		err := file.Punch(hole, n)
		n = 0
		return err
	}
	err := func() error {
		for i := 0; i < len(s.blocks); {
			shard, from := s.blocks[i].shard, s.blocks[i].off
			end := from
			for ; i < len(s.blocks) && s.blocks[i].shard == shard; i++ {
				end = s.blocks[i].off + int64(s.blocks[i].stored)
			}
			if !dropped(shard) {
				if err := punch(); err != nil {
					return err
				}
				continue
			}
			if n == 0 {
				hole = from
			}
			n = end - hole
		}
		return punch()
	}()
	if file != nil {
		if e := file.Close(); err == nil {
			err = e
		}
	}
	if err != nil {
		return fmt.Errorf("punch segment %s: %w", s.path, err)
	}
	return nil
}
