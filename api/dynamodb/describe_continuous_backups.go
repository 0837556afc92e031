package dynamodb

import (
	"context"

	"github.com/thalweg/thalweg/gate"
	"github.com/thalweg/thalweg/table"
)

// DescribeContinuousBackups tells that there are none. With AWS every table has
// them, and point-in-time recovery apart; Terraform reads the latter.

type pointInTimeRecovery struct{ PointInTimeRecoveryStatus string }

type continuousBackups struct {
	ContinuousBackupsStatus        string
	PointInTimeRecoveryDescription pointInTimeRecovery
}

type continuousBackupsAnswer struct {
	ContinuousBackupsDescription continuousBackups
}

func (a *api) describeContinuousBackups(_ context.Context, c *gate.Call, in *tableRequest) (*continuousBackupsAnswer, error) {
	n, err := nameOf(c, text(in.TableName))
	if err != nil {
		return nil, err
	}
	return a.backups(n)
}

func (a *api) backups(n table.Name) (*continuousBackupsAnswer, error) {
	if _, err := a.tables.Describe(n); err != nil {
		return nil, err
	}
	return &continuousBackupsAnswer{continuousBackups{"DISABLED", pointInTimeRecovery{"DISABLED"}}}, nil
}
