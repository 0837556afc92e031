package aggregation

import (
	"encoding/binary"
	"math/bits"
)

// Wire types of Protocol Buffers: the low three bits of a field's tag.
const (
	wireVarint = 0
	wire64     = 1
	wireBytes  = 2
	wireGroup  = 3
	wireEnd    = 4
	wire32     = 5
)

// Tags of the fields that the format knows, number and wire type. A known
// number with another type is an unknown field, as in AWS's parsers.
const (
	tagPartitionKey = 1<<3 | wireBytes // of AggregatedRecord
	tagHashKey      = 2<<3 | wireBytes
	tagRecord       = 3<<3 | wireBytes

	tagPartitionKeyIndex = 1<<3 | wireVarint // of Record
	tagHashKeyIndex      = 2<<3 | wireVarint
	tagData              = 3<<3 | wireBytes
	tagTag               = 4<<3 | wireBytes

	tagTagKey   = 1<<3 | wireBytes // of Tag
	tagTagValue = 2<<3 | wireBytes
)

// maxDepth is how deep groups of unknown fields may be nested.
const maxDepth = 100

// field cuts the first field off b, which is not empty: its tag, its number if
// it is a varint, its bytes if it is of wireBytes. A tag of 0 says that b is
// malformed.
func field(b []byte) (tag, number uint64, value, rest []byte) {
	tag, b = varint(b)
	switch {
	case tag>>3 == 0 || tag >= 1<<32 || b == nil:
		return 0, 0, nil, nil
	case tag&7 == wireVarint:
		number, b = varint(b)
	case tag&7 == wireBytes:
		number, b = varint(b)
		if number > uint64(len(b)) || b == nil {
			return 0, 0, nil, nil
		}
		return tag, 0, b[:number:number], b[number:]
	default:
		b = skip(b, tag, maxDepth)
	}
	if b == nil {
		return 0, 0, nil, nil
	}
	return tag, number, nil, b
}

// skip returns what follows the value of a field of another wire type, or nil
// when b is malformed.
func skip(b []byte, tag uint64, depth int) []byte {
	size := uint64(0)
	switch tag & 7 {
	case wire64:
		size = 8
	case wire32:
		size = 4
	case wireGroup:
		return skipGroup(b, tag>>3, depth)
	default: // the end of a group that never began, or no wire type at all
		return nil
	}
	if size > uint64(len(b)) {
		return nil
	}
	return b[size:]
}

func skipGroup(b []byte, number uint64, depth int) []byte {
	for depth > 0 && len(b) > 0 {
		tag, rest := varint(b)
		switch {
		case rest == nil:
			return nil
		case tag == number<<3|wireEnd:
			return rest
		case tag&7 == wireGroup && tag>>3 != 0 && tag < 1<<32:
			b = skipGroup(rest, tag>>3, depth-1)
		default:
			if tag, _, _, b = field(b); tag == 0 {
				return nil
			}
		}
	}
	return nil
}

// varint cuts a number off b. rest is nil when there is none.
func varint(b []byte) (v uint64, rest []byte) {
	if len(b) > 0 && b[0] < 0x80 {
		return uint64(b[0]), b[1:]
	}
	return longVarint(b)
}

func longVarint(b []byte) (v uint64, rest []byte) {
	v, n := binary.Uvarint(b)
	if n <= 0 {
		return 0, nil
	}
	return v, b[n:]
}

// entry is a Record as it stands in a message.
type entry struct {
	key, hashKey uint64 // indexes into the tables
	hashed       bool   // there is a hashKey
	tags         int
	data         []byte
	whole        []byte
}

// readEntry reads a Record. It is false when the bytes do not parse as one
// with all that is required.
func readEntry(b []byte) (e entry, ok bool) {
	e.whole = b
	var keyed, filled bool
	for len(b) > 0 {
		tag, number, value, rest := field(b)
		switch tag {
		case 0:
			return e, false
		case tagPartitionKeyIndex:
			e.key, keyed = number, true
		case tagHashKeyIndex:
			e.hashKey, e.hashed = number, true
		case tagData:
			e.data, filled = value, true
		case tagTag:
			if _, _, ok := readTag(value); !ok {
				return e, false
			}
			e.tags++
		}
		b = rest
	}
	return e, keyed && filled
}

// readTags reads the tags of a Record that readEntry found well-formed.
func (e *entry) readTags() []Tag {
	tags := make([]Tag, 0, e.tags)
	for b := e.whole; len(b) > 0; {
		tag, _, value, rest := field(b)
		if tag == tagTag {
			k, v, _ := readTag(value)
			tags = append(tags, Tag{string(k), string(v)})
		}
		b = rest
	}
	return tags
}

func readTag(b []byte) (key, value []byte, ok bool) {
	for len(b) > 0 {
		tag, _, bytes, rest := field(b)
		switch tag {
		case 0:
			return nil, nil, false
		case tagTagKey:
			key, ok = bytes, true
		case tagTagValue:
			value = bytes
		}
		b = rest
	}
	return key, value, ok
}

// sizeVarint is the number of bytes of v as a varint.
func sizeVarint(v uint64) int { return (bits.Len64(v|1) + 6) / 7 }

// sizeBytes is the size of a field of n bytes, its one-byte tag and its length
// included.
func sizeBytes(n int) int { return 1 + sizeVarint(uint64(n)) + n }

func appendBytes[T ~string | ~[]byte](dst []byte, tag byte, value T) []byte {
	dst = binary.AppendUvarint(append(dst, tag), uint64(len(value)))
	return append(dst, value...)
}
