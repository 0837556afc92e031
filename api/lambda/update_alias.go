package lambda

import (
	"context"

	"github.com/thalweg/thalweg/function"
	"github.com/thalweg/thalweg/gate"
)

// UpdateAlias changes what is given of an alias.

type updateAliasRequest struct {
	aliasTarget
	FunctionVersion *string `aws:"min=1,max=1024"`
	Description     *string `aws:"max=256"`
	RoutingConfig   *routing
	RevisionId      *string
}

func (a *api) updateAlias(ctx context.Context, c *gate.Call, in *updateAliasRequest) (*aliasAnswer, error) {
	ref, err := a.resolve(c, in.FunctionName, nil)
	if err != nil {
		return nil, err
	}
	made, err := a.functions.PutAlias(ctx, ref.Name, *in.Name, text(in.RevisionId), true, func(to *function.Alias) error {
		return setAlias(to, in.FunctionVersion, in.Description, in.RoutingConfig)
	})
	if err != nil {
		return nil, err
	}
	return describeAlias(ref.Name, *in.Name, made), nil
}
