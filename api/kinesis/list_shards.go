package kinesis

import (
	"context"
	"time"

	"github.com/thalweg/thalweg/fault"
	"github.com/thalweg/thalweg/gate"
	"github.com/thalweg/thalweg/stream"
)

// ListShards lists a stream's shards, at most 1,000 a page whatever MaxResults
// says, all pages as of the instant of the first: a closed shard always comes
// with its children.

type listShardsRequest struct {
	MaxResults            *int    `aws:"min=1,max=10000"`
	ExclusiveStartShardId *string `aws:"min=1,max=128,pattern=[a-zA-Z0-9_.-]+"`
	target
	NextToken               *string `aws:"min=1,max=1048576"`
	StreamCreationTimestamp time.Time
	ShardFilter             *shardFilter
}

type shardFilter struct {
	Type      *string `aws:"required,enum=AFTER_SHARD_ID|AT_TRIM_HORIZON|FROM_TRIM_HORIZON|AT_LATEST|AT_TIMESTAMP|FROM_TIMESTAMP"`
	ShardId   *string `aws:"min=1,max=128,pattern=[a-zA-Z0-9_.-]+"`
	Timestamp time.Time
}

type listShardsAnswer struct {
	Shards    []shardShape
	NextToken *string
}

// mostShards is how many shards a page holds at most.
const mostShards = 1000

func (a *api) listShards(_ context.Context, c *gate.Call, in *listShardsRequest) (*listShardsAnswer, error) {
	ref, at, err := in.place(c)
	if err != nil {
		return nil, err
	}
	info, err := a.streams.Describe(ref)
	if err != nil {
		return nil, err
	}
	if err := at.made(info, in.NextToken != nil); err != nil {
		return nil, err
	}
	shards, moment, err := a.streams.Shards(ref, stream.Filter{
		Type: stream.FilterType(at.Filter), ShardID: at.Shard, Time: time.UnixMilli(at.Time), AsOf: at.Moment,
	})
	if err != nil {
		return nil, err
	}
	shards, err = after(ref, shards, at.After)
	if err != nil {
		return nil, err
	}
	limit := mostShards
	if in.MaxResults != nil {
		limit = min(limit, *in.MaxResults)
	}
	if len(shards) <= limit {
		return &listShardsAnswer{Shards: shapeShards(shards)}, nil
	}
	at.After, at.Moment, at.Made = shards[limit-1].ID, moment, info.Created.UnixMilli()
	next := at.token(c.Now)
	return &listShardsAnswer{Shards: shapeShards(shards[:limit]), NextToken: &next}, nil
}

// place finds out what is to be listed: what the token says, which then must
// come alone, or what the other members do.
func (in *listShardsRequest) place(c *gate.Call) (stream.Ref, place, error) {
	if in.NextToken != nil {
		for _, other := range [...]struct {
			name string
			set  bool
		}{
			{"StreamName", in.StreamName != nil},
			{"StreamARN", in.StreamARN != nil},
			{"ExclusiveStartShardId", in.ExclusiveStartShardId != nil},
			{"StreamCreationTimestamp", !in.StreamCreationTimestamp.IsZero()},
			{"ShardFilter", in.ShardFilter != nil},
		} {
			if other.set {
				return stream.Ref{}, place{}, fault.New(fault.Invalid, "NextToken and %s cannot be provided together.", other.name)
			}
		}
		at, err := parsePlace("ListShards", *in.NextToken, c.Now)
		if err == nil && !validName(at.Stream) {
			err = errToken()
		}
		if err != nil {
			return stream.Ref{}, at, err
		}
		ref, err := resolve(c, at.Stream, "")
		return ref, at, err
	}
	if in.StreamName == nil && in.StreamARN == nil {
		return stream.Ref{}, place{}, fault.New(fault.Invalid, "Either NextToken or StreamName should be provided.")
	}
	ref, err := in.resolve(c)
	at := place{Op: "ListShards", Stream: ref.Name, After: text(in.ExclusiveStartShardId)}
	if !in.StreamCreationTimestamp.IsZero() {
		at.Made = in.StreamCreationTimestamp.UnixMilli()
	}
	if f := in.ShardFilter; f != nil && err == nil {
		at.Filter, at.Shard = *f.Type, text(f.ShardId)
		if !f.Timestamp.IsZero() {
			at.Time = f.Timestamp.UnixMilli()
		}
		err = f.check()
	}
	return ref, at, err
}

// check tells whether a filter has what its type is about. AWS's texts for
// these were never recorded.
func (f *shardFilter) check() error {
	switch stream.FilterType(*f.Type) {
	case stream.AfterShardID:
		if f.ShardId == nil {
			return fault.New(fault.Invalid, "ShardId must be provided for a ShardFilter of type %s.", *f.Type)
		}
	case stream.AtTimestamp, stream.FromTimestamp:
		if f.Timestamp.IsZero() {
			return fault.New(fault.Invalid, "Timestamp must be provided for a ShardFilter of type %s.", *f.Type)
		}
	}
	return nil
}
