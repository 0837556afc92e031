package kinesis

import (
	"context"

	"github.com/thalweg/thalweg/gate"
)

// UpdateShardCount splits and merges shards until there are as many as asked
// for, of about the same size. AWS answers while the stream is UPDATING; here
// all splits and merges have happened, at one instant, when the answer comes,
// and the short-lived shards among them do not count towards the account's
// limit.

type updateShardCountRequest struct {
	ScalingType *string `aws:"required,enum=UNIFORM_SCALING"`
	target
	TargetShardCount *int `aws:"required,min=1,max=100000"`
}

type updateShardCountAnswer struct {
	StreamName        string
	CurrentShardCount int
	TargetShardCount  int
	StreamARN         string
}

func (a *api) updateShardCount(ctx context.Context, c *gate.Call, in *updateShardCountRequest) (*updateShardCountAnswer, error) {
	ref, err := in.resolve(c)
	if err != nil {
		return nil, err
	}
	counts, err := a.streams.Scale(ctx, ref, *in.TargetShardCount)
	if err != nil {
		return nil, err
	}
	return &updateShardCountAnswer{ref.Name, counts.Current, counts.Target, ref.ARN()}, nil
}
