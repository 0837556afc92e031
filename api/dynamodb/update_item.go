package dynamodb

import (
	"context"

	"github.com/thalweg/thalweg/gate"
	"github.com/thalweg/thalweg/table"
	"github.com/thalweg/thalweg/table/attr"
	"github.com/thalweg/thalweg/table/expr"
)

// UpdateItem changes attributes of the item under a key, which it makes when
// there is none.

type updateItemRequest struct {
	writeRequest
	Key              *item `aws:"required"`
	UpdateExpression *string
	AttributeUpdates map[string]attributeUpdate
}

// updateItemOp reads by hand what can be read so.
func (a *api) updateItemOp() gate.Op {
	op := gate.Handle("UpdateItem", a.updateItem)
	general := op.Serve
	op.Serve = func(ctx context.Context, c *gate.Call, dst []byte) ([]byte, error) {
		var h byHand
		if !h.decode(c, ofWrite|hasKey|hasUpdate, hasTable|hasKey) {
			return general(ctx, c, dst)
		}
		o, ok, err := a.updateByHand(c, &h)
		if !ok {
			return general(ctx, c, dst)
		}
		if err != nil {
			return dst, err
		}
		did, err := a.tables.Write(ctx, o)
		if err != nil {
			return dst, failure(err)
		}
		return appendWritten(dst, returned(h.returns, o.Update, did)), nil
	}
	return op
}

// updateByHand makes the operation, with expressions that are kept or to be
// kept. ok is false when the general codec must judge the request.
func (a *api) updateByHand(c *gate.Call, h *byHand) (o table.Op, ok bool, err error) {
	var room [512]byte
	key := h.key(room[:0])
	if o, ok = a.programs.known(c, h, table.Update, key); ok {
		return o, true, nil
	}
	in := updateItemRequest{Key: &item{h.item}}
	if in.writeRequest, in.UpdateExpression, ok = h.write(); !ok {
		return o, false, nil
	}
	if o, err = in.operation(c); err == nil {
		a.programs.keep(key, &o)
	}
	return o, true, err
}

func (a *api) updateItem(ctx context.Context, c *gate.Call, in *updateItemRequest) (*writeAnswer, error) {
	o, err := in.operation(c)
	if err != nil {
		return nil, err
	}
	did, err := a.tables.Write(ctx, o)
	if err != nil {
		return nil, failure(err)
	}
	return a.answer(&in.writeRequest, &o, did, returned(text(in.ReturnValues), o.Update, did))
}

func (in *updateItemRequest) operation(c *gate.Call) (table.Op, error) {
	o, err := in.op(c, table.Update, in.Key)
	if err != nil {
		return o, err
	}
	update := parameter{"UpdateExpression", in.UpdateExpression != nil}
	condition := parameter{"ConditionExpression", in.ConditionExpression != nil}
	err = mixed(given(parameter{"AttributeUpdates", in.AttributeUpdates != nil}, parameter{"Expected", in.Expected != nil},
		parameter{"ConditionalOperator", in.ConditionalOperator != nil}), given(update, condition))
	if err != nil {
		return o, err
	}
	s, err := in.scope(update, condition)
	if err != nil {
		return o, err
	}
	if in.UpdateExpression != nil {
		o.Update, err = compile("UpdateExpression", in.UpdateExpression, s.Update)
	} else {
		o.Update, err = attributeUpdates(in.AttributeUpdates)
	}
	if err != nil {
		return o, err
	}
	if o.Condition, err = in.condition(s); err != nil {
		return o, err
	}
	return o, done(s)
}

// returned is what ReturnValues asks for. UPDATED_OLD and UPDATED_NEW are what
// lies on the paths that the update writes.
func returned(asked string, u *expr.Update, did *table.Change) attr.Map {
	updated := func(of attr.Map) attr.Map {
		if u == nil || of == nil {
			return nil
		}
		if m := expr.Project(u.Paths()).Apply(of); len(m) > 0 {
			return m
		}
		return nil
	}
	switch asked {
	case "ALL_OLD":
		return did.Old
	case "ALL_NEW":
		return did.New
	case "UPDATED_OLD":
		return updated(did.Old)
	case "UPDATED_NEW":
		return updated(did.New)
	}
	return nil
}
