package kinesis

import (
	"context"

	"github.com/thalweg/thalweg/gate"
)

// UntagResource removes the tags with some keys from a stream or a consumer,
// which need not have all of them.

type untagResourceRequest struct {
	TagKeys     []string `aws:"required,min=1,max=50" elem:"min=1,max=128"`
	ResourceARN *string  `aws:"required,min=1,max=2048,pattern=arn:aws.*:kinesis:.*:\\d{12}:.*stream/\\S+"`
}

func (a *api) untagResource(ctx context.Context, c *gate.Call, in *untagResourceRequest) (*none, error) {
	r, err := resolveResource(c, *in.ResourceARN)
	if err != nil {
		return nil, err
	}
	return &none{}, a.changeTags(ctx, r, nil, in.TagKeys)
}
