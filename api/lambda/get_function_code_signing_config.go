package lambda

import (
	"context"

	"github.com/thalweg/thalweg/gate"
)

// GetFunctionCodeSigningConfig says that a function has none, as Terraform asks
// with each refresh.

type getCodeSigningAnswer struct{ FunctionName, CodeSigningConfigArn string }

func (a *api) getFunctionCodeSigningConfig(_ context.Context, c *gate.Call, in *target) (*getCodeSigningAnswer, error) {
	ref, err := a.resolve(c, in.FunctionName, nil)
	if err != nil {
		return nil, err
	}
	if _, _, err := a.functions.Get(ref); err != nil {
		return nil, err
	}
	return &getCodeSigningAnswer{FunctionName: ref.Function}, nil
}
