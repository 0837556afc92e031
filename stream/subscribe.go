package stream

import (
	"cmp"
	"context"
	"errors"
	"io"
	"sync"
	"sync/atomic"
	"time"

	"github.com/thalweg/thalweg/catalog"
	"github.com/thalweg/thalweg/fault"
	"github.com/thalweg/thalweg/flow"
	"github.com/thalweg/thalweg/shardlog"
)

// Subscription pushes a shard's records to one consumer. It is used by one
// goroutine, which must Close it.
type Subscription struct {
	streams *Streams
	ctx     context.Context // ended by the caller's end, a take-over, a deregistration, Close
	cancel  context.CancelCauseFunc
	waiting context.Context // ctx until a heartbeat was due, as of when it was made
	relax   context.CancelFunc
	entry   *entry
	key     slotKey
	slot    *slot
	form    *Form
	log     shardlog.Shard

	consumer catalog.Key
	created  int64          // of the consumer, Unix milliseconds
	seen     *catalog.State // the last in which the consumer was looked at

	shard   uint32
	pos     flow.Pos // read on from here
	dated   int64    // the time in the last continuation, Unix milliseconds
	behind  time.Duration
	session session

	traffic *ConsumerTraffic
	told    atomic.Int64 // milliseconds behind, as of the latest event
}

// errOver is why a subscription ends for good order's sake.
var errOver = errors.New("the subscription was ended")

// slotKey is what can have one subscription at a time.
type slotKey struct {
	stream, consumer string // the stream's id
	shard            uint32
}

// slot is the last subscription under a key, and what outlives it.
type slot struct {
	holder *Subscription
	began  time.Time
	closed bool
	pace   pace
}

// subscriptions is all that there are in this process, and those that began
// less than five seconds ago.
type subscriptions struct {
	mu    sync.Mutex
	slots map[slotKey]*slot
}

// take makes sub the holder of its slot, unless the present one is too young.
func (t *subscriptions) take(sub *Subscription, now time.Time) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	sl := t.slots[sub.key]
	switch {
	case sl.young(now):
		return false
	case sl == nil:
		if t.slots == nil {
			t.slots = make(map[slotKey]*slot)
		}
		sl = new(slot)
		t.slots[sub.key] = sl
	case !sl.closed:
		// "The previous connection expires or fails with a
		// ResourceInUseException", says AWS of SubscribeToShard.
		sl.holder.cancel(sl.holder.taken())
	}
	sl.holder, sl.began, sl.closed = sub, now, false
	sub.slot = sl
	return true
}

// young tells whether no other subscription may begin under a key yet.
func (t *subscriptions) young(key slotKey, now time.Time) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.slots[key].young(now)
}

func (sl *slot) young(now time.Time) bool {
	return sl != nil && now.Sub(sl.began) < takeOverAfter
}

// leave gives the slot up: at once, or when another subscription may begin.
func (t *subscriptions) leave(sub *Subscription, now time.Time) {
	t.mu.Lock()
	defer t.mu.Unlock()
	sl := sub.slot
	if sl.holder != sub || sl.closed {
		return
	}
	sl.closed = true
	vacate := func() {
		if t.slots[sub.key] == sl && sl.closed && !sl.young(time.Now()) {
			delete(t.slots, sub.key)
		}
	}
	if wait := sl.began.Add(takeOverAfter).Sub(now); wait > 0 {
		time.AfterFunc(wait, func() {
			t.mu.Lock()
			defer t.mu.Unlock()
			vacate()
		})
		return
	}
	vacate()
}

// dismiss ends all subscriptions of a consumer.
func (t *subscriptions) dismiss(stream, consumer string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for k, sl := range t.slots {
		if k.stream == stream && k.consumer == consumer {
			if !sl.closed {
				sl.holder.cancel(errOver)
			}
			delete(t.slots, k)
		}
	}
}

// Subscribe begins to push a shard's records to an ACTIVE consumer, from at on,
// until ctx ends or five minutes have passed. created is as Consumer's. A
// subscription of the same consumer to the same shard ends, unless it began
// less than five seconds ago: then the fault is InUse. Others: NotFound, InUse
// (the consumer is not ACTIVE), Invalid. Events are written in form; nil: they
// hold the records.
func (s *Streams) Subscribe(ctx context.Context, ref Ref, consumer string, created int64, shard string, at Start, form *Form) (*Subscription, error) {
	sub, err := s.subscription(ctx, ref, consumer, created, shard, at)
	if err != nil {
		return nil, err
	}
	sub.form = form
	sub.ctx, sub.cancel = context.WithCancelCause(ctx)
	if !s.subs.take(sub, sub.session.began) {
		sub.cancel(nil)
		sub.traffic.Refused.Add(1)
		return nil, sub.taken()
	}
	s.events.join(audience{sub.log, form}, 1)
	sub.traffic.Subscribed.Add(1)
	return sub, nil
}

// CheckSubscribe returns what Subscribe would fail with now, and begins
// nothing.
func (s *Streams) CheckSubscribe(ctx context.Context, ref Ref, consumer string, created int64, shard string, at Start) error {
	sub, err := s.subscription(ctx, ref, consumer, created, shard, at)
	if err == nil && s.subs.young(sub.key, sub.session.began) {
		err = sub.taken()
	}
	return err
}

// subscription checks what is asked for and makes what would begin.
func (s *Streams) subscription(ctx context.Context, ref Ref, consumer string, created int64, shard string, at Start) (*Subscription, error) {
	c, err := s.Consumer(ref, consumer, created)
	if err != nil {
		return nil, err
	}
	if c.Status != Active {
		return nil, consumerNotActive(&c)
	}
	index, ok := ParseShardID(shard)
	if !ok {
		return nil, noShard(ref, shard)
	}
	e, v, err := s.open(ref)
	if err != nil {
		return nil, err
	}
	now := time.Now()
	sh, ok := v.shard(index, now)
	if !ok {
		return nil, goneShard(ref, index)
	}
	at.Call = "SubscribeToShard"
	if err := at.check(); err != nil {
		return nil, err
	}
	pos, err := s.resolve(ctx, v, sh, at, now)
	if err != nil {
		return nil, err
	}
	return &Subscription{
		streams: s, entry: e, key: slotKey{c.stream, consumer, index},
		consumer: consumerKey(c.stream, consumer), created: c.doc.Created,
		shard: index, log: sh.log, pos: pos, dated: sh.First.Secs * 1000, session: session{began: now, spoke: now}, traffic: e.consumer(consumer),
	}, nil
}

// taken is the fault of a second subscription within five seconds, in AWS's
// words as awslabs/amazon-kinesis-client#391 quotes them.
func (sub *Subscription) taken() error {
	ref := sub.entry.ref
	return fault.New(fault.InUse, "Another active subscription exists for this consumer: %s:%s:%s:%s",
		ref.Account, ref.Name, ShardID(sub.shard), sub.key.consumer)
}

// Close ends the subscription.
func (sub *Subscription) Close() {
	sub.cancel(errOver)
	if sub.relax != nil {
		sub.relax()
	}
	sub.streams.events.join(audience{sub.log, sub.form}, -1)
	sub.streams.subs.leave(sub, time.Now())
}

// Next waits for the next event: as soon as there are records to read, at the
// end of the shard, and after four seconds without either. It returns io.EOF
// when the subscription is over in good order: after the end of the shard, five
// minutes or a deregistration. Other errors are ctx's, InUse (another
// subscription took over), NotFound (the stream or the shard is gone) and the
// log's. The caller releases the event before the next call.
func (sub *Subscription) Next() (*Event, error) {
	ev, err := sub.next()
	if err == nil {
		sub.told.Store(ev.Behind.Milliseconds())
		sub.traffic.event(ev)
		return ev, nil
	}
	switch cause := context.Cause(sub.ctx); {
	case errors.Is(cause, errOver):
		err = io.EOF
	case fault.Is(cause, fault.InUse):
		err = cause
	}
	return nil, err
}

func (sub *Subscription) next() (*Event, error) {
	s := sub.streams
	for empty := false; ; {
		if err := sub.ctx.Err(); err != nil {
			return nil, err
		}
		v, err := s.load(sub.entry)
		if err != nil {
			return nil, err
		}
		if ok, err := sub.registered(v); !ok || err != nil {
			return nil, cmp.Or(err, io.EOF)
		}
		now := time.Now()
		sh, ok := v.shard(sub.shard, now)
		if !ok {
			return nil, goneShard(sub.entry.ref, sub.shard)
		}
		paid := now
		if s.limits(v) {
			paid = sub.slot.pace.paid(now)
		}
		do, until := sub.session.next(now, paid, empty)
		empty = false
		switch do {
		case look:
			var ev *Event
			var sealed bool
			ev, sealed, err = sub.read(v, sh, now)
			switch {
			case ev != nil:
				return ev, nil
			case err == nil && sealed:
				// Its children are not there yet: help.
				err = s.complete(sub.ctx, sub.entry)
			default:
				empty = true
			}
		case wait:
			err = sub.wait(v, sh, until)
		case rest:
			err = sub.rest(until.Sub(now))
		case beat:
			return sub.heartbeat(sh, now)
		case stop:
			err = io.EOF
		}
		if err != nil {
			return nil, err
		}
	}
}

// registered tells whether the consumer is what it was at the beginning.
func (sub *Subscription) registered(v *view) (bool, error) {
	state := v.seen.Load()
	if state == sub.seen {
		return true, nil
	}
	d, ok := state.Get(sub.consumer)
	if !ok {
		return false, nil
	}
	c, err := v.consumer(d)
	ok = c.doc.Created == sub.created && c.Status == Active
	if ok {
		sub.seen = state
	}
	return ok, err
}

// read returns an event of records, or of the shard's end, if there is either.
// sealed tells that the log has closed the shard.
func (sub *Subscription) read(v *view, sh *shard, now time.Time) (ev *Event, sealed bool, err error) {
	s := sub.streams
	ev, mine := s.events.claim(eventKey{audience{sub.log, sub.form}, sub.pos}, now)
	if mine {
		err = s.fill(sub.ctx, v, sh, ev)
		s.events.settle(ev)
	}
	if ev.void {
		// Of somebody else's failure too the next look says more.
		sub.pos, sub.behind, sealed = max(sub.pos, ev.next), ev.Behind, ev.End
		ev.Release()
		return nil, sealed, err
	}
	sub.pos, sub.behind, sub.dated = max(sub.pos, ev.next), ev.Behind, max(sub.dated, ev.last)
	sub.session.spoke = now
	sub.session.over = len(ev.Children) > 0
	if s.limits(v) {
		sub.slot.pace.spend(ev.Bytes)
	}
	return ev, false, nil
}

// fill makes a claimed event of what there is to be told from its place on.
func (s *Streams) fill(ctx context.Context, v *view, sh *shard, ev *Event) error {
	ev.void = true
	lim := shardlog.Limit{Records: eventRecords, Bytes: s.events.room()}
	if err := s.log.Read(ctx, sh.log, ev.key.from, lim, &ev.Page); err != nil {
		return s.readFault(v, sh, err)
	}
	ev.next = ev.Page.Next // not ReadPage's, which is a token
	switch {
	case ev.Records > 0:
		last := &ev.Runs[len(ev.Runs)-1]
		ev.Continuation, ev.last = sh.Sequence(last.Pos+flow.Pos(last.Count-1), last.Time), last.Time
	case ev.End && sh.Last != nil:
		ev.Children = v.children(sh.ShardInfo)
	default:
		return nil
	}
	ev.Shard = *sh.ShardInfo
	if err := s.events.write(ev, ev.key.form); err != nil {
		return err
	}
	ev.void = false
	return nil
}

// heartbeat returns an event without records. Its number is between the last
// record's and the next one's, and later than that of the heartbeat before.
func (sub *Subscription) heartbeat(sh *shard, now time.Time) (*Event, error) {
	t := &sub.streams.events
	ev := t.blank()
	ev.Shard, ev.Behind = *sh.ShardInfo, sub.behind
	sub.dated = max(sub.dated, now.UnixMilli())
	ev.Continuation = sh.Sequence(max(sub.pos, 1)-1, sub.dated)
	sub.session.spoke = now
	if err := t.write(ev, sub.form); err != nil {
		ev.Release()
		return nil, err
	}
	return ev, nil
}

// wait blocks until there is something to read, until the time named at most.
// It may be earlier: a context is made once for all waits until a heartbeat is
// due, and not moved when records come before it.
func (sub *Subscription) wait(v *view, sh *shard, until time.Time) error {
	if sub.waiting == nil || sub.waiting.Err() != nil {
		if sub.relax != nil {
			sub.relax()
		}
		sub.waiting, sub.relax = context.WithDeadline(sub.ctx, until)
	}
	err := sub.streams.log.Wait(sub.waiting, sh.log, sub.pos)
	if err == nil || errors.Is(err, context.DeadlineExceeded) && sub.ctx.Err() == nil {
		return nil
	}
	if sub.ctx.Err() != nil {
		return sub.ctx.Err()
	}
	return sub.streams.readFault(v, sh, err)
}

// rest lets time pass.
func (sub *Subscription) rest(d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-sub.ctx.Done():
		return sub.ctx.Err()
	}
}
