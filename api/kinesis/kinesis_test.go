package kinesis

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"os"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/fxamacker/cbor/v2"
	"github.com/google/go-cmp/cmp"

	"github.com/thalweg/thalweg/catalog"
	"github.com/thalweg/thalweg/fault"
	"github.com/thalweg/thalweg/gate"
	"github.com/thalweg/thalweg/gate/wire"
	"github.com/thalweg/thalweg/internal/vfs"
	"github.com/thalweg/thalweg/shardlog/journal"
	"github.com/thalweg/thalweg/stream"
)

const (
	account = "000000000000"
	region  = "us-east-1"
	arnHead = "arn:aws:kinesis:us-east-1:000000000000:stream/"
)

// fixture is the API over real streams in a real journal on memory files.
type fixture struct {
	testing.TB
	api     *api
	service *gate.Service
	now     time.Time // of the calls
}

func newFixture(t testing.TB) *fixture {
	c := catalog.New()
	log, err := journal.Open(t.Context(), journal.Config{FS: vfs.NewMem(1 << 30), Dir: "/data", Machine: c, SegmentBytes: 16 << 20})
	if err != nil {
		t.Fatal(err)
	}
	c.Attach(log)
	s, err := stream.New(stream.Config{Log: log, Catalog: c})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := log.Close(); err != nil {
			t.Error(err)
		}
	})
	a := newAPI(s)
	return &fixture{TB: t, api: a, service: New(s), now: time.Now()}
}

func (f *fixture) create(name string, shards int) {
	f.Helper()
	f.ok("CreateStream", m{"StreamName": name, "ShardCount": shards})
}

type m = map[string]any
type l = []any

func encode(f wire.Format, v any) []byte {
	if raw, ok := v.([]byte); ok {
		return raw
	}
	var b []byte
	var err error
	if f == wire.CBOR {
		b, err = cbor.Marshal(v)
	} else {
		b, err = json.Marshal(v)
	}
	if err != nil {
		panic(err)
	}
	return b
}

func (f *fixture) serve(format wire.Format, op string, body any) ([]byte, error) {
	f.Helper()
	for _, o := range f.service.Ops {
		if o.Name == op && o.Stream != nil {
			return nil, o.Stream(f.Context(), f.call(format, op, encode(format, body)), nil) // which must fail
		}
		if o.Name == op {
			return o.Serve(f.Context(), f.call(format, op, encode(format, body)), nil)
		}
	}
	f.Fatalf("no operation %s", op)
	return nil, nil
}

func (f *fixture) call(format wire.Format, op string, body []byte) *gate.Call {
	return &gate.Call{Account: account, Region: region, Format: format, Target: "Kinesis_20131202." + op, Body: body, Now: f.now}
}

// ok makes a call in JSON that must succeed and returns its answer.
func (f *fixture) ok(op string, body any) m {
	f.Helper()
	return f.okIn(wire.JSON, op, body)
}

func (f *fixture) okIn(format wire.Format, op string, body any) m {
	f.Helper()
	b, err := f.serve(format, op, body)
	if err != nil {
		f.Fatalf("%s in %s: %v", op, format, err)
	}
	if len(b) == 0 {
		return nil
	}
	var out m
	if format == wire.CBOR {
		mode, err := cbor.DecOptions{DefaultMapType: reflect.TypeFor[m]()}.DecModeWithTags(cbor.NewTagSet())
		if err != nil {
			f.Fatal(err)
		}
		err = mode.Unmarshal(b, &out)
		if err != nil {
			f.Fatalf("%s: %v in %x", op, err, b)
		}
		return out
	}
	if err := json.Unmarshal(b, &out); err != nil {
		f.Fatalf("%s: %v in %s", op, err, b)
	}
	return out
}

// fails makes a call in both formats that must fail in one way.
func (f *fixture) fails(op string, body m, name, message string) {
	f.Helper()
	for _, format := range []wire.Format{wire.JSON, wire.CBOR} {
		b, err := f.serve(format, op, body)
		var e *fault.Error
		if !errors.As(err, &e) {
			f.Errorf("%s(%v) in %s: %q, %v", op, body, format, b, err)
			continue
		}
		got, status := f.service.Exception(e)
		if got != name || status != 400 || e.Message != message {
			f.Errorf("%s(%v) in %s: %d %s\n got %s\nwant %s", op, body, format, status, got, e.Message, message)
		}
	}
}

func shapeOf[T any](t testing.TB) *wire.Shape {
	t.Helper()
	s, err := wire.Compile(reflect.TypeFor[T]())
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// The table of operations knows every file of one, and with those to come it is
// AWS's whole model of 2026-09: 45.
func TestEveryOperationIsKnown(t *testing.T) {
	s := New(nil)
	known := maps.Clone(s.Later)
	here := map[string]bool{}
	for _, op := range s.Ops {
		if _, twice := known[op.Name]; twice {
			t.Errorf("%s is both there and to come", op.Name)
		}
		here[op.Name] = true
		known[op.Name] = ""
	}
	if len(known) != 45 {
		t.Errorf("%d operations, not 45", len(known))
	}
	files, err := os.ReadDir(".")
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range files {
		base, isGo := strings.CutSuffix(file.Name(), ".go")
		var name strings.Builder
		for word := range strings.SplitSeq(base, "_") {
			name.WriteString(strings.ToUpper(word[:1]) + word[1:])
		}
		if _, ok := known[name.String()]; !isGo || !ok {
			continue
		}
		if !here[name.String()] {
			t.Errorf("%s is an operation's file, but the table of operations has no %s", file.Name(), name.String())
		}
		delete(here, name.String())
	}
	for name := range here {
		t.Errorf("operation %s has no file of its own", name)
	}
	for name, text := range s.Later {
		if !strings.Contains(text, name) {
			t.Errorf("the text about %s does not name it: %s", name, text)
		}
	}
	if _, err := gate.New(gate.Config{Services: []*gate.Service{s}}); err != nil {
		t.Error(err)
	}
}

// Data that is not base64 is refused whole, in AWS's words, and nothing of the
// request is stored.
func TestBadBase64StoresNothing(t *testing.T) {
	f := newFixture(t)
	f.create("orders", 1)
	body := []byte(`{"StreamName":"orders","Records":[{"PartitionKey":"a","Data":"YWJj"},{"PartitionKey":"b","Data":"YW*j"}]}`)
	_, err := f.serve(wire.JSON, "PutRecords", body)
	if !fault.Is(err, fault.Malformed) || err.Error() != "'YW*j' can not be converted to a Blob: Invalid Base64 character: '*'" {
		t.Errorf("got %v", err)
	}
	if got := f.drain(wire.JSON, "orders", 0); len(got) != 0 {
		t.Errorf("stored: %v", got)
	}
}

func (f *fixture) iterator(format wire.Format, name string, shard int) string {
	f.Helper()
	out := f.okIn(format, "GetShardIterator", m{"StreamName": name, "ShardId": fmt.Sprintf("shardId-%012d", shard), "ShardIteratorType": "TRIM_HORIZON"})
	return out["ShardIterator"].(string)
}

// drain reads a shard until the tip.
func (f *fixture) drain(format wire.Format, name string, shard int) (records l) {
	f.Helper()
	out := f.okIn(format, "GetRecords", m{"ShardIterator": f.iterator(format, name, shard)})
	return out["Records"].([]any)
}

// A record's way in and out, in both formats, and by the hand-made codecs as by
// the general ones.
func TestRoundTrip(t *testing.T) {
	for _, format := range []wire.Format{wire.JSON, wire.CBOR} {
		t.Run(format.String(), func(t *testing.T) {
			f := newFixture(t)
			f.create("orders", 1)
			one := f.okIn(format, "PutRecord", m{"StreamName": "orders", "PartitionKey": "a\n\"é\U0001F40C", "Data": []byte("hello")})
			if one["ShardId"] != "shardId-000000000000" || len(one["SequenceNumber"].(string)) != 56 {
				t.Errorf("answer: %v", one)
			}
			many := f.okIn(format, "PutRecords", m{"StreamARN": arnHead + "orders", "StreamName": "orders", "StreamId": "x", "Records": l{
				m{"PartitionKey": "b", "Data": []byte{0, 255, 7}, "ExplicitHashKey": "0"}, m{"PartitionKey": "c", "Data": []byte{}, "Extra": l{1, m{}}},
			}})
			if fmt.Sprint(many["FailedRecordCount"]) != "0" || len(many["Records"].([]any)) != 2 {
				t.Errorf("answer: %v", many)
			}
			token := f.iterator(format, "orders", 0)
			hot, err := f.serve(format, "GetRecords", m{"ShardIterator": token})
			if err != nil {
				t.Fatal(err)
			}
			// StreamARN leads to the general codec.
			general, err := f.serve(format, "GetRecords", m{"ShardIterator": token, "StreamARN": arnHead + "orders"})
			if err != nil {
				t.Fatal(err)
			}
			shape := shapeOf[getRecordsAnswer](t)
			var a, b getRecordsAnswer
			if err := errors.Join(shape.Decode(format, hot, &a), shape.Decode(format, general, &b)); err != nil {
				t.Fatal(err)
			}
			if *a.NextShardIterator == *b.NextShardIterator {
				t.Error("two iterators are the same")
			}
			a.NextShardIterator, b.NextShardIterator = nil, nil
			if d := cmp.Diff(b, a); d != "" {
				t.Errorf("general and hand-made answers differ: %s", d)
			}
			var got []string
			for _, r := range a.Records {
				got = append(got, fmt.Sprintf("%q %q", *r.PartitionKey, r.Data))
				if d := time.Since(r.ApproximateArrivalTimestamp); d < -time.Second || d > time.Minute {
					t.Errorf("arrived %v ago", d)
				}
			}
			want := []string{`"a\n\"é🐌" "hello"`, `"b" "\x00\xff\a"`, `"c" ""`}
			if d := cmp.Diff(want, got); d != "" {
				t.Error(d)
			}
			if a.Records[0].SequenceNumber != one["SequenceNumber"] {
				t.Errorf("sequence number %s was answered, %s read", one["SequenceNumber"], a.Records[0].SequenceNumber)
			}
		})
	}
}

// A stream that places records itself takes them without partition keys, and
// gives them back without ("this value is not returned if the producer did not
// provide a partition key", API_Record). Any other refuses them.
func TestNoPartitionKey(t *testing.T) {
	for _, format := range []wire.Format{wire.JSON, wire.CBOR} {
		f := newFixture(t)
		f.create("keyed", 1)
		f.ok("CreateStream", m{"StreamName": "auto", "StreamModeDetails": m{"StreamMode": "ON_DEMAND"}, "RecordDistributionStrategy": "AUTO"})
		const null = "1 validation error detected: Value null at 'partitionKey' failed to satisfy constraint: Member must not be null"
		many := l{m{"Data": []byte("b")}, m{"Data": []byte("c"), "PartitionKey": "c"}}
		for _, dry := range []bool{false, true} {
			f.fails("PutRecord", m{"StreamName": "keyed", "Data": []byte("a"), "DryRun": dry}, "ValidationException", null)
			f.fails("PutRecords", m{"StreamName": "keyed", "Records": many, "DryRun": dry}, "ValidationException",
				strings.Replace(null, "partitionKey", "records.1.member.partitionKey", 1))
		}
		f.okIn(format, "PutRecord", m{"StreamName": "auto", "Data": []byte("a")})
		f.okIn(format, "PutRecords", m{"StreamName": "auto", "Records": many})
		keys := map[string]any{}
		for shard := range 4 {
			token := f.iterator(format, "auto", shard)
			for _, in := range []m{{"ShardIterator": token}, {"ShardIterator": token, "StreamARN": arnHead + "auto"}} { // by hand, and not
				for _, r := range f.okIn(format, "GetRecords", in)["Records"].([]any) {
					r := asMap(r)
					data, err := base64.StdEncoding.DecodeString(fmt.Sprint(r["Data"]))
					if format == wire.CBOR {
						data, err = r["Data"].([]byte), nil
					}
					if err != nil {
						t.Fatal(err)
					}
					if key, there := r["PartitionKey"]; there {
						keys[string(data)] = key
					} else {
						keys[string(data)] = "absent"
					}
				}
			}
		}
		if d := cmp.Diff(m{"a": "absent", "b": "absent", "c": "c"}, keys); d != "" {
			t.Error(d)
		}
	}
}

// The iterator after the last record of a closed shard is absent exactly when
// ChildShards is there, and each child names its parents (KCL's rule,
// DataRetrievalUtil). The answers by hand and by the general codec agree.
func TestShardEnd(t *testing.T) {
	for _, format := range []wire.Format{wire.JSON, wire.CBOR} {
		f := newFixture(t)
		f.create("orders", 2)
		f.okIn(format, "MergeShards", m{"StreamName": "orders", "ShardToMerge": "shardId-000000000000", "AdjacentShardToMerge": "shardId-000000000001"})
		f.okIn(format, "SplitShard", m{"StreamName": "orders", "ShardToSplit": "2", "NewStartingHashKey": "1000"})
		for shard, children := range [][]string{{"shardId-000000000002"}, {"shardId-000000000002"}, {"shardId-000000000003", "shardId-000000000004"}, nil, nil} {
			token := f.iterator(format, "orders", shard)
			hot, err := f.serve(format, "GetRecords", m{"ShardIterator": token})
			if err != nil {
				t.Fatal(err)
			}
			general, err := f.serve(format, "GetRecords", m{"ShardIterator": token, "StreamARN": arnHead + "orders"})
			if err != nil {
				t.Fatal(err)
			}
			var out getRecordsAnswer
			if err := shapeOf[getRecordsAnswer](t).Decode(format, hot, &out); err != nil {
				t.Fatal(err)
			}
			if children != nil && !bytes.Equal(hot, general) {
				t.Errorf("by hand %s\ngeneral %s", hot, general)
			}
			if (out.NextShardIterator == nil) != (out.ChildShards != nil) || (out.ChildShards != nil) != (children != nil) {
				t.Errorf("shard %d: %s", shard, hot)
			}
			var got []string
			for _, c := range out.ChildShards {
				got = append(got, c.ShardId)
				if want := map[bool]int{true: 2, false: 1}[c.ShardId == "shardId-000000000002"]; len(c.ParentShards) != want {
					t.Errorf("parents of %s: %v", c.ShardId, c.ParentShards)
				}
			}
			if !slices.Equal(got, children) {
				t.Errorf("children of %d: %v", shard, got)
			}
		}
	}
}

func TestListShards(t *testing.T) {
	f := newFixture(t)
	f.create("orders", 5)
	// Times of shards are in milliseconds: let the split be in another one.
	for made := time.Now().UnixMilli(); time.Now().UnixMilli() <= made; {
	}
	f.ok("SplitShard", m{"StreamName": "orders", "ShardToSplit": "shardId-0", "NewStartingHashKey": "1000"})
	ids := func(out m) (ids []string) {
		for _, s := range out["Shards"].([]any) {
			ids = append(ids, s.(m)["ShardId"].(string)[len("shardId-00000000000"):])
		}
		return ids
	}
	for want, in := range map[string]m{
		"0123456": {},
		"3456":    {"ExclusiveStartShardId": "shardId-000000000002"},
		"123456":  {"ShardFilter": m{"Type": "AT_LATEST"}},
		"456":     {"ShardFilter": m{"Type": "AFTER_SHARD_ID", "ShardId": "shardId-3"}},
	} {
		in["StreamName"] = "orders"
		if got := strings.Join(ids(f.ok("ListShards", in)), ""); got != want {
			t.Errorf("%v: %s, not %s", in, got, want)
		}
		// The same in pages of two.
		in["MaxResults"] = 2
		var all []string
		for {
			out := f.ok("ListShards", in)
			all = append(all, ids(out)...)
			token, more := out["NextToken"]
			if !more {
				break
			}
			if n := len(ids(out)); n != 2 {
				t.Errorf("a page of %d", n)
			}
			in = m{"NextToken": token, "MaxResults": 2}
		}
		if got := strings.Join(all, ""); got != want {
			t.Errorf("in pages: %s, not %s", got, want)
		}
	}
	for _, filter := range []m{{"Type": "AT_TRIM_HORIZON"}, {"Type": "FROM_TRIM_HORIZON"}, {"Type": "AT_TIMESTAMP", "Timestamp": 1}, {"Type": "FROM_TIMESTAMP", "Timestamp": 1}} {
		if got := ids(f.ok("ListShards", m{"StreamName": "orders", "ShardFilter": filter})); len(got) == 0 || got[0] != "0" {
			t.Errorf("%v: %v", filter, got)
		}
	}
	// All pages are as of the first: of a split in between nothing is seen.
	first := f.ok("ListShards", m{"StreamName": "orders", "MaxResults": 1})
	f.ok("SplitShard", m{"StreamName": "orders", "ShardToSplit": "shardId-6", "NewStartingHashKey": "50000"})
	rest := f.ok("ListShards", m{"NextToken": first["NextToken"]})["Shards"].([]any)
	if sixth := rest[len(rest)-1].(m); len(rest) != 6 || sixth["SequenceNumberRange"].(m)["EndingSequenceNumber"] != nil {
		t.Errorf("after the first page and a split: %v", rest)
	}
	// "If you specify a value greater than 1000, at most 1000 results are
	// returned" (API_ListShards).
	f.create("wide", 1001)
	if page := f.ok("ListShards", m{"StreamName": "wide", "MaxResults": 10000}); len(page["Shards"].([]any)) != 1000 || page["NextToken"] == nil {
		t.Errorf("a page of %d", len(page["Shards"].([]any)))
	}
	// A token is of one stream, not of another made anew under its name.
	stale := f.ok("ListShards", m{"StreamName": "wide"})["NextToken"]
	f.ok("DeleteStream", m{"StreamName": "wide"})
	for gone := time.Now().UnixMilli(); time.Now().UnixMilli() <= gone; { // so that the other was made at another time
	}
	f.create("wide", 1001)
	if _, err := f.serve(wire.JSON, "ListShards", m{"NextToken": stale}); !fault.Is(err, fault.NotFound) {
		t.Errorf("the token of a stream that is gone: %v", err)
	}
	// EndingSequenceNumber is there exactly on closed shards (moto a7a61d6ce).
	for i, s := range f.ok("ListShards", m{"StreamName": "orders"})["Shards"].([]any) {
		if _, closed := s.(m)["SequenceNumberRange"].(m)["EndingSequenceNumber"]; closed != (i == 0 || i == 6) {
			t.Errorf("shard %d: %v", i, s)
		}
	}
	// A token lives 300 s.
	token := f.ok("ListShards", m{"StreamName": "orders", "MaxResults": 1})["NextToken"]
	f.now = f.now.Add(299 * time.Second)
	f.ok("ListShards", m{"NextToken": token})
	f.now = f.now.Add(time.Second)
	_, err := f.serve(wire.JSON, "ListShards", m{"NextToken": token})
	if !fault.Is(err, fault.ExpiredToken) {
		t.Errorf("an old token: %v", err)
	}
}

func TestListAndDescribeStreams(t *testing.T) {
	f := newFixture(t)
	for _, name := range []string{"c", "a", "b"} {
		f.create(name, 1)
	}
	var got []any
	in := m{"Limit": 2}
	for {
		out := f.ok("ListStreams", in)
		got = append(got, out["StreamNames"].([]any)...)
		if len(out["StreamSummaries"].([]any)) != len(out["StreamNames"].([]any)) {
			t.Errorf("summaries: %v", out)
		}
		if out["HasMoreStreams"] == false {
			break
		}
		in = m{"NextToken": out["NextToken"], "Limit": 2}
	}
	if d := cmp.Diff([]any{"a", "b", "c"}, got); d != "" {
		t.Error(d)
	}
	out := f.ok("DescribeStreamSummary", m{"StreamName": "a"})["StreamDescriptionSummary"].(m)
	delete(out, "StreamCreationTimestamp")
	want := m{
		"StreamStatus": "ACTIVE", "StreamName": "a", "StreamARN": arnHead + "a", "RetentionPeriodHours": 24.0, "EncryptionType": "NONE",
		"EnhancedMonitoring": l{m{"ShardLevelMetrics": l{}}}, "OpenShardCount": 1.0, "ConsumerCount": 0.0,
		"StreamModeDetails": m{"StreamMode": "PROVISIONED"}, "MaxRecordSizeInKiB": 1024.0, "ChannelCount": 0.0,
	}
	if d := cmp.Diff(want, out); d != "" {
		t.Error(d)
	}
	f.create("wide", 101)
	page := f.ok("DescribeStream", m{"StreamName": "wide", "Limit": 10000})["StreamDescription"].(m)
	if n := len(page["Shards"].([]any)); n != 100 || page["HasMoreShards"] != true {
		t.Errorf("%d shards, more: %v", n, page["HasMoreShards"])
	}
	page = f.ok("DescribeStream", m{"StreamName": "wide", "ExclusiveStartShardId": "shardId-000000000099"})["StreamDescription"].(m)
	if n := len(page["Shards"].([]any)); n != 1 || page["HasMoreShards"] != false {
		t.Errorf("%d shards, more: %v", n, page["HasMoreShards"])
	}
	f.ok("DeleteStream", m{"StreamName": "wide"})
	f.fails("DescribeStream", m{"StreamName": "wide"}, "ResourceNotFoundException", "Stream wide under account 000000000000 not found.")
}
