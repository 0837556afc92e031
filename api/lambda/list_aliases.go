package lambda

import (
	"context"

	"github.com/thalweg/thalweg/function"
	"github.com/thalweg/thalweg/gate"
)

// ListAliases lists a function's aliases by name, or those of one version.

type listAliasesRequest struct {
	target
	FunctionVersion *string `rest:"query"`
	pages
}

type listAliasesAnswer struct {
	Aliases    []*aliasAnswer
	NextMarker *string
}

func (a *api) listAliases(_ context.Context, c *gate.Call, in *listAliasesRequest) (*listAliasesAnswer, error) {
	ref, err := a.resolve(c, in.FunctionName, nil)
	if err != nil {
		return nil, err
	}
	limit, err := in.limit(maxPage)
	if err != nil {
		return nil, err
	}
	var version *int
	if in.FunctionVersion != nil {
		n, err := number(*in.FunctionVersion)
		if err != nil {
			return nil, err
		}
		version = &n
	}
	d, _, err := a.functions.Get(function.Ref{Name: ref.Name})
	if err != nil {
		return nil, err
	}
	out := &listAliasesAnswer{Aliases: []*aliasAnswer{}}
	for i, name := range d.AliasNames(text(in.Marker), version) {
		if i == limit {
			out.NextMarker = &out.Aliases[i-1].Name
			break
		}
		out.Aliases = append(out.Aliases, describeAlias(ref.Name, name, d.Aliases[name]))
	}
	return out, nil
}
