package stream

import (
	"context"
	"maps"

	"github.com/thalweg/thalweg/fault"
)

// Tag sets and removes tags of a stream: at most 50 in the end. Faults:
// NotFound, InUse (not ACTIVE), Invalid.
func (s *Streams) Tag(ctx context.Context, ref Ref, set map[string]string, remove []string) error {
	return s.change(ctx, ref, func(d *streamDoc) error {
		tags := maps.Clone(d.Tags)
		if tags == nil {
			tags = make(map[string]string)
		}
		for _, k := range remove {
			delete(tags, k)
		}
		maps.Copy(tags, set)
		d.Tags = tags
		return roomForTags(ref, "", tags)
	})
}

// SetMaxRecord sets how large a record may be, in KiB of partition key and
// data: 1024 to 10240. Faults: as Tag's.
func (s *Streams) SetMaxRecord(ctx context.Context, ref Ref, kib int) error {
	return s.change(ctx, ref, func(d *streamDoc) error {
		d.MaxKiB = kib
		return checkMaxRecord(kib)
	})
}

func checkMaxRecord(kib int) error {
	if kib < defaultMaxKiB || kib > largestMaxKiB {
		return fault.New(fault.Invalid, "MaxRecordSizeInKiB must be from %d to %d.", defaultMaxKiB, largestMaxKiB)
	}
	return nil
}

// change is for what concerns the catalog alone and is done in one step.
func (s *Streams) change(ctx context.Context, ref Ref, edit func(*streamDoc) error) error {
	for {
		_, v, err := s.open(ref)
		if err != nil {
			return err
		}
		if v.info.Status != Active {
			return notActive(ref, v.info.Status)
		}
		doc := v.doc
		if err := edit(&doc); err != nil {
			return err
		}
		conflicted, err := s.propose(ctx, put(streamKey(ref), v.version, doc))
		if err != nil || !conflicted {
			return err
		}
	}
}
