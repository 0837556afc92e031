package stream

import (
	"crypto/md5"
	"encoding/binary"
	"math/bits"
	"unsafe"

	"github.com/thalweg/thalweg/fault"
)

// Hash is a hash key: an unsigned number of 128 bits. Records are routed by it.
type Hash struct{ Hi, Lo uint64 }

// MaxHash is the greatest hash key, 2^128-1.
var MaxHash = Hash{1<<64 - 1, 1<<64 - 1}

// HashKey returns the hash key of a partition key: its MD5 as a big-endian
// number.
func HashKey(partitionKey string) Hash {
	sum := md5.Sum(unsafe.Slice(unsafe.StringData(partitionKey), len(partitionKey)))
	return Hash{binary.BigEndian.Uint64(sum[:8]), binary.BigEndian.Uint64(sum[8:])}
}

// ParseHash reads a hash key in decimal, without leading zeros. The fault is
// Invalid, in the words AWS has for an ExplicitHashKey.
func ParseHash(decimal string) (Hash, error) {
	n, ok := parseDecimal(decimal)
	if !ok || n[2] != 0 {
		return Hash{}, fault.New(fault.Invalid,
			"Invalid ExplicitHashKey. ExplicitHashKey must be in the range: [0, 2^128-1]. Specified value was %s", decimal)
	}
	return Hash{n[1], n[0]}, nil
}

// AppendText appends the number in decimal: 1 to 39 digits.
func (h Hash) AppendText(dst []byte) []byte { return appendDecimal(dst, limbs{h.Lo, h.Hi, 0}) }

func (h Hash) String() string { return string(h.AppendText(make([]byte, 0, 39))) }

// Compare returns -1, 0 or 1 as h is below, equal to or above o.
func (h Hash) Compare(o Hash) int {
	switch {
	case h == o:
		return 0
	case h.Hi < o.Hi || h.Hi == o.Hi && h.Lo < o.Lo:
		return -1
	}
	return 1
}

// next returns h+1, prev h-1; both wrap around.
func (h Hash) next() Hash {
	lo, c := bits.Add64(h.Lo, 1, 0)
	return Hash{h.Hi + c, lo}
}

func (h Hash) prev() Hash {
	lo, b := bits.Sub64(h.Lo, 1, 0)
	return Hash{h.Hi - b, lo}
}

// evenStart returns where shard i of n starts when the hash space is cut
// evenly: i * floor(2^128 / n). The last shard takes what is left over, less
// than n keys.
func evenStart(i, n uint32) Hash {
	if i == 0 {
		return Hash{}
	}
	// 2^128 / n by long division: the first digit is 1 (times 2^128), which n
	// divides only if it is 1, and then i is 0.
	hi, rem := bits.Div64(1, 0, uint64(n))
	lo, _ := bits.Div64(rem, 0, uint64(n))
	carry, low := bits.Mul64(lo, uint64(i))
	return Hash{hi*uint64(i) + carry, low}
}
