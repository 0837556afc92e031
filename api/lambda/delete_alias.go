package lambda

import (
	"context"

	"github.com/thalweg/thalweg/gate"
)

// DeleteAlias deletes an alias; there need not be one.

func (a *api) deleteAlias(ctx context.Context, c *gate.Call, in *aliasTarget) (*nothing, error) {
	ref, err := a.resolve(c, in.FunctionName, nil)
	if err != nil {
		return nil, err
	}
	return &nothing{}, a.functions.DeleteAlias(ctx, ref.Name, *in.Name)
}
