package crash

import (
	"context"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/thalweg/thalweg/catalog"
	"github.com/thalweg/thalweg/fault"
	"github.com/thalweg/thalweg/internal/vfs"
	"github.com/thalweg/thalweg/shardlog/journal"
	"github.com/thalweg/thalweg/stream"
)

var (
	owner  = stream.Owner{Account: "000000000000", Region: "us-east-1"}
	orders = stream.Ref{Owner: owner, Name: "orders"}
	other  = stream.Ref{Owner: owner, Name: "other"}
)

// house is the log, the catalog and the streams over one file system.
type house struct {
	log     *journal.Journal
	streams *stream.Streams
	stop    func()
}

func openHouse(t *testing.T, fs vfs.FS) (*house, error) {
	ctx, cancel := context.WithCancel(context.Background())
	c := catalog.New()
	j, err := journal.Open(ctx, journal.Config{FS: fs, Dir: "data", Machine: c, SegmentBytes: 64 << 10, MinFree: -1, Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		cancel()
		return nil, err
	}
	c.Attach(j)
	s, err := stream.New(stream.Config{Log: j, Catalog: c})
	if err != nil {
		cancel()
		j.Close()
		return nil, err
	}
	var wg sync.WaitGroup
	wg.Go(func() {
		if err := s.Run(ctx); err != nil && ctx.Err() == nil {
			t.Errorf("streams stopped: %v", err)
		}
	})
	return &house{log: j, streams: s, stop: func() { cancel(); wg.Wait(); j.Close() }}, nil
}

func (h *house) put(ref stream.Ref, texts ...string) ([]stream.PutRecord, error) {
	recs := make([]stream.PutRecord, len(texts))
	for i, x := range texts {
		recs[i] = stream.PutRecord{Key: x[:strings.IndexByte(x, ':')], Size: len(x)}
	}
	err := h.streams.Put(context.Background(), ref, recs, func(i int, dst []byte) error { copy(dst, texts[i]); return nil })
	return recs, err
}

// settled waits until no stream is between two states.
func (h *house) settled(ref stream.Ref) (*stream.Info, error) {
	deadline := time.Now().Add(10 * time.Second)
	for {
		info, err := h.streams.Describe(ref)
		if err != nil || info.Status == "ACTIVE" {
			return info, err
		}
		if time.Now().After(deadline) {
			return nil, fmt.Errorf("stream %s is stuck in %s", ref.Name, info.Status)
		}
		<-time.After(time.Millisecond)
	}
}

// promises is what had been acknowledged at one moment.
type promises struct {
	records map[string]string // sequence number: "shard text"
	made    map[string]bool   // by stream: created, or deleted, and nothing under way
	shards  int               // at least so many shards of orders, open or closed
}

// TestPowerCut runs a scripted session on a disk in memory and cuts the power
// after every write, sync and rename of it, with none, some or all of what was
// not synced left behind. Whatever was acknowledged by then must be there.
func TestPowerCut(t *testing.T) {
	disk := vfs.NewCrashable(1 << 30)
	var mu sync.Mutex
	now := promises{records: map[string]string{}, made: map[string]bool{}}
	cuts := 0
	type cut struct {
		at   string
		disk *vfs.Mem
		kept promises
	}
	var all []cut
	fs := vfs.NewFaulty(disk, vfs.Hooks{After: func(op vfs.Op, _ error) {
		if !op.Kind.Changes() || op.Kind == vfs.OpLock || op.Kind == vfs.OpMkdir {
			return
		}
		mu.Lock()
		defer mu.Unlock()
		cuts++
		survive := []vfs.Survival{vfs.SurviveNone, vfs.SurviveSome, vfs.SurviveAll}[cuts%3]
		kept := promises{records: maps.Clone(now.records), made: maps.Clone(now.made), shards: now.shards}
		all = append(all, cut{at: fmt.Sprintf("%v, leaving %v", op, survive), disk: disk.CrashClone(vfs.Crash{Survive: survive, Seed: uint64(cuts)}), kept: kept})
	}})
	h, err := openHouse(t, fs)
	if err != nil {
		t.Fatal(err)
	}
	n := 0
	put := func(ref stream.Ref, count, size int) {
		t.Helper()
		var texts []string
		for range count {
			n++
			texts = append(texts, fmt.Sprintf("key-%d:%d:%s", n%7, n, strings.Repeat("x", size)))
		}
		recs, err := h.put(ref, texts...)
		if err != nil {
			t.Fatal(err)
		}
		mu.Lock()
		defer mu.Unlock()
		for i, r := range recs {
			if r.Err != nil {
				t.Fatal(r.Err)
			}
			if ref == orders {
				now.records[string(r.Seq.AppendText(nil))] = fmt.Sprintf("%s %s", stream.ShardID(r.Shard), texts[i])
			}
		}
	}
	control := func(ref stream.Ref, made bool, shards int, f func() error) {
		t.Helper()
		mu.Lock()
		delete(now.made, ref.Name) // unknown while under way
		mu.Unlock()
		if err := f(); err != nil {
			t.Fatal(err)
		}
		mu.Lock()
		defer mu.Unlock()
		now.made[ref.Name] = made
		now.shards = max(now.shards, shards)
	}
	ctx := t.Context()
	control(orders, true, 2, func() error { return h.streams.Create(ctx, orders, stream.CreateSpec{Shards: 2}) })
	wait := func() {
		t.Helper()
		if _, err := h.settled(orders); err != nil {
			t.Fatal(err)
		}
	}
	wait()
	put(orders, 10, 50)
	put(orders, 1, 0)
	control(orders, true, 4, func() error {
		return h.streams.Split(ctx, orders, "shardId-000000000000", stream.Hash{Hi: 1 << 62})
	})
	wait()
	for range 6 {
		put(orders, 12, 1500)
	}
	control(other, true, 0, func() error { return h.streams.Create(ctx, other, stream.CreateSpec{Shards: 1}) })
	if _, err := h.settled(other); err != nil {
		t.Fatal(err)
	}
	put(other, 20, 2000)
	control(orders, true, 5, func() error {
		return h.streams.Merge(ctx, orders, "shardId-000000000002", "shardId-000000000003")
	})
	wait()
	for range 6 {
		put(orders, 8, 2500)
	}
	control(other, false, 0, func() error { return h.streams.Delete(ctx, other, false) })
	put(orders, 5, 10)
	h.stop()
	t.Logf("%d power cuts", len(all))
	if len(all) < 60 {
		t.Fatal("the session touched the disk too seldom to be a test")
	}
	for _, c := range all {
		if err := checkCut(t, c.disk, c.kept); err != nil {
			t.Errorf("power cut after %s: %v", c.at, err)
		}
	}
}

// checkCut opens what a power cut left and compares it with what had been
// promised.
func checkCut(t *testing.T, disk *vfs.Mem, kept promises) error {
	h, err := openHouse(t, disk)
	if err != nil {
		return fmt.Errorf("open: %w", err)
	}
	defer h.stop()
	for name, made := range kept.made {
		_, err := h.settled(stream.Ref{Owner: owner, Name: name})
		if made && err != nil {
			return fmt.Errorf("stream %s: %w", name, err)
		}
		if deadline := time.Now().Add(10 * time.Second); !made {
			for err == nil && time.Now().Before(deadline) {
				_, err = h.streams.Describe(stream.Ref{Owner: owner, Name: name})
			}
			if !fault.Is(err, fault.NotFound) {
				return fmt.Errorf("stream %s was deleted: %v", name, err)
			}
		}
	}
	info, err := h.settled(orders)
	if err != nil {
		if len(kept.records) == 0 && fault.Is(err, fault.NotFound) {
			return nil
		}
		return err
	}
	if len(info.Shards) < kept.shards {
		return fmt.Errorf("%d shards, %d were promised", len(info.Shards), kept.shards)
	}
	if err := covered(info); err != nil {
		return err
	}
	if _, err := h.put(orders, "after:the cut"); err != nil {
		return fmt.Errorf("put after the cut: %w", err)
	}
	left := maps.Clone(kept.records)
	order := map[string]int{}
	for _, s := range info.Shards {
		token, err := h.streams.Iterator(context.Background(), orders, s.ID, stream.Start{Type: stream.TrimHorizon})
		if err != nil {
			return err
		}
		var p stream.ReadPage
		last := ""
		for token != "" {
			if err := h.streams.Read(context.Background(), owner, token, 0, &p); err != nil {
				return fmt.Errorf("read %s: %w", s.ID, err)
			}
			for r := range p.All {
				seq := p.Shard.Sequence(r.Pos, r.Time.UnixMilli())
				text := string(seq.AppendText(nil))
				if text <= last {
					return fmt.Errorf("%s: %s comes after %s", s.ID, text, last)
				}
				last = text
				if want, ok := left[text]; ok {
					if got := s.ID + " " + string(r.Data); got != want {
						return fmt.Errorf("%s holds %.60s, acknowledged as %.60s", text, got, want)
					}
					delete(left, text)
				}
				var i int
				if _, rest, _ := strings.Cut(string(r.Data), ":"); r.Key != "after" {
					fmt.Sscanf(rest, "%d", &i)
					if i <= order[r.Key] {
						return fmt.Errorf("key %s: record %d comes after %d", r.Key, i, order[r.Key])
					}
					order[r.Key] = i
				}
			}
			if (p.Next == "") != (len(p.Children) > 0) {
				return fmt.Errorf("%s: next %q with %d children", s.ID, p.Next, len(p.Children))
			}
			empty := p.Records == 0
			token = p.Next
			p.Release()
			if empty && s.Last == nil {
				break
			}
		}
	}
	if len(left) > 0 {
		return fmt.Errorf("%d acknowledged records are lost, among them %s", len(left), slices.Sorted(maps.Keys(left))[0])
	}
	return nil
}

// covered checks that open shards cover every hash key once and that a shard
// is closed exactly when it has children.
func covered(info *stream.Info) error {
	parents := map[string]bool{}
	var open []stream.ShardInfo
	for _, s := range info.Shards {
		parents[s.Parent], parents[s.AdjacentParent] = true, true
		if s.Last == nil {
			open = append(open, s)
		}
	}
	for _, s := range info.Shards {
		if (s.Last != nil) != parents[s.ID] {
			return fmt.Errorf("%s: closed %v, has children %v", s.ID, s.Last != nil, parents[s.ID])
		}
	}
	slices.SortFunc(open, func(a, b stream.ShardInfo) int {
		if a.Start.Hi != b.Start.Hi {
			return map[bool]int{true: -1, false: 1}[a.Start.Hi < b.Start.Hi]
		}
		return map[bool]int{true: -1, false: 1}[a.Start.Lo < b.Start.Lo]
	})
	next := stream.Hash{}
	for i, s := range open {
		if s.Start != next {
			return fmt.Errorf("no open shard starts at %v", next)
		}
		if next = s.End; i < len(open)-1 {
			if next.Lo++; next.Lo == 0 {
				next.Hi++
			}
		}
	}
	if next != stream.MaxHash {
		return fmt.Errorf("open shards end at %v", next)
	}
	return nil
}
