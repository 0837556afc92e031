package stream

import (
	"time"

	"github.com/thalweg/thalweg/flow"
	"github.com/thalweg/thalweg/shardlog"
)

// Status is where a stream is in its life, in AWS's words.
type Status string

// The states. A stream leaves all but Active by itself.
const (
	Creating Status = "CREATING"
	Active   Status = "ACTIVE"
	Updating Status = "UPDATING"
	Deleting Status = "DELETING"
)

// Mode is how a stream's capacity is managed, in AWS's words.
type Mode string

// The modes.
const (
	Provisioned Mode = "PROVISIONED"
	OnDemand    Mode = "ON_DEMAND"
)

// Info is what there is to know about a stream at one instant. It and all it
// points to are shared: read-only.
type Info struct {
	Ref
	ARN          string
	ID           string // 24 characters, never reused: a stream made anew under the same name has another
	Status       Status
	Mode         Mode
	Created      time.Time
	Retention    time.Duration // whole hours
	MaxRecordKiB int           // of partition key and data
	WarmMiBps    int           // asked for at creation or later; 0: not asked for
	Auto         bool          // records are spread over the shards, whatever their keys (AWS's distribution strategy AUTO)
	Tags         map[string]string
	Metrics      []string    // of its shards, that are exported: see ShardMetrics
	Limits       Limits      // for this stream alone
	Shards       []ShardInfo // by index; without reserved and expired ones
	OpenShards   int
}

// ShardInfo is what there is to know about a shard at one instant.
type ShardInfo struct {
	ID             string // ShardID(Index)
	Index          uint32 // from 0 up within the stream, never reused
	Parent         string // the shard this one was split or merged from, "" for none
	AdjacentParent string // the other one of a merge, "" for none
	Start, End     Hash   // both inclusive
	First          Sequence
	Last           *Sequence // nil while open; after every record's
	Opened, Closed time.Time // Closed is zero while open

	log shardlog.Shard
	doc uint64 // version of the document this comes from
}

// Sequence returns the sequence number of the shard's record that the log
// took in at a position and a time (Unix milliseconds).
func (s *ShardInfo) Sequence(pos flow.Pos, unixMilli int64) Sequence {
	h := hot{created: s.First.Created, index: s.Index}
	return h.sequence(pos, unixMilli)
}

// expired tells whether a closed shard's last record is past retention: then
// it is no longer listed.
func (s *ShardInfo) expired(now time.Time, retention time.Duration) bool {
	return s.Last != nil && !now.Before(s.Closed.Add(retention))
}
