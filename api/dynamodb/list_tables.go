package dynamodb

import (
	"context"
	"slices"

	"github.com/thalweg/thalweg/gate"
	"github.com/thalweg/thalweg/table"
)

// ListTables lists the names of the caller's tables, at most 100 a time.

type listTablesRequest struct {
	ExclusiveStartTableName *string `aws:"min=3,max=255,pattern=[a-zA-Z0-9_.-]+"`
	Limit                   *int    `aws:"min=1,max=100"`
}

type listTablesAnswer struct {
	TableNames             []string
	LastEvaluatedTableName *string
}

const maxListed = 100

func (a *api) listTables(_ context.Context, c *gate.Call, in *listTablesRequest) (*listTablesAnswer, error) {
	names := a.tables.List(table.Name{Account: c.Account, Region: c.Region})
	if in.ExclusiveStartTableName != nil {
		i, found := slices.BinarySearch(names, *in.ExclusiveStartTableName)
		if found {
			i++
		}
		names = names[i:]
	}
	limit := maxListed
	if in.Limit != nil {
		limit = *in.Limit
	}
	out := &listTablesAnswer{TableNames: append([]string{}, names...)}
	if len(names) > limit {
		out.TableNames = out.TableNames[:limit]
		out.LastEvaluatedTableName = &out.TableNames[limit-1]
	}
	return out, nil
}
