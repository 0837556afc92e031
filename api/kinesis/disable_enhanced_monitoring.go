package kinesis

import (
	"context"

	"github.com/thalweg/thalweg/gate"
)

// DisableEnhancedMonitoring switches metrics of a stream's shards off again.

func (a *api) disableEnhancedMonitoring(ctx context.Context, c *gate.Call, in *enhancedMonitoringRequest) (*enhancedMonitoringAnswer, error) {
	return a.monitor(ctx, c, in, false)
}
