package lambda

import (
	"context"

	"github.com/thalweg/thalweg/gate"
)

// GetFunctionConcurrency returns what is reserved for a function; nothing, when
// nothing is.

type getFunctionConcurrencyAnswer struct{ ReservedConcurrentExecutions *int }

func (a *api) getFunctionConcurrency(_ context.Context, c *gate.Call, in *target) (*getFunctionConcurrencyAnswer, error) {
	ref, err := a.resolve(c, in.FunctionName, nil)
	if err != nil {
		return nil, err
	}
	d, _, err := a.functions.Get(ref)
	if err != nil {
		return nil, err
	}
	return &getFunctionConcurrencyAnswer{d.Reserved}, nil
}
