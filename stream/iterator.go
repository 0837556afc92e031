package stream

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/thalweg/thalweg/fault"
	"github.com/thalweg/thalweg/flow"
	"github.com/thalweg/thalweg/shardlog"
)

// StartType says where in a shard an iterator starts, in AWS's words.
type StartType string

// The places to start.
const (
	TrimHorizon   StartType = "TRIM_HORIZON"          // the oldest record
	Latest        StartType = "LATEST"                // after the newest, as of now
	AtSequence    StartType = "AT_SEQUENCE_NUMBER"    // at Start.Sequence
	AfterSequence StartType = "AFTER_SEQUENCE_NUMBER" // right after it
	AtTime        StartType = "AT_TIMESTAMP"          // the first record taken in at Start.Time or later
)

// Start is where in a shard an iterator starts.
type Start struct {
	Type     StartType
	Sequence string    // for AtSequence and AfterSequence, only then
	Time     time.Time // for AtTime
	Call     string    // the operation that asks, for messages; "": GetShardIterator
}

// Iterator returns a token for a place in a shard, good for Read within 300
// seconds. Which place that is is decided now. Faults: NotFound, Invalid,
// Throttled.
func (s *Streams) Iterator(ctx context.Context, ref Ref, shard string, at Start) (token string, err error) {
	index, ok := ParseShardID(shard)
	if !ok {
		return "", noShard(ref, shard)
	}
	now := time.Now()
	e, v, err := s.open(ref)
	if err != nil {
		if isGone(err) {
			err = goneShard(ref, index)
		}
		return "", err
	}
	sh, ok := v.shard(index, now)
	if !ok {
		return "", goneShard(ref, index)
	}
	if err := at.check(); err != nil {
		return "", err
	}
	if s.limits(v) && !sh.limits.mint(now.UnixNano()) {
		return "", sh.limits.refused
	}
	pos, err := s.resolve(ctx, v, sh, at, now)
	if err != nil {
		return "", err
	}
	return s.tokens.seal(e.key.Name, index, pos, now.UnixMilli()), nil
}

// check tells whether a number is given exactly when one is wanted.
func (at *Start) check() error {
	wants := at.Type == AtSequence || at.Type == AfterSequence
	if wants == (at.Sequence != "") {
		return nil
	}
	what := "no"
	if !wants {
		what = "also a"
	}
	return fault.New(fault.Invalid, "Must either specify (1) AT_SEQUENCE_NUMBER or AFTER_SEQUENCE_NUMBER and StartingSequenceNumber or "+
		"(2) TRIM_HORIZON or LATEST and no StartingSequenceNumber. Request specified %s and %s StartingSequenceNumber.", at.Type, what)
}

// resolve returns the position where an iterator starts.
func (s *Streams) resolve(ctx context.Context, v *view, sh *shard, at Start, now time.Time) (flow.Pos, error) {
	switch at.Type {
	case TrimHorizon:
		return 0, nil // reading skips what retention has taken
	case Latest:
		b, err := s.log.Bounds(sh.log)
		if err != nil {
			return 0, s.readFault(v, sh, err)
		}
		return b.Next, nil
	case AtTime:
		t := at.Time.UnixMilli()
		if t > now.UnixMilli() {
			return 0, fault.New(fault.Invalid, "The timestampInMillis parameter cannot be greater than the currentTimestampInMillis. "+
				"timestampInMillis: %d, currentTimestampInMillis: %d", t, now.UnixMilli())
		}
		if t <= v.info.Created.UnixMilli() {
			return 0, nil
		}
		pos, err := s.log.Seek(ctx, sh.log, time.UnixMilli(t))
		if err != nil {
			return 0, s.readFault(v, sh, err)
		}
		return pos, nil
	case AtSequence, AfterSequence:
		return v.fromSequence(sh, at)
	}
	return 0, fault.New(fault.Invalid, "ShardIteratorType %s is not known.", at.Type)
}

// fromSequence judges a number that a client says is of the shard, in the
// order and words of kinesalite's test/getShardIterator.js.
func (v *view) fromSequence(sh *shard, at Start) (flow.Pos, error) {
	invalid := func(because string) error {
		return fault.New(fault.Invalid, "StartingSequenceNumber %s used in %s on shard %s in stream %s under account %s is invalid%s",
			canonical(at.Sequence), cmp.Or(at.Call, "GetShardIterator"), sh.ID, v.info.Name, v.info.Account, because)
	}
	seq, err := ParseSequence(at.Sequence)
	switch {
	case err != nil:
		return 0, invalid(".")
	case seq.Shard != sh.Index:
		return 0, fault.New(fault.Invalid, "Invalid StartingSequenceNumber. It encodes %s, while it was used in a call to a shard with %s",
			ShardID(seq.Shard), sh.ID)
	case seq.Version != sequenceVersion || seq.Created != sh.First.Created:
		return 0, invalid(" because it did not come from this stream.")
	case at.Type == AtSequence:
		return seq.Pos, nil
	case sh.Last != nil && seq.Pos >= sh.Last.Pos:
		// Clients that resume at a shard's end look for these words.
		return 0, invalid(" because the SequenceNumber has reached max possible value for the shard.")
	}
	return seq.Pos + 1, nil
}

// readFault turns what the log says about a shard into what a caller is told.
// A shard that the log has dropped is one that expired or was deleted.
func (s *Streams) readFault(v *view, sh *shard, err error) error {
	if errors.Is(err, shardlog.ErrNoShard) {
		return goneShard(v.info.Ref, sh.Index)
	}
	return fmt.Errorf("read %s of stream %s: %w", sh.ID, v.info.Name, logFault(err))
}

// Locate tells what an iterator is for, whether or not that is still there.
// Faults: Invalid.
func (s *Streams) Locate(token string) (ref Ref, shard string, err error) {
	sc := s.tokens.pool.Get().(*tokenScratch)
	defer s.tokens.pool.Put(sc)
	it, err := s.tokens.open(token, sc)
	if err != nil {
		return ref, "", fault.New(fault.Invalid, "Invalid ShardIterator.")
	}
	ref, _ = parseDocName(string(it.stream))
	return ref, ShardID(it.shard), nil
}

// Route returns the id of the open shard that a record would go to now, or ""
// where there is none or the stream spreads records by itself.
func (s *Streams) Route(ref Ref, r PutRecord) string {
	_, v, err := s.open(ref)
	if err != nil || len(v.starts) == 0 || v.turn != nil {
		return ""
	}
	if !r.Explicit {
		r.Hash = HashKey(r.Key)
	}
	return v.shards[v.route(r.Hash)].ID
}
