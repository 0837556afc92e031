package vfs

import (
	"io"
	iofs "io/fs"
	"sync"
	"sync/atomic"
	"syscall"
	"unsafe"
)

// A file in memory is a list of chunks, so that growing it copies nothing.
// A nil chunk is a hole and reads as zeros, as do bytes past a short chunk's
// end: the last chunk of a small file is only as long as it needs to be.
const (
	chunkSize = 256 << 10
	minChunk  = 4 << 10
)

// memNode is a file's content, whatever names lead to it.
type memNode struct {
	links, opens int // guarded by Mem.mu

	mu        sync.RWMutex
	chunks    [][]byte
	size      int64
	allocated int64     // bytes in chunks, as counted in Mem.used
	crash     *unsynced // nil when the Mem is not crashable
}

// lock is taken by what changes the file; a CrashClone sees all of it or
// nothing.
func (n *memNode) lock() {
	if n.crash != nil {
		n.crash.world.RLock()
	}
	n.mu.Lock()
}

func (n *memNode) unlock() {
	n.mu.Unlock()
	if n.crash != nil {
		n.crash.world.RUnlock()
	}
}

// memFile is one opening of a file.
type memFile struct {
	fs     *Mem
	node   *memNode
	name   string
	write  bool
	direct bool // made by CreateDirect
	closed atomic.Bool
}

// check says why the file cannot be used so, or nil.
func (f *memFile) check(op string, write bool, off int64) error {
	switch {
	case f.closed.Load():
		return pathError(op, f.name, iofs.ErrClosed)
	case write && !f.write:
		return pathError(op, f.name, syscall.EBADF)
	case off < 0:
		return pathError(op, f.name, syscall.EINVAL)
	}
	return nil
}

func (f *memFile) Close() error {
	if f.closed.Swap(true) {
		return pathError("close", f.name, iofs.ErrClosed)
	}
	f.fs.mu.Lock()
	defer f.fs.mu.Unlock()
	f.node.opens--
	f.fs.forget(f.node)
	return nil
}

func (f *memFile) ReadAt(p []byte, off int64) (int, error) {
	if err := f.check("read", false, off); err != nil {
		return 0, err
	}
	n := f.node
	n.mu.RLock()
	defer n.mu.RUnlock()
	if len(p) == 0 {
		return 0, nil
	}
	if off >= n.size {
		return 0, io.EOF
	}
	got := int(min(int64(len(p)), n.size-off))
	n.read(p[:got], off)
	if got < len(p) {
		return got, io.EOF
	}
	return got, nil
}

// sectors tells whether p at off is what direct writing takes.
func sectors(p []byte, off int64) bool {
	return (int64(uintptr(unsafe.Pointer(unsafe.SliceData(p))))|int64(len(p))|off)%Sector == 0
}

// read fills p, which lies within the file. n.mu is held.
func (n *memNode) read(p []byte, off int64) {
	for len(p) > 0 {
		at := int(off % chunkSize)
		part := p[:min(len(p), chunkSize-at)]
		var c []byte
		if i := int(off / chunkSize); i < len(n.chunks) {
			c = n.chunks[i]
		}
		done := 0
		if at < len(c) {
			done = copy(part, c[at:])
		}
		clear(part[done:])
		p, off = p[len(part):], off+int64(len(part))
	}
}

func (f *memFile) WriteAt(p []byte, off int64) (int, error) {
	if err := f.check("write", true, off); err != nil {
		return 0, err
	}
	if f.direct && !sectors(p, off) {
		return 0, pathError("write", f.name, syscall.EINVAL)
	}
	f.node.lock()
	defer f.node.unlock()
	if err := f.node.grow(f.fs, off, int64(len(p))); err != nil {
		return 0, pathError("write", f.name, err)
	}
	f.node.put(p, off)
	return len(p), nil
}

func (f *memFile) WriteVec(bufs [][]byte, off int64) error {
	if err := f.check("write", true, off); err != nil {
		return err
	}
	if f.direct {
		return pathError("write", f.name, syscall.EINVAL)
	}
	var total int64
	for _, b := range bufs {
		total += int64(len(b))
	}
	f.node.lock()
	defer f.node.unlock()
	if err := f.node.grow(f.fs, off, total); err != nil {
		return pathError("write", f.name, err)
	}
	for _, b := range bufs {
		f.node.put(b, off)
		off += int64(len(b))
	}
	return nil
}

// grow allocates what a write of length bytes at off needs, all or nothing,
// notes what it is about to overwrite and moves the size. n.mu is held.
func (n *memNode) grow(fs *Mem, off, length int64) error {
	if length == 0 {
		return nil
	}
	first, last := int(off/chunkSize), int((off+length-1)/chunkSize)
	want := func(i int) int {
		if i < last {
			return chunkSize
		}
		return chunkFor(int((off+length-1)%chunkSize) + 1)
	}
	var more int64
	for i := first; i <= last; i++ {
		have := 0
		if i < len(n.chunks) {
			have = len(n.chunks[i])
		}
		more += int64(max(want(i)-have, 0))
	}
	if more > 0 {
		if err := fs.take(more); err != nil {
			return err
		}
		n.allocated += more
		for len(n.chunks) <= last {
			n.chunks = append(n.chunks, nil)
		}
		for i := first; i <= last; i++ {
			if w := want(i); w > len(n.chunks[i]) {
				c := make([]byte, w)
				copy(c, n.chunks[i])
				n.chunks[i] = c
			}
		}
	}
	if n.crash != nil {
		n.crash.before(n, off, length)
	}
	n.size = max(n.size, off+length)
	return nil
}

// chunkFor returns the length of a chunk that holds n bytes: powers of two, so
// that a file growing in small steps is copied little.
func chunkFor(n int) int {
	c := minChunk
	for c < n {
		c *= 2
	}
	return min(c, chunkSize)
}

// put copies p to off, where grow has made room. n.mu is held.
func (n *memNode) put(p []byte, off int64) {
	for len(p) > 0 {
		done := copy(n.chunks[off/chunkSize][off%chunkSize:], p)
		p, off = p[done:], off+int64(done)
	}
}

func (f *memFile) Sync() error {
	if err := f.check("sync", false, 0); err != nil {
		return err
	}
	if f.node.crash != nil {
		f.node.lock()
		defer f.node.unlock()
		f.node.crash.sync(f.node)
	}
	return nil
}

func (f *memFile) SyncData() error { return f.Sync() }

func (f *memFile) Size() (int64, error) {
	if err := f.check("stat", false, 0); err != nil {
		return 0, err
	}
	f.node.mu.RLock()
	defer f.node.mu.RUnlock()
	return f.node.size, nil
}

func (f *memFile) Truncate(size int64) error {
	if err := f.check("truncate", true, size); err != nil {
		return err
	}
	n := f.node
	n.lock()
	defer n.unlock()
	if size < n.size {
		n.zero(f.fs, size, n.size-size)
		n.cut(f.fs, int((size+chunkSize-1)/chunkSize))
	}
	n.size = size
	return nil
}

func (f *memFile) Punch(off, length int64) error {
	if err := f.check("punch", true, off); err != nil {
		return err
	}
	n := f.node
	n.lock()
	defer n.unlock()
	n.zero(f.fs, off, min(length, n.size-off))
	return nil
}

// zero makes [off, off+length) a hole, giving back whole chunks. n.mu is held.
func (n *memNode) zero(fs *Mem, off, length int64) {
	if length <= 0 {
		return
	}
	if n.crash != nil {
		n.crash.before(n, off, length)
	}
	for end := off + length; off < end; {
		i, at := int(off/chunkSize), int(off%chunkSize)
		if i >= len(n.chunks) {
			break
		}
		part := int(min(int64(chunkSize-at), end-off))
		switch c := n.chunks[i]; {
		case at == 0 && part >= len(c):
			n.free(fs, i)
		case at < len(c):
			clear(c[at:min(at+part, len(c))])
		}
		off += int64(part)
	}
}

// cut drops the chunks from the i-th on. n.mu is held.
func (n *memNode) cut(fs *Mem, i int) {
	for j := i; j < len(n.chunks); j++ {
		n.free(fs, j)
	}
	n.chunks = n.chunks[:min(i, len(n.chunks))]
}

// free gives the i-th chunk back. n.mu is held.
func (n *memNode) free(fs *Mem, i int) {
	size := int64(len(n.chunks[i]))
	n.chunks[i] = nil
	n.allocated -= size
	_ = fs.take(-size) // giving back is never refused
}
