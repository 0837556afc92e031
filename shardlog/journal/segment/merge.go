package segment

import (
	"context"
	"fmt"

	"github.com/thalweg/thalweg/flow"
	"github.com/thalweg/thalweg/internal/vfs"
	"github.com/thalweg/thalweg/shardlog"
)

// Merge writes a new segment at name with what is to be kept of the inputs,
// which must be of the same log (o.Store) and cover disjoint stretches of it,
// in order. keep is asked once per shard: a shard that it does not keep is
// left out, and so are frames wholly before the position it answers. Blocks
// that are large and wholly kept are taken over as they are stored, checked
// but not decompressed, so o.Compress is about the others. It returns when the
// new segment is durable; the inputs are left as they were. When nothing is
// kept there is no new segment, and the Meta has no Records. On any error,
// ctx's included, nothing is left of the new segment.
func Merge(ctx context.Context, fs vfs.FS, name string, o Options, in []*Segment,
	keep func(shardlog.Shard) (from flow.Pos, ok bool)) (Meta, error) {
	scans := make([]*scan, 0, len(in))
	defer func() {
		for _, c := range scans {
			c.s.release()
		}
	}()
	for i, s := range in {
		if s.head.store != o.Store {
			return Meta{}, fmt.Errorf("merge into %s: segment %s is of another log (%x, not %x)", name, s.path, s.head.store, o.Store)
		}
		if i > 0 && s.meta.First <= in[i-1].meta.Last {
			return Meta{}, fmt.Errorf("merge into %s: segment %s is not after %s", name, s.path, in[i-1].path)
		}
		c, err := newScan(s, min(scanSize, scanAll/int64(max(1, len(in)))))
		if err != nil {
			return Meta{}, fmt.Errorf("merge into %s: %w", name, err)
		}
		scans = append(scans, c)
	}
	w, err := Create(fs, name, o)
	if err != nil {
		return Meta{}, err
	}
	if err := merge(ctx, w, scans, keep); err != nil {
		w.Abort()
		return Meta{}, fmt.Errorf("merge into %s: %w", name, err)
	}
	return w.Finish()
}

func merge(ctx context.Context, w *Writer, scans []*scan, keep func(shardlog.Shard) (flow.Pos, bool)) error {
	next := make([]int, len(scans)) // the first block of each input not dealt with
	for {
		var shard shardlog.Shard
		for k, c := range scans {
			if next[k] < len(c.s.blocks) {
				if sh := c.s.blocks[next[k]].shard; shard == 0 || sh < shard {
					shard = sh
				}
			}
		}
		if shard == 0 {
			return nil
		}
		from, ok := keep(shard)
		for k, c := range scans {
			for ; next[k] < len(c.s.blocks) && c.s.blocks[next[k]].shard == shard; next[k]++ {
				if !ok || c.s.blocks[next[k]].last < from {
					continue
				}
				if err := ctx.Err(); err != nil {
					return err
				}
				if err := mergeBlock(w, c, next[k], from); err != nil {
					return err
				}
			}
		}
	}
}

func mergeBlock(w *Writer, c *scan, i int, from flow.Pos) error {
	b := &c.s.blocks[i]
	if b.first >= from && b.raw >= blockSize/2 && (b.codec != plain || w.zip == nil) {
		stored, err := c.stored(i)
		if err != nil {
			return err
		}
		if bad := checkStored(stored, b); bad != nil {
			return corrupt(c.s.path, b.off, bad)
		}
		return w.copyBlock(*b, stored)
	}
	rest, err := c.block(i)
	for err == nil && len(rest) > 0 {
		var f Frame
		if f, rest = firstFrame(rest, b.shard); f.Last() >= from {
			err = w.Add(f)
		}
	}
	return err
}
