package stream

import (
	"time"

	"github.com/thalweg/thalweg/fault"
)

// CheckOrdering judges a SequenceNumberForOrdering that came with a record: a
// number that a service of this kind could have given out until now. That the
// record comes after it needs no doing, since every record comes after all
// before it. The fault is Invalid. (kinesalite test/putRecord.js)
func CheckOrdering(ref Ref, number string, now time.Time) error {
	seq, err := ParseSequence(number)
	if err == nil && seq.Secs <= now.Unix() {
		return nil
	}
	return fault.New(fault.Invalid, "ExclusiveMinimumSequenceNumber %s used in PutRecord on stream %s under account %s is invalid.",
		canonical(number), ref.Name, ref.Account)
}
