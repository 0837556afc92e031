// Command journal measures the log engine alone against a plain writer of
// recycled files that writes groups of the same size and syncs each of them,
// in alternating runs. The engine's writers encode records, its committer
// groups them and its sealer sorts them into segments meanwhile; the plain
// writer only writes. Every record is read back and compared.
//
//	go run ./journal [-runs 5] [-time 3s] [-writers 16]
package main

import (
	"bytes"
	"context"
	"encoding/binary"
	"flag"
	"fmt"
	"log"
	"log/slog"
	"math/rand/v2"
	"os"
	"path/filepath"
	"runtime/pprof"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/thalweg/thalweg/catalog"
	"github.com/thalweg/thalweg/flow"
	"github.com/thalweg/thalweg/internal/vfs"
	"github.com/thalweg/thalweg/shardlog"
	"github.com/thalweg/thalweg/shardlog/journal"
)

const (
	records = 500
	size    = 1024
	shards  = 16
)

func main() {
	runs := flag.Int("runs", 5, "runs of each")
	length := flag.Duration("time", 3*time.Second, "length of a run")
	writers := flag.Int("writers", 16, "concurrent writers")
	scratch := flag.String("scratch", "", "folder for data; default a temporary one")
	segment := flag.Int64("segment", 0, "bytes of a journal file; more than a run writes measures the journal without its segments")
	profile := flag.String("cpuprofile", "", "write a CPU profile of the engine's runs here")
	flag.Parse()
	log.SetFlags(0)
	if *scratch == "" {
		dir, err := os.MkdirTemp("", "thalweg-bench-")
		if err != nil {
			log.Fatal(err)
		}
		defer os.RemoveAll(dir)
		*scratch = dir
	}
	plain, err := newPlain(filepath.Join(*scratch, "plain"))
	if err != nil {
		log.Fatal(err)
	}
	if *profile != "" {
		f, err := os.Create(*profile)
		if err != nil {
			log.Fatal(err)
		}
		if err := pprof.StartCPUProfile(f); err != nil {
			log.Fatal(err)
		}
		defer pprof.StopCPUProfile()
	}
	var ours, theirs, ratios []float64
	for i := range *runs {
		e, group, err := engine(filepath.Join(*scratch, "engine"), *writers, *length, *segment)
		if err != nil {
			log.Fatal(err)
		}
		p, err := plain.run(group, *length)
		if err != nil {
			log.Fatal(err)
		}
		fmt.Printf("run %d: engine %.0f MB/s in groups of %.0f KiB, plain %.0f MB/s, ratio %.2f\n", i+1, e, float64(group)/1024, p, e/p)
		ours, theirs, ratios = append(ours, e), append(theirs, p), append(ratios, e/p)
	}
	fmt.Printf("medians of %d alternating runs, %d writers of %dx%d B: engine %.0f MB/s, plain writer %.0f MB/s, ratio %.2f, to reach 0.80\n",
		*runs, *writers, records, size, median(ours), median(theirs), median(ratios))
}

func median(v []float64) float64 {
	v = slices.Sorted(slices.Values(v))
	return v[len(v)/2]
}

// counted counts what reaches the journal's files.
type counted struct {
	vfs.FS
	syncs, bytes atomic.Int64
}

type countedFile struct {
	vfs.File
	fs *counted
}

func (c *counted) wrap(f vfs.File, name string, err error) (vfs.File, error) {
	if err != nil || !strings.Contains(name, "slot-") {
		return f, err
	}
	return countedFile{f, c}, nil
}

func (c *counted) Create(name string) (vfs.File, error) {
	f, err := c.FS.Create(name)
	return c.wrap(f, name, err)
}

func (c *counted) OpenRW(name string) (vfs.File, error) {
	f, err := c.FS.OpenRW(name)
	return c.wrap(f, name, err)
}

func (f countedFile) WriteVec(bufs [][]byte, off int64) error {
	for _, b := range bufs {
		f.fs.bytes.Add(int64(len(b)))
	}
	return f.File.WriteVec(bufs, off)
}

func (f countedFile) SyncData() error {
	f.fs.syncs.Add(1)
	return f.File.SyncData()
}

// engine writes for d and answers MB/s of record data and bytes per group.
func engine(dir string, writers int, d time.Duration, segment int64) (rate float64, group int64, err error) {
	os.RemoveAll(dir)
	ctx := context.Background()
	fs := &counted{FS: vfs.OS()}
	j, err := journal.Open(ctx, journal.Config{FS: fs, Dir: dir, Machine: catalog.New(), SegmentBytes: segment, Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		return 0, 0, err
	}
	defer os.RemoveAll(dir)
	defer j.Close()
	var specs []shardlog.Spec
	for i := range shards {
		specs = append(specs, shardlog.Spec{Shard: shardlog.Shard(i + 1), Retention: 24 * time.Hour})
	}
	if err := j.Create(ctx, specs); err != nil {
		return 0, 0, err
	}
	data := make([]byte, records*size)
	rng := rand.NewChaCha8([32]byte{1})
	rng.Read(data)
	write := func(d time.Duration) (int64, error) {
		var done atomic.Int64
		var first atomic.Pointer[error]
		var wg sync.WaitGroup
		for start := time.Now(); ; {
			for w := range writers {
				wg.Go(func() {
					rng := rand.New(rand.NewPCG(uint64(w), 1))
					entries := make([]shardlog.Entry, 1)
					for time.Since(start) < d {
						entries[0] = shardlog.Entry{Shard: shardlog.Shard(rng.IntN(shards) + 1), Count: records, Size: records * shardlog.RecordSize(4, size)}
						if err := j.Reserve(ctx, entries); err != nil {
							first.Store(&err)
							return
						}
						b := entries[0].Payload
						var place []byte
						for i := range records {
							place, b = shardlog.Encode(b, "key1", size)
							copy(place, data[i*size:(i+1)*size])
						}
						if j.Append(ctx, entries); entries[0].Err != nil {
							first.Store(&entries[0].Err)
							return
						}
						done.Add(records)
					}
				})
			}
			wg.Wait()
			if e := first.Load(); e != nil {
				return 0, *e
			}
			return done.Load(), nil
		}
	}
	warm, err := write(time.Second)
	if err != nil {
		return 0, 0, err
	}
	syncs, bytes := fs.syncs.Load(), fs.bytes.Load()
	start := time.Now()
	n, err := write(d)
	if err != nil {
		return 0, 0, err
	}
	took := time.Since(start)
	group = (fs.bytes.Load() - bytes) / max(1, fs.syncs.Load()-syncs)
	if err := readBack(ctx, j, data, warm+n); err != nil {
		return 0, 0, err
	}
	return float64(n) * size / 1e6 / took.Seconds(), group, nil
}

func readBack(ctx context.Context, j *journal.Journal, data []byte, want int64) error {
	var p shardlog.Page
	var n int64
	for s := shardlog.Shard(1); s <= shards; s++ {
		for from := flow.Pos(0); ; from = p.Next {
			p.Release()
			if err := j.Read(ctx, s, from, shardlog.Limit{Records: 10000}, &p); err != nil {
				return err
			}
			if p.Records == 0 {
				break
			}
			i := 0
			for r := range p.All {
				if !bytes.Equal(r.Data, data[i%records*size:(i%records+1)*size]) {
					return fmt.Errorf("record at %d does not hold the bytes that were written (starts with %x)", r.Pos, binary.LittleEndian.Uint32(r.Data))
				}
				i++
			}
			n += int64(p.Records)
		}
	}
	p.Release()
	if n != want {
		return fmt.Errorf("%d records were acknowledged, %d read back", want, n)
	}
	return nil
}

// plain is a writer of files whose every byte was written before.
type plain struct {
	files []*os.File
	buf   []byte
}

const fileSize = 64 << 20

func newPlain(dir string) (*plain, error) {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return nil, err
	}
	p := &plain{buf: make([]byte, 16<<20)}
	rng := rand.NewChaCha8([32]byte{2})
	rng.Read(p.buf)
	for i := range 4 {
		f, err := os.Create(filepath.Join(dir, fmt.Sprintf("file-%d", i)))
		if err != nil {
			return nil, err
		}
		for off := int64(0); off < fileSize; off += int64(len(p.buf)) {
			if _, err := f.WriteAt(p.buf, off); err != nil {
				return nil, err
			}
		}
		if err := f.Sync(); err != nil {
			return nil, err
		}
		p.files = append(p.files, f)
	}
	return p, nil
}

// run writes groups for d, each with its sync, and answers MB/s.
func (p *plain) run(group int64, d time.Duration) (float64, error) {
	var off, n int64
	group = min(group, int64(len(p.buf)))
	f := 0
	start := time.Now()
	for time.Since(start) < d {
		if off+group > fileSize {
			off, f = 0, (f+1)%len(p.files)
		}
		if _, err := p.files[f].WriteAt(p.buf[:group], off); err != nil {
			return 0, err
		}
		if err := syscall.Fdatasync(int(p.files[f].Fd())); err != nil {
			return 0, err
		}
		off, n = off+group, n+group
	}
	return float64(n) / 1e6 / time.Since(start).Seconds(), nil
}
