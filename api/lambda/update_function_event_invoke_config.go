package lambda

import (
	"context"

	"github.com/thalweg/thalweg/gate"
)

// UpdateFunctionEventInvokeConfig changes what becomes of events that fail.

func (a *api) updateFunctionEventInvokeConfig(ctx context.Context, c *gate.Call, in *eventInvokeRequest) (*eventInvokeAnswer, error) {
	ref, err := a.resolve(c, in.FunctionName, in.Qualifier)
	if err != nil {
		return nil, err
	}
	x, err := a.async(ref)
	if err != nil {
		return nil, err
	}
	in.apply(&x, c.Now)
	if err := a.functions.SetAsync(ctx, ref, &x); err != nil {
		return nil, err
	}
	return describeAsync(ref, x), nil
}
