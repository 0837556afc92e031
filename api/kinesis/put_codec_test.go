package kinesis

import (
	"encoding/base64"
	"fmt"
	"strings"
	"testing"

	"github.com/fxamacker/cbor/v2"

	"github.com/thalweg/thalweg/fault"
	"github.com/thalweg/thalweg/gate/wire"
	"github.com/thalweg/thalweg/stream"
)

// asked is what a request asks for, whichever codec read it.
type asked struct {
	name, arn, ordering string
	records             []askedRecord
}

type askedRecord struct {
	key, hash, data string
}

// general reads a body by the general codec.
func (a *api) general(f wire.Format, body []byte, one bool) (asked, error) {
	var to target
	var ordering *string
	var entries []putRecordsEntry
	if one {
		var in putRecordRequest
		if err := a.putRecordShape.Decode(f, body, &in); err != nil {
			return asked{}, err
		}
		if err := a.putRecordShape.Check(&in); err != nil {
			return asked{}, err
		}
		to, ordering = in.target, in.SequenceNumberForOrdering
		entries = []putRecordsEntry{{PartitionKey: in.PartitionKey, ExplicitHashKey: in.ExplicitHashKey, Data: in.Data}}
	} else {
		var in putRecordsRequest
		if err := a.putRecordsShape.Decode(f, body, &in); err != nil {
			return asked{}, err
		}
		if err := a.putRecordsShape.Check(&in); err != nil {
			return asked{}, err
		}
		to, entries = in.target, in.Records
	}
	out := asked{name: text(to.StreamName), arn: text(to.StreamARN), ordering: text(ordering)}
	for i := range entries {
		r, err := entries[i].record()
		if err != nil {
			return asked{}, err
		}
		out.records = append(out.records, describe(&r, string(entries[i].Data)))
	}
	return out, nil
}

func describe(r *stream.PutRecord, data string) askedRecord {
	hash := ""
	if r.Explicit {
		hash = r.Hash.String()
	}
	return askedRecord{strings.Clone(r.Key), hash, data}
}

// read is what the hand-made codec has read.
func (p *putCall) read(f wire.Format) (asked, error) {
	out := asked{name: string(p.name), arn: string(p.arn), ordering: string(p.ordering)}
	fill := p.fillJSON
	if f == wire.CBOR {
		fill = p.fillCBOR
	}
	for i := range p.recs {
		data := make([]byte, p.recs[i].Size)
		if err := fill(i, data); err != nil {
			return out, err
		}
		out.records = append(out.records, describe(&p.recs[i], string(data)))
	}
	return out, nil
}

// agree holds the hand-made codec against the general one. What the former
// accepts the latter must accept as the same; what it declines is the
// general one's to judge anyway.
func agree(t *testing.T, a *api, f wire.Format, body []byte, one bool) {
	t.Helper()
	p := newPutCall()
	if !p.decode(f, body, one) {
		return
	}
	want, wantErr := a.general(f, body, one)
	got, err := p.read(f)
	switch {
	case err != nil && !fault.Is(wantErr, fault.Malformed):
		t.Errorf("by hand: %v; general: %v\n%q", err, wantErr, body)
	case err == nil && wantErr != nil:
		t.Errorf("by hand: %+v; general: %v\n%q", got, wantErr, body)
	case err == nil && fmt.Sprintf("%q", got) != fmt.Sprintf("%q", want):
		t.Errorf("by hand: %q; general: %q\n%q", got, want, body)
	}
}

var jsonSeeds = []string{
	`{"StreamName":"s","Records":[{"PartitionKey":"a","Data":"YWJj"},{"Data":"","PartitionKey":"b","ExplicitHashKey":"0"}]}`,
	`{"StreamName":"s","PartitionKey":"a","Data":"YQ==","SequenceNumberForOrdering":"5","ExplicitHashKey":"340282366920938463463374607431768211455"}`,
	` { "Records" : [ {"PartitionKey":"\u00e9\ud83d\ude00\n","Data":"YWI="} ] , "StreamARN":"arn:aws:kinesis:us-east-1:000000000000:stream/s" } `,
	`{"StreamName":"s","Records":[{"PartitionKey":"a","Data":"YR=="}]}`,
	`{"StreamName":"s","Records":[{"PartitionKey":"a","Data":"Y\u0051=="}]}`,
	`{"StreamName":"s","Records":[{"PartitionKey":"a","PartitionKey":"b","Data":"YQ=="}],"Records":null}`,
	`{"StreamName":"s","Records":[{"PartitionKey":null,"Data":"YQ=="}]}`,
	`{"StreamName":"s","DryRun":true,"Records":[{"PartitionKey":"a","Data":"YQ==","x":[{"y":1}]}]}`,
	`{"StreamName":"s","StreamId":7,"PartitionKey":"a","Data":"YQ==","Data":"Yg=="}`,
	`{"StreamName":"s","PartitionKey":"a","Data":"YQ==","ExplicitHashKey":"340282366920938463463374607431768211456"}`,
	`{"StreamName":"s","PartitionKey":"a","Data":"YQ==","ExplicitHashKey":"01"}`,
	`{"StreamName":"s t","PartitionKey":"a","Data":"Y\nQ="}`,
}

func FuzzPutRecordsJSON(f *testing.F) {
	for _, s := range jsonSeeds {
		f.Add([]byte(s))
	}
	a := newAPI(nil)
	f.Fuzz(func(t *testing.T, body []byte) {
		agree(t, a, wire.JSON, body, false)
		agree(t, a, wire.JSON, body, true)
	})
}

func FuzzPutRecordsCBOR(f *testing.F) {
	for _, v := range []any{
		m{"StreamName": "s", "Records": l{m{"PartitionKey": "a", "Data": []byte{1, 2}}, m{"PartitionKey": "b", "Data": []byte{}, "ExplicitHashKey": "7"}}},
		m{"StreamARN": arnHead + "s", "PartitionKey": "é", "Data": []byte("x"), "SequenceNumberForOrdering": "49"},
		m{"StreamName": "s", "PartitionKey": "a", "Data": "YQ==", "x": l{nil, 1.5}},
		m{"StreamName": "s", "PartitionKey": cbor.Tag{Number: 5, Content: "a"}, "Data": []byte("x")},
	} {
		b, err := cbor.Marshal(v)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(b)
	}
	// Indefinite lengths: {_ "StreamName": "s", "PartitionKey": (_ "a", "b"), "Data": (_ h'01', h'02')}
	f.Add([]byte("\xbf\x6aStreamName\x61s\x6cPartitionKey\x7f\x61a\x61b\xff\x64Data\x5f\x41\x01\x41\x02\xff\xff"))
	// Empty ones: {_ "StreamName": "s", "PartitionKey": (_ ), "Data": h''}, and with ExplicitHashKey.
	f.Add([]byte("\xbf\x6aStreamName\x61s\x6cPartitionKey\x7f\xff\x64Data\x40\xff"))
	f.Add([]byte("\xbf\x6aStreamName\x61s\x6cPartitionKey\x61k\x6fExplicitHashKey\x7f\xff\x64Data\x40\xff"))
	a := newAPI(nil)
	f.Fuzz(func(t *testing.T, body []byte) {
		agree(t, a, wire.CBOR, body, false)
		agree(t, a, wire.CBOR, body, true)
	})
}

// What clients really send must take the hand-made way.
func TestHandMadeCodecTakesWhatClientsSend(t *testing.T) {
	p := newPutCall()
	for i, want := range []struct{ one, many bool }{0: {false, true}, 1: {true, false}, 2: {false, true}} {
		if got := p.decode(wire.JSON, []byte(jsonSeeds[i]), true); got != want.one {
			t.Errorf("%s as PutRecord: %v", jsonSeeds[i], got)
		}
		if got := p.decode(wire.JSON, []byte(jsonSeeds[i]), false); got != want.many {
			t.Errorf("%s as PutRecords: %v", jsonSeeds[i], got)
		}
	}
	// The KPL sends an explicit hash key with every entry, the SDKs for Java
	// CBOR of indefinite length.
	body := []byte("\xbf\x6aStreamName\x61s\x67Records\x9f\xbf\x64Data\x42ab\x6cPartitionKey\x61k\x6fExplicitHashKey\x611\xff\xff\xff")
	if !p.decode(wire.CBOR, body, false) {
		t.Error("CBOR of indefinite length is declined")
	}
}

func putBody(format wire.Format, records, size int) []byte {
	data := []byte(strings.Repeat("0123456789abcdef", size/16))
	list := make(l, records)
	for i := range list {
		var d any = data
		if format == wire.JSON {
			d = base64.StdEncoding.EncodeToString(data)
		}
		list[i] = m{"PartitionKey": fmt.Sprintf("key-%06d", i), "Data": d}
	}
	return encode(format, m{"StreamName": "orders", "Records": list})
}

func benchmarkPutRecords(b *testing.B, format wire.Format) {
	f := newBenchFixture(b)
	body := putBody(format, 500, 1024)
	op := f.operation("PutRecords")
	c := f.call(format, "PutRecords", body)
	dst := make([]byte, 0, 1<<20)
	b.SetBytes(500 << 10)
	b.ReportAllocs()
	for b.Loop() {
		out, err := op(b.Context(), c, dst)
		if err != nil || len(out) < 500*80 {
			b.Fatalf("%.80s %v", out, err)
		}
	}
}

func BenchmarkPutRecordsJSON(b *testing.B) { benchmarkPutRecords(b, wire.JSON) }
func BenchmarkPutRecordsCBOR(b *testing.B) { benchmarkPutRecords(b, wire.CBOR) }

func benchmarkDecode(b *testing.B, format wire.Format) {
	p, body := newPutCall(), putBody(format, 500, 1024)
	b.SetBytes(500 << 10)
	b.ReportAllocs()
	for b.Loop() {
		if !p.decode(format, body, false) {
			b.Fatal("declined")
		}
	}
}

func BenchmarkDecodePutRecordsJSON(b *testing.B) { benchmarkDecode(b, wire.JSON) }
func BenchmarkDecodePutRecordsCBOR(b *testing.B) { benchmarkDecode(b, wire.CBOR) }

func benchmarkGetRecords(b *testing.B, format wire.Format) {
	f := newFixture(b)
	f.create("orders", 1)
	f.okIn(wire.CBOR, "PutRecords", putBody(wire.CBOR, 500, 1024))
	op := f.operation("GetRecords")
	c := f.call(format, "GetRecords", encode(format, m{"ShardIterator": f.iterator(format, "orders", 0)}))
	dst := make([]byte, 0, 2<<20)
	b.SetBytes(500 << 10)
	b.ReportAllocs()
	for b.Loop() {
		out, err := op(b.Context(), c, dst)
		if err != nil || len(out) < 500<<10 {
			b.Fatalf("%d bytes, %v", len(out), err)
		}
	}
}

func BenchmarkGetRecordsJSON(b *testing.B) { benchmarkGetRecords(b, wire.JSON) }
func BenchmarkGetRecordsCBOR(b *testing.B) { benchmarkGetRecords(b, wire.CBOR) }

// A record costs no allocation on its way in or out: 500 of them cost a call
// what one does, a handful.
func TestNoAllocationPerRecord(t *testing.T) {
	for _, format := range []wire.Format{wire.JSON, wire.CBOR} {
		f := newBenchFixture(t)
		put, body := f.operation("PutRecords"), putBody(format, 500, 64)
		real := newFixture(t)
		real.create("orders", 1)
		real.okIn(format, "PutRecords", body)
		get, ask := real.operation("GetRecords"), encode(format, m{"ShardIterator": real.iterator(format, "orders", 0)})
		dst := make([]byte, 0, 1<<20)
		for name, run := range map[string]func() error{
			"PutRecords": func() error { _, err := put(t.Context(), f.call(format, "PutRecords", body), dst); return err },
			"GetRecords": func() error { _, err := get(t.Context(), real.call(format, "GetRecords", ask), dst); return err },
		} {
			n := testing.AllocsPerRun(20, func() {
				if err := run(); err != nil {
					t.Error(err)
				}
			})
			if n > 50 {
				t.Errorf("%s of 500 records in %s: %v allocations", name, format, n)
			}
		}
	}
}
