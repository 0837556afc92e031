package dynamodb

import (
	"context"

	"github.com/thalweg/thalweg/gate"
)

// DeleteTable removes a table. It is gone when the answer comes, which says
// DELETING as AWS's does, and no more of the table than that one.

type deleteTableAnswer struct{ TableDescription deletedTable }

type deletedTable struct {
	TableName                 string
	TableArn                  string
	TableId                   string
	TableStatus               string
	BillingModeSummary        *billingSummary
	ProvisionedThroughput     throughputDescription
	TableSizeBytes            int64
	ItemCount                 int64
	DeletionProtectionEnabled bool
}

func (a *api) deleteTable(ctx context.Context, c *gate.Call, in *tableRequest) (*deleteTableAnswer, error) {
	n, err := nameOf(c, text(in.TableName))
	if err != nil {
		return nil, err
	}
	i, err := a.tables.Delete(ctx, n)
	if err != nil {
		return nil, err
	}
	d := describe(i)
	return &deleteTableAnswer{deletedTable{
		d.TableName, d.TableArn, d.TableId, "DELETING", d.BillingModeSummary, d.ProvisionedThroughput, d.TableSizeBytes, d.ItemCount, d.DeletionProtectionEnabled,
	}}, nil
}
