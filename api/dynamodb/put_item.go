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

// putItemOp reads by hand what can be read so.
func (a *api) putItemOp() gate.Op {
	op := gate.Handle("PutItem", a.putItem)
	general := op.Serve
	op.Serve = func(ctx context.Context, c *gate.Call, dst []byte) ([]byte, error) {
		var h byHand
		if !h.decode(c, ofWrite|hasItem, hasTable|hasItem) {
			return general(ctx, c, dst)
		}
		o, ok, err := a.putByHand(c, &h)
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
		return appendWritten(dst, did.Old), nil // of a Quiet operation there is none
	}
	return op
}

// putByHand is for PutItem what updateByHand is for UpdateItem.
func (a *api) putByHand(c *gate.Call, h *byHand) (o table.Op, ok bool, err error) {
	var room [512]byte
	key := h.key(room[:0])
	if o, ok = a.programs.known(c, h, table.Put, key); ok {
		return o, true, nil
	}
	r, _, ok := h.write()
	if !ok {
		return o, false, nil
	}
	if o, err = r.plain(c, table.Put, &item{h.item}); err == nil {
		a.programs.keep(key, &o)
	}
	return o, true, err
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
