package dynamodb

import (
	"context"

	"github.com/thalweg/thalweg/gate"
)

// DescribeTable tells what a table is. Its sizes are of now, where AWS's are up
// to six hours old.

type tableRequest struct {
	TableName *string `aws:"required,min=1,max=1024"`
}

type describeTableAnswer struct{ Table tableDescription }

func (a *api) describeTable(_ context.Context, c *gate.Call, in *tableRequest) (*describeTableAnswer, error) {
	n, err := nameOf(c, text(in.TableName))
	if err != nil {
		return nil, err
	}
	i, err := a.tables.Describe(n)
	if err != nil {
		return nil, err
	}
	return &describeTableAnswer{describe(i)}, nil
}
