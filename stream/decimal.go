package stream

import "math/bits"

// limbs is an unsigned number of 192 bits, least significant limb first. Hash
// keys and sequence numbers are such numbers, written in decimal.
type limbs [3]uint64

const (
	ten18 = 1e18
	ten19 = 1e19 // the greatest power of ten in 64 bits
)

const digitPairs = "00010203040506070809" +
	"10111213141516171819" +
	"20212223242526272829" +
	"30313233343536373839" +
	"40414243444546474849" +
	"50515253545556575859" +
	"60616263646566676869" +
	"70717273747576777879" +
	"80818283848586878889" +
	"90919293949596979899"

// divTen19 divides n by 10^19.
func divTen19(n limbs) (q limbs, r uint64) {
	if r = n[2]; r >= ten19 {
		q[2], r = 1, r-ten19 // 2^64 is less than twice 10^19
	}
	if r != 0 || n[1] >= ten19 {
		q[1], r = bits.Div64(r, n[1], ten19)
	} else {
		r = n[1]
	}
	q[0], r = bits.Div64(r, n[0], ten19)
	return q, r
}

// appendDecimal appends n in decimal. It cuts n into groups of 19 digits, so
// that all but a few divisions are of 64-bit numbers.
func appendDecimal(dst []byte, n limbs) []byte {
	var text [4 * 19]byte // 2^192 has 58 digits
	at := len(text) - 19
	for n[1]|n[2] != 0 || n[0] >= ten19 {
		var group uint64
		n, group = divTen19(n)
		putDigits(text[at:at+19], group)
		at -= 19
	}
	putDigits(text[at:at+19], n[0])
	for at < len(text)-1 && text[at] == '0' {
		at++
	}
	return append(dst, text[at:]...)
}

// putDigits fills the 19 bytes of text with v, which is below 10^19.
func putDigits(text []byte, v uint64) {
	_ = text[18]
	text[0] = byte('0' + v/ten18)
	v %= ten18
	// Two halves of nine digits: 32-bit divisions are much cheaper.
	putNine((*[9]byte)(text[1:10]), uint32(v/1e9))
	putNine((*[9]byte)(text[10:19]), uint32(v%1e9))
}

// putNine halves the number again and again, so that the divisions of one do
// not wait for those of the other.
func putNine(text *[9]byte, v uint32) {
	high, low := v/10000, v%10000
	text[0] = byte('0' + high/10000)
	high %= 10000
	a, b, c, d := high/100*2, high%100*2, low/100*2, low%100*2
	text[1], text[2] = digitPairs[a], digitPairs[a+1]
	text[3], text[4] = digitPairs[b], digitPairs[b+1]
	text[5], text[6] = digitPairs[c], digitPairs[c+1]
	text[7], text[8] = digitPairs[d], digitPairs[d+1]
}

// parseDecimal reads 0|[1-9][0-9]* that fits into 192 bits.
func parseDecimal(s string) (limbs, bool) {
	if s == "" || len(s) > 58 || s[0] == '0' && len(s) > 1 {
		return limbs{}, false
	}
	var n limbs
	for len(s) > 0 {
		group, scale := uint64(0), uint64(1)
		k := min(19, len(s))
		for i := range k {
			d := s[i] - '0'
			if d > 9 {
				return limbs{}, false
			}
			group, scale = group*10+uint64(d), scale*10
		}
		s = s[k:]
		carry := group
		for i := range n {
			hi, lo := bits.Mul64(n[i], scale)
			var c uint64
			n[i], c = bits.Add64(lo, carry, 0)
			carry = hi + c
		}
		if carry != 0 {
			return limbs{}, false
		}
	}
	return n, true
}
