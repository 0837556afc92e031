package journal

import (
	"github.com/thalweg/thalweg/internal/vfs"
)

// watched is a file system that reports each failed sync. After one, the
// kernel may have dropped what was not on disk and call it clean, so neither
// trying again nor going on beside it can be trusted, whichever file it was.
type watched struct {
	vfs.FS
	failed func(error)
}

type watchedFile struct {
	vfs.File
	failed func(error)
}

func (w watched) wrap(f vfs.File, err error) (vfs.File, error) {
	if err != nil {
		return nil, err
	}
	return watchedFile{f, w.failed}, nil
}

func (w watched) Create(name string) (vfs.File, error) { return w.wrap(w.FS.Create(name)) }
func (w watched) CreateDirect(name string) (vfs.File, error) {
	return w.wrap(w.FS.CreateDirect(name))
}
func (w watched) OpenRW(name string) (vfs.File, error) { return w.wrap(w.FS.OpenRW(name)) }

func (w watched) SyncDir(dir string) error { return w.check(w.FS.SyncDir(dir)) }

func (w watched) check(err error) error {
	if err != nil {
		w.failed(err)
	}
	return err
}

func (f watchedFile) Sync() error     { return f.check(f.File.Sync()) }
func (f watchedFile) SyncData() error { return f.check(f.File.SyncData()) }

func (f watchedFile) check(err error) error {
	if err != nil {
		f.failed(err)
	}
	return err
}
