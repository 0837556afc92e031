package lambda

import (
	"context"

	"github.com/thalweg/thalweg/function"
	"github.com/thalweg/thalweg/gate"
)

// TagResource sets tags of a function.

// resource is how a request names what has tags.
type resource struct {
	Resource *string `rest:"path" aws:"required,min=1,max=256"`
}

func (a *api) tagged(c *gate.Call, r resource) (function.Ref, error) {
	ref, err := a.resolve(c, r.Resource, nil)
	if err == nil && ref.Qualifier != "" {
		err = invalid("Tags on function aliases and versions are not supported. Please specify either a function ARN.")
	}
	return ref, err
}

type tagResourceRequest struct {
	resource
	Tags map[string]string `aws:"required"`
}

func (a *api) tagResource(ctx context.Context, c *gate.Call, in *tagResourceRequest) (*nothing, error) {
	ref, err := a.tagged(c, in.resource)
	if err == nil {
		err = checkTags(in.Tags)
	}
	if err != nil {
		return nil, err
	}
	return &nothing{}, a.functions.Tag(ctx, ref.Name, in.Tags, nil)
}
