package attr

import (
	"errors"
	"math/big"
	"strconv"
	"strings"
)

// Number is an exact decimal of at most 38 digits, whose first digit counts
// between 10^-130 and 10^125. Equal numbers are equal by ==, however they were
// written. The zero Number is 0.
type Number struct {
	digits string // without zeros at either end; empty for 0. The value is 0.digits * 10^exp
	exp    int16
	neg    bool
}

const (
	maxDigits = 38
	maxExp    = 126  // of 0.digits, so 10^125 and nine tenths more
	minExp    = -129 // so 10^-130
)

//lint:file-ignore ST1005 AWS begins its sentences with capitals

// What AWS says about numbers and names it does not take.
var (
	ErrOverflow  = errors.New("Number overflow. Attempting to store a number with magnitude larger than supported range")
	ErrUnderflow = errors.New("Number underflow. Attempting to store a number with magnitude smaller than supported range")
	ErrDigits    = errors.New("Attempting to store more than 38 significant digits in a Number")
	errEmpty     = errors.New("The parameter cannot be converted to a numeric value")

	errNoName   = errors.New("Empty attribute name")
	errLongName = errors.New("Attribute name is too large, must be less than 65536 bytes")
)

// ParseNumber reads a decimal, with or without a fraction and an exponent. Its
// errors have AWS's texts.
func ParseNumber(text string) (Number, error) {
	if text == "" {
		return Number{}, errEmpty
	}
	mantissa, exp, ok := cutExponent(text)
	if !ok {
		return Number{}, notNumeric(text)
	}
	neg := false
	switch {
	case strings.HasPrefix(mantissa, "-"):
		neg, mantissa = true, mantissa[1:]
	case strings.HasPrefix(mantissa, "+"):
		mantissa = mantissa[1:]
	}
	whole, fraction, _ := strings.Cut(mantissa, ".")
	if whole+fraction == "" || strings.Trim(whole+fraction, "0123456789") != "" {
		return Number{}, notNumeric(text)
	}
	n, err := normal(neg, whole+fraction, exp+len(whole))
	return n, err
}

func notNumeric(text string) error {
	return errors.New("The parameter cannot be converted to a numeric value: " + text)
}

// cutExponent splits the exponent off. One too large for any number we take
// becomes one that is out of range as well.
func cutExponent(text string) (mantissa string, exp int, ok bool) {
	at := strings.IndexAny(text, "eE")
	if at < 0 {
		return text, 0, true
	}
	mantissa, rest := text[:at], text[at+1:]
	neg := strings.HasPrefix(rest, "-")
	if neg || strings.HasPrefix(rest, "+") {
		rest = rest[1:]
	}
	if rest == "" || strings.Trim(rest, "0123456789") != "" {
		return "", 0, false
	}
	for _, c := range rest {
		exp = min(exp*10+int(c-'0'), 1<<30)
	}
	if neg {
		exp = -exp
	}
	return mantissa, exp, true
}

// normal makes the number 0.digits * 10^exp.
func normal(neg bool, digits string, exp int) (Number, error) {
	n := len(digits)
	digits = strings.TrimLeft(digits, "0")
	exp -= n - len(digits)
	digits = strings.TrimRight(digits, "0")
	switch {
	case digits == "":
		return Number{}, nil
	case exp > maxExp:
		return Number{}, ErrOverflow
	case exp < minExp:
		return Number{}, ErrUnderflow
	case len(digits) > maxDigits:
		return Number{}, ErrDigits
	}
	return Number{digits, int16(exp), neg}, nil
}

// String is the number as AWS answers with it: all digits, no exponent.
func (n Number) String() string { return string(n.Append(nil)) }

// Append appends String.
func (n Number) Append(dst []byte) []byte {
	if n.digits == "" {
		return append(dst, '0')
	}
	if n.neg {
		dst = append(dst, '-')
	}
	exp := int(n.exp)
	if exp <= 0 {
		dst = append(dst, '0', '.')
		for range -exp {
			dst = append(dst, '0')
		}
		return append(dst, n.digits...)
	}
	if exp >= len(n.digits) {
		dst = append(dst, n.digits...)
		for range exp - len(n.digits) {
			dst = append(dst, '0')
		}
		return dst
	}
	dst = append(append(dst, n.digits[:exp]...), '.')
	return append(dst, n.digits[exp:]...)
}

// Compare is negative, zero or positive as n is less than, equal to or greater than m.
func (n Number) Compare(m Number) int {
	if a, b := n.sign(), m.sign(); a != b || a == 0 {
		return a - b
	}
	order := int(n.exp) - int(m.exp)
	if order == 0 {
		order = strings.Compare(n.digits, m.digits)
	}
	if n.neg {
		return -order
	}
	return order
}

func (n Number) sign() int {
	switch {
	case n.digits == "":
		return 0
	case n.neg:
		return -1
	}
	return 1
}

// Add is n + m, exactly, or the error that the sum is not a Number: of one with
// too many digits AWS says that it is too large.
func (n Number) Add(m Number) (Number, error) {
	if n.digits == "" {
		return m, nil
	}
	if m.digits == "" {
		return n, nil
	}
	low := min(n.last(), m.last())
	if max(int(n.exp), int(m.exp))-low > 2*maxDigits+2 { // they lie too far apart for any 38 digits
		return Number{}, ErrOverflow
	}
	if a, ok := n.small(low); ok {
		if b, ok := m.small(low); ok {
			sum := a + b
			digits := strconv.FormatInt(max(sum, -sum), 10)
			return normal(sum < 0, digits, len(digits)+low)
		}
	}
	sum := new(big.Int).Add(n.scaled(low), m.scaled(low))
	digits := new(big.Int).Abs(sum).String()
	r, err := normal(sum.Sign() < 0, digits, len(digits)+low)
	if err == ErrDigits { //nolint:errorlint // this very value
		err = ErrOverflow
	}
	return r, err
}

// Sub is n - m.
func (n Number) Sub(m Number) (Number, error) {
	if m.digits != "" {
		m.neg = !m.neg
	}
	return n.Add(m)
}

// last is the power of ten of the last digit.
func (n Number) last() int { return int(n.exp) - len(n.digits) }

// scaled is n / 10^low, an integer.
func (n Number) scaled(low int) *big.Int {
	i, _ := new(big.Int).SetString(n.digits+strings.Repeat("0", n.last()-low), 10)
	if n.neg {
		i.Neg(i)
	}
	return i
}

// small is scaled for numbers of which two can be added within an int64.
func (n Number) small(low int) (v int64, ok bool) {
	zeros := n.last() - low
	if len(n.digits)+zeros > 18 {
		return 0, false
	}
	for i := range len(n.digits) {
		v = v*10 + int64(n.digits[i]-'0')
	}
	for range zeros {
		v *= 10
	}
	if n.neg {
		v = -v
	}
	return v, true
}

// Int returns the number's whole part, cut to what an int64 holds.
func (n Number) Int() int64 {
	if n.exp <= 0 || n.digits == "" {
		return 0
	}
	var v int64
	for i := range int(n.exp) {
		d := int64(0)
		if i < len(n.digits) {
			d = int64(n.digits[i] - '0')
		}
		if v > (1<<63-1-d)/10 {
			v = 1<<63 - 1
			break
		}
		v = v*10 + d
	}
	if n.neg {
		return -v
	}
	return v
}

// Whole makes a Number of an integer.
func Whole(i int64) Number {
	n, _ := ParseNumber(big.NewInt(i).String()) // at most 19 digits
	return n
}

// size is AWS's reckoning: a byte for each two digits, aligned at the point,
// and one more; one for the sign of a negative number.
func (n Number) size() int {
	if n.digits == "" {
		return 1
	}
	pairs := (len(n.digits) + 1) / 2
	if len(n.digits)%2 == 0 && n.exp%2 != 0 {
		pairs++
	}
	if n.neg {
		pairs++
	}
	return pairs + 1
}
