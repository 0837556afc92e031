package journal

import (
	"context"
	"encoding/binary"
	"fmt"
	"time"

	"github.com/thalweg/thalweg/flow"
	"github.com/thalweg/thalweg/shardlog"
)

// op is a change other than an append. The committer decides it in log order.
type op struct {
	kind   kind
	buf    []byte // room for the frame header, then the payload
	specs  []shardlog.Spec
	shards []shardlog.Shard
	keep   int64 // retention, ms

	// Set by the committer:
	skip   bool // nothing to write
	pos    flow.Pos
	ends   []flow.Pos
	result any
	err    error
}

// kindRoll is an op that writes nothing: it asks for the epoch to be frozen.
const kindRoll kind = 255

func newOp(k kind, payload int) *op {
	return &op{kind: k, buf: make([]byte, frameHeader, frameHeader+payload)}
}

func (o *op) payload() []byte { return o.buf[frameHeader:] }

// do queues the op and waits for its fate.
func (j *Journal) do(ctx context.Context, o *op) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	if len(o.payload()) > maxPayload {
		return fmt.Errorf("a %v frame of %d bytes; at most %d", o.kind, len(o.payload()), maxPayload)
	}
	if o.kind != kindRoll {
		putHead(o.buf, o.kind, 0, 1, o.payload())
	}
	done, err := j.queue.join(item{op: o}, int64(len(o.buf)))
	if err != nil {
		return err
	}
	<-done
	return o.err
}

func appendShards(b []byte, shards []shardlog.Shard) []byte {
	for _, s := range shards {
		b = binary.LittleEndian.AppendUint32(b, uint32(s))
	}
	return b
}

// Create implements shardlog.Log.
func (j *Journal) Create(ctx context.Context, specs []shardlog.Spec) error {
	if len(specs) == 0 {
		return nil
	}
	o := newOp(kindCreate, 12*len(specs))
	o.specs = specs
	seen := make(map[shardlog.Shard]bool, len(specs))
	for _, s := range specs {
		if s.Shard == 0 {
			return fmt.Errorf("create shard 0: shards count from 1")
		}
		if seen[s.Shard] {
			return fmt.Errorf("create shard %d twice: %w", s.Shard, shardlog.ErrExists)
		}
		seen[s.Shard] = true
		o.buf = binary.LittleEndian.AppendUint32(o.buf, uint32(s.Shard))
		o.buf = binary.LittleEndian.AppendUint64(o.buf, uint64(max(0, s.Retention.Milliseconds())))
	}
	return j.do(ctx, o)
}

// Seal implements shardlog.Log. It seals all of the shards or, when one does
// not exist, none.
func (j *Journal) Seal(ctx context.Context, shards []shardlog.Shard) ([]flow.Pos, error) {
	o := newOp(kindSeal, 4*len(shards))
	o.shards = shards
	o.buf = appendShards(o.buf, shards)
	if err := j.do(ctx, o); err != nil {
		return nil, err
	}
	return o.ends, nil
}

// Retain implements shardlog.Log.
func (j *Journal) Retain(ctx context.Context, shards []shardlog.Shard, d time.Duration) error {
	o := newOp(kindRetain, 8+4*len(shards))
	o.shards, o.keep = shards, max(0, d.Milliseconds())
	o.buf = binary.LittleEndian.AppendUint64(o.buf, uint64(o.keep))
	o.buf = appendShards(o.buf, shards)
	return j.do(ctx, o)
}

// Drop implements shardlog.Log.
func (j *Journal) Drop(ctx context.Context, shards []shardlog.Shard) error {
	o := newOp(kindDrop, 4*len(shards))
	o.shards = shards
	o.buf = appendShards(o.buf, shards)
	return j.do(ctx, o)
}

// Propose implements shardlog.Log.
func (j *Journal) Propose(ctx context.Context, cmd []byte) (any, error) {
	o := newOp(kindMeta, len(cmd))
	o.buf = append(o.buf, cmd...)
	if err := j.do(ctx, o); err != nil {
		return nil, err
	}
	return o.result, nil
}

// admit decides an op against the committer's view of the shards, and notes
// there what it will have done. It answers false when there is nothing to write.
func (j *Journal) admit(o *op, lsn flow.Pos) bool {
	switch o.kind {
	case kindCreate:
		for _, spec := range o.specs {
			if j.table.get(spec.Shard) != nil {
				o.err = fmt.Errorf("create shard %d: %w", spec.Shard, shardlog.ErrExists)
				return false
			}
		}
		for _, spec := range o.specs {
			j.table.add(newShard(spec.Shard, lsn, max(0, spec.Retention.Milliseconds())))
		}
	case kindSeal:
		if o.err = j.known("seal", o.shards); o.err != nil {
			return false
		}
		fresh := false
		for _, id := range o.shards {
			s := j.table.get(id)
			if s.sealing == 0 {
				s.sealing, fresh = lsn, true
			}
			o.ends = append(o.ends, s.sealing)
		}
		return fresh
	case kindRetain:
		o.err = j.known("set retention of", o.shards)
		return o.err == nil && len(o.shards) > 0
	case kindDrop:
		fresh := false
		for _, id := range o.shards {
			if s := j.table.get(id); s != nil && !s.gone {
				s.gone, fresh = true, true
			}
		}
		return fresh
	case kindRoll:
		return false
	}
	return true
}

func (j *Journal) known(verb string, shards []shardlog.Shard) error {
	for _, id := range shards {
		if s := j.table.get(id); s == nil || s.gone {
			return fmt.Errorf("%s: %w", verb, noShard(id))
		}
	}
	return nil
}

func noShard(id shardlog.Shard) error {
	return fmt.Errorf("shard %d: %w", id, shardlog.ErrNoShard)
}

func newShard(id shardlog.Shard, created flow.Pos, retention int64) *shard {
	return &shard{id: id, created: created, first: created + 1, retention: retention}
}

// The functions below make a change visible once it is on disk; recovery uses
// them as well.

func (s *shard) applyCreate() {
	s.mu.Lock()
	s.live = true
	s.mu.Unlock()
}

func (s *shard) applySeal(at flow.Pos) {
	s.mu.Lock()
	if s.end == 0 {
		s.end = at
		s.wake()
	}
	s.mu.Unlock()
}

// applyRetain pins what the old retention had hidden by then, so that raising
// it brings nothing back.
func (s *shard) applyRetain(retention, at int64) {
	s.mu.Lock()
	s.floor = s.horizon(at)
	s.retention = retention
	s.mu.Unlock()
}

func (s *shard) applyDrop() {
	s.mu.Lock()
	s.dropped = true
	s.wake()
	s.mu.Unlock()
}
