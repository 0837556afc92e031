package wire

import (
	"encoding/base64"
	"fmt"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/thalweg/thalweg/fault"
)

func shapeOf[T any](t testing.TB) *Shape {
	t.Helper()
	s, err := Compile(reflect.TypeFor[T]())
	if err != nil {
		t.Fatal(err)
	}
	return s
}

type inner struct{ A *string }

type everything struct {
	String    *string
	Boolean   *bool
	Short     *int16
	Integer   *int32
	Long      *int64
	Double    *float64
	Blob      []byte
	Timestamp *time.Time
	List      []string
	Map       map[string]string
	Structure *inner
}

// AWS answers these texts to a member of the wrong type: recorded from
// production in kinesalite's test/helpers.js (assertType). Short and Double are
// inferred there from Integer and Long.
func TestTypeTexts(t *testing.T) {
	const (
		number = "class com.amazon.coral.value.json.numbers.TruncatingBigNumber can not be converted to "
		truth  = "class java.lang.Boolean can not be converted to "
		word   = "class java.lang.String can not be converted to "
		list   = "Start of list found where not expected"
		dict   = "Start of structure or map found where not expected."
	)
	type row struct{ member, value, text string }
	rows := []row{
		{"Boolean", `"23"`, `'23' can not be converted to an Boolean`},
		{"Boolean", `"hellowtf"`, `'HELLOWTF' can not be converted to an Boolean`},
		{"Blob", `"23456"`, `'23456' can not be converted to a Blob: Base64 encoded length is expected a multiple of 4 bytes but found: 5`},
		{"Blob", `"=+/="`, `'=+/=' can not be converted to a Blob: Invalid Base64 character: '='`},
		{"Blob", `"+/+="`, `'+/+=' can not be converted to a Blob: Invalid last non-pad Base64 character dectected`},
		{"Blob", `"QUJ\nRA=="`, "'QUJ\nRA==' can not be converted to a Blob: Invalid Base64 character: '\n'"},
		{"Blob", `true`, truth + "a Blob"},
		{"Timestamp", `"23"`, word + "milliseconds since epoch"},
		{"Timestamp", `true`, truth + "milliseconds since epoch"},
		{"String", `true`, truth + "an String"},
	}
	for _, n := range []string{"23", "-2147483648", "2147483648", "34.56"} {
		rows = append(rows, row{"String", n, number + "an String"}, row{"Boolean", n, number + "an Boolean"}, row{"Blob", n, number + "a Blob"})
	}
	for _, k := range []string{"Short", "Integer", "Long", "Double"} {
		rows = append(rows, row{k, `"23"`, word + "an " + k}, row{k, `true`, truth + "an " + k})
	}
	for _, k := range []string{"String", "Boolean", "Short", "Integer", "Long", "Double", "Blob", "Timestamp", "Map", "Structure"} {
		rows = append(rows, row{k, `[]`, list})
	}
	for _, k := range []string{"String", "Boolean", "Short", "Integer", "Long", "Double", "Blob", "Timestamp", "List"} {
		rows = append(rows, row{k, `{}`, dict})
	}
	for _, v := range []string{`"23"`, `true`, `23`, `-2147483648`, `2147483648`, `34.56`} {
		rows = append(rows, row{"List", v, "Expected list or null"}, row{"Map", v, "Expected map or null"}, row{"Structure", v, "Expected null"})
	}
	rows = append(rows, // a member of a member: kinesalite asks for Records.0.Data, Tags.a, TagKeys.0
		row{"Structure", `{"A":1}`, number + "an String"},
		row{"List", `["a",1]`, number + "an String"},
		row{"Map", `{"a":[]}`, list})

	s := shapeOf[everything](t)
	for _, r := range rows {
		body := fmt.Sprintf(`{"Unknown":{"String":1},%q:%s}`, r.member, r.value)
		err := s.Decode(JSON, []byte(body), new(everything))
		wantMalformed(t, body, err, r.text)
		// A body that does not parse is told before a type that is wrong.
		wantMalformed(t, body+"!", s.Decode(JSON, []byte(body+"!"), new(everything)), "")
	}
}

func wantMalformed(t *testing.T, body string, err error, text string) {
	t.Helper()
	f, ok := err.(*fault.Error)
	if !ok || f.Kind != fault.Malformed || f.Code != "SerializationException" || f.Message != text {
		t.Errorf("%s: got %#v, want text %q", body, err, text)
	}
}

// AWS names nothing when a body does not parse (kinesalite, test/connection.js:
// "should return SerializationException if non-JSON body").
func TestMalformed(t *testing.T) {
	s := shapeOf[everything](t)
	deep := strings.Repeat("[", maxDepth) + strings.Repeat("]", maxDepth)
	for _, body := range []string{
		"", " ", "hello", "null", "1", `"a"`, "{", "}", "{}{}", "{} x", `{"A"}`, `{"A":}`, `{"A":1,}`, `{,}`, `{"A":1 "B":2}`, `{'A':1}`, `{"A":[1,]}`, `{"A":[,1]}`, `{"A":[1 2]}`,
		`{"A":01}`, `{"A":-}`, `{"A":1.}`, `{"A":.5}`, `{"A":1e}`, `{"A":+1}`, `{"A":tru}`, `{"A":nul}`, `{"A":NaN}`, `{"A":"\x"}`, `{"A":"\u12"}`, `{"A":"\ud800"}`, `{"A":"\ud800\u0041"}`, `{"A":"\udc00"}`,
		"{\"A\":\"\x01\"}", "{\"A\":\"\n\"}", "{\"A\":\"\xff\"}", "{\"A\":\"long enough to be looked at by words \xc3\"}", "{\"\xff\":1}", `{"A":"`, `{"A":"\"}`, `{"A":[}`, `{"A":{]}`, "\xef\xbb\xbf{}", `{"A":1]`, "{}\x00",
		`{"A":` + deep + `}`, `{"String":"a"`, `{"List":["a"`, `{"List":["a",]}`, `{"Blob":"QQ==`,
	} {
		wantMalformed(t, body, s.Decode(JSON, []byte(body), new(everything)), "")
		if Valid(JSON, []byte(body)) {
			t.Errorf("%q is called valid", body)
		}
	}
	for _, body := range []string{`{"A":` + deep[1:len(deep)-1] + `}`, " { } \r\n\t", `{"A":[1,-0,0.5,1e9,-1.5E-7,[],{},{"B":"\u00e9\ud83d\ude00\/"}]}`} {
		if err := s.Decode(JSON, []byte(body), new(everything)); err != nil || !Valid(JSON, []byte(body)) {
			t.Errorf("%q is refused: %v", body, err)
		}
	}
	wantMalformed(t, "[]", s.Decode(JSON, []byte("[]"), new(everything)), "Start of list found where not expected")
}

type putRecordsEntry struct {
	_               struct{} `aws:"shown=com.amazonaws.kinesis.v20131202.PutRecordsRequestEntry@c965e310"`
	PartitionKey    *string  `aws:"required,min=1,max=256"`
	ExplicitHashKey *string  `aws:"pattern=0|([1-9]\\d{0,38})"`
	Data            []byte   `aws:"required,max=1048576"`
}

type putRecords struct {
	Records    []putRecordsEntry `aws:"required,min=1,max=500"`
	StreamName *string           `aws:"required,min=1,max=128,pattern=[a-zA-Z0-9_.-]+"`
}

type addTags struct {
	Tags       map[string]string `aws:"required,min=1,max=10" key:"min=1,max=128" elem:"min=0,max=256"`
	StreamName *string           `aws:"required,min=1,max=128,pattern=[a-zA-Z0-9_.-]+"`
}

type removeTags struct {
	TagKeys    []string `aws:"required,min=1,max=10" elem:"min=1,max=128"`
	StreamName *string  `aws:"required,min=1,max=128,pattern=[a-zA-Z0-9_.-]+"`
}

type createStream struct {
	ShardCount *int32  `aws:"required,min=1,max=100000"`
	StreamName *string `aws:"required,min=1,max=128,pattern=[a-zA-Z0-9_.-]+"`
}

type getShardIterator struct {
	ShardIteratorType *string `aws:"required,enum=AFTER_SEQUENCE_NUMBER|LATEST|AT_TIMESTAMP|AT_SEQUENCE_NUMBER|TRIM_HORIZON"`
}

// AWS answers these texts to values out of bounds: recorded from production in
// kinesalite's test/putRecords.js, addTagsToStream.js, removeTagsFromStream.js,
// createStream.js and getShardIterator.js. The order of violations is not fixed
// there; ours is that of the struct.
func TestConstraintTexts(t *testing.T) {
	const (
		lenMin  = "Member must have length greater than or equal to 1"
		null    = "Member must not be null"
		name    = "Member must satisfy regular expression pattern: [a-zA-Z0-9_.-]+"
		hash    = `Member must satisfy regular expression pattern: 0|([1-9]\d{0,38})`
		longKey = "Map keys must satisfy constraint: [Member must have length less than or equal to 128, Member must have length greater than or equal to 1]"
		longVal = "Map value must satisfy constraint: [Member must have length less than or equal to 256, Member must have length greater than or equal to 0]"
		longTag = "Member must satisfy constraint: [Member must have length less than or equal to 128, Member must have length greater than or equal to 1]"
	)
	is := func(value, path, text string) string {
		return "Value " + value + " at '" + path + "' failed to satisfy constraint: " + text
	}
	a129, a257 := strings.Repeat("a", 129), strings.Repeat("a", 257)
	big := base64.StdEncoding.EncodeToString(make([]byte, 1048577))
	many := make([]string, 501)
	manyText := []string{is("'["+strings.Repeat("com.amazonaws.kinesis.v20131202.PutRecordsRequestEntry@c965e310, ", 500)+
		"com.amazonaws.kinesis.v20131202.PutRecordsRequestEntry@c965e310]'", "records", "Member must have length less than or equal to 500")}
	for i := range many {
		many[i] = `{"PartitionKey":"","Data":""}`
		if i < 9 {
			manyText = append(manyText, is("''", fmt.Sprintf("records.%d.member.partitionKey", i+1), lenMin))
		}
	}
	for _, c := range []struct {
		shape *Shape
		into  any
		body  string
		want  []string
	}{
		{shapeOf[putRecords](t), new(putRecords), `{}`, []string{is("null", "records", null), is("null", "streamName", null)}},
		{shapeOf[putRecords](t), new(putRecords), `{"StreamName":null,"Records":null}`, []string{is("null", "records", null), is("null", "streamName", null)}},
		{shapeOf[putRecords](t), new(putRecords), `{"StreamName":"","Records":[]}`, []string{is("'[]'", "records", lenMin), is("''", "streamName", name), is("''", "streamName", lenMin)}},
		{shapeOf[putRecords](t), new(putRecords), `{"StreamName":"","Records":[{"PartitionKey":"","Data":"","ExplicitHashKey":""}]}`, []string{
			is("''", "records.1.member.partitionKey", lenMin), is("''", "records.1.member.explicitHashKey", hash), is("''", "streamName", name), is("''", "streamName", lenMin)}},
		{shapeOf[putRecords](t), new(putRecords), `{"StreamName":"` + a129 + `","Records":[{"PartitionKey":"` + a257 + `","Data":"` + big + `","ExplicitHashKey":""}]}`, []string{
			is("'"+a257+"'", "records.1.member.partitionKey", "Member must have length less than or equal to 256"),
			is("''", "records.1.member.explicitHashKey", hash),
			is("'java.nio.HeapByteBuffer[pos=0 lim=1048577 cap=1048577]'", "records.1.member.data", "Member must have length less than or equal to 1048576"),
			is("'"+a129+"'", "streamName", "Member must have length less than or equal to 128")}},
		{shapeOf[putRecords](t), new(putRecords), `{"StreamName":"","Records":[` + strings.Join(many, ",") + `]}`, manyText},
		{shapeOf[putRecords](t), new(putRecords), `{"StreamName":"a","Records":[{"PartitionKey":"a","Data":"","ExplicitHashKey":"340282366920938463463374607431768211456"},{"PartitionKey":"\u00e9","Data":"QQ==","ExplicitHashKey":"0"}]}`, nil},
		{shapeOf[putRecords](t), new(putRecords), `{"StreamName":"a\n","Records":[{"Data":""}]}`, []string{is("null", "records.1.member.partitionKey", null), is("'a\n'", "streamName", name)}},
		{shapeOf[addTags](t), new(addTags), `{"StreamName":"a","Tags":{}}`, []string{is("'{}'", "tags", lenMin)}},
		{shapeOf[addTags](t), new(addTags), `{"StreamName":"a","Tags":{"a":"1","b":"2","` + a129 + `":"3"}}`, []string{is("'{a=1, "+a129+"=3, b=2}'", "tags", longKey)}},
		{shapeOf[addTags](t), new(addTags), `{"StreamName":"a","Tags":{"a":"1","b":"2","c":"` + a257 + `"}}`, []string{is("'{a=1, b=2, c="+a257+"}'", "tags", longVal)}},
		{shapeOf[removeTags](t), new(removeTags), `{"StreamName":"a","TagKeys":["a","` + a129 + `","b"]}`, []string{is("'[a, "+a129+", b]'", "tagKeys", longTag)}},
		{shapeOf[removeTags](t), new(removeTags), `{"StreamName":"a","TagKeys":["1","2","3","4","5","6","7","8","9","10","11"]}`, []string{is("'[1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11]'", "tagKeys", "Member must have length less than or equal to 10")}},
		{shapeOf[createStream](t), new(createStream), `{"StreamName":"a","ShardCount":0}`, []string{is("'0'", "shardCount", "Member must have value greater than or equal to 1")}},
		{shapeOf[createStream](t), new(createStream), `{"StreamName":"a","ShardCount":100000000000}`, []string{is("'2147483647'", "shardCount", "Member must have value less than or equal to 100000")}},
		{shapeOf[getShardIterator](t), new(getShardIterator), `{"ShardIteratorType":""}`, []string{is("''", "shardIteratorType",
			"Member must satisfy enum value set: [AFTER_SEQUENCE_NUMBER, LATEST, AT_TIMESTAMP, AT_SEQUENCE_NUMBER, TRIM_HORIZON]")}},
	} {
		if err := c.shape.Decode(JSON, []byte(c.body), c.into); err != nil {
			t.Fatalf("%.100s: %v", c.body, err)
		}
		err := c.shape.Check(c.into)
		if c.want == nil {
			if err != nil {
				t.Errorf("%.100s: %v", c.body, err)
			}
			continue
		}
		want := "1 validation error detected: " + c.want[0]
		if n := len(c.want); n > 1 {
			want = fmt.Sprintf("%d validation errors detected: %s", n, strings.Join(c.want, "; "))
		}
		if !fault.Is(err, fault.Constraint) || err.Error() != want {
			t.Errorf("%.100s:\n got %v\nwant %v", c.body, err, want)
		}
	}
}

// What is shown of other types has no record at AWS; it is what Java prints.
func TestShow(t *testing.T) {
	type holder struct {
		Matrix [][]int64           `aws:"max=0"`
		Times  []time.Time         `aws:"max=0"`
		Parts  map[string]*inner   `aws:"max=0"`
		Flags  []bool              `aws:"max=0"`
		Floats map[string]*float64 `aws:"max=0"`
		Long   *string             `aws:"max=0"`
	}
	half, long := 0.5, strings.Repeat("é", maxShown)
	err := shapeOf[holder](t).Check(holder{
		Matrix: [][]int64{{1, 2}, {}}, Times: []time.Time{time.Unix(0, 0)}, Parts: map[string]*inner{"b": nil, "a": {}},
		Flags: []bool{true}, Floats: map[string]*float64{"x": &half}, Long: &long,
	})
	if err == nil {
		t.Fatal("no error")
	}
	for _, want := range []string{"'[[1, 2], []]' at 'matrix'", "'[Thu Jan 01 00:00:00 UTC 1970]'", "'{a=inner@0, b=null}'", "'[true]'", "'{x=0.5}'", "6 validation errors"} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("%q is not in %.300s", want, err)
		}
	}
	if n := len(err.Error()); n > 2*maxShown {
		t.Errorf("the text has %d bytes", n)
	}
}

// The constraints of structures in maps and in lists of lists.
func TestNestedPaths(t *testing.T) {
	type leaf struct {
		Name *string `aws:"required"`
	}
	type tree struct {
		Grid  [][]leaf
		Named map[string]*leaf
		One   leaf
		None  *leaf
	}
	err := shapeOf[tree](t).Check(&tree{Grid: [][]leaf{nil, {{}}}, Named: map[string]*leaf{"k": {}, "nil": nil}})
	want := "3 validation errors detected: Value null at 'grid.2.member.1.member.name' failed to satisfy constraint: Member must not be null; " +
		"Value null at 'named.k.member.name' failed to satisfy constraint: Member must not be null; Value null at 'one.name' failed to satisfy constraint: Member must not be null"
	if err == nil || err.Error() != want {
		t.Errorf("got %v\nwant %v", err, want)
	}
}

func TestCompileRefuses(t *testing.T) {
	for _, v := range []any{
		1, time.Time{}, struct{ A any }{}, struct{ A chan int }{}, struct{ A map[int]string }{}, struct{ A *[]string }{}, struct{ A uint8 }{},
		struct {
			A string `aws:"required"`
		}{},
		struct {
			A string `aws:"min=x"`
		}{},
		struct {
			A string `aws:"pattern=("`
		}{},
		struct {
			A int `aws:"pattern=a"`
		}{},
		struct {
			A int `aws:"enum=a"`
		}{},
		struct {
			A bool `aws:"min=1"`
		}{},
		struct {
			A string `aws:"mandatory"`
		}{},
		struct {
			A string `elem:"min=1"`
		}{},
		struct {
			A []string `key:"min=1"`
		}{},
		struct {
			A []string `elem:"required"`
		}{},
		struct {
			A string
			B string `aws:"name=A"`
		}{},
	} {
		if _, err := Compile(reflect.TypeOf(v)); err == nil {
			t.Errorf("%T is compiled", v)
		}
	}
	if _, err := Compile(nil); err == nil {
		t.Error("nil is compiled")
	}
}
