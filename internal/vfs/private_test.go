//go:build unix

package vfs

import (
	"os"
	"path/filepath"
	"testing"
)

// A secret is its owner's alone, also where a file that others could read was
// there before, perhaps still open in their hands.
func TestCreatePrivate(t *testing.T) {
	name := filepath.Join(t.TempDir(), "key")
	for range 2 {
		ok(t, os.WriteFile(name, []byte("old and longer"), 0o644))
		reader := must[*os.File](t)(os.Open(name))
		f := must[File](t)(OS().CreatePrivate(name))
		must[int](t)(f.WriteAt([]byte("secret"), 0))
		ok(t, f.Close())
		if mode := must[os.FileInfo](t)(os.Stat(name)).Mode(); mode.Perm() != 0o600 {
			t.Errorf("mode %v", mode)
		}
		if b := must[[]byte](t)(os.ReadFile(name)); string(b) != "secret" {
			t.Errorf("holds %q", b)
		}
		seen := make([]byte, 6)
		must[int](t)(reader.ReadAt(seen, 0))
		if string(seen) != "old an" {
			t.Errorf("its former reader sees %q", seen)
		}
		ok(t, reader.Close())
	}
	f := must[File](t)(NewFaulty(NewMem(1<<20), Hooks{}).CreatePrivate("key"))
	ok(t, f.Close())
}
