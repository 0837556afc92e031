package kinesis

import (
	"context"

	"github.com/thalweg/thalweg/gate"
)

// IncreaseStreamRetentionPeriod keeps records longer from now on. What AWS's
// documentation calls an error, the period that the stream has already, AWS
// accepts, and so do we: Terraform sends it.

type retentionPeriodRequest struct {
	RetentionPeriodHours *int `aws:"required,min=1"`
	target
}

func (a *api) increaseStreamRetentionPeriod(ctx context.Context, c *gate.Call, in *retentionPeriodRequest) (*none, error) {
	ref, err := in.resolve(c)
	if err != nil {
		return nil, err
	}
	return &none{}, a.streams.Lengthen(ctx, ref, *in.RetentionPeriodHours)
}
