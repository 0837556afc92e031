package stream

import (
	"context"
	"fmt"

	"github.com/thalweg/thalweg/catalog"
	"github.com/thalweg/thalweg/fault"
	"github.com/thalweg/thalweg/shardlog"
)

// Split cuts an open shard in two: the child of the lower index holds the hash
// keys below newStart, the other the rest. The stream is ACTIVE again on
// return. Faults: NotFound, InUse, Invalid, Constraint (the stream is
// OnDemand), Limit.
func (s *Streams) Split(ctx context.Context, ref Ref, shard string, newStart Hash) error {
	index, ok := ParseShardID(shard)
	if !ok {
		return noShard(ref, shard)
	}
	return s.reshard(ctx, ref, func(v *view) (parents []*ShardInfo, children []hashRange, err error) {
		p, err := v.splittable(index)
		if err != nil {
			return nil, nil, err
		}
		if newStart.Compare(p.Start.next()) <= 0 || newStart.Compare(p.End) >= 0 {
			return nil, nil, fault.New(fault.Invalid, "NewStartingHashKey %s used in SplitShard() on shard %s in stream %s under account %s "+
				"is not both greater than one plus the shard's StartingHashKey %s and less than the shard's EndingHashKey %s.",
				newStart, p.ID, ref.Name, ref.Account, p.Start, p.End)
		}
		return []*ShardInfo{p}, []hashRange{{p.Start, newStart.prev()}, {newStart, p.End}}, s.roomFor(ref.Owner, 1, false)
	})
}

// Merge makes one shard of two open ones, of which adjacent holds the hash
// keys right after those of shard. The stream is ACTIVE again on return.
// Faults: as Split's.
func (s *Streams) Merge(ctx context.Context, ref Ref, shard, adjacent string) error {
	lower, ok := ParseShardID(shard)
	if !ok {
		return noShard(ref, shard)
	}
	upper, ok := ParseShardID(adjacent)
	if !ok {
		return noShard(ref, adjacent)
	}
	return s.reshard(ctx, ref, func(v *view) (parents []*ShardInfo, children []hashRange, err error) {
		p, err := v.splittable(lower)
		if err != nil {
			return nil, nil, err
		}
		q, err := v.splittable(upper)
		if err != nil {
			return nil, nil, err
		}
		if p.End == MaxHash || p.End.next() != q.Start {
			return nil, nil, fault.New(fault.Invalid, "Shards %s and %s in stream %s under account %s "+
				"are not an adjacent pair of shards eligible for merging", p.ID, q.ID, ref.Name, ref.Account)
		}
		return []*ShardInfo{p, q}, []hashRange{{p.Start, q.End}}, nil
	})
}

type hashRange struct{ start, end Hash }

// splittable returns an open shard. The words for one that is closed are those
// that moto checked against AWS.
func (v *view) splittable(index uint32) (*ShardInfo, error) {
	for i := range v.shards {
		s := v.shards[i].ShardInfo
		if s.Index != index {
			continue
		}
		if s.Last != nil {
			return nil, fault.New(fault.Invalid, "Shard %s in stream %s under account %s has already been merged or split, "+
				"and thus is not eligible for merging or splitting.", s.ID, v.info.Name, v.info.Account)
		}
		return s, nil
	}
	return nil, noShard(v.info.Ref, ShardID(index))
}

// reshard begins what plan decides and completes it.
func (s *Streams) reshard(ctx context.Context, ref Ref, plan func(*view) ([]*ShardInfo, []hashRange, error)) error {
	for {
		_, v, err := s.open(ref)
		if err != nil {
			return err
		}
		if v.info.Mode == OnDemand {
			return fault.New(fault.Constraint, "Request is invalid. Stream %s under account %s is in On-Demand mode.", ref.Name, ref.Account)
		}
		if v.info.Status != Active {
			return notActive(ref, v.info.Status)
		}
		parents, children, err := plan(v)
		if err != nil {
			return err
		}
		conflicted, err := s.beginReshard(ctx, v, parents, children)
		if err != nil {
			return err
		}
		if !conflicted {
			return s.finish(ctx, ref)
		}
	}
}

// beginReshard states the plan in the catalog: the stream is UPDATING and its
// children have their ranges, numbers and creation times, but nobody sees them.
func (s *Streams) beginReshard(ctx context.Context, v *view, parents []*ShardInfo, children []hashRange) (conflicted bool, err error) {
	first, counter, err := s.reserve(v.seen.Load(), len(children))
	if err != nil {
		return false, err
	}
	now := nowMilli()
	created := now / 1000
	plan := new(reshardDoc)
	for _, p := range parents {
		plan.Parents = append(plan.Parents, p.Index)
		// A child's sequence numbers must be above its parents', and the
		// creation time is what they are compared by first.
		created = max(created, p.First.Created+1)
	}
	doc := v.doc
	doc.Status, doc.Reshard = Updating, plan
	changes := []catalog.Change{{}, counter}
	for i, c := range children {
		index := doc.NextShard
		doc.NextShard++
		plan.Children = append(plan.Children, index)
		changes = append(changes, put(shardKey(doc.ID, index), catalog.Absent, shardDoc{
			Log: first + shardlog.Shard(i), Reserved: true, Parents: plan.Parents,
			Start: [2]uint64{c.start.Hi, c.start.Lo}, End: [2]uint64{c.end.Hi, c.end.Lo}, Created: created,
		}))
	}
	changes[0] = put(streamKey(v.info.Ref), v.version, doc)
	return s.propose(ctx, changes...)
}

// finishReshard makes the children in the log, closes the parents there, and
// states both in the catalog in one command: that is the instant at which the
// reshard happens for everybody.
func (s *Streams) finishReshard(ctx context.Context, v *view) error {
	plan := v.doc.Reshard
	parents := make([]storedShard, len(plan.Parents))
	children := make([]storedShard, len(plan.Children))
	var toSeal, toMake []shardlog.Shard
	var err error
	for i, index := range plan.Parents {
		if parents[i], err = v.stored(index); err != nil {
			return err
		}
		toSeal = append(toSeal, parents[i].Log)
	}
	for i, index := range plan.Children {
		if children[i], err = v.stored(index); err != nil {
			return err
		}
		toMake = append(toMake, children[i].Log)
	}
	if err := s.makeShards(ctx, v, toMake); err != nil {
		return err
	}
	ends, err := s.log.Seal(ctx, toSeal)
	if err != nil {
		return fmt.Errorf("seal shards of stream %s: %w", v.info.Name, err)
	}
	now := nowMilli()
	doc := v.doc
	doc.Status, doc.Reshard = Active, nil
	changes := []catalog.Change{put(streamKey(v.info.Ref), v.version, doc)}
	for i := range parents {
		p := &parents[i]
		p.Closed, p.Seal = max(now, p.Opened), ends[i]
		changes = append(changes, put(shardKey(doc.ID, p.index), p.version, p.shardDoc))
	}
	for i := range children {
		c := &children[i]
		c.Reserved, c.Opened = false, now
		changes = append(changes, put(shardKey(doc.ID, c.index), c.version, c.shardDoc))
	}
	if _, err = s.propose(ctx, changes...); err == nil {
		s.nudge() // there is a closed shard to expire
	}
	return err
}
