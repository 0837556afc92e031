package main

import (
	"bufio"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/thalweg/thalweg/aggregation"
)

func TestParsePosition(t *testing.T) {
	now := time.Date(2026, 1, 31, 12, 0, 0, 0, time.UTC)
	for in, want := range map[string]position{
		"latest":               {kind: "LATEST"},
		"TRIM_HORIZON":         {kind: "TRIM_HORIZON"},
		"now":                  {kind: "LATEST"},
		"now-5m":               {kind: "AT_TIMESTAMP", time: now.Add(-5 * time.Minute)},
		"2026-01-01T00:00:00Z": {kind: "AT_TIMESTAMP", time: time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)},
	} {
		if got, err := parsePosition(in, now); err != nil || got != want {
			t.Errorf("%q is %v, %v, want %v", in, got, err, want)
		}
	}
	for _, in := range []string{"", "now-", "now--5m", "yesterday", "2026-01-01"} {
		if got, err := parsePosition(in, now); err == nil {
			t.Errorf("%q is %v, want an error", in, got)
		}
	}
}

// A child is read after all of its parents: a merge has two.
func TestReady(t *testing.T) {
	child := childShard{ShardId: "c", ParentShards: []string{"a", "b"}}
	for _, c := range []struct {
		name     string
		finished map[string]bool
		want     bool
	}{
		{"both are read", map[string]bool{"a": true, "b": true}, true},
		{"one is being read", map[string]bool{"a": true, "b": false}, false},
		// Parents of a merge end at one instant: none is gone by retention before the other.
		{"one is not begun, since its own parent is still read", map[string]bool{"a": true}, false},
		{"begun already", map[string]bool{"a": true, "b": true, "c": false}, false},
	} {
		if got := ready(child, c.finished); got != c.want {
			t.Errorf("%s: %v", c.name, got)
		}
	}
}

func TestMiddle(t *testing.T) {
	shards := []shard{{ShardId: "x", HashKeyRange: hashRange{"0", "340282366920938463463374607431768211455"}}}
	if got, err := middle(shards, "x"); err != nil || got != "170141183460469231731687303715884105728" { // 2^127
		t.Errorf("the middle of all keys is %s, %v", got, err)
	}
	if _, err := middle(shards, "y"); err == nil || !strings.Contains(err.Error(), "open are x") {
		t.Errorf("a shard that is not there: %v", err)
	}
}

func TestPrintable(t *testing.T) {
	for in, want := range map[string]string{"plain ü": "plain ü", "a\tb": `"a\tb"`, "\xff": `"\xff"`, "": ""} {
		if got := printable([]byte(in)); got != want {
			t.Errorf("%q prints as %s, want %s", in, got, want)
		}
	}
}

// Aggregated records come apart, in both formats, unless --raw was given; what
// is lost is said.
func TestPrinter(t *testing.T) {
	var e aggregation.Encoder
	e.Add(aggregation.Record{PartitionKey: "anna", Data: []byte("one")})
	e.Add(aggregation.Record{PartitionKey: "ben", ExplicitHashKey: "7", Data: []byte("two")})
	packed := e.Finish(nil)
	records := []record{
		{SequenceNumber: "1", PartitionKey: "carla", Data: []byte("plain")},
		{SequenceNumber: "2", PartitionKey: packed.PartitionKey, Data: packed.Data},
	}
	for _, c := range []struct {
		name      string
		p         printer
		want      string
		wantWarn  string
		wantError error
	}{
		{"text", printer{}, "s\tcarla\tplain\ns\tanna\tone\ns\tben\ttwo\n", "", nil},
		{"raw", printer{raw: true}, "s\tcarla\tplain\ns\ta\t" + printable(packed.Data) + "\n", "", nil},
		{"a limit within an aggregated record", printer{limit: 2}, "s\tcarla\tplain\ns\tanna\tone\n", "", errEnough},
		{"json", printer{format: "json"},
			`{"ShardId":"s","SequenceNumber":"1","ApproximateArrivalTimestamp":0.000,"PartitionKey":"carla","Data":"cGxhaW4="}
{"ShardId":"s","SequenceNumber":"2","ApproximateArrivalTimestamp":0.000,"PartitionKey":"anna","Data":"b25l","SubSequenceNumber":0}
{"ShardId":"s","SequenceNumber":"2","ApproximateArrivalTimestamp":0.000,"PartitionKey":"ben","Data":"dHdv","SubSequenceNumber":1,"ExplicitHashKey":"7"}
`, "", nil},
		{"more than is taken apart", printer{apart: aggregation.Decoder{MaxRecords: 1}}, "s\tcarla\tplain\n",
			"s, sequence number 2: user records are left out, --raw shows the whole: aggregated record of 2 user records, where at most 1 are read\n", nil},
	} {
		var out, warn strings.Builder
		c.p.out, c.p.warn = bufio.NewWriter(&out), &warn
		for i := range records {
			records[i].ApproximateArrivalTimestamp = stamp(time.UnixMilli(0))
		}
		err := c.p.page("s", &page{Records: records})
		if out.String() != c.want || warn.String() != c.wantWarn || !errors.Is(err, c.wantError) {
			t.Errorf("%s: %v, warning %q, prints\n%swant\n%s", c.name, err, warn.String(), out.String(), c.want)
		}
	}
}

// The demo's last line is worth something: a record that is missing, doubled,
// out of order or changed is noticed.
func TestWatchNotices(t *testing.T) {
	fleet := taxis()[:2]
	rec := func(i, n int) record {
		taxi := fleet[i]
		taxi.trip = n
		return record{PartitionKey: taxi.name, Data: taxi.report(time.Now())}
	}
	for _, c := range []struct {
		name    string
		records []record
		want    string
	}{
		{"in order", []record{rec(0, 1), rec(1, 1), rec(0, 2)}, ""},
		{"missing", []record{rec(0, 1), rec(0, 3)}, "record 3 of taxi-001 after 1"},
		{"doubled", []record{rec(0, 1), rec(0, 1)}, "record 1 of taxi-001 after 1"},
		{"out of order", []record{rec(0, 2), rec(0, 1)}, "record 2 of taxi-001 after 0"},
		{"under another key", []record{{PartitionKey: "x", Data: rec(0, 1).Data}}, "record 1 of taxi-001"},
		{"changed", []record{{PartitionKey: "taxi-001", Data: []byte("{")}}, `brought "{"`},
	} {
		w := newWatch()
		if err := w.read("shardId-000000000000", &page{Records: c.records}); err != nil {
			t.Fatal(err)
		}
		if got := w.view().wrong; (c.want == "") != (got == "") || !strings.Contains(got, c.want) {
			t.Errorf("%s: noticed %q, want %q", c.name, got, c.want)
		}
	}
}
