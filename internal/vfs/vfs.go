// Package vfs is the little of a file system that durable code needs, so that
// tests can pull the plug: the operating system's (OS), one in memory that
// forgets what was not synced (Mem), and one that fails on command (Faulty).
// Durable rooms use nothing else to touch a disk.
package vfs

import (
	"errors"
	"io"
	"unsafe"
)

// ErrLocked is Lock's answer while another process, or another holder in this
// one, has the lock.
var ErrLocked = errors.New("locked by another process")

// FS is a file system. Names are slash-separated paths. Errors are *fs.PathError
// or wrap fs.ErrNotExist and fs.ErrExist as those of package os do.
//
// What survives power loss: a file's bytes and size once File.Sync or SyncData
// returned after they were written; a name made, renamed or removed, once
// SyncDir of its folder returned; the folders of MkdirAll at once.
type FS interface {
	// Create makes a new file for reading and writing, or empties an old one.
	Create(name string) (File, error)
	// CreateDirect is Create for a file that is written once, from its start to
	// its end, and not read soon: where the system can, the bytes go straight to
	// the disk and take no room in its cache. They are written by WriteAt alone,
	// whole sectors of Aligned memory each time; Truncate sets the true size.
	CreateDirect(name string) (File, error)
	// CreatePrivate is Create for secrets: nobody but the owner may read the
	// file, where the system knows owners.
	CreatePrivate(name string) (File, error)
	// Open opens an existing file for reading; OpenRW also for writing.
	Open(name string) (File, error)
	OpenRW(name string) (File, error)
	// Rename moves a file, over another one if to exists.
	Rename(from, to string) error
	// Remove removes a file or an empty folder.
	Remove(name string) error
	// MkdirAll makes dir and the folders above it, durably.
	MkdirAll(dir string) error
	// List returns the names in dir, of files and folders, sorted.
	List(dir string) ([]string, error)
	SyncDir(dir string) error
	// Free returns the bytes that can still be written and the size of all.
	Free(dir string) (free, total uint64, err error)
	// Lock takes a lock on the file name, which it makes if need be. The lock
	// ends with Close of the answer, and with the process at the latest.
	Lock(name string) (io.Closer, error)
}

// File is an open file. ReadAt and WriteAt may be called concurrently.
type File interface {
	io.ReaderAt
	io.WriterAt
	io.Closer
	// WriteVec writes the buffers one after another from off on, as one call
	// to the system where that exists.
	WriteVec(bufs [][]byte, off int64) error
	// Sync makes all written bytes and the size durable; SyncData only what is
	// needed to read back written bytes (fdatasync).
	Sync() error
	SyncData() error
	Size() (int64, error)
	Truncate(size int64) error
	// Punch gives the bytes in [off, off+n) back to the system; they read as
	// zero from then on. Where the system cannot, it does nothing.
	Punch(off, n int64) error
}

// Sector is the unit of writing to a file that CreateDirect made.
const Sector = 4096

// Aligned returns an empty slice with room for n bytes at least, whose memory
// begins at a multiple of Sector.
func Aligned(n int) []byte {
	n = (n + Sector - 1) &^ (Sector - 1)
	b := make([]byte, n+Sector)
	skip := -int(uintptr(unsafe.Pointer(unsafe.SliceData(b)))) & (Sector - 1)
	return b[skip : skip : skip+n]
}
