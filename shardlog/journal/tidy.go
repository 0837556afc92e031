package journal

import (
	"context"
	"errors"
	"fmt"
	"math/bits"
	"slices"
	"time"

	"github.com/thalweg/thalweg/flow"
	"github.com/thalweg/thalweg/shardlog"
	"github.com/thalweg/thalweg/shardlog/journal/segment"
)

const (
	mergeRun   = 8       // segments of a tier that are worth merging
	mergeBytes = 4 << 30 // of a merged segment, at most
	tierBytes  = 1 << 20 // a segment below it is of the lowest tier; each tier is 8 times the one below
	tidyEvery  = 5 * time.Second
	crowded    = 64 // segments above which merging does not wait for an idle moment
)

// tidier keeps the segments few and gives disk space back: it merges, removes
// what retention has taken, and punches what was dropped. It also asks for
// the epoch to be frozen when records have rested in the journal long enough.
type tidier struct {
	j    *Journal
	kick chan struct{}

	punched map[shardlog.Shard]bool // given back as far as the segments of now go
	lsn     uint64                  // at the last look, to tell whether appends are coming in
	reads   uint64                  // and whether segments are being read
}

func (t *tidier) poke() {
	select {
	case t.kick <- struct{}{}:
	default:
	}
}

func (t *tidier) run(stop <-chan struct{}) {
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	t.j.others.Go(func() {
		select {
		case <-stop:
			cancel()
		case <-ctx.Done():
		}
	})
	tick := time.NewTicker(min(tidyEvery, max(t.j.sealAfter/4, time.Millisecond)))
	defer tick.Stop()
	for {
		select {
		case <-t.kick:
		case <-tick.C:
			t.roll(ctx)
		case <-stop:
			return
		}
		if err := t.tidy(ctx); err != nil && ctx.Err() == nil {
			t.j.log.Error("tidy segments", "error", err)
			select { // a full disk does not empty itself in a hurry
			case <-tick.C:
			case <-stop:
				return
			}
		}
	}
}

// roll freezes an epoch whose records have rested long enough. The committer
// decides: the epoch is its own.
func (t *tidier) roll(ctx context.Context) {
	if err := t.j.do(ctx, newOp(kindRoll, 0)); err != nil && !errors.Is(err, shardlog.ErrClosed) && !errors.Is(err, shardlog.ErrFailed) && ctx.Err() == nil {
		t.j.log.Error("begin a new journal file", "error", err)
	}
}

func (t *tidier) tidy(ctx context.Context) error {
	if err := t.expire(); err != nil {
		return err
	}
	if err := t.punch(); err != nil {
		return err
	}
	for {
		in := t.pick()
		if in == nil {
			return nil
		}
		if err := t.merge(ctx, in); err != nil {
			return err
		}
	}
}

// expire removes the segments in which no live shard has a visible record.
func (t *tidier) expire() error {
	j := t.j
	var gone map[string]bool
	now := j.now()
	for _, m := range j.store.all() {
		if !j.wanted(&m, now) {
			if gone == nil {
				gone = map[string]bool{}
			}
			gone[m.Name] = true
		}
	}
	if gone == nil {
		return nil
	}
	return j.record(nil, nil, gone, nil)
}

// wanted tells whether any record of the segment may still be visible.
func (j *Journal) wanted(m *segment.Meta, now int64) bool {
	for id := range m.Shards.All() {
		s := j.table.get(id)
		if s == nil {
			continue
		}
		s.mu.Lock()
		visible := !s.dropped && m.MaxTime >= s.horizon(now)
		s.mu.Unlock()
		if visible {
			return true
		}
	}
	return false
}

// punch gives back the bytes of dropped shards in segments that hold others.
func (t *tidier) punch() error {
	j := t.j
	fresh := map[shardlog.Shard]bool{}
	dropped := map[shardlog.Shard]bool{}
	for _, s := range j.table.all() {
		s.mu.Lock()
		// While an epoch may still be on its way into a segment, wait.
		if s.dropped && !slices.ContainsFunc(s.pieces(nil), func(p piece) bool { return !p.epoch.sealed.Load() }) {
			dropped[s.id] = true
			if !t.punched[s.id] {
				fresh[s.id] = true
			}
		}
		s.mu.Unlock()
	}
	if len(fresh) > 0 {
		for _, m := range j.store.all() {
			if !slices.ContainsFunc(keys(fresh), m.Shards.Has) {
				continue
			}
			s, err := j.store.get(m.Name)
			if err == nil {
				err = s.Punch(func(id shardlog.Shard) bool { return fresh[id] })
			}
			if err != nil && !moved(err) {
				return fmt.Errorf("give back the bytes of dropped shards: %w", err)
			}
		}
	}
	t.punched = dropped
	return nil
}

func keys(m map[shardlog.Shard]bool) []shardlog.Shard {
	list := make([]shardlog.Shard, 0, len(m))
	for k := range m {
		list = append(list, k)
	}
	return list
}

// tier is the size class of a segment.
func tier(bytes int64) int {
	return (bits.Len64(uint64(bytes/tierBytes)) + 2) / 3
}

// pick chooses neighbours of one class that are worth merging, or nil.
func (t *tidier) pick() []segment.Meta {
	j := t.j
	all := j.store.all()
	lsn, reads := j.next.Load(), j.store.reads.Load()
	busy := lsn != t.lsn || reads != t.reads || j.sealer.behind() > 0
	t.lsn, t.reads = lsn, reads
	if busy && len(all) < crowded {
		return nil
	}
	for class := range uint8(classes) {
		var list []segment.Meta
		for _, m := range all {
			if m.Class == class {
				list = append(list, m)
			}
		}
		for top := 0; len(list) >= mergeRun && tierBytes<<(3*top) <= mergeBytes; top++ {
			if run := runOf(list, top); run != nil {
				return run
			}
		}
	}
	return nil
}

// runOf finds enough neighbours of at most the given tier, half of a run of
// just that tier: few large ones are not written again for the sake of some
// small ones beside them, and yet a mixture does not grow without end.
func runOf(list []segment.Meta, top int) []segment.Meta {
	start, size, large := 0, int64(0), 0
	enough := func(end int) bool { return end-start >= mergeRun && large >= mergeRun/2 }
	for i, m := range list {
		is := tier(m.Bytes)
		if is > top || size+m.Bytes > mergeBytes {
			if enough(i) {
				return list[start:i]
			}
			start, size, large = i, 0, 0
			if is > top {
				start = i + 1
				continue
			}
		}
		size += m.Bytes
		if is == top {
			large++
		}
	}
	if enough(len(list)) {
		return list[start:]
	}
	return nil
}

// merge replaces segments by one.
func (t *tidier) merge(ctx context.Context, in []segment.Meta) error {
	j := t.j
	gone := map[string]bool{}
	var open []*segment.Segment
	for _, m := range in {
		s, err := j.store.get(m.Name)
		if err != nil {
			return err
		}
		open = append(open, s)
		gone[m.Name] = true
	}
	first, last := in[0].First, in[len(in)-1].Last
	name := segmentName(in[0].Class, first, last, j.number())
	path := j.store.dir + "/" + name
	now := j.now()
	o := segment.Options{Class: in[0].Class, Compress: true, Store: j.id}
	meta, err := segment.Merge(ctx, j.fs, path, o, open, func(id shardlog.Shard) (flow.Pos, bool) {
		s := j.table.get(id)
		if s == nil {
			return 0, false
		}
		s.mu.Lock()
		defer s.mu.Unlock()
		return s.first, !s.dropped && s.last >= s.horizon(now)
	})
	if err != nil {
		return err
	}
	var added []segment.Meta
	if meta.Records > 0 {
		added = append(added, meta)
	}
	if err := j.record(nil, added, gone, nil); err != nil {
		if !errors.Is(err, errDoubt) {
			j.fs.Remove(path)
		}
		return err
	}
	j.log.Info("merged segments", "into", name, "segments", len(in), "bytes", meta.Bytes)
	return nil
}
