package kinesis

import (
	"context"

	"github.com/thalweg/thalweg/gate"
)

// DescribeStreamConsumer tells a consumer's state, by its ARN or by its name
// and its stream's ARN.

type describeStreamConsumerRequest struct{ consumerTarget }

type describeStreamConsumerAnswer struct {
	ConsumerDescription consumerDescription
}

type consumerDescription struct {
	consumerShape
	StreamARN string
}

func (a *api) describeStreamConsumer(_ context.Context, c *gate.Call, in *describeStreamConsumerRequest) (*describeStreamConsumerAnswer, error) {
	ref, err := in.resolve(c)
	if err != nil {
		return nil, err
	}
	found, err := a.streams.Consumer(ref.Ref, ref.consumer, ref.created)
	if err != nil {
		return nil, err
	}
	return &describeStreamConsumerAnswer{consumerDescription{shapeConsumer(&found), found.Stream.ARN()}}, nil
}
