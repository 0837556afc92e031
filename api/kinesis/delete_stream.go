package kinesis

import (
	"context"

	"github.com/thalweg/thalweg/gate"
)

// DeleteStream removes a stream and its records. AWS answers while it is
// DELETING; here it is gone when the answer comes.

type deleteStreamRequest struct {
	target
	EnforceConsumerDeletion *bool
}

func (a *api) deleteStream(ctx context.Context, c *gate.Call, in *deleteStreamRequest) (*none, error) {
	ref, err := in.resolve(c)
	if err != nil {
		return nil, err
	}
	return &none{}, a.streams.Delete(ctx, ref, isTrue(in.EnforceConsumerDeletion))
}
