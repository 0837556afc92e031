package lambda

import (
	"context"

	"github.com/thalweg/thalweg/gate"
)

// GetAccountSettings returns the limits of an account and what it uses of them.

type accountSettings struct {
	AccountLimit accountLimit
	AccountUsage accountUsage
}

type accountLimit struct {
	TotalCodeSize, CodeSizeUnzipped, CodeSizeZipped      int64
	ConcurrentExecutions, UnreservedConcurrentExecutions int
}

type accountUsage struct{ TotalCodeSize, FunctionCount int64 }

func (a *api) getAccountSettings(_ context.Context, c *gate.Call, _ *nothing) (*accountSettings, error) {
	u := a.functions.Usage(c.Account, c.Region)
	return &accountSettings{
		accountLimit{80530636800, 262144000, 52428800, u.Concurrency, max(0, u.Concurrency-u.Reserved)},
		accountUsage{u.CodeBytes, int64(u.Functions)},
	}, nil
}
