package kinesis

import (
	"context"

	"github.com/thalweg/thalweg/gate"
	"github.com/thalweg/thalweg/stream"
)

// UpdateAccountSettings enables the commitment that warm throughput asks for,
// or ends it: 24 hours after its start at the earliest, and by itself then.
// Nothing is billed.

type updateAccountSettingsRequest struct {
	MinimumThroughputBillingCommitment *commitmentRequest `aws:"required"`
}

type commitmentRequest struct {
	Status *string `aws:"required,enum=ENABLED|DISABLED"`
}

func (a *api) updateAccountSettings(ctx context.Context, c *gate.Call, in *updateAccountSettingsRequest) (*accountSettingsAnswer, error) {
	on := text(in.MinimumThroughputBillingCommitment.Status) == "ENABLED"
	settings, err := a.streams.Commit(ctx, stream.Owner{Account: c.Account, Region: c.Region}, on)
	if err != nil {
		return nil, err
	}
	return shapeSettings(settings), nil
}
