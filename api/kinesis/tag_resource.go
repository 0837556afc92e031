package kinesis

import (
	"context"

	"github.com/thalweg/thalweg/gate"
)

// TagResource sets tags of a stream or a consumer, over those of the same
// keys: at most 50 in the end.

type tagResourceRequest struct {
	Tags        map[string]string `aws:"required,min=1,max=200" key:"min=1,max=128" elem:"min=0,max=256"`
	ResourceARN *string           `aws:"required,min=1,max=2048,pattern=arn:aws.*:kinesis:.*:\\d{12}:.*stream/\\S+"`
}

func (a *api) tagResource(ctx context.Context, c *gate.Call, in *tagResourceRequest) (*none, error) {
	r, err := resolveResource(c, *in.ResourceARN)
	if err != nil {
		return nil, err
	}
	return &none{}, a.changeTags(ctx, r, in.Tags, nil)
}
