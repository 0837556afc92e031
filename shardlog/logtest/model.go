package logtest

import (
	"cmp"
	"context"
	"slices"
	"sync"
	"testing"

	"github.com/thalweg/thalweg/flow"
	"github.com/thalweg/thalweg/internal/vfs"
	"github.com/thalweg/thalweg/shardlog"
	"pgregory.net/rapid"
)

// oracle is a log as it should be: what each shard holds, and where it ends.
type oracle struct {
	held map[shardlog.Shard][]rec
	ends map[shardlog.Shard]flow.Pos
	cmds []string
	next shardlog.Shard
	seed int
}

// model plays random calls, some of them at once, against the oracle.
func model(t *testing.T, open Open) {
	rapid.Check(t, func(t *rapid.T) {
		r := &rig{tester: t, open: open, fs: vfs.NewMem(0), dir: "/", ctx: context.Background()}
		r.start()
		defer r.close()
		o := &oracle{held: map[shardlog.Shard][]rec{}, ends: map[shardlog.Shard]flow.Pos{}, next: 1}
		shard := func(t *rapid.T) shardlog.Shard {
			return shardlog.Shard(rapid.IntRange(1, int(o.next)).Draw(t, "shard"))
		}
		t.Repeat(map[string]func(*rapid.T){
			"create": func(t *rapid.T) {
				if o.next < 6 {
					r.create(o.next)
					o.held[o.next] = nil
					o.next++
				}
			},
			"append": func(t *rapid.T) {
				n := rapid.IntRange(1, 4).Draw(t, "calls")
				calls := make([]call, n)
				for i := range calls {
					calls[i] = o.call(t, shard)
				}
				var wg sync.WaitGroup
				for i := range calls {
					wg.Go(func() { calls[i].entries, calls[i].err = write(r.ctx, r.log, calls[i].shards, calls[i].lists) })
				}
				wg.Wait()
				for _, c := range calls {
					r.ok(c.err)
					o.took(r, c)
				}
			},
			"seal": func(t *rapid.T) {
				s := shard(t)
				ends, err := r.log.Seal(r.ctx, []shardlog.Shard{s})
				if _, exists := o.held[s]; !exists {
					r.is(err, shardlog.ErrNoShard, "seal of no shard")
					return
				}
				r.ok(err)
				if end, sealed := o.ends[s]; sealed && end != ends[0] {
					r.Fatalf("sealed again, the end moved from %d to %d", end, ends[0])
				}
				o.ends[s] = ends[0]
			},
			"drop": func(t *rapid.T) {
				if rapid.IntRange(0, 3).Draw(t, "really") == 0 {
					s := shard(t)
					r.ok(r.log.Drop(r.ctx, []shardlog.Shard{s}))
					delete(o.held, s)
					delete(o.ends, s)
				}
			},
			"propose": func(t *rapid.T) {
				cmd := string(fill(uint64(len(o.cmds)), rapid.IntRange(1, 2000).Draw(t, "size")))
				v, err := r.log.Propose(r.ctx, []byte(cmd))
				r.ok(err)
				if v, _ := v.(Verdict); v.Number != len(o.cmds) {
					r.Fatalf("verdict %v for command %d", v, len(o.cmds))
				}
				o.cmds = append(o.cmds, cmd)
			},
			"reopen": func(t *rapid.T) { r.reopen() },
			"read": func(t *rapid.T) {
				s := shard(t)
				want, exists := o.held[s]
				lim := shardlog.Limit{Records: rapid.IntRange(0, 5).Draw(t, "records"), Bytes: rapid.SampledFrom([]int{0, 1, 500, 5000}).Draw(t, "bytes")}
				from := flow.Pos(rapid.Uint64Range(0, uint64(r.log.Next())).Draw(t, "from"))
				got, end, err := readAll(r.ctx, r.log, s, from, lim)
				if !exists {
					r.is(err, shardlog.ErrNoShard, "read of no shard")
					return
				}
				r.ok(err)
				for len(want) > 0 && want[0].pos < from {
					want = want[1:]
				}
				r.same(got, want)
				if _, sealed := o.ends[s]; sealed != end {
					r.Fatalf("end %v of a shard sealed %v", end, sealed)
				}
			},
		})
		for s, want := range o.held {
			r.holds(s, 0, want)
		}
		for i, line := range r.ledger.lines() {
			if line.Cmd != o.cmds[i] {
				r.Fatalf("command %d differs", i)
			}
		}
	})
}

// call is one Append of the model test.
type call struct {
	shards  []shardlog.Shard
	lists   [][]rec
	entries []shardlog.Entry
	err     error
}

func (o *oracle) call(t *rapid.T, shard func(*rapid.T) shardlog.Shard) (c call) {
	for range rapid.IntRange(1, 3).Draw(t, "entries") {
		o.seed++
		c.shards = append(c.shards, shard(t))
		c.lists = append(c.lists, records(o.seed, rapid.IntRange(1, 5).Draw(t, "records"), rapid.SampledFrom([]int{0, 3, 700, 20_000}).Draw(t, "size")))
	}
	return c
}

// took checks each entry's fate and adds what was stored.
func (o *oracle) took(r *rig, c call) {
	for i, e := range c.entries {
		s := c.shards[i]
		_, exists := o.held[s]
		_, sealed := o.ends[s]
		switch {
		case !exists:
			r.is(e.Err, shardlog.ErrNoShard, "append to no shard")
		case sealed:
			r.is(e.Err, shardlog.ErrSealed, "append to a sealed shard")
		default:
			r.ok(e.Err)
			stamp(e, c.lists[i])
			o.held[s] = append(o.held[s], c.lists[i]...)
			slices.SortFunc(o.held[s], func(a, b rec) int { return cmp.Compare(a.pos, b.pos) })
		}
	}
}
