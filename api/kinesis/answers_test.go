package kinesis

import (
	"bytes"
	"errors"
	"net/http"
	"net/http/httptest"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/thalweg/thalweg/fault"
	"github.com/thalweg/thalweg/gate"
	"github.com/thalweg/thalweg/gate/wire"
	"github.com/thalweg/thalweg/stream"
)

// The answers of PutRecords by hand are those of the general codec, whatever
// became of the records. Failed ones have AWS's two codes, short as the KPL and
// Fluent Bit compare them.
func TestPutResults(t *testing.T) {
	recs := []stream.PutRecord{
		{Shard: 0, Seq: stream.Sequence{Created: 1700000000, Pos: 7, Secs: 1700000001, Version: 2}},
		{Shard: 12345, Err: fault.New(fault.Throttled, "Rate exceeded for shard %s.", "shardId-000000012345")},
		{Shard: 4294967295, Seq: stream.Sequence{Created: 1700000000, Shard: 4294967295, Pos: 1 << 60, Secs: 1700000001, Version: 2}},
		{Err: errors.New("the disk said a secret thing")},
		{Err: fault.New(fault.Unavailable, "the disk is full")},
	}
	shape := shapeOf[putRecordsAnswer](t)
	for format, got := range map[wire.Format][]byte{wire.JSON: appendResultsJSON(nil, recs), wire.CBOR: appendResultsCBOR(nil, recs)} {
		want, err := shape.Append(nil, format, putResults(recs))
		if err != nil || !bytes.Equal(got, want) {
			t.Errorf("%s\n got %q\nwant %q, %v", format, got, want, err)
		}
		if bytes.Contains(got, []byte("secret")) || !bytes.Contains(got, []byte("ProvisionedThroughputExceededException")) {
			t.Errorf("%q", got)
		}
	}
	if got := appendResultsJSON(nil, recs[:1]); !strings.HasPrefix(string(got), `{"FailedRecordCount":0,"Records":[{"SequenceNumber":"49`) {
		t.Errorf("got %s", got)
	}
}

// Every kind of fault has a name that clients know and a status.
func TestExceptions(t *testing.T) {
	for kind, want := range map[fault.Kind]string{
		fault.Invalid: "InvalidArgumentException", fault.NotFound: "ResourceNotFoundException", fault.InUse: "ResourceInUseException",
		fault.Limit: "LimitExceededException", fault.Throttled: "ProvisionedThroughputExceededException", fault.Expired: "ExpiredIteratorException",
		fault.ExpiredToken: "ExpiredNextTokenException", fault.Constraint: "ValidationException", fault.Malformed: "SerializationException",
		fault.Unknown: "UnknownOperationException", fault.Denied: "AccessDeniedException",
	} {
		if name, status := exception(fault.New(kind, "x")); name != want || status != 400 {
			t.Errorf("kind %d: %s %d", kind, name, status)
		}
	}
	for kind, want := range map[fault.Kind]string{fault.Internal: "InternalFailureException", fault.Unavailable: "ServiceUnavailable"} {
		if name, status := exception(fault.New(kind, "x")); name != want || status < 500 {
			t.Errorf("kind %d: %s %d", kind, name, status)
		}
	}
}

// Through the gate's handler, as a client sees it: status, type and body.
func TestOverHTTP(t *testing.T) {
	f := newFixture(t)
	g, err := gate.New(gate.Config{Services: []*gate.Service{f.service}})
	if err != nil {
		t.Fatal(err)
	}
	send := func(format wire.Format, op string, body any) (int, string, []byte) {
		r := httptest.NewRequest(http.MethodPost, "/", bytes.NewReader(encode(format, body)))
		r.Header.Set("Content-Type", format.ContentType())
		r.Header.Set("X-Amz-Target", "Kinesis_20131202."+op)
		r.Header.Set("X-Amz-Date", "20260304T050607Z")
		r.Header.Set("Authorization", "AWS4-HMAC-SHA256 Credential=123456789012/20260304/eu-west-1/kinesis/aws4_request, SignedHeaders=host;x-amz-date, Signature=00")
		w := httptest.NewRecorder()
		g.ServeHTTP(w, r)
		return w.Code, w.Header().Get("Content-Type"), w.Body.Bytes()
	}
	for _, format := range []wire.Format{wire.JSON, wire.CBOR} {
		name := "orders-" + format.String()
		for _, c := range []struct {
			op     string
			in     m
			status int
			want   string
		}{
			{"CreateStream", m{"StreamName": name, "ShardCount": 1}, 200, ""},
			{"DescribeStreamSummary", m{"StreamARN": "arn:aws:kinesis:eu-west-1:123456789012:stream/" + name}, 200, "ACTIVE"},
			{"PutRecord", m{"StreamName": name, "PartitionKey": "a", "Data": []byte("x")}, 200, "shardId-000000000000"},
			{"PutRecords", m{"StreamName": name, "Records": l{m{"PartitionKey": "a", "Data": []byte("x")}}}, 200, "FailedRecordCount"},
			{"PutRecords", m{"StreamName": name, "Records": 1}, 400, "SerializationException"},
			{"PutRecords", m{"StreamName": name, "Records": l{}}, 400, "ValidationException"},
			{"GetRecords", m{"ShardIterator": "x"}, 400, "InvalidArgumentException"},
			{"DescribeStream", m{"StreamName": "nobody"}, 400, "Stream nobody under account 123456789012 not found."},
			{"CreateChannel", m{}, 400, "thalweg does not have the operation CreateChannel of Kinesis_20131202 yet."},
			{"DeleteStream", m{"StreamName": name}, 200, ""},
		} {
			status, kind, body := send(format, c.op, c.in)
			if status != c.status || kind != format.ContentType() || !bytes.Contains(body, []byte(c.want)) || c.want == "" && len(body) > 0 {
				t.Errorf("%s in %s: %d %s %q", c.op, format, status, kind, body)
			}
		}
	}
}

// What the hand-made reader of GetRecords takes, the general one takes as the
// same.
func FuzzGetRecords(f *testing.F) {
	for _, v := range []m{{"ShardIterator": "AAA", "Limit": 5}, {"ShardIterator": "AAA"}, {"Limit": 0, "ShardIterator": ""}, {"ShardIterator": "é\n", "Limit": -1}} {
		f.Add(encode(wire.JSON, v))
		f.Add(encode(wire.CBOR, v))
	}
	f.Add([]byte(`{"ShardIterator":"a","Limit":1e2}`))
	shape, err := wire.Compile(reflect.TypeFor[getRecordsRequest]())
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		for _, format := range []wire.Format{wire.JSON, wire.CBOR} {
			token, limit, ok := decodeGetRecords(format, body)
			if !ok {
				continue
			}
			var in getRecordsRequest
			if err := errors.Join(shape.Decode(format, body, &in), shape.Check(&in)); err != nil {
				t.Fatalf("%q is taken by hand: %v", body, err)
			}
			want := 0
			if in.Limit != nil {
				want = *in.Limit
			}
			if token != *in.ShardIterator || limit != want {
				t.Errorf("%q: %q %d", body, token, limit)
			}
		}
	})
}

// No bytes make a token's reader fail in any way but by a fault, and what it
// takes was issued within 300 seconds, or later by this clock.
func FuzzToken(f *testing.F) {
	now := time.UnixMilli(1_700_000_000_000)
	f.Add(place{Op: "ListShards", Stream: "s", After: "shardId-000000000001", Filter: "AT_TIMESTAMP", Time: 5}.token(now))
	f.Add("AAAA")
	f.Fuzz(func(t *testing.T, token string) {
		p, err := parsePlace("ListShards", token, now)
		switch fault.Of(err) {
		case 0:
			if now.Sub(time.UnixMilli(p.Issued)) >= tokenLife {
				t.Errorf("%q is old", token)
			}
		case fault.Invalid, fault.ExpiredToken:
		default:
			t.Errorf("%q: %v", token, err)
		}
	})
}
