package lambda

import (
	"context"

	"github.com/thalweg/thalweg/gate"
)

// GetFunctionRecursionConfig says that loops of functions are not ended: only
// concurrency bounds them here.

type recursion struct{ RecursiveLoop string }

func (a *api) getFunctionRecursionConfig(_ context.Context, c *gate.Call, in *target) (*recursion, error) {
	ref, err := a.resolve(c, in.FunctionName, nil)
	if err != nil {
		return nil, err
	}
	if _, _, err := a.functions.Get(ref); err != nil {
		return nil, err
	}
	return &recursion{"Allow"}, nil
}
