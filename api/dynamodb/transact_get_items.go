package dynamodb

import (
	"context"

	"github.com/thalweg/thalweg/gate"
	"github.com/thalweg/thalweg/table"
	"github.com/thalweg/thalweg/table/attr"
	"github.com/thalweg/thalweg/table/expr"
)

// TransactGetItems reads up to 100 items as they are at one instant.

type transactGetItemsRequest struct {
	TransactItems          []transactGet `aws:"required,min=1,max=100"`
	ReturnConsumedCapacity *string       `aws:"enum=INDEXES|TOTAL|NONE"`
}

type transactGet struct {
	Get *transactGetOne `aws:"required"`
}

type transactGetOne struct {
	TableName                *string `aws:"required,min=1,max=1024"`
	Key                      *item   `aws:"required"`
	ProjectionExpression     *string
	ExpressionAttributeNames map[string]string
}

type transactGetItemsAnswer struct {
	Responses        []itemResponse
	ConsumedCapacity []consumedCapacity
}

type itemResponse struct{ Item *item }

func (a *api) transactGetItems(_ context.Context, c *gate.Call, in *transactGetItemsRequest) (*transactGetItemsAnswer, error) {
	names := make([]table.Name, len(in.TransactItems))
	keys := make([]attr.Map, len(in.TransactItems))
	projections := make([]*expr.Projection, len(in.TransactItems))
	for i, t := range in.TransactItems {
		var err error
		if names[i], err = nameOf(c, text(t.Get.TableName)); err != nil {
			return nil, err
		}
		keys[i] = t.Get.Key.Map
		p := projectionRequest{ProjectionExpression: t.Get.ProjectionExpression, ExpressionAttributeNames: t.Get.ExpressionAttributeNames}
		if projections[i], err = p.compile(); err != nil {
			return nil, err
		}
	}
	found, _, err := a.tables.GetAll(names, keys)
	if err != nil {
		return nil, cancelled(err, len(keys))
	}
	out := &transactGetItemsAnswer{Responses: make([]itemResponse, len(found))}
	var u perTable
	for i, m := range found {
		u.of(names[i]).table += 2 * readUnits(m.Size(), true)
		if m == nil {
			continue
		}
		if projections[i] != nil {
			m = projections[i].Apply(m)
		}
		out.Responses[i].Item = &item{m}
	}
	out.ConsumedCapacity = u.shape(text(in.ReturnConsumedCapacity))
	return out, nil
}
