package kinesis

import (
	"context"

	"github.com/thalweg/thalweg/gate"
)

// RemoveTagsFromStream removes the tags with some keys, of which the stream
// need not have all.

type removeTagsFromStreamRequest struct {
	TagKeys []string `aws:"required,min=1,max=50" elem:"min=1,max=128"`
	target
}

func (a *api) removeTagsFromStream(ctx context.Context, c *gate.Call, in *removeTagsFromStreamRequest) (*none, error) {
	ref, err := in.resolve(c)
	if err != nil {
		return nil, err
	}
	return &none{}, a.tag(ctx, ref, nil, in.TagKeys)
}
