//go:build !linux

package vfs

// vector is what Linux keeps between writes; here there is nothing to keep.
type vector struct{}

func (f *osFile) WriteVec(bufs [][]byte, off int64) error {
	for _, b := range bufs {
		n, err := f.WriteAt(b, off)
		if err != nil {
			return err
		}
		off += int64(n)
	}
	return nil
}

func (f *osFile) SyncData() error { return f.Sync() }

func (f *osFile) Punch(off, n int64) error { return nil }

func (fs osFS) CreateDirect(name string) (File, error) { return fs.Create(name) }
