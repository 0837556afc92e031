package kinesis

import "github.com/thalweg/thalweg/gate/wire"

// recordsCBOR reads a request of PutRecords.
func (p *putCall) recordsCBOR(body []byte) bool {
	r := &p.cbor
	r.Reset(body)
	listed := false
	for n := r.Open(wire.MajorMap); r.Next(&n); {
		key := r.Key()
		if string(key) == "Records" {
			if listed || !p.listCBOR(r) {
				return false
			}
			listed = true
		} else if !p.targetCBOR(r, key) {
			return false
		}
	}
	return r.End()
}

func (p *putCall) listCBOR(r *wire.Reader) bool {
	for n := r.Open(wire.MajorList); r.Next(&n); {
		var f fields
		for m := r.Open(wire.MajorMap); r.Next(&m); {
			key := r.Key()
			known, ok := f.memberCBOR(r, key)
			if !ok {
				return false
			}
			if !known {
				r.Skip()
			}
		}
		if r.Failed() || !p.add(&f, len(f.data)) {
			return false
		}
	}
	return !r.Failed()
}

// recordCBOR reads a request of PutRecord.
func (p *putCall) recordCBOR(body []byte) bool {
	r := &p.cbor
	r.Reset(body)
	var f fields
	for n := r.Open(wire.MajorMap); r.Next(&n); {
		key := r.Key()
		known, ok := f.memberCBOR(r, key)
		switch {
		case !ok:
			return false
		case known:
		case string(key) == "SequenceNumberForOrdering":
			if p.ordering != nil {
				return false
			}
			if p.ordering = r.Text(); !decimal(p.ordering, longSequence) {
				return false
			}
		case !p.targetCBOR(r, key):
			return false
		}
	}
	return r.End() && p.add(&f, len(f.data))
}

// memberCBOR reads the value of a record's member, if key is the name of one.
func (f *fields) memberCBOR(r *wire.Reader, key []byte) (known, ok bool) {
	switch string(key) {
	case "Data":
		if f.data != nil {
			return true, false
		}
		f.data = r.Bytes()
	case "PartitionKey":
		if f.key != nil {
			return true, false
		}
		f.key = r.Text()
	case "ExplicitHashKey":
		if f.hash != nil {
			return true, false
		}
		f.hash = r.Text()
	default:
		return false, true
	}
	return true, !r.Failed()
}

// targetCBOR reads the value of any other member of a request.
func (p *putCall) targetCBOR(r *wire.Reader, key []byte) bool {
	switch string(key) {
	case "StreamName":
		if p.name != nil {
			return false
		}
		p.name = r.Text()
	case "StreamARN":
		if p.arn != nil {
			return false
		}
		p.arn = r.Text()
	case "DryRun":
		return false
	default:
		r.Skip()
	}
	return !r.Failed()
}
