package vfs

import (
	"fmt"
	"io"
	"sync/atomic"
)

// OpKind names an operation on a file system.
type OpKind uint8

// The operations, those that change something first.
const (
	OpCreate OpKind = iota + 1
	OpWrite
	OpSync
	OpSyncData
	OpTruncate
	OpPunch
	OpRename
	OpRemove
	OpMkdir
	OpSyncDir
	OpLock
	OpOpen
	OpRead
	OpList
	OpFree
)

// Changes reports whether operations of kind k change something.
func (k OpKind) Changes() bool { return k <= OpLock }

func (k OpKind) String() string {
	switch k {
	case OpCreate:
		return "create"
	case OpWrite:
		return "write"
	case OpSync:
		return "sync"
	case OpSyncData:
		return "syncdata"
	case OpTruncate:
		return "truncate"
	case OpPunch:
		return "punch"
	case OpRename:
		return "rename"
	case OpRemove:
		return "remove"
	case OpMkdir:
		return "mkdir"
	case OpSyncDir:
		return "syncdir"
	case OpLock:
		return "lock"
	case OpOpen:
		return "open"
	case OpRead:
		return "read"
	case OpList:
		return "list"
	case OpFree:
		return "free"
	}
	return fmt.Sprintf("op %d", k)
}

// Op is one operation about to happen, or just over.
type Op struct {
	Kind OpKind
	Name string // as the caller gave it; a file's as it was opened
	To   string // new name of a rename
	Off  int64  // of a write, read or punch
	Len  int64  // of those, and the new size of a truncation
	N    int    // numbers the changing operations from 1; 0 for the others
}

func (o Op) String() string {
	s := fmt.Sprintf("#%d %s %s", o.N, o.Kind, o.Name)
	switch o.Kind {
	case OpRename:
		s += " to " + o.To
	case OpWrite, OpRead, OpPunch, OpTruncate:
		s += fmt.Sprintf(" at %d, %d bytes", o.Off, o.Len)
	}
	return s
}

// ShortWrite is what a hook returns to let only the first Written bytes of a
// write through and then fail it with Err.
type ShortWrite struct {
	Written int64
	Err     error
}

func (e *ShortWrite) Error() string {
	return fmt.Sprintf("after %d bytes: %v", e.Written, e.Err)
}

func (e *ShortWrite) Unwrap() error { return e.Err }

// Hooks are called around each operation of a Faulty, on the goroutine that
// performs it and without a lock held; they may be called concurrently.
type Hooks struct {
	// Before may refuse the operation: it then does not happen and its error
	// comes back in a PathError.
	Before func(Op) error
	// After sees what happened; err is the operation's.
	After func(op Op, err error)
}

// Faulty is a file system that shows each operation on another one to hooks,
// which can make it fail. Closing files and locks is not shown.
type Faulty struct {
	fs    FS
	hooks Hooks
	n     atomic.Int64
}

// NewFaulty returns fs under hooks.
func NewFaulty(fs FS, hooks Hooks) *Faulty { return &Faulty{fs: fs, hooks: hooks} }

// Count returns how many changing operations there have been.
func (f *Faulty) Count() int { return int(f.n.Load()) }

// do performs op by call, between the hooks. call gets the number of bytes
// that may be written when that is bounded, else -1.
func (f *Faulty) do(op Op, call func(limit int64) error) error {
	if op.Kind.Changes() {
		op.N = int(f.n.Add(1))
	}
	var err error
	limit := int64(-1)
	if f.hooks.Before != nil {
		err = f.hooks.Before(op)
	}
	short, _ := err.(*ShortWrite)
	switch {
	case err == nil:
		err = call(limit)
	case short != nil && op.Kind == OpWrite:
		if failed := call(min(short.Written, op.Len)); failed != nil {
			err = failed
		} else {
			err = pathError(op.Kind.String(), op.Name, err)
		}
	default:
		err = pathError(op.Kind.String(), op.Name, err)
	}
	if f.hooks.After != nil {
		f.hooks.After(op, err)
	}
	return err
}

func (f *Faulty) file(op Op, open func(string) (File, error)) (File, error) {
	var file File
	err := f.do(op, func(int64) (err error) {
		file, err = open(op.Name)
		return err
	})
	if err != nil {
		return nil, err
	}
	return &faultyFile{fs: f, file: file, name: op.Name}, nil
}

func (f *Faulty) Create(name string) (File, error) {
	return f.file(Op{Kind: OpCreate, Name: name}, f.fs.Create)
}

func (f *Faulty) CreateDirect(name string) (File, error) {
	return f.file(Op{Kind: OpCreate, Name: name}, f.fs.CreateDirect)
}

func (f *Faulty) CreatePrivate(name string) (File, error) {
	return f.file(Op{Kind: OpCreate, Name: name}, f.fs.CreatePrivate)
}

func (f *Faulty) Open(name string) (File, error) {
	return f.file(Op{Kind: OpOpen, Name: name}, f.fs.Open)
}

func (f *Faulty) OpenRW(name string) (File, error) {
	return f.file(Op{Kind: OpOpen, Name: name}, f.fs.OpenRW)
}

func (f *Faulty) Rename(from, to string) error {
	return f.do(Op{Kind: OpRename, Name: from, To: to}, func(int64) error { return f.fs.Rename(from, to) })
}

func (f *Faulty) Remove(name string) error {
	return f.do(Op{Kind: OpRemove, Name: name}, func(int64) error { return f.fs.Remove(name) })
}

func (f *Faulty) MkdirAll(dir string) error {
	return f.do(Op{Kind: OpMkdir, Name: dir}, func(int64) error { return f.fs.MkdirAll(dir) })
}

func (f *Faulty) List(dir string) (names []string, err error) {
	err = f.do(Op{Kind: OpList, Name: dir}, func(int64) (err error) {
		names, err = f.fs.List(dir)
		return err
	})
	return names, err
}

func (f *Faulty) SyncDir(dir string) error {
	return f.do(Op{Kind: OpSyncDir, Name: dir}, func(int64) error { return f.fs.SyncDir(dir) })
}

func (f *Faulty) Free(dir string) (free, total uint64, err error) {
	err = f.do(Op{Kind: OpFree, Name: dir}, func(int64) (err error) {
		free, total, err = f.fs.Free(dir)
		return err
	})
	return free, total, err
}

func (f *Faulty) Lock(name string) (lock io.Closer, err error) {
	err = f.do(Op{Kind: OpLock, Name: name}, func(int64) (err error) {
		lock, err = f.fs.Lock(name)
		return err
	})
	return lock, err
}

type faultyFile struct {
	fs   *Faulty
	file File
	name string
}

func (f *faultyFile) Close() error { return f.file.Close() }

func (f *faultyFile) Size() (int64, error) { return f.file.Size() }

func (f *faultyFile) ReadAt(p []byte, off int64) (n int, err error) {
	err = f.fs.do(Op{Kind: OpRead, Name: f.name, Off: off, Len: int64(len(p))}, func(int64) (err error) {
		n, err = f.file.ReadAt(p, off)
		return err
	})
	return n, err
}

func (f *faultyFile) WriteAt(p []byte, off int64) (n int, err error) {
	err = f.fs.do(Op{Kind: OpWrite, Name: f.name, Off: off, Len: int64(len(p))}, func(limit int64) (err error) {
		if limit >= 0 {
			p = p[:limit]
		}
		n, err = f.file.WriteAt(p, off)
		return err
	})
	return n, err
}

func (f *faultyFile) WriteVec(bufs [][]byte, off int64) error {
	var total int64
	for _, b := range bufs {
		total += int64(len(b))
	}
	return f.fs.do(Op{Kind: OpWrite, Name: f.name, Off: off, Len: total}, func(limit int64) error {
		if limit < 0 {
			return f.file.WriteVec(bufs, off)
		}
		for _, b := range bufs {
			b = b[:min(limit, int64(len(b)))]
			if _, err := f.file.WriteAt(b, off); err != nil {
				return err
			}
			off, limit = off+int64(len(b)), limit-int64(len(b))
		}
		return nil
	})
}

func (f *faultyFile) Sync() error {
	return f.fs.do(Op{Kind: OpSync, Name: f.name}, func(int64) error { return f.file.Sync() })
}

func (f *faultyFile) SyncData() error {
	return f.fs.do(Op{Kind: OpSyncData, Name: f.name}, func(int64) error { return f.file.SyncData() })
}

func (f *faultyFile) Truncate(size int64) error {
	return f.fs.do(Op{Kind: OpTruncate, Name: f.name, Len: size}, func(int64) error { return f.file.Truncate(size) })
}

func (f *faultyFile) Punch(off, n int64) error {
	return f.fs.do(Op{Kind: OpPunch, Name: f.name, Off: off, Len: n}, func(int64) error { return f.file.Punch(off, n) })
}
