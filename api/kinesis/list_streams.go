package kinesis

import (
	"context"
	"time"

	"github.com/thalweg/thalweg/fault"
	"github.com/thalweg/thalweg/gate"
	"github.com/thalweg/thalweg/stream"
)

// ListStreams names the caller's streams in order of their names, at most 100
// at a time whatever Limit says, as AWS does.

type listStreamsRequest struct {
	Limit                    *int    `aws:"min=1,max=10000"`
	ExclusiveStartStreamName *string `aws:"min=1,max=128,pattern=[a-zA-Z0-9_.-]+"`
	NextToken                *string `aws:"min=1,max=1048576"`
}

type listStreamsAnswer struct {
	StreamNames     []string
	HasMoreStreams  bool
	NextToken       *string
	StreamSummaries []streamSummary
}

type streamSummary struct {
	StreamName              string
	StreamARN               string
	StreamStatus            string
	StreamModeDetails       streamModeDetails
	StreamCreationTimestamp time.Time
}

const maxListed = 100

func (a *api) listStreams(_ context.Context, c *gate.Call, in *listStreamsRequest) (*listStreamsAnswer, error) {
	from := text(in.ExclusiveStartStreamName)
	if in.NextToken != nil {
		if in.ExclusiveStartStreamName != nil {
			return nil, fault.New(fault.Invalid, "NextToken and ExclusiveStartStreamName cannot be provided together.")
		}
		p, err := parsePlace("ListStreams", *in.NextToken, c.Now)
		if err != nil {
			return nil, err
		}
		from = p.After
	}
	limit := maxListed
	if in.Limit != nil {
		limit = min(limit, *in.Limit)
	}
	infos, more := a.streams.List(stream.Owner{Account: c.Account, Region: c.Region}, from, limit)
	out := &listStreamsAnswer{
		StreamNames:     make([]string, len(infos)),
		HasMoreStreams:  more,
		StreamSummaries: make([]streamSummary, len(infos)),
	}
	for i, info := range infos {
		out.StreamNames[i] = info.Name
		out.StreamSummaries[i] = streamSummary{
			info.Name, info.ARN, string(info.Status), streamModeDetails{optional(string(info.Mode))}, info.Created,
		}
	}
	if more && len(infos) > 0 {
		next := place{Op: "ListStreams", After: infos[len(infos)-1].Name}.token(c.Now)
		out.NextToken = &next
	}
	return out, nil
}
