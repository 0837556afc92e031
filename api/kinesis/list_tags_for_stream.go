package kinesis

import (
	"context"
	"maps"
	"slices"

	"github.com/thalweg/thalweg/gate"
)

// ListTagsForStream lists a stream's tags in the order of their keys, at most
// 50 at a time, which is all that a stream can have.

type listTagsForStreamRequest struct {
	Limit                *int    `aws:"min=1,max=50"`
	ExclusiveStartTagKey *string `aws:"min=1,max=128"`
	target
}

type listTagsForStreamAnswer struct {
	Tags        []tagShape
	HasMoreTags bool
}

type tagShape struct {
	Key   string
	Value string
}

func (a *api) listTagsForStream(_ context.Context, c *gate.Call, in *listTagsForStreamRequest) (*listTagsForStreamAnswer, error) {
	ref, err := in.resolve(c)
	if err != nil {
		return nil, err
	}
	info, err := a.streams.Describe(ref)
	if err != nil {
		return nil, err
	}
	from := text(in.ExclusiveStartTagKey)
	tags := slices.DeleteFunc(shapeTags(info.Tags), func(t tagShape) bool { return from != "" && t.Key <= from })
	more := in.Limit != nil && len(tags) > *in.Limit
	if more {
		tags = tags[:*in.Limit]
	}
	return &listTagsForStreamAnswer{tags, more}, nil
}

func shapeTags(tags map[string]string) []tagShape {
	shapes := make([]tagShape, 0, len(tags))
	for _, k := range slices.Sorted(maps.Keys(tags)) {
		shapes = append(shapes, tagShape{k, tags[k]})
	}
	return shapes
}
