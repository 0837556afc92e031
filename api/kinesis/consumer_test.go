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

// The constraints of the model, in AWS's words.
func TestConsumerConstraints(t *testing.T) {
	f := newFixture(t)
	v := func(shown, at, constraint string) string {
		return "Value " + shown + " at '" + at + "' failed to satisfy constraint: " + constraint
	}
	const (
		null        = "Member must not be null"
		length1     = "Member must have length greater than or equal to 1"
		name        = "Member must satisfy regular expression pattern: [a-zA-Z0-9_.-]+"
		streamARN   = `Member must satisfy regular expression pattern: arn:aws.*:kinesis:.*:\d{12}:stream/\S+`
		consumerARN = `Member must satisfy regular expression pattern: ^(arn):aws.*:kinesis:.*:\d{12}:.*stream\/[a-zA-Z0-9_.-]+\/consumer\/[a-zA-Z0-9_.-]+:[0-9]+`
		number      = `Member must satisfy regular expression pattern: 0|([1-9]\d{0,128})`
		types       = "Member must satisfy enum value set: [AFTER_SEQUENCE_NUMBER, LATEST, AT_TIMESTAMP, AT_SEQUENCE_NUMBER, TRIM_HORIZON]"
	)
	long := strings.Repeat("a", 129)
	arn := arnHead + "orders/consumer/c:1700000000"
	for _, c := range []struct {
		op   string
		in   m
		want []string
	}{
		{"RegisterStreamConsumer", m{}, []string{v("null", "streamARN", null), v("null", "consumerName", null)}},
		{"RegisterStreamConsumer", m{"StreamARN": "", "ConsumerName": ""}, []string{v("''", "streamARN", streamARN), v("''", "streamARN", length1),
			v("''", "consumerName", name), v("''", "consumerName", length1)}},
		{"RegisterStreamConsumer", m{"StreamARN": arnHead + "orders", "ConsumerName": long}, []string{v("'"+long+"'", "consumerName", "Member must have length less than or equal to 128")}},
		{"DescribeStreamConsumer", m{"StreamARN": "x", "ConsumerName": "*", "ConsumerARN": arnHead + "orders"},
			[]string{v("'x'", "streamARN", streamARN), v("'*'", "consumerName", name), v("'"+arnHead+"orders'", "consumerARN", consumerARN)}},
		{"DeregisterStreamConsumer", m{"StreamARN": "x", "ConsumerName": "*", "ConsumerARN": arn + "x"},
			[]string{v("'x'", "streamARN", streamARN), v("'*'", "consumerName", name), v("'"+arn+"x'", "consumerARN", consumerARN)}},
		{"ListStreamConsumers", m{}, []string{v("null", "streamARN", null)}},
		{"ListStreamConsumers", m{"StreamARN": arnHead + "orders", "NextToken": "", "MaxResults": 0},
			[]string{v("''", "nextToken", length1), v("'0'", "maxResults", "Member must have value greater than or equal to 1")}},
		{"ListStreamConsumers", m{"StreamARN": arnHead + "orders", "MaxResults": 10001}, []string{v("'10001'", "maxResults", "Member must have value less than or equal to 10000")}},
		{"SubscribeToShard", m{}, []string{v("null", "consumerARN", null), v("null", "shardId", null), v("null", "startingPosition", null)}},
		{"SubscribeToShard", m{"ConsumerARN": "x", "ShardId": "*", "StartingPosition": m{}},
			[]string{v("'x'", "consumerARN", consumerARN), v("'*'", "shardId", name), v("null", "startingPosition.type", null)}},
		{"SubscribeToShard", m{"ConsumerARN": arn, "ShardId": "0", "StartingPosition": m{"Type": "X", "SequenceNumber": "-1"}},
			[]string{v("'X'", "startingPosition.type", types), v("'-1'", "startingPosition.sequenceNumber", number)}},
	} {
		message := "1 validation error detected: " + c.want[0]
		if n := len(c.want); n > 1 {
			message = fmt.Sprintf("%d validation errors detected: %s", n, strings.Join(c.want, "; "))
		}
		f.fails(c.op, c.in, "ValidationException", message)
	}
}

// What is within the constraints and yet wrong.
func TestConsumerRefusals(t *testing.T) {
	f := newFixture(t)
	f.create("orders", 1)
	const invalid, missing = "InvalidArgumentException", "ResourceNotFoundException"
	arn := f.register("orders", "c")
	f.fails("RegisterStreamConsumer", m{"StreamARN": arnHead + "orders", "ConsumerName": "c"}, "ResourceInUseException",
		"Consumer c under stream orders already exists for account 000000000000.")
	f.fails("RegisterStreamConsumer", m{"StreamARN": arnHead + "nobody", "ConsumerName": "c"}, missing, "Stream nobody under account 000000000000 not found.")
	f.fails("RegisterStreamConsumer", m{"StreamARN": arnHead + "orders", "ConsumerName": "d", "Tags": m{"a*": ""}}, invalid,
		"Some tags contain invalid characters. Valid characters: Unicode letters, digits, white space, _ . / = + - % @.")
	f.fails("ListStreamConsumers", m{"StreamARN": arnHead + "nobody"}, missing, "Stream nobody under account 000000000000 not found.")
	for _, op := range []string{"DescribeStreamConsumer", "DeregisterStreamConsumer"} {
		const either = "Must specify either ConsumerARN, or both StreamARN and ConsumerName."
		f.fails(op, m{}, invalid, either)
		f.fails(op, m{"ConsumerName": "c"}, invalid, either)
		f.fails(op, m{"StreamARN": arnHead + "orders"}, invalid, either)
		f.fails(op, m{"StreamARN": arnHead + "other", "ConsumerARN": arn}, invalid, "StreamARN "+arnHead+"other and ConsumerARN "+arn+" are of different streams.")
		f.fails(op, m{"ConsumerName": "d", "ConsumerARN": arn}, invalid, "ConsumerName d and ConsumerARN "+arn+" are of different consumers.")
		f.fails(op, m{"StreamARN": arnHead + "orders", "ConsumerName": "d"}, missing, "Consumer d under stream orders under account 000000000000 not found.")
		f.fails(op, m{"ConsumerARN": arn + "1"}, missing, "Consumer c under stream orders under account 000000000000 not found.")
		f.fails(op, m{"ConsumerARN": arnHead + "nobody/consumer/c:1700000000"}, missing, "Stream nobody under account 000000000000 not found.")
		f.fails(op, m{"ConsumerARN": "arn:aws:kinesis:eu-west-1:000000000000:stream/orders/consumer/c:1700000000"}, invalid,
			"StreamARN arn:aws:kinesis:eu-west-1:000000000000:stream/orders is of another region than us-east-1, to which the request was sent.")
		f.fails(op, m{"ConsumerARN": arn + "99999999999999999999"}, invalid, "ConsumerARN "+arn+"99999999999999999999 is not the ARN of a consumer.")
	}
	sub := func(more m) m {
		in := m{"ConsumerARN": arn, "ShardId": "shardId-000000000000", "StartingPosition": m{"Type": "LATEST"}}
		maps.Copy(in, more)
		return in
	}
	f.fails("SubscribeToShard", sub(m{"ConsumerARN": arn + "1"}), missing, "Consumer c under stream orders under account 000000000000 not found.")
	f.fails("SubscribeToShard", sub(m{"ShardId": "shardId-7"}), missing, "Shard shardId-000000000007 in stream orders under account 000000000000 does not exist")
	f.fails("SubscribeToShard", sub(m{"ShardId": "x"}), missing, "Could not find shard x in stream orders under account 000000000000.")
	f.fails("SubscribeToShard", sub(m{"StartingPosition": m{"Type": "AT_TIMESTAMP"}}), invalid, "Must specify Timestamp for a StartingPosition of type AT_TIMESTAMP.")
	f.fails("SubscribeToShard", sub(m{"StartingPosition": m{"Type": "TRIM_HORIZON", "SequenceNumber": "5"}}), invalid,
		"Must either specify (1) AT_SEQUENCE_NUMBER or AFTER_SEQUENCE_NUMBER and StartingSequenceNumber or "+
			"(2) TRIM_HORIZON or LATEST and no StartingSequenceNumber. Request specified TRIM_HORIZON and also a StartingSequenceNumber.")
	f.fails("SubscribeToShard", sub(m{"DryRun": true}), "DryRunOperationException", "Request would have succeeded, but DryRun flag is set.")

	// A token lives 300 s, is of one stream, and comes without a creation time.
	f.register("orders", "d")
	f.create("other", 1)
	in := m{"StreamARN": arnHead + "orders", "MaxResults": 1}
	token := f.ok("ListStreamConsumers", in)["NextToken"]
	f.fails("ListStreamConsumers", m{"StreamARN": arnHead + "other", "NextToken": token}, invalid, "Invalid NextToken.")
	f.fails("ListStreamConsumers", m{"StreamARN": arnHead + "orders", "NextToken": "x"}, invalid, "Invalid NextToken.")
	f.fails("ListStreamConsumers", m{"StreamARN": arnHead + "orders", "NextToken": token, "StreamCreationTimestamp": 1}, invalid,
		"NextToken and StreamCreationTimestamp cannot be provided together.")
	made := f.ok("DescribeStreamSummary", m{"StreamName": "orders"})["StreamDescriptionSummary"].(m)["StreamCreationTimestamp"]
	f.ok("ListStreamConsumers", m{"StreamARN": arnHead + "orders", "StreamCreationTimestamp": made})
	if _, err := f.serve(wire.JSON, "ListStreamConsumers", m{"StreamARN": arnHead + "orders", "StreamCreationTimestamp": 1}); !fault.Is(err, fault.NotFound) {
		t.Errorf("of another stream's time: %v", err)
	}
	f.now = f.now.Add(tokenLife)
	if _, err := f.serve(wire.JSON, "ListStreamConsumers", m{"StreamARN": arnHead + "orders", "NextToken": token}); !fault.Is(err, fault.ExpiredToken) {
		t.Errorf("an old token: %v", err)
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
		stream.Start{Type: stream.TrimHorizon})
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
