package dynamodb

import (
	"context"
	"errors"
	"strings"

	"github.com/thalweg/thalweg/fault"
	"github.com/thalweg/thalweg/gate"
	"github.com/thalweg/thalweg/gate/wire"
	"github.com/thalweg/thalweg/table"
)

// TransactWriteItems performs up to 100 writes on different items, all or none.
// Transactions here never conflict: each is decided when its turn comes.

type transactWriteItemsRequest struct {
	TransactItems               []transactWrite `aws:"required,min=1,max=100"`
	ClientRequestToken          *string         `aws:"min=1,max=36"`
	ReturnConsumedCapacity      *string         `aws:"enum=INDEXES|TOTAL|NONE"`
	ReturnItemCollectionMetrics *string         `aws:"enum=SIZE|NONE"`
}

type transactWrite struct {
	ConditionCheck *transactCheck
	Put            *transactPut
	Delete         *transactDelete
	Update         *transactUpdate
}

type transactOne struct {
	TableName                           *string `aws:"required,min=1,max=1024"`
	ConditionExpression                 *string
	ReturnValuesOnConditionCheckFailure *string `aws:"enum=ALL_OLD|NONE"`
	terms
}

type transactCheck struct {
	transactOne
	Key *item `aws:"required"`
}

type transactPut struct {
	transactOne
	Item *item `aws:"required"`
}

type transactDelete struct {
	transactOne
	Key *item `aws:"required"`
}

type transactUpdate struct {
	transactOne
	Key              *item   `aws:"required"`
	UpdateExpression *string `aws:"required"`
}

type transactWriteItemsAnswer struct {
	ConsumedCapacity      []consumedCapacity
	ItemCollectionMetrics map[string][]collectionMetrics
}

func (a *api) transactWriteItems(ctx context.Context, c *gate.Call, in *transactWriteItemsRequest) (*transactWriteItemsAnswer, error) {
	ops := make([]table.Op, len(in.TransactItems))
	for i := range in.TransactItems {
		var err error
		if ops[i], err = in.TransactItems[i].op(c); err != nil {
			return nil, err
		}
	}
	owner := table.Name{Account: c.Account, Region: c.Region}
	changes, err := a.tables.Transact(ctx, owner, text(in.ClientRequestToken), ops)
	if err != nil {
		return nil, cancelled(err, len(ops))
	}
	out := new(transactWriteItemsAnswer)
	out.ConsumedCapacity, out.ItemCollectionMetrics, err = a.afterMany(ops, changes, text(in.ReturnConsumedCapacity), text(in.ReturnItemCollectionMetrics), 2)
	return out, err
}

func (w *transactWrite) op(c *gate.Call) (table.Op, error) {
	n := 0
	var o table.Op
	var err error
	if x := w.ConditionCheck; x != nil {
		if x.ConditionExpression == nil {
			return o, invalid("The ConditionExpression must be present in a ConditionCheck")
		}
		n++
		o, err = x.op(c, table.Check, x.Key, nil)
	}
	if x := w.Put; x != nil {
		n++
		o, err = x.op(c, table.Put, x.Item, nil)
	}
	if x := w.Delete; x != nil {
		n++
		o, err = x.op(c, table.Delete, x.Key, nil)
	}
	if x := w.Update; x != nil {
		n++
		o, err = x.op(c, table.Update, x.Key, x.UpdateExpression)
	}
	if n != 1 {
		return o, invalid("TransactItems can only contain one of Check, Put, Update or Delete")
	}
	return o, err
}

func (r *transactOne) op(c *gate.Call, kind table.OpKind, of *item, update *string) (table.Op, error) {
	w := writeRequest{
		TableName: r.TableName, ConditionExpression: r.ConditionExpression,
		ReturnValuesOnConditionCheckFailure: r.ReturnValuesOnConditionCheckFailure, terms: r.terms,
	}
	if kind == table.Update {
		u := updateItemRequest{writeRequest: w, Key: of, UpdateExpression: update}
		return u.operation(c)
	}
	return w.plain(c, kind, of)
}

// cancelled spells what a transaction of n operations returned: the reasons of
// a cancellation stand in the answer beside its message, one for each.
func cancelled(err error, n int) error {
	var bad *table.OpError
	var c *table.Cancelled
	switch {
	case errors.As(err, &bad) && !fault.Is(bad.Err, fault.NotFound):
		c = &table.Cancelled{Reasons: make([]error, n)}
		c.Reasons[bad.Index] = bad.Err
	case !errors.As(err, &c):
		return err
	}
	codes := make([]string, len(c.Reasons))
	members := []byte(`"CancellationReasons":[`)
	for i, reason := range c.Reasons {
		if i > 0 {
			members = append(members, ',')
		}
		codes[i], members = appendReason(members, reason)
	}
	return &gate.Failure{
		Fault: fault.Coded(fault.Invalid, "TransactionCanceledException",
			"Transaction cancelled, please refer cancellation reasons for specific reasons [%s]", strings.Join(codes, ", ")),
		Members: append(members, ']'),
	}
}

func appendReason(dst []byte, reason error) (code string, _ []byte) {
	if reason == nil {
		return "None", append(dst, `{"Code":"None"}`...)
	}
	var failed *table.ConditionFailed
	code = "ValidationError"
	if errors.As(reason, &failed) {
		code = "ConditionalCheckFailed"
	}
	dst = wire.AppendString(append(dst, `{"Code":`...), code)
	dst = wire.AppendString(append(dst, `,"Message":`...), reason.Error())
	if failed != nil && failed.Item != nil {
		dst = appendPairs(append(dst, `,"Item":`...), failed.Item)
	}
	return code, append(dst, '}')
}
