package kinesis

import (
	"context"

	"github.com/thalweg/thalweg/gate"
)

// UpdateStreamRecordDistributionStrategy chooses whether an ON_DEMAND stream
// places records by their partition keys or, AUTO, on its shards in turn. It
// takes effect at once.

type updateStreamRecordDistributionStrategyRequest struct {
	onlyARN
	RecordDistributionStrategy *string `aws:"required,enum=AUTO|USER_PARTITION_KEY"`
}

func (a *api) updateStreamRecordDistributionStrategy(ctx context.Context, c *gate.Call, in *updateStreamRecordDistributionStrategyRequest) (*none, error) {
	ref, err := in.resolve(c)
	if err != nil {
		return nil, err
	}
	return &none{}, a.streams.SetAuto(ctx, ref, text(in.RecordDistributionStrategy) == "AUTO")
}
