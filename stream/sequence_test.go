package stream

import (
	"math/big"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/thalweg/thalweg/flow"
)

func bigOf(n limbs) *big.Int {
	b := new(big.Int)
	for i := len(n) - 1; i >= 0; i-- {
		b.Add(b.Lsh(b, 64), new(big.Int).SetUint64(n[i]))
	}
	return b
}

func TestDecimal(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		limb := rapid.OneOf(rapid.Uint64(), rapid.SampledFrom([]uint64{0, 1, ten18, ten19, ten19 - 1, 1<<64 - 1}))
		n := limbs{limb.Draw(t, "0"), limb.Draw(t, "1"), limb.Draw(t, "2")}
		text := string(appendDecimal(nil, n))
		if want := bigOf(n).String(); text != want {
			t.Fatalf("%x is %s, want %s", n, text, want)
		}
		if back, ok := parseDecimal(text); !ok || back != n {
			t.Fatalf("%s parses to %x, %v, want %x", text, back, ok, n)
		}
	})
	limit := new(big.Int).Lsh(big.NewInt(1), 192).String()
	for _, bad := range []string{"", "00", "01", "-1", "+1", "1a", " 1", limit, limit + "0", strings.Repeat("9", 129)} {
		if n, ok := parseDecimal(bad); ok {
			t.Errorf("%q parses to %x", bad, n)
		}
	}
}

// The layout is AWS's: 47 hex digits, 2 | created: 9 | low
// nibble of the shard: 1 | position: 16 | 00 | seconds: 9 | shard: 8 | 2.
func TestSequenceLayout(t *testing.T) {
	s := Sequence{Created: 0x123456789, Shard: 0x1234567a, Pos: 0x0fedcba987654321, Secs: 0x1abcdef01, Version: 2}
	if got, want := bigOf(s.limbs()).Text(16), "2"+"123456789"+"a"+"0fedcba987654321"+"00"+"1abcdef01"+"1234567a"+"2"; got != want {
		t.Errorf("%s, want %s", got, want)
	}
	// kinesalite test/createStream.js: the starting numbers of neighbouring
	// shards differ by this much.
	a := Sequence{Created: 1500000000, Shard: 0, Secs: 1500000000, Version: 2}
	b := a
	b.Shard = 1
	if got := new(big.Int).Sub(bigOf(b.limbs()), bigOf(a.limbs())).String(); got != "22300745198530623141535718272648361505980432" {
		t.Errorf("neighbours differ by %s", got)
	}
	if text := a.String(); len(text) != 56 || text[:2] != "49" {
		t.Errorf("%s must have 56 digits and start with 49", text)
	}
}

func TestSequenceRoundTrip(t *testing.T) {
	gen := rapid.Custom(func(t *rapid.T) Sequence {
		return Sequence{
			Created: rapid.Int64Range(0, mask36).Draw(t, "created"),
			Shard:   rapid.Uint32Range(0, maxShardIndex).Draw(t, "shard"),
			Pos:     flow.Pos(rapid.Uint64Range(0, 1<<63-1).Draw(t, "pos")),
			Secs:    rapid.Int64Range(0, mask36).Draw(t, "secs"),
			Version: uint8(rapid.IntRange(1, 2).Draw(t, "version")),
		}
	})
	rapid.Check(t, func(t *rapid.T) {
		a, b := gen.Draw(t, "a"), gen.Draw(t, "b")
		if back, err := ParseSequence(a.String()); err != nil || back != a {
			t.Fatalf("%+v becomes %+v, %v", a, back, err)
		}
		if got, want := a.Compare(b), bigOf(a.limbs()).Cmp(bigOf(b.limbs())); got != want {
			t.Fatalf("Compare %d, want %d", got, want)
		}
		// Within a shard numbers grow with the position, and a shard created
		// later has greater ones: clients compare them as integers.
		next := a
		next.Pos, next.Secs = b.Pos, b.Secs
		if a.Pos < b.Pos && a.Compare(next) >= 0 || a.Created < b.Created && a.Compare(b) >= 0 {
			t.Fatalf("%v is not below %v", a, b)
		}
	})
}

func hexToDecimal(hex string) string {
	n, ok := new(big.Int).SetString(hex, 16)
	if !ok {
		panic(hex)
	}
	return n.String()
}

// kinesalite test/getShardIterator.js and test/putRecord.js.
func TestSequenceStrictness(t *testing.T) {
	for hex, want := range map[string]bool{
		"20000000000000000000000000000000000000000000000": false, // version 0
		"20000000000000000000000000000000000000000000001": true,
		"20000000000000000000000000000000000000000000002": true,
		"20000000000000000000000000000000000000000000003": false,
		"20000000000000000000000000000000000000000000004": false,
		"30000000000000000000000000000000000000000000001": false,
		"1ffffffffff7fffffffffffffff000000000007fffffff2": false,
		"2ffffffffff7fffffffffffffff000000000007fffffff2": true,
		"20000000000800000000000000000000000000000000002": false, // an 8 in the position
		"20000000000000000000000000000000000000800000002": false, // an 8 in the shard
		"20000000000000000000000000010000000000000000002": false, // not 00
		"20000000000000000000000000000000000000000000012": false, // two shards
		"0":                                true, // of the oldest form
		"5":                                true,
		"f3bb2cc3d7ff7fffffffffffffff0000": true,
		"13bb2cc3d80000000000000000000000": false, // a date too large
	} {
		if _, err := ParseSequence(hexToDecimal(hex)); (err == nil) != want {
			t.Errorf("%s: %v", hex, err)
		}
	}
	for number, want := range map[string]string{
		"0":                                    "21267647932558653966460912964485513216",
		"425352958651173072921826052383309826": "21693000891209827039382739016868823042",
		hexToDecimal("f3bb2cc3d7ff7fffffffffffffff0000"): "26227199374821822965252748908982894592",
		hexToDecimal("13bb2cc3d80000000000000000000000"): "26227199374822427428162556223570313216",
	} {
		if got := canonical(number); got != want {
			t.Errorf("%s is told as %s, want %s", number, got, want)
		}
	}
	if s, _ := ParseSequence("5"); s.Shard != 5 {
		t.Errorf("5 encodes shard %d", s.Shard)
	}
}

func FuzzSequence(f *testing.F) {
	f.Add("0")
	f.Add("49590338271490256608559692538361571095921575989136588898")
	f.Add(hexToDecimal("2ffffffffff7fffffffffffffff000000000007fffffff2"))
	f.Add("21267647932558653966460912964485513216")
	f.Fuzz(func(t *testing.T, text string) {
		s, err := ParseSequence(text)
		if err != nil {
			return
		}
		if len(text) > 129 || text[0] == '0' && len(text) > 1 {
			t.Fatalf("%q is no number to AWS", text)
		}
		if s.Version != 0 && s.String() != text {
			t.Fatalf("%q becomes %q", text, s)
		}
		if n, _ := new(big.Int).SetString(text, 10); n.String() != text {
			t.Fatalf("%q is not canonical", text)
		}
	})
}

func BenchmarkSequenceAppend(b *testing.B) {
	s := Sequence{Created: 1790000000, Shard: 3, Pos: 123456789012, Secs: 1790001234, Version: 2}
	buf := make([]byte, 0, 64)
	b.ReportAllocs()
	for b.Loop() {
		s.Pos++
		buf = s.AppendText(buf[:0])
	}
}

func BenchmarkSequenceParse(b *testing.B) {
	text := Sequence{Created: 1790000000, Shard: 3, Pos: 123456789012, Secs: 1790001234, Version: 2}.String()
	b.ReportAllocs()
	for b.Loop() {
		if _, err := ParseSequence(text); err != nil {
			b.Fatal(err)
		}
	}
}

// Numbers in any order are written as each by itself.
func TestSuccessive(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var numbers Successive
		s := Sequence{
			Created: rapid.Int64Range(0, mask36).Draw(t, "created"), Shard: rapid.Uint32Range(0, maxShardIndex).Draw(t, "shard"),
			Pos: flow.Pos(rapid.Uint64Range(0, 1<<62).Draw(t, "pos")), Secs: rapid.Int64Range(0, mask36).Draw(t, "secs"), Version: sequenceVersion,
		}
		for range rapid.IntRange(1, 40).Draw(t, "numbers") {
			switch rapid.IntRange(0, 9).Draw(t, "change") {
			case 0:
				s.Pos += flow.Pos(rapid.Uint64Range(0, 1<<40).Draw(t, "skip"))
			case 1:
				s.Secs = (s.Secs + 1) & mask36
			case 2:
				s.Version = rapid.Uint8Range(0, 2).Draw(t, "version")
			default:
				s.Pos++
			}
			if got, want := string(numbers.AppendText(nil, s)), s.String(); got != want {
				t.Fatalf("%+v is %s, and was written as %s", s, want, got)
			}
		}
	})
}
