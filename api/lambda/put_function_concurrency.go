package lambda

import (
	"context"

	"github.com/thalweg/thalweg/gate"
)

// PutFunctionConcurrency reserves a part of the account's concurrency for a
// function, which is at once the most that it gets. AWS wants 100 left for the
// rest; here others may be left with nothing.

type putFunctionConcurrencyRequest struct {
	target
	ReservedConcurrentExecutions *int `aws:"required,min=0"`
}

func (a *api) putFunctionConcurrency(ctx context.Context, c *gate.Call, in *putFunctionConcurrencyRequest) (*concurrency, error) {
	ref, err := a.resolve(c, in.FunctionName, nil)
	if err != nil {
		return nil, err
	}
	return &concurrency{*in.ReservedConcurrentExecutions}, a.functions.Reserve(ctx, ref.Name, in.ReservedConcurrentExecutions)
}
