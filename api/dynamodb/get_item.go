package dynamodb

import (
	"context"

	"github.com/thalweg/thalweg/gate"
	"github.com/thalweg/thalweg/table/expr"
)

// GetItem reads the item under a key. All reads are consistent; ConsistentRead
// decides only what they are said to cost.

type getItemRequest struct {
	TableName              *string `aws:"required,min=1,max=1024"`
	Key                    *item   `aws:"required"`
	ConsistentRead         *bool
	ReturnConsumedCapacity *string `aws:"enum=INDEXES|TOTAL|NONE"`
	projectionRequest
}

// projectionRequest is how reads say which attributes they want.
type projectionRequest struct {
	AttributesToGet          []string `aws:"min=1"`
	ProjectionExpression     *string
	ExpressionAttributeNames map[string]string
}

// compile returns nil when all attributes are wanted.
func (r *projectionRequest) compile() (*expr.Projection, error) {
	expression := parameter{"ProjectionExpression", r.ProjectionExpression != nil}
	if err := mixed(given(parameter{"AttributesToGet", r.AttributesToGet != nil}), given(expression)); err != nil {
		return nil, err
	}
	t := terms{ExpressionAttributeNames: r.ExpressionAttributeNames}
	s, err := t.scope(expression)
	if err != nil {
		return nil, err
	}
	p, err := projection(s, r.ProjectionExpression, r.AttributesToGet)
	if err != nil {
		return nil, err
	}
	return p, done(s)
}

type getItemAnswer struct {
	Item             *item
	ConsumedCapacity *consumedCapacity
}

// getItemOp reads by hand what asks for whole items.
func (a *api) getItemOp() gate.Op {
	op := gate.Handle("GetItem", a.getItem)
	general := op.Serve
	op.Serve = func(ctx context.Context, c *gate.Call, dst []byte) ([]byte, error) {
		var h byHand
		if !h.decode(c, ofGet, hasTable|hasKey) {
			return general(ctx, c, dst)
		}
		n, err := nameOf(c, h.table)
		if err != nil {
			return dst, err
		}
		found, _, err := a.tables.Get(n, h.item)
		switch {
		case err != nil:
			return dst, err
		case found == nil:
			return append(dst, "{}"...), nil
		}
		return append(appendPairs(append(dst, `{"Item":`...), found), '}'), nil
	}
	return op
}

func (a *api) getItem(_ context.Context, c *gate.Call, in *getItemRequest) (*getItemAnswer, error) {
	n, err := nameOf(c, text(in.TableName))
	if err != nil {
		return nil, err
	}
	p, err := in.compile()
	if err != nil {
		return nil, err
	}
	found, _, err := a.tables.Get(n, in.Key.Map)
	if err != nil {
		return nil, err
	}
	u := units{table: readUnits(found.Size(), yes(in.ConsistentRead))}
	out := &getItemAnswer{ConsumedCapacity: u.shape(text(in.ReturnConsumedCapacity), n)}
	if found != nil {
		if p != nil {
			found = p.Apply(found)
		}
		out.Item = &item{found}
	}
	return out, nil
}
