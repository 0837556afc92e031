package kinesis

import (
	"context"

	"github.com/thalweg/thalweg/gate"
)

// MergeShards makes one shard of two whose hash keys adjoin. AWS answers while
// the stream is UPDATING; here it is ACTIVE again when the answer comes.

type mergeShardsRequest struct {
	ShardToMerge         *string `aws:"required,min=1,max=128,pattern=[a-zA-Z0-9_.-]+"`
	AdjacentShardToMerge *string `aws:"required,min=1,max=128,pattern=[a-zA-Z0-9_.-]+"`
	target
}

func (a *api) mergeShards(ctx context.Context, c *gate.Call, in *mergeShardsRequest) (*none, error) {
	ref, err := in.resolve(c)
	if err != nil {
		return nil, err
	}
	return &none{}, a.streams.Merge(ctx, ref, *in.ShardToMerge, *in.AdjacentShardToMerge)
}
