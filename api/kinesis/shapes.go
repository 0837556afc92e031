package kinesis

import (
	"time"

	"github.com/thalweg/thalweg/stream"
)

// Shapes that several operations share. Members stand in the order in which
// AWS's texts list them, where that was recorded.

// none answers with an empty body.
type none struct{}

type streamModeDetails struct {
	StreamMode *string `aws:"required,enum=PROVISIONED|ON_DEMAND"`
}

type hashKeyRange struct {
	StartingHashKey string
	EndingHashKey   string
}

type sequenceNumberRange struct {
	StartingSequenceNumber string
	EndingSequenceNumber   *string // of closed shards only: clients go by its absence
}

type shardShape struct {
	ShardId               string
	ParentShardId         *string
	AdjacentParentShardId *string
	HashKeyRange          hashKeyRange
	SequenceNumberRange   sequenceNumberRange
}

// childShard is what a shard became, as told at its end.
type childShard struct {
	ShardId      string
	ParentShards []string
	HashKeyRange hashKeyRange
}

type enhancedMetrics struct {
	ShardLevelMetrics []string
}

type warmThroughput struct {
	TargetMiBps  int
	CurrentMiBps int
}

func shapeShards(shards []stream.ShardInfo) []shardShape {
	shapes := make([]shardShape, len(shards))
	for i := range shards {
		s := &shards[i]
		shapes[i] = shardShape{
			ShardId:               s.ID,
			ParentShardId:         optional(s.Parent),
			AdjacentParentShardId: optional(s.AdjacentParent),
			HashKeyRange:          hashKeyRange{s.Start.String(), s.End.String()},
			SequenceNumberRange:   sequenceNumberRange{StartingSequenceNumber: s.First.String()},
		}
		if s.Last != nil {
			shapes[i].SequenceNumberRange.EndingSequenceNumber = optional(s.Last.String())
		}
	}
	return shapes
}

func shapeChildren(shards []stream.ShardInfo) []childShard {
	shapes := make([]childShard, len(shards))
	for i := range shards {
		s := &shards[i]
		parents := []string{s.Parent}
		if s.AdjacentParent != "" {
			parents = append(parents, s.AdjacentParent)
		}
		shapes[i] = childShard{s.ID, parents, hashKeyRange{s.Start.String(), s.End.String()}}
	}
	return shapes
}

// optional is s, or absent when it is "".
func optional(s string) *string {
	if s == "" {
		return nil
	}
	return &s
}

// after returns the shards whose index is above that of the shard named id,
// which need not exist; all when id is "".
func after(ref stream.Ref, shards []stream.ShardInfo, id string) ([]stream.ShardInfo, error) {
	if id == "" {
		return shards, nil
	}
	index, err := shardIndex(ref, id)
	if err != nil {
		return nil, err
	}
	for i := range shards {
		if shards[i].Index > index {
			return shards[i:], nil
		}
	}
	return nil, nil
}

func hours(d time.Duration) int { return int(d / time.Hour) }

// isTrue reads a flag that may be absent.
func isTrue(flag *bool) bool { return flag != nil && *flag }

// text reads a string that may be absent. Where the constraints want at least
// one character, "" means absent.
func text(s *string) string {
	if s == nil {
		return ""
	}
	return *s
}
