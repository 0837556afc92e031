package segment

import (
	"bytes"
	"errors"
	"flag"
	"fmt"
	"hash/crc32"
	"io/fs"
	"os"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/thalweg/thalweg/flow"
	"github.com/thalweg/thalweg/internal/vfs"
	"github.com/thalweg/thalweg/shardlog"
)

var update = flag.Bool("update", false, "write testdata anew: only when the format gets a new version")

// sample is small, and has all that a segment can have.
func sample() []Frame {
	return []Frame{
		frame(1, 1, 1000, 2, []byte("ab")),
		frame(1, 3, 1001, 1, []byte("c")),
		frame(2, 4, 1001, 1, text(1, 300)),
		frame(7, 1<<40, 1<<41, 65535, []byte{}),
	}
}

func put(t tb, fs vfs.FS, name string, b []byte) {
	t.Helper()
	f, err := fs.Create(name)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if _, err := f.WriteAt(b, 0); err != nil {
		t.Fatal(err)
	}
}

func get(t tb, fs vfs.FS, name string) []byte {
	t.Helper()
	f, err := fs.Open(name)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	n, err := f.Size()
	if err != nil {
		t.Fatal(err)
	}
	b, err := readAt(f, name, nil, int(n), 0)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// check opens and reads all of a file.
func check(fs vfs.FS, name string) ([]Frame, error) {
	s, err := Open(fs, name)
	if err != nil {
		return nil, err
	}
	defer s.Close()
	return readAll(s)
}

func named(t *testing.T, err error, what string, size int) {
	t.Helper()
	var at int
	if !errors.Is(err, shardlog.ErrCorrupt) || !strings.Contains(err.Error(), "a.seg") {
		t.Errorf("%s: %v", what, err)
		return
	}
	_, rest, _ := strings.Cut(err.Error(), "at offset ")
	if n, _ := fmt.Sscanf(rest, "%d", &at); n != 1 || at < 0 || at > size {
		t.Errorf("%s: no place in a file of %d bytes: %v", what, size, err)
	}
}

// Every flipped bit is found, by those who only read and by Verify.
func TestEveryBit(t *testing.T) {
	fs := newFS()
	write(t, fs, "a.seg", Options{Class: 3, Compress: true, Store: testStore}, sample())
	good := get(t, fs, "a.seg")
	for i := range len(good) * 8 {
		bad := bytes.Clone(good)
		bad[i/8] ^= 1 << (i % 8)
		put(t, fs, "a.seg", bad)
		what := fmt.Sprintf("byte %d bit %d", i/8, i%8)
		_, err := check(fs, "a.seg")
		named(t, err, what, len(good))
		named(t, Verify(t.Context(), fs, "a.seg", nil, nil), what, len(good))
		if t.Failed() {
			return
		}
	}
}

// So is every shorter file, a longer one, and one that is partly zeros.
func TestTruncatedAndZeroed(t *testing.T) {
	fs := newFS()
	write(t, fs, "a.seg", Options{Class: 3, Compress: true, Store: testStore}, sample())
	good := get(t, fs, "a.seg")
	for n := range good {
		put(t, fs, "a.seg", good[:n])
		_, err := check(fs, "a.seg")
		named(t, err, fmt.Sprintf("%d bytes", n), len(good))

		bad := bytes.Clone(good)
		clear(bad[n:])
		put(t, fs, "a.seg", bad)
		_, err = check(fs, "a.seg")
		named(t, err, fmt.Sprintf("zeros from %d", n), len(good))

		bad = bytes.Clone(good)
		clear(bad[:n+1])
		put(t, fs, "a.seg", bad)
		_, err = check(fs, "a.seg")
		named(t, err, fmt.Sprintf("zeros to %d", n), len(good))
	}
	put(t, fs, "a.seg", append(bytes.Clone(good), 0))
	_, err := check(fs, "a.seg")
	named(t, err, "a byte more", len(good)+1)
}

// A payload that was damaged before it came here is found by Verify alone.
func TestPayloadSum(t *testing.T) {
	for _, compress := range []bool{false, true} {
		fs := newFS()
		frames := sample()
		frames[2].Sum++
		write(t, fs, "a.seg", Options{Compress: compress, Store: testStore}, frames)
		if got, err := check(fs, "a.seg"); err != nil || diff(frames, got) != "" {
			t.Fatal(err)
		}
		err := Verify(t.Context(), fs, "a.seg", nil, nil)
		named(t, err, "payload", 1<<20)
		if !strings.Contains(err.Error(), "position 4") {
			t.Error(err)
		}
		var out bytes.Buffer
		if err := Dump(fs, "a.seg", &out); err != nil || strings.Count(out.String(), "WRONG") != 1 {
			t.Errorf("%v\n%s", err, out.String())
		}
	}
}

// Files of version 1 stay readable, and the plain one is still what is written.
func TestGolden(t *testing.T) {
	for _, name := range []string{"plain", "zstd"} {
		mem, file, dump := newFS(), "testdata/v1-"+name+".seg", "testdata/v1-"+name+".txt"
		o := Options{Class: 3, Compress: name == "zstd", Store: testStore}
		write(t, mem, "new.seg", o, sample())
		if *update {
			var out bytes.Buffer
			put(t, mem, "v1.seg", get(t, mem, "new.seg"))
			if err := errors.Join(Dump(mem, "v1.seg", &out), os.MkdirAll("testdata", 0o777),
				os.WriteFile(file, get(t, mem, "new.seg"), 0o666), os.WriteFile(dump, out.Bytes(), 0o666)); err != nil {
				t.Fatal(err)
			}
		}
		golden, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		want, err := os.ReadFile(dump)
		if err != nil {
			t.Fatal(err)
		}
		put(t, mem, "v1.seg", golden)
		if got, err := check(mem, "v1.seg"); err != nil || diff(sample(), got) != "" {
			t.Errorf("%s: %v", file, err)
		}
		if err := Verify(t.Context(), mem, "v1.seg", nil, nil); err != nil {
			t.Error(err)
		}
		var out bytes.Buffer
		if err := Dump(mem, "v1.seg", &out); err != nil || out.String() != string(want) {
			t.Errorf("%s: %v: %s", file, err, cmp.Diff(string(want), out.String()))
		}
		if name == "plain" && !bytes.Equal(golden, get(t, mem, "new.seg")) {
			t.Errorf("%s is not what is written now", file)
		}
	}
}

var errBroken = errors.New("broken")

// breaking fails the n-th change to the file system.
type breaking struct {
	vfs.FS
	left int
}

type breakingFile struct {
	vfs.File
	b *breaking
}

func (b *breaking) step() error {
	if b.left--; b.left == 0 {
		return errBroken
	}
	return nil
}

func (b *breaking) CreateDirect(name string) (vfs.File, error) {
	if err := b.step(); err != nil {
		return nil, err
	}
	f, err := b.FS.CreateDirect(name)
	return breakingFile{f, b}, err
}

func (b *breaking) Rename(from, to string) error {
	if err := b.step(); err != nil {
		return err
	}
	return b.FS.Rename(from, to)
}

func (b *breaking) SyncDir(dir string) error {
	if err := b.step(); err != nil {
		return err
	}
	return b.FS.SyncDir(dir)
}

func (f breakingFile) WriteAt(p []byte, off int64) (int, error) {
	if err := f.b.step(); err != nil {
		return 0, err
	}
	return f.File.WriteAt(p, off)
}

func (f breakingFile) WriteVec(bufs [][]byte, off int64) error {
	if err := f.b.step(); err != nil {
		return err
	}
	return f.File.WriteVec(bufs, off)
}

func (f breakingFile) Sync() error {
	if err := f.b.step(); err != nil {
		return err
	}
	return f.File.Sync()
}

// Whatever fails, no temporary file stays, and no segment but after the rename.
func TestWriteErrors(t *testing.T) {
	var frames []Frame
	for i := range 20 {
		frames = append(frames, frame(1, flow.Pos(i+1), 0, 1, noise(uint64(i), 200_000)))
	}
	for n := 1; ; n++ {
		mem := newFS()
		b := &breaking{FS: mem, left: n}
		err := func() error {
			w, err := Create(b, "a.seg", Options{Store: testStore})
			if err != nil {
				return err
			}
			for _, f := range frames {
				if err := w.Add(f); err != nil {
					if _, again := w.Finish(); !errors.Is(again, errBroken) {
						t.Errorf("Finish after a failed Add: %v", again)
					}
					return err
				}
			}
			_, err = w.Finish()
			return err
		}()
		if err == nil {
			if n < 7 {
				t.Fatalf("only %d steps", n)
			}
			return
		}
		if !errors.Is(err, errBroken) || !strings.Contains(err.Error(), "a.seg") {
			t.Fatalf("step %d: %v", n, err)
		}
		if _, err := mem.Open("a.seg" + TempSuffix); !errors.Is(err, fs.ErrNotExist) {
			t.Fatalf("step %d: temporary file: %v", n, err)
		}
		if _, err := mem.Open("a.seg"); err == nil {
			if _, err := check(mem, "a.seg"); err != nil {
				t.Fatal(err)
			}
		}
	}
}

// Any footer that is taken is one that would be written, and its blocks lie in
// the file.
func FuzzFooter(f *testing.F) {
	mem := newFS()
	for _, compress := range []bool{false, true} {
		write(f, mem, "a.seg", Options{Compress: compress, Store: testStore}, sample())
		s := open(f, mem, "a.seg")
		b := get(f, mem, "a.seg")
		last := s.blocks[len(s.blocks)-1]
		off := last.off + int64(last.stored)
		f.Add(b[off:len(b)-trailerSize], off, b[len(b)-trailerSize:])
	}
	f.Fuzz(func(t *testing.T, b []byte, off int64, trailer []byte) {
		if len(trailer) >= trailerSize {
			_, _, _, _ = decodeTrailer(trailer[:trailerSize], off)
			end := appendTrailer(nil, off, len(b), 1)
			if o, n, sum, bad := decodeTrailer(end, off+int64(len(b))+trailerSize); bad == nil && (o != off || n != len(b) || sum != 1) {
				t.Fatal("trailer does not say what it was told")
			}
		}
		h, blocks, bad := decodeFooter(b, off, crc32.Update(0, castagnoli, b))
		if bad != nil {
			return
		}
		again := appendHead(nil, h, blocks)
		for i := range blocks {
			again = appendEntry(again, &blocks[i])
			if blk := &blocks[i]; blk.off < 0 || blk.off+int64(blk.stored) > off {
				t.Fatalf("block %d lies outside", i)
			}
		}
		if !bytes.Equal(again, b) {
			t.Fatalf("footer %x is written as %x", b, again)
		}
		metaOf("x", 0, 0, blocks)
	})
}

// Any block that is taken can be walked, and holds what its entry says.
func FuzzBlock(f *testing.F) {
	mem := newFS()
	for _, compress := range []bool{false, true} {
		write(f, mem, "a.seg", Options{Compress: compress, Store: testStore}, sample())
		s := open(f, mem, "a.seg")
		b := get(f, mem, "a.seg")
		for i := range s.blocks {
			blk := &s.blocks[i]
			f.Add(b[blk.off:blk.off+int64(blk.stored)], appendEntry(nil, blk))
		}
	}
	s := &Segment{path: "x", cache: NewCache(0)}
	f.Fuzz(func(t *testing.T, stored, entry []byte) {
		if len(entry) != entrySize {
			return
		}
		b, what := decodeEntry(entry)
		if what != "" || int(b.stored) != len(stored) || b.raw > 16<<20 {
			return
		}
		b.sum = crc32.Update(0, castagnoli, stored)
		raw, err := s.decode(nil, stored, &b)
		if err != nil {
			if !errors.Is(err, shardlog.ErrCorrupt) {
				t.Fatal(err)
			}
			return
		}
		frames, last := 0, flow.Pos(0)
		for rest := raw; len(rest) > 0; frames++ {
			var fr Frame
			if fr, rest = firstFrame(rest, b.shard); fr.Pos <= last || fr.Count < 1 {
				t.Fatalf("frame at %d after %d", fr.Pos, last)
			}
			last = fr.Last()
		}
		if frames != int(b.frames) || last != b.last {
			t.Fatal("not the frames of the entry")
		}
		_ = checkPayloads(raw, &b)
	})
}
