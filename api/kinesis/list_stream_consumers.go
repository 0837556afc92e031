package kinesis

import (
	"context"
	"time"

	"github.com/thalweg/thalweg/fault"
	"github.com/thalweg/thalweg/gate"
)

// ListStreamConsumers lists a stream's consumers by name, at most 100 a page
// whatever MaxResults says.

type listStreamConsumersRequest struct {
	StreamARN               *string `aws:"required,min=1,max=2048,pattern=arn:aws.*:kinesis:.*:\\d{12}:stream/\\S+"`
	NextToken               *string `aws:"min=1,max=1048576"`
	MaxResults              *int    `aws:"min=1,max=10000"`
	StreamCreationTimestamp time.Time
}

type listStreamConsumersAnswer struct {
	Consumers []consumerShape
	NextToken *string
}

// mostConsumers is how many consumers a page holds at most.
const mostConsumers = 100

func (a *api) listStreamConsumers(_ context.Context, c *gate.Call, in *listStreamConsumersRequest) (*listStreamConsumersAnswer, error) {
	ref, err := resolve(c, "", *in.StreamARN)
	if err != nil {
		return nil, err
	}
	at := place{Op: "ListStreamConsumers", Stream: ref.Name}
	if in.NextToken != nil {
		if !in.StreamCreationTimestamp.IsZero() {
			return nil, fault.New(fault.Invalid, "NextToken and StreamCreationTimestamp cannot be provided together.")
		}
		if at, err = parsePlace(at.Op, *in.NextToken, c.Now); err == nil && at.Stream != ref.Name {
			err = errToken()
		}
		if err != nil {
			return nil, err
		}
	} else if !in.StreamCreationTimestamp.IsZero() {
		at.Made = in.StreamCreationTimestamp.UnixMilli()
	}
	info, err := a.streams.Describe(ref)
	if err != nil {
		return nil, err
	}
	if err := at.made(info, in.NextToken != nil); err != nil {
		return nil, err
	}
	limit := mostConsumers
	if in.MaxResults != nil {
		limit = min(limit, *in.MaxResults)
	}
	found, more, err := a.streams.Consumers(ref, at.After, limit)
	if err != nil {
		return nil, err
	}
	out := &listStreamConsumersAnswer{Consumers: make([]consumerShape, len(found))}
	for i := range found {
		out.Consumers[i] = shapeConsumer(&found[i])
	}
	if more {
		at.After, at.Made = found[limit-1].Name, info.Created.UnixMilli()
		next := at.token(c.Now)
		out.NextToken = &next
	}
	return out, nil
}
