package function

import (
	"cmp"
	"time"

	"github.com/tidwall/btree"
)

// event is an invocation that was accepted and is not waited for. It is
// replaced, never changed.
type event struct {
	id        uint64 // the position of the command that accepted it
	name      Name
	qualifier string
	request   string // the request's id, the same in all attempts
	context   string
	payload   string
	accepted  int64 // Unix ms
	attempts  int   // that have failed
	troubles  int   // attempts that did not reach the function, since the last that did
	due       int64 // Unix ms of the next attempt
}

// Bounds of events.
const (
	MaxEvent       = 1 << 20  // bytes of one payload ("Lambda quotas": 1 MB asynchronous)
	maxQueued      = 64 << 20 // bytes of all payloads, which lie in memory and in each checkpoint
	maxQueuedCount = 100_000  // events
	eventOverhead  = 512      // bytes that one counts beside its payload
)

// queue is all events that are not settled: a part of the state machine. Which
// of them are being worked on is the worker's affair, who takes them out of the
// line and may lose them to a crash: then they are in line again.
type queue struct {
	byID  map[uint64]*event
	line  *btree.BTreeG[*event] // by when they are due
	bytes int
}

func newQueue() queue {
	return queue{byID: map[uint64]*event{}, line: btree.NewBTreeGOptions(func(a, b *event) bool {
		return cmp.Or(cmp.Compare(a.due, b.due), cmp.Compare(a.id, b.id)) < 0
	}, btree.Options{NoLocks: true})}
}

// full reports whether there is no room for another payload of n bytes.
func (q *queue) full(n int) bool {
	return len(q.byID) >= maxQueuedCount || q.bytes+n+eventOverhead > maxQueued
}

func (q *queue) add(e *event) {
	q.byID[e.id] = e
	q.line.Set(e)
	q.bytes += len(e.payload) + eventOverhead
}

// settle replaces an event by its next attempt, or removes it when e is nil.
func (q *queue) settle(id uint64, e *event) {
	old := q.byID[id]
	if old == nil {
		return
	}
	q.line.Delete(old)
	if e == nil {
		delete(q.byID, id)
		q.bytes -= len(old.payload) + eventOverhead
		return
	}
	q.byID[id] = e
	q.line.Set(e)
}

// take takes the first event that is due out of the line, or says when that
// will be; neither when there is none.
func (q *queue) take(now int64) (e *event, at int64) {
	e, ok := q.line.Min()
	switch {
	case !ok:
		return nil, 0
	case e.due > now:
		return nil, e.due
	}
	q.line.Delete(e)
	return e, 0
}

// drop removes the events of a function that is gone.
func (q *queue) drop(n Name) {
	for id, e := range q.byID {
		if e.name == n {
			q.settle(id, nil)
		}
	}
}

// Why an event is not tried again, in the words of destinations' records.
const (
	condSuccess   = "Success"
	condExhausted = "RetriesExhausted"
	condAge       = "EventAgeExceeded"
)

// Defaults and paces of retries ("How Lambda handles errors and retries with
// asynchronous invocation"): after an error one minute and then two, after a
// throttle or a failure of ours from a second on up to five minutes.
const (
	defaultRetries = 2
	defaultMaxAge  = 6 * time.Hour
	firstTrouble   = time.Second
	mostTrouble    = 5 * time.Minute
)

// next decides what becomes of an event after an attempt at now: the event of
// the next one, or the condition under which there is none. reached says that
// the function ran, failed that it failed.
func (e *event) next(policy Async, reached, failed bool, now time.Time) (again *event, condition string) {
	if reached && !failed {
		return nil, condSuccess
	}
	n := *e
	var pause time.Duration
	if reached {
		n.attempts++
		n.troubles = 0
		retries := defaultRetries
		if policy.Retries != nil {
			retries = *policy.Retries
		}
		if n.attempts > retries {
			return nil, condExhausted
		}
		pause = time.Duration(n.attempts) * time.Minute
	} else {
		pause = min(firstTrouble<<min(n.troubles, 20), mostTrouble)
		n.troubles++
	}
	n.due = now.Add(pause).UnixMilli()
	if n.old(policy, n.due) {
		return nil, condAge
	}
	return &n, ""
}

// old reports whether an event is too old to be tried at a time.
func (e *event) old(policy Async, at int64) bool {
	age := defaultMaxAge
	if policy.MaxAge != nil {
		age = time.Duration(*policy.MaxAge) * time.Second
	}
	return at-e.accepted > age.Milliseconds()
}
