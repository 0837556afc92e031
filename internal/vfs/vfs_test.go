package vfs

import (
	"bytes"
	"errors"
	"io"
	iofs "io/fs"
	"math/rand/v2"
	"runtime"
	"slices"
	"sync"
	"testing"
)

// systems runs a test of the contract over every file system, in a folder that
// exists.
func systems(t *testing.T, test func(t *testing.T, fs FS, dir string)) {
	t.Run("os", func(t *testing.T) { test(t, OS(), t.TempDir()) })
	t.Run("mem", func(t *testing.T) { test(t, NewMem(0), "/") })
	t.Run("crashable", func(t *testing.T) { test(t, NewCrashable(64<<20), "/") })
	t.Run("faulty", func(t *testing.T) { test(t, NewFaulty(NewMem(0), Hooks{}), "/") })
}

func must[T any](t testing.TB) func(v T, err error) T {
	return func(v T, err error) T {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
}

func ok(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func read(t testing.TB, f File) []byte {
	t.Helper()
	b := make([]byte, must[int64](t)(f.Size()))
	if n, err := f.ReadAt(b, 0); n < len(b) {
		t.Fatal(n, err)
	}
	return b
}

func TestBytes(t *testing.T) {
	systems(t, func(t *testing.T, fs FS, dir string) {
		f := must[File](t)(fs.Create(dir + "/a"))
		defer f.Close()
		rnd := rand.New(rand.NewPCG(1, 2))
		var model []byte
		put := func(p []byte, off int) {
			if need := off + len(p); need > len(model) && len(p) > 0 {
				model = append(model, make([]byte, need-len(model))...)
			}
			copy(model[min(off, len(model)):], p)
		}
		for i := range 300 {
			off, n := rnd.IntN(3*chunkSize), rnd.IntN(chunkSize)
			if rnd.IntN(2) == 0 {
				n = rnd.IntN(2000)
			}
			p := bytes.Repeat([]byte{byte(i + 1)}, n)
			switch rnd.IntN(6) {
			case 0, 1:
				if got := must[int](t)(f.WriteAt(p, int64(off))); got != n {
					t.Fatalf("wrote %d of %d bytes", got, n)
				}
				put(p, off)
			case 2, 3:
				cut := rnd.IntN(n + 1)
				ok(t, f.WriteVec([][]byte{p[:cut], nil, p[cut:]}, int64(off)))
				put(p, off)
			case 4:
				ok(t, f.Punch(int64(off), int64(n)))
				if fs == OS() && runtime.GOOS != "linux" { // where the system cannot, it does nothing
					model = read(t, f)
				} else if off < len(model) {
					clear(model[off:min(off+n, len(model))])
				}
			case 5:
				ok(t, f.Truncate(int64(off)))
				model = append(model[:min(off, len(model))], make([]byte, max(0, off-len(model)))...)
			}
			if got := read(t, f); !bytes.Equal(got, model) {
				t.Fatalf("step %d: content differs, %d and %d bytes", i, len(got), len(model))
			}
		}
		ok(t, f.Sync())
		ok(t, f.SyncData())
	})
}

// More buffers than one pwritev takes (UIO_MAXIOV, 1024).
func TestWriteVecMany(t *testing.T) {
	systems(t, func(t *testing.T, fs FS, dir string) {
		f := must[File](t)(fs.Create(dir + "/a"))
		defer f.Close()
		var bufs [][]byte
		want := []byte("head")
		for i := range 2500 {
			bufs = append(bufs, bytes.Repeat([]byte{byte(i)}, i%7))
			want = append(want, bufs[i]...)
		}
		must[int](t)(f.WriteAt([]byte("head"), 0))
		ok(t, f.WriteVec(bufs, 4))
		if !bytes.Equal(read(t, f), want) {
			t.Fatal("content differs")
		}
		ok(t, f.WriteVec(nil, 9))
		ok(t, f.WriteVec([][]byte{nil}, 9e9))
		if must[int64](t)(f.Size()) != int64(len(want)) {
			t.Fatal("writing nothing moved the end")
		}
	})
}

func TestReadEnd(t *testing.T) {
	systems(t, func(t *testing.T, fs FS, dir string) {
		f := must[File](t)(fs.Create(dir + "/a"))
		defer f.Close()
		must[int](t)(f.WriteAt([]byte("abc"), 0))
		b := make([]byte, 5)
		if n, err := f.ReadAt(b, 1); n != 2 || err != io.EOF {
			t.Errorf("read across the end: %d, %v", n, err)
		}
		if n, err := f.ReadAt(b, 3); n != 0 || err != io.EOF {
			t.Errorf("read at the end: %d, %v", n, err)
		}
		if n, err := f.ReadAt(b[:3], 0); n != 3 || err != nil && err != io.EOF {
			t.Errorf("read up to the end: %d, %v", n, err)
		}
	})
}

func TestNames(t *testing.T) {
	systems(t, func(t *testing.T, fs FS, dir string) {
		list := func(d string, want ...string) {
			t.Helper()
			if got := must[[]string](t)(fs.List(d)); !slices.Equal(got, want) {
				t.Fatalf("names are %q, want %q", got, want)
			}
		}
		write := func(name, text string) {
			t.Helper()
			f := must[File](t)(fs.Create(name))
			must[int](t)(f.WriteAt([]byte(text), 0))
			ok(t, f.Close())
		}
		text := func(name, want string) {
			t.Helper()
			f := must[File](t)(fs.Open(name))
			defer f.Close()
			if got := read(t, f); string(got) != want {
				t.Fatalf("%s holds %q, want %q", name, got, want)
			}
		}
		ok(t, fs.MkdirAll(dir+"/x/y"))
		ok(t, fs.MkdirAll(dir+"/x/y"))
		list(dir, "x")
		list(dir + "/x/y")
		write(dir+"/x/b", "one")
		write(dir+"/x/a", "two")
		list(dir+"/x", "a", "b", "y")
		ok(t, fs.Rename(dir+"/x/a", dir+"/x/b"))
		list(dir+"/x", "b", "y")
		text(dir+"/x/b", "two")
		ok(t, fs.Rename(dir+"/x/b", dir+"/x/y/c"))
		list(dir+"/x", "y")
		text(dir+"/x/y/c", "two")
		ok(t, fs.SyncDir(dir+"/x"))
		write(dir+"/x/y/c", "")
		text(dir+"/x/y/c", "")
		if fs.Remove(dir+"/x/y") == nil {
			t.Fatal("removed a folder that is not empty")
		}
		ok(t, fs.Remove(dir+"/x/y/c"))
		ok(t, fs.Remove(dir+"/x/y"))
		list(dir + "/x")
	})
}

func TestErrors(t *testing.T) {
	systems(t, func(t *testing.T, fs FS, dir string) {
		_, opened := fs.Open(dir + "/no")
		_, openedRW := fs.OpenRW(dir + "/no")
		_, created := fs.Create(dir + "/no/a")
		_, listed := fs.List(dir + "/no")
		_, _, free := fs.Free(dir + "/no")
		for what, err := range map[string]error{
			"Open": opened, "OpenRW": openedRW, "Create": created, "List": listed, "Free": free, "SyncDir": fs.SyncDir(dir + "/no"),
			"Rename": fs.Rename(dir+"/no", dir+"/b"), "Remove": fs.Remove(dir + "/no"),
		} {
			if !errors.Is(err, iofs.ErrNotExist) {
				t.Errorf("%s of what is not there: %v", what, err)
			}
		}
		f := must[File](t)(fs.Create(dir + "/a"))
		r := must[File](t)(fs.Open(dir + "/a"))
		if _, err := r.WriteAt([]byte("x"), 0); err == nil {
			t.Error("a file open for reading takes writes")
		}
		if err := r.WriteVec([][]byte{[]byte("x")}, 0); err == nil {
			t.Error("a file open for reading takes vectors")
		}
		ok(t, r.Close())
		ok(t, f.Close())
		if f.Close() == nil {
			t.Error("closed twice")
		}
		_, wrote := f.WriteAt([]byte("x"), 0)
		for what, err := range map[string]error{"WriteAt": wrote, "WriteVec": f.WriteVec([][]byte{{1}}, 0), "SyncData": f.SyncData(), "Sync": f.Sync(), "Truncate": f.Truncate(1)} {
			if !errors.Is(err, iofs.ErrClosed) {
				t.Errorf("%s of a closed file: %v", what, err)
			}
		}
	})
}

// As POSIX has it: who has a file open keeps it, whatever becomes of its name.
func TestRemoveOpen(t *testing.T) {
	systems(t, func(t *testing.T, fs FS, dir string) {
		f := must[File](t)(fs.Create(dir + "/a"))
		must[int](t)(f.WriteAt([]byte("kept"), 0))
		ok(t, fs.Remove(dir+"/a"))
		if string(read(t, f)) != "kept" {
			t.Error("content went with the name")
		}
		ok(t, f.Close())
	})
}

func TestLock(t *testing.T) {
	systems(t, func(t *testing.T, fs FS, dir string) {
		l := must[io.Closer](t)(fs.Lock(dir + "/LOCK"))
		if _, err := fs.Lock(dir + "/LOCK"); !errors.Is(err, ErrLocked) {
			t.Fatalf("second lock: %v", err)
		}
		must[io.Closer](t)(fs.Lock(dir + "/OTHER")).Close()
		ok(t, l.Close())
		l = must[io.Closer](t)(fs.Lock(dir + "/LOCK"))
		if names := must[[]string](t)(fs.List(dir)); !slices.Equal(names, []string{"LOCK", "OTHER"}) {
			t.Error(names)
		}
		ok(t, l.Close())
	})
}

func TestFree(t *testing.T) {
	systems(t, func(t *testing.T, fs FS, dir string) {
		free, total, err := fs.Free(dir)
		if err != nil || free == 0 || free > total {
			t.Fatal(free, total, err)
		}
	})
}

func TestConcurrent(t *testing.T) {
	systems(t, func(t *testing.T, fs FS, dir string) {
		f := must[File](t)(fs.Create(dir + "/a"))
		defer f.Close()
		const block = 10_000
		var wg sync.WaitGroup
		for w := range 4 {
			wg.Go(func() {
				b := bytes.Repeat([]byte{byte(w + 1)}, block)
				got := make([]byte, block)
				for i := range 20 {
					off := int64((i*4 + w) * block)
					if err := f.WriteVec([][]byte{b[:7], b[7:]}, off); err != nil {
						t.Error(err)
					}
					if _, err := f.ReadAt(got, off); err != nil && err != io.EOF || !bytes.Equal(got, b) {
						t.Error("read something else than was written", err)
					}
					if err := f.SyncData(); err != nil {
						t.Error(err)
					}
				}
			})
		}
		wg.Wait()
	})
}

func BenchmarkWriteVec(b *testing.B) {
	for name, fs := range map[string]FS{"os": OS(), "mem": NewMem(0)} {
		b.Run(name, func(b *testing.B) {
			dir := b.TempDir()
			ok(b, fs.MkdirAll(dir))
			f := must[File](b)(fs.Create(dir + "/a"))
			defer f.Close()
			bufs := [][]byte{make([]byte, 100), make([]byte, 64<<10), make([]byte, 100), make([]byte, 64<<10)}
			b.SetBytes(200 + 128<<10)
			b.ReportAllocs()
			for i := 0; b.Loop(); i++ {
				if err := f.WriteVec(bufs, int64(i%64)<<18); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
