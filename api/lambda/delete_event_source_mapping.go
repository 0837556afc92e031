package lambda

import (
	"context"

	"github.com/thalweg/thalweg/gate"
)

// DeleteEventSourceMapping ends a mapping. It is Deleting until the batches
// under way are over, and then gone.

func (a *api) deleteEventSourceMapping(ctx context.Context, c *gate.Call, in *mappingTarget) (*mappingShape, error) {
	m, err := a.mappings.Delete(ctx, ownerOf(c), text(in.UUID), c.Now)
	if err != nil {
		return nil, err
	}
	return shapeMapping(m), nil
}
