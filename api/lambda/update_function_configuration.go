package lambda

import (
	"context"

	"github.com/thalweg/thalweg/gate"
)

// UpdateFunctionConfiguration changes what is given of $LATEST.

type updateFunctionConfigurationRequest struct {
	target
	RevisionId *string
	settings
}

func (a *api) updateFunctionConfiguration(ctx context.Context, c *gate.Call, in *updateFunctionConfigurationRequest) (*configuration, error) {
	ref, err := a.resolve(c, in.FunctionName, nil)
	if err != nil {
		return nil, err
	}
	d, err := a.functions.Configure(ctx, ref.Name, text(in.RevisionId), in.apply, c.Now)
	if err != nil {
		return nil, err
	}
	return shown(d, &d.Latest, ""), nil
}
