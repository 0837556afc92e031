package vfs

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"syscall"
	"testing"

	"pgregory.net/rapid"
)

func TestMemQuota(t *testing.T) {
	m := NewMem(1 << 20)
	f := must[File](t)(m.Create("a"))
	must[int](t)(f.WriteAt(make([]byte, 768<<10), 0))
	if free, total, _ := m.Free("/"); free != 256<<10 || total != 1<<20 {
		t.Fatal(free, total)
	}
	if n, err := f.WriteAt(make([]byte, 300<<10), 768<<10); n != 0 || !errors.Is(err, syscall.ENOSPC) {
		t.Fatal(n, err)
	}
	if must[int64](t)(f.Size()) != 768<<10 {
		t.Fatal("a refused write moved the end")
	}
	must[int](t)(f.WriteAt(make([]byte, 768<<10), 0)) // in place: needs no room
	ok(t, f.Punch(256<<10, 256<<10))
	if free, _, _ := m.Free("/"); free != 512<<10 {
		t.Fatal("punching freed nothing", free)
	}
	ok(t, f.Truncate(100))
	ok(t, m.Remove("a"))
	if free, _, _ := m.Free("/"); free == 1<<20 {
		t.Fatal("an open file takes no room")
	}
	ok(t, f.Close())
	if free, _, _ := m.Free("/"); free != 1<<20 {
		t.Fatal("removing freed nothing", free)
	}
}

// A file in the crash model: what is durable, and what is there now.
type modelFile struct{ durable, now []byte }

// Whatever is done, SurviveNone leaves exactly what was synced, SurviveAll all,
// and SurviveSome sectors of either.
func TestCrashBytes(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		m := NewCrashable(0)
		f, err := m.Create("f")
		if err != nil {
			t.Fatal(err)
		}
		if err := m.SyncDir("/"); err != nil {
			t.Fatal(err)
		}
		var model modelFile
		offset := rapid.IntRange(0, 5000)
		t.Repeat(map[string]func(*rapid.T){
			"write": func(t *rapid.T) {
				off, p := offset.Draw(t, "off"), bytes.Repeat([]byte{rapid.Byte().Draw(t, "fill")}, rapid.IntRange(1, 2000).Draw(t, "len"))
				if _, err := f.WriteAt(p, int64(off)); err != nil {
					t.Fatal(err)
				}
				if need := off + len(p); need > len(model.now) {
					model.now = append(model.now, make([]byte, need-len(model.now))...)
				}
				copy(model.now[off:], p)
			},
			"punch": func(t *rapid.T) {
				off, n := offset.Draw(t, "off"), offset.Draw(t, "len")
				if err := f.Punch(int64(off), int64(n)); err != nil {
					t.Fatal(err)
				}
				if off < len(model.now) {
					clear(model.now[off:min(off+n, len(model.now))])
				}
			},
			"truncate": func(t *rapid.T) {
				n := offset.Draw(t, "size")
				if err := f.Truncate(int64(n)); err != nil {
					t.Fatal(err)
				}
				model.now = append(model.now[:min(n, len(model.now))], make([]byte, max(0, n-len(model.now)))...)
			},
			"sync": func(t *rapid.T) {
				if err := rapid.SampledFrom([]func() error{f.Sync, f.SyncData}).Draw(t, "how")(); err != nil {
					t.Fatal(err)
				}
				model.durable = bytes.Clone(model.now)
			},
			"": func(t *rapid.T) {
				seed := rapid.Uint64().Draw(t, "seed")
				if now := contents(t, m.KillClone())["f"]; !bytes.Equal(now, model.now) {
					t.Fatal("a killed process lost what it wrote")
				}
				none, all, some := clone(t, m, Crash{}), clone(t, m, Crash{Survive: SurviveAll}), clone(t, m, Crash{SurviveSome, seed})
				if !bytes.Equal(none["f"], model.durable) {
					t.Fatal("what was synced is not what is left")
				}
				if !bytes.Equal(all["f"], model.now) {
					t.Fatal("not all survived")
				}
				checkMix(t, some["f"], model)
			},
		})
	})
}

// clone cuts the power and reads every file of what is left. What is left is
// durable, and a process that dies first makes no difference to it.
func clone(t *rapid.T, m *Mem, c Crash) map[string][]byte {
	left := m.CrashClone(c)
	files := contents(t, left)
	for what, other := range map[string]*Mem{"a second cut": left.CrashClone(Crash{}), "a killed process": m.KillClone().CrashClone(c)} {
		if !maps.EqualFunc(contents(t, other), files, bytes.Equal) {
			t.Fatal(what, "left something else")
		}
	}
	return files
}

func contents(t *rapid.T, m *Mem) map[string][]byte {
	names, _ := m.List("/")
	files := map[string][]byte{}
	for _, name := range names {
		f, err := m.Open(name)
		if err != nil {
			t.Fatal(err)
		}
		size, _ := f.Size()
		files[name] = make([]byte, size)
		if _, err := f.ReadAt(files[name], 0); err != nil && err != io.EOF {
			t.Fatal(err)
		}
	}
	return files
}

// checkMix checks that each sector of got is the durable one or the newest.
func checkMix(t *rapid.T, got []byte, model modelFile) {
	if len(got) < min(len(model.durable), len(model.now)) || len(got) > max(len(model.durable), len(model.now)) {
		t.Fatalf("size %d survived of %d and %d", len(got), len(model.durable), len(model.now))
	}
	pad := func(b []byte) []byte { return append(bytes.Clone(b), make([]byte, 16<<10)...) }
	old, now := pad(model.durable), pad(model.now)
	for off := 0; off < len(got); off += sectorSize {
		end := min(off+sectorSize, len(got))
		if s := got[off:end]; !bytes.Equal(s, old[off:end]) && !bytes.Equal(s, now[off:end]) {
			t.Fatalf("sector at %d is neither old nor new", off)
		}
	}
}

// Names: synced ones are left as they are; of the others, the oldest changes.
func TestCrashNames(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		m := NewCrashable(0)
		var states []map[string]string // the folder after the last sync and after each change since
		now := map[string]string{}
		states = append(states, maps.Clone(now))
		name, made := rapid.SampledFrom([]string{"a", "b", "c"}), 0
		t.Repeat(map[string]func(*rapid.T){
			"create": func(t *rapid.T) {
				n := name.Draw(t, "name")
				if _, exists := now[n]; exists {
					return
				}
				made++
				text := fmt.Sprint("text ", made)
				f, err := m.Create(n)
				if err != nil {
					t.Fatal(err)
				}
				f.WriteAt([]byte(text), 0)
				f.Sync()
				f.Close()
				now[n] = text
				states = append(states, maps.Clone(now))
			},
			"rename": func(t *rapid.T) {
				from, to := name.Draw(t, "from"), name.Draw(t, "to")
				err := m.Rename(from, to)
				if text, exists := now[from]; exists != (err == nil) {
					t.Fatal(err)
				} else if exists && from != to {
					delete(now, from)
					now[to] = text
					states = append(states, maps.Clone(now))
				}
			},
			"remove": func(t *rapid.T) {
				n := name.Draw(t, "name")
				err := m.Remove(n)
				if _, exists := now[n]; exists != (err == nil) {
					t.Fatal(err)
				} else if exists {
					delete(now, n)
					states = append(states, maps.Clone(now))
				}
			},
			"sync": func(t *rapid.T) {
				if err := m.SyncDir("/"); err != nil {
					t.Fatal(err)
				}
				states = []map[string]string{maps.Clone(now)}
			},
			"": func(t *rapid.T) {
				text := func(c Crash) map[string]string {
					out := map[string]string{}
					for name, b := range clone(t, m, c) {
						out[name] = string(b)
					}
					return out
				}
				if got := text(Crash{}); !maps.Equal(got, states[0]) {
					t.Fatalf("names left are %v, synced were %v", got, states[0])
				}
				if got := text(Crash{Survive: SurviveAll}); !maps.Equal(got, now) {
					t.Fatalf("names left are %v of %v", got, now)
				}
				got := text(Crash{SurviveSome, rapid.Uint64().Draw(t, "seed")})
				if !slices.ContainsFunc(states, func(s map[string]string) bool { return maps.Equal(s, got) }) {
					t.Fatalf("names left are %v, which never were: %v", got, states)
				}
			},
		})
	})
}

// A rename between folders is not lost half, whichever folder is synced.
func TestCrashRenameBetweenFolders(t *testing.T) {
	for _, synced := range []string{"/x", "/y"} {
		m := NewCrashable(0)
		ok(t, m.MkdirAll("/x"))
		ok(t, m.MkdirAll("/y"))
		must[File](t)(m.Create("/x/a")).Close()
		ok(t, m.SyncDir("/x"))
		must[File](t)(m.Create("/y/b")).Close()
		ok(t, m.Rename("/x/a", "/y/b"))
		ok(t, m.SyncDir(synced))
		left := m.CrashClone(Crash{})
		x, y := must[[]string](t)(left.List("/x")), must[[]string](t)(left.List("/y"))
		if len(x) != 0 || !slices.Equal(y, []string{"b"}) {
			t.Errorf("after a sync of %s: %v and %v", synced, x, y)
		}
	}
}

// What was forsaken can be read, and gets to the disk only when it is written
// again.
func TestForsake(t *testing.T) {
	m := NewCrashable(0)
	f := must[File](t)(m.Create("f"))
	ok(t, m.SyncDir("/"))
	second := func(m *Mem) string {
		b := make([]byte, 2*sectorSize)
		must[int](t)(must[File](t)(m.Open("f")).ReadAt(b, 0))
		return string(b[sectorSize-1 : sectorSize+1])
	}
	write := func(text string, off int64) { must[int](t)(f.WriteAt(bytes.Repeat([]byte(text), sectorSize), off)) }
	write("aa", 0)
	ok(t, f.Sync())
	write("bb", 0)
	m.Forsake()
	ok(t, f.Sync())
	if now, left := second(m), second(m.KillClone().CrashClone(Crash{})); now != "bb" || left != "aa" {
		t.Errorf("%q, and %q after a power cut", now, left)
	}
	write("c", sectorSize)
	ok(t, f.Sync())
	if now, left := second(m), second(m.CrashClone(Crash{})); now != "bc" || left != "ac" {
		t.Errorf("%q, and %q after a power cut", now, left)
	}
}

func TestCrashFreesLocks(t *testing.T) {
	m := NewCrashable(0)
	must[io.Closer](t)(m.Lock("LOCK"))
	must[io.Closer](t)(m.CrashClone(Crash{}).Lock("LOCK"))
}

func TestFaulty(t *testing.T) {
	var seen []string
	fail := map[int]error{4: syscall.EIO, 5: &ShortWrite{3, syscall.ENOSPC}}
	m := NewMem(0)
	fs := NewFaulty(m, Hooks{
		Before: func(op Op) error { return fail[op.N] },
		After:  func(op Op, err error) { seen = append(seen, fmt.Sprint(op.N, op.Kind, err != nil)) },
	})
	ok(t, fs.MkdirAll("d"))
	f := must[File](t)(fs.Create("d/a"))
	must[int](t)(f.WriteAt([]byte("abc"), 0))
	if err := f.SyncData(); !errors.Is(err, syscall.EIO) {
		t.Fatal(err)
	}
	if err := f.WriteVec([][]byte{[]byte("AB"), []byte("CD")}, 0); !errors.Is(err, syscall.ENOSPC) {
		t.Fatal(err)
	}
	if got := string(read(t, f)); got != "ABC" {
		t.Fatalf("a short write left %q", got)
	}
	ok(t, fs.Rename("d/a", "d/b"))
	ok(t, fs.SyncDir("d"))
	want := []string{"1 mkdir false", "2 create false", "3 write false", "4 syncdata true", "5 write true", "0 read false", "6 rename false", "7 syncdir false"}
	if !slices.Equal(seen, want) || fs.Count() != 7 {
		t.Errorf("hooks saw %q", seen)
	}
}
