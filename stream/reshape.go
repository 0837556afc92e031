package stream

import (
	"cmp"
	"math/bits"
	"slices"
)

// What UpdateShardCount and on-demand scaling make of a stream's shards is
// decided here, by functions of hash ranges alone.

// birth is a shard to be made: its range, and its one parent (of a split) or
// two (of a merge). A parent is a place among the shards that are there,
// followed by the births before this one.
type birth struct {
	hashRange
	parents []int
}

// uniform returns where the shards start when n of them are to take the place
// of open ones, in order of their ranges, as evenly as AWS's UNIFORM_SCALING.
// The totals of shards that moto recorded from AWS tell
// what that does:
//
//   - up to double: every shard is split once and what is too many merged, 4 to
//     5 by 4 splits and 3 merges. So the shards fall into as many runs of
//     neighbours as there are to be more of them, and a run of k is cut evenly
//     into k+1.
//   - down: shards are merged and never split, 5 to 3 by 2 merges.
//
// Beyond double, which AWS does for warm throughput, every shard is cut evenly
// into as many as its share. Ranges that manual splits have made very uneven
// are done away with: then the whole is cut evenly anew.
func uniform(open []hashRange, n int) []Hash {
	m := len(open)
	starts := make([]Hash, 0, n)
	// cut adds the starts of pieces even ones of the run open[from:to].
	cut := func(from, to, pieces int) {
		start, end := open[from].start, open[to-1].end
		each := end.sub(start).share(uint64(pieces))
		for range pieces {
			starts = append(starts, start)
			start = start.add(each)
		}
	}
	switch {
	case uneven(open):
		for i := range uint32(n) {
			starts = append(starts, evenStart(i, uint32(n)))
		}
	case n == m:
		for _, r := range open {
			starts = append(starts, r.start)
		}
	case n < m:
		for i := range n {
			starts = append(starts, open[i*m/n].start)
		}
	case n <= 2*m:
		runs := n - m
		for i := range runs {
			from, to := i*m/runs, (i+1)*m/runs
			cut(from, to, to-from+1)
		}
	default:
		for i := range m {
			cut(i, i+1, (i+1)*n/m-i*n/m)
		}
	}
	return starts
}

// uneven tells whether the widest range has more than twice the keys of the
// narrowest, give or take what an uneven division leaves over.
func uneven(open []hashRange) bool {
	least, most := MaxHash, Hash{}
	for _, r := range open {
		w := r.end.sub(r.start)
		if w.Compare(least) < 0 {
			least = w
		}
		if w.Compare(most) > 0 {
			most = w
		}
	}
	half := most.share(2)
	// A key range of 2^128/20000 and a remainder of 20,000 differ by far more
	// than this tells apart.
	slack := Hash{0, 1 << 20}
	return half.Compare(slack) > 0 && half.sub(slack).Compare(least) > 0
}

// reshape plans the splits and merges that lead from open shards, in order of
// their ranges, to ones that begin at starts (ascending, the first at 0). Each
// start that is none yet takes a split and each that is no more a merge; all
// splits come before all merges. A shard that is split again, or merged, is one
// of AWS's short-lived ones.
func reshape(open []hashRange, starts []Hash) []birth {
	type shard struct {
		hashRange
		place int
	}
	now := make([]shard, len(open))
	for i, r := range open {
		now[i] = shard{r, i}
	}
	var births []birth
	bear := func(r hashRange, parents ...int) shard {
		births = append(births, birth{r, parents})
		return shard{r, len(open) + len(births) - 1}
	}
	// Rounds of splits: each shard in the middle of the starts within it.
	for again := true; again; {
		again = false
		next := make([]shard, 0, len(starts))
		rest := starts
		for _, s := range now {
			for len(rest) > 0 && rest[0].Compare(s.start) <= 0 {
				rest = rest[1:]
			}
			inside, _ := slices.BinarySearchFunc(rest, s.end, func(h, end Hash) int {
				return cmp.Or(h.Compare(end), -1) // the first above end
			})
			if inside == 0 {
				next = append(next, s)
				continue
			}
			again = again || inside > 1
			at := rest[inside/2]
			next = append(next, bear(hashRange{s.start, at.prev()}, s.place), bear(hashRange{at, s.end}, s.place))
		}
		now = next
	}
	// Rounds of merges: neighbours with no start between them, in pairs.
	for again := true; again; {
		again = false
		next := make([]shard, 0, len(now))
		rest := starts
		for i := 0; i < len(now); i++ {
			s := now[i]
			for len(rest) > 0 && rest[0].Compare(s.start) <= 0 {
				rest = rest[1:]
			}
			if i+1 < len(now) && (len(rest) == 0 || now[i+1].start != rest[0]) {
				i++
				s = bear(hashRange{s.start, now[i].end}, s.place, now[i].place)
				again = true
			}
			next = append(next, s)
		}
		now = next
	}
	return births
}

func (h Hash) add(o Hash) Hash {
	lo, c := bits.Add64(h.Lo, o.Lo, 0)
	hi, _ := bits.Add64(h.Hi, o.Hi, c)
	return Hash{hi, lo}
}

func (h Hash) sub(o Hash) Hash {
	lo, b := bits.Sub64(h.Lo, o.Lo, 0)
	hi, _ := bits.Sub64(h.Hi, o.Hi, b)
	return Hash{hi, lo}
}

// share returns the keys of each when a range of h+1 keys is cut into n, at
// least 2^64 times fewer: what is left over is the last one's.
func (h Hash) share(n uint64) Hash {
	if n == 1 {
		return h // h+1 may be more than a Hash holds, and nobody asks for the second
	}
	hi, rem := h.Hi/n, h.Hi%n
	lo, rem := bits.Div64(rem, h.Lo, n)
	q := Hash{hi, lo}
	if rem == n-1 {
		q = q.next()
	}
	return q
}
