package stream

import (
	"fmt"
	"strings"

	"github.com/thalweg/thalweg/fault"
)

// maxRefusals is how many of a call's records a fault names, as AWS's do.
const maxRefusals = 10

// CheckPut returns what Put would fail with now on account of the stream or of
// its settings, and stores nothing.
func (s *Streams) CheckPut(ref Ref, recs []PutRecord) error {
	_, v, err := s.open(ref)
	if err != nil {
		return err
	}
	if len(v.starts) == 0 {
		return noStream(ref)
	}
	return v.refuse(recs)
}

// refuse returns the fault of records that the stream does not take: those
// without a partition key, unless it places records itself, and those above its
// maximum size, of key and data together. A record is bounded by its stream and
// not by the API's model alone, but AWS tells it in the words of the model
// (awslabs/amazon-kinesis-producer#680).
func (v *view) refuse(recs []PutRecord) error {
	most := v.info.MaxRecordKiB << 10
	var found []string
	add := func(i int, value, member, constraint string) {
		if len(found) < maxRefusals {
			found = append(found, fmt.Sprintf("Value %sat 'records.%d.member.%s' failed to satisfy constraint: %s", value, i+1, member, constraint))
		}
	}
	for i := range recs {
		if recs[i].Key == "" && v.turn == nil {
			add(i, "null ", "partitionKey", "Member must not be null")
		}
		if len(recs[i].Key)+recs[i].Size > most {
			add(i, "", "data", fmt.Sprintf("Member must have length less than or equal to %d", most))
		}
	}
	switch len(found) {
	case 0:
		return nil
	case 1:
		return fault.New(fault.Constraint, "1 validation error detected: %s", found[0])
	}
	return fault.New(fault.Constraint, "%d validation errors detected: %s", len(found), strings.Join(found, "; "))
}
