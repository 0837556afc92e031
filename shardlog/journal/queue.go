package journal

import (
	"sync"

	"github.com/thalweg/thalweg/shardlog"
)

// groupBytes is where a batch is full and the next one begins.
const groupBytes = 8 << 20

// item is one call in a batch: entries or an op.
type item struct {
	entries []shardlog.Entry
	op      *op
}

// batch is what one write and one sync will take in. Its callers wait for
// done, which is closed once for all of them.
type batch struct {
	items   []item
	bytes   int64 // of all frames
	control int64 // of the ops' frames
	done    chan struct{}
}

// queue collects batches while the committer is busy with the one before:
// the sync under way is all the batching there is.
type queue struct {
	mu      sync.Mutex
	ready   sync.Cond
	batches []*batch
	spare   []*batch
	err     error // set: nothing more is taken in
	stop    bool
	idle    bool
}

// join adds a call to the batch that is open and returns what to wait for.
func (q *queue) join(it item, bytes int64) (<-chan struct{}, error) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.err != nil {
		return nil, q.err
	}
	var b *batch
	if n := len(q.batches); n > 0 && q.batches[n-1].bytes+bytes <= groupBytes {
		b = q.batches[n-1]
	} else {
		if n := len(q.spare); n > 0 {
			b = q.spare[n-1]
			q.spare = q.spare[:n-1]
		} else {
			b = &batch{}
		}
		b.done = make(chan struct{})
		q.batches = append(q.batches, b)
	}
	b.items = append(b.items, it)
	b.bytes += bytes
	if it.op != nil {
		b.control += bytes
	}
	if q.idle {
		q.idle = false
		q.ready.Signal()
	}
	return b.done, nil
}

// take waits for a batch; nil once the queue is stopped and empty.
func (q *queue) take() *batch {
	q.mu.Lock()
	defer q.mu.Unlock()
	for len(q.batches) == 0 {
		if q.stop {
			return nil
		}
		q.idle = true
		q.ready.Wait()
	}
	b := q.batches[0]
	n := copy(q.batches, q.batches[1:])
	q.batches[n] = nil
	q.batches = q.batches[:n]
	return b
}

// finish tells the batch's callers that their fates are known.
func (q *queue) finish(b *batch) {
	close(b.done)
	clear(b.items)
	*b = batch{items: b.items[:0]}
	q.mu.Lock()
	if len(q.spare) < 4 {
		q.spare = append(q.spare, b)
	}
	q.mu.Unlock()
}

// shut refuses calls from now on, with err. With stop, take returns nil once
// what was queued is done.
func (q *queue) shut(err error, stop bool) {
	q.mu.Lock()
	if q.err == nil {
		q.err = err
	}
	q.stop = q.stop || stop
	q.idle = false
	q.ready.Broadcast()
	q.mu.Unlock()
}
