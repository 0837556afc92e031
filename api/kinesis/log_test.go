package kinesis

import (
	"context"
	"encoding/json"
	"errors"
	"testing"
	"time"

	"github.com/thalweg/thalweg/catalog"
	"github.com/thalweg/thalweg/gate/wire"
	"github.com/thalweg/thalweg/shardlog"
	"github.com/thalweg/thalweg/stream"
)

// broken is a log whose disk has failed.
type broken struct{ *forgetful }

var errDisk = errors.New("the disk said no")

func (broken) Append(_ context.Context, entries []shardlog.Entry) {
	for i := range entries {
		entries[i].Err = errDisk
	}
}

// A PutRecords is answered with 200 although its records failed. What failed
// them is told to the gate, which logs it; the caller gets no detail.
func TestFailedRecordsAreReported(t *testing.T) {
	log := &forgetful{machine: catalog.New()}
	log.machine.Attach(log)
	s, err := stream.New(stream.Config{Log: broken{log}, Catalog: log.machine})
	if err != nil {
		t.Fatal(err)
	}
	f := &fixture{TB: t, api: newAPI(s), service: New(s), now: time.Now()}
	f.create("orders", 1)
	for name, body := range map[string]m{
		"by hand": {"StreamName": "orders", "Records": l{m{"PartitionKey": "k", "Data": []byte("x")}}},
		"general": {"StreamName": "orders", "Records": l{m{"PartitionKey": "k", "Data": []byte("x"), "ExplicitHashKey": nil}}},
	} {
		raw, _ := json.Marshal(body)
		c := f.call(wire.JSON, "PutRecords", raw)
		out, err := f.operation("PutRecords")(t.Context(), c, nil)
		const want = `{"FailedRecordCount":1,"Records":[{"ErrorCode":"InternalFailure","ErrorMessage":"Internal Service Failure"}]}`
		if err != nil || string(out) != want {
			t.Errorf("%s: %s, %v", name, out, err)
		}
		if !errors.Is(c.Failed, errDisk) || c.Resource != "orders" {
			t.Errorf("%s: reported %v about %q", name, c.Failed, c.Resource)
		}
	}
}

// The log says what a call is about, also where only an iterator does.
func TestResource(t *testing.T) {
	f := newFixture(t)
	f.create("orders", 1)
	it := f.ok("GetShardIterator", m{"StreamName": "orders", "ShardId": "shardId-000000000000", "ShardIteratorType": "LATEST"})["ShardIterator"]
	for _, c := range []struct {
		op   string
		body m
		want string
	}{
		{"PutRecord", m{"StreamName": "orders", "PartitionKey": "k", "Data": []byte("x")}, "orders"},
		{"GetRecords", m{"ShardIterator": it}, "orders"},
		{"GetRecords", m{"ShardIterator": it, "StreamARN": arnHead + "orders"}, "orders"},
		{"GetRecords", m{"ShardIterator": "AAAA"}, ""},
		{"DescribeStream", m{"StreamARN": arnHead + "nobody"}, "nobody"},
		{"ListTagsForResource", m{"ResourceARN": arnHead + "orders"}, "orders"},
		{"ListStreams", m{}, ""},
	} {
		raw, _ := json.Marshal(c.body)
		call := f.call(wire.JSON, c.op, raw)
		_, _ = f.operation(c.op)(t.Context(), call, nil)
		if call.Resource != c.want {
			t.Errorf("%s %v is about %q", c.op, c.body, call.Resource)
		}
	}
}
