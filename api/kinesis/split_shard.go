package kinesis

import (
	"context"
	"errors"
	"strings"

	"github.com/thalweg/thalweg/fault"
	"github.com/thalweg/thalweg/gate"
	"github.com/thalweg/thalweg/stream"
)

// SplitShard cuts a shard in two at a hash key. AWS answers while the stream is
// UPDATING; here it is ACTIVE again when the answer comes.

type splitShardRequest struct {
	NewStartingHashKey *string `aws:"required,pattern=0|([1-9]\\d{0,38})"`
	target
	ShardToSplit *string `aws:"required,min=1,max=128,pattern=[a-zA-Z0-9_.-]+"`
}

func (a *api) splitShard(ctx context.Context, c *gate.Call, in *splitShardRequest) (*none, error) {
	ref, err := in.resolve(c)
	if err != nil {
		return nil, err
	}
	at, err := stream.ParseHash(*in.NewStartingHashKey)
	if err == nil {
		return &none{}, a.streams.Split(ctx, ref, *in.ShardToSplit, at)
	}
	// A number of 39 digits may be above every hash key. AWS refuses it like
	// one that is above the shard's; so is the greatest, by every shard.
	err = a.streams.Split(ctx, ref, *in.ShardToSplit, stream.MaxHash)
	var f *fault.Error
	if errors.As(err, &f) && f.Kind == fault.Invalid {
		err = fault.New(fault.Invalid, "%s", strings.Replace(f.Message, stream.MaxHash.String(), *in.NewStartingHashKey, 1))
	}
	return nil, err
}
