package stream

import (
	"context"
	"fmt"
	"time"

	"github.com/thalweg/thalweg/fault"
	"github.com/thalweg/thalweg/shardlog"
)

// Lengthen sets a stream's retention to at least what it is, in hours.
// Setting it to what it is does nothing, as AWS accepts that. Records that
// retention has taken do not come back. Faults: NotFound, InUse, Invalid.
func (s *Streams) Lengthen(ctx context.Context, ref Ref, hours int) error {
	return s.retain(ctx, ref, hours, func(now int) error {
		if hours < now {
			return fault.New(fault.Invalid, "Requested retention period (%d hours) for stream %s can not be shorter "+
				"than existing retention period (%d hours). Use DecreaseRetentionPeriod API.", hours, ref.Name, now)
		}
		return nil
	})
}

// Shorten sets a stream's retention to at most what it is, in hours: older
// records are gone at once. Faults: NotFound, InUse, Invalid.
func (s *Streams) Shorten(ctx context.Context, ref Ref, hours int) error {
	return s.retain(ctx, ref, hours, func(now int) error {
		if hours > now {
			return fault.New(fault.Invalid, "Requested retention period (%d hours) for stream %s can not be longer "+
				"than existing retention period (%d hours). Use IncreaseRetentionPeriod API.", hours, ref.Name, now)
		}
		return nil
	})
}

func checkHours(hours int) error {
	if hours < defaultHours {
		return fault.New(fault.Invalid, "Minimum allowed retention period is %d hours. "+
			"Requested retention period (%d hours) is too short.", defaultHours, hours)
	}
	if hours > maxHours {
		return fault.New(fault.Invalid, "Maximum allowed retention period is %d hours. "+
			"Requested retention period (%d hours) is too long.", maxHours, hours)
	}
	return nil
}

func (s *Streams) retain(ctx context.Context, ref Ref, hours int, allowed func(now int) error) error {
	if err := checkHours(hours); err != nil {
		return err
	}
	for {
		_, v, err := s.open(ref)
		if err != nil {
			return err
		}
		if v.info.Status != Active {
			return notActive(ref, v.info.Status)
		}
		if err := allowed(v.doc.Hours); err != nil {
			return err
		}
		if hours == v.doc.Hours {
			return nil
		}
		doc := v.doc
		doc.Status, doc.Retain = Updating, hours
		conflicted, err := s.propose(ctx, put(streamKey(ref), v.version, doc))
		if err != nil {
			return err
		}
		if !conflicted {
			return s.finish(ctx, ref)
		}
	}
}

// finishRetain tells the log about the retention to come, and then everybody.
func (s *Streams) finishRetain(ctx context.Context, v *view) error {
	doc := v.doc
	doc.Status, doc.Hours, doc.Retain = Active, v.doc.Retain, 0
	numbers := make([]shardlog.Shard, len(v.shards))
	for i := range v.shards {
		numbers[i] = v.shards[i].log
	}
	if err := s.log.Retain(ctx, numbers, hoursOf(doc.Hours)); err != nil {
		return fmt.Errorf("set retention of stream %s: %w", v.info.Name, err)
	}
	_, err := s.propose(ctx, put(streamKey(v.info.Ref), v.version, doc))
	s.nudge()
	return err
}

func hoursOf(n int) time.Duration { return time.Duration(n) * time.Hour }
