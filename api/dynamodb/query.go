package dynamodb

import (
	"context"
	"errors"

	"github.com/thalweg/thalweg/gate"
	"github.com/thalweg/thalweg/table"
	"github.com/thalweg/thalweg/table/expr"
)

// Query reads items of one partition in the order of their range keys.

type queryRequest struct {
	readRequest
	KeyConditionExpression *string
	KeyConditions          map[string]conditionShape
	QueryFilter            map[string]conditionShape
	ScanIndexForward       *bool
}

func (a *api) query(ctx context.Context, c *gate.Call, in *queryRequest) (*readAnswer, error) {
	q := &table.Query{Backward: in.ScanIndexForward != nil && !*in.ScanIndexForward}
	older := []parameter{ // AWS takes KeyConditions beside other expressions
		{"KeyConditions", in.KeyConditions != nil && in.KeyConditionExpression != nil}, {"QueryFilter", in.QueryFilter != nil},
	}
	s, err := in.start(c, q, older, parameter{"KeyConditionExpression", in.KeyConditionExpression != nil})
	if err != nil {
		return nil, err
	}
	if in.FilterExpression == nil {
		q.Older = true
		if q.Filter, err = filter("QueryFilter", in.QueryFilter, in.ConditionalOperator); err != nil {
			return nil, err
		}
	}
	if err := in.keys(s, q); err != nil {
		return nil, err
	}
	if err := done(s); err != nil {
		return nil, err
	}
	p, err := a.tables.Query(ctx, q)
	if err != nil {
		return nil, err
	}
	return in.page(q, p), nil
}

func (in *queryRequest) keys(s *expr.Scope, q *table.Query) (err error) {
	switch {
	case in.KeyConditionExpression != nil:
		if q.Keys, err = s.KeyCondition(*in.KeyConditionExpression); err != nil {
			var about *expr.KeyError
			if errors.As(err, &about) {
				return invalid("%s", err)
			}
			return invalid("Invalid KeyConditionExpression: %s", err)
		}
	case len(in.KeyConditions) > 0:
		q.Keys, err = keyConditions(in.KeyConditions)
	default:
		err = invalid("Either the KeyConditions or KeyConditionExpression parameter must be specified in the request.")
	}
	return err
}
