package lambda

import (
	"context"
	"strconv"

	"github.com/thalweg/thalweg/gate"
)

// ListVersionsByFunction lists $LATEST and the published versions by number.

type listVersionsRequest struct {
	target
	pages
}

type listVersionsAnswer struct {
	Versions   []configuration
	NextMarker *string
}

func (a *api) listVersionsByFunction(_ context.Context, c *gate.Call, in *listVersionsRequest) (*listVersionsAnswer, error) {
	ref, err := a.resolve(c, in.FunctionName, nil)
	if err != nil {
		return nil, err
	}
	limit, err := in.limit(maxPage)
	if err != nil {
		return nil, err
	}
	after := -1
	if in.Marker != nil {
		if after, err = strconv.Atoi(*in.Marker); err != nil {
			return nil, invalid("Invalid marker: %.100s", *in.Marker)
		}
	}
	d, list, more, err := a.functions.Versions(ref.Name, after, limit)
	if err != nil {
		return nil, err
	}
	out := &listVersionsAnswer{Versions: []configuration{}}
	for _, v := range list {
		out.Versions = append(out.Versions, describe(d, v, v.Qualifier()))
	}
	if more {
		out.NextMarker = optional(strconv.Itoa(list[len(list)-1].Number))
	}
	return out, nil
}
