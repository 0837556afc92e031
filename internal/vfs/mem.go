package vfs

import (
	"io"
	iofs "io/fs"
	"maps"
	"math"
	"path"
	"slices"
	"sync"
	"sync/atomic"
	"syscall"
)

// Mem is a file system in memory, with a size like a disk's. One made by
// NewCrashable also knows what a power cut would leave: see CrashClone.
// Names are cleaned and taken from the root, so "a/b" and "/a/b" are one.
type Mem struct {
	crashable bool
	size      int64 // bytes that files may take; 0: no bound

	used  atomic.Int64 // by file contents, counted as allocated
	world sync.RWMutex // when crashable: held by CrashClone against changes of files

	mu    sync.Mutex // taken before any memNode.mu
	dirs  map[string]*memDir
	locks map[string]bool
	ops   uint64 // dirOps so far
}

// memDir is a folder: its names as they are now, and when the Mem is crashable
// what of them is durable and the changes since, oldest first.
type memDir struct {
	names   map[string]*memNode
	durable map[string]*memNode
	pending []dirOp
}

func newDir() *memDir {
	return &memDir{names: map[string]*memNode{}, durable: map[string]*memNode{}}
}

// NewMem returns an empty file system that holds up to size bytes, counted in
// the blocks that files take; 0 means as many as memory can.
func NewMem(size int64) *Mem {
	return &Mem{size: size, dirs: map[string]*memDir{"/": newDir()}, locks: map[string]bool{}}
}

func clean(name string) string { return path.Clean("/" + name) }

func pathError(op, name string, err error) error {
	if err == nil {
		return nil
	}
	return &iofs.PathError{Op: op, Path: name, Err: err}
}

// split finds the folder of a name. m.mu is held.
func (m *Mem) split(name string) (dir *memDir, base string, err error) {
	name = clean(name)
	folder, base := path.Split(name)
	if dir = m.dirs[clean(folder)]; dir == nil {
		return nil, "", iofs.ErrNotExist
	}
	if m.dirs[name] != nil {
		return nil, "", syscall.EISDIR
	}
	return dir, base, nil
}

// find returns the file of a name. m.mu is held.
func (m *Mem) find(name string) (*memNode, error) {
	dir, base, err := m.split(name)
	if err != nil {
		return nil, err
	}
	n := dir.names[base]
	if n == nil {
		return nil, iofs.ErrNotExist
	}
	return n, nil
}

// set makes base in dir mean n, or nothing when n is nil, and lets go of what
// it meant before. m.mu is held.
func (m *Mem) set(dir *memDir, base string, n *memNode) {
	old := dir.names[base]
	if n == nil {
		delete(dir.names, base)
	} else {
		n.links++
		dir.names[base] = n
	}
	if old != nil {
		old.links--
		m.forget(old)
	}
}

// forget frees a file that has neither a name nor a user left. m.mu is held.
func (m *Mem) forget(n *memNode) {
	if n.links > 0 || n.opens > 0 {
		return
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	m.used.Add(-n.allocated)
	n.allocated = 0
	if !m.crashable { // a durable name may still lead to it
		n.chunks = nil
	}
}

// take reserves n more bytes (gives back when negative), or says ENOSPC.
func (m *Mem) take(n int64) error {
	if used := m.used.Add(n); n > 0 && m.size > 0 && used > m.size {
		m.used.Add(-n)
		return syscall.ENOSPC
	}
	return nil
}

// newFile makes base in dir an empty file. m.mu is held.
func (m *Mem) newFile(dir *memDir, base string) *memNode {
	n := &memNode{}
	if m.crashable {
		n.crash = &unsynced{world: &m.world}
		m.note(dir, dirOp{add: base, node: n})
	}
	m.set(dir, base, n)
	return n
}

func (m *Mem) Create(name string) (File, error) {
	m.mu.Lock()
	dir, base, err := m.split(name)
	if err != nil {
		m.mu.Unlock()
		return nil, pathError("create", name, err)
	}
	n := dir.names[base]
	fresh := n == nil
	if fresh {
		n = m.newFile(dir, base)
	}
	n.opens++
	m.mu.Unlock()
	f := &memFile{fs: m, node: n, name: name, write: true}
	if !fresh {
		if err := f.Truncate(0); err != nil {
			return nil, err
		}
	}
	return f, nil
}

// CreateDirect refuses, with EINVAL, the writes that a disk would.
func (m *Mem) CreateDirect(name string) (File, error) {
	f, err := m.Create(name)
	if err != nil {
		return nil, err
	}
	f.(*memFile).direct = true
	return f, nil
}

// CreatePrivate is Create: memory has one owner.
func (m *Mem) CreatePrivate(name string) (File, error) { return m.Create(name) }

func (m *Mem) Open(name string) (File, error) { return m.open(name, false) }

func (m *Mem) OpenRW(name string) (File, error) { return m.open(name, true) }

func (m *Mem) open(name string, write bool) (File, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	n, err := m.find(name)
	if err != nil {
		return nil, pathError("open", name, err)
	}
	n.opens++
	return &memFile{fs: m, node: n, name: name, write: write}, nil
}

func (m *Mem) Rename(from, to string) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	n, err := m.find(from)
	if err != nil {
		return pathError("rename", from, err)
	}
	src, a, _ := m.split(from)
	dst, b, err := m.split(to)
	if err != nil {
		return pathError("rename", to, err)
	}
	if src == dst && a == b {
		return nil
	}
	if src == dst {
		m.note(src, dirOp{drop: a, add: b, node: n})
	} else {
		m.note(src, dirOp{drop: a, far: dst})
		m.ops-- // one change, of which each folder knows its half
		m.note(dst, dirOp{add: b, node: n, far: src})
	}
	m.set(dst, b, n)
	m.set(src, a, nil)
	return nil
}

func (m *Mem) Remove(name string) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if d := m.dirs[clean(name)]; d != nil {
		if len(m.list(clean(name), d)) > 0 || clean(name) == "/" {
			return pathError("remove", name, syscall.ENOTEMPTY)
		}
		delete(m.dirs, clean(name))
		return nil
	}
	if _, err := m.find(name); err != nil {
		return pathError("remove", name, err)
	}
	dir, base, _ := m.split(name)
	m.note(dir, dirOp{drop: base})
	m.set(dir, base, nil)
	return nil
}

func (m *Mem) MkdirAll(dir string) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	for d := clean(dir); m.dirs[d] == nil; d = path.Dir(d) {
		if parent := m.dirs[path.Dir(d)]; parent != nil && parent.names[path.Base(d)] != nil {
			return pathError("mkdir", d, syscall.ENOTDIR)
		}
		m.dirs[d] = newDir()
	}
	return nil
}

func (m *Mem) List(dir string) ([]string, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	d := m.dirs[clean(dir)]
	if d == nil {
		return nil, pathError("list", dir, iofs.ErrNotExist)
	}
	return m.list(clean(dir), d), nil
}

// list returns the names in d, which is at dir. m.mu is held.
func (m *Mem) list(dir string, d *memDir) []string {
	names := slices.Collect(maps.Keys(d.names))
	for sub := range m.dirs {
		if sub != "/" && path.Dir(sub) == dir {
			names = append(names, path.Base(sub))
		}
	}
	slices.Sort(names)
	return names
}

func (m *Mem) SyncDir(dir string) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	d := m.dirs[clean(dir)]
	if d == nil {
		return pathError("syncdir", dir, iofs.ErrNotExist)
	}
	d.commit(m.ops)
	return nil
}

func (m *Mem) Free(dir string) (free, total uint64, err error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.dirs[clean(dir)] == nil {
		return 0, 0, pathError("statfs", dir, iofs.ErrNotExist)
	}
	total = uint64(m.size)
	if m.size <= 0 {
		total = math.MaxInt64
	}
	return total - min(total, uint64(m.used.Load())), total, nil
}

func (m *Mem) Lock(name string) (io.Closer, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	dir, base, err := m.split(name)
	if err != nil {
		return nil, pathError("lock", name, err)
	}
	if m.locks[clean(name)] {
		return nil, pathError("lock", name, ErrLocked)
	}
	if dir.names[base] == nil {
		m.newFile(dir, base)
	}
	m.locks[clean(name)] = true
	return &memLock{fs: m, name: clean(name)}, nil
}

type memLock struct {
	fs   *Mem
	name string
}

func (l *memLock) Close() error {
	l.fs.mu.Lock()
	defer l.fs.mu.Unlock()
	if l.name == "" {
		return iofs.ErrClosed
	}
	delete(l.fs.locks, l.name)
	l.name = ""
	return nil
}
