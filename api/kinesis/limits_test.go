package kinesis

import (
	"fmt"
	"math/big"
	"testing"
	"time"

	"github.com/thalweg/thalweg/catalog"
	"github.com/thalweg/thalweg/fault"
	"github.com/thalweg/thalweg/gate/wire"
	"github.com/thalweg/thalweg/stream"
)

// A shard takes 1,000 records a second; what is beyond is refused record by
// record, in an answer of as many entries as the request had, which the KPL
// counts on (retrier.cc). A single record is refused by an exception.
func TestThrottledRecords(t *testing.T) {
	log := &forgetful{machine: catalog.New()}
	log.machine.Attach(log)
	s, err := stream.New(stream.Config{Log: log, Catalog: log.machine, Limits: true})
	if err != nil {
		t.Fatal(err)
	}
	f := &fixture{TB: t, api: newAPI(s), service: New(s), now: time.Now()}
	f.create("orders", 1)
	for _, format := range []wire.Format{wire.JSON, wire.CBOR} {
		failed, first := 0, ""
		for range 10 {
			var out putRecordsAnswer
			b, err := f.serve(format, "PutRecords", putBody(format, 500, 16))
			if err != nil {
				t.Fatal(err)
			}
			if err := shapeOf[putRecordsAnswer](t).Decode(format, b, &out); err != nil {
				t.Fatal(err)
			}
			if len(out.Records) != 500 {
				t.Fatalf("%d entries", len(out.Records))
			}
			n := 0
			for _, r := range out.Records {
				if (r.ErrorCode == nil) != (r.SequenceNumber != nil) {
					t.Fatalf("neither stored nor refused, or both: %+v", r)
				}
				if r.ErrorCode != nil {
					n, first = n+1, *r.ErrorCode+": "+*r.ErrorMessage
				}
			}
			if n != out.FailedRecordCount {
				t.Errorf("FailedRecordCount %d, %d refused", out.FailedRecordCount, n)
			}
			failed += n
		}
		if want := "ProvisionedThroughputExceededException: Rate exceeded for shard shardId-000000000000 in stream orders under account 000000000000."; failed == 0 || first != want {
			t.Errorf("%d refused: %s", failed, first)
		}
		// Room comes back by the millisecond: one of many calls will be refused.
		var single error
		for i := 0; single == nil && i < 100_000; i++ {
			_, single = f.serve(format, "PutRecord", m{"StreamName": "orders", "PartitionKey": "a", "Data": []byte{}})
		}
		if !fault.Is(single, fault.Throttled) {
			t.Errorf("a single record: %v", single)
		}
	}
}

// SequenceNumberForOrdering: what AWS refuses (kinesalite test/putRecord.js).
func TestOrdering(t *testing.T) {
	f := newFixture(t)
	f.create("orders", 1)
	in := m{"StreamName": "orders", "PartitionKey": "a", "Data": []byte("x")}
	for _, hex := range []string{
		"20000000000000000000000000000000000000000000000", // version 0
		"20000000000000000000000000000000000000000000004",
		"20000000000000000000000000000000000000000000003",
		"30000000000000000000000000000000000000000000001",
		"20000000000800000000000000000000000000000000002", // the index has no such bit
	} {
		n, _ := new(big.Int).SetString(hex, 16)
		in["SequenceNumberForOrdering"] = n.String()
		f.fails("PutRecord", in, "InvalidArgumentException",
			fmt.Sprintf("ExclusiveMinimumSequenceNumber %s used in PutRecord on stream orders under account 000000000000 is invalid.", n))
	}
	delete(in, "SequenceNumberForOrdering")
	first := f.ok("PutRecord", in)["SequenceNumber"].(string)
	in["SequenceNumberForOrdering"] = first
	if second := f.ok("PutRecord", in)["SequenceNumber"].(string); second <= first {
		t.Errorf("%s is not after %s", second, first)
	}
	// And reading on from it finds the second alone.
	token := f.ok("GetShardIterator", m{"StreamName": "orders", "ShardId": "0", "ShardIteratorType": "AFTER_SEQUENCE_NUMBER", "StartingSequenceNumber": first})["ShardIterator"]
	if got := f.ok("GetRecords", m{"ShardIterator": token, "Limit": 10})["Records"].([]any); len(got) != 1 {
		t.Errorf("%d records", len(got))
	}
}
