package kinesis

import (
	"context"

	"github.com/thalweg/thalweg/gate"
)

// UpdateStreamWarmThroughput gives an ON_DEMAND stream a shard for each MiB/s
// asked for, ahead of the load. Less than there is merges no shards, where AWS
// lets go of them.

type updateStreamWarmThroughputRequest struct {
	target
	WarmThroughputMiBps *int `aws:"required,min=0"`
}

type updateStreamWarmThroughputAnswer struct {
	StreamARN      string
	StreamName     string
	WarmThroughput warmThroughput
}

func (a *api) updateStreamWarmThroughput(ctx context.Context, c *gate.Call, in *updateStreamWarmThroughputRequest) (*updateStreamWarmThroughputAnswer, error) {
	ref, err := in.resolve(c)
	if err != nil {
		return nil, err
	}
	want, have, err := a.streams.SetWarm(ctx, ref, *in.WarmThroughputMiBps)
	if err != nil {
		return nil, err
	}
	return &updateStreamWarmThroughputAnswer{ref.ARN(), ref.Name, warmThroughput{TargetMiBps: want, CurrentMiBps: have}}, nil
}
