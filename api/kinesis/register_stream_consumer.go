package kinesis

import (
	"context"

	"github.com/thalweg/thalweg/gate"
	"github.com/thalweg/thalweg/stream"
)

// RegisterStreamConsumer makes a consumer that can subscribe to the stream's
// shards. AWS answers while it is CREATING; here it is ACTIVE when the answer
// comes.

type registerStreamConsumerRequest struct {
	StreamARN    *string           `aws:"required,min=1,max=2048,pattern=arn:aws.*:kinesis:.*:\\d{12}:stream/\\S+"`
	ConsumerName *string           `aws:"required,min=1,max=128,pattern=[a-zA-Z0-9_.-]+"`
	Tags         map[string]string `aws:"min=1,max=200" key:"min=1,max=128" elem:"max=256"`
}

type registerStreamConsumerAnswer struct {
	Consumer consumerShape
}

func (a *api) registerStreamConsumer(ctx context.Context, c *gate.Call, in *registerStreamConsumerRequest) (*registerStreamConsumerAnswer, error) {
	ref, err := resolve(c, "", *in.StreamARN)
	if err != nil {
		return nil, err
	}
	if _, err := a.streams.Describe(ref); err != nil {
		return nil, err // before what its tags may look like, as in tag
	}
	if err := stream.CheckTags(ref, "tag a consumer of", tagTexts(in.Tags)...); err != nil {
		return nil, err
	}
	made, err := a.streams.Register(ctx, ref, *in.ConsumerName, in.Tags)
	if err != nil {
		return nil, err
	}
	return &registerStreamConsumerAnswer{shapeConsumer(&made)}, nil
}
