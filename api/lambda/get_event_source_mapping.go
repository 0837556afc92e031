package lambda

import (
	"context"

	"github.com/thalweg/thalweg/gate"
)

// GetEventSourceMapping returns a mapping, and how its last batch went.

func (a *api) getEventSourceMapping(_ context.Context, c *gate.Call, in *mappingTarget) (*mappingShape, error) {
	m, err := a.mappings.Get(ownerOf(c), text(in.UUID))
	if err != nil {
		return nil, err
	}
	return shapeMapping(m), nil
}
