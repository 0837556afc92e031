package lambda

import (
	"context"

	"github.com/thalweg/thalweg/function"
	"github.com/thalweg/thalweg/gate"
)

// CreateAlias gives a version a name, or two that share its invocations by
// weight.

type createAliasRequest struct {
	target
	Name            *string `aws:"required,min=1,max=128"`
	FunctionVersion *string `aws:"required,min=1,max=1024"`
	Description     *string `aws:"max=256"`
	RoutingConfig   *routing
}

func (a *api) createAlias(ctx context.Context, c *gate.Call, in *createAliasRequest) (*aliasAnswer, error) {
	ref, err := a.resolve(c, in.FunctionName, nil)
	if err == nil {
		err = function.CheckAlias(*in.Name)
	}
	if err != nil {
		return nil, err
	}
	made, err := a.functions.PutAlias(ctx, ref.Name, *in.Name, "", false, func(to *function.Alias) error {
		return setAlias(to, in.FunctionVersion, in.Description, in.RoutingConfig)
	})
	if err != nil {
		return nil, err
	}
	return describeAlias(ref.Name, *in.Name, made), nil
}
