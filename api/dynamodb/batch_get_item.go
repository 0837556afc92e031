package dynamodb

import (
	"context"
	"maps"
	"slices"

	"github.com/thalweg/thalweg/gate"
	"github.com/thalweg/thalweg/table"
	"github.com/thalweg/thalweg/table/attr"
	"github.com/thalweg/thalweg/table/expr"
)

// BatchGetItem reads up to 100 items. What goes beyond 16 MB is left to be
// asked for again. Unlike AWS's, all items are as of one instant.

type batchGetItemRequest struct {
	RequestItems           map[string]keysAndAttributes `aws:"required,min=1,max=100"`
	ReturnConsumedCapacity *string                      `aws:"enum=INDEXES|TOTAL|NONE"`
}

type keysAndAttributes struct {
	Keys           []item `aws:"required,min=1,max=100"`
	ConsistentRead *bool
	projectionRequest
}

type batchGetItemAnswer struct {
	Responses        map[string][]item
	UnprocessedKeys  map[string]keysAndAttributes
	ConsumedCapacity []consumedCapacity
}

const (
	maxBatchGet   = 100
	maxBatchBytes = 16 << 20
)

func (a *api) batchGetItem(_ context.Context, c *gate.Call, in *batchGetItemRequest) (*batchGetItemAnswer, error) {
	var names []table.Name
	var keys []attr.Map
	projections := map[string]*expr.Projection{}
	out := &batchGetItemAnswer{Responses: map[string][]item{}, UnprocessedKeys: map[string]keysAndAttributes{}}
	asked := slices.Sorted(maps.Keys(in.RequestItems))
	for _, called := range asked {
		r := in.RequestItems[called]
		n, err := nameOf(c, called)
		if err != nil {
			return nil, err
		}
		if projections[called], err = r.compile(); err != nil {
			return nil, err
		}
		seen := map[string]bool{}
		for _, k := range r.Keys {
			if id := string(k.Append(nil)); seen[id] {
				return nil, invalid("Provided list of item keys contains duplicates")
			} else {
				seen[id] = true
			}
			names, keys = append(names, n), append(keys, k.Map)
		}
		out.Responses[called] = []item{}
	}
	if len(keys) > maxBatchGet {
		return nil, invalid("Too many items requested for the BatchGetItem call")
	}
	found, _, err := a.tables.GetAll(names, keys)
	if err != nil {
		return nil, err
	}
	var u perTable
	at, bytes := 0, 0
	for _, called := range asked {
		r := in.RequestItems[called]
		for _, k := range r.Keys {
			m, n := found[at], names[at]
			at++
			if bytes += m.Size(); bytes > maxBatchBytes {
				left := out.UnprocessedKeys[called]
				left.Keys, left.ConsistentRead, left.projectionRequest = append(left.Keys, k), r.ConsistentRead, r.projectionRequest
				out.UnprocessedKeys[called] = left
				continue
			}
			u.of(n).table += readUnits(m.Size(), yes(r.ConsistentRead))
			if m == nil {
				continue
			}
			if p := projections[called]; p != nil {
				m = p.Apply(m)
			}
			out.Responses[called] = append(out.Responses[called], item{m})
		}
	}
	out.ConsumedCapacity = u.shape(text(in.ReturnConsumedCapacity))
	return out, nil
}
