package main

import "github.com/thalweg/thalweg/aggregation"

// pack makes the entries that a producer would put.
func pack(records []aggregation.Record, size int) (entries []aggregation.Entry) {
	e := aggregation.Encoder{MaxSize: size}
	for _, r := range records {
		if !e.Add(r) {
			entries = append(entries, e.Finish(nil))
			e.Add(r)
		}
	}
	return append(entries, e.Finish(nil))
}

// repacker does the same with memory that is there, as a producer that waits
// for its puts can.
type repacker struct {
	aggregation.Encoder
	dst []byte
}

func (r *repacker) repack(records []aggregation.Record, size int) {
	r.MaxSize = size
	for _, user := range records {
		if !r.Add(user) {
			r.dst = r.Finish(r.dst[:0]).Data
			r.Add(user)
		}
	}
	r.dst = r.Finish(r.dst[:0]).Data
}

// unpack looks at every user record.
func unpack(d *aggregation.Decoder, entries []aggregation.Entry) (bytes int) {
	for _, e := range entries {
		for r := range d.Records(e.PartitionKey, e.Data) {
			bytes += len(r.PartitionKey) + len(r.Data)
		}
	}
	return bytes
}
