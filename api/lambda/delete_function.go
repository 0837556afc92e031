package lambda

import (
	"context"

	"github.com/thalweg/thalweg/gate"
)

// DeleteFunction deletes a function with its versions, aliases, queued events
// and logs, or one of its versions.

type nothing struct{}

func (a *api) deleteFunction(ctx context.Context, c *gate.Call, in *qualified) (*nothing, error) {
	ref, err := a.resolve(c, in.FunctionName, in.Qualifier)
	if err != nil {
		return nil, err
	}
	return &nothing{}, a.functions.Delete(ctx, ref)
}
