package kinesis

import (
	"context"

	"github.com/thalweg/thalweg/gate"
	"github.com/thalweg/thalweg/stream"
)

// DescribeLimits counts what the account has in the region against what it may
// have. There are no channels until their operations are there, and so no limit
// of them.

type describeLimitsAnswer struct {
	ShardLimit               int
	OpenShardCount           int
	OnDemandStreamCount      int
	OnDemandStreamCountLimit int
	ChannelCount             int
}

func (a *api) describeLimits(_ context.Context, c *gate.Call, _ *none) (*describeLimitsAnswer, error) {
	u := a.streams.Usage(stream.Owner{Account: c.Account, Region: c.Region})
	return &describeLimitsAnswer{
		ShardLimit: u.ShardLimit, OpenShardCount: u.OpenShards,
		OnDemandStreamCount: u.OnDemandStreams, OnDemandStreamCountLimit: u.OnDemandLimit,
	}, nil
}
