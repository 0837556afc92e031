package kinesis

import (
	"context"
	"time"

	"github.com/thalweg/thalweg/gate"
)

// DescribeStreamSummary tells a stream's state without its shards. Consumers
// and channels are counted as none until those operations are there, and
// WarmThroughput is told for streams that asked for some. AWS takes 20 calls a
// second; that is not enforced.

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
	out := &describeStreamSummaryAnswer{streamDescriptionSummary{
		StreamName:              info.Name,
		StreamARN:               info.ARN,
		StreamStatus:            string(info.Status),
		StreamModeDetails:       streamModeDetails{optional(string(info.Mode))},
		RetentionPeriodHours:    hours(info.Retention),
		StreamCreationTimestamp: info.Created,
		EnhancedMonitoring:      noMetrics(),
		EncryptionType:          "NONE",
		OpenShardCount:          info.OpenShards,
		MaxRecordSizeInKiB:      info.MaxRecordKiB,
	}}
	if info.WarmMiBps > 0 {
		out.StreamDescriptionSummary.WarmThroughput = &warmThroughput{info.WarmMiBps, info.WarmMiBps}
	}
	return out, nil
}
