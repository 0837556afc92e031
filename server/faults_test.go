package server

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"
)

// admin calls /admin/faults and wants a status.
func (h *house) admin(t *testing.T, method, query, body string, want int, header ...string) string {
	t.Helper()
	r, err := http.NewRequest(method, h.url+faultsPath+query, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	for i := 0; i < len(header); i += 2 {
		r.Header.Set(header[i], header[i+1])
	}
	res, err := h.http.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	answer, err := io.ReadAll(res.Body)
	if err != nil || res.StatusCode != want {
		t.Fatalf("%s %s: %s %s %v", method, body, res.Status, answer, err)
	}
	return string(answer)
}

// "Deterministic fault injection for clients' own tests (throttle, internal
// failure, expired iterator, latency) through an admin call."
func TestFaults(t *testing.T) {
	h := run(t, Config{Ephemeral: true, Faults: true, Streams: []Stream{{Name: "s", Shards: 2}, {Name: "other", Shards: 1}}})
	put := obj{"StreamName": "s", "PartitionKey": "k", "ExplicitHashKey": "0", "Data": []byte("x")}
	records := func(n int) []obj { // in the first and the second shard by turns
		list := make([]obj, n)
		for i := range list {
			list[i] = obj{"PartitionKey": "k", "ExplicitHashKey": [2]string{"0", "340282366920938463463374607431768211455"}[i%2], "Data": []byte("x")}
		}
		return list
	}
	iterator := h.must(t, "GetShardIterator", obj{"StreamName": "s", "ShardId": "shardId-000000000000", "ShardIteratorType": "LATEST"})["ShardIterator"]
	h.must(t, "RegisterStreamConsumer", obj{"StreamARN": "arn:aws:kinesis:us-east-1:000000000000:stream/s", "ConsumerName": "c"})
	for _, c := range []struct {
		rule, op string
		in       obj
		want     []string // of calls in a row: "" is success, else the exception
	}{
		{`{"operation":"PutRecord","every":2,"effect":"throttle"}`, "PutRecord", put, []string{"", "ProvisionedThroughputExceededException", "", "ProvisionedThroughputExceededException"}},
		{`{"stream":"s","times":1,"effect":"fail"}`, "PutRecord", put, []string{"InternalFailureException", ""}},
		{`{"stream":"other","effect":"fail"}`, "PutRecord", put, []string{""}},
		{`{"shard":"shardId-000000000000","effect":"fail"}`, "PutRecord", put, []string{"InternalFailureException"}},
		{`{"shard":"shardId-000000000001","effect":"fail"}`, "PutRecord", put, []string{""}},
		{`{"per":"record","effect":"throttle","times":1}`, "PutRecord", put, []string{"ProvisionedThroughputExceededException", ""}},
		{`{"effect":"expire","times":1}`, "GetRecords", obj{"ShardIterator": iterator}, []string{"ExpiredIteratorException", ""}},
		{`{"effect":"fail","stream":"s","shard":"shardId-000000000000"}`, "GetRecords", obj{"ShardIterator": iterator}, []string{"InternalFailureException"}},
		{`{"effect":"throttle","operation":"GetShardIterator"}`, "GetShardIterator",
			obj{"StreamName": "s", "ShardId": "0", "ShardIteratorType": "LATEST"}, []string{"ProvisionedThroughputExceededException"}},
		{`{"effect":"throttle","times":1}`, "DescribeStream", obj{"StreamName": "s"}, []string{"LimitExceededException", ""}},
		{`{"effect":"throttle","times":1}`, "PutRecords", obj{"StreamName": "s", "Records": records(2)}, []string{"ProvisionedThroughputExceededException", "-,-"}},
		{`{"effect":"throttle","per":"record","every":3}`, "PutRecords", obj{"StreamName": "s", "Records": records(4)},
			[]string{"-,-,ProvisionedThroughputExceededException,-", "-,ProvisionedThroughputExceededException,-,-"}},
		{`{"effect":"fail","per":"record","shard":"shardId-000000000001"}`, "PutRecords", obj{"StreamName": "s", "Records": records(3)}, []string{"-,InternalFailure,-"}},
		{`{"effect":"fail","per":"record"}`, "PutRecords", obj{"StreamName": "s", "Records": records(2)}, []string{"InternalFailure,InternalFailure"}},
		{`{"effect":"delay","delay_ms":1,"times":1}`, "PutRecord", put, []string{"", ""}},
		{`{"effect":"drop","operation":"PutRecord","times":1}`, "PutRecord", put, []string{"EOF", ""}},
	} {
		h.admin(t, "POST", "", c.rule, 200)
		for i, want := range c.want {
			status, out, err := h.call(c.op, c.in)
			got, _ := out["__type"].(string)
			switch list, _ := out["Records"].([]any); {
			case err != nil:
				got = "EOF"
			case c.op == "PutRecords" && status == 200:
				failed := 0
				var fates []string
				for _, r := range list {
					code, _ := r.(obj)["ErrorCode"].(string)
					if code == "" {
						code = "-"
						if r.(obj)["SequenceNumber"] == "" {
							t.Errorf("%s: a record without a number", c.rule)
						}
					} else {
						failed++
					}
					fates = append(fates, code)
				}
				got = strings.Join(fates, ",")
				if fmt.Sprint(out["FailedRecordCount"]) != fmt.Sprint(failed) {
					t.Errorf("%s: FailedRecordCount %v of %s", c.rule, out["FailedRecordCount"], got)
				}
			}
			if got != want {
				t.Errorf("%s: call %d of %s: %q, want %q (%v)", c.rule, i+1, c.op, got, want, err)
			}
		}
		if n := len(h.Faults().List()); n != 1 {
			t.Errorf("%d rules", n)
		}
		h.admin(t, "DELETE", "", "", 200)
	}

	// What was dropped was stored: an acknowledgement that got lost.
	h.must(t, "CreateStream", obj{"StreamName": "lost", "ShardCount": 1})
	h.admin(t, "POST", "", `{"effect":"drop","operation":"PutRecords","times":1}`, 200)
	if _, _, err := h.call("PutRecords", obj{"StreamName": "lost", "Records": records(1)}); err == nil {
		t.Error("there is an answer to a dropped call")
	}
	it := h.must(t, "GetShardIterator", obj{"StreamName": "lost", "ShardId": "0", "ShardIteratorType": "TRIM_HORIZON"})
	if got := h.must(t, "GetRecords", obj{"ShardIterator": it["ShardIterator"]})["Records"].([]any); len(got) != 1 {
		t.Errorf("of a dropped put %v is there", got)
	}
	if list := h.admin(t, "GET", "", "", 200); !strings.Contains(list, `"effect":"drop","matched":1,"hits":1`) {
		t.Errorf("list %s", list)
	}

	// A subscription breaks after its first event, which is no end in good order.
	h.admin(t, "DELETE", "", "", 200)
	h.admin(t, "POST", "", `{"effect":"drop","operation":"SubscribeToShard","shard":"shardId-000000000000"}`, 200)
	consumer := h.must(t, "DescribeStreamConsumer", obj{"StreamARN": "arn:aws:kinesis:us-east-1:000000000000:stream/s", "ConsumerName": "c"})
	if _, _, err := h.call("SubscribeToShard", obj{"ConsumerARN": consumer["ConsumerDescription"].(obj)["ConsumerARN"],
		"ShardId": "shardId-000000000000", "StartingPosition": obj{"Type": "TRIM_HORIZON"}}); !errors.Is(err, io.ErrUnexpectedEOF) {
		t.Errorf("a cut subscription ends with %v", err)
	}

	// A delay ends with its caller.
	h.admin(t, "DELETE", "", "", 200)
	h.admin(t, "POST", "", `{"effect":"delay","delay_ms":600000,"operation":"ListStreams"}`, 200)
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Millisecond)
	defer cancel()
	r, _ := http.NewRequestWithContext(ctx, "POST", h.url, strings.NewReader("{}"))
	r.Header = http.Header{"Content-Type": {"application/x-amz-json-1.1"}, "X-Amz-Target": {"Kinesis_20131202.ListStreams"},
		"Authorization": {"AWS4-HMAC-SHA256 Credential=test/20260101/us-east-1/kinesis/aws4_request, SignedHeaders=host, Signature=0"}, "X-Amz-Date": {"20260101T000000Z"}}
	if _, err := h.http.Do(r); ctx.Err() == nil {
		t.Errorf("answered with %v", err)
	}
	h.http.CloseIdleConnections()
	if err := h.end(); err != nil {
		t.Error(err)
	}
}

// Nobody sets rules but who may, and nobody does where they are off.
func TestFaultsAdmin(t *testing.T) {
	h := run(t, Config{Ephemeral: true, Faults: true})
	for body, want := range map[string]string{
		`{"effect":"explode"}`:         "none of throttle",
		`{"effect":"fail","evry":2}`:   `unknown field "evry"`,
		`{"effect":"fail"`:             "unexpected EOF",
		`{"effect":"fail","times":-1}`: "not negative",
	} {
		if got := h.admin(t, "POST", "", body, 400); !strings.Contains(got, want) {
			t.Errorf("%s: %s", body, got)
		}
	}
	h.admin(t, "POST", "", `{"effect":"fail"}`, 403, "Origin", "http://evil.example")
	h.admin(t, "PUT", "", "", 405)
	h.admin(t, "POST", "", `{"effect":"fail","stream":"a"}`, 200)
	h.admin(t, "POST", "", `{"effect":"fail","stream":"b"}`, 200)
	if got := h.admin(t, "DELETE", "?id=1", "", 200); got != "{\"removed\":1}\n" {
		t.Errorf("removed %s", got)
	}
	if l := h.Faults().List(); len(l) != 1 || l[0].Stream != "b" {
		t.Errorf("left %+v", l)
	}
	h.http.CloseIdleConnections()
	if err := h.end(); err != nil {
		t.Error(err)
	}

	h = run(t, Config{Ephemeral: true, Faults: true, Credentials: []Credential{{AccessKeyID: "me", SecretAccessKey: "secret"}}})
	h.admin(t, "POST", "", `{"effect":"fail"}`, 403) // on this machine, and yet not signed
	h.http.CloseIdleConnections()
	if err := h.end(); err != nil {
		t.Error(err)
	}

	h = run(t, Config{Ephemeral: true})
	if got := h.admin(t, "GET", "", "", 404); !strings.Contains(got, "--faults") {
		t.Errorf("off: %s", got)
	}
	h.http.CloseIdleConnections()
	if err := h.end(); err != nil {
		t.Error(err)
	}
}
