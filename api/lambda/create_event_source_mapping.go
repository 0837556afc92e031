package lambda

import (
	"context"
	"errors"
	"time"

	"github.com/thalweg/thalweg/fault"
	"github.com/thalweg/thalweg/function/mapping"
	"github.com/thalweg/thalweg/gate"
)

// CreateEventSourceMapping makes a mapping of a stream, or of a consumer of
// one, to a function. Unlike on AWS, LATEST misses nothing that is put after
// the answer.

type createMappingRequest struct {
	EventSourceArn            *string
	FunctionName              *string `aws:"min=1,max=140"`
	StartingPosition          *string `aws:"enum=LATEST|AT_TIMESTAMP|TRIM_HORIZON"`
	StartingPositionTimestamp *time.Time
	Tags                      map[string]string
	mappingSettings
}

func (a *api) createEventSourceMapping(ctx context.Context, c *gate.Call, in *createMappingRequest) (*mappingShape, error) {
	if err := in.refuse(); err != nil {
		return nil, err
	}
	name, err := a.mappedFunction(c, in.FunctionName)
	if err != nil {
		return nil, err
	}
	if in.EventSourceArn == nil {
		return nil, invalid("Unrecognized event source.")
	}
	source, err := checkSource(c, in.EventSourceArn)
	if err != nil {
		return nil, err
	}
	if in.StartingPosition == nil {
		return nil, invalid("1 validation error detected: Value null at 'startingPosition' failed to satisfy constraint: Member must not be null.")
	}
	if err := checkTags(in.Tags); err != nil {
		return nil, err
	}
	at := mapping.Start{Type: mapping.StartType(*in.StartingPosition)}
	if in.StartingPositionTimestamp != nil {
		at.Time = *in.StartingPositionTimestamp
		if at.Time.After(c.Now) {
			return nil, invalid("StartingPositionTimestamp cannot be in the future.")
		}
	}
	s := mapping.Settings{Enabled: true, Function: name, BatchSize: 100, Parallel: 1, Retries: -1, Age: -1}
	in.apply(&s)
	m, err := a.mappings.Create(ctx, ownerOf(c), source, s, at, in.Tags, c.Now)
	if err != nil {
		return nil, missingFunction(err)
	}
	return shapeMapping(m), nil
}

// missingFunction says of a function that does not exist what AWS says where a
// mapping names it.
func missingFunction(err error) error {
	var f *fault.Error
	if errors.As(err, &f) && f.Kind == fault.NotFound && len(f.Message) > 8 && f.Message[:8] == "Function" {
		return noFunction()
	}
	return err
}
