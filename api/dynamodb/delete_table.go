package dynamodb

import (
	"context"

	"github.com/thalweg/thalweg/gate"
)

// DeleteTable removes a table. It is gone when the answer comes, which says
// DELETING as AWS's does.

func (a *api) deleteTable(ctx context.Context, c *gate.Call, in *tableRequest) (*tableDescriptionAnswer, error) {
	n, err := nameOf(c, text(in.TableName))
	if err != nil {
		return nil, err
	}
	i, err := a.tables.Delete(ctx, n)
	if err != nil {
		return nil, err
	}
	d := describe(i)
	d.TableStatus = "DELETING"
	return &tableDescriptionAnswer{d}, nil
}
