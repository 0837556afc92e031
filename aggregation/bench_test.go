package aggregation

import (
	"crypto/md5"
	"fmt"
	"testing"
)

// The digest is the floor of both: everything else is what this package costs.
// bench/aggregation has the comparison with AWS's library.
func Benchmark(b *testing.B) {
	var records []Record
	for i := range 400 {
		records = append(records, Record{PartitionKey: fmt.Sprintf("customer-%d", i), ExplicitHashKey: fmt.Sprintf("34028236692093846346337460743%d", i), Data: make([]byte, 70)})
	}
	var e Encoder
	var d Decoder
	fill := func(dst []byte) []byte {
		for _, r := range records {
			if !e.Add(r) {
				b.Fatal("full")
			}
		}
		return e.Finish(dst).Data
	}
	data := fill(nil)
	for _, c := range []struct {
		name string
		f    func()
	}{
		{"digest", func() { md5.Sum(data) }},
		{"decode", func() {
			for range d.Records("", data) {
			}
		}},
		{"encode", func() { fill(data[:0]) }},
	} {
		b.Run(c.name, func(b *testing.B) {
			b.SetBytes(int64(len(data)))
			b.ReportAllocs()
			for b.Loop() {
				c.f()
			}
		})
	}
}
