package stream

import (
	"context"
	"fmt"
	"math/rand/v2"
	"testing"

	"github.com/thalweg/thalweg/catalog"
	"github.com/thalweg/thalweg/internal/vfs"
	"github.com/thalweg/thalweg/shardlog/journal"
)

// BenchmarkPutWide is PutRecords over the real log on the real disk, to streams
// of few and of very many shards.
func BenchmarkPutWide(b *testing.B) {
	for _, size := range []int{100, 1024} {
		for _, shards := range []int{4, 100, 1000, 10000} {
			b.Run(fmt.Sprintf("%dB/%d", size, shards), func(b *testing.B) { benchmarkPutWide(b, shards, size) })
		}
	}
}

func benchmarkPutWide(b *testing.B, shards, size int) {
	const batch = 500
	c := catalog.New()
	j, err := journal.Open(b.Context(), journal.Config{FS: vfs.OS(), Dir: b.TempDir(), Machine: c})
	if err != nil {
		b.Fatal(err)
	}
	defer j.Close()
	c.Attach(j)
	s, err := New(Config{Log: j, Catalog: c})
	if err != nil {
		b.Fatal(err)
	}
	f := &fixture{TB: b, Streams: s}
	r := f.create("s", shards)
	b.SetBytes(int64(batch * size))
	b.ReportAllocs()
	b.SetParallelism(8)
	b.RunParallel(func(pb *testing.PB) {
		recs := make([]PutRecord, batch)
		data := make([]byte, size)
		fill := func(_ int, dst []byte) error { copy(dst, data); return nil }
		for pb.Next() {
			for i := range recs {
				recs[i] = PutRecord{Hash: Hash{rand.Uint64(), 0}, Explicit: true, Key: "partition-key-16", Size: size}
			}
			if err := f.Put(context.Background(), r, recs, fill); err != nil || recs[0].Err != nil {
				b.Fatal(err, recs[0].Err)
			}
		}
	})
	b.ReportMetric(float64(b.N*batch)/b.Elapsed().Seconds(), "records/s")
}
