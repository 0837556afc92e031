package wire

import (
	"encoding/binary"
	"math"
	"strconv"
	"unicode/utf8"
)

// AppendString appends s as a JSON string, quotes included. Bytes that are not
// UTF-8 come out as U+FFFD each; nothing beyond what JSON demands is escaped.
func AppendString[T ~string | ~[]byte](dst []byte, s T) []byte {
	const hex = "0123456789abcdef"
	dst = append(dst, '"')
	start := 0
	for i := 0; i < len(s); {
		c := s[i]
		if c >= utf8.RuneSelf {
			r, n := utf8.DecodeRuneInString(string(s[i:min(i+utf8.UTFMax, len(s))]))
			if r == utf8.RuneError && n == 1 {
				dst = append(dst, s[start:i]...)
				dst = utf8.AppendRune(dst, utf8.RuneError)
				start = i + 1
			}
			i += n
			continue
		}
		if c >= 0x20 && c != '"' && c != '\\' {
			i++
			continue
		}
		dst = append(dst, s[start:i]...)
		switch c {
		case '"', '\\':
			dst = append(dst, '\\', c)
		case '\n':
			dst = append(dst, '\\', 'n')
		case '\r':
			dst = append(dst, '\\', 'r')
		case '\t':
			dst = append(dst, '\\', 't')
		default:
			dst = append(dst, '\\', 'u', '0', '0', hex[c>>4], hex[c&15])
		}
		i++
		start = i
	}
	dst = append(dst, s[start:]...)
	return append(dst, '"')
}

// AppendBlob appends data as a JSON string of base64, quotes included.
func AppendBlob(dst, data []byte) []byte {
	dst = append(dst, '"')
	dst = AppendBase64(dst, data)
	return append(dst, '"')
}

// AppendSeconds appends ms, milliseconds since 1970, as the JSON number that
// AWS writes for a timestamp: seconds with three decimals and no exponent,
// which Java's parsers choke on.
func AppendSeconds(dst []byte, ms int64) []byte {
	u := uint64(ms)
	if ms < 0 {
		dst = append(dst, '-')
		u = -u
	}
	dst = strconv.AppendUint(dst, u/1000, 10)
	u %= 1000
	return append(dst, '.', byte('0'+u/100), byte('0'+u/10%10), byte('0'+u%10))
}

// Major is a major type of CBOR, in the place it has in the first byte.
type Major byte

// The major types (RFC 8949, section 3.1).
const (
	MajorUint   Major = 0 << 5
	MajorNegInt Major = 1 << 5
	MajorBytes  Major = 2 << 5
	MajorText   Major = 3 << 5
	MajorList   Major = 4 << 5
	MajorMap    Major = 5 << 5
	MajorTag    Major = 6 << 5
	MajorSimple Major = 7 << 5 // booleans, null, floats, the break
)

// The one-byte items of major type 7.
const (
	cborFalse     = 0xf4
	cborTrue      = 0xf5
	cborNull      = 0xf6
	cborUndefined = 0xf7
	cborHalf      = 0xf9
	cborFloat     = 0xfa
	cborDouble    = 0xfb
	cborBreak     = 0xff

	tagEpoch = 1 // the tag of a timestamp
)

// AppendHead appends the head of a CBOR item of type m with argument n, in the
// shortest form: the number itself, the length of a string, the number of
// elements of a list or of pairs of a map, or the number of a tag.
func AppendHead(dst []byte, m Major, n uint64) []byte {
	switch {
	case n < 24:
		return append(dst, byte(m)|byte(n))
	case n <= math.MaxUint8:
		return append(dst, byte(m)|24, byte(n))
	case n <= math.MaxUint16:
		return binary.BigEndian.AppendUint16(append(dst, byte(m)|25), uint16(n))
	case n <= math.MaxUint32:
		return binary.BigEndian.AppendUint32(append(dst, byte(m)|26), uint32(n))
	}
	return binary.BigEndian.AppendUint64(append(dst, byte(m)|27), n)
}

// AppendCBORText appends s as a CBOR text string. The caller sees to it that s
// is UTF-8.
func AppendCBORText[T ~string | ~[]byte](dst []byte, s T) []byte {
	return append(AppendHead(dst, MajorText, uint64(len(s))), s...)
}

// AppendCBORBytes appends data as a CBOR byte string.
func AppendCBORBytes(dst, data []byte) []byte {
	return append(AppendHead(dst, MajorBytes, uint64(len(data))), data...)
}

// AppendCBORInt appends n as a CBOR integer.
func AppendCBORInt(dst []byte, n int64) []byte {
	if n < 0 {
		return AppendHead(dst, MajorNegInt, uint64(^n))
	}
	return AppendHead(dst, MajorUint, uint64(n))
}

// AppendCBORBool appends a CBOR boolean.
func AppendCBORBool(dst []byte, v bool) []byte {
	if v {
		return append(dst, cborTrue)
	}
	return append(dst, cborFalse)
}

// AppendCBORDouble appends v as a CBOR float of 64 bits.
func AppendCBORDouble(dst []byte, v float64) []byte {
	return binary.BigEndian.AppendUint64(append(dst, cborDouble), math.Float64bits(v))
}

// AppendCBORTime appends ms, milliseconds since 1970, as AWS's CBOR dialect has
// timestamps: tag 1 over the integer. (RFC 8949 means seconds by that tag.)
func AppendCBORTime(dst []byte, ms int64) []byte {
	return AppendCBORInt(append(dst, byte(MajorTag)|tagEpoch), ms)
}
