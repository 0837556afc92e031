package stream

import (
	"cmp"
	"context"
	"errors"
	"io"
	"sync"
	"sync/atomic"
	"time"

	"github.com/thalweg/thalweg/fault"
	"github.com/thalweg/thalweg/flow"
	"github.com/thalweg/thalweg/shardlog"
)

// What one event holds at most, but for a single record that is larger.
const (
	eventRecords = 10000
	eventBytes   = 1 << 20
)

// Subscription pushes a shard's records to one consumer. It is used by one
// goroutine, which must Close it.
type Subscription struct {
	streams *Streams
	ctx     context.Context // ended by the caller's end, a take-over, a deregistration, Close
	cancel  context.CancelCauseFunc
	entry   *entry
	key     slotKey
	slot    *slot
	created int64  // of the consumer, Unix milliseconds
	version uint64 // of its document, as last looked at

	shard   uint32
	pos     flow.Pos // read on from here
	fresh   bool     // nothing was read, and the whole shard is to be
	behind  time.Duration
	session session

	traffic *ConsumerTraffic
	told    atomic.Int64 // milliseconds behind, as of the latest event
}

// Event is what a subscription has to say. Release gives back its memory.
type Event struct {
	ReadPage              // without Next; Children are not empty exactly at the shard's end
	Continuation Sequence // subscribing after it goes on here; not at the shard's end

	home *sync.Pool
}

// Release gives the event and its records' memory back.
func (ev *Event) Release() {
	ev.ReadPage.Release()
	ev.home.Put(ev)
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
	mu     sync.Mutex
	slots  map[slotKey]*slot
	events sync.Pool // of *Event
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
		sl.holder.cancel(errOver)
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
// (the consumer is not ACTIVE), Invalid.
func (s *Streams) Subscribe(ctx context.Context, ref Ref, consumer string, created int64, shard string, at Start) (*Subscription, error) {
	sub, err := s.subscription(ctx, ref, consumer, created, shard, at)
	if err != nil {
		return nil, err
	}
	sub.ctx, sub.cancel = context.WithCancelCause(ctx)
	if !s.subs.take(sub, sub.session.began) {
		sub.cancel(nil)
		sub.traffic.Refused.Add(1)
		return nil, sub.taken()
	}
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
		streams: s, entry: e, key: slotKey{c.stream, consumer, index}, created: c.doc.Created,
		shard: index, pos: pos, fresh: pos <= 1, session: session{began: now, spoke: now}, traffic: e.consumer(consumer),
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
	sub.streams.subs.leave(sub, time.Now())
}

// Next waits for the next event: as soon as there are records to read, at the
// end of the shard, and after four seconds without either. It returns io.EOF
// when the subscription is over in good order: after the end of the shard, five
// minutes, a take-over or a deregistration. Other errors are ctx's, NotFound
// (the stream or the shard is gone) and the log's. The caller releases the
// event before the next call.
func (sub *Subscription) Next() (*Event, error) {
	ev, err := sub.next()
	switch {
	case err == nil:
		sub.told.Store(ev.Behind.Milliseconds())
		sub.traffic.event(ev)
	case errors.Is(context.Cause(sub.ctx), errOver):
		err = io.EOF
	}
	return ev, err
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
			return sub.heartbeat(sh, now), nil
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
	d, ok := v.seen.Load().Get(consumerKey(sub.key.stream, sub.key.consumer))
	if !ok || d.Version == sub.version {
		return ok, nil
	}
	c, err := v.consumer(d)
	sub.version = d.Version
	return c.doc.Created == sub.created && c.Status == Active, err
}

// read returns an event of records, or of the shard's end, if there is either.
// sealed tells that the log has closed the shard.
func (sub *Subscription) read(v *view, sh *shard, now time.Time) (ev *Event, sealed bool, err error) {
	s := sub.streams
	ev = s.subs.event()
	lim := shardlog.Limit{Records: eventRecords, Bytes: eventBytes}
	if err := s.log.Read(sub.ctx, sh.log, sub.pos, lim, &ev.Page); err != nil {
		ev.Release()
		return nil, false, s.readFault(v, sh, err)
	}
	sub.pos = max(sub.pos, ev.Page.Next) // not ReadPage's, which is a token
	sub.behind = ev.Behind
	switch {
	case ev.Records > 0:
		last := &ev.Runs[len(ev.Runs)-1]
		ev.Continuation = sh.Sequence(last.Pos+flow.Pos(last.Count-1), last.Time)
		sub.fresh = false
		if s.limits(v) {
			sub.slot.pace.spend(ev.Bytes)
		}
	case ev.End && sh.Last != nil:
		ev.Children = v.children(sh.ShardInfo)
		sub.session.over = true
	default:
		sealed = ev.End
		ev.Release()
		return nil, sealed, nil
	}
	sub.session.spoke = now
	ev.Shard = *sh.ShardInfo
	return ev, false, nil
}

// heartbeat returns an event without records. Its number is between the last record's and the
// next one's, and later than that of the heartbeat before.
func (sub *Subscription) heartbeat(sh *shard, now time.Time) *Event {
	ev := sub.streams.subs.event()
	ev.Shard, ev.Behind = *sh.ShardInfo, sub.behind
	ev.Continuation = sh.First
	if !sub.fresh && sub.pos > 0 {
		ev.Continuation = sh.Sequence(sub.pos-1, now.UnixMilli())
	}
	sub.session.spoke = now
	return ev
}

func (t *subscriptions) event() *Event {
	if ev, ok := t.events.Get().(*Event); ok {
		return ev
	}
	return &Event{home: &t.events}
}

// wait blocks until there is something to read, until the time named at most.
func (sub *Subscription) wait(v *view, sh *shard, until time.Time) error {
	ctx, cancel := context.WithDeadline(sub.ctx, until)
	defer cancel()
	err := sub.streams.log.Wait(ctx, sh.log, sub.pos)
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
