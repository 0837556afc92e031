package dynamodb

import (
	"context"

	"github.com/thalweg/thalweg/gate"
	"github.com/thalweg/thalweg/table"
)

// PutItem makes an item, or replaces the one under its key.

type putItemRequest struct {
	writeRequest
	Item *item `aws:"required"`
}

func (a *api) putItem(ctx context.Context, c *gate.Call, in *putItemRequest) (*writeAnswer, error) {
	o, err := in.plain(c, table.Put, in.Item)
	if err != nil {
		return nil, err
	}
	did, err := a.tables.Write(ctx, o)
	if err != nil {
		return nil, failure(err)
	}
	return a.answer(&in.writeRequest, &o, did, in.oldIf(did))
}

// plain makes the operation of a request whose only expression is a condition.
func (r *writeRequest) plain(c *gate.Call, kind table.OpKind, of *item) (table.Op, error) {
	o, err := r.op(c, kind, of)
	if err != nil {
		return o, err
	}
	condition := parameter{"ConditionExpression", r.ConditionExpression != nil}
	err = mixed(given(parameter{"Expected", r.Expected != nil}, parameter{"ConditionalOperator", r.ConditionalOperator != nil}), given(condition))
	if err != nil {
		return o, err
	}
	if err := r.keepsOld(); err != nil {
		return o, err
	}
	s, err := r.scope(condition)
	if err != nil {
		return o, err
	}
	if o.Condition, err = r.condition(s); err != nil {
		return o, err
	}
	return o, done(s)
}
