package dynamodb

import (
	"context"

	"github.com/thalweg/thalweg/gate"
)

// UpdateContinuousBackups switches point-in-time recovery off, which it always
// is; to switch it on is refused.

type updateContinuousBackupsRequest struct {
	TableName                        *string `aws:"required,min=1,max=1024"`
	PointInTimeRecoverySpecification *struct {
		PointInTimeRecoveryEnabled *bool `aws:"required"`
		RecoveryPeriodInDays       *int  `aws:"min=1,max=35"`
	} `aws:"required"`
}

func (a *api) updateContinuousBackups(_ context.Context, c *gate.Call, in *updateContinuousBackupsRequest) (*continuousBackupsAnswer, error) {
	n, err := nameOf(c, text(in.TableName))
	if err != nil {
		return nil, err
	}
	if *in.PointInTimeRecoverySpecification.PointInTimeRecoveryEnabled {
		return nil, unsupported("PointInTimeRecoveryEnabled")
	}
	return a.backups(n)
}
