package stream

import (
	"context"

	"github.com/thalweg/thalweg/fault"
)

// Limits says whether a stream's shards have AWS's limits of throughput.
type Limits string

// The choices for one stream.
const (
	LimitsDefault Limits = ""    // as Config.Limits has it
	LimitsAWS     Limits = "aws" // enforced
	LimitsOff     Limits = "off" // not enforced
)

// SetLimits gives one stream limits, or none, whatever the others have. It is
// durable. Faults: as Tag's.
func (s *Streams) SetLimits(ctx context.Context, ref Ref, l Limits) error {
	return s.change(ctx, ref, func(d *streamDoc) error {
		d.Limits = l
		return checkLimits(l)
	})
}

func checkLimits(l Limits) error {
	if l != LimitsDefault && l != LimitsAWS && l != LimitsOff {
		return fault.New(fault.Invalid, "Limits %s is none of aws and off.", l)
	}
	return nil
}

// Limited tells whether limits are enforced where a stream does not say
// otherwise. It is safe on nil, which has none.
func (s *Streams) Limited() bool { return s != nil && s.limited }

// limits tells whether the view's shards have limits.
func (s *Streams) limits(v *view) bool {
	return v.doc.Limits == LimitsAWS || s.limited && v.doc.Limits == LimitsDefault
}
