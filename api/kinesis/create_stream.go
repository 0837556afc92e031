package kinesis

import (
	"context"

	"github.com/thalweg/thalweg/gate"
	"github.com/thalweg/thalweg/stream"
)

// CreateStream makes a stream. AWS answers while it is CREATING and takes some
// ten seconds more; here it is ACTIVE when the answer comes. An ON_DEMAND stream
// starts with 4 shards whatever ShardCount says.

type createStreamRequest struct {
	ShardCount                 *int    `aws:"min=1,max=100000"`
	StreamName                 *string `aws:"required,min=1,max=128,pattern=[a-zA-Z0-9_.-]+"`
	StreamModeDetails          *streamModeDetails
	Tags                       map[string]string `aws:"min=1,max=200" key:"min=1,max=128" elem:"max=256"`
	WarmThroughputMiBps        *int              `aws:"min=0"`
	MaxRecordSizeInKiB         *int              `aws:"min=1024,max=10240"`
	RecordDistributionStrategy *string           `aws:"enum=AUTO|USER_PARTITION_KEY"`
}

func (a *api) createStream(ctx context.Context, c *gate.Call, in *createStreamRequest) (*none, error) {
	ref, err := resolve(c, text(in.StreamName), "")
	if err != nil {
		return nil, err
	}
	if err := stream.CheckTags(ref, "add tags to", tagTexts(in.Tags)...); err != nil {
		return nil, err
	}
	spec := stream.CreateSpec{Tags: in.Tags, WarmMiBps: in.WarmThroughputMiBps, Auto: text(in.RecordDistributionStrategy) == "AUTO"}
	if in.ShardCount != nil {
		spec.Shards = *in.ShardCount
	}
	if in.StreamModeDetails != nil {
		spec.Mode = stream.Mode(text(in.StreamModeDetails.StreamMode))
	}
	if in.MaxRecordSizeInKiB != nil {
		spec.MaxRecordKiB = *in.MaxRecordSizeInKiB
	}
	return &none{}, a.streams.Create(ctx, ref, spec)
}
