package stream

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/thalweg/thalweg/fault"
	"github.com/thalweg/thalweg/flow"
	"github.com/thalweg/thalweg/shardlog"
)

// PutRecord is one record to be put, and what became of it.
type PutRecord struct {
	Key      string // the partition key; "": none, for a stream that places records itself
	Hash     Hash   // where it goes, when Explicit; else set to HashKey(Key)
	Explicit bool
	Size     int // bytes of data

	// Set by Put:
	Shard uint32 // index of the shard it went to, or was refused by
	Seq   Sequence
	Err   error // nil: on disk; else Throttled, Unavailable or an internal failure

	group int32 // its entry in the scratch; done: its fate is known
	nth   int32 // its place in that entry
}

const done = -1

// maxEntryRecords is what the log takes in one entry.
const maxEntryRecords = 65535

// putScratch is the memory of one Put, kept for the next.
type putScratch struct {
	entries []shardlog.Entry
	places  []int32  // of each entry: its shard's place in the view
	cursors [][]byte // of each entry: what is left of its payload
	mark    []mark   // of each shard of the view: its latest entry
	round   uint32
}

type mark struct {
	round uint32 // the mark counts only in the round that set it
	entry int32
}

// Put appends records to a stream: those of one shard in the order of recs.
//
// fill(i, dst) is called for each record that is let in, with len(dst) ==
// recs[i].Size, to write its data straight into the log's memory. It is called
// in order, but once more for a record whose shard was closed in between, so
// it must be able to say the same again. Its error ends the call; nothing is
// then stored unless it came the second time.
//
// A nil error means that each record has its own fate, in recs[i].Err. Other
// errors concern all: NotFound for a stream that does not exist or is still
// CREATING, Constraint for records that are too large or lack a key, and ctx's.
// A reshard never makes a record fail.
func (s *Streams) Put(ctx context.Context, ref Ref, recs []PutRecord, fill func(i int, dst []byte) error) error {
	e, err := s.find(ref)
	if err != nil {
		return err
	}
	v, err := s.load(e)
	if err != nil {
		return err
	}
	if len(v.starts) == 0 {
		return noStream(ref)
	}
	most := v.info.MaxRecordKiB << 10
	for i := range recs {
		r := &recs[i]
		if r.Size+len(r.Key) > most || r.Key == "" && v.turn == nil {
			return v.refuse(recs)
		}
		if !r.Explicit && v.turn == nil {
			r.Hash = HashKey(r.Key)
		}
		r.Err, r.group = nil, 0
	}
	v.spread(recs)
	sc := s.scratch()
	defer s.recycle(sc)
	admitted := !s.limits(v)
	for {
		left := sc.arrange(v, recs, admitted)
		admitted = true // once let in, a record is not counted again
		if !left {
			return nil
		}
		again, err := s.store(ctx, v, sc, recs, fill)
		if err != nil || !again {
			return err
		}
		// A shard was sealed or dropped under us: help whoever is at it, and
		// go by the new map.
		if err := s.complete(ctx, e); err != nil && !isGone(err) {
			return err
		}
		before := v.version
		if v, err = s.load(e); err != nil {
			return err
		}
		if v.version == before {
			return fmt.Errorf("stream %s is ACTIVE, but the log has closed shards of it", ref.Name)
		}
		if len(v.starts) == 0 {
			return noStream(ref)
		}
	}
}

// arrange routes all records whose fate is open, refuses what exceeds a limit
// (unless they are admitted already), and makes one entry for each shard. It
// tells whether any record is left.
func (sc *putScratch) arrange(v *view, recs []PutRecord, admitted bool) bool {
	sc.entries, sc.places = sc.entries[:0], sc.places[:0]
	if len(sc.mark) < len(v.shards) {
		sc.mark = make([]mark, len(v.shards))
		sc.round = 0
	}
	if sc.round++; sc.round == 0 { // wrapped around: old marks would count again
		clear(sc.mark)
		sc.round = 1
	}
	var now int64
	if !admitted {
		now = time.Now().UnixNano()
	}
	for i := range recs { // by itself, for the processor to wait for many shards at once
		if r := &recs[i]; r.group != done {
			r.group = v.route(r.Hash)
			r.Shard = v.shards[r.group].index
		}
	}
	for i := range recs {
		r := &recs[i]
		if r.group == done {
			continue
		}
		place := r.group
		sh := &v.shards[place]
		if !admitted && !sh.limits.write(now, len(r.Key)+r.Size) {
			r.Err, r.group = sh.limits.refused, done
			continue
		}
		m := &sc.mark[place]
		if m.round != sc.round || sc.entries[m.entry].Count == maxEntryRecords {
			*m = mark{sc.round, int32(len(sc.entries))}
			sc.entries = append(sc.entries, shardlog.Entry{Shard: sh.number})
			sc.places = append(sc.places, place)
		}
		entry := &sc.entries[m.entry]
		r.group, r.nth = m.entry, int32(entry.Count)
		entry.Count++
		entry.Size += shardlog.RecordSize(len(r.Key), r.Size)
	}
	return len(sc.entries) > 0
}

// store fills and appends what was arranged and hands out the fates. again:
// some records found their shard closed and are still open.
func (s *Streams) store(ctx context.Context, v *view, sc *putScratch, recs []PutRecord, fill func(i int, dst []byte) error) (again bool, err error) {
	if err := s.log.Reserve(ctx, sc.entries); err != nil {
		return false, logFault(err)
	}
	sc.cursors = sc.cursors[:0]
	for i := range sc.entries {
		sc.cursors = append(sc.cursors, sc.entries[i].Payload)
	}
	for i := range recs {
		r := &recs[i]
		if r.group == done {
			continue
		}
		place, rest := shardlog.Encode(sc.cursors[r.group], r.Key, r.Size)
		sc.cursors[r.group] = rest
		if err := fill(i, place); err != nil {
			s.log.Release(sc.entries)
			return false, err
		}
	}
	s.log.Append(ctx, sc.entries)
	v.appended(sc.entries, sc.places)
	v.meter(sc)
	for i := range recs {
		r := &recs[i]
		if r.group == done {
			continue
		}
		entry := &sc.entries[r.group]
		switch {
		case entry.Err == nil:
			r.Seq = v.shards[sc.places[r.group]].sequence(entry.Pos+flow.Pos(r.nth), entry.Time)
			r.group = done
		case errors.Is(entry.Err, shardlog.ErrSealed), errors.Is(entry.Err, shardlog.ErrNoShard):
			again = true
		default:
			r.Err, r.group = logFault(entry.Err), done
		}
	}
	return again, nil
}

// logFault turns the log's refusals into what a caller can be told.
func logFault(err error) error {
	switch {
	case errors.Is(err, shardlog.ErrFull):
		return fault.New(fault.Unavailable, "The disk is nearly full: records are refused until there is room.")
	case errors.Is(err, shardlog.ErrClosed):
		return fault.New(fault.Unavailable, "The service is shutting down.")
	}
	return err
}

func (s *Streams) scratch() *putScratch {
	if sc, ok := s.scratches.Get().(*putScratch); ok {
		return sc
	}
	return new(putScratch)
}

// recycle keeps the scratch for later, without holding on to the log's memory.
func (s *Streams) recycle(sc *putScratch) {
	clear(sc.entries)
	clear(sc.cursors)
	s.scratches.Put(sc)
}
