package mapping

import (
	"context"
	"fmt"
	"maps"
	"time"

	"github.com/thalweg/thalweg/catalog"
	"github.com/thalweg/thalweg/fault"
	"github.com/thalweg/thalweg/function/mapping/filter"
	"github.com/thalweg/thalweg/function/mapping/shard"
)

// errNone is what AWS says of a UUID that is none.
func errNone() error {
	return fault.New(fault.NotFound, "The resource you requested does not exist.")
}

// check holds settings against what bounds of single members cannot say.
func (m *Mappings) check(o Owner, s *Settings) error {
	if len(s.Filters) > filter.MaxFilters {
		return invalid("Too many filters: a mapping has at most %d.", filter.MaxFilters)
	}
	if _, err := filter.Compile(s.Filters); err != nil {
		return invalid("Invalid filter pattern definition. (%v)", err)
	}
	if s.Age != -1 && s.Age < 60 {
		return invalid("Maximum record age must be -1, or 60 seconds to 604800 seconds.")
	}
	if s.Tumbling > 0 && s.Parallel > 1 {
		return invalid("ParallelizationFactor must be 1 where TumblingWindowInSeconds is set: a shard has one window, and its state goes from one batch to the next.")
	}
	if s.BatchSize > 10000 {
		return invalid("Maximum batch size for a Kinesis event source is 10000.")
	}
	if s.OnFailure != "" {
		return m.env.CheckDestination(o, s.OnFailure)
	}
	return nil
}

// Create makes a mapping. Where it starts is decided now and kept with it: what
// is put after Create returns is not missed by LATEST. Faults: NotFound of the
// function, Invalid, InUse (there is one of this source and this function).
func (m *Mappings) Create(ctx context.Context, o Owner, source string, s Settings, at Start, tags map[string]string, now time.Time) (*Mapping, error) {
	if err := m.check(o, &s); err != nil {
		return nil, err
	}
	if _, err := m.env.Function(o, s.Function); err != nil {
		return nil, err
	}
	if at.Type == AtTime && at.Time.IsZero() {
		return nil, invalid("StartingPositionTimestamp must be specified when StartingPosition is AT_TIMESTAMP.")
	}
	if at.Type != AtTime && !at.Time.IsZero() {
		return nil, invalid("StartingPositionTimestamp is only valid when StartingPosition is AT_TIMESTAMP.")
	}
	stream, err := m.env.Stream(ctx, source)
	if err != nil {
		return nil, notThere(err, source)
	}
	x := &Mapping{
		Owner: o, UUID: newID(), Source: source, Settings: s, Start: at, Phase: Creating,
		Modified: now.UTC().Truncate(time.Millisecond), Tags: tags,
	}
	pair := pairKey(source, s.Function)
	changes := []catalog.Change{put(pair, catalog.Absent, pairDoc{x.UUID}), put(mappingKey(o, x.UUID), catalog.Absent, x)}
	if at.Type != TrimHorizon {
		for _, sh := range stream.Shards {
			pos, err := m.env.Position(ctx, source, sh.Index, at)
			if err != nil {
				return nil, notThere(err, source)
			}
			changes = append(changes, put(shardKey(x.UUID, stream.ID, sh.Index), catalog.Absent, shard.State{Next: pos}))
		}
	}
	v, err := m.catalog.Propose(ctx, catalog.Command{Changes: changes})
	if err != nil {
		return nil, fmt.Errorf("keep a mapping: %w", err)
	}
	if !v.OK {
		return nil, m.taken(source, s.Function)
	}
	x.version, x.LastResult = uint64(v.Pos), nothingYet
	m.nudge()
	return x, nil
}

// notThere is what AWS says where a stream is missing.
func notThere(err error, source string) error {
	if fault.Is(err, fault.NotFound) {
		return invalid("Stream not found: %s", source)
	}
	return err
}

// taken names the mapping that a pair has already. (probed: the spaces within
// the quotes are AWS's)
func (m *Mappings) taken(source, function string) error {
	uuid := ""
	if d, ok := m.catalog.View().Get(pairKey(source, function)); ok {
		if p, err := decodePair(d); err == nil {
			uuid = p.UUID
		}
	}
	return fault.New(fault.InUse, `The event source arn (" %s ") and function (" %s ") provided mapping already exists. Please update or delete the existing mapping with UUID %s`,
		source, nameOf(function), uuid)
}

// Get returns a mapping. Faults: NotFound.
func (m *Mappings) Get(o Owner, uuid string) (*Mapping, error) {
	d, ok := m.catalog.View().Get(mappingKey(o, uuid))
	if !ok {
		return nil, errNone()
	}
	return m.read(d)
}

func (m *Mappings) read(d catalog.Doc) (*Mapping, error) {
	x, err := decodeMapping(d)
	if err == nil {
		x.LastResult = m.lastResult(x.UUID)
	}
	return x, err
}

// List returns an owner's mappings by UUID: at most limit after one, of a
// source and a function where those are given, and whether there are more.
func (m *Mappings) List(o Owner, source, function, after string, limit int) (list []*Mapping, more bool, err error) {
	for d := range m.catalog.View().RangeAfter(kindMapping, o.prefix(), o.prefix()+after) {
		x, err := m.read(d)
		if err != nil {
			return nil, false, err
		}
		if source != "" && x.Source != source || function != "" && x.Function != function {
			continue
		}
		if len(list) == limit {
			return list, true, nil
		}
		list = append(list, x)
	}
	return list, false, nil
}

// edit changes a mapping by what change makes of a copy; it may be called
// several times. extra are changes that go with it.
func (m *Mappings) edit(ctx context.Context, o Owner, uuid string, change func(x *Mapping) (extra []catalog.Change, err error)) (*Mapping, error) {
	for {
		x, err := m.Get(o, uuid)
		if err != nil {
			return nil, err
		}
		extra, err := change(x)
		if err != nil {
			return nil, err
		}
		v, err := m.catalog.Propose(ctx, catalog.Command{Changes: append(extra, put(mappingKey(o, uuid), x.version, x))})
		if err != nil {
			return nil, fmt.Errorf("keep a mapping: %w", err)
		}
		if v.OK {
			x.version = uint64(v.Pos)
			m.nudge()
			return x, nil
		}
		if v.Conflict.Kind == kindPair {
			return nil, m.taken(x.Source, x.Function)
		}
	}
}

// Update changes a mapping's settings. Faults: NotFound, Invalid, InUse (it is
// about to change already, or to another mapping's function).
func (m *Mappings) Update(ctx context.Context, o Owner, uuid string, set func(*Settings), now time.Time) (*Mapping, error) {
	return m.edit(ctx, o, uuid, func(x *Mapping) ([]catalog.Change, error) {
		if x.Phase != Enabled && x.Phase != Disabled {
			return nil, fault.Coded(fault.InUse, "ResourceInUseException", "Cannot update the event source mapping because it is not in Enabled or Disabled state.")
		}
		before := x.Settings
		set(&x.Settings)
		if err := m.check(o, &x.Settings); err != nil {
			return nil, err
		}
		var extra []catalog.Change
		if x.Function != before.Function {
			if _, err := m.env.Function(o, x.Function); err != nil {
				return nil, err
			}
			extra = []catalog.Change{
				{Key: pairKey(x.Source, before.Function), If: catalog.Any, Delete: true},
				put(pairKey(x.Source, x.Function), catalog.Absent, pairDoc{uuid}),
			}
		}
		switch {
		case x.Settings.Enabled == before.Enabled:
			x.Phase = Updating
		case x.Settings.Enabled:
			x.Phase = Enabling
		default:
			x.Phase = Disabling
		}
		x.Modified = now.UTC().Truncate(time.Millisecond)
		return extra, nil
	})
}

// Delete ends a mapping: it is gone once what is under way is over. Faults:
// NotFound, InUse.
func (m *Mappings) Delete(ctx context.Context, o Owner, uuid string, now time.Time) (*Mapping, error) {
	return m.edit(ctx, o, uuid, func(x *Mapping) ([]catalog.Change, error) {
		if x.Phase == Deleting {
			return nil, fault.Coded(fault.InUse, "ResourceInUseException", "Cannot delete the event source mapping because it is in use.")
		}
		x.Phase, x.Modified = Deleting, now.UTC().Truncate(time.Millisecond)
		return nil, nil
	})
}

// Tag sets and removes tags of a mapping. Faults: NotFound, Invalid.
func (m *Mappings) Tag(ctx context.Context, o Owner, uuid string, set map[string]string, remove []string) error {
	_, err := m.edit(ctx, o, uuid, func(x *Mapping) ([]catalog.Change, error) {
		tags := maps.Clone(x.Tags)
		if tags == nil {
			tags = map[string]string{}
		}
		maps.Copy(tags, set)
		for _, k := range remove {
			delete(tags, k)
		}
		if len(tags) > 50 {
			return nil, invalid("The maximum number of tags that an event source mapping can have is 50.")
		}
		x.Tags = tags
		return nil, nil
	})
	return err
}
