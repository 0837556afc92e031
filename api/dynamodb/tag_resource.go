package dynamodb

import (
	"context"

	"github.com/thalweg/thalweg/gate"
	"github.com/thalweg/thalweg/table"
)

// TagResource adds tags to a table.

type tagResourceRequest struct {
	ResourceArn *string `aws:"required,min=1,max=1283"`
	Tags        []tag   `aws:"required"`
}

type none struct{}

func (a *api) tagResource(ctx context.Context, c *gate.Call, in *tagResourceRequest) (*none, error) {
	n, err := resource(c, text(in.ResourceArn))
	if err != nil {
		return nil, err
	}
	if len(in.Tags) == 0 {
		return nil, invalid("Atleast one Tag needs to be provided as Input.")
	}
	_, err = a.tables.Change(ctx, n, func(d *table.Definition) (err error) {
		d.Tags, err = addTags(d.Tags, in.Tags)
		return err
	})
	return &none{}, err
}
