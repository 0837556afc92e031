package aggregation

import (
	"bytes"
	"crypto/md5"
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

// aggregated makes an aggregated record of a message, right or wrong.
func aggregated(message string) []byte {
	sum := md5.Sum([]byte(message))
	return []byte(magic + message + string(sum[:]))
}

// fieldOf is a length-delimited field.
func fieldOf(tag byte, value string) string { return string(appendBytes(nil, tag, value)) }

// entryOf is a user record with one-byte indexes, as it stands in a message;
// hashKey below 0 is none.
func entryOf(key, hashKey int, data string, more ...string) string {
	b := string([]byte{tagPartitionKeyIndex, byte(key)})
	if hashKey >= 0 {
		b += string([]byte{tagHashKeyIndex, byte(hashKey)})
	}
	return fieldOf(tagRecord, b+fieldOf(tagData, data)+strings.Join(more, ""))
}

func read(data []byte) (got []Record, err error) {
	var d Decoder
	return slices.Collect(d.Records("outer", data)), d.Err()
}

// The records that are plain, by the KCL's rule (AggregatorUtil.java): nothing
// of them is changed, and nothing about them is an error.
func TestPlainRecords(t *testing.T) {
	good := fieldOf(tagPartitionKey, "k") + entryOf(0, -1, "data")
	broken := aggregated(good)
	broken[len(broken)-1]++
	for name, data := range map[string][]byte{
		"empty":                              nil,
		"shorter than the magic bytes":       []byte(magic[:3]),
		"nothing but the magic bytes":        []byte(magic),
		"another start":                      append([]byte("\xf3\x89\x9a\xc3"), aggregated(good)[4:]...),
		"text":                               []byte(`{"n":1}`),
		"as many bytes as the digest has":    []byte(magic + strings.Repeat("x", digest)),
		"an empty message, right digest":     aggregated(""), // "remaining <= DIGEST_SIZE"
		"a wrong digest":                     broken,
		"a byte cut off":                     aggregated(good)[:len(aggregated(good))-1],
		"a field cut off":                    aggregated(good[:len(good)-1]),
		"a length beyond the end":            aggregated("\x1a\x7f"),
		"a length of 2^63":                   aggregated("\x1a\xff\xff\xff\xff\xff\xff\xff\xff\x7f"),
		"field 0":                            aggregated("\x02\x00"),
		"a field number beyond 29 bits":      aggregated("\x80\x80\x80\x80\x10\x00"),
		"a number of eleven bytes":           aggregated("\x28" + strings.Repeat("\xff", 10) + "\x01"),
		"wire type 6":                        aggregated(good + "\x0e\x00"),
		"wire type 7":                        aggregated(good + "\x0f\x00"),
		"the end of a group that none began": aggregated(good + "\x2c"),
		"a group without an end":             aggregated(good + "\x2b"),
		"a group that another number ends":   aggregated(good + "\x2b\x34"),
		"groups beyond the depth":            aggregated(good + strings.Repeat("\x2b", maxDepth+1) + strings.Repeat("\x2c", maxDepth+1)),
		"a user record without its key":      aggregated(fieldOf(tagPartitionKey, "k") + fieldOf(tagRecord, fieldOf(tagData, "x"))),
		"a user record without data":         aggregated(fieldOf(tagPartitionKey, "k") + fieldOf(tagRecord, "\x08\x00")),
		"an empty user record":               aggregated(fieldOf(tagPartitionKey, "k") + fieldOf(tagRecord, "")),
		"an index of the wrong type":         aggregated(fieldOf(tagPartitionKey, "k") + fieldOf(tagRecord, fieldOf(1<<3|wireBytes, "\x00")+fieldOf(tagData, "x"))),
		"a tag without its key":              aggregated(fieldOf(tagPartitionKey, "k") + entryOf(0, -1, "x", fieldOf(tagTag, fieldOf(tagTagValue, "v")))),
		"the last of many user records bad":  aggregated(good + strings.Repeat(entryOf(0, -1, "x"), 9) + "\x1a\x01\x08"),
	} {
		got, err := read(data)
		want := []Record{{PartitionKey: "outer", Data: data}}
		if diff := cmp.Diff(want, got); diff != "" || err != nil {
			t.Errorf("%s: error %v, records %s", name, err, diff)
		}
	}
}

// What the KCL hands out of a record that names keys it does not have: those
// before it (AggregatorUtil.java logs the exception and keeps the list).
func TestKeysThatAreNotThere(t *testing.T) {
	keys := fieldOf(tagPartitionKey, "k") + fieldOf(tagHashKey, "7")
	for _, c := range []struct{ name, bad, want string }{
		{"partition key", entryOf(1, -1, "bad"), "user record 1 of 3 names partition key 1 of 1"},
		{"explicit hash key", entryOf(0, 1, "bad"), "user record 1 of 3 names explicit hash key 1 of 1"},
		{"far beyond", fieldOf(tagRecord, "\x08\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01"+fieldOf(tagData, "")), "names partition key 18446744073709551615 of 1"},
	} {
		got, err := read(aggregated(keys + entryOf(0, 0, "good") + c.bad + entryOf(0, 0, "after")))
		want := []Record{{PartitionKey: "k", ExplicitHashKey: "7", Data: []byte("good"), Aggregated: true}}
		if diff := cmp.Diff(want, got); diff != "" || err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: error %v, records %s", c.name, err, diff)
		}
	}
}

func TestMaxRecords(t *testing.T) {
	bomb := aggregated(fieldOf(tagPartitionKey, strings.Repeat("k", 1<<20)) + strings.Repeat(entryOf(0, -1, ""), DefaultMaxRecords+1))
	got, err := read(bomb)
	if len(got) != 0 || err == nil || err.Error() != "aggregated record of 10001 user records, where at most 10000 are read" {
		t.Errorf("%d records, %v", len(got), err)
	}
	d := Decoder{MaxRecords: DefaultMaxRecords + 1}
	if n := count(d.Records("", bomb)); n != DefaultMaxRecords+1 || d.Err() != nil {
		t.Errorf("%d records, %v", n, d.Err())
	}
	if n := count(d.Records("", []byte("plain"))); n != 1 || d.Err() != nil {
		t.Errorf("after that, %d records, %v", n, d.Err())
	}
	for range d.Records("", bomb) {
		break // and no more is yielded, which would panic
	}
}

func count[T any](seq func(func(T) bool)) (n int) {
	for range seq {
		n++
	}
	return n
}

// vector is an example of the format; bench/aggregation holds the same ones
// against AWS's own library.
type vector struct {
	Name    string
	Data    []byte
	Encoded bool // Data is what an Encoder makes of Records
	Records []Record
}

var update = flag.Bool("update", false, "write testdata/vectors.json anew")

func vectors() []vector {
	rec := func(sub int, key, hashKey, data string, tags ...Tag) Record {
		return Record{PartitionKey: key, ExplicitHashKey: hashKey, Data: []byte(data), Tags: tags, SubSequence: sub, Aggregated: true}
	}
	long := strings.Repeat("0123456789abcdef", 20)
	many := make([]Record, 150)
	for i := range many {
		many[i] = rec(i, fmt.Sprint("key-", i), fmt.Sprint(i), fmt.Sprint("data ", i))
	}
	k, l := fieldOf(tagPartitionKey, "k"), fieldOf(tagPartitionKey, "l")
	return []vector{
		{"two records, two keys", aggregated(k + l + entryOf(0, -1, "one") + entryOf(1, -1, "two")), true,
			[]Record{rec(0, "k", "", "one"), rec(1, "l", "", "two")}},
		{"a key that both have, the second hashed by index 0", aggregated(k + fieldOf(tagHashKey, "0") + entryOf(0, -1, "one") + entryOf(0, 0, "two")), true,
			[]Record{rec(0, "k", "", "one"), rec(1, "k", "0", "two")}},
		{"every byte, and none", aggregated(k + entryOf(0, -1, "") + entryOf(0, -1, "\x00\xff\xf3\x89\x9a\xc2\r\n")), true,
			[]Record{rec(0, "k", "", ""), rec(1, "k", "", "\x00\xff\xf3\x89\x9a\xc2\r\n")}},
		{"lengths of two bytes", nil, true, []Record{rec(0, "ключ", "340282366920938463463374607431768211455", long), rec(1, long, "", long)}},
		{"indexes of two bytes", nil, true, many},
		{"tags", aggregated(k + entryOf(0, -1, "one", fieldOf(tagTag, fieldOf(tagTagKey, "t")+fieldOf(tagTagValue, "v"))) + entryOf(0, -1, "two")), true,
			[]Record{rec(0, "k", "", "one", Tag{"t", "v"}), rec(1, "k", "", "two")}},
		{"a tag without a value", aggregated(k + entryOf(0, -1, "one", fieldOf(tagTag, fieldOf(tagTagKey, "t")))), false,
			[]Record{rec(0, "k", "", "one", Tag{"t", ""})}},
		{"one record alone", aggregated(k + entryOf(0, -1, "one")), false, []Record{rec(0, "k", "", "one")}},
		{"empty keys", aggregated(fieldOf(tagPartitionKey, "") + entryOf(0, -1, "one") + entryOf(0, -1, "two")), true,
			[]Record{rec(0, "", "", "one"), rec(1, "", "", "two")}},
		{"no records", aggregated(k), false, nil},
		{"keys that nobody names, and one twice", aggregated(fieldOf(tagPartitionKey, "a") + k + k + entryOf(1, -1, "one") + entryOf(2, -1, "two")), false,
			[]Record{rec(0, "k", "", "one"), rec(1, "k", "", "two")}},
		{"tables after and between the records", aggregated(entryOf(0, 0, "one") + k + entryOf(1, -1, "two") + fieldOf(tagHashKey, "1") + l), false,
			[]Record{rec(0, "k", "1", "one"), rec(1, "l", "", "two")}},
		{"unknown fields of every wire type", aggregated("\x28\x01" + "\x2d4444" + "\x3188888888" + "\x2b\x08\x00\x33\x34\x2c" + k +
			fieldOf(tagRecord, "\x08\x00\x28\x07"+fieldOf(tagData, "one")+"\x2b\x2c") + fieldOf(6<<3|wireBytes, "?")), false,
			[]Record{rec(0, "k", "", "one")}},
		{"a field of a record twice: the last counts", aggregated(k + l + fieldOf(tagRecord, "\x08\x00\x08\x01"+fieldOf(tagData, "one")+fieldOf(tagData, "two"))), false,
			[]Record{rec(0, "l", "", "two")}},
		{"an aggregated record within one stays whole", aggregated(k + entryOf(0, -1, string(aggregated(k+entryOf(0, -1, "one")))) + entryOf(0, -1, "two")), true,
			[]Record{rec(0, "k", "", string(aggregated(k+entryOf(0, -1, "one")))), rec(1, "k", "", "two")}},
	}
}

func TestVectors(t *testing.T) {
	all := vectors()
	for i, v := range all {
		var e Encoder
		for _, r := range v.Records {
			if !e.Add(r) {
				t.Fatalf("%s does not fit", v.Name)
			}
		}
		if v.Data == nil {
			v.Data = e.Finish(nil).Data
			all[i] = v
		} else if v.Encoded && !bytes.Equal(e.Finish(nil).Data, v.Data) {
			t.Errorf("%s is encoded otherwise", v.Name)
		}
		got, err := read(v.Data)
		if diff := cmp.Diff(v.Records, got); diff != "" || err != nil {
			t.Errorf("%s: %v %s", v.Name, err, diff)
		}
	}
	text, err := json.MarshalIndent(all, "", "\t")
	if err != nil {
		t.Fatal(err)
	}
	text = append(text, '\n')
	const golden = "testdata/vectors.json"
	if *update {
		if err := os.WriteFile(golden, text, 0o666); err != nil {
			t.Fatal(err)
		}
	}
	old, err := os.ReadFile(golden)
	if err != nil || !bytes.Equal(text, old) {
		t.Errorf("%s, which released versions read, is not what is made now (%v)", golden, err)
	}
}

// What goes in comes out, in order, in entries of the size that was asked for.
func TestRoundTrip(t *testing.T) {
	var e Encoder // kept, as producers and consumers keep theirs
	var d Decoder
	rapid.Check(t, func(t *rapid.T) {
		keys := rapid.StringN(0, 300, 300)
		number := rapid.StringMatching(`([1-9][0-9]{0,37})?`)
		some := rapid.SliceOfN(keys, 1, 5).Draw(t, "keys")
		records := rapid.SliceOf(rapid.Custom(func(t *rapid.T) Record {
			r := Record{Data: rapid.SliceOfN(rapid.Byte(), 0, 400).Draw(t, "data"), ExplicitHashKey: number.Draw(t, "hash")}
			r.PartitionKey = rapid.OneOf(rapid.SampledFrom(some), keys).Draw(t, "key")
			for range rapid.SampledFrom([]int{0, 0, 0, 1, 2}).Draw(t, "tags") {
				r.Tags = append(r.Tags, Tag{keys.Draw(t, "tag"), keys.Draw(t, "value")})
			}
			return r
		})).Draw(t, "records")
		e.MaxSize = rapid.IntRange(0, 3000).Draw(t, "max size")
		e.MaxRecords = rapid.IntRange(0, 10).Draw(t, "max records")
		maxSize := e.MaxSize
		if maxSize == 0 {
			maxSize = DefaultMaxSize
		}

		var got []Record
		finish := func() {
			n, size := e.Len(), e.Size()
			entry := e.Finish([]byte("before"))
			before := len(got)
			for r := range d.Records(entry.PartitionKey, entry.Data) {
				if !r.Aggregated {
					r.ExplicitHashKey = entry.ExplicitHashKey
				}
				if r.SubSequence != len(got)-before || r.Aggregated != (n > 1 || r.Tags != nil) {
					t.Fatalf("%v of %d is number %d", r, n, len(got)-before)
				}
				r.SubSequence, r.Aggregated = 0, false
				got = append(got, r)
			}
			if err := d.Err(); err != nil || len(got)-before != n {
				t.Fatalf("%d records of %d come out, %v", len(got)-before, n, err)
			}
			if n > 1 && (len(entry.Data) != size || size > maxSize) || e.MaxRecords > 0 && n > e.MaxRecords {
				t.Fatalf("%d records make %d bytes, not %d", n, len(entry.Data), size)
			}
			if want, _ := got[before].HashKey(); n > 1 && entry.ExplicitHashKey != want.String() {
				t.Fatalf("is put under hash key %s, its first record's is %v", entry.ExplicitHashKey, want)
			}
		}
		for _, r := range records {
			if !e.Add(r) {
				finish()
				if !e.Add(r) {
					t.Fatal("the first record does not fit")
				}
			}
		}
		if e.Len() > 0 {
			finish()
		}
		if entry := e.Finish(nil); entry.Data != nil || len(got) != len(records) {
			t.Fatalf("%d records of %d, then %v", len(got), len(records), entry)
		}
		for i := range got {
			if diff := cmp.Diff(records[i], got[i]); diff != "" {
				t.Fatalf("record %d: %s", i, diff)
			}
		}
	})
}

// An entry is as full as it can be: the record that was refused would not have
// fit, by a byte.
func TestFullToTheByte(t *testing.T) {
	two := Record{PartitionKey: "l", Data: []byte("two")}
	e := Encoder{}
	e.Add(Record{PartitionKey: "k", Data: []byte("one")})
	e.Add(two)
	size := e.Size()
	for _, c := range []struct {
		max int
		fit bool
	}{{size, true}, {size - 1, false}} {
		e := Encoder{MaxSize: c.max}
		e.Add(Record{PartitionKey: "k", Data: []byte("one")})
		if e.Add(two) != c.fit {
			t.Errorf("of %d bytes, into %d: %v", size, c.max, !c.fit)
		}
	}
}

func TestHashKey(t *testing.T) {
	for _, c := range []struct{ key, explicit, want string }{
		{"", "", "281949768489412648962353822266799178366"}, // MD5 d41d8cd98f00b204e9800998ecf8427e
		{"any", "0", "0"},
		{"any", "340282366920938463463374607431768211455", "340282366920938463463374607431768211455"},
		{"any", "007", "7"},
	} {
		k, err := Record{PartitionKey: c.key, ExplicitHashKey: c.explicit}.HashKey()
		if err != nil || k.String() != c.want {
			t.Errorf("%q, %q: %v, %v", c.key, c.explicit, k, err)
		}
	}
	for _, bad := range []string{"", "x", "-1", "+1", " 1", "340282366920938463463374607431768211456", strings.Repeat("0", 40)} {
		if k, err := ParseHashKey(bad); err == nil {
			t.Errorf("%q is %v", bad, k)
		}
	}
	small, _ := ParseHashKey("255")
	large, _ := ParseHashKey("256")
	if small.Compare(large) >= 0 || large.Compare(small) <= 0 || small.Compare(small) != 0 {
		t.Error("255 is not below 256")
	}
}

// A decoder that reads records with the same keys again and again takes no
// memory for them, and an encoder that is given some takes none either.
func TestAllocations(t *testing.T) {
	var e Encoder
	var d Decoder
	var records []Record
	for i := range 400 {
		records = append(records, Record{PartitionKey: fmt.Sprint("key-", i%20), Data: make([]byte, 100)})
	}
	var dst []byte
	round := func() {
		for _, r := range records {
			e.Add(r)
		}
		entry := e.Finish(dst[:0])
		dst = entry.Data
		if n := count(d.Records(entry.PartitionKey, entry.Data)); n != 400 {
			t.Fatal(n)
		}
	}
	if n := testing.AllocsPerRun(100, round); n > 4 { // the hash key as a decimal number
		t.Errorf("%v allocations for 400 records there and back", n)
	}
}

// FuzzDecoder wraps what it is given as a message, so that it gets past the
// digest: whatever it holds, it is either plain or comes out within bounds, and
// what came out goes in and out again.
func FuzzDecoder(f *testing.F) {
	for _, v := range vectors() {
		if v.Data != nil {
			f.Add(body(v.Data))
		}
	}
	f.Fuzz(func(t *testing.T, message []byte) {
		data := aggregated(string(message))
		d := Decoder{MaxRecords: 50}
		got := slices.Collect(d.Records("outer", data))
		if len(got) > d.MaxRecords {
			t.Fatalf("%d records", len(got))
		}
		if len(got) == 1 && !got[0].Aggregated {
			if got[0].PartitionKey != "outer" || !bytes.Equal(got[0].Data, data) {
				t.Fatalf("a plain record became %v", got[0])
			}
			return
		}
		if len(got) < 2 {
			return // alone it would be encoded as plain
		}
		e := Encoder{MaxSize: 1 << 30}
		for i := range got {
			if !got[i].Aggregated || got[i].SubSequence != i || !e.Add(got[i]) {
				t.Fatalf("record %d: %v", i, got[i])
			}
		}
		again := slices.Collect(d.Records("outer", e.Finish(nil).Data))
		if diff := cmp.Diff(got, again); diff != "" || d.Err() != nil {
			t.Fatal(d.Err(), diff)
		}
	})
}
