package wire

import (
	"bytes"
	"math"
	"strconv"
)

// What a JSON number stands for, in the three ways that AWS reads one. Each
// takes a number as Scanner.Number returns it; of none, after a failure, all make 0.

// truncate is the integer that number stands for: a fraction is cut off and
// what is beyond 64 bits becomes the nearest integer that is not.
func truncate(number []byte) int64 {
	if bytes.IndexByte(number, 'e') < 0 && bytes.IndexByte(number, 'E') < 0 {
		whole, _, _ := bytes.Cut(number, []byte{'.'})
		i, _ := strconv.ParseInt(string(whole), 10, 64) // out of range: the nearest
		return i
	}
	return clampInt(double(number))
}

func double(number []byte) float64 {
	f, _ := strconv.ParseFloat(string(number), 64) // out of range: infinite
	return f
}

// clampInt is f without its fraction, or the int64 nearest to it; 0 for NaN.
func clampInt(f float64) int64 {
	switch {
	case f != f:
		return 0
	case f >= math.MaxInt64:
		return math.MaxInt64
	case f <= math.MinInt64:
		return math.MinInt64
	}
	return int64(f)
}

// millis is a number of seconds in milliseconds, rounded to the nearest. The
// digits are used as they are while there is no exponent, so that no more than
// what was written is rounded.
func millis(number []byte) int64 {
	whole, frac, _ := bytes.Cut(number, []byte{'.'})
	s, err := strconv.ParseInt(string(whole), 10, 64)
	const most = math.MaxInt64/1000 - 1 // so that milliseconds and a carry fit as well
	if err != nil || s > most || s < -most || bytes.IndexByte(frac, 'e') >= 0 || bytes.IndexByte(frac, 'E') >= 0 {
		return clampInt(math.Round(double(number) * 1000))
	}
	var ms int64
	for i := range 3 {
		ms *= 10
		if i < len(frac) {
			ms += int64(frac[i] - '0')
		}
	}
	if len(frac) > 3 && frac[3] >= '5' {
		ms++
	}
	if bytes.HasPrefix(whole, []byte{'-'}) {
		ms = -ms
	}
	return s*1000 + ms
}
