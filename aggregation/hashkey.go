package aggregation

import (
	"bytes"
	"crypto/md5"
	"fmt"
	"math/big"
	"strings"
)

// HashKey is what Kinesis routes by: a number of 128 bits, most significant
// byte first. Those of a shard lie between its StartingHashKey and its
// EndingHashKey, both included.
type HashKey [16]byte

// HashKey returns the key that Kinesis would route r by if it were put alone:
// its explicit hash key, or the MD5 of its partition key. The error says that
// the explicit one is no decimal number below 2^128.
func (r Record) HashKey() (HashKey, error) {
	if r.ExplicitHashKey != "" {
		return ParseHashKey(r.ExplicitHashKey)
	}
	return hashOf(r.PartitionKey), nil
}

func hashOf(partitionKey string) HashKey { return md5.Sum([]byte(partitionKey)) }

// ParseHashKey reads a hash key as Kinesis writes it: decimal.
func ParseHashKey(decimal string) (k HashKey, err error) {
	n, ok := new(big.Int), len(decimal) > 0 && len(decimal) <= 39 && strings.Trim(decimal, "0123456789") == ""
	if ok {
		n, ok = n.SetString(decimal, 10)
	}
	if !ok || n.BitLen() > 8*len(k) {
		return k, fmt.Errorf("hash key %q is no decimal number below 2^128", decimal)
	}
	n.FillBytes(k[:])
	return k, nil
}

// String is k as Kinesis writes it: decimal.
func (k HashKey) String() string { return new(big.Int).SetBytes(k[:]).String() }

// Compare is negative, zero or positive as k is below, equal to or above l.
func (k HashKey) Compare(l HashKey) int { return bytes.Compare(k[:], l[:]) }
