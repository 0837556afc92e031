package stream

import (
	"context"
	"errors"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/thalweg/thalweg/catalog"
	"github.com/thalweg/thalweg/flow"
	"github.com/thalweg/thalweg/shardlog"
)

// memLog is a shardlog.Log in memory, as plain as can be: one lock, records in
// slices. What was appended and proposed survives a reopen.
type memLog struct {
	mu      sync.Mutex
	pos     flow.Pos // the last position given out
	shards  map[shardlog.Shard]*memShard
	cmds    []memCommand
	machine *catalog.Catalog
	changed chan struct{} // closed at each change
	// fail, when set, is asked before ("seal") and after ("after seal") each
	// change of the control plane whether it shall fail.
	fail func(op string) error
	// discard makes Append forget the records: for benchmarks.
	discard  bool
	refuse   error // of every entry, when set
	payloads sync.Pool
}

type memShard struct {
	runs      []shardlog.Run
	retention time.Duration
	end       flow.Pos
	last      int64
}

type memCommand struct {
	pos flow.Pos
	cmd []byte
}

func newMemLog() *memLog {
	return &memLog{shards: make(map[shardlog.Shard]*memShard), changed: make(chan struct{})}
}

// reopen returns a catalog replayed from the log, as after a crash.
func (l *memLog) reopen() *catalog.Catalog {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.machine = catalog.New()
	for _, c := range l.cmds {
		l.machine.Apply(c.pos, c.cmd)
	}
	l.machine.Attach(l)
	return l.machine
}

func (l *memLog) tell() {
	close(l.changed)
	l.changed = make(chan struct{})
}

// change runs f under the lock, between the two chances to fail.
func (l *memLog) change(op string, f func() error) error {
	if l.fail != nil {
		if err := l.fail(op); err != nil {
			return err
		}
	}
	l.mu.Lock()
	err := f()
	l.tell()
	l.mu.Unlock()
	if err == nil && l.fail != nil {
		err = l.fail("after " + op)
	}
	return err
}

func (l *memLog) Reserve(_ context.Context, entries []shardlog.Entry) error {
	for i := range entries {
		b, _ := l.payloads.Get().(*[]byte)
		if b == nil || cap(*b) < entries[i].Size {
			fresh := make([]byte, entries[i].Size)
			b = &fresh
		}
		entries[i].Payload, entries[i].Home = (*b)[:entries[i].Size], b
	}
	return nil
}

func (l *memLog) Release([]shardlog.Entry) {}

func (l *memLog) Append(_ context.Context, entries []shardlog.Entry) {
	l.mu.Lock()
	defer l.mu.Unlock()
	now := time.Now().UnixMilli()
	for i := range entries {
		e := &entries[i]
		s := l.shards[e.Shard]
		switch {
		case l.refuse != nil:
			e.Err = l.refuse
		case s == nil:
			e.Err = shardlog.ErrNoShard
		case s.end != 0:
			e.Err = shardlog.ErrSealed
		default:
			s.last = max(s.last, now)
			e.Pos, e.Time, e.Err = l.pos+1, s.last, nil
			l.pos += flow.Pos(e.Count)
			if l.discard {
				l.payloads.Put(e.Home)
			} else {
				s.runs = append(s.runs, shardlog.Run{Pos: e.Pos, Time: e.Time, Count: e.Count, Payload: e.Payload})
			}
		}
	}
	if !l.discard {
		l.tell()
	}
}

func (l *memLog) Read(_ context.Context, n shardlog.Shard, from flow.Pos, lim shardlog.Limit, p *shardlog.Page) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	s := l.shards[n]
	if s == nil {
		return shardlog.ErrNoShard
	}
	horizon := time.Now().Add(-s.retention).UnixMilli()
	p.Next = max(from, 1)
	var behind int64
	full := false
	for _, r := range s.runs {
		if r.Pos+flow.Pos(r.Count) <= from || r.Time <= horizon {
			continue
		}
		rest := r.Payload
		for i := range r.Count {
			key, data, next, _ := shardlog.Decode(rest)
			size := len(rest) - len(next)
			one := rest[:size]
			rest = next
			pos := r.Pos + flow.Pos(i)
			if pos < from {
				continue
			}
			if full = full || p.Records > 0 && (p.Records == lim.Records || lim.Bytes > 0 && p.Bytes+len(key)+len(data) > lim.Bytes); full {
				behind = s.last
				break
			}
			p.Runs = append(p.Runs, shardlog.Run{Pos: pos, Time: r.Time, Count: 1, Payload: one})
			p.Records++
			p.Bytes += len(key) + len(data)
			p.Next = pos + 1
		}
		if full {
			break
		}
	}
	if full {
		p.Behind = time.Duration(behind-p.Runs[len(p.Runs)-1].Time+1) * time.Millisecond
	}
	p.End = !full && s.end != 0
	return nil
}

func (l *memLog) Wait(ctx context.Context, n shardlog.Shard, from flow.Pos) error {
	for {
		l.mu.Lock()
		s, changed := l.shards[n], l.changed
		ready := s == nil || s.end != 0
		if s != nil {
			for _, r := range s.runs {
				ready = ready || r.Pos+flow.Pos(r.Count) > from
			}
		}
		l.mu.Unlock()
		if s == nil {
			return shardlog.ErrNoShard
		}
		if ready {
			return nil
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

func (l *memLog) Seek(_ context.Context, n shardlog.Shard, t time.Time) (flow.Pos, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	s := l.shards[n]
	if s == nil {
		return 0, shardlog.ErrNoShard
	}
	for _, r := range s.runs {
		if r.Time >= t.UnixMilli() {
			return r.Pos, nil
		}
	}
	return l.next(s), nil
}

func (l *memLog) next(s *memShard) flow.Pos {
	if s.end != 0 {
		return s.end
	}
	return l.pos + 1
}

func (l *memLog) Bounds(n shardlog.Shard) (shardlog.Bounds, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	s := l.shards[n]
	if s == nil {
		return shardlog.Bounds{}, shardlog.ErrNoShard
	}
	b := shardlog.Bounds{First: 1, Next: l.next(s), End: s.end, Last: s.last}
	return b, nil
}

func (l *memLog) Create(_ context.Context, specs []shardlog.Spec) error {
	return l.change("create", func() error {
		for _, s := range specs {
			if l.shards[s.Shard] != nil {
				return shardlog.ErrExists
			}
		}
		for _, s := range specs {
			l.shards[s.Shard] = &memShard{retention: s.Retention}
		}
		return nil
	})
}

func (l *memLog) Seal(_ context.Context, shards []shardlog.Shard) (ends []flow.Pos, err error) {
	err = l.change("seal", func() error {
		l.pos++
		for _, n := range shards {
			s := l.shards[n]
			if s == nil {
				return shardlog.ErrNoShard
			}
			if s.end == 0 {
				s.end = l.pos
			}
			ends = append(ends, s.end)
		}
		return nil
	})
	return ends, err
}

func (l *memLog) Retain(_ context.Context, shards []shardlog.Shard, d time.Duration) error {
	return l.change("retain", func() error {
		for _, n := range shards {
			if l.shards[n] == nil {
				return shardlog.ErrNoShard
			}
			l.shards[n].retention = d
		}
		return nil
	})
}

func (l *memLog) Drop(_ context.Context, shards []shardlog.Shard) error {
	return l.change("drop", func() error {
		for _, n := range shards {
			delete(l.shards, n)
		}
		return nil
	})
}

func (l *memLog) Propose(_ context.Context, cmd []byte) (answer any, err error) {
	err = l.change("propose", func() error {
		l.pos++
		l.cmds = append(l.cmds, memCommand{l.pos, slices.Clone(cmd)})
		answer = l.machine.Apply(l.pos, cmd)
		return nil
	})
	return answer, err
}

func (l *memLog) Next() flow.Pos {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.pos + 1
}

func (l *memLog) Close() error { return nil }

var errUnplugged = errors.New("unplugged")

// fixture is streams over a memLog, and the ways in and out of them.
type fixture struct {
	testing.TB
	*Streams
	mem *memLog
}

var owner = Owner{"000000000000", "us-east-1"}

func ref(name string) Ref { return Ref{owner, name} }

func newFixture(t testing.TB, limited bool) *fixture {
	t.Helper()
	f := &fixture{TB: t, mem: newMemLog()}
	f.restart(limited)
	return f
}

// restart opens new streams over what the log holds.
func (f *fixture) restart(limited bool) {
	f.Helper()
	s, err := New(Config{Log: f.mem, Catalog: f.mem.reopen(), Limits: limited})
	f.must(err)
	f.Streams = s
}

func (f *fixture) must(err error) {
	f.Helper()
	if err != nil {
		f.Fatal(err)
	}
}

func (f *fixture) create(name string, shards int) Ref {
	f.Helper()
	f.must(f.Create(context.Background(), ref(name), CreateSpec{Shards: shards}))
	return ref(name)
}

func (f *fixture) describe(r Ref) *Info {
	f.Helper()
	info, err := f.Describe(r)
	f.must(err)
	return info
}

// put puts one record and returns its fate.
func (f *fixture) put(r Ref, key, data string) PutRecord {
	f.Helper()
	recs := []PutRecord{{Key: key, Size: len(data)}}
	f.must(f.Put(context.Background(), r, recs, func(_ int, dst []byte) error { copy(dst, data); return nil }))
	return recs[0]
}

func (f *fixture) iterate(r Ref, shard uint32, at Start) string {
	f.Helper()
	token, err := f.Iterator(context.Background(), r, ShardID(shard), at)
	f.must(err)
	return token
}

// read reads one page and returns its data, as strings.
func (f *fixture) read(token string, limit int) (data []string, p ReadPage) {
	f.Helper()
	f.must(f.Read(context.Background(), owner, token, limit, &p))
	for r := range p.All {
		data = append(data, string(r.Data))
	}
	return data, p
}

// drain reads a shard from its start until nothing more is there.
func (f *fixture) drain(r Ref, shard uint32) (data []string, last ReadPage) {
	f.Helper()
	token := f.iterate(r, shard, Start{Type: TrimHorizon})
	for {
		page, p := f.read(token, 0)
		data = append(data, page...)
		if token = p.Next; token == "" || len(page) == 0 {
			return data, p
		}
	}
}
