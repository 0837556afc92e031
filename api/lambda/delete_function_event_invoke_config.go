package lambda

import (
	"context"

	"github.com/thalweg/thalweg/gate"
)

// DeleteFunctionEventInvokeConfig goes back to the defaults.

func (a *api) deleteFunctionEventInvokeConfig(ctx context.Context, c *gate.Call, in *qualified) (*nothing, error) {
	ref, err := a.resolve(c, in.FunctionName, in.Qualifier)
	if err != nil {
		return nil, err
	}
	return &nothing{}, a.functions.SetAsync(ctx, ref, nil)
}
