package segment

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/thalweg/thalweg/flow"
	"github.com/thalweg/thalweg/internal/vfs"
	"github.com/thalweg/thalweg/shardlog"
)

const testStore = 0x7468616c77656721

// tb is what the helpers need of *testing.T, *testing.B and *rapid.T.
type tb interface {
	Helper()
	Fatal(args ...any)
	Fatalf(format string, args ...any)
}

func newFS() vfs.FS { return vfs.NewMem(8 << 30) }

func frame(shard shardlog.Shard, pos flow.Pos, time int64, count int, payload []byte) Frame {
	return Frame{Shard: shard, Pos: pos, Time: time, Count: count, Sum: Sum(payload), Payload: payload}
}

// noise is n bytes that do not compress.
func noise(seed uint64, n int) []byte {
	b := make([]byte, n)
	r := rand.NewChaCha8([32]byte{byte(seed), byte(seed >> 8), byte(seed >> 16)})
	_, _ = r.Read(b)
	return b
}

// text is n bytes that do.
func text(seed uint64, n int) []byte {
	line := fmt.Sprintf(`{"device":%d,"kind":"reading","value":%d},`, seed, seed*7)
	return []byte(strings.Repeat(line, n/len(line)+1)[:n])
}

func same(a, b Frame) bool {
	return a.Shard == b.Shard && a.Pos == b.Pos && a.Time == b.Time && a.Count == b.Count && a.Sum == b.Sum && bytes.Equal(a.Payload, b.Payload)
}

// diff says where the frames differ; "" when they do not.
func diff(want, got []Frame) string {
	for i := range min(len(want), len(got)) {
		if w, g := want[i], got[i]; !same(w, g) {
			return fmt.Sprintf("frame %d is shard %d position %d (%d records, %d bytes), want shard %d position %d (%d, %d)",
				i, g.Shard, g.Pos, g.Count, len(g.Payload), w.Shard, w.Pos, w.Count, len(w.Payload))
		}
	}
	if len(want) != len(got) {
		return fmt.Sprintf("%d frames, want %d", len(got), len(want))
	}
	return ""
}

func write(t tb, fs vfs.FS, name string, o Options, frames []Frame) Meta {
	t.Helper()
	w, err := Create(fs, name, o)
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range frames {
		if err := w.Add(f); err != nil {
			t.Fatal(err)
		}
	}
	m, err := w.Finish()
	if err != nil {
		t.Fatal(err)
	}
	return m
}

func open(t tb, fs vfs.FS, name string) *Segment {
	t.Helper()
	s, err := Open(fs, name)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// keep is a hold that never ends: the frames stay valid.
func keep(shardlog.Pin) {}

// readAll reads every shard from its start.
func readAll(s *Segment) ([]Frame, error) {
	var got []Frame
	for shard := range s.Meta().Shards.All() {
		if err := s.Read(shard, 0, keep, func(f Frame) bool { got = append(got, f); return true }); err != nil {
			return got, err
		}
	}
	return got, nil
}

// drawFrames makes sorted frames of some shards with positions in [from, to).
func drawFrames(t *rapid.T, label string, from, to flow.Pos) []Frame {
	var frames []Frame
	var shards []int
	if rapid.Bool().Draw(t, label+" dense") {
		for i := range rapid.IntRange(1, 20).Draw(t, label+" shards") {
			shards = append(shards, i+1)
		}
	} else {
		shards = rapid.SliceOfNDistinct(rapid.IntRange(1, 1<<32-1), 1, 5, rapid.ID[int]).Draw(t, label+" shards")
		slices.Sort(shards)
	}
	size := rapid.SampledFrom([]int{0, 40, 5_000, 70_000}).Draw(t, label+" size")
	for _, shard := range shards {
		pos, time := from+flow.Pos(rapid.IntRange(0, 50).Draw(t, "start")), rapid.Int64Range(-5, 5).Draw(t, "time")
		for range rapid.IntRange(0, 12).Draw(t, "frames") {
			count := rapid.SampledFrom([]int{1, 2, 30, 65535}).Draw(t, "count")
			if pos+flow.Pos(count) > to {
				break
			}
			n := rapid.IntRange(0, size).Draw(t, "bytes")
			p := text(uint64(pos), n)
			if rapid.Bool().Draw(t, "noise") {
				p = noise(uint64(pos), n)
			}
			frames = append(frames, frame(shardlog.Shard(shard), pos, time, count, p))
			pos += flow.Pos(count + rapid.IntRange(0, 9).Draw(t, "gap"))
			time += rapid.Int64Range(0, 3).Draw(t, "later")
		}
	}
	return frames
}

func metaOfFrames(name string, o Options, frames []Frame) Meta {
	m := Meta{Name: name, Class: o.Class}
	var shards []shardlog.Shard
	for i, f := range frames {
		if i == 0 {
			m.First, m.Last, m.MinTime, m.MaxTime = f.Pos, f.Last(), f.Time, f.Time
		}
		m.First, m.Last = min(m.First, f.Pos), max(m.Last, f.Last())
		m.MinTime, m.MaxTime = min(m.MinTime, f.Time), max(m.MaxTime, f.Time)
		m.Records += int64(f.Count)
		shards = append(shards, f.Shard)
	}
	m.Shards = SetOf(shards...)
	return m
}

// What was added is what is read, from every position and by every time.
func TestRoundTrip(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		fs := newFS()
		o := Options{Class: rapid.Byte().Draw(t, "class"), Compress: rapid.Bool().Draw(t, "compress"), Store: testStore}
		frames := drawFrames(t, "in", 1, maxPos-MaxCount)
		m := write(t, fs, "a.seg", o, frames)
		if len(frames) == 0 {
			if names, _ := fs.List("."); m.Records != 0 || len(names) != 0 {
				t.Fatalf("an empty segment left %v, %+v", names, m)
			}
			return
		}
		s, err := OpenWith(fs, "a.seg", NewCache(rapid.SampledFrom([]int{0, 300_000, 1 << 30}).Draw(t, "cache")))
		if err != nil {
			t.Fatal(err)
		}
		want := metaOfFrames("a.seg", o, frames)
		want.Bytes = m.Bytes
		if d := cmp.Diff(want, m); d != "" {
			t.Fatalf("Finish: %s", d)
		}
		if d := cmp.Diff(want, s.Meta()); d != "" {
			t.Fatalf("Open: %s", d)
		}
		got, err := readAll(s)
		if err != nil {
			t.Fatal(err)
		}
		if d := diff(frames, got); d != "" {
			t.Fatal(d)
		}
		for range 20 {
			at := frames[rapid.IntRange(0, len(frames)-1).Draw(t, "at")]
			from := at.Pos + flow.Pos(rapid.IntRange(-1, at.Count).Draw(t, "from"))
			i := slices.IndexFunc(frames, func(f Frame) bool { return f.Shard == at.Shard && f.Last() >= from })
			var got *Frame
			if err := s.Read(at.Shard, from, keep, func(f Frame) bool { got = &f; return false }); err != nil {
				t.Fatal(err)
			}
			if (i < 0) != (got == nil) || got != nil && !same(*got, frames[i]) {
				t.Fatalf("shard %d from %d: %v, want frame %d", at.Shard, from, got, i)
			}
			since := at.Time + rapid.Int64Range(-1, 1).Draw(t, "since")
			i = slices.IndexFunc(frames, func(f Frame) bool { return f.Shard == at.Shard && f.Time >= since })
			pos, ok, err := s.Seek(at.Shard, since)
			if err != nil || ok != (i >= 0) || ok && pos != frames[i].Pos {
				t.Fatalf("shard %d since %d: %d %v %v, want frame %d", at.Shard, since, pos, ok, err, i)
			}
		}
		last := int64(0)
		if err := Verify(context.Background(), fs, "a.seg", nil, func(n int64) { last = n }); err != nil || last != m.Bytes {
			t.Fatalf("verify: %v after %d of %d bytes", err, last, m.Bytes)
		}
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
		if _, _, err := s.Seek(1, 0); !errors.Is(err, ErrClosed) {
			t.Fatal(err)
		}
	})
}

// A frame larger than a block, as a request of 10 MiB makes it, has one to itself.
func TestLargeFrames(t *testing.T) {
	for _, o := range []Options{{Store: testStore}, {Store: testStore, Compress: true}} {
		fs := newFS()
		frames := []Frame{
			frame(1, 1, 1, 1, []byte("small")),
			frame(1, 2, 1, 500, noise(1, 11<<20)),
			frame(1, 502, 1, 1, []byte("small")),
			frame(2, 503, 1, 1, text(2, 11<<20)),
			frame(2, 504, 1, 1, noise(3, blockSize-frameHeader)),
			frame(2, 505, 1, 1, noise(4, blockSize-frameHeader+1)),
		}
		write(t, fs, "a.seg", o, frames)
		s := open(t, fs, "a.seg")
		if got, err := readAll(s); err != nil || diff(frames, got) != "" {
			t.Fatalf("compress %v: %v", o.Compress, err)
		}
		if want := 6; len(s.blocks) != want {
			t.Fatalf("%d blocks, want %d", len(s.blocks), want)
		}
	}
}

// Compression is kept only where it saves an eighth; 10,000 shards are ordinary.
func TestManyShardsAndCodecs(t *testing.T) {
	fs := newFS()
	var frames []Frame
	for i := range 10_000 {
		p := text(uint64(i), 900)
		if i%2 == 0 {
			p = noise(uint64(i), 900)
		}
		frames = append(frames, frame(shardlog.Shard(i+1), flow.Pos(i+1), int64(i), 1, p))
	}
	frames = append(frames, frame(20_000, 10_001, 1, 1, noise(1, 200_000)), frame(20_001, 10_002, 1, 1, text(1, 200_000)))
	m := write(t, fs, "a.seg", Options{Compress: true, Store: testStore}, frames)
	s := open(t, fs, "a.seg")
	for i := range s.blocks {
		want := plain
		if i%2 == 1 {
			want = zstd1
		}
		if s.blocks[i].codec != want {
			t.Fatalf("block %d is %v", i, s.blocks[i].codec)
		}
	}
	if got, err := readAll(s); err != nil || diff(frames, got) != "" {
		t.Fatal(err)
	}
	if m.Shards.Len() != 10_002 || len(m.Shards.AppendBinary(nil)) > 12 {
		t.Fatalf("set of %d shards takes %d bytes", m.Shards.Len(), len(m.Shards.AppendBinary(nil)))
	}
	if s.FooterBytes() > 10_002*64+1024 {
		t.Fatalf("footer takes %d bytes", s.FooterBytes())
	}
}

func TestAddRefuses(t *testing.T) {
	w, err := Create(newFS(), "a.seg", Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer w.Abort()
	if err := w.Add(frame(5, 10, 0, 3, nil)); err != nil {
		t.Fatal(err)
	}
	for _, f := range []Frame{frame(5, 12, 0, 1, nil), frame(5, 10, 0, 1, nil), frame(4, 100, 0, 1, nil)} {
		if err := w.Add(f); !errors.Is(err, ErrOrder) {
			t.Errorf("shard %d position %d: %v", f.Shard, f.Pos, err)
		}
	}
	for _, f := range []Frame{frame(0, 20, 0, 1, nil), frame(6, 0, 0, 1, nil), frame(6, 20, 0, 0, nil),
		frame(6, 20, 0, MaxCount+1, nil), frame(6, 1<<63-1, 0, 1, nil), frame(6, 20, 0, 1, make([]byte, MaxPayload+1))} {
		if err := w.Add(f); err == nil {
			t.Errorf("shard %d position %d count %d was taken", f.Shard, f.Pos, f.Count)
		}
	}
	if err := w.Add(frame(5, 13, 0, 1, nil)); err != nil {
		t.Errorf("a refused frame spoilt the writer: %v", err)
	}
}

// Dropped shards' bytes read as zeros; the others are as before, and a reader
// is told which it is.
func TestPunch(t *testing.T) {
	fs := newFS()
	var frames []Frame
	for i := range 6 {
		frames = append(frames, frame(shardlog.Shard(i+1), flow.Pos(i+1), 0, 1, noise(uint64(i), 10_000)))
	}
	write(t, fs, "a.seg", Options{Store: testStore}, frames)
	s := open(t, fs, "a.seg")
	dead := func(sh shardlog.Shard) bool { return sh == 2 || sh == 3 || sh == 6 }
	if err := s.Punch(dead); err != nil {
		t.Fatal(err)
	}
	if err := Verify(t.Context(), fs, "a.seg", dead, nil); err != nil {
		t.Fatal(err)
	}
	err := Verify(t.Context(), fs, "a.seg", nil, nil)
	if !errors.Is(err, shardlog.ErrCorrupt) || strings.Count(err.Error(), "all zeros") != 3 {
		t.Fatal(err)
	}
	for _, f := range frames {
		n := 0
		err := s.Read(f.Shard, 0, nil, func(g Frame) bool { n++; return same(f, g) })
		if dead(f.Shard) != errors.Is(err, shardlog.ErrCorrupt) || !dead(f.Shard) && n != 1 {
			t.Errorf("shard %d: %d frames, %v", f.Shard, n, err)
		}
	}
	m, err := Merge(t.Context(), fs, "b.seg", Options{Store: testStore}, []*Segment{s},
		func(sh shardlog.Shard) (flow.Pos, bool) { return 0, !dead(sh) })
	if err != nil || !m.Shards.Equal(SetOf(1, 4, 5)) {
		t.Fatal(m, err)
	}
}

// Readers under way keep a closed segment's file open, and share the cache.
func TestConcurrentReadAndClose(t *testing.T) {
	fs := newFS()
	var frames []Frame
	for i := range 200 {
		frames = append(frames, frame(1, flow.Pos(i+1), int64(i), 1, text(uint64(i), 20_000)))
	}
	write(t, fs, "a.seg", Options{Store: testStore, Compress: true}, frames)
	s, err := OpenWith(fs, "a.seg", NewCache(1<<20))
	if err != nil {
		t.Fatal(err)
	}
	var started, wg sync.WaitGroup
	started.Add(4)
	closed := make(chan struct{})
	for range 4 {
		wg.Go(func() {
			n := 0
			err := s.Read(1, 1, nil, func(f Frame) bool {
				if n == 0 {
					started.Done()
					<-closed
				}
				ok := same(f, frames[n])
				n++
				return ok
			})
			if err != nil || n != len(frames) {
				t.Errorf("read %d frames: %v", n, err)
			}
		})
	}
	started.Wait()
	if err := s.Close(); err != nil {
		t.Error(err)
	}
	close(closed)
	wg.Wait()
	if err := s.Read(1, 1, nil, func(Frame) bool { return true }); !errors.Is(err, ErrClosed) {
		t.Error(err)
	}
}

// The cache holds no more than it may, and lets the least recently used go.
func TestCache(t *testing.T) {
	c := NewCache(3 * (100 + cachedOverhead))
	for i := range 3 {
		c.put(1, i, make([]byte, 100), nil, true)
	}
	cached := func(segment uint64, i int) bool {
		raw, _, _, n := c.claim(segment, i, i+1)
		c.settle(segment, i, n)
		return raw != nil
	}
	cached(1, 0)
	c.put(2, 9, make([]byte, 100), nil, true)
	c.put(2, 10, make([]byte, 10_000), nil, true) // larger than the cache: not kept
	c.put(2, 9, make([]byte, 100), nil, true)     // again
	var have []bool
	for _, id := range []blockID{{1, 0}, {1, 1}, {1, 2}, {2, 9}, {2, 10}} {
		have = append(have, cached(id.segment, id.index))
	}
	if !slices.Equal(have, []bool{true, false, true, true, false}) {
		t.Error(have)
	}
	c.forget(1)
	if cached(1, 0) || !cached(2, 9) || c.used != 100+cachedOverhead {
		t.Error("forget let go of the wrong blocks")
	}
}

// TestJoin: the joined checksum is that of the bytes one after the other.
func TestJoin(t *testing.T) {
	p := newPowers()
	rapid.Check(t, func(t *rapid.T) {
		a, b := rapid.SliceOf(rapid.Byte()).Draw(t, "a"), rapid.SliceOfN(rapid.Byte(), 0, 70000).Draw(t, "b")
		if got, want := p.join(Sum(a), Sum(b), len(b)), Sum(append(slices.Clip(a), b...)); got != want {
			t.Fatalf("joined %08x, whole %08x", got, want)
		}
	})
}
