package kinesis

import "github.com/thalweg/thalweg/gate/wire"

// recordsJSON reads a request of PutRecords.
func (p *putCall) recordsJSON(body []byte) bool {
	s := &p.json
	s.Reset(body)
	listed := false
	s.Open('{')
	for s.Next('}') {
		key := s.Key()
		if string(key) == "Records" {
			if listed || !p.listJSON(s) {
				return false
			}
			listed = true
		} else if !p.targetJSON(s, key) {
			return false
		}
	}
	return s.End()
}

func (p *putCall) listJSON(s *wire.Scanner) bool {
	s.Open('[')
	for s.Next(']') {
		var f fields
		s.Open('{')
		for s.Next('}') {
			key := s.Key()
			known, ok := f.memberJSON(s, key)
			if !ok {
				return false
			}
			if !known {
				s.Skip()
			}
		}
		if s.Failed() || !p.add(&f, wire.Base64Len(f.data)) {
			return false
		}
	}
	return !s.Failed()
}

// recordJSON reads a request of PutRecord.
func (p *putCall) recordJSON(body []byte) bool {
	s := &p.json
	s.Reset(body)
	var f fields
	s.Open('{')
	for s.Next('}') {
		key := s.Key()
		known, ok := f.memberJSON(s, key)
		switch {
		case !ok:
			return false
		case known:
		case string(key) == "SequenceNumberForOrdering":
			if p.ordering != nil {
				return false
			}
			if p.ordering = s.Text(); !decimal(p.ordering, longSequence) {
				return false
			}
		case !p.targetJSON(s, key):
			return false
		}
	}
	return s.End() && p.add(&f, wire.Base64Len(f.data))
}

// memberJSON reads the value of a record's member, if key is the name of one.
func (f *fields) memberJSON(s *wire.Scanner, key []byte) (known, ok bool) {
	switch string(key) {
	case "Data":
		if f.data != nil {
			return true, false
		}
		var plain bool
		f.data, plain = s.Raw()
		return true, plain
	case "PartitionKey":
		if f.key != nil {
			return true, false
		}
		f.key = s.Text()
	case "ExplicitHashKey":
		if f.hash != nil {
			return true, false
		}
		f.hash = s.Text()
	default:
		return false, true
	}
	return true, !s.Failed()
}

// targetJSON reads the value of any other member of a request.
func (p *putCall) targetJSON(s *wire.Scanner, key []byte) bool {
	switch string(key) {
	case "StreamName":
		if p.name != nil {
			return false
		}
		p.name = s.Text()
	case "StreamARN":
		if p.arn != nil {
			return false
		}
		p.arn = s.Text()
	case "DryRun":
		return false
	default:
		s.Skip()
	}
	return !s.Failed()
}
