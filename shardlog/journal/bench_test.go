package journal

import (
	"context"
	"sync"
	"testing"
	"time"

	"github.com/thalweg/thalweg/internal/vfs"
	"github.com/thalweg/thalweg/shardlog"
)

// benchAppend appends b.N batches of n records of 1 KiB from w writers, each
// batch spread over k of 1000 shards, to a log on the real disk.
func benchAppend(b *testing.B, w, n, k int) {
	dir := b.TempDir()
	j := open(b, Config{FS: vfs.OS(), Dir: dir})
	defer j.Close()
	create(b, j, 1000)
	const size = 1024
	ctx := context.Background()
	b.SetBytes(int64(n) * size)
	b.ReportAllocs()
	b.ResetTimer()
	start := time.Now()
	var wg sync.WaitGroup
	for id := range w {
		wg.Go(func() {
			es := make([]shardlog.Entry, k)
			for i := id; i < b.N; i += w {
				for e := range es {
					es[e] = shardlog.Entry{Shard: shardlog.Shard((i*31+e*17)%1000 + 1), Count: n / k, Size: n / k * shardlog.RecordSize(8, size-14)}
				}
				if err := j.Reserve(ctx, es); err != nil {
					b.Error(err)
					return
				}
				for e := range es {
					rest := es[e].Payload
					for range es[e].Count {
						var place []byte
						place, rest = shardlog.Encode(rest, "12345678", size-14)
						place[0] = byte(i)
					}
				}
				j.Append(ctx, es)
				for e := range es {
					if es[e].Err != nil {
						b.Error(es[e].Err)
						return
					}
				}
			}
		})
	}
	wg.Wait()
	records := float64(b.N * n)
	b.ReportMetric(records/time.Since(start).Seconds(), "records/s")
	b.StopTimer()
}

func BenchmarkAppend(b *testing.B) {
	b.Run("16x500x1KiB/1shard", func(b *testing.B) { benchAppend(b, 16, 500, 1) })
	b.Run("16x500x1KiB/50shards", func(b *testing.B) { benchAppend(b, 16, 500, 50) })
	b.Run("64x1x1KiB", func(b *testing.B) { benchAppend(b, 64, 1, 1) })
	b.Run("256x1x1KiB", func(b *testing.B) { benchAppend(b, 256, 1, 1) })
}

func BenchmarkReadTail(b *testing.B) {
	j := open(b, Config{FS: vfs.NewMem(0)})
	defer j.Close()
	create(b, j, 1)
	data := make([]string, 500)
	for i := range data {
		data[i] = string(make([]byte, 1000))
	}
	put(j, 1, data...)
	var p shardlog.Page
	b.ReportAllocs()
	for b.Loop() {
		if err := j.Read(context.Background(), 1, 0, shardlog.Limit{Records: 100}, &p); err != nil || p.Records != 100 {
			b.Fatal(err, p.Records)
		}
		p.Release()
	}
}

// BenchmarkRecovery opens a log with one full journal file of 1 KiB records.
func BenchmarkRecovery(b *testing.B) {
	fs := vfs.NewMem(0)
	j := open(b, Config{FS: fs})
	create(b, j, 1000)
	data := make([]string, 100)
	for i := range data {
		data[i] = string(make([]byte, 1000))
	}
	for i := range 620 {
		if e := put(j, shardlog.Shard(i+1), data...); e.Err != nil {
			b.Fatal(e.Err)
		}
	}
	if err := j.Close(); err != nil {
		b.Fatal(err)
	}
	files, err := findFiles(fs, "log/journal", true)
	if err != nil {
		b.Fatal(err)
	}
	var x *journalFile
	for _, f := range files {
		if f.err == nil {
			x = f
		}
	}
	st, err := readCheckpoint(fs, "log/"+checkpointName(1))
	if err != nil {
		b.Fatal(err)
	}
	b.SetBytes(x.size)
	for b.Loop() {
		r := &replay{j: &Journal{machine: noMachine{}, arena: newArena(1 << 30), log: j.log}, at: place{st.group, st.lsn, st.time}}
		r.j.commit.epoch = newEpoch(r.j.arena, 1)
		if _, err := r.files(context.Background(), []*journalFile{x}); err != nil {
			b.Fatal(err)
		}
	}
}
