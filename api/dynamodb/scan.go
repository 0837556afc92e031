package dynamodb

import (
	"context"

	"github.com/thalweg/thalweg/gate"
	"github.com/thalweg/thalweg/table"
)

// Scan reads a table or an index, or one of the segments into which several
// scanners divide it.

type scanRequest struct {
	readRequest
	ScanFilter    map[string]conditionShape
	Segment       *int `aws:"min=0,max=999999"`
	TotalSegments *int `aws:"min=1,max=1000000"`
}

func (a *api) scan(ctx context.Context, c *gate.Call, in *scanRequest) (*readAnswer, error) {
	q := new(table.Query)
	s, err := in.start(c, q, []parameter{{"ScanFilter", in.ScanFilter != nil}})
	if err != nil {
		return nil, err
	}
	switch {
	case in.Segment != nil && in.TotalSegments == nil:
		return nil, invalid("The TotalSegments parameter is required but was not present in the request when Segment parameter is present")
	case in.Segment == nil && in.TotalSegments != nil:
		return nil, invalid("The Segment parameter is required but was not present in the request when parameter TotalSegments is present")
	case in.Segment != nil && *in.Segment >= *in.TotalSegments:
		return nil, invalid("The Segment parameter is zero-based and must be less than parameter TotalSegments: Segment: %d is not less than TotalSegments: %d", *in.Segment, *in.TotalSegments)
	case in.Segment != nil:
		q.Segment, q.Segments = *in.Segment, *in.TotalSegments
	}
	if in.FilterExpression == nil {
		if q.Filter, err = filter("ScanFilter", in.ScanFilter, in.ConditionalOperator); err != nil {
			return nil, err
		}
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
