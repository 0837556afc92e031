package lambda

import (
	"context"

	"github.com/thalweg/thalweg/fault"
	"github.com/thalweg/thalweg/function"
	"github.com/thalweg/thalweg/gate"
)

// GetAlias returns an alias.

func (a *api) getAlias(_ context.Context, c *gate.Call, in *aliasTarget) (*aliasAnswer, error) {
	ref, err := a.resolve(c, in.FunctionName, nil)
	if err != nil {
		return nil, err
	}
	d, _, err := a.functions.Get(function.Ref{Name: ref.Name})
	if err != nil {
		return nil, err
	}
	alias, ok := d.Aliases[*in.Name]
	if !ok {
		return nil, fault.New(fault.NotFound, "Cannot find alias arn: %s", function.Ref{Name: ref.Name, Qualifier: *in.Name}.ARN())
	}
	return describeAlias(ref.Name, *in.Name, alias), nil
}
