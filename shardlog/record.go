package shardlog

import (
	"encoding/binary"
	"time"
	"unsafe"

	"github.com/thalweg/thalweg/flow"
)

// A record in an entry's payload: key length u16, data length u32, both little
// endian, then the key and the data. It has no position, time or checksum of
// its own: the frame around the payload has those for all its records.
const recordHeader = 6

// RecordSize returns the bytes that a record takes in an entry's payload.
func RecordSize(key, data int) int { return recordHeader + key + data }

// Encode writes a record's header and key at the start of dst and returns the
// place of its data, for the caller to fill, and the rest of dst.
func Encode(dst []byte, key string, data int) (place, rest []byte) {
	binary.LittleEndian.PutUint16(dst, uint16(len(key)))
	binary.LittleEndian.PutUint32(dst[2:], uint32(data))
	n := recordHeader + copy(dst[recordHeader:], key)
	return dst[n : n+data : n+data], dst[n+data:]
}

// Decode splits the first record off a payload. ok is false when the payload
// does not hold a whole one. key and data share the payload's memory.
func Decode(payload []byte) (key string, data, rest []byte, ok bool) {
	if len(payload) < recordHeader {
		return "", nil, nil, false
	}
	k := int(binary.LittleEndian.Uint16(payload))
	d := int(binary.LittleEndian.Uint32(payload[2:]))
	payload = payload[recordHeader:]
	if k > len(payload) || d > len(payload)-k {
		return "", nil, nil, false
	}
	if k > 0 {
		key = unsafe.String(&payload[0], k)
	}
	return key, payload[k : k+d : k+d], payload[k+d:], true
}

// Run is a stretch of records under consecutive positions, as they lie in
// the log: the first at Pos, all taken in at Time.
type Run struct {
	Pos     flow.Pos
	Time    int64 // Unix milliseconds
	Count   int
	Payload []byte // Count records, encoded
}

// Page is what one Read found. The zero Page is ready for use, and a Page may
// be used for many reads, with Release in between.
type Page struct {
	Runs    []Run
	Records int           // in all Runs
	Bytes   int           // keys and data of all Runs
	Next    flow.Pos      // read on from here
	End     bool          // the shard is sealed and all of it is read
	Behind  time.Duration // from the last record of the page (of from, when empty) to the tip; 0 when nothing is left to read

	Pins []Pin // the engine's holds on the Runs' memory; others leave them alone
}

// Pin is a hold on memory that must not be reused yet.
type Pin interface{ Unpin() }

// All calls yield for each record of the page in order, until it is false.
// The record's memory is the page's.
func (p *Page) All(yield func(flow.Record) bool) {
	for _, r := range p.Runs {
		t, b := time.UnixMilli(r.Time), r.Payload
		for i := range r.Count {
			key, data, rest, ok := Decode(b)
			if !ok {
				return
			}
			if !yield(flow.Record{Pos: r.Pos + flow.Pos(i), Time: t, Key: key, Data: data}) {
				return
			}
			b = rest
		}
	}
}

// Release lets go of the page's memory and empties it for reuse.
func (p *Page) Release() {
	for _, pin := range p.Pins {
		pin.Unpin()
	}
	clear(p.Pins)
	clear(p.Runs)
	*p = Page{Runs: p.Runs[:0], Pins: p.Pins[:0]}
}
