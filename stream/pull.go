package stream

import (
	"context"
	"time"

	"github.com/thalweg/thalweg/flow"
	"github.com/thalweg/thalweg/shardlog"
)

// Position returns where in a shard a start is, as of now: TrimHorizon, Latest
// or AtTime. Faults: NotFound, Invalid.
func (s *Streams) Position(ctx context.Context, ref Ref, shard uint32, at Start) (flow.Pos, error) {
	_, v, err := s.open(ref)
	if err != nil {
		return 0, err
	}
	now := time.Now()
	sh, ok := v.shard(shard, now)
	if !ok {
		return 0, goneShard(ref, shard)
	}
	return s.resolve(ctx, v, sh, at, now)
}

// Pull fills p with a shard's records from a position on, for readers within
// the server that keep their place themselves. It is not limited and does not
// count as reading; of p it leaves Next empty, and at a shard's end Children
// says what became of it. id is the stream's Info.ID: a stream made anew under
// the name is another. Faults: NotFound.
func (s *Streams) Pull(ctx context.Context, ref Ref, id string, shard uint32, from flow.Pos, lim shardlog.Limit, p *ReadPage) error {
	v, sh, err := s.pulled(ref, id, shard)
	if err != nil {
		return err
	}
	if err := s.log.Read(ctx, sh.log, from, lim, &p.Page); err != nil {
		return s.readFault(v, sh, err)
	}
	p.Stream, p.Shard, p.Children = ref.Name, *sh.ShardInfo, nil
	if p.End && sh.Last != nil {
		p.Children = v.children(sh.ShardInfo)
	}
	return nil
}

// Await blocks until Pull has something to tell of a shard from a position on:
// records, or its end. Faults: NotFound.
func (s *Streams) Await(ctx context.Context, ref Ref, id string, shard uint32, from flow.Pos) error {
	v, sh, err := s.pulled(ref, id, shard)
	if err != nil {
		return err
	}
	if err := s.log.Wait(ctx, sh.log, from); err != nil {
		if ctx.Err() != nil {
			return ctx.Err()
		}
		return s.readFault(v, sh, err)
	}
	// A shard that is sealed while its stream is still UPDATING has nothing to
	// read and no children: help it get there.
	if v.info.Status == Updating && sh.Last == nil {
		e, err := s.find(ref)
		if err != nil {
			return err
		}
		return s.complete(ctx, e)
	}
	return nil
}

func (s *Streams) pulled(ref Ref, id string, index uint32) (*view, *shard, error) {
	_, v, err := s.open(ref)
	if err != nil {
		return nil, nil, err
	}
	if v.doc.ID != id {
		return nil, nil, noStream(ref)
	}
	sh, ok := v.shard(index, time.Now())
	if !ok {
		return nil, nil, goneShard(ref, index)
	}
	return v, sh, nil
}
