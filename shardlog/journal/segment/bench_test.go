package segment

import (
	"fmt"
	"math/rand/v2"
	"path"
	"testing"

	"github.com/thalweg/thalweg/flow"
	"github.com/thalweg/thalweg/internal/vfs"
	"github.com/thalweg/thalweg/shardlog"
)

// nowhere takes bytes and keeps none: what is measured is the writer.
type nowhere struct{ vfs.FS }

type nowhereFile struct{ vfs.File }

func (nowhere) CreateDirect(string) (vfs.File, error) { return nowhereFile{}, nil }
func (nowhere) Rename(_, _ string) error              { return nil }
func (nowhere) Remove(string) error                   { return nil }
func (nowhere) SyncDir(string) error                  { return nil }

func (nowhereFile) WriteAt(p []byte, _ int64) (int, error) { return len(p), nil }
func (nowhereFile) Truncate(int64) error                   { return nil }
func (nowhereFile) Sync() error                            { return nil }
func (nowhereFile) Close() error                           { return nil }

type shape struct {
	name     string
	size     int // of a payload
	shards   int
	compress bool
	source   []byte // that payloads are cut from: more than caches hold
}

func shapes() []shape {
	random, readings := noise(1, benchBytes), make([]byte, 0, benchBytes+128)
	for r := rand.New(rand.NewPCG(1, 2)); len(readings) < benchBytes; {
		readings = fmt.Appendf(readings, `{"device":"d-%05d","kind":"reading","at":%d,"value":%.3f,"ok":%t},`,
			r.IntN(50_000), 1_790_000_000_000+r.IntN(1e9), r.NormFloat64()*100, r.IntN(9) > 0)
	}
	return []shape{
		{"128KiB", 128 << 10, 100, false, random},
		{"1KiB", 1 << 10, 1000, false, random},
		{"100B", 100, 10_000, false, random},
		{"128KiB-zstd-text", 128 << 10, 100, true, readings},
		{"128KiB-zstd-noise", 128 << 10, 100, true, random},
	}
}

const benchBytes = 64 << 20

func fill(b *testing.B, fs vfs.FS, name string, s shape, from flow.Pos) int64 {
	w, err := Create(fs, name, Options{Compress: s.compress, Store: testStore})
	if err != nil {
		b.Fatal(err)
	}
	f := frame(0, from, 1, 1, nil) // the sum is taken on trust: making it is not the writer's work
	at := 0
	each := benchBytes / s.size / s.shards
	for shard := range s.shards {
		for range each {
			f.Shard, f.Payload = shardlog.Shard(shard+1), s.source[at:at+s.size]
			at += s.size
			if err := w.Add(f); err != nil {
				b.Fatal(err)
			}
			f.Pos++
		}
	}
	if _, err := w.Finish(); err != nil {
		b.Fatal(err)
	}
	return int64(s.size * s.shards * each)
}

func BenchmarkWrite(b *testing.B) {
	for _, s := range shapes() {
		for _, to := range []string{"nowhere", "disk"} {
			b.Run(s.name+"/"+to, func(b *testing.B) {
				var fs vfs.FS = nowhere{}
				if to == "disk" {
					fs = vfs.OS()
				}
				name := path.Join(b.TempDir(), "a.seg")
				for b.Loop() {
					b.SetBytes(fill(b, fs, name, s, 1))
				}
			})
		}
	}
}

func BenchmarkRead(b *testing.B) {
	for _, s := range shapes() {
		b.Run(s.name, func(b *testing.B) {
			fs, name := vfs.OS(), path.Join(b.TempDir(), "a.seg")
			b.SetBytes(fill(b, fs, name, s, 1))
			seg := open(b, fs, name)
			defer seg.Close()
			for b.Loop() {
				for shard := range seg.Meta().Shards.All() {
					if err := seg.Read(shard, 0, nil, func(Frame) bool { return true }); err != nil {
						b.Fatal(err)
					}
				}
			}
		})
	}
}

// BenchmarkReadPage is a reader that comes back for a frame at a time.
func BenchmarkReadPage(b *testing.B) {
	for _, size := range []int{0, 1 << 20} {
		b.Run(map[bool]string{true: "cached", false: "uncached"}[size > 0], func(b *testing.B) {
			fs, name := vfs.OS(), path.Join(b.TempDir(), "a.seg")
			s := shapes()[1]
			fill(b, fs, name, s, 1)
			seg, err := OpenWith(fs, name, NewCache(size))
			if err != nil {
				b.Fatal(err)
			}
			defer seg.Close()
			b.SetBytes(int64(s.size))
			b.ReportAllocs()
			n := seg.blocks[0].last
			pos := flow.Pos(1)
			for b.Loop() {
				if err := seg.Read(1, pos, nil, func(Frame) bool { return false }); err != nil {
					b.Fatal(err)
				}
				pos = pos%n + 1
			}
		})
	}
}

func BenchmarkMerge(b *testing.B) {
	for _, s := range shapes() {
		b.Run(s.name, func(b *testing.B) {
			fs, dir := vfs.OS(), b.TempDir()
			var in []*Segment
			n := int64(0)
			for i := range 4 {
				name := path.Join(dir, string(rune('a'+i)))
				n += fill(b, fs, name, s, flow.Pos(1+i*benchBytes))
				in = append(in, open(b, fs, name))
			}
			b.SetBytes(n)
			for b.Loop() {
				if _, err := Merge(b.Context(), fs, path.Join(dir, "m"), Options{Compress: s.compress, Store: testStore}, in,
					func(shardlog.Shard) (flow.Pos, bool) { return 0, true }); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

func BenchmarkVerify(b *testing.B) {
	fs, name := vfs.OS(), path.Join(b.TempDir(), "a.seg")
	payload := noise(1, 128<<10)
	var frames []Frame
	for i := range benchBytes / len(payload) {
		frames = append(frames, frame(1, flow.Pos(i+1), 1, 1, payload))
	}
	b.SetBytes(write(b, fs, name, Options{Store: testStore}, frames).Bytes)
	for b.Loop() {
		if err := Verify(b.Context(), fs, name, nil, nil); err != nil {
			b.Fatal(err)
		}
	}
}
