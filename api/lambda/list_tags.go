package lambda

import (
	"context"

	"github.com/thalweg/thalweg/gate"
)

// ListTags returns the tags of a function or of an event source mapping.

type listTagsAnswer struct{ Tags map[string]string }

func (a *api) listTags(_ context.Context, c *gate.Call, in *resource) (*listTagsAnswer, error) {
	if uuid, ok := in.mapping(c); ok {
		m, err := a.mappings.Get(ownerOf(c), uuid)
		if err != nil {
			return nil, err
		}
		return &listTagsAnswer{orEmpty(m.Tags)}, nil
	}
	ref, err := a.tagged(c, *in)
	if err != nil {
		return nil, err
	}
	d, _, err := a.functions.Get(ref)
	if err != nil {
		return nil, err
	}
	return &listTagsAnswer{orEmpty(d.Tags)}, nil
}

func orEmpty(tags map[string]string) map[string]string {
	if tags == nil {
		return map[string]string{}
	}
	return tags
}
