package kinesis

import (
	"context"

	"github.com/thalweg/thalweg/gate"
	"github.com/thalweg/thalweg/stream"
)

// DescribeLimits counts what the account has in the region against what it may
// have. Channels are left out until there are any, as AWS leaves them optional.
// AWS takes one call a second; that is not enforced here.

type describeLimitsAnswer struct {
	ShardLimit               int
	OpenShardCount           int
	OnDemandStreamCount      int
	OnDemandStreamCountLimit int
}

func (a *api) describeLimits(_ context.Context, c *gate.Call, _ *none) (*describeLimitsAnswer, error) {
	u := a.streams.Usage(stream.Owner{Account: c.Account, Region: c.Region})
	return &describeLimitsAnswer{u.ShardLimit, u.OpenShards, u.OnDemandStreams, u.OnDemandLimit}, nil
}
