package lambda

import (
	"context"
	"strings"

	"github.com/thalweg/thalweg/function"
	"github.com/thalweg/thalweg/gate"
)

// TagResource sets tags of a function or of an event source mapping.

// resource is how a request names what has tags.
type resource struct {
	Resource *string `rest:"path" aws:"required,min=1,max=256"`
}

// mapping is the UUID of the caller's mapping that r is the ARN of.
func (r *resource) mapping(c *gate.Call) (uuid string, ok bool) {
	return strings.CutPrefix(text(r.Resource), "arn:aws:lambda:"+c.Region+":"+c.Account+":event-source-mapping:")
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
	if err := checkTags(in.Tags); err != nil {
		return nil, err
	}
	if uuid, ok := in.mapping(c); ok {
		return &nothing{}, a.mappings.Tag(ctx, ownerOf(c), uuid, in.Tags, nil)
	}
	ref, err := a.tagged(c, in.resource)
	if err != nil {
		return nil, err
	}
	return &nothing{}, a.functions.Tag(ctx, ref.Name, in.Tags, nil)
}
