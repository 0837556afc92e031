package lambda

import (
	"context"

	"github.com/thalweg/thalweg/gate"
)

// UntagResource removes tags of a function or of an event source mapping.

func (a *api) untagResource(ctx context.Context, c *gate.Call, in *resource) (*nothing, error) {
	keys := c.Rest.Query["tagKeys"]
	if len(keys) == 0 {
		return nil, required("tagKeys")
	}
	if uuid, ok := in.mapping(c); ok {
		return &nothing{}, a.mappings.Tag(ctx, ownerOf(c), uuid, nil, keys)
	}
	ref, err := a.tagged(c, *in)
	if err != nil {
		return nil, err
	}
	return &nothing{}, a.functions.Tag(ctx, ref.Name, nil, keys)
}
