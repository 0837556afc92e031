package aggregation

import (
	"crypto/md5"
	"fmt"
	"iter"
)

// Decoder takes Kinesis records apart. The zero Decoder is ready; used again
// and again it keeps its memory, and a hold on the last record's data, and
// allocates next to nothing. It is used by one goroutine at a time, for one
// Kinesis record at a time.
type Decoder struct {
	// MaxRecords bounds the user records of one Kinesis record. 0 means
	// DefaultMaxRecords.
	MaxRecords int

	err            error
	keys, hashKeys table
	entries        []entry
}

// Records returns the user records of a Kinesis record with this partition key
// and data: those that were aggregated in it, in order, or, if it is plain, the
// record itself. Data is a part of data, not a copy of it.
//
// The whole record is checked when the loop begins, before any user record is
// handed out. After the loop, Err says whether any were left out.
func (d *Decoder) Records(partitionKey string, data []byte) iter.Seq[Record] {
	return func(yield func(Record) bool) { d.each(partitionKey, data, yield) }
}

// Err says why the last use of Records came to an early end, or nil: a user
// record names a key that is in no table, in which case this one and all after
// it are lost, as they are in the KCL, or there are more of them than
// MaxRecords, in which case none was handed out.
func (d *Decoder) Err() error { return d.err }

func (d *Decoder) each(partitionKey string, data []byte, yield func(Record) bool) {
	d.err = nil
	n, aggregated := d.survey(data)
	if !aggregated {
		yield(Record{PartitionKey: partitionKey, Data: data})
		return
	}
	if n > len(d.entries) {
		d.err = fmt.Errorf("aggregated record of %d user records, where at most %d are read", n, d.limit())
		return
	}
	for i := range d.entries {
		e := &d.entries[i]
		r := Record{Data: e.data, SubSequence: i, Aggregated: true}
		var known bool
		if r.PartitionKey, known = d.keys.get(e.key); !known {
			d.err = fmt.Errorf("user record %d of %d names partition key %d of %d", i, n, e.key, len(d.keys.ends))
			return
		}
		if e.hashed {
			if r.ExplicitHashKey, known = d.hashKeys.get(e.hashKey); !known {
				d.err = fmt.Errorf("user record %d of %d names explicit hash key %d of %d", i, n, e.hashKey, len(d.hashKeys.ends))
				return
			}
		}
		if e.tags > 0 {
			r.Tags = e.readTags()
		}
		if !yield(r) {
			return
		}
	}
}

func (d *Decoder) limit() int {
	if d.MaxRecords <= 0 {
		return DefaultMaxRecords
	}
	return d.MaxRecords
}

// body is the message in data, which has the form of an aggregated record.
func body(data []byte) []byte { return data[len(magic) : len(data)-digest] }

// survey reports whether data is an aggregated record, and of how many user
// records. If so, the tables and the entries are those of data, the entries up
// to the limit.
func (d *Decoder) survey(data []byte) (records int, aggregated bool) {
	if len(data) <= len(magic)+digest || string(data[:len(magic)]) != magic {
		return 0, false
	}
	b := body(data)
	if sum := md5.Sum(b); string(sum[:]) != string(data[len(data)-digest:]) {
		return 0, false
	}
	d.keys.reset()
	d.hashKeys.reset()
	d.entries = d.entries[:0]
	limit := d.limit()
	for len(b) > 0 {
		tag, _, value, rest := field(b)
		switch tag {
		case 0:
			return 0, false
		case tagPartitionKey:
			d.keys.add(value)
		case tagHashKey:
			d.hashKeys.add(value)
		case tagRecord:
			e, ok := readEntry(value)
			if !ok {
				return 0, false
			}
			if records++; records <= limit {
				d.entries = append(d.entries, e)
			}
		}
		b = rest
	}
	d.keys.seal()
	d.hashKeys.seal()
	return records, true
}

// table is a list of keys. They share one string, which is made anew only
// where it differs from that of the record before.
type table struct {
	text []byte
	ends []int // of each key, in text
	all  string
}

func (t *table) reset() { t.text, t.ends = t.text[:0], t.ends[:0] }

func (t *table) add(key []byte) {
	t.text = append(t.text, key...)
	t.ends = append(t.ends, len(t.text))
}

func (t *table) seal() {
	if t.all != string(t.text) {
		t.all = string(t.text)
	}
}

func (t *table) get(i uint64) (string, bool) {
	if i >= uint64(len(t.ends)) {
		return "", false
	}
	from := 0
	if i > 0 {
		from = t.ends[i-1]
	}
	return t.all[from:t.ends[i]], true
}
