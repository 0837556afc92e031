package aggregation

import (
	"crypto/md5"
	"fmt"
	"testing"
)

// The digest is the floor: everything else is what this package costs.
func BenchmarkDecode(b *testing.B) {
	for _, hashed := range []bool{false, true} {
		var e Encoder
		for i := 0; ; i++ {
			r := Record{PartitionKey: fmt.Sprintf("customer-%d", i), Data: make([]byte, 100)}
			if hashed {
				r.ExplicitHashKey = fmt.Sprintf("34028236692093846346337460743%d", i)
			}
			if !e.Add(r) {
				break
			}
		}
		data := e.Finish(nil).Data
		b.Run(fmt.Sprintf("hashed=%v", hashed), func(b *testing.B) {
			b.SetBytes(int64(len(data)))
			b.ReportAllocs()
			var d Decoder
			for b.Loop() {
				for r := range d.Records("", data) {
					_ = r
				}
			}
		})
		b.Run("digest", func(b *testing.B) {
			b.SetBytes(int64(len(data)))
			for b.Loop() {
				md5.Sum(data)
			}
		})
	}
}
