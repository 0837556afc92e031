package stream

import (
	"fmt"
	"time"

	"github.com/go-json-experiment/json"

	"github.com/thalweg/thalweg/catalog"
	"github.com/thalweg/thalweg/flow"
	"github.com/thalweg/thalweg/shardlog"
)

// The catalog documents of this room. A stream's document changes with each
// change of its shards, so its version stands for all of them.
const (
	kindStream     = "stream"     // account/region/name: streamDoc
	kindShard      = "shard"      // stream id/index: shardDoc
	kindCounter    = "counter"    // "shards": counterDoc
	kindSecret     = "secret"     // "iterator": 32 random bytes
	kindConsumer   = "consumer"   // stream id/...: registered consumers
	kindCheckpoint = "checkpoint" // stream id/consumer/index: checkpointDoc
	kindAccount    = "account"    // account/region: accountDoc
)

var counterKey = catalog.Key{Kind: kindCounter, Name: "shards"}

type streamDoc struct {
	ID        string            `json:"id"`
	Status    Status            `json:"status"`
	Mode      Mode              `json:"mode"`
	Created   int64             `json:"created"` // Unix milliseconds
	Hours     int               `json:"hours"`   // of retention
	MaxKiB    int               `json:"maxKiB"`
	WarmMiBps int               `json:"warmMiBps,omitzero"`
	Tags      map[string]string `json:"tags,omitempty"`
	Metrics   []string          `json:"metrics,omitempty"` // of its shards, that are exported
	Limits    Limits            `json:"limits,omitempty"`
	NextShard uint32            `json:"nextShard"`          // the index of the next shard
	Reshard   *reshardDoc       `json:"reshard,omitempty"`  // what an UPDATING stream is about
	Retain    int               `json:"retain,omitzero"`    // likewise: the hours to come
	Auto      bool              `json:"auto,omitzero"`      // records are placed without regard to their keys
	Switched  []int64           `json:"switched,omitempty"` // Unix milliseconds of the mode switches that still count
	Scaled    []int64           `json:"scaled,omitempty"`   // likewise of the calls of Scale
}

// reshardDoc is a reshard between its Begin and its Finish: shards by index.
type reshardDoc struct {
	Parents  []uint32 `json:"parents"`
	Children []uint32 `json:"children"`
}

type shardDoc struct {
	Log      shardlog.Shard `json:"log"`
	Reserved bool           `json:"reserved,omitzero"` // not yet open, and not to be seen
	Parents  []uint32       `json:"parents,omitempty"`
	Start    [2]uint64      `json:"start"` // high, low
	End      [2]uint64      `json:"end"`
	Created  int64          `json:"created"`         // Unix seconds, as in sequence numbers
	Opened   int64          `json:"opened"`          // Unix milliseconds
	Closed   int64          `json:"closed,omitzero"` // Unix milliseconds; 0 while open
	Seal     flow.Pos       `json:"seal,omitzero"`   // where it ends, once closed
}

type counterDoc struct {
	Next shardlog.Shard `json:"next"`
}

type checkpointDoc struct {
	Next flow.Pos `json:"next"` // read on from here
}

func streamKey(r Ref) catalog.Key { return catalog.Key{Kind: kindStream, Name: r.docName()} }

// shardKey pads the index so that names sort as indexes do.
func shardKey(id string, index uint32) catalog.Key {
	return catalog.Key{Kind: kindShard, Name: fmt.Sprintf("%s/%010d", id, index)}
}

// put makes the change that writes v as JSON.
func put(k catalog.Key, version uint64, v any) catalog.Change {
	b, err := json.Marshal(v, json.Deterministic(true))
	if err != nil {
		panic(fmt.Sprintf("encode %s: %v", k, err)) // plain structs of numbers and valid strings always encode
	}
	return catalog.Change{Key: k, If: version, Value: b}
}

func decode[T any](d catalog.Doc) (v T, err error) {
	if err = json.Unmarshal(d.Value, &v); err != nil {
		err = fmt.Errorf("decode catalog document %s: %w", d.Key, err)
	}
	return v, err
}

// info turns a shard's document into what is told about the shard.
func (d *shardDoc) info(index uint32, version uint64) ShardInfo {
	s := ShardInfo{
		ID:     ShardID(index),
		Index:  index,
		Start:  Hash{d.Start[0], d.Start[1]},
		End:    Hash{d.End[0], d.End[1]},
		First:  Sequence{Created: d.Created, Shard: index, Secs: d.Created, Version: sequenceVersion},
		Opened: time.UnixMilli(d.Opened).UTC(),
		log:    d.Log,
		doc:    version,
	}
	if len(d.Parents) > 0 {
		s.Parent = ShardID(d.Parents[0])
	}
	if len(d.Parents) > 1 {
		s.AdjacentParent = ShardID(d.Parents[1])
	}
	if d.Closed != 0 {
		last := s.Sequence(d.Seal, d.Closed)
		s.Last, s.Closed = &last, time.UnixMilli(d.Closed).UTC()
	}
	return s
}
