package dynamodb

import (
	"context"

	"github.com/thalweg/thalweg/gate"
	"github.com/thalweg/thalweg/table"
)

// UpdateTimeToLive says which attribute of a table's items holds the second
// after which they are removed. AWS takes up to an hour to heed it; here it is
// heeded at once, and the items are gone within a minute.

type timeToLiveSpecification struct {
	Enabled       *bool   `aws:"required"`
	AttributeName *string `aws:"required,min=1,max=255"`
}

type updateTimeToLiveRequest struct {
	TableName               *string                  `aws:"required,min=1,max=1024"`
	TimeToLiveSpecification *timeToLiveSpecification `aws:"required"`
}

type updateTimeToLiveAnswer struct {
	TimeToLiveSpecification timeToLiveSpecification
}

func (a *api) updateTimeToLive(ctx context.Context, c *gate.Call, in *updateTimeToLiveRequest) (*updateTimeToLiveAnswer, error) {
	n, err := nameOf(c, text(in.TableName))
	if err != nil {
		return nil, err
	}
	s := in.TimeToLiveSpecification
	_, err = a.tables.Change(ctx, n, func(d *table.Definition) error {
		switch {
		case *s.Enabled && d.Expiry != "":
			return invalid("TimeToLive is already enabled")
		case !*s.Enabled && d.Expiry == "":
			return invalid("TimeToLive is already disabled")
		case *s.Enabled:
			d.Expiry = *s.AttributeName
		case *s.AttributeName != d.Expiry:
			return invalid("TimeToLive is active on a different AttributeName: current AttributeName is %s", d.Expiry)
		default:
			d.Expiry = ""
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	return &updateTimeToLiveAnswer{*s}, nil
}
