package kinesis

import (
	"bytes"
	"errors"
	"fmt"
	"regexp"
	"testing"

	"pgregory.net/rapid"

	"github.com/thalweg/thalweg/fault"
	"github.com/thalweg/thalweg/gate"
	"github.com/thalweg/thalweg/gate/wire"
)

// Whatever is asked of the operations that have codecs by hand, in JSON or in
// CBOR, they answer as they do over the general codec: the same bytes but for
// sequence numbers and iterators, which are new in each answer, or the same
// fault. How far behind the tip a reader is depends on the time.
func TestByHandAsInGeneral(t *testing.T) {
	f := newFixture(t)
	f.create("orders", 2)
	f.ok("CreateStream", m{"StreamName": "auto", "StreamModeDetails": m{"StreamMode": "ON_DEMAND"}, "RecordDistributionStrategy": "AUTO"})
	general := map[string]gate.Op{
		"PutRecord":  gate.Handle("PutRecord", f.api.putRecord),
		"PutRecords": gate.Handle("PutRecords", f.api.putRecords),
		"GetRecords": gate.Handle("GetRecords", f.api.getRecords),
	}
	seq := f.ok("PutRecord", m{"StreamName": "orders", "PartitionKey": "a", "Data": []byte("x")})["SequenceNumber"]
	byHand := map[string]int{} // calls that did not need the general codec
	one := func(rt *rapid.T) {
		format := rapid.SampledFrom([]wire.Format{wire.JSON, wire.CBOR}).Draw(rt, "format")
		op := rapid.SampledFrom([]string{"PutRecord", "PutRecords", "GetRecords"}).Draw(rt, "op")
		in := m{}
		odd := func() bool { return rapid.IntRange(0, 5).Draw(rt, "odd") == 5 }
		// some sets a member to the first of the values, or not, and at odd
		// times to any.
		some := func(into m, member string, values ...any) {
			n := 1
			if odd() {
				n = len(values)
			}
			if i := rapid.IntRange(0, n).Draw(rt, member); i < n {
				into[member] = values[i]
			}
		}
		record := func() m {
			r := m{}
			r["Data"] = rapid.SliceOfN(rapid.Byte(), 0, 40).Draw(rt, "data")
			r["PartitionKey"] = rapid.StringN(1, 20, -1).Draw(rt, "key")
			some(r, "PartitionKey", "k", "", nil, 5)
			some(r, "Data", []byte{}, nil, "", 7)
			some(r, "ExplicitHashKey", "0", nil, "340282366920938463463374607431768211455", "340282366920938463463374607431768211456", "01", "")
			some(r, "Extra", l{m{"a": nil}}, "é\u2028")
			return r
		}
		switch op {
		case "PutRecord":
			in = record()
			some(in, "SequenceNumberForOrdering", seq, nil, "5", "x", "99999999999999999999999999999999999999999999999999999999999")
		case "PutRecords":
			records := l{}
			for range rapid.IntRange(0, 5).Draw(rt, "records") {
				records = append(records, record())
			}
			in["Records"] = records
		case "GetRecords":
			shard := rapid.IntRange(0, 1).Draw(rt, "shard")
			name := rapid.SampledFrom([]string{"orders", "auto"}).Draw(rt, "name")
			in["ShardIterator"] = f.iterator(format, name, shard)
			some(in, "Limit", 2, nil, 1, 3, 10000, 0, -1, 10001, "x")
			if odd() {
				some(in, "ShardIterator", "x", "", nil)
			}
		}
		if op != "GetRecords" {
			in["StreamName"] = "orders"
			some(in, "StreamName", "auto", "nobody", "*", nil, "orders")
			some(in, "StreamARN", arnHead+"orders", nil, arnHead+"other", "x")
			some(in, "StreamId", "abcdefghijklmnopqrst-012", 5)
			if odd() {
				some(in, "DryRun", nil, true, false, "yes")
			}
		}
		body := encode(format, in)
		p := newPutCall()
		_, _, reads := decodeGetRecords(format, body)
		if op == "GetRecords" && reads || op != "GetRecords" && p.decode(format, body, op == "PutRecord") {
			byHand[op]++
		}
		// Every call stores its records anew, and those of AUTO somewhere.
		got, gotErr := f.serve(format, op, body)
		want, wantErr := general[op].Serve(t.Context(), f.call(format, op, body), nil)
		if a, b := faultOf(gotErr), faultOf(wantErr); a != b {
			rt.Fatalf("by hand: %s\ngeneral: %s\n%q", a, b, body)
		}
		auto := in["StreamName"] == "auto"
		if a, b := stable(got, auto), stable(want, auto); !bytes.Equal(a, b) {
			rt.Fatalf("by hand: %q\ngeneral: %q\n%q", a, b, body)
		}
	}
	rapid.Check(t, func(rt *rapid.T) {
		for range 20 {
			one(rt)
		}
	})
	for op := range general {
		if byHand[op] == 0 {
			t.Errorf("%s: no call was by hand", op)
		}
	}
}

func faultOf(err error) string {
	if f, ok := errors.AsType[*fault.Error](err); ok {
		return fmt.Sprint(f.Kind, f.Code, f.Message)
	}
	return fmt.Sprint(err)
}

// stable is an answer without what is new in each.
func stable(answer []byte, anyShard bool) []byte {
	answer = regexp.MustCompile(`49\d{54}`).ReplaceAll(answer, []byte("seq"))
	answer = regexp.MustCompile(`AAAAAAAAAA[A-Za-z0-9+/]{80,}={0,2}`).ReplaceAll(answer, []byte("it"))
	answer = regexp.MustCompile(`(?s:MillisBehindLatest("?:\d+|[\x00-\x17]|\x18.|\x19..|\x1a....))`).ReplaceAll(answer, []byte("behind"))
	if anyShard {
		answer = regexp.MustCompile(`shardId-\d{12}`).ReplaceAll(answer, []byte("shard"))
	}
	return answer
}
