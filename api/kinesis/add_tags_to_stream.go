package kinesis

import (
	"context"
	"maps"
	"slices"

	"github.com/thalweg/thalweg/gate"
	"github.com/thalweg/thalweg/stream"
)

// AddTagsToStream sets tags of a stream, over those of the same keys: at most
// 50 in the end.

type addTagsToStreamRequest struct {
	Tags map[string]string `aws:"required,min=1,max=200" key:"min=1,max=128" elem:"min=0,max=256"`
	target
}

func (a *api) addTagsToStream(ctx context.Context, c *gate.Call, in *addTagsToStreamRequest) (*none, error) {
	ref, err := in.resolve(c)
	if err != nil {
		return nil, err
	}
	return &none{}, a.tag(ctx, ref, in.Tags, nil)
}

// tag changes a stream's tags. That the stream exists comes before what its
// tags may look like, as with AWS.
func (a *api) tag(ctx context.Context, ref stream.Ref, set map[string]string, remove []string) error {
	if _, err := a.streams.Describe(ref); err != nil {
		return err
	}
	verb := "add tags to"
	if len(remove) > 0 {
		verb = "remove tags from"
	}
	if err := stream.CheckTags(ref, verb, slices.Concat(tagTexts(set), remove)...); err != nil {
		return err
	}
	return a.streams.Tag(ctx, ref, set, remove)
}

// tagTexts are the keys and values of tags, sorted.
func tagTexts(tags map[string]string) []string {
	texts := slices.AppendSeq(slices.Collect(maps.Keys(tags)), maps.Values(tags))
	slices.Sort(texts)
	return texts
}
