package kinesis

import (
	"context"
	"time"

	"github.com/thalweg/thalweg/gate"
)

// DescribeStream tells a stream's state and its shards, at most 100 of them at
// a time whatever Limit says, as AWS does.

type describeStreamRequest struct {
	Limit                 *int    `aws:"min=1,max=10000"`
	ExclusiveStartShardId *string `aws:"min=1,max=128,pattern=[a-zA-Z0-9_.-]+"`
	target
}

type describeStreamAnswer struct {
	StreamDescription streamDescription
}

type streamDescription struct {
	StreamName              string
	StreamARN               string
	StreamStatus            string
	StreamModeDetails       streamModeDetails
	Shards                  []shardShape
	HasMoreShards           bool
	RetentionPeriodHours    int
	StreamCreationTimestamp time.Time
	EnhancedMonitoring      []enhancedMetrics
	EncryptionType          string
}

// maxDescribed is how many shards one answer holds.
const maxDescribed = 100

func (a *api) describeStream(_ context.Context, c *gate.Call, in *describeStreamRequest) (*describeStreamAnswer, error) {
	ref, err := in.resolve(c)
	if err != nil {
		return nil, err
	}
	info, err := a.streams.Describe(ref)
	if err != nil {
		return nil, err
	}
	shards, err := after(ref, info.Shards, text(in.ExclusiveStartShardId))
	if err != nil {
		return nil, err
	}
	limit := maxDescribed
	if in.Limit != nil {
		limit = min(limit, *in.Limit)
	}
	more := len(shards) > limit
	if more {
		shards = shards[:limit]
	}
	return &describeStreamAnswer{streamDescription{
		StreamName:              info.Name,
		StreamARN:               info.ARN,
		StreamStatus:            string(info.Status),
		StreamModeDetails:       streamModeDetails{optional(string(info.Mode))},
		Shards:                  shapeShards(shards),
		HasMoreShards:           more,
		RetentionPeriodHours:    hours(info.Retention),
		StreamCreationTimestamp: info.Created,
		EnhancedMonitoring:      shapeMetrics(info.Metrics),
		EncryptionType:          "NONE",
	}}, nil
}
