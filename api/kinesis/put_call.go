package kinesis

import (
	"context"
	"errors"
	"unicode/utf8"
	"unsafe"

	"github.com/thalweg/thalweg/gate"
	"github.com/thalweg/thalweg/gate/wire"
	"github.com/thalweg/thalweg/stream"
)

// The bounds of a record and of a request with several.
const (
	maxRecords   = 500
	maxKey       = 256      // characters
	maxData      = 10485760 // bytes
	maxPutBytes  = 10485760 // keys and data of all records
	maxARN       = 2048
	entrySize    = 130 // bytes of one record's answer, about
	longSequence = 129 // digits of the longest sequence number
	maxScratch   = 1 << 16
)

// putCall is one request to put records as the hand-made codec has read it, and
// the memory for the next. Everything it holds points into the request's body,
// so that it is good for as long as the Call is.
type putCall struct {
	json wire.Scanner
	cbor wire.Reader

	name, arn []byte // of the stream; nil: absent
	ordering  []byte // SequenceNumberForOrdering of PutRecord; nil: absent
	recs      []stream.PutRecord
	ref       stream.Ref // set by put
	data      [][]byte   // of each record: base64 as it stands in JSON, the bytes themselves in CBOR
	bytes     int        // of all keys and data

	fillJSON, fillCBOR func(i int, dst []byte) error // made once
}

func newPutCall() *putCall {
	p := &putCall{}
	p.fillJSON, p.fillCBOR = p.decodeInto, p.copyInto
	return p
}

// errBase64 is data of a record that turned out not to be base64 when it was
// to be written. The general codec knows the text for it.
var errBase64 = errors.New("data is not base64")

func (p *putCall) decodeInto(i int, dst []byte) error {
	if !wire.DecodeBase64(dst, p.data[i]) {
		return errBase64
	}
	return nil
}

func (p *putCall) copyInto(i int, dst []byte) error {
	copy(dst, p.data[i])
	return nil
}

// reset forgets the request before.
func (p *putCall) reset() {
	clear(p.recs)
	clear(p.data)
	p.recs, p.data = p.recs[:0], p.data[:0]
	p.name, p.arn, p.ordering, p.bytes, p.ref = nil, nil, nil, 0, stream.Ref{}
	p.json.Reset(nil)
	p.cbor.Reset(nil)
	if cap(p.json.Scratch)+cap(p.cbor.Scratch) > maxScratch {
		p.json.Scratch, p.cbor.Scratch = nil, nil
	}
}

// decode reads a request of PutRecord (one) or PutRecords. It answers false for
// whatever the general codec would refuse and for what clients do not send,
// such as nulls and members that come twice: that codec then reads the request
// again. What it does not find out is whether data is base64.
func (p *putCall) decode(f wire.Format, body []byte, one bool) bool {
	p.reset()
	ok := false
	switch {
	case f == wire.CBOR && one:
		ok = p.recordCBOR(body)
	case f == wire.CBOR:
		ok = p.recordsCBOR(body)
	case one:
		ok = p.recordJSON(body)
	default:
		ok = p.recordsJSON(body)
	}
	return ok && len(p.recs) > 0 && p.validStream()
}

func (p *putCall) validStream() bool {
	if p.name != nil && !validName(view(p.name)) {
		return false
	}
	if p.arn != nil {
		if _, ok := parseARN(view(p.arn)); !ok || len(p.arn) > maxARN {
			return false
		}
	}
	return true
}

// fields are the members of one record. A nil slice is an absent member.
type fields struct{ key, hash, data []byte }

// add takes a record whose data has size bytes.
func (p *putCall) add(f *fields, size int) bool {
	if len(p.recs) == maxRecords || f.key != nil && len(f.key) == 0 || f.data == nil || size < 0 || size > maxData {
		return false
	}
	if len(f.key) > maxKey && utf8.RuneCount(f.key) > maxKey {
		return false
	}
	p.recs = append(p.recs, stream.PutRecord{})
	r := &p.recs[len(p.recs)-1]
	r.Key, r.Size = view(f.key), size
	if f.hash != nil {
		if !decimal(f.hash, 39) {
			return false
		}
		h, err := stream.ParseHash(view(f.hash))
		if err != nil {
			return false
		}
		r.Hash, r.Explicit = h, true
	}
	p.data = append(p.data, f.data)
	p.bytes += len(f.key) + size
	return true
}

// decimal reports whether b is a number without sign or leading zeros, of at
// most so many digits: 0|([1-9]\d{0,most-1}).
func decimal(b []byte, most int) bool {
	if len(b) == 0 || len(b) > most || b[0] == '0' && len(b) > 1 {
		return false
	}
	for _, c := range b {
		if c < '0' || c > '9' {
			return false
		}
	}
	return true
}

// view is b as a string, without a copy. It is for what does not outlive the
// request's body.
func view(b []byte) string { return unsafe.String(unsafe.SliceData(b), len(b)) }

// put stores the records of a request that decode has read.
func (a *api) put(ctx context.Context, c *gate.Call, p *putCall) error {
	// The room of streams keeps the name of a stream that it sees for the
	// first time, so these are no views.
	ref, err := resolve(c, string(p.name), string(p.arn))
	if err != nil {
		return err
	}
	if p.ordering != nil {
		if err := stream.CheckOrdering(ref, view(p.ordering), c.Now); err != nil {
			return err
		}
	}
	if p.bytes > maxPutBytes && len(p.recs) > 1 { // one alone is bounded by its stream
		return errPutBytes()
	}
	p.ref = ref
	fill := p.fillJSON
	if c.Format == wire.CBOR {
		fill = p.fillCBOR
	}
	return a.streams.Put(ctx, ref, p.recs, fill)
}
