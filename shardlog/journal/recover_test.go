package journal

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/thalweg/thalweg/internal/vfs"
	"github.com/thalweg/thalweg/shardlog"
)

const testFile = 64 << 10

// image builds one journal file by hand.
type image struct {
	b    []byte
	id   uint64
	file uint32
	at   place
}

func newImage(id uint64, file uint32, prevEnd int64, at place) *image {
	h := slotHeader{file: file, log: id, prevEnd: prevEnd, lsn: at.lsn, group: at.group, time: at.clock}
	return &image{b: h.encode(), id: id, file: file, at: at}
}

// group adds a group with one DATA frame for shard 1 per text.
func (m *image) group(texts ...string) (start int) {
	start = len(m.b)
	for i, text := range texts {
		b := make([]byte, frameHeader+shardlog.RecordSize(1, len(text)))
		place, _ := shardlog.Encode(b[frameHeader:], "k", len(text))
		copy(place, text)
		m.frame(b, kindData, 1, i == len(texts)-1)
	}
	m.end()
	return start
}

func (m *image) frame(b []byte, k kind, shard uint32, last bool) {
	putHead(b, k, shard, 1, b[frameHeader:])
	putPlace(b, m.file, m.at.group, m.at.lsn, m.at.clock)
	putFinish(b, logSeed(m.id), last)
	m.b = append(m.b, b...)
	m.at.lsn++
}

func (m *image) end() {
	m.b = append(m.b, make([]byte, int(align(int64(len(m.b))))-len(m.b))...)
	m.at.group++
}

const testID = 0x1234567890abcdef

// testTime is long after any clock of a test, so that nothing has expired.
var testTime = time.Now().UnixMilli()

// layout writes a log of the given slot images on a fresh file system. Its
// checkpoint knows shard 1 and replays from file 1.
func layout(t *testing.T, slots ...[]byte) *vfs.Mem {
	t.Helper()
	fs := vfs.NewMem(0)
	for _, dir := range []string{"log", "log/journal", "log/segments"} {
		if err := fs.MkdirAll(dir); err != nil {
			t.Fatal(err)
		}
	}
	st := &state{file: 1, log: testID, lsn: 2, group: 2, time: testTime,
		shards: []shardState{{id: 1, created: 1, first: 2, retention: time.Hour.Milliseconds()}}}
	if err := writeCheckpoint(fs, "log", 1, st); err != nil {
		t.Fatal(err)
	}
	for i, b := range slots {
		full := make([]byte, max(testFile, len(b)))
		copy(full, b)
		if err := writeFile(fs, fmt.Sprintf("log/journal/slot-%02d", i), whole(full)); err != nil {
			t.Fatal(err)
		}
	}
	return fs
}

var testPlace = place{group: 2, lsn: 2, clock: testTime}

// TestRecoveryRule goes through the ways in which the end of the journal may
// look: "the first bad frame ends the log only if no valid frame of a later
// group follows; otherwise it is corruption" (docs/format/journal.md, Recovery).
func TestRecoveryRule(t *testing.T) {
	flip := func(b []byte, at int) { b[at] ^= 0x10 }
	one := func() *image {
		m := newImage(testID, 1, 0, testPlace)
		m.group("a", "b")
		return m
	}
	cases := []struct {
		name  string
		slots func() [][]byte
		want  string // records of shard 1
		bad   string // else: what the error must name
	}{
		{"no file yet", func() [][]byte { return [][]byte{one().b} }, "a b", ""},
		{"torn tail: nothing survived", func() [][]byte {
			m := one()
			at := m.group("c", "d", "e")
			clear(m.b[at:])
			return [][]byte{m.b}
		}, "a b", ""},
		{"torn tail: all survived", func() [][]byte {
			m := one()
			m.group("c", "d", "e")
			return [][]byte{m.b}
		}, "a b c d e", ""},
		{"torn tail: a prefix survived", func() [][]byte {
			m := one()
			at := m.group("c", strings.Repeat("d", 5000))
			clear(m.b[at+1024:])
			return [][]byte{m.b}
		}, "a b", ""},
		{"torn tail: only the end survived", func() [][]byte {
			m := one()
			at := m.group(strings.Repeat("c", 5000), "d", "e")
			clear(m.b[at : at+1024])
			return [][]byte{m.b}
		}, "a b", ""},
		{"a hole in the last group", func() [][]byte {
			m := one()
			at := m.group("c", "d", "e")
			flip(m.b, at+frameHeader+7)
			return [][]byte{m.b}
		}, "a b", ""},
		{"lost middle", func() [][]byte {
			m := one()
			at := m.group("c")
			m.group("d")
			clear(m.b[at : at+block])
			return [][]byte{m.b}
		}, "", "slot-00 at offset 8192"},
		{"damaged payload before a later group", func() [][]byte {
			m := one()
			at := m.group("c")
			m.group("d")
			flip(m.b, at+frameHeader+7)
			return [][]byte{m.b}
		}, "", "slot-00 at offset 8192"},
		{"a later group whose first frame is damaged as well", func() [][]byte {
			m := one()
			at := m.group("c")
			later := m.group("d", "e")
			flip(m.b, at+2)
			flip(m.b, later+2)
			return [][]byte{m.b}
		}, "", "slot-00 at offset 8192"},
		{"stale frames of an earlier use", func() [][]byte {
			fresh := newImage(testID, 1, 0, testPlace)
			fresh.group("x")
			stale := newImage(testID, 900, 0, testPlace)
			stale.group("a")
			stale.group("b")
			stale.group("c")
			copy(stale.b, fresh.b)
			return [][]byte{stale.b}
		}, "x", ""},
		{"frames of another log", func() [][]byte {
			fresh := newImage(testID, 1, 0, testPlace)
			fresh.group("x")
			other := newImage(testID+1, 1, 0, testPlace)
			other.group("a")
			other.group("b")
			copy(other.b, fresh.b)
			return [][]byte{other.b}
		}, "x", ""},
		{"torn tail, then a new file", func() [][]byte {
			m := one()
			end := len(m.b)
			at := m.at
			torn := m.group("c", "d")
			flip(m.b, torn+frameHeader+7)
			n := newImage(testID, 2, int64(end), at)
			n.group("e")
			return [][]byte{m.b, n.b}
		}, "a b e", ""},
		{"whole but unpinned tail, then a new file", func() [][]byte {
			m := one()
			end := len(m.b)
			at := m.at
			m.group("c", "d")
			n := newImage(testID, 2, int64(end), at)
			n.group("e")
			return [][]byte{m.b, n.b}
		}, "a b e", ""},
		{"damage before the pinned end", func() [][]byte {
			m := one()
			n := newImage(testID, 2, int64(len(m.b)), m.at)
			flip(m.b, block+frameHeader+7)
			return [][]byte{m.b, n.b}
		}, "", "slot-00 at offset 4096"},
		{"a file is missing", func() [][]byte {
			m := one()
			n := newImage(testID, 3, int64(len(m.b)), m.at)
			return [][]byte{m.b, n.b}
		}, "", "file 2 is missing"},
		{"damaged header of the newest file, in use", func() [][]byte {
			m := one()
			n := newImage(testID, 2, int64(len(m.b)), m.at)
			n.group("c")
			flip(n.b, 33)
			return [][]byte{m.b, n.b}
		}, "", "slot-01 at offset 0"},
		{"torn header of a file not yet in use", func() [][]byte {
			m := one()
			n := newImage(testID, 2, int64(len(m.b)), m.at)
			flip(n.b, 33)
			return [][]byte{m.b, n.b}
		}, "a b", ""},
		{"a file of another log", func() [][]byte {
			n := newImage(testID+1, 2, 0, testPlace)
			return [][]byte{one().b, n.b}
		}, "", "another log"},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			fs := layout(t, c.slots()...)
			rep, err := Check(context.Background(), fs, "log", nil)
			if err != nil || len(rep.Problems) > 0 != (c.bad != "") {
				t.Fatalf("check: %v %+v", err, rep)
			}
			j, err := Open(context.Background(), Config{FS: fs, Dir: "log", SegmentBytes: testFile, MinFree: -1})
			if c.bad != "" {
				if !errors.Is(err, shardlog.ErrCorrupt) || !strings.Contains(err.Error(), c.bad) || !strings.Contains(err.Error(), "fsck") {
					t.Fatalf("open: %v; want corruption naming %q", err, c.bad)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			for range 3 { // the torn tail stays harmless, however often
				if got := strings.Join(drain(t, j, 1, shardlog.Limit{}), " "); got != c.want {
					t.Fatalf("got %q, want %q", got, c.want)
				}
				if e := put(j, 1, "+"); e.Err != nil {
					t.Fatal(e.Err)
				}
				c.want += " +"
				if err := j.Close(); err != nil {
					t.Fatal(err)
				}
				j = open(t, Config{FS: fs, SegmentBytes: testFile})
			}
			j.Close()
		})
	}
}

// full makes a log with every kind of file: two segments, a checkpoint, a
// journal file with records.
func full(t testing.TB, fs vfs.FS) {
	t.Helper()
	cfg := Config{FS: fs, SegmentBytes: testFile}
	j := open(t, cfg)
	create(t, j, 3)
	if err := j.Create(context.Background(), []shardlog.Spec{{Shard: 4, Retention: 200 * time.Hour}, {Shard: 5, Retention: time.Hour}}); err != nil {
		t.Fatal(err)
	}
	for i := range 40 {
		if e := put(j, shardlog.Shard(i%4+1), fmt.Sprint(i), strings.Repeat("0123456789", 100)); e.Err != nil {
			t.Fatal(e.Err)
		}
	}
	if _, err := j.Seal(context.Background(), []shardlog.Shard{3}); err != nil {
		t.Fatal(err)
	}
	if err := j.Retain(context.Background(), []shardlog.Shard{2}, 48*time.Hour); err != nil {
		t.Fatal(err)
	}
	if err := j.Drop(context.Background(), []shardlog.Shard{5}); err != nil {
		t.Fatal(err)
	}
	settle(j)
	if e := put(j, 1, "in the journal"); e.Err != nil {
		t.Fatal(e.Err)
	}
	if err := j.Close(); err != nil {
		t.Fatal(err)
	}
}

// TestFlippedBit: fsck names one flipped bit in each kind of file, and no read
// ever answers with it.
func TestFlippedBit(t *testing.T) {
	golden := vfs.NewMem(0)
	full(t, golden)
	type target struct {
		path string
		off  int64
	}
	var targets []target
	for _, dir := range []string{"log", "log/segments"} {
		names, err := golden.List(dir)
		if err != nil {
			t.Fatal(err)
		}
		for _, name := range names {
			if strings.HasPrefix(name, checkpointPrefix) || strings.HasSuffix(name, ".seg") {
				b, err := readFile(golden, dir+"/"+name)
				if err != nil {
					t.Fatal(err)
				}
				for off := int64(0); off < int64(len(b)); off += max(1, int64(len(b))/97) {
					targets = append(targets, target{dir + "/" + name, off})
				}
			}
		}
	}
	// Of the journal: the newest file but for its last group, which is the END
	// mark and cannot be told from a torn tail, by design.
	files, err := findFiles(golden, "log/journal", false)
	if err != nil {
		t.Fatal(err)
	}
	var newest *journalFile
	for _, x := range files {
		if x.err == nil && (newest == nil || x.head.file > newest.head.file) {
			newest = x
		}
	}
	buf, err := newest.load(newest.size)
	if err != nil {
		t.Fatal(err)
	}
	s := &scanner{path: newest.path, buf: buf, seed: logSeed(newest.head.log), file: newest.head.file, at: place{newest.head.group, newest.head.lsn, newest.head.time}}
	end := int64(block)
	for {
		to, bad := s.group(end)
		if bad != nil || s.frames[0].kind == kindEnd {
			break
		}
		end = to
	}
	if end == block {
		t.Fatal("nothing in the journal")
	}
	for off := int64(0); off < end; off += 41 {
		targets = append(targets, target{newest.path, off})
	}
	closeAll(files)
	for _, x := range targets {
		f, err := golden.OpenRW(x.path)
		if err != nil {
			t.Fatal(err)
		}
		var b [1]byte
		flip := func() {
			if _, err := f.ReadAt(b[:], x.off); err != nil {
				t.Fatal(err)
			}
			b[0] ^= 0x04
			if _, err := f.WriteAt(b[:], x.off); err != nil {
				t.Fatal(err)
			}
		}
		flip()
		rep, err := Check(context.Background(), golden, "log", nil)
		if err != nil {
			t.Fatal(err)
		}
		named := false
		for _, p := range rep.Problems {
			named = named || strings.Contains(p.Error(), x.path[strings.LastIndexByte(x.path, '/')+1:]) && errors.Is(p, shardlog.ErrCorrupt) && strings.Contains(p.Error(), "offset")
		}
		if !named {
			t.Errorf("flipped bit in %s at %d not named: %v %v", x.path, x.off, rep.Problems, rep.Notes)
		}
		flip()
		f.Close()
	}
	if rep, err := Check(context.Background(), golden, "log", nil); err != nil || len(rep.Problems) > 0 {
		t.Fatal(err, rep)
	}
}

// A log whose files are printable says what is in them.
func TestDump(t *testing.T) {
	fs := vfs.NewMem(0)
	full(t, fs)
	var out strings.Builder
	for _, dir := range []string{"log", "log/segments", "log/journal"} {
		names, err := fs.List(dir)
		if err != nil {
			t.Fatal(err)
		}
		for _, name := range names {
			if name == "LOCK" || name == "journal" || name == "segments" {
				continue
			}
			if err := Dump(fs, dir+"/"+name, &out); err != nil {
				t.Fatal(err)
			}
		}
	}
	for _, want := range []string{"checkpoint  format 1", "shard 3", "SEAL", "journal file", "DATA", "END"} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("no %q in\n%s", want, out.String())
		}
	}
}
