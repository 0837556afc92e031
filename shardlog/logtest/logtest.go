// Package logtest is the contract of shardlog as an executable suite: Run for
// what a log does while all goes well, Crash for power cuts at every instant,
// Faults for a disk that fails. An engine's own tests call all three. The
// suite knows an engine only through shardlog.Log and the file system that it
// gives it; it never looks at files.
package logtest

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"sync"
	"testing"
	"testing/synctest"

	"github.com/thalweg/thalweg/flow"
	"github.com/thalweg/thalweg/internal/vfs"
	"github.com/thalweg/thalweg/shardlog"
)

// Open opens the log in the folder dir of fs, which exists, and makes it there
// when the folder is empty. For Crash and Faults to reach all of an engine its
// files should be tiny, so that a few hundred KiB rotate them several times.
type Open func(fs vfs.FS, dir string, m shardlog.Machine) (shardlog.Log, error)

// Run checks the contract over the operating system's file system and over one
// in memory, with time made up for what takes hours.
func Run(t *testing.T, open Open) {
	for name, test := range cases() {
		t.Run("os/"+name, func(t *testing.T) { test(newRig(t, open, vfs.OS(), t.TempDir())) })
		t.Run("mem/"+name, func(t *testing.T) { test(newRig(t, open, vfs.NewMem(0), "/")) })
	}
	for name, test := range timed() {
		t.Run("timed/"+name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r := newRig(t, open, vfs.NewMem(0), "/")
				test(r)
				r.close()
			})
		})
	}
	t.Run("model", func(t *testing.T) { model(t, open) })
}

// tester is what the suite needs of *testing.T and *rapid.T.
type tester interface {
	Helper()
	Fatalf(format string, args ...any)
	Errorf(format string, args ...any)
}

// rig is a log under test with what is needed to open it again.
type rig struct {
	tester
	t      *testing.T // nil in the model test
	open   Open
	fs     vfs.FS
	dir    string
	log    shardlog.Log
	ledger *Ledger
	ctx    context.Context
}

func newRig(t *testing.T, open Open, fs vfs.FS, dir string) *rig {
	r := &rig{tester: t, t: t, open: open, fs: fs, dir: dir, ctx: context.Background()}
	r.start()
	t.Cleanup(r.close)
	return r
}

func (r *rig) start() {
	r.Helper()
	r.ledger = &Ledger{}
	log, err := r.open(r.fs, r.dir, r.ledger)
	if err != nil {
		r.Fatalf("open: %v", err)
	}
	r.log = log
}

func (r *rig) close() {
	r.Helper()
	if r.log != nil {
		if err := r.log.Close(); err != nil {
			r.Errorf("close: %v", err)
		}
		r.log = nil
	}
}

func (r *rig) reopen() {
	r.Helper()
	r.close()
	r.start()
}

// twice runs a check now and after Close and reopen.
func (r *rig) twice(check func()) {
	r.Helper()
	check()
	r.reopen()
	check()
}

func (r *rig) ok(err error) {
	r.Helper()
	if err != nil {
		r.Fatalf("unexpected: %v", err)
	}
}

func (r *rig) is(err, want error, what string) {
	r.Helper()
	if !errors.Is(err, want) {
		r.Fatalf("%s: got %v, want %v", what, err, want)
	}
}

// rec is a record to append, or one read.
type rec struct {
	pos  flow.Pos
	ms   int64
	key  string
	data []byte
}

// fill returns n bytes that differ from record to record and, unlike zeros or
// one repeated byte, from place to place.
func fill(seed uint64, n int) []byte {
	b := make([]byte, n+8)
	for i := 0; i < n; i += 8 {
		seed = seed*6364136223846793005 + 1442695040888963407
		binary.LittleEndian.PutUint64(b[i:], seed^seed>>29)
	}
	return b[:n]
}

// records makes n records of size bytes with the given seed in their keys.
func records(seed, n, size int) []rec {
	recs := make([]rec, n)
	for i := range recs {
		recs[i] = rec{key: fmt.Sprintf("key-%d-%d", seed, i), data: fill(uint64(seed)<<20+uint64(i), size)}
	}
	return recs
}

func entry(s shardlog.Shard, recs []rec) shardlog.Entry {
	e := shardlog.Entry{Shard: s, Count: len(recs)}
	for _, r := range recs {
		e.Size += shardlog.RecordSize(len(r.key), len(r.data))
	}
	return e
}

func encode(e shardlog.Entry, recs []rec) {
	rest := e.Payload
	for _, r := range recs {
		var place []byte
		place, rest = shardlog.Encode(rest, r.key, len(r.data))
		copy(place, r.data)
	}
}

// write appends the lists of records, each an entry for its shard, in one call.
func write(ctx context.Context, log shardlog.Log, shards []shardlog.Shard, lists [][]rec) ([]shardlog.Entry, error) {
	entries := make([]shardlog.Entry, len(lists))
	for i, recs := range lists {
		entries[i] = entry(shards[i], recs)
	}
	if err := log.Reserve(ctx, entries); err != nil {
		return nil, err
	}
	for i, recs := range lists {
		if len(entries[i].Payload) != entries[i].Size {
			return nil, fmt.Errorf("reserved %d bytes, wanted %d", len(entries[i].Payload), entries[i].Size)
		}
		encode(entries[i], recs)
	}
	log.Append(ctx, entries)
	return entries, nil
}

// put appends one entry, which must succeed, and notes in recs what the log
// said of them.
func (r *rig) put(s shardlog.Shard, recs []rec) []rec {
	r.Helper()
	entries, err := write(r.ctx, r.log, []shardlog.Shard{s}, [][]rec{recs})
	r.ok(err)
	r.ok(entries[0].Err)
	stamp(entries[0], recs)
	return recs
}

func stamp(e shardlog.Entry, recs []rec) {
	for i := range recs {
		recs[i].pos, recs[i].ms = e.Pos+flow.Pos(i), e.Time
	}
}

func (r *rig) create(shards ...shardlog.Shard) {
	r.Helper()
	specs := make([]shardlog.Spec, len(shards))
	for i, s := range shards {
		specs[i] = shardlog.Spec{Shard: s, Retention: week}
	}
	r.ok(r.log.Create(r.ctx, specs))
}

// page reads one page and checks what holds for any.
func (r *rig) page(s shardlog.Shard, from flow.Pos, lim shardlog.Limit) (recs []rec, next flow.Pos, end bool) {
	r.Helper()
	recs, p, err := readPage(r.ctx, r.log, s, from, lim)
	r.ok(err)
	return recs, p.Next, p.End
}

// readPage reads one page, copies its records and checks its sums, order and
// limits.
func readPage(ctx context.Context, log shardlog.Log, s shardlog.Shard, from flow.Pos, lim shardlog.Limit) (recs []rec, p shardlog.Page, err error) {
	if err := log.Read(ctx, s, from, lim, &p); err != nil {
		return nil, p, err
	}
	size, last := 0, from
	for r := range p.All {
		if r.Pos < last || r.Pos == 0 {
			err = errors.Join(err, fmt.Errorf("position %d where at least %d is due", r.Pos, last))
		}
		last = r.Pos + 1
		size += len(r.Key) + len(r.Data)
		recs = append(recs, rec{r.Pos, r.Time.UnixMilli(), string([]byte(r.Key)), bytes.Clone(r.Data)})
	}
	out := shardlog.Page{Records: p.Records, Bytes: p.Bytes, Next: p.Next, End: p.End, Behind: p.Behind}
	p.Release()
	switch {
	case len(recs) != out.Records || size != out.Bytes:
		err = errors.Join(err, fmt.Errorf("page says %d records, %d bytes, holds %d, %d", out.Records, out.Bytes, len(recs), size))
	case lim.Records > 0 && len(recs) > lim.Records:
		err = errors.Join(err, fmt.Errorf("%d records where at most %d were asked for", len(recs), lim.Records))
	case lim.Bytes > 0 && size > lim.Bytes && len(recs) > 1:
		err = errors.Join(err, fmt.Errorf("%d records of %d bytes where at most %d were asked for", len(recs), size, lim.Bytes))
	case len(recs) > 0 && out.Next < last:
		err = errors.Join(err, fmt.Errorf("next is %d after a record at %d", out.Next, last-1))
	}
	return recs, out, err
}

// readAll reads a shard page by page from a position to its tip or end.
func readAll(ctx context.Context, log shardlog.Log, s shardlog.Shard, from flow.Pos, lim shardlog.Limit) (all []rec, end bool, err error) {
	for {
		recs, p, err := readPage(ctx, log, s, from, lim)
		all = append(all, recs...)
		if err != nil || p.End || len(recs) == 0 {
			return all, p.End, err
		}
		from = p.Next
	}
}

// holds checks that a shard holds exactly want from a position on.
func (r *rig) holds(s shardlog.Shard, from flow.Pos, want []rec) {
	r.Helper()
	got, _, err := readAll(r.ctx, r.log, s, from, shardlog.Limit{})
	r.ok(err)
	r.same(got, want)
}

func (r *rig) same(got, want []rec) {
	r.Helper()
	if err := differ(got, want); err != nil {
		r.Fatalf("%v", err)
	}
}

func differ(got, want []rec) error {
	for i := range min(len(got), len(want)) {
		g, w := got[i], want[i]
		if g.pos != w.pos || g.ms != w.ms || g.key != w.key || !bytes.Equal(g.data, w.data) {
			return fmt.Errorf("record %d is %s at %d, %d ms, %d bytes; want %s at %d, %d ms, %d bytes", i, g.key, g.pos, g.ms, len(g.data), w.key, w.pos, w.ms, len(w.data))
		}
	}
	if len(got) != len(want) {
		return fmt.Errorf("%d records, want %d", len(got), len(want))
	}
	return nil
}

// Ledger is a state machine that keeps every command it is given.
type Ledger struct {
	mu    sync.Mutex
	Lines []Line
}

// Line is one command of a Ledger.
type Line struct {
	Pos flow.Pos
	Cmd string
}

// Verdict is what a Ledger answers: the command's number from 0, and its
// position.
type Verdict struct {
	Number int
	Pos    flow.Pos
}

// Apply adds a line.
func (l *Ledger) Apply(pos flow.Pos, cmd []byte) any {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.Lines = append(l.Lines, Line{pos, string(cmd)})
	return Verdict{len(l.Lines) - 1, pos}
}

// Capture encodes the lines: position, length, command.
func (l *Ledger) Capture() io.WriterTo {
	l.mu.Lock()
	defer l.mu.Unlock()
	var b []byte
	for _, line := range l.Lines {
		b = binary.AppendUvarint(b, uint64(line.Pos))
		b = binary.AppendUvarint(b, uint64(len(line.Cmd)))
		b = append(b, line.Cmd...)
	}
	return shardlog.Encoded(b)
}

// Restore decodes a snapshot.
func (l *Ledger) Restore(b []byte) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.Lines != nil {
		return errors.New("restore after an apply, or a second one")
	}
	for len(b) > 0 {
		pos, n := binary.Uvarint(b)
		b = b[max(n, 0):]
		size, k := binary.Uvarint(b)
		if n <= 0 || k <= 0 || size > uint64(len(b)-k) {
			return errors.New("snapshot is cut short")
		}
		l.Lines = append(l.Lines, Line{flow.Pos(pos), string(b[k : k+int(size)])})
		b = b[k+int(size):]
	}
	return nil
}

// lines returns a copy of what was applied.
func (l *Ledger) lines() []Line {
	l.mu.Lock()
	defer l.mu.Unlock()
	return append([]Line(nil), l.Lines...)
}
