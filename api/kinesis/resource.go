package kinesis

import (
	"context"
	"strconv"
	"strings"

	"github.com/thalweg/thalweg/fault"
	"github.com/thalweg/thalweg/gate"
	"github.com/thalweg/thalweg/stream"
)

// resource is what has tags and is named by its ARN: a stream, or a consumer
// of one.
type resource struct {
	stream.Ref
	consumer string // "": the stream itself
	created  int64  // Unix seconds when the consumer was registered
}

// resolveResource finds what a ResourceARN within its constraints names.
func resolveResource(c *gate.Call, arn string) (r resource, err error) {
	head, tail, isConsumer := strings.Cut(arn, "/consumer/")
	if isConsumer {
		var epoch string
		r.consumer, epoch, _ = strings.Cut(tail, ":")
		if r.created, err = strconv.ParseInt(epoch, 10, 64); err != nil || r.created <= 0 || !validName(r.consumer) {
			return r, errResource(arn)
		}
	}
	if _, ok := parseARN(head); !ok {
		return r, errResource(arn)
	}
	r.Ref, err = resolve(c, "", head)
	return r, err
}

func errResource(arn string) error {
	return fault.New(fault.Invalid, "ResourceARN %s is not the ARN of a stream or of a consumer.", arn)
}

// changeTags changes the tags of a resource.
func (a *api) changeTags(ctx context.Context, r resource, set map[string]string, remove []string) error {
	if r.consumer == "" {
		return a.tag(ctx, r.Ref, set, remove)
	}
	if _, err := a.streams.Consumer(r.Ref, r.consumer, r.created); err != nil {
		return err
	}
	for _, texts := range [][]string{tagTexts(set), remove} {
		if err := stream.CheckTags(r.Ref, "tag a consumer of", texts...); err != nil {
			return err
		}
	}
	return a.streams.TagConsumer(ctx, r.Ref, r.consumer, r.created, set, remove)
}
