package dynamodb

import (
	"context"

	"github.com/thalweg/thalweg/gate"
	"github.com/thalweg/thalweg/table"
)

// UntagResource takes tags from a table.

type untagResourceRequest struct {
	ResourceArn *string  `aws:"required,min=1,max=1283"`
	TagKeys     []string `aws:"required" elem:"min=1,max=128"`
}

func (a *api) untagResource(ctx context.Context, c *gate.Call, in *untagResourceRequest) (*none, error) {
	n, err := resource(c, text(in.ResourceArn))
	if err != nil {
		return nil, err
	}
	if len(in.TagKeys) == 0 {
		return nil, invalid("Atleast one Tag Key needs to be provided as Input.")
	}
	_, err = a.tables.Change(ctx, n, func(d *table.Definition) error {
		for _, k := range in.TagKeys {
			delete(d.Tags, k)
		}
		return nil
	})
	return &none{}, err
}
