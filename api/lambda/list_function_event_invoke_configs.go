package lambda

import (
	"context"
	"maps"
	"slices"

	"github.com/thalweg/thalweg/function"
	"github.com/thalweg/thalweg/gate"
)

// ListFunctionEventInvokeConfigs lists what was said of events that fail, by
// qualifier. All are on one page: a function has as many as it has aliases.

type listEventInvokeRequest struct {
	target
	pages
}

type listEventInvokeAnswer struct {
	FunctionEventInvokeConfigs []*eventInvokeAnswer
}

func (a *api) listFunctionEventInvokeConfigs(_ context.Context, c *gate.Call, in *listEventInvokeRequest) (*listEventInvokeAnswer, error) {
	ref, err := a.resolve(c, in.FunctionName, nil)
	if err != nil {
		return nil, err
	}
	d, _, err := a.functions.Get(ref)
	if err != nil {
		return nil, err
	}
	out := &listEventInvokeAnswer{FunctionEventInvokeConfigs: []*eventInvokeAnswer{}}
	for _, q := range slices.Sorted(maps.Keys(d.Async)) {
		out.FunctionEventInvokeConfigs = append(out.FunctionEventInvokeConfigs, describeAsync(function.Ref{Name: d.Name, Qualifier: q}, d.Async[q]))
	}
	return out, nil
}
