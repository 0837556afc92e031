package stream

import (
	"context"
	"fmt"
	"slices"
)

// Declaration says what a stream is to be like, in a file that outlives it.
type Declaration struct {
	Ref
	CreateSpec
	Metrics   []string // of its shards, to be exported: see ShardMetrics, or ALL
	Consumers []string // to be registered
	Limits    Limits
}

// Check returns the fault that Create would have for the shape of what is
// asked for, whatever streams there are.
func (spec *CreateSpec) Check(ref Ref) error {
	_, _, err := spec.document(ref)
	return err
}

// Declare makes a stream as declared, or brings the one that is there nearer
// to it as far as that adds and takes nothing away: longer retention, larger
// records, tags and consumers that are missing, metrics, and the limits. It
// returns what still differs, in words: shards and mode are their owner's to
// change, and what shrinks would lose something. Faults: as Create's and those
// of each change.
func (s *Streams) Declare(ctx context.Context, d Declaration) (differs []string, err error) {
	_, v, err := s.open(d.Ref)
	if err == nil && v.info.Status != Active { // what a crash has left undone
		if err = s.finish(ctx, d.Ref); err == nil {
			_, _, err = s.open(d.Ref)
		}
	}
	if isGone(err) {
		err = s.Create(ctx, d.Ref, d.CreateSpec)
	}
	if err != nil {
		return nil, err
	}
	info, err := s.Describe(d.Ref)
	if err != nil {
		return nil, err
	}
	if differs, err = s.enlarge(ctx, &d, info); err != nil {
		return nil, err
	}
	if info.Limits != d.Limits {
		if err := s.SetLimits(ctx, d.Ref, d.Limits); err != nil {
			return nil, err
		}
	}
	if len(d.Metrics) > 0 {
		if _, _, err := s.Monitor(ctx, d.Ref, d.Metrics, true); err != nil {
			return nil, err
		}
	}
	for _, name := range d.Consumers {
		_, err := s.Consumer(d.Ref, name, 0)
		if isGone(err) {
			_, err = s.Register(ctx, d.Ref, name, nil)
		}
		if err != nil {
			return nil, err
		}
	}
	return differs, nil
}

// enlarge is for what can only grow.
func (s *Streams) enlarge(ctx context.Context, d *Declaration, info *Info) (differs []string, err error) {
	tell := func(what string, declared, is any) {
		differs = append(differs, fmt.Sprintf("%s: declared %v, is %v", what, declared, is))
	}
	mode := d.Mode
	if mode == "" {
		mode = Provisioned
	}
	switch {
	case info.Mode != mode:
		tell("mode", mode, info.Mode)
	case mode == Provisioned && info.OpenShards != d.Shards:
		tell("shards", d.Shards, info.OpenShards)
	}
	is := int(info.Retention.Hours())
	switch {
	case d.RetentionHours > is:
		err = s.Lengthen(ctx, d.Ref, d.RetentionHours)
	case d.RetentionHours != 0 && d.RetentionHours < is:
		tell("retention_hours", d.RetentionHours, is)
	}
	if err != nil {
		return nil, err
	}
	switch {
	case d.MaxRecordKiB > info.MaxRecordKiB:
		err = s.SetMaxRecord(ctx, d.Ref, d.MaxRecordKiB)
	case d.MaxRecordKiB != 0 && d.MaxRecordKiB < info.MaxRecordKiB:
		tell("max_record_kib", d.MaxRecordKiB, info.MaxRecordKiB)
	}
	if err != nil {
		return nil, err
	}
	missing := make(map[string]string)
	for k, want := range d.Tags {
		if is, ok := info.Tags[k]; !ok {
			missing[k] = want
		} else if is != want {
			tell("tag "+k, want, is)
		}
	}
	if len(missing) > 0 {
		err = s.Tag(ctx, d.Ref, missing, nil)
	}
	slices.Sort(differs)
	return differs, err
}
