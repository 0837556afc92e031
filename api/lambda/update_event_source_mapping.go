package lambda

import (
	"context"

	"github.com/thalweg/thalweg/function/mapping"
	"github.com/thalweg/thalweg/gate"
)

// UpdateEventSourceMapping changes a mapping's settings. Batches under way
// finish as they began.

type updateMappingRequest struct {
	mappingTarget
	FunctionName *string `aws:"min=1,max=140"`
	mappingSettings
}

func (a *api) updateEventSourceMapping(ctx context.Context, c *gate.Call, in *updateMappingRequest) (*mappingShape, error) {
	if err := in.refuse(); err != nil {
		return nil, err
	}
	name := ""
	if in.FunctionName != nil {
		var err error
		if name, err = a.mappedFunction(c, in.FunctionName); err != nil {
			return nil, err
		}
	}
	m, err := a.mappings.Update(ctx, ownerOf(c), text(in.UUID), func(s *mapping.Settings) {
		in.apply(s)
		if name != "" {
			s.Function = name
		}
	}, c.Now)
	if err != nil {
		return nil, missingFunction(err)
	}
	return shapeMapping(m), nil
}
