package stream

import (
	"context"
	"math/rand/v2"
	"sync/atomic"
	"time"
)

// load counts what a shard takes in between two looks at it: records in the
// upper 28 bits, bytes in the lower 36, so that an entry costs one addition. It
// holds 64 GiB and 268 million records, far more than 10 seconds bring.
type load struct{ atomic.Uint64 }

const loadBytes = 36

func (l *load) add(records, bytes int) { l.Add(uint64(records)<<loadBytes + uint64(bytes)) }

// take returns what was counted, and counts anew.
func (l *load) take() (records, bytes uint64) {
	n := l.Swap(0)
	return n >> loadBytes, n & (1<<loadBytes - 1)
}

// meter counts the entries of a put that are on disk, for streams that scale
// by it. Bytes are those of the log, which has 6 more for each record.
func (v *view) meter(sc *putScratch) {
	if !v.metered {
		return
	}
	for i := range sc.entries {
		if e := &sc.entries[i]; e.Err == nil {
			v.shards[sc.places[i]].limits.load.add(e.Count, e.Size)
		}
	}
}

// spread gives the records of one call to a stream that places them itself
// (AWS's distribution strategy AUTO) hash keys of its shards in turn, whatever
// their own are. Other streams' records it leaves alone.
func (v *view) spread(recs []PutRecord) {
	if v.turn == nil {
		return
	}
	n := uint32(len(v.starts))
	next := v.turn.Add(uint32(len(recs))) - uint32(len(recs))
	for i := range recs {
		recs[i].Hash = v.starts[(next+uint32(i))%n]
	}
}

// newTurn starts somewhere: views come and go, and the first shard must not
// have the most records of all.
func newTurn() *atomic.Uint32 {
	turn := new(atomic.Uint32)
	turn.Store(rand.Uint32())
	return turn
}

// observe looks at the load of all ON_DEMAND streams and begins and completes
// the splits that it asks for. scalers holds what was seen before, by the
// streams' ids.
func (s *Streams) observe(ctx context.Context, now time.Time, scalers map[string]*autoscaler) {
	seen := make(map[string]bool)
	for ref, e := range *s.entries.Load() {
		v, err := s.load(e)
		if err != nil || v.info.Mode != OnDemand {
			continue
		}
		seen[v.doc.ID] = true
		a := scalers[v.doc.ID]
		if a == nil {
			a = new(autoscaler)
			scalers[v.doc.ID] = a
		}
		loads := make([]shardLoad, len(v.routes))
		for i, place := range v.routes {
			sh := &v.shards[place]
			l := shardLoad{index: sh.Index, width: sh.End.sub(sh.Start)}
			l.records, l.bytes = sh.limits.load.take()
			loads[i] = l
		}
		split := a.step(now, loads, max(onDemandMax, v.info.WarmMiBps))
		if len(split) == 0 || v.info.Status != Active {
			continue // a stream that is being changed will be looked at again
		}
		if err := s.splitAll(ctx, v, split); err != nil && ctx.Err() == nil {
			s.logger.Warn("on-demand stream needs more shards", "stream", ref.Name, "account", ref.Account, "err", err)
		}
	}
	for id := range scalers {
		if !seen[id] {
			delete(scalers, id)
		}
	}
}

// splitAll cuts open shards in half, all at one instant. When the stream has
// changed since the view it does nothing.
func (s *Streams) splitAll(ctx context.Context, v *view, indexes []uint32) error {
	if err := s.roomFor(v.info.Owner, len(indexes), false); err != nil {
		return err
	}
	wanted := make(map[uint32]bool, len(indexes))
	for _, i := range indexes {
		wanted[i] = true
	}
	open, ranges := v.open()
	starts := make([]Hash, 0, len(open)+len(indexes))
	for i, sh := range open {
		starts = append(starts, sh.Start)
		if wanted[sh.Index] {
			starts = append(starts, sh.Start.add(ranges[i].end.sub(ranges[i].start).share(2)))
		}
	}
	conflicted, err := s.beginReshard(ctx, v, v.doc, open, reshape(ranges, starts))
	if err != nil || conflicted {
		return err
	}
	s.logger.Info("on-demand stream grows", "stream", v.info.Name, "account", v.info.Account, "open shards", len(starts))
	return s.finish(ctx, v.info.Ref)
}
