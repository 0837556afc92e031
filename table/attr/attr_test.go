package attr

import (
	"bytes"
	"errors"
	"maps"
	"math/big"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

// Numbers of 38 digits between 1E-130 and 9.99...E+125 ("Supported data types
// and naming rules"), answered without an exponent, as AWS was recorded to.
func TestParseNumber(t *testing.T) {
	nines := strings.Repeat("9", 38)
	for _, c := range []struct {
		text, want string
		err        error
	}{
		{"0", "0", nil}, {"-0", "0", nil}, {"0.000", "0", nil}, {"0e999", "0", nil}, {"00", "0", nil},
		{"1", "1", nil}, {"+1", "1", nil}, {"-1", "-1", nil}, {"007", "7", nil}, {"1.0", "1", nil}, {"1.50", "1.5", nil}, {".5", "0.5", nil}, {"5.", "5", nil},
		{"1e3", "1000", nil}, {"1E-3", "0.001", nil}, {"12.34e1", "123.4", nil}, {"100", "100", nil}, {"-0.0120", "-0.012", nil},
		{"1700000000000000001", "1700000000000000001", nil}, // kinsumer's UnixNano
		{nines, nines, nil}, {nines + "0", nines + "0", nil}, {"0." + nines, "0." + nines, nil},
		{nines + "1", "", ErrDigits}, {"1." + strings.Repeat("0", 37) + "1", "", ErrDigits},
		{"1e125", "1" + strings.Repeat("0", 125), nil}, {"9.9e125", "99" + strings.Repeat("0", 124), nil}, {"1e126", "", ErrOverflow}, {"-1e126", "", ErrOverflow}, {"1e99999999999", "", ErrOverflow},
		{"1e-130", "0." + strings.Repeat("0", 129) + "1", nil}, {"1e-131", "", ErrUnderflow}, {"0.9e-130", "", ErrUnderflow},
		{"", "", errEmpty},
	} {
		n, err := ParseNumber(c.text)
		if !errors.Is(err, c.err) || err == nil && n.String() != c.want {
			t.Errorf("%q: %s, %v, want %s, %v", c.text, n, err, c.want, c.err)
		}
	}
	for _, text := range []string{"a", "1a", "1e", "1e+", "--1", "1.2.3", ".", "-", "e1", " 1", "1 ", "0x1", "NaN", "Infinity", "1,5", "١"} {
		if _, err := ParseNumber(text); err == nil || err.Error() != "The parameter cannot be converted to a numeric value: "+text {
			t.Errorf("%q: %v", text, err)
		}
	}
}

func rat(n Number) *big.Rat {
	r, _ := new(big.Rat).SetString(n.String())
	return r
}

func numbers() *rapid.Generator[Number] {
	return rapid.Custom(func(t *rapid.T) Number {
		digits := rapid.StringMatching(`-?[0-9]{1,38}`).Draw(t, "digits")
		exp := rapid.OneOf(rapid.IntRange(-60, 40), rapid.Just(0)).Draw(t, "exp")
		n, err := ParseNumber(digits + "e" + big.NewInt(int64(exp)).String())
		if err != nil {
			panic(err) // none of these is out of range
		}
		return n
	})
}

// Numbers compare, add and subtract as the rationals that they are, or are
// refused; their keys sort as they do.
func TestNumbersAgainstRationals(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		a, b := numbers().Draw(t, "a"), numbers().Draw(t, "b")
		want := rat(a).Cmp(rat(b))
		if got := a.Compare(b); got*want < 0 || (got == 0) != (want == 0) || (a == b) != (want == 0) {
			t.Fatalf("%s and %s: %d, want %d", a, b, got, want)
		}
		if again, err := ParseNumber(a.String()); err != nil || again != a {
			t.Fatalf("%s comes back as %s, %v", a, again, err)
		}
		ka, _ := AppendKey(nil, a)
		kb, _ := AppendKey(nil, b)
		if got := bytes.Compare(ka, kb); (got == 0) != (want == 0) || got*want < 0 {
			t.Fatalf("keys of %s and %s: %x and %x", a, b, ka, kb)
		}
		for _, c := range []struct {
			f    func(a, b Number) (Number, error)
			want *big.Rat
		}{{Number.Add, new(big.Rat).Add(rat(a), rat(b))}, {Number.Sub, new(big.Rat).Sub(rat(a), rat(b))}} {
			got, err := c.f(a, b)
			switch {
			case err == nil && rat(got).Cmp(c.want) != 0:
				t.Fatalf("%s and %s: %s, want %s", a, b, got, c.want.RatString())
			case errors.Is(err, ErrDigits):
				digits := strings.Trim(strings.NewReplacer("-", "", ".", "").Replace(c.want.FloatString(300)), "0")
				if len(digits) <= maxDigits {
					t.Fatalf("%s and %s are refused: %s has %d digits", a, b, digits, len(digits))
				}
			case err != nil && !errors.Is(err, ErrOverflow) && !errors.Is(err, ErrUnderflow):
				t.Fatal(err)
			}
		}
	})
}

// Texts and binaries sort by their bytes, also as the first of two in a key.
func TestKeyOrder(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		s := rapid.StringOf(rapid.SampledFrom([]rune{0, 1, 'a', 0xff, 0x10ffff}))
		a, b, x, y := s.Draw(t, "a"), s.Draw(t, "b"), s.Draw(t, "x"), s.Draw(t, "y")
		join := func(one, two string) []byte {
			k, _ := AppendKey(nil, String(one))
			k, _ = AppendKey(k, Binary(two))
			return k
		}
		want := strings.Compare(a, b)
		if want == 0 {
			want = strings.Compare(x, y)
		}
		if got := bytes.Compare(join(a, x), join(b, y)); got != want {
			t.Fatalf("%q,%q and %q,%q: %d, want %d", a, x, b, y, got, want)
		}
		prefix, _ := AppendKeyPrefix(nil, String(a))
		if k, _ := AppendKey(nil, String(b)); bytes.HasPrefix(k, prefix) != strings.HasPrefix(b, a) {
			t.Fatalf("%q begins with %q by its key: %t", b, a, bytes.HasPrefix(k, prefix))
		}
	})
}

func values(depth int) *rapid.Generator[Value] {
	return rapid.Custom(func(t *rapid.T) Value {
		most := 10
		if depth == 0 {
			most = 8
		}
		texts := rapid.SliceOfNDistinct(rapid.String(), 1, 4, rapid.ID[string])
		switch rapid.IntRange(1, most).Draw(t, "type") {
		case 1:
			return String(rapid.String().Draw(t, "s"))
		case 2:
			return numbers().Draw(t, "n")
		case 3:
			return Binary(rapid.String().Draw(t, "b"))
		case 4:
			set, _ := NewSet(texts.Draw(t, "ss"))
			return StringSet(set)
		case 5:
			set, _ := NewSet(texts.Draw(t, "bs"))
			return BinarySet(set)
		case 6:
			set, _ := NewNumberSet(rapid.SliceOfN(numbers(), 1, 4).Draw(t, "ns"))
			return set
		case 7:
			return Bool(rapid.Bool().Draw(t, "bool"))
		case 8:
			return Null{}
		case 9:
			return List(rapid.SliceOfN(values(depth-1), 0, 4).Draw(t, "l"))
		}
		return Map(rapid.MapOfN(rapid.String(), values(depth-1), 0, 4).Draw(t, "m"))
	})
}

// An item comes back from its bytes, equal items have equal ones, and each
// attribute is found in them.
func TestCodec(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		m := Map(rapid.MapOfN(rapid.String(), values(3), 0, 6).Draw(t, "item"))
		encoded := string(m.Append(nil))
		back, err := Decode(encoded)
		if err != nil || !Equal(m, back) || string(back.Append(nil)) != encoded {
			t.Fatalf("%v comes back as %v, %v", m, back, err)
		}
		for name, v := range m {
			if got := Lookup(encoded, name); !Equal(got, v) {
				t.Fatalf("%q is %v, want %v", name, got, v)
			}
		}
		if absent := "\x00 none"; m[absent] == nil && Lookup(encoded, absent) != nil {
			t.Fatal("what is not there is found")
		}
	})
}

// Some attributes of an item are picked and replaced in its bytes as they are in
// the item.
func TestSplice(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		name := rapid.SampledFrom([]string{"", "a", "ab", "b", "c", "d", "e", "f"})
		m := Map(rapid.MapOfN(name, values(2), 0, 8).Draw(t, "item"))
		picked := rapid.SliceOfDistinct(name, rapid.ID[string]).Draw(t, "picked")
		slices.Sort(picked)
		next, whole := Map{}, maps.Clone(m)
		for _, n := range picked {
			if delete(whole, n); rapid.Bool().Draw(t, "there") {
				next[n] = values(2).Draw(t, "next")
				whole[n] = next[n]
			}
		}
		encoded := string(m.Append(nil))
		part, err := Pick(encoded, picked)
		if err != nil {
			t.Fatal(err)
		}
		for n, v := range m {
			if got := part[n]; slices.Contains(picked, n) != Equal(got, v) {
				t.Fatalf("%q is picked as %v of %v", n, got, v)
			}
		}
		if got := string(Splice(nil, encoded, picked, next)); got != string(whole.Append(nil)) || len(part) > len(picked) {
			t.Fatalf("%v with %v in place of %q is %q", m, next, picked, got)
		}
		for cut := range encoded {
			if _, err := Pick(encoded[:cut], picked); err == nil {
				t.Fatalf("%d of %d bytes are taken for an item", cut, len(encoded))
			}
		}
	})
}

// "Item sizes and formats": names count, a number takes about a byte for two
// digits, maps and lists three more and one for each element.
func TestSize(t *testing.T) {
	for text, want := range map[string]int{"0": 1, "1": 2, "12": 2, "-1": 3, "123": 3, "1234": 3, "100": 2} {
		n, err := ParseNumber(text)
		if err != nil || Size(n) != want {
			t.Errorf("%s takes %d, want %d (%v)", text, Size(n), want, err)
		}
	}
	m := Map{"ab": String("é"), "b": Bool(true), "n": Null{}, "l": List{String("x")}, "m": Map{"k": Binary("yz")}, "s": StringSet{"a", "bc"}}
	if got, want := m.Size(), 2+2+1+1+1+1+1+(3+1+1)+1+(3+1+1+2)+1+3; got != want {
		t.Errorf("%d, want %d", got, want)
	}
	deep := Value(String("x"))
	for range MaxDepth {
		deep = List{deep}
	}
	if Depth(deep) != MaxDepth {
		t.Error(Depth(deep))
	}
}

// FuzzDecode: no bytes crash the decoder or make it take more memory than they
// warrant, and what it takes it writes as something that it takes as the same.
func FuzzDecode(f *testing.F) {
	n, _ := ParseNumber("-12.5")
	f.Add(string(Map{"a": n, "b": List{Map{"k": Null{}}}, "c": NumberSet{n}, "d": BinarySet{"x", "y"}}.Append(nil)))
	f.Add("\x01\x01a\x08\xff\xff\xff\xff\x0f")
	f.Fuzz(func(t *testing.T, encoded string) {
		m, err := Decode(encoded)
		if err != nil {
			return
		}
		again, err := Decode(string(m.Append(nil)))
		if err != nil || !Equal(m, again) {
			t.Errorf("%v and %v, %v", m, again, err)
		}
		for name := range m {
			Lookup(encoded, name)
		}
		if m.Size() < 0 || Depth(m) < 1 {
			t.Error("sizes")
		}
	})
}
