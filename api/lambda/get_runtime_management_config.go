package lambda

import (
	"context"

	"github.com/thalweg/thalweg/function"
	"github.com/thalweg/thalweg/gate"
)

// GetRuntimeManagementConfig says that a function's runtime is always what the
// machine has.

type runtimeManagement struct{ UpdateRuntimeOn, FunctionArn string }

func (a *api) getRuntimeManagementConfig(_ context.Context, c *gate.Call, in *qualified) (*runtimeManagement, error) {
	ref, err := a.resolve(c, in.FunctionName, in.Qualifier)
	if err != nil {
		return nil, err
	}
	d, v, err := a.functions.Get(ref)
	if err != nil {
		return nil, err
	}
	return &runtimeManagement{"Auto", function.Ref{Name: d.Name, Qualifier: v.Qualifier()}.ARN()}, nil
}
