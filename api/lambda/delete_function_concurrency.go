package lambda

import (
	"context"

	"github.com/thalweg/thalweg/gate"
)

// DeleteFunctionConcurrency gives back what was reserved for a function.

func (a *api) deleteFunctionConcurrency(ctx context.Context, c *gate.Call, in *target) (*nothing, error) {
	ref, err := a.resolve(c, in.FunctionName, nil)
	if err != nil {
		return nil, err
	}
	return &nothing{}, a.functions.Reserve(ctx, ref.Name, nil)
}
