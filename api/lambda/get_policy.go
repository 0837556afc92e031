package lambda

import (
	"context"

	"github.com/thalweg/thalweg/fault"
	"github.com/thalweg/thalweg/gate"
)

// GetPolicy returns the policy of a function, a version or an alias.

type getPolicyAnswer struct{ Policy, RevisionId string }

func (a *api) getPolicy(_ context.Context, c *gate.Call, in *qualified) (*getPolicyAnswer, error) {
	ref, err := a.resolve(c, in.FunctionName, in.Qualifier)
	if err != nil {
		return nil, err
	}
	d, _, err := a.functions.Get(ref)
	if err != nil {
		return nil, err
	}
	p, ok := d.Policies[ref.Qualifier]
	if !ok {
		return nil, fault.New(fault.NotFound, "The resource you requested does not exist.")
	}
	return &getPolicyAnswer{p.Document(), p.Revision}, nil
}
