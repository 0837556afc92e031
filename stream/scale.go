package stream

import (
	"context"
	"slices"

	"github.com/thalweg/thalweg/fault"
)

// maxScaled is the most shards that Scale makes of a stream, AWS's default.
const maxScaled = 10000

// Scaling is what a call of Scale was about: open shards before and after.
type Scaling struct{ Current, Target int }

// Scale splits and merges a stream's shards until there are target open ones
// of about the same size: at most double and at least half of what there are,
// 10 times in 24 hours. All splits and merges happen at one instant, so there
// is no state in between; short-lived shards are in the stream's lineage all
// the same, without records. The stream is ACTIVE again on return. Faults:
// NotFound, InUse (not ACTIVE), Constraint (the stream is OnDemand), Limit.
func (s *Streams) Scale(ctx context.Context, ref Ref, target int) (Scaling, error) {
	for {
		_, v, err := s.open(ref)
		if err != nil {
			return Scaling{}, err
		}
		if v.info.Mode == OnDemand {
			return Scaling{}, isOnDemand(ref)
		}
		if v.info.Status != Active {
			return Scaling{}, notActive(ref, v.info.Status)
		}
		was := Scaling{len(v.routes), target}
		if err := was.check(); err != nil {
			return Scaling{}, err
		}
		if more := was.Target - was.Current; more > 0 {
			if err := s.roomFor(ref.Owner, more, false); err != nil {
				return Scaling{}, err
			}
		}
		doc := v.doc
		var ok bool
		if doc.Scaled, ok = used(doc.Scaled, nowMilli(), dailyScalings); !ok {
			return Scaling{}, usedUp(ref, "UpdateShardCount", dailyScalings)
		}
		conflicted, err := s.beginScale(ctx, v, doc, target)
		if err != nil {
			return Scaling{}, err
		}
		if !conflicted {
			return was, s.finish(ctx, ref)
		}
	}
}

// check holds the counts against AWS's bounds, in the words that a contributor
// to kinesalite recorded.
func (c Scaling) check() error {
	const counts = "Current open shard count: %d, Target shard count: %d"
	switch {
	case c.Target < 1:
		return fault.New(fault.Invalid, "TargetShardCount must be at least 1.")
	case c.Target > maxScaled:
		return fault.New(fault.Limit, "Target shard count or number of open shards cannot be greater than %d. "+counts, maxScaled, c.Current, c.Target)
	case c.Target > 2*c.Current:
		return fault.New(fault.Limit, "UpdateShardCount cannot scale up over double your current open shard count. "+counts, c.Current, c.Target)
	case 2*c.Target < c.Current:
		return fault.New(fault.Limit, "UpdateShardCount cannot scale down below half your current open shard count. "+counts, c.Current, c.Target)
	}
	return nil
}

// beginScale begins the reshard to n open shards, or, when they are as they
// should be already, changes the document alone.
func (s *Streams) beginScale(ctx context.Context, v *view, doc streamDoc, n int) (conflicted bool, err error) {
	open, ranges := v.open()
	births := reshape(ranges, uniform(ranges, n))
	if len(births) == 0 {
		return s.propose(ctx, put(streamKey(v.info.Ref), v.version, doc))
	}
	return s.beginReshard(ctx, v, doc, open, births)
}

// open returns the open shards in order of their ranges.
func (v *view) open() (shards []*ShardInfo, ranges []hashRange) {
	for _, place := range v.routes {
		s := v.shards[place].ShardInfo
		shards = append(shards, s)
		ranges = append(ranges, hashRange{s.Start, s.End})
	}
	return slices.Clip(shards), slices.Clip(ranges)
}
