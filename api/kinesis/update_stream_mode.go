package kinesis

import (
	"context"

	"github.com/thalweg/thalweg/gate"
	"github.com/thalweg/thalweg/stream"
)

// UpdateStreamMode switches a stream between PROVISIONED and ON_DEMAND; its
// shards stay. AWS answers while the stream is UPDATING; here it is ACTIVE when
// the answer comes.

type updateStreamModeRequest struct {
	onlyARN
	StreamModeDetails   *streamModeDetails `aws:"required"`
	WarmThroughputMiBps *int               `aws:"min=0"`
}

// onlyARN is how the newer operations want a stream named.
type onlyARN struct {
	StreamARN *string `aws:"required,min=1,max=2048,pattern=arn:aws.*:kinesis:.*:\\d{12}:stream/\\S+"`
}

func (t *onlyARN) resolve(c *gate.Call) (stream.Ref, error) { return resolve(c, "", text(t.StreamARN)) }

func (a *api) updateStreamMode(ctx context.Context, c *gate.Call, in *updateStreamModeRequest) (*none, error) {
	ref, err := in.resolve(c)
	if err != nil {
		return nil, err
	}
	mode := stream.Mode(text(in.StreamModeDetails.StreamMode))
	return &none{}, a.streams.SetMode(ctx, ref, mode, in.WarmThroughputMiBps)
}
