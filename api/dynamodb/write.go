package dynamodb

import (
	"errors"
	"math"

	"github.com/thalweg/thalweg/fault"
	"github.com/thalweg/thalweg/gate"
	"github.com/thalweg/thalweg/table"
	"github.com/thalweg/thalweg/table/attr"
	"github.com/thalweg/thalweg/table/expr"
)

// What PutItem, DeleteItem and UpdateItem have in common.

type writeRequest struct {
	TableName                           *string `aws:"required,min=1,max=1024"`
	ConditionExpression                 *string
	Expected                            map[string]expectedShape
	ConditionalOperator                 *string `aws:"enum=OR|AND"`
	ReturnValues                        *string `aws:"enum=ALL_NEW|UPDATED_OLD|ALL_OLD|NONE|UPDATED_NEW"`
	ReturnValuesOnConditionCheckFailure *string `aws:"enum=ALL_OLD|NONE"`
	ReturnConsumedCapacity              *string `aws:"enum=INDEXES|TOTAL|NONE"`
	ReturnItemCollectionMetrics         *string `aws:"enum=SIZE|NONE"`
	terms
}

type writeAnswer struct {
	Attributes            *item
	ConsumedCapacity      *consumedCapacity
	ItemCollectionMetrics *collectionMetrics
}

// condition compiles the request's condition in either form; nil when there is
// none.
func (r *writeRequest) condition(s *expr.Scope) (*expr.Condition, error) {
	if r.ConditionExpression != nil {
		return compile("ConditionExpression", r.ConditionExpression, s.Condition)
	}
	return expected(r.Expected, r.ConditionalOperator)
}

// op makes the operation, but for what each kind has of its own.
func (r *writeRequest) op(c *gate.Call, kind table.OpKind, of *item) (table.Op, error) {
	n, err := nameOf(c, text(r.TableName))
	return table.Op{
		Kind: kind, Table: n, Item: of.Map,
		OldOnFail: text(r.ReturnValuesOnConditionCheckFailure) == "ALL_OLD",
		Quiet:     nothing(r.ReturnValues) && nothing(r.ReturnConsumedCapacity),
	}, err
}

// keepsOld refuses kinds of return values that only UpdateItem has.
func (r *writeRequest) keepsOld() error {
	switch text(r.ReturnValues) {
	case "", "NONE", "ALL_OLD":
		return nil
	}
	return invalid("Return values set to invalid value")
}

// answer is what a write tells of what it did.
func (a *api) answer(r *writeRequest, o *table.Op, did *table.Change, attributes attr.Map) (*writeAnswer, error) {
	out := &writeAnswer{ConsumedCapacity: written(text(r.ReturnConsumedCapacity), o.Table, did, 1)}
	if attributes != nil {
		out.Attributes = &item{attributes}
	}
	if text(r.ReturnItemCollectionMetrics) == "SIZE" {
		var err error
		if out.ItemCollectionMetrics, err = a.collection(o.Table, did.Def, o.Item); err != nil {
			return nil, err
		}
	}
	return out, nil
}

// oldIf is the item before the write, when that is asked for.
func (r *writeRequest) oldIf(did *table.Change) attr.Map {
	if text(r.ReturnValues) == "ALL_OLD" {
		return did.Old
	}
	return nil
}

// failure spells what a write returned: a condition that failed may bring the
// item that failed it.
func failure(err error) error {
	var failed *table.ConditionFailed
	if !errors.As(err, &failed) {
		return err
	}
	f := fault.Coded(fault.Invalid, "ConditionalCheckFailedException", "%s", failed.Error())
	if failed.Item == nil {
		return f
	}
	return &gate.Failure{Fault: f, Members: appendPairs([]byte(`"Item":`), failed.Item)}
}

type collectionMetrics struct {
	ItemCollectionKey   map[string]value
	SizeEstimateRangeGB []float64
}

// collection tells how much lies under an item's hash key, indexes included,
// within a GB; nil for tables without local indexes, which have no collections.
func (a *api) collection(n table.Name, def *table.Definition, of attr.Map) (*collectionMetrics, error) {
	bytes, ok, err := a.tables.CollectionBytes(n, of)
	if err != nil || !ok {
		return nil, err
	}
	low := math.Floor(float64(bytes) / (1 << 30))
	hash := def.Keys.Hash.Name
	return &collectionMetrics{map[string]value{hash: {of[hash]}}, []float64{low, low + 1}}, nil
}
