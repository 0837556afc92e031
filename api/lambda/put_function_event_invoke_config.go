package lambda

import (
	"context"

	"github.com/thalweg/thalweg/function"
	"github.com/thalweg/thalweg/gate"
)

// PutFunctionEventInvokeConfig replaces what becomes of events that fail.

func (a *api) putFunctionEventInvokeConfig(ctx context.Context, c *gate.Call, in *eventInvokeRequest) (*eventInvokeAnswer, error) {
	ref, err := a.resolve(c, in.FunctionName, in.Qualifier)
	if err != nil {
		return nil, err
	}
	var x function.Async
	in.apply(&x, c.Now)
	if err := a.functions.SetAsync(ctx, ref, &x); err != nil {
		return nil, err
	}
	return describeAsync(ref, x), nil
}
