package segment

import (
	"encoding/binary"
	"errors"
	"iter"
	"math"
	"slices"
	"sort"

	"github.com/thalweg/thalweg/shardlog"
)

// maxRanges bounds a decoded Set: 8 MiB of memory.
const maxRanges = 1 << 20

// Set is a sorted set of shard numbers, kept as ranges: shards are numbered
// densely, so most sets are a few of them. The zero Set is empty. A Set is
// immutable and may be copied.
type Set struct {
	ranges []shards
}

// shards is the range of numbers lo..hi, both included.
type shards struct{ lo, hi shardlog.Shard }

// SetOf makes a set of the given shards, in any order. Zero is no shard and
// is left out.
func SetOf(members ...shardlog.Shard) Set {
	members = slices.Clone(members)
	slices.Sort(members)
	var s Set
	for _, m := range members {
		if m != 0 {
			s.push(m)
		}
	}
	return s
}

// push adds a shard that is no less than any other.
func (s *Set) push(m shardlog.Shard) {
	if n := len(s.ranges); n > 0 {
		last := &s.ranges[n-1]
		if m == last.hi {
			return
		}
		if m-1 == last.hi {
			last.hi = m
			return
		}
	}
	s.ranges = append(s.ranges, shards{m, m})
}

// Has reports whether m is in the set.
func (s Set) Has(m shardlog.Shard) bool {
	i := sort.Search(len(s.ranges), func(i int) bool { return s.ranges[i].hi >= m })
	return i < len(s.ranges) && s.ranges[i].lo <= m
}

// Len is the number of shards in the set.
func (s Set) Len() int {
	n := 0
	for _, r := range s.ranges {
		n += int(r.hi-r.lo) + 1
	}
	return n
}

// All yields the shards in ascending order.
func (s Set) All() iter.Seq[shardlog.Shard] {
	return func(yield func(shardlog.Shard) bool) {
		for _, r := range s.ranges {
			for m := r.lo; ; m++ {
				if !yield(m) {
					return
				}
				if m == r.hi {
					break
				}
			}
		}
	}
}

// Equal reports whether both sets have the same shards.
func (s Set) Equal(t Set) bool { return slices.Equal(s.ranges, t.ranges) }

// AppendBinary appends the set's encoding (docs/format/segment.md) to dst.
func (s Set) AppendBinary(dst []byte) []byte {
	dst = binary.AppendUvarint(dst, uint64(len(s.ranges)))
	end := shardlog.Shard(0)
	for _, r := range s.ranges {
		dst = binary.AppendUvarint(dst, uint64(r.lo-end))
		dst = binary.AppendUvarint(dst, uint64(r.hi-r.lo))
		end = r.hi
	}
	return dst
}

var errSet = errors.New("malformed set of shards")

// DecodeSet splits a set off the front of b. It takes only what AppendBinary
// writes, and no memory before it knows that b is long enough.
func DecodeSet(b []byte) (s Set, rest []byte, err error) {
	n, b, ok := uvarint(b)
	if !ok || n > maxRanges || n > uint64(len(b)/2) {
		return Set{}, nil, errSet
	}
	if n == 0 {
		return Set{}, b, nil
	}
	s.ranges = make([]shards, 0, n)
	end, least := uint64(0), uint64(1)
	for range n {
		var gap, more uint64
		if gap, b, ok = uvarint(b); !ok || gap < least || gap > math.MaxUint32 {
			return Set{}, nil, errSet
		}
		if more, b, ok = uvarint(b); !ok || more > math.MaxUint32 || end+gap+more > math.MaxUint32 {
			return Set{}, nil, errSet
		}
		lo := end + gap
		end, least = lo+more, 2
		s.ranges = append(s.ranges, shards{shardlog.Shard(lo), shardlog.Shard(end)})
	}
	return s, b, nil
}

// uvarint splits a varint in its shortest form off b.
func uvarint(b []byte) (uint64, []byte, bool) {
	v, n := binary.Uvarint(b)
	if n <= 0 || (n > 1 && b[n-1] == 0) {
		return 0, nil, false
	}
	return v, b[n:], true
}
