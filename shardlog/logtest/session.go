package logtest

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"sync"

	"github.com/thalweg/thalweg/flow"
	"github.com/thalweg/thalweg/shardlog"
)

// history is what a session's caller knows: what it asked for, and what of
// that the log acknowledged.
type history struct {
	mu     sync.Mutex
	tried  map[string]attempt          // entries, by the key of their first record
	acked  map[string][]rec            // with positions and times
	made   map[shardlog.Shard]bool     // true once acknowledged
	sealed map[shardlog.Shard]flow.Pos // 0 while not acknowledged
	gone   map[shardlog.Shard]bool     // true once acknowledged
	cmds   map[string]bool             // tried
	told   map[string]Verdict          // acknowledged
	errs   []error                     // in order
}

type attempt struct {
	shard shardlog.Shard
	recs  []rec
}

func newHistory() *history {
	return &history{
		tried: map[string]attempt{}, acked: map[string][]rec{}, made: map[shardlog.Shard]bool{}, sealed: map[shardlog.Shard]flow.Pos{},
		gone: map[shardlog.Shard]bool{}, cmds: map[string]bool{}, told: map[string]Verdict{},
	}
}

// snapshot returns a copy that the session no longer changes.
func (h *history) snapshot() *history {
	h.mu.Lock()
	defer h.mu.Unlock()
	return &history{
		tried: maps.Clone(h.tried), acked: maps.Clone(h.acked), made: maps.Clone(h.made), sealed: maps.Clone(h.sealed),
		gone: maps.Clone(h.gone), cmds: maps.Clone(h.cmds), told: maps.Clone(h.told), errs: slices.Clone(h.errs),
	}
}

// note changes the history under its lock.
func (h *history) note(change func()) {
	h.mu.Lock()
	defer h.mu.Unlock()
	change()
}

func (h *history) failed(err error) bool {
	if err != nil {
		h.note(func() { h.errs = append(h.errs, err) })
	}
	return err != nil
}

func (h *history) create(log shardlog.Log, s shardlog.Shard) {
	h.note(func() { h.made[s] = false })
	if !h.failed(log.Create(context.Background(), []shardlog.Spec{{Shard: s, Retention: week}})) {
		h.note(func() { h.made[s] = true })
	}
}

func (h *history) append(log shardlog.Log, s shardlog.Shard, seed, n, size int) error {
	recs := records(seed, n, size)
	h.note(func() { h.tried[recs[0].key] = attempt{s, recs} })
	entries, err := write(context.Background(), log, []shardlog.Shard{s}, [][]rec{recs})
	if err == nil {
		err = entries[0].Err
	}
	if !h.failed(err) {
		done := slices.Clone(recs)
		stamp(entries[0], done)
		h.note(func() { h.acked[recs[0].key] = done })
	}
	return err
}

func (h *history) seal(log shardlog.Log, s shardlog.Shard) {
	h.note(func() { h.sealed[s] = 0 })
	if ends, err := log.Seal(context.Background(), []shardlog.Shard{s}); !h.failed(err) {
		h.note(func() { h.sealed[s] = ends[0] })
	}
}

func (h *history) drop(log shardlog.Log, s shardlog.Shard) {
	h.note(func() { h.gone[s] = false })
	if !h.failed(log.Drop(context.Background(), []shardlog.Shard{s})) {
		h.note(func() { h.gone[s] = true })
	}
}

func (h *history) propose(log shardlog.Log, cmd string) {
	h.note(func() { h.cmds[cmd] = true })
	if v, err := log.Propose(context.Background(), []byte(cmd)); !h.failed(err) {
		h.note(func() { h.told[cmd], _ = v.(Verdict) })
	}
}

// session is the script that Crash and Faults torment: about 400 KiB through
// six shards, which rotates tiny files several times.
func (h *history) session(log shardlog.Log) {
	seed := 0
	next := func() int { seed++; return seed }
	for s := range shardlog.Shard(4) {
		h.create(log, s+1)
	}
	h.propose(log, "first")
	for i := range 12 {
		h.append(log, shardlog.Shard(i%4+1), next(), 1+i%3, []int{10, 700, 3000, 9000}[i%4])
	}
	h.seal(log, 1)
	h.append(log, 1, next(), 1, 100) // refused
	h.create(log, 5)
	h.propose(log, "second")
	var wg sync.WaitGroup
	for w := range 3 {
		first := 1000 * (w + 1)
		wg.Go(func() {
			for i := range 5 {
				h.append(log, shardlog.Shard(2+w), first+i, 2, 2000+3000*w)
			}
			h.propose(log, fmt.Sprint("at once ", w))
		})
	}
	wg.Wait()
	h.drop(log, 4)
	for i := range 8 {
		h.append(log, shardlog.Shard([]int{2, 3, 5}[i%3]), next(), 4, 2500)
	}
	h.seal(log, 3)
	h.append(log, 2, next(), 1, 40_000)
	h.append(log, 5, next(), 1, 1)
	h.propose(log, "last")
}

// verify checks a log opened after a power cut: was is what had been
// acknowledged before it, tried what had been asked for until it.
func verify(log shardlog.Log, ledger *Ledger, was, tried *history) error {
	var errs []error
	for s := range tried.made {
		errs = append(errs, verifyShard(log, s, was, tried))
	}
	lines := ledger.lines()
	seen := map[string]bool{}
	for i, line := range lines {
		switch v, told := was.told[line.Cmd]; {
		case !tried.cmds[line.Cmd] || seen[line.Cmd]:
			errs = append(errs, fmt.Errorf("command %q was applied but not, or no more, proposed", line.Cmd))
		case told && (v.Number != i || v.Pos != line.Pos):
			errs = append(errs, fmt.Errorf("command %q is number %d at %d, was %+v", line.Cmd, i, line.Pos, v))
		case i > 0 && line.Pos <= lines[i-1].Pos:
			errs = append(errs, fmt.Errorf("command %q at %d after one at %d", line.Cmd, line.Pos, lines[i-1].Pos))
		}
		seen[line.Cmd] = true
	}
	for cmd := range was.told {
		if !seen[cmd] {
			errs = append(errs, fmt.Errorf("acknowledged command %q is lost", cmd))
		}
	}
	return errors.Join(errs...)
}

func verifyShard(log shardlog.Log, s shardlog.Shard, was, tried *history) error {
	got, end, err := readAll(context.Background(), log, s, 0, shardlog.Limit{Bytes: 20_000})
	_, dropping := tried.gone[s]
	if errors.Is(err, shardlog.ErrNoShard) && (!was.made[s] || dropping) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("shard %d: %w", s, err)
	}
	if was.gone[s] {
		return fmt.Errorf("shard %d was dropped and is back", s)
	}
	all := got
	seen := map[string]bool{}
	for len(got) > 0 {
		a, known := tried.tried[got[0].key]
		if !known || a.shard != s || seen[got[0].key] {
			return fmt.Errorf("shard %d: record %s at %d is twice here, was never put here or begins within an entry", s, got[0].key, got[0].pos)
		}
		seen[got[0].key] = true
		want := slices.Clone(a.recs)
		if acked, told := was.acked[got[0].key]; told {
			want = acked
		} else {
			stamp(shardlog.Entry{Pos: got[0].pos, Time: got[0].ms}, want)
		}
		if err := differ(got[:min(len(got), len(want))], want); err != nil {
			return fmt.Errorf("shard %d: entry %s: %w", s, got[0].key, err)
		}
		got = got[len(want):]
	}
	for key, recs := range was.acked {
		if tried.tried[key].shard == s && !seen[key] {
			return fmt.Errorf("shard %d: acknowledged entry %s at %d is lost", s, key, recs[0].pos)
		}
	}
	b, err := log.Bounds(s)
	if err != nil {
		return fmt.Errorf("shard %d: %w", s, err)
	}
	at, sealing := tried.sealed[s]
	switch last := len(all) - 1; {
	case end != (b.End != 0) || end && !sealing:
		return fmt.Errorf("shard %d: end %v, bounds %+v", s, end, b)
	case was.sealed[s] != 0 && b.End != was.sealed[s]:
		return fmt.Errorf("shard %d was sealed at %d, ends at %d", s, at, b.End)
	case end && last >= 0 && all[last].pos >= b.End:
		return fmt.Errorf("shard %d has a record at %d after its end at %d", s, all[last].pos, b.End)
	}
	return nil
}

// late is the shard that goOn makes, and lateRecords what it puts there.
const late = 77

func lateRecords() []rec { return records(1<<20, 3, 500) }

// goOn checks that the log takes everything as if nothing had happened.
func goOn(log shardlog.Log, was *history) error {
	ctx := context.Background()
	if err := log.Create(ctx, []shardlog.Spec{{Shard: late, Retention: week}}); err != nil {
		return fmt.Errorf("create after the cut: %w", err)
	}
	recs := lateRecords()
	entries, err := write(ctx, log, []shardlog.Shard{late}, [][]rec{recs})
	if err == nil {
		err = entries[0].Err
	}
	if err != nil {
		return fmt.Errorf("append after the cut: %w", err)
	}
	stamp(entries[0], recs)
	for _, acked := range was.acked {
		if last := acked[len(acked)-1]; last.pos >= recs[0].pos {
			return fmt.Errorf("position %d given after %d was acknowledged", recs[0].pos, last.pos)
		}
	}
	got, _, err := readAll(ctx, log, late, 0, shardlog.Limit{})
	return errors.Join(err, differ(got, recs))
}

// wentOn checks that what goOn was told is still so.
func wentOn(log shardlog.Log) error {
	got, _, err := readAll(context.Background(), log, late, 0, shardlog.Limit{})
	if err != nil {
		return err
	}
	want := lateRecords()
	if len(got) != len(want) {
		return fmt.Errorf("%d of %d records acknowledged before the power cut", len(got), len(want))
	}
	stamp(shardlog.Entry{Pos: got[0].pos, Time: got[0].ms}, want)
	return differ(got, want)
}
