package segment

// powers[k] is x^(2^k) modulo the CRC's polynomial, bits reflected: what joins
// checksums of pieces into that of the whole without touching the bytes again.
type powers [32]uint32

const (
	polynomial = 0x82f63b78 // Castagnoli's, reflected
	one        = 1 << 31    // x^0
)

func newPowers() (p powers) {
	p[0] = one >> 1
	for k := 1; k < len(p); k++ {
		p[k] = multiply(p[k-1], p[k-1])
	}
	return p
}

// join returns the checksum of a's bytes followed by b's, n of them.
func (p *powers) join(a, b uint32, n int) uint32 {
	shift := uint32(one)
	for k := 3; n > 0; n, k = n>>1, k+1 { // bytes are 2^3 bits
		if n&1 != 0 {
			shift = multiply(p[k], shift)
		}
	}
	return multiply(shift, a) ^ b
}

// multiply multiplies two polynomials modulo the CRC's.
func multiply(a, b uint32) (product uint32) {
	for ; a != 0; a <<= 1 {
		if a&one != 0 {
			product ^= b
		}
		b = b>>1 ^ polynomial&-(b&1)
	}
	return product
}
