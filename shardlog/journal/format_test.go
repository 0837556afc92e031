package journal

import (
	"bytes"
	"context"
	"encoding/binary"
	"flag"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/thalweg/thalweg/flow"
	"github.com/thalweg/thalweg/internal/vfs"
	"github.com/thalweg/thalweg/shardlog"
	"github.com/thalweg/thalweg/shardlog/journal/segment"
)

// FuzzFrame: no bytes make the scanner read out of bounds, and what it takes
// as a frame encodes to the same header.
func FuzzFrame(f *testing.F) {
	m := newImage(testID, 1, 0, testPlace)
	m.group("a", "b")
	m.group("c")
	f.Add(m.b)
	f.Add(m.b[:block+60])
	f.Add(m.b[block : block+200])
	f.Add([]byte{})
	f.Fuzz(func(t *testing.T, b []byte) {
		if h, err := parseSlotHeader(b); err == nil && !bytes.Equal(h.encode()[:slotHeaderSum+4], b[:slotHeaderSum+4]) {
			t.Errorf("header %+v encodes differently", h)
		}
		seed := logSeed(testID)
		for _, off := range []int64{0, block} {
			s := &scanner{buf: b, seed: seed, file: 1, at: testPlace}
			for {
				to, bad := s.group(off)
				if bad != nil {
					s.later(bad.off, s.at.group)
					s.torn(bad)
					break
				}
				for i := range s.frames {
					x := &s.frames[i]
					x.payload(b)
					var h [frameHeader]byte
					putHead(h[:], x.kind, x.shard, x.count, x.payload(b))
					putPlace(h[:], x.file, x.group, x.lsn, x.time)
					putFinish(h[:], seed, x.last)
					if !bytes.Equal(h[:], b[x.off-frameHeader:x.off]) {
						t.Errorf("frame %+v encodes differently", x.frame)
					}
				}
				if off = to; off > int64(len(b)) {
					break
				}
			}
		}
	})
}

func sampleState() *state {
	return &state{file: 7, log: testID, lsn: 1000, group: 90, time: 1700000000000,
		shards: []shardState{
			{id: 1, retention: 86400000, created: 1, first: 2, tail: 900, last: 1699999999999},
			{id: 2, retention: 0, created: 1, first: 2, end: 500, dropped: true, floor: 5},
			{id: 70000, created: 3, first: 4},
		},
		segments: []segment.Meta{{Name: "0-1-2-3.seg", Class: 1, Bytes: 5000, First: 2, Last: 899, MinTime: 5, MaxTime: 9, Records: 800, Shards: segment.SetOf(1, 2, 3, 9)}},
		snapshot: shardlog.Encoded("snapshot"),
	}
}

// whole writes a file's bytes at once.
func whole(b []byte) func(io.WriterAt) error {
	return func(w io.WriterAt) error {
		_, err := w.WriteAt(b, 0)
		return err
	}
}

// pages is a file of a checkpoint's bytes.
type pages []byte

func (p *pages) WriteAt(b []byte, at int64) (int, error) {
	if need := int(at) + len(b); need > len(*p) {
		*p = append(*p, make([]byte, need-len(*p))...)
	}
	return copy((*p)[at:], b), nil
}

func encodeState(st *state) []byte {
	var p pages
	if err := st.write(&p); err != nil {
		panic(err) // memory takes everything
	}
	return p
}

// FuzzCheckpoint: no bytes crash the decoder, and what it takes it encodes to
// what it takes as the same.
func FuzzCheckpoint(f *testing.F) {
	f.Add(encodeState(sampleState()), false)
	f.Add(encodeState(&state{file: 1, log: 5, lsn: 1, group: 1}), false)
	f.Add(encodeState(sampleState())[76:], true)
	f.Fuzz(func(t *testing.T, b []byte, tables bool) {
		if tables { // past the checksums, which random bytes never pass
			st := &state{}
			st.parseShards(b)
			st.parseSegments(b)
			return
		}
		st, err := parseCheckpoint(b)
		if err != nil {
			return
		}
		again, err := parseCheckpoint(encodeState(st))
		if err != nil || fmt.Sprintf("%+v", again) != fmt.Sprintf("%+v", st) {
			t.Errorf("%v: %+v and %+v", err, st, again)
		}
	})
}

func TestCheckpointRoundTrip(t *testing.T) {
	st := sampleState()
	again, err := parseCheckpoint(encodeState(st))
	if err != nil || fmt.Sprintf("%+v", again) != fmt.Sprintf("%+v", st) {
		t.Fatalf("%v\n%+v\n%+v", err, again, st)
	}
}

// A file of a later format version is refused by its number, not taken for
// damage.
func TestLaterVersion(t *testing.T) {
	m := newImage(testID, 1, 0, testPlace)
	binary.LittleEndian.PutUint32(m.b[8:], 2)
	binary.LittleEndian.PutUint32(m.b[slotHeaderSum:], checksum(m.b[:slotHeaderSum]))
	fs := layout(t, m.b)
	_, err := Open(context.Background(), Config{FS: fs, Dir: "log", SegmentBytes: testFile})
	if err == nil || !strings.Contains(err.Error(), "format version 2") {
		t.Fatal(err)
	}
}

var update = flag.Bool("update", false, "write the golden files of the current format version")

const golden = "testdata/v1"

// TestGolden opens a log written by format version 1 and finds what was
// written (DESIGN.md, rule 9: golden files of every released version).
func TestGolden(t *testing.T) {
	want := func(s, i int) string { return fmt.Sprintf("record %d of shard %d", i, s) }
	cfg := Config{Dir: golden, SegmentBytes: 16 << 10, Machine: &notes{}}
	if *update {
		if err := os.RemoveAll(golden); err != nil {
			t.Fatal(err)
		}
		cfg.FS = vfs.OS()
		j := open(t, cfg)
		if err := j.Create(context.Background(), []shardlog.Spec{{Shard: 1}, {Shard: 2}, {Shard: 3, Retention: time.Hour}}); err != nil {
			t.Fatal(err)
		}
		for i := range 4 {
			put(j, 1, want(1, 2*i), want(1, 2*i+1))
			put(j, 2, want(2, 2*i), want(2, 2*i+1))
			settle(j)
		}
		j.Propose(context.Background(), []byte("command"))
		j.Seal(context.Background(), []shardlog.Shard{2})
		j.Drop(context.Background(), []shardlog.Shard{3})
		if err := j.Close(); err != nil {
			t.Fatal(err)
		}
	}
	// Work on a copy: opening a log writes to it.
	cfg.FS = vfs.NewMem(0)
	err := filepath.Walk(golden, func(path string, info os.FileInfo, err error) error {
		if err != nil {
			return err
		}
		name := filepath.ToSlash(path)
		if info.IsDir() {
			return cfg.FS.MkdirAll(name)
		}
		b, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		return writeFile(cfg.FS, name, whole(b))
	})
	if err != nil {
		t.Fatal(err)
	}
	rep, err := Check(context.Background(), cfg.FS, golden, nil)
	if err != nil || len(rep.Problems) > 0 {
		t.Fatal(err, rep)
	}
	m := &notes{}
	cfg.Machine = m
	j := open(t, cfg)
	defer j.Close()
	for s := 1; s <= 2; s++ {
		got := drain(t, j, shardlog.Shard(s), shardlog.Limit{})
		if len(got) != 8 {
			t.Fatalf("shard %d: %d records", s, len(got))
		}
		for i, g := range got {
			if g != want(s, i) {
				t.Errorf("shard %d: %q, want %q", s, g, want(s, i))
			}
		}
	}
	if b, err := j.Bounds(2); err != nil || b.End == 0 {
		t.Error(b, err)
	}
	if _, err := j.Bounds(3); err == nil {
		t.Error("shard 3 was dropped")
	}
	if m.text != "command\n" {
		t.Errorf("machine: %q", m.text)
	}
}

// notes is a machine that remembers its commands.
type notes struct{ text string }

func (n *notes) Apply(_ flow.Pos, cmd []byte) any { n.text += string(cmd) + "\n"; return len(n.text) }
func (n *notes) Capture() io.WriterTo             { return shardlog.Encoded(n.text) }
func (n *notes) Restore(b []byte) error           { n.text = string(b); return nil }
