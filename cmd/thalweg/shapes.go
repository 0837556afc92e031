package main

import (
	"context"
	"encoding/json"
	"fmt"
	"math"
	"time"
)

// The members of Kinesis's messages that these commands use, under AWS's names.

// stamp is a time on the wire: seconds with three decimals.
type stamp time.Time

func (s stamp) MarshalJSON() ([]byte, error) {
	return fmt.Appendf(nil, "%.3f", float64(time.Time(s).UnixMilli())/1000), nil
}

func (s *stamp) UnmarshalJSON(b []byte) error {
	var f float64
	if err := json.Unmarshal(b, &f); err != nil {
		return err
	}
	*s = stamp(time.UnixMilli(int64(math.Round(f * 1000))))
	return nil
}

func (s stamp) String() string { return time.Time(s).Format(time.RFC3339Nano) }

type hashRange struct{ StartingHashKey, EndingHashKey string }

type sequenceRange struct {
	StartingSequenceNumber string
	EndingSequenceNumber   string `json:",omitempty"`
}

type shard struct {
	ShardId               string
	ParentShardId         string `json:",omitempty"`
	AdjacentParentShardId string `json:",omitempty"`
	HashKeyRange          hashRange
	SequenceNumberRange   sequenceRange
}

func (s shard) open() bool { return s.SequenceNumberRange.EndingSequenceNumber == "" }

type summary struct {
	StreamName, StreamARN, StreamStatus string
	StreamModeDetails                   struct{ StreamMode string }
	StreamCreationTimestamp             stamp
	RetentionPeriodHours                int `json:",omitempty"`
	OpenShardCount                      int `json:",omitempty"`
}

type record struct {
	SequenceNumber              string
	ApproximateArrivalTimestamp stamp
	PartitionKey                string
	Data                        []byte
}

type childShard struct {
	ShardId      string
	ParentShards []string
	HashKeyRange hashRange
}

type page struct {
	Records            []record
	NextShardIterator  string
	MillisBehindLatest int64
	ChildShards        []childShard
}

type entry struct {
	Data            []byte
	PartitionKey    string
	ExplicitHashKey string `json:",omitempty"`
}

type entryResult struct {
	ShardId        string `json:",omitempty"`
	SequenceNumber string `json:",omitempty"`
	ErrorCode      string `json:",omitempty"`
	ErrorMessage   string `json:",omitempty"`
}

// shards lists a stream's shards, all pages; filter may be nil.
func (c *client) shards(ctx context.Context, stream string, filter map[string]any) (all []shard, err error) {
	in := map[string]any{"StreamName": stream}
	if filter != nil {
		in["ShardFilter"] = filter
	}
	for {
		var out struct {
			Shards    []shard
			NextToken string
		}
		if err := c.call(ctx, "ListShards", in, &out); err != nil {
			return nil, err
		}
		all = append(all, out.Shards...)
		if out.NextToken == "" {
			return all, nil
		}
		in = map[string]any{"NextToken": out.NextToken}
	}
}

func (c *client) summary(ctx context.Context, stream string) (summary, error) {
	var out struct{ StreamDescriptionSummary summary }
	err := c.call(ctx, "DescribeStreamSummary", map[string]any{"StreamName": stream}, &out)
	return out.StreamDescriptionSummary, err
}

// settle waits until a stream is ACTIVE, or, with gone, until there is none.
func (c *client) settle(ctx context.Context, stream string, gone bool) error {
	tick := time.NewTicker(100 * time.Millisecond)
	defer tick.Stop()
	for {
		s, err := c.summary(ctx, stream)
		switch {
		case gone && notFound(err):
			return nil
		case err != nil && !throttled(err):
			return err
		case err == nil && !gone && s.StreamStatus == "ACTIVE":
			return nil
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}
