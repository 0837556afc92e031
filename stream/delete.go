package stream

import (
	"context"
	"fmt"

	"github.com/thalweg/thalweg/catalog"
	"github.com/thalweg/thalweg/fault"
	"github.com/thalweg/thalweg/shardlog"
)

// Delete removes a stream with all its records; it is gone on return. A
// stream with registered consumers is InUse unless enforce is set: then they
// go with it. Faults: NotFound, InUse.
func (s *Streams) Delete(ctx context.Context, ref Ref, enforce bool) error {
	for {
		_, v, err := s.open(ref)
		if err != nil {
			return err
		}
		if v.info.Status != Active {
			return notActive(ref, v.info.Status)
		}
		if !enforce {
			for range v.seen.Load().Range(kindConsumer, v.doc.ID+"/") {
				return fault.New(fault.InUse, "Stream %s under account %s has enhanced fan-out consumers registered. "+
					"Deregister them, or set EnforceConsumerDeletion.", ref.Name, ref.Account)
			}
		}
		doc := v.doc
		doc.Status = Deleting
		conflicted, err := s.propose(ctx, put(streamKey(ref), v.version, doc))
		if err != nil {
			return err
		}
		if !conflicted {
			return s.finish(ctx, ref)
		}
	}
}

// finishDelete drops the log's shards of a DELETING stream, and then every
// document that is about it. The stream's own goes last: as long as it is
// there somebody will try again.
func (s *Streams) finishDelete(ctx context.Context, v *view) error {
	var numbers []shardlog.Shard
	var parts []catalog.Change
	state := s.catalog.View()
	for d := range state.Range(kindShard, v.doc.ID+"/") {
		sd, err := decode[shardDoc](d)
		if err != nil {
			return err
		}
		numbers = append(numbers, sd.Log)
		parts = append(parts, catalog.Change{Key: d.Key, If: catalog.Any, Delete: true})
	}
	for _, kind := range []string{kindConsumer, kindCheckpoint} {
		for d := range state.Range(kind, v.doc.ID+"/") {
			parts = append(parts, catalog.Change{Key: d.Key, If: catalog.Any, Delete: true})
		}
	}
	if err := s.log.Drop(ctx, numbers); err != nil {
		return fmt.Errorf("drop shards of stream %s: %w", v.info.Name, err)
	}
	parts = append(parts, catalog.Change{Key: streamKey(v.info.Ref), If: v.version, Delete: true})
	for len(parts) > 0 {
		n := min(len(parts), catalog.MaxChanges/2)
		if _, err := s.propose(ctx, parts[:n]...); err != nil {
			return err
		}
		parts = parts[n:]
	}
	return nil
}
