// Package journal is the log on one machine: one recycled journal for all
// shards, one goroutine that writes it and shares each sync among all who wait,
// and immutable segments sorted by shard that records move into. It hides
// files, memory, recovery and retention behind shardlog.Log. It never
// acknowledges what is not on disk, never truncates or repairs silently, and
// never looks into a record. See DESIGN.md beside it and
// docs/format/{journal,checkpoint,segment}.md.
package journal

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/thalweg/thalweg/flow"
	"github.com/thalweg/thalweg/internal/vfs"
	"github.com/thalweg/thalweg/shardlog"
)

// Config says where a journal is and how it behaves.
type Config struct {
	FS      vfs.FS
	Dir     string           // the log's folder; made if it is missing
	Machine shardlog.Machine // takes the commands of Propose; nil: they are stored and answer nil

	SegmentBytes int64         // size of a journal file; 0: 64 MiB. The newest records are in memory, 3 times that
	SealAfter    time.Duration // records rest this long in the journal at most; 0: 10 min
	MinFree      float64       // the part of the disk below which appends answer ErrFull; 0: 0.05, negative: none
	Logger       *slog.Logger  // nil: none

	// OnFail is called once, in a goroutine of its own, when a write to the
	// journal or any sync failed: nothing is acknowledged any more, and the
	// process should end.
	OnFail func(error)

	// OnCommit, if there is one, is told of every group on its way to be
	// acknowledged: the frames in it, the bytes written, and how long their sync
	// took. The committer waits for it.
	OnCommit func(frames int, bytes int64, sync time.Duration)
}

// Journal implements shardlog.Log.
type Journal struct {
	fs        vfs.FS
	dir       string
	machine   shardlog.Machine
	minFree   float64
	sealAfter time.Duration
	log       *slog.Logger
	onFail    func(error)
	onCommit  func(frames int, bytes int64, sync time.Duration)
	lock      io.Closer

	id   uint64 // of the log
	seed uint32 // of frame checksums

	table table
	arena *arena
	queue queue
	pool  *pool
	store *store
	next  atomic.Uint64 // LSN after all that is on disk
	names atomic.Uint64 // numbers for segment names

	commit committer
	sealer sealer
	tidier tidier

	recording sync.Mutex // one checkpoint at a time
	ckpt      uint64     // number of the newest
	oldest    uint64     // no older one is left
	base      *state     // what the newest holds

	waiters  sync.Pool // of *waiter
	readings sync.Pool // of *reading

	failed atomic.Pointer[error]

	closing   sync.Once
	closed    chan struct{}
	closeErr  error
	stop      chan struct{}  // ends the goroutines besides the committer
	committed sync.WaitGroup // the committer
	others    sync.WaitGroup
}

var _ shardlog.Log = (*Journal)(nil)

type noMachine struct{}

func (noMachine) Apply(flow.Pos, []byte) any { return nil }
func (noMachine) Capture() io.WriterTo       { return nil }
func (noMachine) Restore([]byte) error       { return nil }

// Open opens the log in cfg.Dir, or makes it, and recovers what was
// acknowledged. It takes the folder's lock. Damage that a crash cannot
// explain is shardlog.ErrCorrupt with file and offset, and nothing is changed
// then. The caller must Close.
func Open(ctx context.Context, cfg Config) (*Journal, error) {
	j := &Journal{
		dir: cfg.Dir, machine: cfg.Machine, log: cfg.Logger,
		minFree: cfg.MinFree, sealAfter: cmp.Or(cfg.SealAfter, 10*time.Minute),
		closed: make(chan struct{}), stop: make(chan struct{}),
	}
	j.fs = watched{cfg.FS, j.fail}
	if j.machine == nil {
		j.machine = noMachine{}
	}
	if j.log == nil {
		j.log = slog.New(slog.DiscardHandler)
	}
	if cfg.MinFree == 0 {
		j.minFree = 0.05
	}
	size := align(max(cmp.Or(cfg.SegmentBytes, 64<<20), 4*block))
	j.arena = newArena(max(4*size, 4*chunkSize))
	j.queue.ready.L = &j.queue.mu
	j.store = newStore(j.fs, j.dir+"/segments")
	j.pool = newPool(j.fs, j.dir+"/journal", size)
	j.commit.j, j.sealer.j, j.tidier.j = j, j, j
	j.sealer.most = 3 * size
	j.sealer.kick, j.tidier.kick = make(chan struct{}, 1), make(chan struct{}, 1)

	for _, dir := range []string{j.dir, j.pool.dir, j.store.dir} {
		if err := j.fs.MkdirAll(dir); err != nil {
			return nil, fmt.Errorf("open log %s: %w", j.dir, err)
		}
	}
	lock, err := j.fs.Lock(j.dir + "/LOCK")
	if err != nil {
		return nil, fmt.Errorf("open log %s: is another thalweg running on this folder? %w", j.dir, err)
	}
	j.lock = lock
	err = j.recover(ctx)
	if err == nil {
		err = j.failure()
	}
	if err != nil {
		j.closeFiles()
		return nil, errors.Join(fmt.Errorf("open log %s: %w", j.dir, err), lock.Close())
	}
	j.onFail, j.onCommit = cfg.OnFail, cfg.OnCommit
	j.committed.Go(j.commit.run)
	j.others.Go(func() { j.pool.run(j.stop) })
	j.others.Go(func() { j.sealer.run(j.stop) })
	j.others.Go(func() { j.tidier.run(j.stop) })
	return j, nil
}

// number returns a number that no segment name has used since Open.
func (j *Journal) number() uint64 { return j.names.Add(1) }

// Reserve implements shardlog.Appender.
func (j *Journal) Reserve(ctx context.Context, entries []shardlog.Entry) error {
	return j.arena.reserve(ctx, entries)
}

// Release implements shardlog.Appender.
func (j *Journal) Release(entries []shardlog.Entry) { j.arena.giveBack(entries, true) }

// Append implements shardlog.Appender.
func (j *Journal) Append(ctx context.Context, entries []shardlog.Entry) {
	if len(entries) == 0 {
		return
	}
	err := ctx.Err()
	bytes := int64(0)
	for i := range entries {
		e := &entries[i]
		e.Pos, e.Time, e.Err = 0, 0, err
		if err != nil {
			continue
		}
		home, ok := e.Home.(*chunk)
		if !ok || e.Count < 1 || e.Count > 65535 || e.Shard == 0 {
			e.Err = fmt.Errorf("append %d records to shard %d: not a reserved entry with 1..65535 records", e.Count, e.Shard)
			continue
		}
		off := home.offset(e.Payload)
		putHead(home.buf[off-frameHeader:off], kindData, uint32(e.Shard), e.Count, e.Payload)
		bytes += int64(frameHeader + len(e.Payload))
	}
	if err == nil {
		var done <-chan struct{}
		if done, err = j.queue.join(item{entries: entries}, bytes); err == nil {
			<-done
			return
		}
		for i := range entries {
			entries[i].Err = err
		}
	}
	j.arena.giveBack(entries, false)
}

// fail ends all acknowledging. The first error counts.
func (j *Journal) fail(err error) {
	err = fmt.Errorf("%w: %w", err, shardlog.ErrFailed)
	if !j.failed.CompareAndSwap(nil, &err) {
		return
	}
	j.log.Error("the journal failed; nothing is acknowledged any more", "error", err)
	j.queue.shut(err, false)
	j.arena.stop(err)
	if j.onFail != nil {
		go j.onFail(err)
	}
}

func (j *Journal) failure() error {
	if p := j.failed.Load(); p != nil {
		return *p
	}
	return nil
}

// Close implements shardlog.Log. It does not wait for records to be moved
// into segments: the next Open finds them in the journal.
func (j *Journal) Close() error {
	j.closing.Do(func() {
		j.queue.shut(shardlog.ErrClosed, true)
		j.arena.stop(shardlog.ErrClosed)
		j.pool.close() // a committer that waits for a slot gives up
		j.committed.Wait()
		j.commit.end()
		close(j.stop)
		close(j.closed)
		j.others.Wait()
		j.closeFiles()
		j.closeErr = j.lock.Close()
	})
	return j.closeErr
}

// closeFiles lets go of all files once nothing runs any more.
func (j *Journal) closeFiles() {
	for _, e := range append(j.sealer.frozen, j.commit.epoch) {
		if e == nil {
			continue
		}
		for _, s := range e.slots {
			s.f.Close()
		}
	}
	j.pool.closeFiles()
	j.store.close()
}

// end marks that the log was closed in good order, so that damage to the last
// records is told from a torn tail.
func (c *committer) end() {
	if c.j.failure() != nil || c.off == block || c.off+block > c.slot.size {
		return // nothing to protect, or no room: the next Open copes
	}
	c.begin()
	o := newOp(kindEnd, 0)
	putHead(o.buf, kindEnd, 0, 1, nil)
	c.place(o.buf, 1)
	c.vec = append(c.vec, o.buf)
	c.size = int64(len(o.buf))
	if err := c.write(); err != nil {
		c.j.log.Warn("mark the end of the journal", "error", err)
	}
}
