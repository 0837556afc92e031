package server

import (
	"fmt"
	"regexp"
	"strings"
	"testing"
)

// series are the lines of /metrics whose names begin with thalweg_kinesis_, or
// with what else is given.
func (h *house) series(t *testing.T, prefix string) map[string]string {
	t.Helper()
	_, body := h.get(t, "/metrics")
	found := map[string]string{}
	for _, m := range regexp.MustCompile(`(?m)^(`+prefix+`[^ ]*) (\S+)$`).FindAllStringSubmatch(body, -1) {
		found[m[1]] = m[2]
	}
	return found
}

// AWS's stream-level metrics (Developer Guide, "Monitoring the service with
// CloudWatch"), each once moved by what it counts.
func TestStreamFigures(t *testing.T) {
	h := run(t, Config{Ephemeral: true, Limits: true})
	h.must(t, "CreateStream", obj{"StreamName": "s", "ShardCount": 1})
	h.must(t, "PutRecord", obj{"StreamName": "s", "PartitionKey": "k", "Data": []byte("12345678")})
	many := make([]obj, 500)
	for i := range many {
		many[i] = obj{"PartitionKey": "k", "Data": []byte("1234")}
	}
	// A shard takes 1,000 records a second: the third call meets its limit.
	throttled := 0
	for range 3 {
		out := h.must(t, "PutRecords", obj{"StreamName": "s", "Records": many})
		throttled += int(out["FailedRecordCount"].(float64))
	}
	if throttled < 1 || throttled > 1000 {
		t.Fatalf("%d records are throttled", throttled)
	}
	it := h.must(t, "GetShardIterator", obj{"StreamName": "s", "ShardId": "shardId-000000000000", "ShardIteratorType": "TRIM_HORIZON"})
	stored := 1 + 1500 - throttled
	// Five calls a second are let in: of ten at once, not all.
	refused := 0
	for range 10 {
		if status, _, err := h.call("GetRecords", obj{"ShardIterator": it["ShardIterator"]}); err != nil {
			t.Fatal(err)
		} else if status == 400 {
			refused++
		}
	}
	h.must(t, "RegisterStreamConsumer", obj{"StreamARN": "arn:aws:kinesis:us-east-1:000000000000:stream/s", "ConsumerName": "c"})
	got := h.series(t, "thalweg_kinesis_")
	for name, want := range map[string]int{
		"incoming_bytes_total":                        9 + 5*(stored-1),
		"incoming_records_total":                      stored,
		"put_record_bytes_total":                      9,
		"put_record_latency_seconds_count":            1,
		"put_record_success_total":                    1,
		"put_records_bytes_total":                     3 * 500 * 5,
		"put_records_latency_seconds_count":           3,
		"put_records_total_records_total":             1500,
		"put_records_successful_records_total":        stored - 1,
		"put_records_failed_records_total":            0,
		"put_records_throttled_records_total":         throttled,
		"write_provisioned_throughput_exceeded_total": throttled,
		"get_records_records_total":                   (10 - refused) * stored,
		"get_records_bytes_total":                     (10 - refused) * (9 + 5*(stored-1)),
		"get_records_success_total":                   10 - refused,
		"get_records_latency_seconds_count":           10 - refused,
		"get_records_iterator_age_milliseconds":       0,
		"read_provisioned_throughput_exceeded_total":  refused,
	} {
		series := "thalweg_kinesis_" + name + `{account="000000000000",region="us-east-1",stream="s"}`
		if v := whole(got[series]); got[series] == "" || v != want {
			t.Errorf("%s is %q, want %d", series, got[series], want)
		}
	}
	for _, name := range []string{"put_records_success_total", "put_record_latency_seconds_sum", "put_records_latency_seconds_sum", "get_records_latency_seconds_sum"} {
		series := "thalweg_kinesis_" + name + `{account="000000000000",region="us-east-1",stream="s"}`
		if got[series] == "" || got[series] == "0" {
			t.Errorf("%s is %q", series, got[series])
		}
	}
	consumer := `{account="000000000000",consumer="c",region="us-east-1",stream="s"}`
	for name, want := range map[string]string{
		"subscribe_to_shard_success_total": "0", "subscribe_to_shard_rate_exceeded_total": "0", "subscribe_to_shard_event_success_total": "0",
		"subscribe_to_shard_event_bytes_total": "0", "subscribe_to_shard_event_records_total": "0", "subscriptions": "0",
		"subscribe_to_shard_event_millis_behind_latest": "", // there is no subscription to be behind
	} {
		if v := got["thalweg_kinesis_"+name+consumer]; v != want {
			t.Errorf("%s is %q, want %q", name+consumer, v, want)
		}
	}
	h.must(t, "DeleteStream", obj{"StreamName": "s", "EnforceConsumerDeletion": true})
	if left := h.series(t, "thalweg_kinesis_"); len(left) > 0 {
		t.Errorf("the stream is gone and has %v", left)
	}
	h.http.CloseIdleConnections()
	if err := h.end(); err != nil {
		t.Error(err)
	}
}

func whole(s string) int {
	var f float64
	fmt.Sscan(s, &f)
	return int(f)
}

// "Enhanced (shard-level) metrics": a shard's series are there while they are
// enabled for the stream, and only those that are.
func TestShardFigures(t *testing.T) {
	h := run(t, Config{Ephemeral: true})
	h.must(t, "CreateStream", obj{"StreamName": "s", "ShardCount": 3})
	h.must(t, "CreateStream", obj{"StreamName": "other", "ShardCount": 2})
	h.must(t, "PutRecord", obj{"StreamName": "s", "PartitionKey": "k", "ExplicitHashKey": "0", "Data": []byte("12345678")})
	it := h.must(t, "GetShardIterator", obj{"StreamName": "s", "ShardId": "shardId-000000000000", "ShardIteratorType": "TRIM_HORIZON"})
	h.must(t, "GetRecords", obj{"ShardIterator": it["ShardIterator"]})
	const prefix = "thalweg_kinesis_shard_"
	if got := h.series(t, prefix); len(got) > 0 {
		t.Errorf("without enhanced monitoring there are %v", got)
	}
	enable := func(op string, names ...string) { h.must(t, op, obj{"StreamName": "s", "ShardLevelMetrics": names}) }
	of := func(name, shard string) string {
		return prefix + name + `{account="000000000000",region="us-east-1",shard="shardId-00000000000` + shard + `",stream="s"}`
	}
	enable("EnableEnhancedMonitoring", "IncomingBytes", "OutgoingRecords")
	got := h.series(t, prefix)
	if len(got) != 6 || got[of("incoming_bytes_total", "0")] != "9" || got[of("incoming_bytes_total", "1")] != "0" || got[of("outgoing_records_total", "0")] != "1" {
		t.Errorf("with two metrics of three shards there are %v", got)
	}
	enable("EnableEnhancedMonitoring", "ALL")
	got = h.series(t, prefix)
	// Nobody has read two of the shards: they have no age.
	if len(got) != 7*3-2 || got[of("iterator_age_milliseconds", "0")] != "0" || got[of("incoming_records_total", "0")] != "1" ||
		got[of("outgoing_bytes_total", "0")] != "9" || got[of("write_provisioned_throughput_exceeded_total", "2")] != "0" ||
		got[of("read_provisioned_throughput_exceeded_total", "0")] != "0" {
		t.Errorf("with all metrics there are %v", got)
	}
	h.must(t, "SplitShard", obj{"StreamName": "s", "ShardToSplit": "shardId-000000000000", "NewStartingHashKey": "1000"})
	if got := h.series(t, prefix+"incoming_bytes"); len(got) != 5 || got[of("incoming_bytes_total", "0")] != "9" {
		t.Errorf("after a split there are %v", got)
	}
	enable("DisableEnhancedMonitoring", "ALL")
	if got := h.series(t, prefix); len(got) > 0 {
		t.Errorf("switched off, there are %v", got)
	}
	h.http.CloseIdleConnections()
	if err := h.end(); err != nil {
		t.Error(err)
	}
}

// Every put is in a group of the log that was synced.
func TestLogFigures(t *testing.T) {
	h := run(t, Config{Ephemeral: true})
	h.must(t, "CreateStream", obj{"StreamName": "s", "ShardCount": 1})
	before := h.series(t, "thalweg_log_")
	h.must(t, "PutRecord", obj{"StreamName": "s", "PartitionKey": "k", "Data": []byte("12345678")})
	after := h.series(t, "thalweg_log_")
	for _, name := range []string{"group_frames_count", "group_frames_sum", "sync_duration_seconds_count", "group_bytes_count"} {
		if n, m := whole(before["thalweg_log_"+name]), whole(after["thalweg_log_"+name]); m != n+1 {
			t.Errorf("thalweg_log_%s goes from %d to %d", name, n, m)
		}
	}
	if !strings.Contains(fmt.Sprint(after), "thalweg_log_group_bytes_bucket") {
		t.Error("there is no distribution of the sizes of groups")
	}
	h.http.CloseIdleConnections()
	if err := h.end(); err != nil {
		t.Error(err)
	}
}
