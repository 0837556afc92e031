package dynamodb

import (
	"github.com/thalweg/thalweg/gate"
	"github.com/thalweg/thalweg/table"
	"github.com/thalweg/thalweg/table/expr"
)

// What Query and Scan have in common.

type readRequest struct {
	TableName              *string  `aws:"required,min=1,max=1024"`
	IndexName              *string  `aws:"min=3,max=255,pattern=[a-zA-Z0-9_.-]+"`
	Select                 *string  `aws:"enum=SPECIFIC_ATTRIBUTES|COUNT|ALL_ATTRIBUTES|ALL_PROJECTED_ATTRIBUTES"`
	AttributesToGet        []string `aws:"min=1"`
	Limit                  *int     `aws:"min=1"`
	ConsistentRead         *bool
	ConditionalOperator    *string `aws:"enum=OR|AND"`
	ExclusiveStartKey      *item
	ReturnConsumedCapacity *string `aws:"enum=INDEXES|TOTAL|NONE"`
	ProjectionExpression   *string
	FilterExpression       *string
	terms
}

type readAnswer struct {
	Items            []item
	Count            int
	ScannedCount     int
	LastEvaluatedKey *item
	ConsumedCapacity *consumedCapacity
}

// start makes the query of what both have, with what the older parameters of
// either hold. The scope is for the caller to be done with.
func (r *readRequest) start(c *gate.Call, q *table.Query, older []parameter, key ...parameter) (*expr.Scope, error) {
	var err error
	if q.Table, err = nameOf(c, text(r.TableName)); err != nil {
		return nil, err
	}
	projects := parameter{"ProjectionExpression", r.ProjectionExpression != nil}
	filters := parameter{"FilterExpression", r.FilterExpression != nil}
	older = append(older, parameter{"AttributesToGet", r.AttributesToGet != nil}, parameter{"ConditionalOperator", r.ConditionalOperator != nil})
	expressions := append([]parameter{projects, filters}, key...)
	if err := mixed(given(older...), given(expressions...)); err != nil {
		return nil, err
	}
	s, err := r.scope(append([]parameter{filters}, append(key, projects)...)...)
	if err != nil {
		return nil, err
	}
	if err := r.selects(q); err != nil {
		return nil, err
	}
	q.Index, q.Consistent = text(r.IndexName), yes(r.ConsistentRead)
	if r.Limit != nil {
		q.Limit = *r.Limit
	}
	if r.ExclusiveStartKey != nil {
		q.Start = r.ExclusiveStartKey.Map
	}
	if q.Filter, err = compile("FilterExpression", r.FilterExpression, s.Condition); err != nil {
		return nil, err
	}
	q.Project, err = projection(s, r.ProjectionExpression, r.AttributesToGet)
	return s, err
}

// selects reads Select and holds it against the projection.
func (r *readRequest) selects(q *table.Query) error {
	member := "AttributesToGet"
	if r.ProjectionExpression != nil {
		member = "ProjectionExpression"
	}
	projects := r.ProjectionExpression != nil || r.AttributesToGet != nil
	switch s := text(r.Select); {
	case s == "SPECIFIC_ATTRIBUTES" && !projects:
		return invalid("Must specify the AttributesToGet or ProjectionExpression when choosing to get SPECIFIC_ATTRIBUTES")
	case s == "ALL_PROJECTED_ATTRIBUTES" && r.IndexName == nil:
		return invalid("ALL_PROJECTED_ATTRIBUTES can be used only when Querying using an IndexName")
	case s == "COUNT" && projects:
		return invalid("Cannot specify the %s when choosing to get only the Count", member)
	case s != "" && s != "SPECIFIC_ATTRIBUTES" && projects:
		return invalid("Cannot specify the %s when choosing to get %s", member, s)
	case s == "COUNT":
		q.CountOnly = true
	case s == "ALL_ATTRIBUTES":
		q.All = true
	}
	return nil
}

// page is the answer.
func (r *readRequest) page(q *table.Query, p *table.Page) *readAnswer {
	out := &readAnswer{Count: p.Count, ScannedCount: p.Scanned}
	if p.Items != nil {
		out.Items = make([]item, len(p.Items))
		for i := range p.Items {
			out.Items[i] = item{p.Items[i]}
		}
	}
	if p.LastKey != nil {
		out.LastEvaluatedKey = &item{p.LastKey}
	}
	var u units
	n := readUnits(p.Bytes, q.Consistent)
	if x := p.Def.Index(q.Index); x != nil {
		u.index(x, n)
	} else {
		u.table = n
	}
	out.ConsumedCapacity = u.shape(text(r.ReturnConsumedCapacity), q.Table)
	return out
}
