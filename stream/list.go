package stream

import (
	"time"

	"github.com/thalweg/thalweg/fault"
)

// Describe returns what there is to know about a stream. Faults: NotFound.
func (s *Streams) Describe(ref Ref) (*Info, error) {
	_, v, err := s.open(ref)
	if err != nil {
		return nil, err
	}
	return v.current(time.Now()), nil
}

// current is the view's Info without shards that have expired since.
func (v *view) current(now time.Time) *Info {
	if now.UnixNano() < v.oldest {
		return &v.info
	}
	info := v.info
	info.Shards = v.visible(now)
	return &info
}

// List returns an owner's streams in name order: at most limit of those after
// a name, and whether there are more.
func (s *Streams) List(owner Owner, after string, limit int) (infos []*Info, more bool) {
	now := time.Now()
	prefix := owner.prefix()
	for d := range s.catalog.View().RangeAfter(kindStream, prefix, prefix+after) {
		if len(infos) == limit {
			return infos, true
		}
		// A stream that was deleted since View is left out, like one that was
		// deleted before it.
		if _, v, err := s.open(Ref{owner, d.Key.Name[len(prefix):]}); err == nil {
			infos = append(infos, v.current(now))
		}
	}
	return infos, false
}

// FilterType chooses among a stream's shards, in AWS's words.
type FilterType string

// The filters. The horizon is the age at which retention takes records, or
// the stream's creation when that is later.
const (
	AllShards       FilterType = ""
	AfterShardID    FilterType = "AFTER_SHARD_ID"    // those after ShardID
	AtTrimHorizon   FilterType = "AT_TRIM_HORIZON"   // those that were open at the horizon
	FromTrimHorizon FilterType = "FROM_TRIM_HORIZON" // those that were open at the horizon or later
	AtLatest        FilterType = "AT_LATEST"         // those that are open
	AtTimestamp     FilterType = "AT_TIMESTAMP"      // those that were open at Time
	FromTimestamp   FilterType = "FROM_TIMESTAMP"    // those that were open at Time or later
)

// Filter chooses among a stream's shards. The zero Filter takes all.
type Filter struct {
	Type    FilterType
	ShardID string
	Time    time.Time
}

// Shards returns the shards that a filter takes, by index, as of one instant:
// a closed shard is always there together with its children. Every filter
// "at" an instant takes shards that cover the hash space exactly once. Closed
// shards past retention are never there. The result is read-only. Faults:
// NotFound, Invalid.
func (s *Streams) Shards(ref Ref, f Filter) ([]ShardInfo, error) {
	_, v, err := s.open(ref)
	if err != nil {
		return nil, err
	}
	now := time.Now()
	all := v.visible(now)
	horizon := v.info.Created
	if t := now.Add(-v.info.Retention); t.After(horizon) {
		horizon = t
	}
	at := f.Time.Truncate(time.Millisecond)
	if at.Before(horizon) {
		at = horizon
	}
	// A shard is open from Opened to right before Closed.
	var take func(*ShardInfo) bool
	openAt := func(t time.Time) func(*ShardInfo) bool {
		return func(s *ShardInfo) bool { return !s.Opened.After(t) && (s.Last == nil || s.Closed.After(t)) }
	}
	switch f.Type {
	case AllShards, FromTrimHorizon:
		return all, nil
	case AfterShardID:
		index, ok := ParseShardID(f.ShardID)
		if !ok {
			return nil, noShard(ref, f.ShardID)
		}
		take = func(s *ShardInfo) bool { return s.Index > index }
	case AtTrimHorizon:
		take = openAt(horizon)
	case AtLatest:
		take = func(s *ShardInfo) bool { return s.Last == nil }
	case AtTimestamp:
		take = openAt(at)
	case FromTimestamp:
		take = func(s *ShardInfo) bool { return s.Last == nil || s.Closed.After(at) }
	default:
		return nil, fault.New(fault.Invalid, "ShardFilter type %s is not known.", f.Type)
	}
	var found []ShardInfo
	for i := range all {
		if take(&all[i]) {
			found = append(found, all[i])
		}
	}
	return found, nil
}
