// Package flow holds the nouns that move through thalweg: a record, its
// position, a batch of records of one shard, and a source that hands out
// batches. It hides nothing and does nothing: every room that records pass
// through speaks these words, and none of them needs to know another room to
// do so. It never performs I/O and never interprets a record's data.
package flow

import (
	"context"
	"time"
)

// Pos is the position of a record in the whole log: a number that grows by at
// least one from each record to the next, over all shards. Zero is before
// every record and is never the position of one.
type Pos uint64

// Record is one record of a shard. It is read-only once appended: Key and
// Data may share memory with the log, so whoever keeps them past the life of
// the page or batch they came from must copy them.
type Record struct {
	Pos  Pos
	Time time.Time // when the log took it in, to the millisecond
	Key  string    // the partition key
	Data []byte
}

// Batch is a run of records of one shard, in order.
type Batch struct {
	Stream, Shard string
	Records       []Record
	Behind        time.Duration // from the last record to the shard's tip; 0 at the tip
}

// Source is one consumer's view of a whole stream: the batches of all its
// shards, each shard in order, and no record of a child shard before the last
// record of its parents. A Source is used by one goroutine.
type Source interface {
	// Next blocks until there is a batch, the context ends or every shard is
	// closed and read, which is io.EOF.
	Next(ctx context.Context) (Batch, error)
	// Done records that b and all before it in its shard are dealt with. It
	// returns once that is durable: a source reopened under the same name
	// resumes after b.
	Done(ctx context.Context, b Batch) error
	Close() error
}
