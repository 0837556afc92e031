package kinesis

import (
	"context"
	"time"

	"github.com/thalweg/thalweg/fault"
	"github.com/thalweg/thalweg/gate"
	"github.com/thalweg/thalweg/stream"
)

// GetShardIterator gives a token for a place in a shard, good for 300 seconds.
// A closed shard has iterators too, until retention has taken it, as at AWS.

type getShardIteratorRequest struct {
	ShardId                *string `aws:"required,min=1,max=128,pattern=[a-zA-Z0-9_.-]+"`
	ShardIteratorType      *string `aws:"required,enum=AFTER_SEQUENCE_NUMBER|LATEST|AT_TIMESTAMP|AT_SEQUENCE_NUMBER|TRIM_HORIZON"`
	StartingSequenceNumber *string `aws:"pattern=0|([1-9]\\d{0,128})"`
	Timestamp              time.Time
	target
	DryRun *bool
}

type getShardIteratorAnswer struct {
	ShardIterator string
}

func (a *api) getShardIterator(ctx context.Context, c *gate.Call, in *getShardIteratorRequest) (*getShardIteratorAnswer, error) {
	ref, err := in.resolve(c)
	if err != nil {
		return nil, err
	}
	at := stream.Start{Type: stream.StartType(*in.ShardIteratorType), Sequence: text(in.StartingSequenceNumber), Time: in.Timestamp}
	if at.Type == stream.AtTime && in.Timestamp.IsZero() {
		return nil, fault.New(fault.Invalid,
			"Must specify timestampInMillis parameter for iterator of type AT_TIMESTAMP. Current request has no timestamp parameter.")
	}
	token, err := a.streams.Iterator(ctx, ref, *in.ShardId, at)
	if err != nil {
		return nil, err
	}
	if isTrue(in.DryRun) {
		return nil, dryRun()
	}
	return &getShardIteratorAnswer{token}, nil
}
