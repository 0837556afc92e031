package lambda

import (
	"context"

	"github.com/thalweg/thalweg/gate"
)

// ListFunctions lists an account's functions in a region by name, at most 50 at
// once: each as $LATEST, or with FunctionVersion ALL each of its versions.

type listFunctionsRequest struct {
	FunctionVersion *string `rest:"query" aws:"enum=ALL"`
	MasterRegion    *string `rest:"query"`
	pages
}

type listFunctionsAnswer struct {
	Functions  []configuration
	NextMarker *string
}

// maxPage is the most that lists return at once.
const maxPage = 50

func (a *api) listFunctions(_ context.Context, c *gate.Call, in *listFunctionsRequest) (*listFunctionsAnswer, error) {
	limit, err := in.limit(maxPage)
	if err != nil {
		return nil, err
	}
	list, more := a.functions.List(c.Account, c.Region, text(in.Marker), limit)
	out := &listFunctionsAnswer{Functions: []configuration{}}
	for _, d := range list {
		if text(in.FunctionVersion) == "" {
			out.Functions = append(out.Functions, describe(d, &d.Latest, ""))
			continue
		}
		_, versions, _, err := a.functions.Versions(d.Name, -1, 1<<30)
		if err != nil {
			continue // deleted meanwhile
		}
		for _, v := range versions {
			out.Functions = append(out.Functions, describe(d, v, v.Qualifier()))
		}
	}
	if more {
		out.NextMarker = &list[len(list)-1].Name.Function
	}
	return out, nil
}
