package logtest

import (
	"bytes"
	"context"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"io/fs"
	"slices"
	"sync"
	"syscall"
	"time"

	"github.com/thalweg/thalweg/flow"
	"github.com/thalweg/thalweg/internal/vfs"
	"github.com/thalweg/thalweg/shardlog"
)

// reference is the simplest log that could be right: everything in memory, one
// lock, and a file of changes that is synced after each call.
type reference struct {
	mutant string // the bug it has

	mu      sync.Mutex
	file    vfs.File
	lock    io.Closer
	machine shardlog.Machine
	tail    int64
	seq     uint64
	next    flow.Pos
	shards  map[shardlog.Shard]*refShard
	changed chan struct{} // closed at each change
	failed  error
}

type refShard struct {
	retention time.Duration
	floor     flow.Pos // hidden for ever below
	runs      []shardlog.Run
	end       flow.Pos
	last      int64
}

// refChange is one change as the file has it.
type refChange struct {
	Seq       uint64
	Pos       flow.Pos
	Kind      string
	Shards    []shardlog.Shard
	Retention []time.Duration
	Floors    []flow.Pos
	Time      int64
	Count     int
	Bytes     []byte
}

func openReference(mutant string) Open {
	return func(fsys vfs.FS, dir string, m shardlog.Machine) (_ shardlog.Log, err error) {
		l := &reference{mutant: mutant, machine: m, next: 1, shards: map[shardlog.Shard]*refShard{}, changed: make(chan struct{})}
		if l.lock, err = fsys.Lock(dir + "/LOCK"); err != nil {
			return nil, err
		}
		if l.file, err = fsys.OpenRW(dir + "/log"); errors.Is(err, fs.ErrNotExist) {
			l.file, err = fsys.Create(dir + "/log")
		}
		if err == nil {
			err = l.recover()
		}
		if err == nil && mutant != "trusts the cache" {
			err = errors.Join(fsys.SyncDir(dir), l.file.Sync())
		}
		if err != nil {
			l.lock.Close()
			return nil, err
		}
		return l, nil
	}
}

func (l *reference) recover() error {
	size, err := l.file.Size()
	if err != nil {
		return err
	}
	b := make([]byte, size)
	if _, err := l.file.ReadAt(b, 0); err != nil && err != io.EOF {
		return err
	}
	for {
		rest := b[l.tail:]
		if len(rest) < 8 {
			break
		}
		n := binary.LittleEndian.Uint32(rest)
		if n == 0 || int(n) > len(rest)-8 || crc32.ChecksumIEEE(rest[8:8+n]) != binary.LittleEndian.Uint32(rest[4:]) {
			break
		}
		var c refChange
		if err := json.Unmarshal(rest[8:8+n], &c); err != nil {
			return err
		}
		if c.Seq != l.seq+1 {
			break
		}
		l.tail, l.seq = l.tail+8+int64(n), c.Seq
		l.apply(c)
	}
	if err := l.file.Truncate(l.tail); err != nil {
		return err
	}
	// The one before may have died of a failed sync: then what it wrote is in
	// the system's memory alone, and taken for clean.
	if l.mutant != "takes dirty for clean" {
		_, err = l.file.WriteAt(b[:l.tail], 0)
	}
	return err
}

// commit makes changes durable and applies them. l.mu is held.
func (l *reference) commit(changes ...*refChange) ([]any, error) {
	if l.failed != nil {
		return nil, l.failed
	}
	var out []byte
	next := l.next
	for i, c := range changes {
		c.Seq, c.Pos = l.seq+uint64(i)+1, next
		next += flow.Pos(max(c.Count, 1))
		b, err := json.Marshal(c)
		if err != nil {
			return nil, err
		}
		if l.mutant == "lost seal" && c.Kind == "seal" {
			c.Kind = "nothing"
			b, _ = json.Marshal(c)
			c.Kind = "seal"
		}
		out = binary.LittleEndian.AppendUint32(out, uint32(len(b)))
		out = binary.LittleEndian.AppendUint32(out, crc32.ChecksumIEEE(b))
		out = append(out, b...)
	}
	if _, err := l.file.WriteAt(out, l.tail); err != nil {
		if errors.Is(err, syscall.ENOSPC) {
			return nil, fmt.Errorf("%w: %w", shardlog.ErrFull, err)
		}
		l.failed = fmt.Errorf("%w: %w", shardlog.ErrFailed, err)
		return nil, l.failed
	}
	if l.mutant != "ack before sync" {
		if err := l.file.SyncData(); err != nil {
			if l.mutant == "sync retried" {
				return nil, fmt.Errorf("%w: %w", shardlog.ErrFailed, err)
			}
			l.failed = fmt.Errorf("%w: %w", shardlog.ErrFailed, err)
			return nil, l.failed
		}
	}
	l.tail, l.seq = l.tail+int64(len(out)), l.seq+uint64(len(changes))
	var answers []any
	for _, c := range changes {
		answers = append(answers, l.apply(*c))
	}
	close(l.changed)
	l.changed = make(chan struct{})
	return answers, nil
}

func (l *reference) apply(c refChange) (answer any) {
	l.next = c.Pos + flow.Pos(max(c.Count, 1))
	for i, s := range c.Shards {
		switch c.Kind {
		case "create":
			l.shards[s] = &refShard{retention: c.Retention[i]}
		case "append":
			sh := l.shards[s]
			sh.runs = append(sh.runs, shardlog.Run{Pos: c.Pos, Time: c.Time, Count: c.Count, Payload: c.Bytes})
			sh.last = c.Time
		case "seal":
			if sh := l.shards[s]; sh.end == 0 {
				sh.end = c.Pos
			}
		case "retain":
			l.shards[s].retention, l.shards[s].floor = c.Retention[i], c.Floors[i]
		case "drop":
			delete(l.shards, s)
		}
	}
	if c.Kind == "propose" {
		answer = l.machine.Apply(c.Pos, c.Bytes)
	}
	return answer
}

func (l *reference) Reserve(ctx context.Context, entries []shardlog.Entry) error {
	for i := range entries {
		entries[i].Payload = make([]byte, entries[i].Size)
	}
	return ctx.Err()
}

func (l *reference) Release(entries []shardlog.Entry) {
	for i := range entries {
		entries[i].Payload = nil
	}
}

func (l *reference) Append(ctx context.Context, entries []shardlog.Entry) {
	l.mu.Lock()
	defer l.mu.Unlock()
	var changes []*refChange
	var of []*shardlog.Entry
	for i := range entries {
		e := &entries[i]
		sh := l.shards[e.Shard]
		switch {
		case sh == nil:
			e.Err = shardlog.ErrNoShard
		case sh.end != 0:
			e.Err = shardlog.ErrSealed
		}
		if l.failed != nil {
			e.Err = l.failed
		}
		if e.Err == nil {
			changes = append(changes, &refChange{Kind: "append", Shards: []shardlog.Shard{e.Shard}, Time: max(time.Now().UnixMilli(), sh.last), Count: e.Count, Bytes: bytes.Clone(e.Payload)})
			of = append(of, e)
		}
	}
	if len(changes) == 0 {
		return
	}
	_, err := l.commit(changes...)
	for i, c := range changes {
		of[i].Pos, of[i].Time, of[i].Err = c.Pos, c.Time, err
	}
}

// visible calls yield for each record of sh that is not hidden, until false.
func (l *reference) visible(sh *refShard, yield func(flow.Record) bool) {
	for _, run := range sh.runs {
		if run.Time < time.Now().Add(-sh.retention).UnixMilli() {
			continue
		}
		p := shardlog.Page{Runs: []shardlog.Run{run}}
		for r := range p.All {
			if r.Pos >= sh.floor && !yield(r) {
				return
			}
		}
	}
}

func (l *reference) Read(ctx context.Context, s shardlog.Shard, from flow.Pos, lim shardlog.Limit, p *shardlog.Page) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	sh := l.shards[s]
	if sh == nil {
		return shardlog.ErrNoShard
	}
	if l.mutant == "off by one" && from > 1 {
		from++
	}
	p.Next = max(from, l.next)
	var last int64
	for r := range func(yield func(flow.Record) bool) { l.visible(sh, yield) } {
		if r.Pos < from {
			continue
		}
		size := len(r.Key) + len(r.Data)
		if p.Records > 0 && (lim.Records > 0 && p.Records == lim.Records || lim.Bytes > 0 && p.Bytes+size > lim.Bytes) {
			p.Next = r.Pos
			p.Behind = time.Duration(sh.last-last) * time.Millisecond
			return nil
		}
		b := make([]byte, shardlog.RecordSize(len(r.Key), len(r.Data)))
		place, _ := shardlog.Encode(b, r.Key, len(r.Data))
		copy(place, r.Data)
		p.Runs = append(p.Runs, shardlog.Run{Pos: r.Pos, Time: r.Time.UnixMilli(), Count: 1, Payload: b})
		p.Records++
		p.Bytes += size
		last = r.Time.UnixMilli()
	}
	p.End = sh.end != 0
	return nil
}

func (l *reference) Wait(ctx context.Context, s shardlog.Shard, from flow.Pos) error {
	for {
		l.mu.Lock()
		sh, changed := l.shards[s], l.changed
		if sh == nil {
			l.mu.Unlock()
			return shardlog.ErrNoShard
		}
		found := sh.end != 0 && sh.end <= from
		l.visible(sh, func(r flow.Record) bool {
			found = found || r.Pos >= from
			return !found
		})
		l.mu.Unlock()
		if found {
			return nil
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

func (l *reference) Seek(ctx context.Context, s shardlog.Shard, t time.Time) (flow.Pos, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	sh := l.shards[s]
	if sh == nil {
		return 0, shardlog.ErrNoShard
	}
	pos := l.next
	l.visible(sh, func(r flow.Record) bool {
		if r.Time.UnixMilli() >= t.UnixMilli() {
			pos = r.Pos
			return false
		}
		return true
	})
	return pos, nil
}

func (l *reference) Bounds(s shardlog.Shard) (shardlog.Bounds, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	sh := l.shards[s]
	if sh == nil {
		return shardlog.Bounds{}, shardlog.ErrNoShard
	}
	return shardlog.Bounds{First: sh.floor, Next: l.next, End: sh.end, Last: sh.last}, nil
}

func (l *reference) Create(ctx context.Context, specs []shardlog.Spec) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	c := &refChange{Kind: "create"}
	for _, spec := range specs {
		if l.shards[spec.Shard] != nil {
			return shardlog.ErrExists
		}
		c.Shards, c.Retention = append(c.Shards, spec.Shard), append(c.Retention, spec.Retention)
	}
	_, err := l.commit(c)
	return err
}

func (l *reference) Seal(ctx context.Context, shards []shardlog.Shard) ([]flow.Pos, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, s := range shards {
		if l.shards[s] == nil {
			return nil, shardlog.ErrNoShard
		}
	}
	if _, err := l.commit(&refChange{Kind: "seal", Shards: shards}); err != nil {
		return nil, err
	}
	var ends []flow.Pos
	for _, s := range shards {
		ends = append(ends, l.shards[s].end)
	}
	return ends, nil
}

func (l *reference) Retain(ctx context.Context, shards []shardlog.Shard, d time.Duration) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	c := &refChange{Kind: "retain", Shards: shards}
	for _, s := range shards {
		sh := l.shards[s]
		if sh == nil {
			return shardlog.ErrNoShard
		}
		floor := l.next
		if l.mutant == "forgets retain" {
			floor = 0
		}
		l.visible(&refShard{retention: min(d, sh.retention), floor: sh.floor, runs: sh.runs}, func(r flow.Record) bool {
			floor = min(floor, r.Pos)
			return false
		})
		c.Retention, c.Floors = append(c.Retention, d), append(c.Floors, floor)
	}
	_, err := l.commit(c)
	return err
}

func (l *reference) Drop(ctx context.Context, shards []shardlog.Shard) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	_, err := l.commit(&refChange{Kind: "drop", Shards: slices.Clone(shards)})
	return err
}

func (l *reference) Propose(ctx context.Context, cmd []byte) (any, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	answers, err := l.commit(&refChange{Kind: "propose", Bytes: cmd})
	if err != nil {
		return nil, err
	}
	return answers[0], nil
}

func (l *reference) Next() flow.Pos {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.next
}

func (l *reference) Close() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.failed = shardlog.ErrClosed
	return errors.Join(l.file.Close(), l.lock.Close())
}
