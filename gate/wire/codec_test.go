package wire

import (
	"math"
	"reflect"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/thalweg/thalweg/fault"
)

func ptr[T any](v T) *T { return &v }

// Numbers lose their fraction and stop at the bounds of their type (kinesalite,
// test/createStream.js: ShardCount 100000000000 is shown as 2147483647).
func TestDecode(t *testing.T) {
	at := func(ms int64) *time.Time { return ptr(time.UnixMilli(ms).UTC()) }
	s := shapeOf[everything](t)
	for _, c := range []struct {
		body string
		want everything
	}{
		{`{}`, everything{}},
		{`{"String":null,"Blob":null,"List":null,"Map":null,"Structure":null,"Long":null,"Timestamp":null}`, everything{}},
		{`{"String":"\u0041\ud83d\ude00\/\\\"\b\f\n\r\t"}`, everything{String: ptr("A😀/\\\"\b\f\n\r\t")}},
		{`{"Str\u0069ng":"a","String":"b"}`, everything{String: ptr("b")}},
		{`{"String":"a","String":null}`, everything{}},
		{`{"string":"a"}`, everything{}},
		{`{"Boolean":true}`, everything{Boolean: ptr(true)}},
		{`{"Boolean":"yes"}`, everything{Boolean: ptr(true)}},
		{`{"Boolean":"0"}`, everything{Boolean: ptr(false)}},
		{`{"Short":40000,"Integer":100000000000,"Long":1e30}`, everything{Short: ptr[int16](32767), Integer: ptr[int32](math.MaxInt32), Long: ptr[int64](math.MaxInt64)}},
		{`{"Short":-40000,"Integer":-1e99999,"Long":-99999999999999999999}`, everything{Short: ptr[int16](-32768), Integer: ptr[int32](math.MinInt32), Long: ptr[int64](math.MinInt64)}},
		{`{"Short":1.9,"Integer":-1.9,"Long":9007199254740993.7}`, everything{Short: ptr[int16](1), Integer: ptr[int32](-1), Long: ptr[int64](9007199254740993)}},
		{`{"Integer":1.5e1,"Double":-0.25}`, everything{Integer: ptr[int32](15), Double: ptr(-0.25)}},
		{`{"Blob":""}`, everything{Blob: []byte{}}},
		{`{"Blob":"\/\/8="}`, everything{Blob: []byte{0xff, 0xff}}},
		{`{"Timestamp":1700000000}`, everything{Timestamp: at(1700000000000)}},
		{`{"Timestamp":1700000000.1234}`, everything{Timestamp: at(1700000000123)}},
		{`{"Timestamp":1700000000.9999}`, everything{Timestamp: at(1700000001000)}},
		{`{"Timestamp":1.7000000005E9}`, everything{Timestamp: at(1700000000500)}},
		{`{"Timestamp":-0.5}`, everything{Timestamp: at(-500)}},
		{`{"Timestamp":-1e400}`, everything{Timestamp: at(math.MinInt64)}},
		{`{"List":["a",null],"Map":{"a":"b","c":null,"d":"e","d":null},"Structure":{"A":"x","B":[{}]}}`,
			everything{List: []string{"a", ""}, Map: map[string]string{"a": "b"}, Structure: &inner{A: ptr("x")}}},
		{`{"List":["a"],"List":[],"Map":{"a":"b"},"Map":{},"Structure":{"A":"x"},"Structure":{}}`, everything{List: []string{}, Map: map[string]string{}, Structure: &inner{}}},
	} {
		var got everything
		if err := s.Decode(JSON, []byte(c.body), &got); err != nil {
			t.Errorf("%s: %v", c.body, err)
		} else if d := cmp.Diff(c.want, got); d != "" {
			t.Errorf("%s: %s", c.body, d)
		}
	}
	if err := s.Decode(JSON, []byte("{}"), everything{}); err == nil || fault.Of(err) != fault.Internal {
		t.Errorf("into a value: %v", err)
	}
}

// Java's dialect: blobs are byte strings, timestamps are tag 1 over integer
// milliseconds; Jackson writes maps of indefinite length. A float under tag 1
// is what RFC 8949 says it is, seconds.
func TestDecodeCBOR(t *testing.T) {
	at := ptr(time.UnixMilli(1700000000123).UTC())
	s := shapeOf[everything](t)
	for _, c := range []struct {
		body string
		want everything
	}{
		{"\xa0", everything{}},
		{"\xbf\xff", everything{}},
		{"\xbf\x64Blob\x43\x00\xff\x01\x69Timestamp\xc1\x1b\x00\x00\x01\x8b\xcf\xe5\x68\x7b\xff", everything{Blob: []byte{0, 255, 1}, Timestamp: at}},
		{"\xa1\x69Timestamp\x1b\x00\x00\x01\x8b\xcf\xe5\x68\x7b", everything{Timestamp: at}},
		{"\xa1\x69Timestamp\xc1\xfb\x41\xd9\x54\xfc\x40\x07\xdf\x3b", everything{Timestamp: at}},
		{"\xa1\x66String\x7f\x61a\x62bc\xff", everything{String: ptr("abc")}},
		{"\xa1\x7f\x63Str\x63ing\xff\x61a", everything{String: ptr("a")}},
		{"\xa1\x64Blob\x5f\x41a\x40\x42bc\xff", everything{Blob: []byte("abc")}},
		{"\xd9\xd9\xf7\xa2\x66String\xf6\x64Long\xf7", everything{}},
		{"\xa4\x64Long\x3b\xff\xff\xff\xff\xff\xff\xff\xff\x67Integer\x1b\xff\xff\xff\xff\xff\xff\xff\xff\x65Short\xf9\x3e\x00\x66Double\x20",
			everything{Long: ptr[int64](math.MinInt64), Integer: ptr[int32](math.MaxInt32), Short: ptr[int16](1), Double: ptr(-1.0)}},
		{"\xa3\x67Unknown\xbf\x61a\x9f\x01\x82\xf9\x7c\x00\xc2\x41\x01\xff\xff\x67Boolean\xf5\x64List\x9f\x61a\xff", everything{Boolean: ptr(true), List: []string{"a"}}},
	} {
		var got everything
		if err := s.Decode(CBOR, []byte(c.body), &got); err != nil {
			t.Errorf("%x: %v", c.body, err)
		} else if d := cmp.Diff(c.want, got); d != "" {
			t.Errorf("%x: %s", c.body, d)
		}
	}
	for body, text := range map[string]string{
		"\xa1\x66String\x01":     "class com.amazon.coral.value.json.numbers.TruncatingBigNumber can not be converted to an String",
		"\xa1\x66String\x41a":    "class java.nio.HeapByteBuffer can not be converted to an String",
		"\xa1\x64Blob\x64QUJD":   "class java.lang.String can not be converted to a Blob",
		"\xa1\x64List\xa0":       "Start of structure or map found where not expected.",
		"\xa1\x66String\xc1\x80": "Start of list found where not expected",
		"\x80":                   "Start of list found where not expected",
	} {
		wantMalformed(t, body, s.Decode(CBOR, []byte(body), new(everything)), text)
	}
	for _, body := range []string{
		"", "\x01", "\xf6", "\xa1", "\xa1\x01\x02", "\xa1\x61A", "\xbf", "\xbf\x61A\xff", "\xa0\x00", "\xff", "\xa1\x61\xff\x01", "\xa1\x61A\x61\xff", "\xa1\x61A\x1c", "\xa1\x61A\x1f", "\xa1\x61A\xff",
		"\xa1\x61A\xf8\x10", "\xa1\x66String\xe0", "\xa1\x61A\x5f\x61a\xff", "\xa1\x61A\x5f\x5f\xff\xff", "\xa1\x61A\x7f\x61\xc3\x61\xa9\xff", "\xa1\x61A\xc1",
		"\xa1\x61A\x5b\xff\xff\xff\xff\xff\xff\xff\xff", "\xa1\x61A\x9b\x7f\xff\xff\xff\xff\xff\xff\xff", "\xbb\x7f\xff\xff\xff\xff\xff\xff\xff", "\xa1\x64Blob\x5a\x7f\xff\xff\xff\x00", "\xa1\x64List\x9a\x7f\xff\xff\xff\x60",
		"\xa1\x61A" + strings.Repeat("\x81", maxDepth) + "\x01", "\xa1\x61A" + strings.Repeat("\x9f", maxDepth) + strings.Repeat("\xff", maxDepth),
	} {
		wantMalformed(t, body, s.Decode(CBOR, []byte(body), new(everything)), "")
	}
}

type union struct {
	S *string
	N *float64
	B []byte
	M map[string]union
	L []*union
	T *time.Time
}

func TestRecursiveShape(t *testing.T) {
	s := shapeOf[union](t)
	body := `{"M":{"a":{"L":[{"S":"x"},null,{"M":{}}]},"b":{"B":"QQ=="}}}`
	var u union
	if err := s.Decode(JSON, []byte(body), &u); err != nil {
		t.Fatal(err)
	}
	got, err := s.Append(nil, JSON, &u)
	if err != nil || string(got) != body {
		t.Errorf("got %s, %v", got, err)
	}
	if err := s.Check(u); err != nil {
		t.Error(err)
	}
	var none union
	deep := strings.Repeat(`{"L":[`, maxDepth) + strings.Repeat(`]}`, maxDepth)
	wantMalformed(t, "deep", s.Decode(JSON, []byte(deep), &none), "")
}

// A body of a few megabytes of empty elements is refused before it takes
// hundreds of megabytes.
func TestMemoryBound(t *testing.T) {
	s := shapeOf[union](t)
	for f, body := range map[Format]string{
		JSON: `{"L":[` + strings.Repeat("{},", 2<<20) + `{}]}`,
		CBOR: "\xa1\x61L\x9f" + strings.Repeat("\xa0", 2<<20) + "\xff",
	} {
		wantMalformed(t, f.String(), s.Decode(f, []byte(body), new(union)), "The request holds too many elements.")
	}
	list, text := []byte("\x9b\x7f\xff\xff\xff\xff\xff\xff\xff"), []byte("\x7b\x7f\xff\xff\xff\xff\xff\xff\xffabc")
	if allocs := testing.AllocsPerRun(10, func() {
		var r Reader
		r.Reset(list)
		r.Skip()
		r.Reset(text)
		r.Skip()
	}); allocs != 0 {
		t.Errorf("hostile lengths allocate %v times", allocs)
	}
}

// base is unexported on purpose: what it embeds is a member all the same.
type base struct{ StreamName *string }

type odd struct {
	base
	Base2
	Renamed  string `aws:"name=versionId"`
	Zero     int64
	NoZero   int64 `aws:"omitzero"`
	When     time.Time
	PtrWhen  *time.Time
	Half     float64
	Truth    bool
	NilMap   map[string]int32
	NilList  []string
	Empty    []string
	Small    int16
	Stamps   []time.Time
	Blobs    map[string][]byte
	hidden   int
	PtrParts []*inner
}

type Base2 struct{ StreamARN *string }

// Absent members are left out, never null; timestamps are plain decimals of
// three digits in JSON and tag 1 over milliseconds in CBOR (streams.md 2.1).
func TestAppend(t *testing.T) {
	s := shapeOf[odd](t)
	v := odd{base: base{ptr("n")}, Base2: Base2{ptr("a\xff<")}, Empty: []string{}, PtrWhen: new(time.Time), Half: 0.5, Stamps: []time.Time{time.UnixMilli(1700000000123), time.UnixMilli(-1)},
		Blobs: map[string][]byte{"b": {1}, "a": nil}, PtrParts: []*inner{nil, {ptr("\n\"\x00")}}}
	got, err := s.Append([]byte("kept"), JSON, v)
	want := `kept{"StreamName":"n","StreamARN":"a` + "\ufffd" + `<","versionId":"","Zero":0,"Half":0.5,"Truth":false,"Empty":[],"Small":0,"Stamps":[1700000000.123,-0.001],` +
		`"Blobs":{"a":"","b":"AQ=="},"PtrParts":[null,{"A":"\n\"\u0000"}]}`
	if err != nil || string(got) != want {
		t.Errorf("got  %s %v\nwant %s", got, err, want)
	}
	var back odd
	body := `{"StreamName":"n","StreamARN":"a","versionId":"v","hidden":1,"base":{},"PtrParts":[null,{}]}`
	if err := s.Decode(JSON, []byte(body), &back); err != nil || *back.StreamName != "n" || *back.StreamARN != "a" || back.Renamed != "v" || back.hidden != 0 || len(back.PtrParts) != 2 {
		t.Errorf("%s is read as %+v, %v", body, back, err)
	}
	got, err = shapeOf[everything](t).Append(nil, CBOR, &everything{String: ptr("a\xff"), Timestamp: ptr(time.UnixMilli(1700000000123)), Blob: []byte{7}, Double: ptr(1.5), Boolean: ptr(true), Map: map[string]string{}})
	want = "\xa6\x66String\x64a\ufffd\x67Boolean\xf5\x66Double\xfb\x3f\xf8\x00\x00\x00\x00\x00\x00\x64Blob\x41\x07\x69Timestamp\xc1\x1b\x00\x00\x01\x8b\xcf\xe5\x68\x7b\x63Map\xa0"
	if err != nil || string(got) != want {
		t.Errorf("got  %q %v\nwant %q", got, err, want)
	}
	for _, bad := range []any{everything{Double: ptr(math.NaN())}, everything{Double: ptr(math.Inf(1))}, 1, nil, (*everything)(nil)} {
		if got, err := shapeOf[everything](t).Append([]byte("kept"), JSON, bad); err == nil || string(got) != "kept" {
			t.Errorf("%v: %s, %v", bad, got, err)
		}
	}
}

// The key of SerializationException's text is Message, of every other's message
// (streams.md 2.2).
func TestAppendError(t *testing.T) {
	for _, c := range []struct {
		f                   Format
		name, message, want string
	}{
		{JSON, "SerializationException", "", `{"__type":"SerializationException"}`},
		{JSON, "SerializationException", "x", `{"__type":"SerializationException","Message":"x"}`},
		{JSON, "ValidationException", "a\"b", `{"__type":"ValidationException","message":"a\"b"}`},
		{CBOR, "InternalFailure", "", "\xa1\x66__type\x6fInternalFailure"},
		{CBOR, "SerializationException", "x", "\xa2\x66__type\x76SerializationException\x67Message\x61x"},
		{CBOR, "Throttled", "\xff", "\xa2\x66__type\x69Throttled\x67message\x63\ufffd"},
	} {
		if got := AppendError(nil, c.f, c.name, c.message); string(got) != c.want {
			t.Errorf("got %q, want %q", got, c.want)
		}
	}
}

// Whatever can be said in one format survives both, and passes the check that
// the body is valid.
func TestRoundTrip(t *testing.T) {
	s := shapeOf[union](t)
	text := rapid.StringN(0, 20, -1).Filter(utf8.ValidString)
	var gen func(depth int) *rapid.Generator[union]
	gen = func(depth int) *rapid.Generator[union] {
		return rapid.Custom(func(t *rapid.T) (u union) {
			if rapid.Bool().Draw(t, "S") {
				u.S = ptr(text.Draw(t, "s"))
			}
			if rapid.Bool().Draw(t, "N") {
				u.N = ptr(rapid.Float64().Draw(t, "n"))
			}
			if rapid.Bool().Draw(t, "B") {
				u.B = append([]byte{}, rapid.SliceOfN(rapid.Byte(), 0, 70).Draw(t, "b")...)
			}
			if rapid.Bool().Draw(t, "T") {
				u.T = ptr(time.UnixMilli(rapid.Int64Range(-1e15, 1e15).Draw(t, "t")).UTC())
			}
			if depth > 0 && rapid.Bool().Draw(t, "M") {
				u.M = rapid.MapOfN(text, gen(depth-1), 0, 3).Draw(t, "m")
			}
			if depth > 0 && rapid.Bool().Draw(t, "L") {
				u.L = rapid.SliceOfN(rapid.Ptr(gen(depth-1), true), 0, 3).Draw(t, "l")
				if u.L == nil {
					u.L = []*union{}
				}
			}
			return u
		})
	}
	rapid.Check(t, func(t *rapid.T) {
		want := gen(3).Draw(t, "union")
		for _, f := range []Format{JSON, CBOR} {
			body, err := s.Append(nil, f, want)
			if err != nil || !Valid(f, body) {
				t.Fatalf("%v: %q, %v", f, body, err)
			}
			var got union
			if err := s.Decode(f, body, &got); err != nil {
				t.Fatalf("%v: %q: %v", f, body, err)
			}
			if d := cmp.Diff(want, got); d != "" {
				t.Fatalf("%v: %q: %s", f, body, d)
			}
		}
	})
}

func TestFormat(t *testing.T) {
	if JSON.ContentType() != "application/x-amz-json-1.1" || CBOR.ContentType() != "application/x-amz-cbor-1.1" || JSON.String() != "JSON" || CBOR.String() != "CBOR" {
		t.Error("names of formats")
	}
	if !reflect.DeepEqual(Format(0), JSON) {
		t.Error("the zero format is not JSON")
	}
}
