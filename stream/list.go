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
// the stream's creation when that is later. At a Time before the horizon the
// shards are those at the horizon. As AWS has it, a shard is open at the
// millisecond in which it was opened as well as at that in which it was closed:
// so no record of that millisecond is missed.
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
	AsOf    Moment // zero: now
}

// Moment is a state of a stream's shards that a list of several pages keeps to,
// whatever happens to the stream meanwhile.
type Moment struct {
	Time    int64  // Unix milliseconds
	Version uint64 // of the stream
	Shards  uint32 // those from this index on came later
}

// Shards returns the shards that a filter takes, by index, as of one moment,
// which it tells: a closed shard is always there together with its children.
// AtLatest, AtTrimHorizon and any Time but those of reshards take shards that
// cover the hash space exactly once. Closed shards past retention are never
// there. The result is read-only. Faults: NotFound, InUse (the stream is
// neither ACTIVE nor UPDATING), Invalid.
func (s *Streams) Shards(ref Ref, f Filter) ([]ShardInfo, Moment, error) {
	_, v, err := s.open(ref)
	if err != nil {
		return nil, f.AsOf, err
	}
	if v.info.Status != Active && v.info.Status != Updating {
		return nil, f.AsOf, notReady(ref, v.info.Status)
	}
	at := f.AsOf
	if at == (Moment{}) {
		at = v.moment(time.Now())
	}
	take, err := f.taker(v, at)
	if err != nil {
		return nil, at, err
	}
	now := time.UnixMilli(at.Time)
	var found []ShardInfo
	for i := range v.info.Shards {
		sh := v.info.Shards[i]
		if sh.Index >= at.Shards {
			break
		}
		if sh.doc > at.Version { // closed since
			sh.Last, sh.Closed = nil, time.Time{}
		}
		if !sh.expired(now, v.info.Retention) && take(&sh) {
			found = append(found, sh)
		}
	}
	return found, at, nil
}

func (v *view) moment(now time.Time) Moment {
	m := Moment{Time: now.UnixMilli(), Version: v.version}
	if n := len(v.shards); n > 0 {
		m.Shards = v.shards[n-1].Index + 1
	}
	return m
}

// taker returns whether f takes a shard as it was at a moment.
func (f *Filter) taker(v *view, at Moment) (func(*ShardInfo) bool, error) {
	horizon, young := time.UnixMilli(at.Time).Add(-v.info.Retention), false
	if horizon.Before(v.info.Created) {
		horizon, young = v.info.Created, true
	}
	t := f.Time.Truncate(time.Millisecond)
	switch kind := f.Type; {
	case kind == AllShards, kind == FromTrimHorizon:
		return func(*ShardInfo) bool { return true }, nil
	case kind == AfterShardID:
		index, ok := ParseShardID(f.ShardID)
		if !ok {
			return nil, noShard(v.info.Ref, f.ShardID)
		}
		return func(s *ShardInfo) bool { return s.Index > index }, nil
	case kind == AtLatest:
		return func(s *ShardInfo) bool { return s.Last == nil }, nil
	case kind == AtTrimHorizon && young, kind == AtTimestamp && young && !t.After(horizon):
		return func(s *ShardInfo) bool { return s.Parent == "" }, nil // some may have closed in the same millisecond
	case kind == AtTrimHorizon, kind == AtTimestamp && !t.After(horizon):
		return func(s *ShardInfo) bool { return !s.Opened.After(horizon) }, nil // those closed by then have expired
	case kind == AtTimestamp:
		return func(s *ShardInfo) bool { return !s.Opened.After(t) && (s.Last == nil || !s.Closed.Before(t)) }, nil
	case kind == FromTimestamp:
		return func(s *ShardInfo) bool { return s.Last == nil || !s.Closed.Before(t) }, nil
	}
	return nil, fault.New(fault.Invalid, "ShardFilter type %s is not known.", f.Type)
}
