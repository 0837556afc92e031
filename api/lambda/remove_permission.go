package lambda

import (
	"context"

	"github.com/thalweg/thalweg/gate"
)

// RemovePermission removes a statement from a policy.

type removePermissionRequest struct {
	qualified
	StatementId *string `rest:"path" aws:"required"`
	RevisionId  *string `rest:"query"`
}

func (a *api) removePermission(ctx context.Context, c *gate.Call, in *removePermissionRequest) (*nothing, error) {
	ref, err := a.resolve(c, in.FunctionName, in.Qualifier)
	if err != nil {
		return nil, err
	}
	return &nothing{}, a.functions.Forbid(ctx, ref, *in.StatementId, text(in.RevisionId))
}
