package kinesis

import (
	"context"

	"github.com/thalweg/thalweg/gate"
)

// DecreaseStreamRetentionPeriod keeps records for a shorter time: older ones
// are gone at once.

func (a *api) decreaseStreamRetentionPeriod(ctx context.Context, c *gate.Call, in *retentionPeriodRequest) (*none, error) {
	ref, err := in.resolve(c)
	if err != nil {
		return nil, err
	}
	return &none{}, a.streams.Shorten(ctx, ref, *in.RetentionPeriodHours)
}
