package lambda

import (
	"context"

	"github.com/thalweg/thalweg/gate"
)

// GetFunctionEventInvokeConfig returns what becomes of events that fail, where
// that was said.

func (a *api) getFunctionEventInvokeConfig(_ context.Context, c *gate.Call, in *qualified) (*eventInvokeAnswer, error) {
	ref, err := a.resolve(c, in.FunctionName, in.Qualifier)
	if err != nil {
		return nil, err
	}
	x, err := a.async(ref)
	if err != nil {
		return nil, err
	}
	return describeAsync(ref, x), nil
}
