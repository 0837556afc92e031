package lambda

import (
	"context"

	"github.com/thalweg/thalweg/gate"
)

// GetFunction returns a function's configuration, where its code can be read
// for ten minutes, and its tags.

type getFunctionAnswer struct {
	Configuration configuration
	Code          codeLocation
	Tags          map[string]string
	Concurrency   *concurrency
}

type codeLocation struct{ RepositoryType, Location string }

type concurrency struct{ ReservedConcurrentExecutions int }

func (a *api) getFunction(_ context.Context, c *gate.Call, in *qualified) (*getFunctionAnswer, error) {
	ref, err := a.resolve(c, in.FunctionName, in.Qualifier)
	if err != nil {
		return nil, err
	}
	d, v, err := a.functions.Get(ref)
	if err != nil {
		return nil, err
	}
	out := &getFunctionAnswer{Configuration: describe(d, v, ref.Qualifier), Code: codeLocation{"S3", a.cfg.Location(v.Code.SHA256, c.Now)}, Tags: d.Tags}
	if d.Reserved != nil {
		out.Concurrency = &concurrency{*d.Reserved}
	}
	return out, nil
}
