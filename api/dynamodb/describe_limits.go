package dynamodb

import (
	"context"

	"github.com/thalweg/thalweg/gate"
)

// DescribeLimits tells AWS's default quotas of provisioned capacity. Capacity
// is told and not enforced.

type describeLimitsAnswer struct {
	AccountMaxReadCapacityUnits  int64
	AccountMaxWriteCapacityUnits int64
	TableMaxReadCapacityUnits    int64
	TableMaxWriteCapacityUnits   int64
}

func (a *api) describeLimits(context.Context, *gate.Call, *none) (*describeLimitsAnswer, error) {
	return &describeLimitsAnswer{80_000, 80_000, 40_000, 40_000}, nil
}
