package lambda

import (
	"context"

	"github.com/thalweg/thalweg/gate"
)

// UntagResource removes tags of a function.

func (a *api) untagResource(ctx context.Context, c *gate.Call, in *resource) (*nothing, error) {
	ref, err := a.tagged(c, *in)
	if err != nil {
		return nil, err
	}
	keys := c.Rest.Query["tagKeys"]
	if len(keys) == 0 {
		return nil, required("tagKeys")
	}
	return &nothing{}, a.functions.Tag(ctx, ref.Name, nil, keys)
}
