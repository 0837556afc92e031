package mapping

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/thalweg/thalweg/catalog"
	"github.com/thalweg/thalweg/fault"
	"github.com/thalweg/thalweg/flow"
	"github.com/thalweg/thalweg/function/mapping/event"
	"github.com/thalweg/thalweg/function/mapping/shard"
)

// worker takes one shard through its machine: it reads ahead as far as the
// machine wants, makes the invocations and deliveries that it asks for, and
// keeps its state. Everything that waits does so in a goroutine of its own and
// ends with a call on events.
type worker struct {
	r      *runner
	stream *Stream
	shard  *Shard
	key    catalog.Key
	orders *orders
	m      *shard.Machine

	held   hold
	wg     sync.WaitGroup
	events chan func()
	kick   chan struct{}

	reading bool
	saving  bool
	saved   shard.State
	known   bool // saved is what is kept
	gone    bool
	last    lastCall // of whichever lane: where retries are used up, of the batch that is given up at once
}

func newWorker(r *runner, s *Stream, sh *Shard, from shard.State) *worker {
	o := r.now.Load()
	return &worker{
		r: r, stream: s, shard: sh, key: shardKey(r.uuid, s.ID, sh.Index), orders: o,
		m: shard.New(o.config, from), saved: from, known: true,
		events: make(chan func()), kick: make(chan struct{}, 1), held: hold{budget: &r.m.budget},
	}
}

func (w *worker) nudge() {
	select {
	case w.kick <- struct{}{}:
	default:
	}
}

// quiet is how long nothing has to happen before a worker lets go of the data
// that it holds: it is read again when it is needed.
const quiet = 2 * time.Second

// run works until the shard is dealt with or gone, or the runner is drained, or
// ctx ends.
func (w *worker) run(ctx context.Context) {
	ctx, cancel := context.WithCancel(ctx)
	defer w.held.drop()
	defer w.wg.Wait()
	defer cancel()
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		if o := w.r.now.Load(); o != w.orders {
			w.orders = o
			w.m.Configure(o.config)
		}
		draining := w.r.draining()
		var wake time.Time
		if !draining {
			var todo []shard.Batch
			todo, wake = w.m.Step(time.Now())
			for _, b := range todo {
				w.begin(ctx, b)
			}
			w.read(ctx)
		}
		w.save(ctx)
		w.held.forget(w.m.State().Next)
		switch {
		case w.gone:
			select { // the list of shards needs a moment to show it
			case <-ctx.Done():
			case <-time.After(retryAfter):
			}
			return
		case w.saving:
		case w.saved.Done:
			return
		case draining && !w.m.Busy():
			return
		}
		pause := quiet
		if !wake.IsZero() {
			pause = min(pause, max(0, time.Until(wake)))
		}
		timer.Reset(pause)
		select {
		case <-ctx.Done():
			return
		case f := <-w.events:
			f()
		case <-w.kick:
		case <-timer.C:
			if pause == quiet {
				w.held.drop()
			}
		}
	}
}

// spawn does work in a goroutine of its own; what it returns is called back
// within run.
func (w *worker) spawn(ctx context.Context, work func() func()) {
	w.wg.Go(func() {
		then := work()
		select {
		case w.events <- then:
		case <-ctx.Done():
		}
	})
}

// What one read asks for at most.
const (
	readRecords = 10000
	readBytes   = 4 << 20
)

// read fetches the next records, where the machine wants some.
func (w *worker) read(ctx context.Context) {
	if w.reading || w.gone || !w.m.Wants() {
		return
	}
	w.reading = true
	from := w.m.Next()
	w.spawn(ctx, func() func() {
		p, err := w.page(ctx, from)
		for err != nil && ctx.Err() == nil && !fault.Is(err, fault.NotFound) {
			w.r.m.logger.Warn("a shard cannot be read", "mapping", w.r.uuid, "shard", w.shard.ID, "err", err)
			select {
			case <-ctx.Done():
			case <-time.After(retryAfter):
			}
			p, err = w.page(ctx, from)
		}
		return func() {
			w.reading = false
			if err != nil {
				w.gone = fault.Is(err, fault.NotFound)
				return
			}
			w.r.counts.Filtered.Add(int64(p.filtered))
			w.held.add(p.chunk)
			w.m.Records(time.Now(), p.records, p.Next, p.until)
			if p.End {
				w.m.End()
			}
		}
	})
}

// page is what a read has found, in the machine's terms and with its data.
type page struct {
	Page
	records  []shard.Record
	chunk    chunk
	filtered int
	until    time.Time
}

// settle is how long after a moment a record of it can still come: the log
// dates records when it takes them in, and shows them when they are on disk.
const settle = time.Second

// page reads records from a position on, and waits for some. Where windows have
// to be closed in time, it comes back without any.
func (w *worker) page(ctx context.Context, from flow.Pos) (p page, err error) {
	for {
		o := w.r.now.Load() // what was waited for goes by the newest settings
		source := w.source(o)
		limit := Limit{Records: min(readRecords, max(2*o.config.Parallel*o.config.BatchSize, 2000)), Bytes: readBytes}
		began := time.Now()
		p = page{}
		p.Page, err = w.r.m.env.Read(ctx, w.stream, w.shard.Index, from, limit, func(r flow.Record) {
			rec := shard.Record{Pos: r.Pos, Time: r.Time.UnixMilli(), Hash: hashKey(r.Key)}
			if rec.Drop = !w.wanted(o, r); rec.Drop {
				p.filtered++
			} else {
				rec.Size = source.Size(event.Record{Sequence: sampleSequence, Key: r.Key, Data: r.Data, Time: rec.Time})
				p.chunk.add(r)
			}
			p.records = append(p.records, rec)
		})
		if err != nil {
			return p, err
		}
		if p.Tip {
			p.until = began.Add(-settle)
		}
		if len(p.records) > 0 || p.End || p.Next > from {
			return p, nil
		}
		waiting, cancel := ctx, context.CancelFunc(func() {})
		if o.config.Tumbling > 0 {
			waiting, cancel = context.WithTimeout(ctx, settle)
		}
		err = w.r.m.env.Await(waiting, w.stream, w.shard.Index, from)
		cancel()
		switch {
		case err != nil && ctx.Err() == nil && errors.Is(err, context.DeadlineExceeded):
			return p, nil
		case err != nil:
			return p, err
		}
	}
}

// sampleSequence is as long as a sequence number.
const sampleSequence = "49590338271490256608559692538361571095921575989136588898"

// hashKey spreads partition keys over lanes: FNV-1a.
func hashKey(key string) uint32 {
	h := uint32(2166136261)
	for i := range len(key) {
		h = (h ^ uint32(key[i])) * 16777619
	}
	// The last bytes of similar keys stir the low bits alone: fold the rest in.
	return h ^ h>>16
}

// save keeps the machine's state, one write at a time: what changes meanwhile
// goes with the next.
func (w *worker) save(ctx context.Context) {
	s := w.m.State()
	if w.saving || w.known && same(s, w.saved) {
		return
	}
	w.saving = true
	w.spawn(ctx, func() func() {
		// Even when all is to end, what is dealt with is not to be done twice.
		v, err := w.r.m.catalog.Propose(context.WithoutCancel(ctx), catalog.Command{Changes: []catalog.Change{put(w.key, catalog.Any, s)}})
		if err == nil && !v.OK {
			err = fmt.Errorf("refused: %v", v.Conflict)
		}
		if err != nil && ctx.Err() == nil {
			w.r.m.logger.Warn("a checkpoint cannot be kept", "mapping", w.r.uuid, "shard", w.shard.ID, "err", err)
			select {
			case <-ctx.Done():
			case <-time.After(retryAfter):
			}
		}
		return func() {
			w.saving = false
			if w.known = err == nil; w.known {
				w.saved = s
			}
		}
	})
}

func same(a, b shard.State) bool {
	return a.Next == b.Next && slices.Equal(a.Lanes, b.Lanes) && a.Closed == b.Closed && a.Done == b.Done && a.Window == b.Window
}

// source is what the records of the shard have in common in events.
func (w *worker) source(o *orders) *event.Source {
	return &event.Source{ARN: o.Source, Region: o.Region, Role: o.role, Shard: w.shard.ID}
}

// hold is the data of records that are not dealt with, by position. It may be
// dropped at any time.
type hold struct {
	budget *budget
	chunks []chunk
}

// chunk is the data of the records of one read, copied out of the log.
type chunk struct {
	records []flow.Record
	memory  []byte
	bytes   int
}

func (c *chunk) add(r flow.Record) {
	if cap(c.memory)-len(c.memory) < len(r.Data) {
		c.memory = make([]byte, 0, max(4<<10, len(r.Data), min(1<<20, 2*cap(c.memory))))
	}
	at := len(c.memory)
	c.memory = append(c.memory, r.Data...)
	r.Data, r.Key = c.memory[at:len(c.memory):len(c.memory)], strings.Clone(r.Key)
	c.records = append(c.records, r)
	c.bytes += len(r.Data) + len(r.Key)
}

func (h *hold) add(c chunk) {
	if len(c.records) == 0 || h.budget.full() {
		return
	}
	h.budget.held.Add(int64(c.bytes))
	c.memory = nil // what records point to stays
	h.chunks = append(h.chunks, c)
}

// forget lets go of what is before a position.
func (h *hold) forget(before flow.Pos) {
	n := 0
	for n < len(h.chunks) && h.chunks[n].records[len(h.chunks[n].records)-1].Pos < before {
		n++
	}
	h.free(n)
}

// free lets go of the first n chunks.
func (h *hold) free(n int) {
	for i := range h.chunks[:n] {
		h.budget.held.Add(-int64(h.chunks[i].bytes))
		h.chunks[i] = chunk{}
	}
	h.chunks = h.chunks[n:]
}

func (h *hold) drop() { h.free(len(h.chunks)) }

// of returns the records of a batch, or fewer where their data was dropped.
func (h *hold) of(wanted []shard.Record) (found []flow.Record) {
	for _, c := range h.chunks {
		for _, r := range c.records {
			if len(found) == len(wanted) {
				return found
			}
			if r.Pos == wanted[len(found)].Pos {
				found = append(found, r)
			}
		}
	}
	return found
}
