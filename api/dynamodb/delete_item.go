package dynamodb

import (
	"context"

	"github.com/thalweg/thalweg/gate"
	"github.com/thalweg/thalweg/table"
)

// DeleteItem removes the item under a key; that there is none is no fault.

type deleteItemRequest struct {
	writeRequest
	Key *item `aws:"required"`
}

func (a *api) deleteItem(ctx context.Context, c *gate.Call, in *deleteItemRequest) (*writeAnswer, error) {
	o, err := in.plain(c, table.Delete, in.Key)
	if err != nil {
		return nil, err
	}
	did, err := a.tables.Write(ctx, o)
	if err != nil {
		return nil, failure(err)
	}
	return a.answer(&in.writeRequest, &o, did, in.oldIf(did))
}
