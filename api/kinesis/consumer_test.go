package kinesis

import (
	"bytes"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/thalweg/thalweg/fault"
	"github.com/thalweg/thalweg/gate/wire"
	"github.com/thalweg/thalweg/stream"
)

// register makes a consumer and returns its ARN.
func (f *fixture) register(name, consumer string) string {
	f.Helper()
	out := f.ok("RegisterStreamConsumer", m{"StreamARN": arnHead + name, "ConsumerName": consumer})
	return out["Consumer"].(m)["ConsumerARN"].(string)
}

// A consumer's life, in both formats.
func TestConsumers(t *testing.T) {
	for _, format := range []wire.Format{wire.JSON, wire.CBOR} {
		t.Run(format.String(), func(t *testing.T) {
			f := newFixture(t)
			f.create("orders", 1)
			members := func(v any) []string { return slices.Sorted(maps.Keys(v.(m))) }
			out := f.okIn(format, "RegisterStreamConsumer", m{"StreamARN": arnHead + "orders", "ConsumerName": "one", "StreamId": "x", "Tags": m{"a": "1"}})
			one := out["Consumer"].(m)
			arn := one["ConsumerARN"].(string)
			if !slices.Equal(members(one), []string{"ConsumerARN", "ConsumerCreationTimestamp", "ConsumerName", "ConsumerStatus"}) ||
				one["ConsumerName"] != "one" || one["ConsumerStatus"] != "ACTIVE" || !strings.HasPrefix(arn, arnHead+"orders/consumer/one:") {
				t.Errorf("registered: %v", one)
			}
			for _, in := range []m{{"ConsumerARN": arn}, {"StreamARN": arnHead + "orders", "ConsumerName": "one"}, {"ConsumerARN": arn, "StreamARN": arnHead + "orders", "ConsumerName": "one"}} {
				d := f.okIn(format, "DescribeStreamConsumer", in)["ConsumerDescription"].(m)
				if d["StreamARN"] != arnHead+"orders" || d["ConsumerARN"] != arn || len(d) != 5 {
					t.Errorf("described by %v: %v", in, d)
				}
			}
			f.register("orders", "two")
			f.register("orders", "three")
			var names []any
			for in := (m{"StreamARN": arnHead + "orders", "MaxResults": 2}); ; {
				out := f.okIn(format, "ListStreamConsumers", in)
				for _, c := range out["Consumers"].([]any) {
					if len(c.(m)) != 4 {
						t.Errorf("listed: %v", c)
					}
					names = append(names, c.(m)["ConsumerName"])
				}
				token, more := out["NextToken"]
				if !more {
					break
				}
				in["NextToken"] = token
			}
			if fmt.Sprint(names) != "[one three two]" {
				t.Errorf("listed: %v", names)
			}
			summary := f.okIn(format, "DescribeStreamSummary", m{"StreamName": "orders"})["StreamDescriptionSummary"].(m)
			if fmt.Sprint(summary["ConsumerCount"]) != "3" {
				t.Errorf("summary: %v", summary)
			}
			_, err := f.serve(format, "DeleteStream", m{"StreamName": "orders"})
			if !fault.Is(err, fault.InUse) {
				t.Errorf("DeleteStream: %v", err)
			}
			if out := f.okIn(format, "DeregisterStreamConsumer", m{"ConsumerARN": arn}); out != nil {
				t.Errorf("deregistered: %v", out)
			}
			f.fails("DescribeStreamConsumer", m{"ConsumerARN": arn}, "ResourceNotFoundException", "Consumer one under stream orders under account 000000000000 not found.")
			f.okIn(format, "DeregisterStreamConsumer", m{"StreamARN": arnHead + "orders", "ConsumerName": "two"})
			f.okIn(format, "DeleteStream", m{"StreamName": "orders", "EnforceConsumerDeletion": true})
		})
	}
}

// An event by hand is what the general codec makes of it.
func TestEventShape(t *testing.T) {
	f := newFixture(t)
	f.create("orders", 2)
	f.register("orders", "c")
	f.ok("PutRecord", m{"StreamName": "orders", "PartitionKey": "ключ", "ExplicitHashKey": "0", "Data": []byte{0, 255, 1}})
	f.ok("PutRecord", m{"StreamName": "orders", "PartitionKey": "b", "ExplicitHashKey": "0", "Data": []byte{}})
	f.ok("MergeShards", m{"StreamName": "orders", "ShardToMerge": "shardId-000000000000", "AdjacentShardToMerge": "shardId-000000000001"})
	sub, err := f.api.streams.Subscribe(t.Context(), stream.Ref{Owner: stream.Owner{Account: account, Region: region}, Name: "orders"}, "c", 0, "shardId-0",
		stream.Start{Type: stream.TrimHorizon}, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer sub.Close()
	shape := shapeOf[subscribeToShardEvent](t)
	for _, want := range []struct{ records, children int }{{2, 0}, {0, 1}} {
		ev, err := sub.Next()
		if err != nil {
			t.Fatal(err)
		}
		general := subscribeToShardEvent{Records: []recordShape{}, MillisBehindLatest: ev.Behind.Milliseconds()}
		for r := range ev.All {
			general.Records = append(general.Records, recordShape{ev.Shard.Sequence(r.Pos, r.Time.UnixMilli()).String(), r.Time, r.Data, optional(r.Key)})
		}
		if len(ev.Children) > 0 {
			general.ChildShards = shapeChildren(ev.Children)
		} else {
			general.ContinuationSequenceNumber = optional(ev.Continuation.String())
		}
		if len(general.Records) != want.records || len(general.ChildShards) != want.children {
			t.Errorf("event: %+v", general)
		}
		for format, got := range map[wire.Format][]byte{wire.JSON: appendEventJSON(nil, ev), wire.CBOR: appendEventCBOR(nil, ev)} {
			whole, err := shape.Append(nil, format, &general)
			if err != nil || !bytes.Equal(got, whole) {
				t.Errorf("%s\n got %q\nwant %q, %v", format, got, whole, err)
			}
			if size := eventSize(format, ev); size < len(got) {
				t.Errorf("%s: %d bytes, thought to be %d", format, len(got), size)
			}
		}
		ev.Release()
	}
}
