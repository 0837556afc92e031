package kinesis

import (
	"context"

	"github.com/thalweg/thalweg/gate"
)

// ListTagsForResource lists all tags of a stream or a consumer in the order of
// their keys.

type listTagsForResourceRequest struct {
	ResourceARN *string `aws:"required,min=1,max=2048,pattern=arn:aws.*:kinesis:.*:\\d{12}:.*stream/\\S+"`
}

type listTagsForResourceAnswer struct {
	Tags []tagShape
}

func (a *api) listTagsForResource(_ context.Context, c *gate.Call, in *listTagsForResourceRequest) (*listTagsForResourceAnswer, error) {
	r, err := resolveResource(c, *in.ResourceARN)
	if err != nil {
		return nil, err
	}
	if r.consumer != "" {
		found, err := a.streams.Consumer(r.Ref, r.consumer, r.created)
		if err != nil {
			return nil, err
		}
		return &listTagsForResourceAnswer{shapeTags(found.Tags)}, nil
	}
	info, err := a.streams.Describe(r.Ref)
	if err != nil {
		return nil, err
	}
	return &listTagsForResourceAnswer{shapeTags(info.Tags)}, nil
}
