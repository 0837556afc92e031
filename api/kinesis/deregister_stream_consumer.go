package kinesis

import (
	"context"

	"github.com/thalweg/thalweg/gate"
)

// DeregisterStreamConsumer removes a consumer and ends its subscriptions, each
// by a clean end of its stream. AWS answers while it is DELETING; here it is
// gone when the answer comes.

type deregisterStreamConsumerRequest struct{ consumerTarget }

func (a *api) deregisterStreamConsumer(ctx context.Context, c *gate.Call, in *deregisterStreamConsumerRequest) (*none, error) {
	ref, err := in.resolve(c)
	if err != nil {
		return nil, err
	}
	return &none{}, a.streams.Deregister(ctx, ref.Ref, ref.consumer, ref.created)
}
