package lambda

import (
	"context"

	"github.com/thalweg/thalweg/gate"
)

// GetFunctionConfiguration returns the configuration of a version.

func (a *api) getFunctionConfiguration(_ context.Context, c *gate.Call, in *qualified) (*configuration, error) {
	ref, err := a.resolve(c, in.FunctionName, in.Qualifier)
	if err != nil {
		return nil, err
	}
	d, v, err := a.functions.Get(ref)
	if err != nil {
		return nil, err
	}
	return shown(d, v, ref.Qualifier), nil
}
