package dynamodb

import (
	"context"

	"github.com/thalweg/thalweg/gate"
)

// DescribeTimeToLive tells whether a table's items expire, and by what.

type timeToLiveDescription struct {
	TimeToLiveStatus string
	AttributeName    *string
}

type describeTimeToLiveAnswer struct {
	TimeToLiveDescription timeToLiveDescription
}

func (a *api) describeTimeToLive(_ context.Context, c *gate.Call, in *tableRequest) (*describeTimeToLiveAnswer, error) {
	n, err := nameOf(c, text(in.TableName))
	if err != nil {
		return nil, err
	}
	i, err := a.tables.Describe(n)
	if err != nil {
		return nil, err
	}
	d := timeToLiveDescription{"DISABLED", optional(i.Def.Expiry)}
	if d.AttributeName != nil {
		d.TimeToLiveStatus = "ENABLED"
	}
	return &describeTimeToLiveAnswer{d}, nil
}
