package stream

import (
	"context"
	"fmt"
	"slices"

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
	return s.reshard(ctx, ref, func(v *view) (of []*ShardInfo, births []birth, err error) {
		p, err := v.splittable(index)
		if err != nil {
			return nil, nil, err
		}
		if newStart.Compare(p.Start.next()) <= 0 || newStart.Compare(p.End) >= 0 {
			return nil, nil, fault.New(fault.Invalid, "NewStartingHashKey %s used in SplitShard() on shard %s in stream %s under account %s "+
				"is not both greater than one plus the shard's StartingHashKey %s and less than the shard's EndingHashKey %s.",
				newStart, p.ID, ref.Name, ref.Account, p.Start, p.End)
		}
		return []*ShardInfo{p}, []birth{{hashRange{p.Start, newStart.prev()}, []int{0}}, {hashRange{newStart, p.End}, []int{0}}},
			s.roomFor(ref.Owner, 1, false)
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
	return s.reshard(ctx, ref, func(v *view) (of []*ShardInfo, births []birth, err error) {
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
		return []*ShardInfo{p, q}, []birth{{hashRange{p.Start, q.End}, []int{0, 1}}}, nil
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
func (s *Streams) reshard(ctx context.Context, ref Ref, plan func(*view) ([]*ShardInfo, []birth, error)) error {
	for {
		_, v, err := s.open(ref)
		if err != nil {
			return err
		}
		if v.info.Mode == OnDemand {
			return isOnDemand(ref)
		}
		if v.info.Status != Active {
			return notActive(ref, v.info.Status)
		}
		of, births, err := plan(v)
		if err != nil {
			return err
		}
		conflicted, err := s.beginReshard(ctx, v, v.doc, of, births)
		if err != nil {
			return err
		}
		if !conflicted {
			return s.finish(ctx, ref)
		}
	}
}

// beginReshard states the plan in the catalog: the stream is UPDATING and all
// shards to be born of some that are open have their ranges, numbers and
// creation times, but nobody sees them. doc is the stream's document with what
// else is to change.
func (s *Streams) beginReshard(ctx context.Context, v *view, doc streamDoc, of []*ShardInfo, births []birth) (conflicted bool, err error) {
	first, counter, err := s.reserve(v.seen.Load(), len(births))
	if err != nil {
		return false, err
	}
	now := nowMilli()
	plan := &reshardDoc{Children: make([]uint32, 0, len(births))}
	doc.Status, doc.Reshard = Updating, plan
	// Of all shards concerned: index, creation second, and whether a child is
	// known.
	index := make([]uint32, 0, len(of)+len(births))
	created := make([]int64, 0, len(of)+len(births))
	closes := make([]bool, len(of)+len(births))
	for _, p := range of {
		index, created = append(index, p.Index), append(created, p.First.Created)
	}
	changes := make([]catalog.Change, 2, len(births)+2)
	changes[1] = counter
	for i, c := range births {
		// A child's sequence numbers must be above its parents', and the
		// creation time is what they are compared by first.
		from := now / 1000
		parents := make([]uint32, len(c.parents))
		for j, p := range c.parents {
			parents[j] = index[p]
			from = max(from, created[p]+1)
			if !closes[p] {
				closes[p] = true
				plan.Parents = append(plan.Parents, index[p])
			}
		}
		index, created = append(index, doc.NextShard), append(created, from)
		plan.Children = append(plan.Children, doc.NextShard)
		changes = append(changes, put(shardKey(doc.ID, doc.NextShard), catalog.Absent, shardDoc{
			Log: first + shardlog.Shard(i), Reserved: true, Parents: parents,
			Start: [2]uint64{c.start.Hi, c.start.Lo}, End: [2]uint64{c.end.Hi, c.end.Lo}, Created: from,
		}))
		doc.NextShard++
	}
	changes[0] = put(streamKey(v.info.Ref), v.version, doc)
	return s.propose(ctx, changes...)
}

// finishReshard makes the children in the log, closes the parents there (among
// them the short-lived shards, children as well), and states both in the
// catalog in one command: that is the instant at which the reshard happens for
// everybody.
func (s *Streams) finishReshard(ctx context.Context, v *view) error {
	plan := v.doc.Reshard
	touched := make([]storedShard, 0, len(plan.Parents)+len(plan.Children))
	toSeal := make([]shardlog.Shard, 0, len(plan.Parents))
	toMake := make([]shardlog.Shard, 0, len(plan.Children))
	place := make(map[uint32]int, cap(touched))
	for _, index := range slices.Concat(plan.Children, plan.Parents) {
		if _, twice := place[index]; twice {
			continue
		}
		sd, err := v.stored(index)
		if err != nil {
			return err
		}
		place[index] = len(touched)
		touched = append(touched, sd)
	}
	for _, index := range plan.Children {
		toMake = append(toMake, touched[place[index]].Log)
	}
	for _, index := range plan.Parents {
		toSeal = append(toSeal, touched[place[index]].Log)
	}
	if err := s.makeShards(ctx, v, toMake); err != nil {
		return err
	}
	ends, err := s.log.Seal(ctx, toSeal)
	if err != nil {
		return fmt.Errorf("seal shards of stream %s: %w", v.info.Name, err)
	}
	now := nowMilli()
	for _, index := range plan.Children {
		c := &touched[place[index]]
		c.Reserved, c.Opened = false, now
	}
	for i, index := range plan.Parents {
		p := &touched[place[index]]
		p.Closed, p.Seal = max(now, p.Opened), ends[i]
	}
	doc := v.doc
	doc.Status, doc.Reshard = Active, nil
	changes := make([]catalog.Change, 0, len(touched)+1)
	changes = append(changes, put(streamKey(v.info.Ref), v.version, doc))
	for i := range touched {
		t := &touched[i]
		changes = append(changes, put(shardKey(doc.ID, t.index), t.version, t.shardDoc))
	}
	if _, err = s.propose(ctx, changes...); err == nil {
		s.nudge() // there is a closed shard to expire
	}
	return err
}
