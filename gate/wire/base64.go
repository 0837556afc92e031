package wire

import (
	"encoding/base64"
	"slices"

	simd "github.com/segmentio/asm/base64"
)

// Base64Len is the number of bytes that text, read as padded base64, stands
// for, or -1 if its length shows that it is not base64. It looks at the padding
// only: DecodeBase64 decides about the rest.
func Base64Len(text []byte) int {
	n := len(text)
	switch {
	case n%4 != 0:
		return -1
	case n == 0 || text[n-1] != '=':
		return n / 4 * 3
	case text[n-2] != '=':
		return n/4*3 - 1
	}
	return n/4*3 - 2
}

// DecodeBase64 decodes text, padded standard base64, into dst, whose length
// must be Base64Len(text), and reports whether text was valid to the last bit:
// unlike encoding/base64 it takes no line breaks, and the bits that padding
// leaves over must be zero. It writes to nothing beyond dst; after false what
// is in dst has no meaning.
func DecodeBase64(dst, text []byte) bool {
	if len(text) == 0 {
		return len(dst) == 0
	}
	if len(dst) != Base64Len(text) {
		return false
	}
	// A line break is skipped by the library and shows as missing bytes.
	n, err := simd.StdEncoding.Decode(dst, text)
	if err != nil || n != len(dst) {
		return false
	}
	tail := n % 3
	if tail == 0 {
		return true
	}
	var last [4]byte
	base64.StdEncoding.Encode(last[:], dst[n-tail:])
	return string(last[:]) == string(text[len(text)-4:])
}

// AppendBase64 appends data in padded standard base64.
func AppendBase64(dst, data []byte) []byte {
	n := base64.StdEncoding.EncodedLen(len(data))
	start := len(dst)
	dst = slices.Grow(dst, n)[:start+n]
	simd.StdEncoding.Encode(dst[start:], data)
	return dst
}
