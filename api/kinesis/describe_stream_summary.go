package kinesis

import (
	"context"
	"time"

	"github.com/thalweg/thalweg/gate"
	"github.com/thalweg/thalweg/stream"
)

// DescribeStreamSummary tells a stream's state without its shards. There are no
// channels until their operations are there, StreamId is not told, as AWS has
// it reserved, and WarmThroughput is told for streams that asked for some.

type describeStreamSummaryRequest struct{ target }

type describeStreamSummaryAnswer struct {
	StreamDescriptionSummary streamDescriptionSummary
}

type streamDescriptionSummary struct {
	StreamName              string
	StreamARN               string
	StreamStatus            string
	StreamModeDetails       streamModeDetails
	RetentionPeriodHours    int
	StreamCreationTimestamp time.Time
	EnhancedMonitoring      []enhancedMetrics
	EncryptionType          string
	OpenShardCount          int
	ConsumerCount           int
	MaxRecordSizeInKiB      int
	WarmThroughput          *warmThroughput
	ChannelCount            int

	RecordDistributionStrategy *string // of ON_DEMAND streams
}

func (a *api) describeStreamSummary(_ context.Context, c *gate.Call, in *describeStreamSummaryRequest) (*describeStreamSummaryAnswer, error) {
	ref, err := in.resolve(c)
	if err != nil {
		return nil, err
	}
	info, err := a.streams.Describe(ref)
	if err != nil {
		return nil, err
	}
	consumers, _, err := a.streams.Consumers(ref, "", mostConsumers)
	if err != nil {
		return nil, err
	}
	out := &describeStreamSummaryAnswer{streamDescriptionSummary{
		StreamName:              info.Name,
		StreamARN:               info.ARN,
		StreamStatus:            string(info.Status),
		StreamModeDetails:       streamModeDetails{optional(string(info.Mode))},
		RetentionPeriodHours:    hours(info.Retention),
		StreamCreationTimestamp: info.Created,
		EnhancedMonitoring:      shapeMetrics(info.Metrics),
		EncryptionType:          "NONE",
		OpenShardCount:          info.OpenShards,
		ConsumerCount:           len(consumers),
		MaxRecordSizeInKiB:      info.MaxRecordKiB,
	}}
	if info.WarmMiBps > 0 {
		out.StreamDescriptionSummary.WarmThroughput = &warmThroughput{TargetMiBps: info.WarmMiBps, CurrentMiBps: info.OpenShards}
	}
	if info.Mode == stream.OnDemand {
		out.StreamDescriptionSummary.RecordDistributionStrategy = optional("USER_PARTITION_KEY")
		if info.Auto {
			out.StreamDescriptionSummary.RecordDistributionStrategy = optional("AUTO")
		}
	}
	return out, nil
}
