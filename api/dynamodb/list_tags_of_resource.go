package dynamodb

import (
	"context"

	"github.com/thalweg/thalweg/gate"
)

// ListTagsOfResource lists a table's tags, all at once.

type listTagsOfResourceRequest struct {
	ResourceArn *string `aws:"required,min=1,max=1283"`
	NextToken   *string
}

type listTagsOfResourceAnswer struct{ Tags []tag }

func (a *api) listTagsOfResource(_ context.Context, c *gate.Call, in *listTagsOfResourceRequest) (*listTagsOfResourceAnswer, error) {
	n, err := resource(c, text(in.ResourceArn))
	if err != nil {
		return nil, err
	}
	if in.NextToken != nil {
		return nil, invalid("Invalid NextToken: all tags of a table are in the first answer")
	}
	i, err := a.tables.Describe(n)
	if err != nil {
		return nil, err
	}
	return &listTagsOfResourceAnswer{shapeTags(i.Def.Tags)}, nil
}
