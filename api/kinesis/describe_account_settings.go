package kinesis

import (
	"context"
	"time"

	"github.com/thalweg/thalweg/gate"
	"github.com/thalweg/thalweg/stream"
)

// DescribeAccountSettings tells what the account has settled for all its
// streams of a region.

type accountSettingsAnswer struct {
	MinimumThroughputBillingCommitment commitmentAnswer
}

type commitmentAnswer struct {
	Status               string
	StartedAt            *time.Time
	EndedAt              *time.Time
	EarliestAllowedEndAt *time.Time
}

func (a *api) describeAccountSettings(_ context.Context, c *gate.Call, _ *none) (*accountSettingsAnswer, error) {
	settings, err := a.streams.Account(stream.Owner{Account: c.Account, Region: c.Region})
	if err != nil {
		return nil, err
	}
	return shapeSettings(settings), nil
}

func shapeSettings(s stream.Account) *accountSettingsAnswer {
	out := commitmentAnswer{Status: "DISABLED"}
	if !s.Started.IsZero() {
		out.StartedAt = &s.Started
	}
	switch {
	case s.Committed && s.Ends.IsZero():
		out.Status = "ENABLED"
		out.EarliestAllowedEndAt = &s.Earliest
	case s.Committed:
		out.Status = "ENABLED_UNTIL_EARLIEST_ALLOWED_END"
		out.EarliestAllowedEndAt = &s.Earliest
	case !s.Ends.IsZero():
		out.EndedAt = &s.Ends
	}
	return &accountSettingsAnswer{out}
}
