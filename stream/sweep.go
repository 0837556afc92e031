package stream

import (
	"context"
	"fmt"
	"time"

	"github.com/thalweg/thalweg/catalog"
	"github.com/thalweg/thalweg/shardlog"
)

// sweep removes closed shards that are past retention, which nobody has seen
// since they were, and returns how long until the next one is. The log drops
// them first: once their documents are gone nobody knows their numbers.
func (s *Streams) sweep(ctx context.Context, v *view) (next time.Duration, err error) {
	now := time.Now()
	if now.UnixNano() < v.oldest {
		return max(0, time.Unix(0, v.oldest).Sub(now)), nil
	}
	var numbers []shardlog.Shard
	// The stream's document is written unchanged: its new version is what
	// tells every view that shards have gone.
	changes := []catalog.Change{put(streamKey(v.info.Ref), v.version, v.doc)}
	for _, sh := range v.shards {
		if sh.expired(now, v.info.Retention) {
			numbers = append(numbers, sh.log)
			changes = append(changes, catalog.Change{Key: shardKey(v.doc.ID, sh.Index), If: sh.doc, Delete: true})
		}
	}
	if err := s.log.Drop(ctx, numbers); err != nil {
		return 0, fmt.Errorf("drop expired shards of stream %s: %w", v.info.Name, err)
	}
	if _, err := s.propose(ctx, changes...); err != nil {
		return 0, err
	}
	s.nudge() // for those that expire next
	return 0, nil
}
