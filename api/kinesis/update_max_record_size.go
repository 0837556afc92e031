package kinesis

import (
	"context"

	"github.com/thalweg/thalweg/gate"
)

// UpdateMaxRecordSize sets how large a record of a stream may be, partition key
// and data together. It takes effect at once.

type updateMaxRecordSizeRequest struct {
	onlyARN
	MaxRecordSizeInKiB *int `aws:"required,min=1024,max=10240"`
}

func (a *api) updateMaxRecordSize(ctx context.Context, c *gate.Call, in *updateMaxRecordSizeRequest) (*none, error) {
	ref, err := in.resolve(c)
	if err != nil {
		return nil, err
	}
	return &none{}, a.streams.SetMaxRecord(ctx, ref, *in.MaxRecordSizeInKiB)
}
