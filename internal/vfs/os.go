package vfs

import (
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"sync"
)

// OS returns the operating system's file system. Relative names are relative
// to the process's working directory.
func OS() FS { return osFS{} }

type osFS struct{}

func (osFS) Create(name string) (File, error) {
	return openFile(name, os.O_RDWR|os.O_CREATE|os.O_TRUNC, 0o640)
}

func (osFS) CreatePrivate(name string) (File, error) {
	// A file that was there would keep its permissions, and its readers.
	if err := os.Remove(name); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	return openFile(name, os.O_RDWR|os.O_CREATE|os.O_EXCL, 0o600)
}

func (osFS) Open(name string) (File, error) { return openFile(name, os.O_RDONLY, 0) }

func (osFS) OpenRW(name string) (File, error) { return openFile(name, os.O_RDWR, 0) }

func (osFS) Rename(from, to string) error { return os.Rename(from, to) }

func (osFS) Remove(name string) error { return os.Remove(name) }

func (fs osFS) MkdirAll(dir string) error {
	// The folders to be made, innermost first: the parent of each must be
	// synced for it to survive.
	var missing []string
	for d := filepath.Clean(dir); ; d = filepath.Dir(d) {
		if _, err := os.Stat(d); err == nil || d == filepath.Dir(d) {
			break
		}
		missing = append(missing, d)
	}
	if err := os.MkdirAll(dir, 0o750); err != nil {
		return err
	}
	for _, d := range missing {
		if err := fs.SyncDir(filepath.Dir(d)); err != nil {
			return err
		}
	}
	return nil
}

func (osFS) List(dir string) ([]string, error) {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil, err
	}
	names := make([]string, len(entries))
	for i, e := range entries {
		names[i] = e.Name()
	}
	return names, nil
}

func (osFS) SyncDir(dir string) error { return syncDir(dir) }

func (osFS) Free(dir string) (free, total uint64, err error) {
	if free, total, err = diskFree(dir); err != nil {
		return 0, 0, &os.PathError{Op: "statfs", Path: dir, Err: err}
	}
	return free, total, nil
}

func (osFS) Lock(name string) (io.Closer, error) {
	f, err := os.OpenFile(name, os.O_RDWR|os.O_CREATE, 0o640)
	if err != nil {
		return nil, err
	}
	if err := lockFile(f); err != nil {
		f.Close()
		return nil, &os.PathError{Op: "lock", Path: name, Err: err}
	}
	return f, nil // the lock goes with the descriptor
}

// osFile adds to an os.File what package os lacks. Those calls go by the bare
// descriptor, so open keeps Close from handing its number to another file
// under a call in progress.
type osFile struct {
	*os.File
	open sync.RWMutex
	vec  vector // reused from write to write
}

func openFile(name string, flag int, perm os.FileMode) (File, error) {
	f, err := os.OpenFile(name, flag, perm)
	if err != nil {
		return nil, err // not a typed nil
	}
	return &osFile{File: f}, nil
}

func (f *osFile) Close() error {
	f.open.Lock()
	defer f.open.Unlock()
	return f.File.Close()
}

func (f *osFile) Size() (int64, error) {
	info, err := f.File.Stat()
	if err != nil {
		return 0, err
	}
	return info.Size(), nil
}

// failed dresses an error of a bare system call as package os would.
func (f *osFile) failed(op string, err error) error {
	if err == nil {
		return nil
	}
	return &os.PathError{Op: op, Path: f.Name(), Err: err}
}
