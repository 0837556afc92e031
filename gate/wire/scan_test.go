package wire

import (
	"bytes"
	"encoding/json"
	"math"
	"reflect"
	"strings"
	"testing"

	"github.com/fxamacker/cbor/v2"
	"github.com/go-json-experiment/json/jsontext"
	"pgregory.net/rapid"
)

// deeper reports whether text has more than max containers open at once.
func deeper(text []byte, max int) bool {
	d := jsontext.NewDecoder(bytes.NewReader(text), jsontext.AllowDuplicateNames(true))
	for {
		if _, err := d.ReadToken(); err != nil {
			return false
		}
		if d.StackDepth() > max {
			return true
		}
	}
}

// FuzzJSON holds the scanner, in its three uses, against a JSON library: what
// one accepts all accept, but for the bound on depth.
func FuzzJSON(f *testing.F) {
	for _, s := range []string{
		`{}`, `[]`, ` {"Records":[{"Data":"QUJD","PartitionKey":"a\/\u00e9\ud83d\ude00"}],"StreamName":"x"} `, `{"String":"a","Long":-1.5e3,"Timestamp":1700000000.123,"List":["a",null],"Map":{"a":"b"},"Structure":{"A":"b"},"Blob":"QQ=="}`,
		`{"a":[1,2,{"b":[]}],}`, `[1 2]`, `{"a" 1}`, "{\"\x80\":1}", `{"a":"\ud800"}`, `{"a":01}`, `[[[[[[[[[]]]]]]]]]`, `{"a":"\\\"","a":tru}`, strings.Repeat("[", 65), `[1.,2]`, `[-]`, `{"T":0.`, `{"Timestamp":0.`, "[\"12345678\x0112345678\"]", `["1234567812345678\u00"]`,
	} {
		f.Add([]byte(s))
	}
	all, tree := shapeOf[everything](f), shapeOf[union](f)
	f.Fuzz(func(t *testing.T, body []byte) {
		want := jsontext.Value(body).IsValid(jsontext.AllowDuplicateNames(true)) && !deeper(body, maxDepth)
		var s Scanner
		s.Reset(body)
		s.Skip()
		if s.End() != want {
			t.Fatalf("%q: skipping accepts: %v, the library: %v", body, s.End(), want)
		}
		s.Reset(body)
		walk(&s)
		if s.End() != want {
			t.Fatalf("%q: walking accepts: %v, the library: %v", body, s.End(), want)
		}
		top := bytes.TrimLeft(body, " \t\r\n")
		want = want && (top[0] == '{' || top[0] == '[')
		if Valid(JSON, body) != want {
			t.Fatalf("%q: Valid is not %v", body, want)
		}
		for _, shape := range []*Shape{all, tree} {
			into := reflect.New(shape.root.typ).Interface()
			err := shape.Decode(JSON, body, into)
			if err == nil && !want {
				t.Fatalf("%q is decoded", body)
			}
			if want && err != nil && err.Error() == "" {
				t.Fatalf("%q is called malformed", body)
			}
			if err != nil {
				continue
			}
			again(t, shape, into)
		}
	})
}

// walk reads any value as a decoder would that wants all of it.
func walk(s *Scanner) {
	switch s.Peek() {
	case '{':
		for s.Open('{'); s.Next('}'); {
			s.Key()
			walk(s)
		}
	case '[':
		for s.Open('['); s.Next(']'); {
			walk(s)
		}
	case '"':
		s.Text()
	case 't', 'f':
		s.Bool()
	case 'n':
		s.Null()
	default:
		s.Number()
	}
}

// again encodes what was decoded, in both formats, and expects it back.
func again(t *testing.T, shape *Shape, v any) {
	for _, f := range []Format{JSON, CBOR} {
		body, err := shape.Append(nil, f, v)
		if err != nil { // a float beyond the range of floats
			return
		}
		back := reflect.New(shape.root.typ).Interface()
		if err := shape.Decode(f, body, back); err != nil {
			t.Fatalf("%v %q: %v", f, body, err)
		}
		second, err := shape.Append(nil, f, back)
		if err != nil || !bytes.Equal(body, second) {
			t.Fatalf("%v: %q came back as %q, %v", f, body, second, err)
		}
	}
	_ = shape.Check(v)
}

// FuzzCBOR holds the reader against a CBOR library: what it accepts, that
// accepts. The library takes more: keys that are not text, text that is not
// UTF-8, more depth.
func FuzzCBOR(f *testing.F) {
	for _, s := range []string{
		"\xa0", "\xbf\xff", "\xbf\x64Blob\x43\x00\xff\x01\x69Timestamp\xc1\x1b\x00\x00\x01\x8b\xcf\xe5\x68\x7b\xff", "\xa1\x66String\x7f\x61a\x62bc\xff", "\x9b\x7f\xff\xff\xff\xff\xff\xff\xff",
		"\xa1\x61A\xf8\x20", "\x9f\xf9\x3c\x00\xfa\x00\x00\x00\x00\xfb\x00\x00\x00\x00\x00\x00\x00\x00\x38\x18\xff", "\xa2\x61L\x81\xa1\x61S\x61a\x61M\xa1\x61k\xa1\x61N\x01", "\xd9\xd9\xf7\x80",
		"\xbfdBlobC\x00\xff\x01iTimestamp\xc1\x1b\x15{\x99\x99\x99\x99h3\xff", // a time that no double holds to the millisecond
	} {
		f.Add([]byte(s))
	}
	mode, err := cbor.DecOptions{MaxNestedLevels: 65535, MaxArrayElements: math.MaxInt32, MaxMapPairs: math.MaxInt32}.DecMode()
	if err != nil {
		f.Fatal(err)
	}
	all, tree := shapeOf[everything](f), shapeOf[union](f)
	f.Fuzz(func(t *testing.T, body []byte) {
		var r Reader
		r.Reset(body)
		r.Skip()
		accepted := r.End()
		if err := mode.Wellformed(body); err != nil && accepted && len(body) < 60000 {
			t.Fatalf("%x: skipping accepts, the library: %v", body, err)
		}
		for _, shape := range []*Shape{all, tree} {
			into := reflect.New(shape.root.typ).Interface()
			if err := shape.Decode(CBOR, body, into); err == nil {
				if !accepted || !Valid(CBOR, body) {
					t.Fatalf("%x is decoded", body)
				}
				again(t, shape, into)
			}
		}
	})
}

// What the library writes, the reader takes.
func TestReaderTakesLibrary(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		v := map[string]any{
			"i": rapid.Int64().Draw(t, "i"), "u": rapid.Uint64().Draw(t, "u"), "f": rapid.Float64().Draw(t, "f"), "h": float32(0.5), "s": rapid.String().Draw(t, "s"),
			"b": rapid.SliceOf(rapid.Byte()).Draw(t, "b"), "l": rapid.SliceOf(rapid.Int16()).Draw(t, "l"), "n": nil, "t": true, "g": cbor.Tag{Number: 1, Content: 5},
		}
		mode, _ := cbor.EncOptions{ShortestFloat: cbor.ShortestFloat16}.EncMode()
		body, err := mode.Marshal(v)
		if err != nil {
			t.Fatal(err)
		}
		var r Reader
		r.Reset(body)
		for n := r.Open(MajorMap); r.Next(&n); {
			switch key := string(r.Key()); key {
			case "i":
				if r.Int() != v[key] {
					t.Fatal(key)
				}
			case "f":
				if r.Float() != v[key] {
					t.Fatal(key)
				}
			case "s":
				if string(r.Text()) != v[key] {
					t.Fatal(key)
				}
			case "b":
				if !r.Null() && !bytes.Equal(r.Bytes(), v[key].([]byte)) {
					t.Fatal(key)
				}
			case "t":
				if !r.Bool() {
					t.Fatal(key)
				}
			case "g":
				if r.Millis() != 5 {
					t.Fatal(key)
				}
			case "n":
				if !r.Null() {
					t.Fatal(key)
				}
			default:
				r.Skip()
			}
		}
		if !r.End() {
			t.Fatalf("%x is refused at %d", body, r.Pos())
		}
	})
}

func TestHalfFloat(t *testing.T) {
	for bits, want := range map[uint16]float64{0: 0, 1: 0x1p-24, 0x03ff: 1023 * 0x1p-24, 0x0400: 0x1p-14, 0x3c00: 1, 0x3555: 0.333251953125, 0xc000: -2, 0x7bff: 65504, 0x7c00: math.Inf(1), 0xfc00: math.Inf(-1)} {
		if got := halfFloat(bits); got != want {
			t.Errorf("%04x: got %v, want %v", bits, got, want)
		}
	}
	if !math.IsNaN(halfFloat(0x7e00)) {
		t.Error("7e00 is a number")
	}
}

// A failure lasts, and nothing is answered after it.
func TestScannerFails(t *testing.T) {
	var s Scanner
	s.Reset([]byte(`{"a":1,"b":"c"}`))
	s.Open('{')
	s.Next('}')
	s.Key()
	s.Text()
	if !s.Failed() || s.Next('}') || s.Peek() != 0 || s.Text() != nil || s.Key() != nil || s.Number() != nil || s.Bool() || s.Null() || s.End() || s.Unescape(nil) != nil {
		t.Error("there is life after failure")
	}
	s.Skip()
	s.Reset([]byte("[]"))
	s.Fail()
	if s.Open('['); s.Next(']') || s.End() {
		t.Error("there is life after Fail")
	}
	var r Reader
	r.Reset([]byte{0x81, 0x01})
	r.Fail()
	if n := r.Open(MajorList); n != 0 || r.Next(&n) || r.Text() != nil || r.Bytes() != nil || r.Int() != 0 || r.Float() != 0 || r.Bool() || r.Null() || r.End() || r.Millis() != 0 || !r.Failed() {
		t.Error("there is life after Fail")
	}
	if _, ok := r.Tag(); ok {
		t.Error("there is a tag after Fail")
	}
}

// Text that was unescaped stays as it is while more is read.
func TestScratch(t *testing.T) {
	var s Scanner
	s.Scratch = make([]byte, 5, 8)
	s.Reset([]byte(`["\u0061", "plain", "\n\\", "\/"]`))
	var got []string
	var kept [][]byte
	for s.Open('['); s.Next(']'); {
		kept = append(kept, s.Text())
	}
	for _, k := range kept {
		got = append(got, string(k))
	}
	if !s.End() || !reflect.DeepEqual(got, []string{"a", "plain", "\n\\", "/"}) {
		t.Errorf("got %q", got)
	}
	s.Reset([]byte(`"a\/b"`))
	if raw, plain := s.Raw(); plain || string(raw) != `a\/b` || string(s.Unescape(raw)) != "a/b" || s.Pos() != 6 {
		t.Errorf("raw %q %v", raw, plain)
	}
}

func TestAppendString(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		want := string(rapid.SliceOf(rapid.Byte()).Draw(t, "bytes"))
		if rapid.Bool().Draw(t, "text") {
			want = rapid.String().Draw(t, "string")
		}
		text := AppendString(nil, want)
		if !bytes.Equal(text, AppendString(nil, []byte(want))) {
			t.Fatal("bytes and string differ")
		}
		var got string
		if err := json.Unmarshal(text, &got); err != nil || got != string([]rune(want)) {
			t.Fatalf("%q came back as %q: %v", want, got, err)
		}
	})
}

func TestAppendSeconds(t *testing.T) {
	for ms, want := range map[int64]string{0: "0.000", 1: "0.001", 1700000000123: "1700000000.123", -1: "-0.001", -1500: "-1.500", math.MinInt64: "-9223372036854775.808", math.MaxInt64: "9223372036854775.807"} {
		got := AppendSeconds(nil, ms)
		if string(got) != want {
			t.Errorf("%d: got %s, want %s", ms, got, want)
		}
		if ms > -1e15 && ms < 1e15 && millis(got) != ms {
			t.Errorf("%s is read as %d", got, millis(got))
		}
	}
}
