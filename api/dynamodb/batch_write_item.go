package dynamodb

import (
	"context"
	"maps"
	"slices"

	"github.com/thalweg/thalweg/gate"
	"github.com/thalweg/thalweg/table"
)

// BatchWriteItem puts and deletes up to 25 items, each for itself. All of them
// share one write to disk, so none is ever left unprocessed.

type batchWriteItemRequest struct {
	RequestItems                map[string][]batchWrite `aws:"required,min=1,max=25" elem:"max=25"`
	ReturnConsumedCapacity      *string                 `aws:"enum=INDEXES|TOTAL|NONE"`
	ReturnItemCollectionMetrics *string                 `aws:"enum=SIZE|NONE"`
}

type batchWrite struct {
	PutRequest    *batchPut
	DeleteRequest *batchDelete
}

type batchPut struct {
	Item *item `aws:"required"`
}

type batchDelete struct {
	Key *item `aws:"required"`
}

type batchWriteItemAnswer struct {
	UnprocessedItems      map[string][]batchWrite
	ItemCollectionMetrics map[string][]collectionMetrics
	ConsumedCapacity      []consumedCapacity
}

const maxBatchWrite = 25

func (a *api) batchWriteItem(ctx context.Context, c *gate.Call, in *batchWriteItemRequest) (*batchWriteItemAnswer, error) {
	var ops []table.Op
	for _, called := range slices.Sorted(maps.Keys(in.RequestItems)) {
		n, err := nameOf(c, called)
		if err != nil {
			return nil, err
		}
		if len(in.RequestItems[called]) == 0 {
			return nil, invalid("The batch write request list for a table cannot be null or empty: %s", called)
		}
		for _, w := range in.RequestItems[called] {
			switch {
			case w.PutRequest != nil && w.DeleteRequest != nil:
				return nil, invalid("Supplied AttributeValue has more than one datatypes set, must contain exactly one of the supported datatypes")
			case w.PutRequest != nil:
				ops = append(ops, table.Op{Kind: table.Put, Table: n, Item: w.PutRequest.Item.Map})
			case w.DeleteRequest != nil:
				ops = append(ops, table.Op{Kind: table.Delete, Table: n, Item: w.DeleteRequest.Key.Map})
			default:
				return nil, invalid("Supplied AttributeValue is empty, must contain exactly one of the supported datatypes")
			}
		}
	}
	if len(ops) > maxBatchWrite {
		return nil, invalid("Too many items requested for the BatchWriteItem call")
	}
	changes, err := a.tables.WriteAll(ctx, ops)
	if err != nil {
		return nil, failure(err)
	}
	out := &batchWriteItemAnswer{UnprocessedItems: map[string][]batchWrite{}}
	out.ConsumedCapacity, out.ItemCollectionMetrics, err = a.afterMany(ops, changes, text(in.ReturnConsumedCapacity), text(in.ReturnItemCollectionMetrics), 1)
	return out, err
}

// afterMany is what the answers to several writes tell besides.
func (a *api) afterMany(ops []table.Op, changes []*table.Change, capacity, metrics string, factor float64) ([]consumedCapacity, map[string][]collectionMetrics, error) {
	var u perTable
	var collections map[string][]collectionMetrics
	for i, did := range changes {
		n := ops[i].Table
		u.of(n).write(did, factor)
		if metrics != "SIZE" {
			continue
		}
		m, err := a.collection(n, did.Def, ops[i].Item)
		if err != nil {
			return nil, nil, err
		}
		if m == nil {
			continue
		}
		if collections == nil {
			collections = map[string][]collectionMetrics{}
		}
		collections[n.Table] = append(collections[n.Table], *m)
	}
	return u.shape(capacity), collections, nil
}
