package kinesis

import (
	"context"

	"github.com/thalweg/thalweg/gate"
)

// EnableEnhancedMonitoring switches metrics of a stream's shards on: /metrics
// has a series of each shard for each of them. AWS takes a while to do so; here
// it is done when the answer comes, which tells those that were on before and
// those that are now.

type enhancedMonitoringRequest struct {
	ShardLevelMetrics []string `aws:"required,min=1,max=7" elem:"enum=IncomingBytes|IncomingRecords|OutgoingBytes|OutgoingRecords|WriteProvisionedThroughputExceeded|ReadProvisionedThroughputExceeded|IteratorAgeMilliseconds|ALL"`
	target
}

type enhancedMonitoringAnswer struct {
	StreamName               string
	StreamARN                string
	CurrentShardLevelMetrics []string
	DesiredShardLevelMetrics []string
}

func (a *api) enableEnhancedMonitoring(ctx context.Context, c *gate.Call, in *enhancedMonitoringRequest) (*enhancedMonitoringAnswer, error) {
	return a.monitor(ctx, c, in, true)
}

func (a *api) monitor(ctx context.Context, c *gate.Call, in *enhancedMonitoringRequest, on bool) (*enhancedMonitoringAnswer, error) {
	ref, err := in.resolve(c)
	if err != nil {
		return nil, err
	}
	before, after, err := a.streams.Monitor(ctx, ref, in.ShardLevelMetrics, on)
	if err != nil {
		return nil, err
	}
	return &enhancedMonitoringAnswer{
		ref.Name, ref.ARN(), shapeMetrics(before)[0].ShardLevelMetrics, shapeMetrics(after)[0].ShardLevelMetrics,
	}, nil
}

// shapeMetrics is how AWS tells which metrics are on: a list of one list, which
// may be empty.
func shapeMetrics(on []string) []enhancedMetrics {
	return []enhancedMetrics{{ShardLevelMetrics: append([]string{}, on...)}}
}
