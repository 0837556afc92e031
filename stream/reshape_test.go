package stream

import (
	"fmt"
	"slices"
	"testing"

	"pgregory.net/rapid"
)

func evenRanges(n int) []hashRange {
	open := make([]hashRange, n)
	for i := range open {
		open[i] = hashRange{evenStart(uint32(i), uint32(n)), MaxHash}
		if i > 0 {
			open[i-1].end = open[i].start.prev()
		}
	}
	return open
}

// carryOut does what a plan says and returns the open ranges in the end. Every
// shard is parent once, a merge's parents adjoin, and a parent's keys are its
// children's, neither more nor fewer.
func carryOut(t interface{ Fatalf(string, ...any) }, open []hashRange, births []birth) []hashRange {
	all := slices.Clone(open)
	children := make(map[int][]int)
	for i, b := range births {
		at := len(open) + i
		for _, p := range b.parents {
			if p >= at {
				t.Fatalf("%d is born of %d, which is younger", at, p)
			}
			children[p] = append(children[p], at)
		}
		all = append(all, b.hashRange)
	}
	var left []hashRange
	for i, r := range all {
		kids := children[i]
		switch len(kids) {
		case 0:
			left = append(left, r)
		case 1: // of a merge
			b := births[kids[0]-len(open)]
			if len(b.parents) != 2 {
				t.Fatalf("%d has one child, born of %v", i, b.parents)
			}
			p, q := all[b.parents[0]], all[b.parents[1]]
			if p.end.next() != q.start || b.start != p.start || b.end != q.end {
				t.Fatalf("merge of %v and %v to %v", p, q, b.hashRange)
			}
		case 2:
			p, q := births[kids[0]-len(open)], births[kids[1]-len(open)]
			if len(p.parents) != 1 || len(q.parents) != 1 || p.start != r.start || q.end != r.end || p.end.next() != q.start {
				t.Fatalf("split of %v to %v and %v", r, p, q)
			}
		default:
			t.Fatalf("%d has the children %v", i, kids)
		}
	}
	slices.SortFunc(left, func(a, b hashRange) int { return a.start.Compare(b.start) })
	return left
}

func shardsOf(ranges []hashRange) []ShardInfo {
	shards := make([]ShardInfo, len(ranges))
	for i, r := range ranges {
		shards[i] = ShardInfo{ID: fmt.Sprint(i), Start: r.start, End: r.end}
	}
	return shards
}

// The totals of open and closed shards that moto recorded from AWS
// (tests/test_kinesis/test_kinesis_boto3.py:312).
func TestTotalsAreThoseOfAWS(t *testing.T) {
	for _, c := range []struct{ from, to, total int }{
		{2, 4, 6}, {4, 5, 15}, {10, 13, 37}, {4, 2, 6}, {5, 3, 7}, {10, 3, 17},
	} {
		open := evenRanges(c.from)
		births := reshape(open, uniform(open, c.to))
		if got := c.from + len(births); got != c.total {
			t.Errorf("%d to %d shards: %d in all, AWS has %d", c.from, c.to, got, c.total)
		}
		left := carryOut(t, open, births)
		checkCover(t, shardsOf(left))
		if len(left) != c.to {
			t.Errorf("%d to %d shards: %d open", c.from, c.to, len(left))
		}
	}
	// Doubling is the fewest splits there can be, and the halves are even.
	open := evenRanges(2)
	if got, want := carryOut(t, open, reshape(open, uniform(open, 4))), evenRanges(4); !slices.Equal(got, want) {
		t.Errorf("2 to 4: %v, want %v", got, want)
	}
}

// Whatever partition a stream has and whatever is asked for, the plan leads
// there by splits and merges that adjoin, and covers the hash space.
func TestReshapeModel(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		n := rapid.IntRange(1, 60).Draw(t, "from")
		to := rapid.IntRange(1, 150).Draw(t, "to")
		open := evenRanges(n)
		if rapid.Bool().Draw(t, "skewed") {
			at := map[Hash]bool{{}: true}
			for range n - 1 {
				at[Hash{rapid.Uint64().Draw(t, "hi"), rapid.Uint64().Draw(t, "lo")}] = true
			}
			open = open[:0]
			for h := range at {
				open = append(open, hashRange{h, MaxHash})
			}
			slices.SortFunc(open, func(a, b hashRange) int { return a.start.Compare(b.start) })
			for i := range len(open) - 1 {
				open[i].end = open[i+1].start.prev()
			}
		}
		starts := uniform(open, to)
		left := carryOut(t, open, reshape(open, starts))
		checkCover(t, shardsOf(left))
		if len(left) != to {
			t.Fatalf("%d open, not %d", len(left), to)
		}
		for i, r := range left {
			if r.start != starts[i] {
				t.Fatalf("%d starts at %v, not %v", i, r.start, starts[i])
			}
		}
		// Up, the pieces of shards alike are alike within a factor of two.
		if !uneven(open) && to >= len(open) && uneven(left) && !uneven(evenRanges(to)) {
			var least, most = MaxHash, Hash{}
			for _, r := range left {
				w := r.end.sub(r.start)
				if w.Compare(least) < 0 {
					least = w
				}
				if w.Compare(most) > 0 {
					most = w
				}
			}
			if least.Hi < most.Hi/5 {
				t.Fatalf("from %d to %d: %v to %v keys", len(open), to, least, most)
			}
		}
	})
}

// share cuts as a division of big numbers would.
func TestShare(t *testing.T) {
	for _, n := range []uint64{2, 3, 7, 1000, 20000} {
		if got, want := MaxHash.share(n), evenStart(1, uint32(n)); got != want {
			t.Errorf("a %d-th of all: %v, want %v", n, got, want)
		}
	}
	if got := (Hash{0, 9}).share(3); got != (Hash{0, 3}) {
		t.Errorf("a third of 10: %v", got)
	}
}
