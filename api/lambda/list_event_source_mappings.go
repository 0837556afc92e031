package lambda

import (
	"context"

	"github.com/thalweg/thalweg/gate"
)

// ListEventSourceMappings returns mappings, those of a source or of a function
// where these are given. A marker is the UUID of the last one before.

type listMappingsRequest struct {
	EventSourceArn *string `rest:"query"`
	FunctionName   *string `rest:"query" aws:"min=1,max=140"`
	pages
}

type listMappingsAnswer struct {
	EventSourceMappings []*mappingShape
	NextMarker          *string
}

// mostMappings is how many one answer has. (Lambda API reference)
const mostMappings = 100

func (a *api) listEventSourceMappings(_ context.Context, c *gate.Call, in *listMappingsRequest) (*listMappingsAnswer, error) {
	limit, err := in.limit(mostMappings)
	if err != nil {
		return nil, err
	}
	function := ""
	if in.FunctionName != nil {
		if function, err = a.mappedFunction(c, in.FunctionName); err != nil {
			return nil, err
		}
	}
	list, more, err := a.mappings.List(ownerOf(c), text(in.EventSourceArn), function, text(in.Marker), limit)
	if err != nil {
		return nil, err
	}
	out := &listMappingsAnswer{EventSourceMappings: []*mappingShape{}}
	for _, m := range list {
		out.EventSourceMappings = append(out.EventSourceMappings, shapeMapping(m))
	}
	if more {
		out.NextMarker = &list[len(list)-1].UUID
	}
	return out, nil
}
