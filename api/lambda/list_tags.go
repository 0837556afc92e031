package lambda

import (
	"context"

	"github.com/thalweg/thalweg/gate"
)

// ListTags returns the tags of a function.

type listTagsAnswer struct{ Tags map[string]string }

func (a *api) listTags(_ context.Context, c *gate.Call, in *resource) (*listTagsAnswer, error) {
	ref, err := a.tagged(c, *in)
	if err != nil {
		return nil, err
	}
	d, _, err := a.functions.Get(ref)
	if err != nil {
		return nil, err
	}
	out := &listTagsAnswer{d.Tags}
	if out.Tags == nil {
		out.Tags = map[string]string{}
	}
	return out, nil
}
