// Command aggregation measures package aggregation beside AWS's own Go library
// for the KPL's format, in one run: both take the same Kinesis records apart
// and make the same ones, in turns, so that the machine's drift falls on both
// alike. It prints MB/s, counted in bytes of Kinesis records, and ratios; and
// the speed of the MD5 alone, which the format demands of both and which is
// most of the work where user records are large.
//
//	go run ./aggregation [-runs 15] [-time 200ms]
//
// AWS's library decodes in Go, but leaves encoding to its generated messages:
// what is measured is a producer that fills them, marshals them and adds the
// digest, as the library's own tests do.
package main

import (
	"crypto/md5"
	"flag"
	"fmt"
	"log"
	"os"
	"slices"
	"text/tabwriter"
	"time"

	"github.com/thalweg/thalweg/aggregation"
)

// load is a kind of user records.
type load struct {
	name       string
	size, keys int // bytes of a record's data; different partition keys
	hashed     bool
	full       int // bytes of a full aggregated record
}

var loads = []load{
	{name: "100 B, 50 keys", size: 100, keys: 50, full: aggregation.DefaultMaxSize},
	{name: "100 B, a key each", size: 100, keys: 1 << 30, full: aggregation.DefaultMaxSize},
	{name: "100 B, a key each, explicit hash keys", size: 100, keys: 1 << 30, hashed: true, full: aggregation.DefaultMaxSize},
	{name: "30 B, 50 keys", size: 30, keys: 50, full: aggregation.DefaultMaxSize},
	{name: "1 KiB, 50 keys", size: 1024, keys: 50, full: 1 << 20},
}

func main() {
	runs := flag.Int("runs", 15, "measured stretches of each; the median counts")
	length := flag.Duration("time", 200*time.Millisecond, "length of a stretch")
	flag.Parse()
	log.SetFlags(0)
	out := tabwriter.NewWriter(os.Stdout, 0, 0, 2, ' ', 0)
	fmt.Fprintln(out, "user records\tMB/s of\tthalweg\tawslabs\tratio\tMD5 alone")
	for _, l := range loads {
		records := l.records()
		packed := pack(records, l.full)
		theirs := kinesisRecords(packed)
		if err := sameBytes(records, packed, theirs); err != nil {
			log.Fatalf("%s: %v", l.name, err)
		}
		bytes := 0
		for _, p := range packed {
			bytes += len(p.Data)
		}
		var d aggregation.Decoder
		var e repacker
		for _, c := range []struct {
			what         string
			ours, theirs func()
		}{
			{"decode", func() { unpack(&d, packed) }, func() { awsUnpack(theirs) }},
			{"encode", func() { e.repack(records, l.full) }, func() { awsPack(records, len(records)/len(packed)) }},
		} {
			s := turns(*runs, *length, c.ours, c.theirs, func() { digests(packed) })
			fmt.Fprintf(out, "%s\t%s\t%.0f\t%.0f\t%.1f\t%.0f\n", l.name, c.what, rate(bytes, s[0]), rate(bytes, s[1]), s[1]/s[0], rate(bytes, s[2]))
		}
	}
	out.Flush()
}

// records makes as many user records as fill about 20 aggregated ones.
func (l load) records() (records []aggregation.Record) {
	for i := range 20 * l.full / (l.size + 20) {
		r := aggregation.Record{PartitionKey: fmt.Sprintf("customer-%d", i%l.keys), Data: make([]byte, l.size)}
		for j := range r.Data {
			r.Data[j] = byte(i*31 + j*17)
		}
		if l.hashed {
			r.ExplicitHashKey = fmt.Sprintf("34028236692093846346337460743%d", i)
		}
		records = append(records, r)
	}
	return records
}

func rate(bytes int, seconds float64) float64 { return float64(bytes) / seconds / 1e6 }

// turns runs all in turns and returns the median seconds of a call of each.
func turns(runs int, length time.Duration, all ...func()) (seconds []float64) {
	times := make([][]float64, len(all))
	for range runs {
		for i, f := range all {
			times[i] = append(times[i], stretch(length, f))
		}
	}
	for _, t := range times {
		slices.Sort(t)
		seconds = append(seconds, t[len(t)/2])
	}
	return seconds
}

func stretch(length time.Duration, f func()) float64 {
	from, n := time.Now(), 0
	for time.Since(from) < length {
		f()
		n++
	}
	return time.Since(from).Seconds() / float64(n)
}

func digests(entries []aggregation.Entry) (x byte) {
	for _, e := range entries {
		sum := md5.Sum(e.Data)
		x ^= sum[0]
	}
	return x
}
