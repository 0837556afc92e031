package event_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
	"pgregory.net/rapid"

	"github.com/thalweg/thalweg/function/mapping/event"
)

func source() *event.Source {
	return &event.Source{
		ARN: "arn:aws:kinesis:us-east-1:123456789012:stream/s", Region: "us-east-1",
		Role: "arn:aws:iam::123456789012:role/r", Shard: "shardId-000000000006",
	}
}

// The record of the Lambda Developer Guide's example event, member for member
// and in its order; the time is in seconds with its milliseconds.
func TestRecord(t *testing.T) {
	got := event.Begin(nil)
	got = source().Append(got, event.Record{Sequence: "49590338271490256608559692538361571095921575989136588898", Key: "1", Data: []byte("Hello, this is a test."), Time: 1545084650987})
	got = source().End(got, nil)
	const want = `{"Records":[{"kinesis":{"kinesisSchemaVersion":"1.0","partitionKey":"1","sequenceNumber":"49590338271490256608559692538361571095921575989136588898",` +
		`"data":"SGVsbG8sIHRoaXMgaXMgYSB0ZXN0Lg==","approximateArrivalTimestamp":1545084650.987},"eventSource":"aws:kinesis","eventVersion":"1.0",` +
		`"eventID":"shardId-000000000006:49590338271490256608559692538361571095921575989136588898","eventName":"aws:kinesis:record",` +
		`"invokeIdentityArn":"arn:aws:iam::123456789012:role/r","awsRegion":"us-east-1","eventSourceARN":"arn:aws:kinesis:us-east-1:123456789012:stream/s"}]}`
	if string(got) != want {
		t.Fatalf("got\n%s\nwant\n%s", got, want)
	}
}

func TestWindow(t *testing.T) {
	for _, c := range []struct {
		w    event.Window
		want string
	}{
		{
			event.Window{Start: 1607497440000, End: 1607497560000, State: []byte(`{"1":282}`)},
			`"window":{"start":"2020-12-09T07:04:00Z","end":"2020-12-09T07:06:00Z"},"state":{"1":282},"shardId":"shardId-000000000006",` +
				`"eventSourceARN":"arn:aws:kinesis:us-east-1:123456789012:stream/s","isFinalInvokeForWindow":false,"isWindowTerminatedEarly":false}`,
		},
		{
			event.Window{Start: 1607497440000, End: 1607497560000, Final: true, Early: true},
			`"state":{},"shardId":"shardId-000000000006","eventSourceARN":"arn:aws:kinesis:us-east-1:123456789012:stream/s","isFinalInvokeForWindow":true,"isWindowTerminatedEarly":true}`,
		},
	} {
		got := string(source().End(event.Begin(nil), &c.w))
		if !strings.HasSuffix(got, c.want) || !jsontext.Value(got).IsValid() {
			t.Errorf("got %s\nwant …%s", got, c.want)
		}
		if len(got) > source().Around()+len(c.w.State) {
			t.Errorf("%d bytes around the records, Around says %d", len(got), source().Around())
		}
	}
}

// Whatever is in a record, the event is JSON and Size is what Append writes.
func TestSize(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		r := event.Record{
			Sequence: rapid.StringMatching(`[0-9]{1,60}`).Draw(t, "sequence"),
			Key:      rapid.String().Draw(t, "key"),
			Data:     rapid.SliceOf(rapid.Byte()).Draw(t, "data"),
			Time:     rapid.Int64Range(0, 1<<42).Draw(t, "time"),
		}
		s := source()
		got := s.Append(nil, r)
		if len(got) != s.Size(r) {
			t.Fatalf("%d bytes, Size says %d", len(got), s.Size(r))
		}
		var doc struct {
			Kinesis struct {
				PartitionKey string `json:"partitionKey"`
				Data         []byte `json:"data"`
			} `json:"kinesis"`
		}
		if err := json.Unmarshal(got, &doc); err != nil || doc.Kinesis.PartitionKey != r.Key || string(doc.Kinesis.Data) != string(r.Data) {
			t.Fatalf("%s reads as %+v, %v", got, doc, err)
		}
	})
}

// The table of the Lambda Developer Guide, "Configuring partial batch response
// with Kinesis Data Streams", as probed on AWS; the batch is 10, 11, 12, 13.
func TestPartialFailure(t *testing.T) {
	const whole, none = -2, -1
	index := func(sequence string) int {
		for i, s := range []string{"10", "11", "12", "13"} {
			if s == sequence {
				return i
			}
		}
		return -1
	}
	for _, c := range []struct {
		answer string
		want   int
	}{
		{``, none},
		{`null`, none},
		{`""`, none},
		{`{}`, none},
		{`{"batchItemFailures":[]}`, none},
		{`{"batchItemFailures":null}`, none},
		{`{"other":1}`, none},
		{`"done"`, none},
		{`{"batchItemFailures":[{"itemIdentifier":""}]}`, whole},
		{`{"batchItemFailures":[{"itemIdentifier":null}]}`, whole},
		{`{"batchItemFailures":[{"item_identifier":"11"}]}`, whole},
		{`{"batchItemFailures":[{}]}`, whole},
		{`{"batchItemFailures":[{"itemIdentifier":"99"}]}`, whole},
		{`{"batchItemFailures":[{"itemIdentifier":"11"},{"itemIdentifier":"99"}]}`, whole},
		{`{"batchItemFailures":[{"itemIdentifier":11}]}`, whole},
		{`{"batchItemFailures":"11"}`, whole},
		{`{"batchItemFailures":[{"itemIdentifier":"11"}]`, whole}, // not JSON
		{`{"batchItemFailures":[{"itemIdentifier":"10"}]}`, 0},
		{`{"batchItemFailures":[{"itemIdentifier":"13"},{"itemIdentifier":"11"},{"itemIdentifier":"12"}]}`, 1},
	} {
		v := event.Judge([]byte(c.answer), event.Expect{Items: true}, index)
		got := v.Cut
		if v.Failed {
			got = whole
		}
		if got != c.want {
			t.Errorf("%s: got %d, want %d", c.answer, got, c.want)
		}
		if v := event.Judge([]byte(c.answer), event.Expect{}, index); v.Failed || v.Cut != -1 {
			t.Errorf("%s without ReportBatchItemFailures is %+v", c.answer, v)
		}
	}
}

// "The response must contain state": a missing one is a failure, but of the
// window's last call.
func TestState(t *testing.T) {
	for _, c := range []struct {
		answer        string
		final, failed bool
		state         string
	}{
		{`{"state":{"1":282},"batchItemFailures":[]}`, false, false, `{"1":282}`},
		{`{"state":{}}`, false, false, `{}`},
		{`{"state":null}`, false, true, ``},
		{`{}`, false, true, ``},
		{`null`, false, true, ``},
		{``, false, true, ``},
		{`{}`, true, false, ``},
		{`null`, true, false, ``},
		{`[`, true, true, ``},
	} {
		v := event.Judge([]byte(c.answer), event.Expect{Window: true, Final: c.final}, nil)
		if v.Failed != c.failed || string(v.State) != c.state {
			t.Errorf("%s (final %t): %+v", c.answer, c.final, v)
		}
	}
}

// The message that AWS sends to SQS and SNS, and what S3 gets besides (probed).
func TestFailureMessage(t *testing.T) {
	f := event.Failure{
		RequestID: "c9b8fa9f-5a7f-xmpl-af9c-0c604cde93a5", Function: "arn:aws:lambda:us-east-2:123456789012:function:myfunction",
		Condition: event.RetryAttemptsExhausted, Invokes: 2, Version: "$LATEST", Error: "Unhandled",
		At:    time.UnixMilli(1573691886021),
		Shard: "shardId-000000000001", Stream: "arn:aws:kinesis:us-east-2:123456789012:stream/mystream",
		First: "49601189658422359378836298521827638475320189012309704722", Last: "49601189658422359378836298522902373528957594348623495186",
		FirstTime: 1573691884835, LastTime: 1573691885026, Count: 500,
	}
	batch := `"KinesisBatchInfo":{"shardId":"shardId-000000000001","startSequenceNumber":"49601189658422359378836298521827638475320189012309704722",` +
		`"endSequenceNumber":"49601189658422359378836298522902373528957594348623495186","approximateArrivalOfFirstRecord":"2019-11-14T00:38:04.835Z",` +
		`"approximateArrivalOfLastRecord":"2019-11-14T00:38:05.026Z","batchSize":500,"streamArn":"arn:aws:kinesis:us-east-2:123456789012:stream/mystream"}`
	context := func(condition, response string) string {
		return `{"requestContext":{"requestId":"c9b8fa9f-5a7f-xmpl-af9c-0c604cde93a5","functionArn":"arn:aws:lambda:us-east-2:123456789012:function:myfunction",` +
			`"condition":"` + condition + `","approximateInvokeCount":2},` + response + `"version":"1.0","timestamp":"2019-11-14T00:38:06.021Z",` + batch
	}
	check := func(what, want string) {
		t.Helper()
		got, err := f.Message()
		if err != nil || string(got) != want {
			t.Errorf("%s: got\n%s, %v\nwant\n%s", what, got, err, want)
		}
	}
	check("a function's error", context("RetryAttemptsExhausted", `"responseContext":{"statusCode":200,"executedVersion":"$LATEST","functionError":"Unhandled"},`)+`}`)
	f.Error = ""
	check("reported failures", context("RetryAttemptsExhausted", `"responseContext":{"statusCode":200,"executedVersion":"$LATEST","functionError":null},`)+`}`)
	f.Condition = event.RecordAgeExceeded
	check("age", context("RecordAgeExceeded", "")+`}`)
	f.Payload = []byte(`{"Records":[]}`)
	check("with the event", context("RecordAgeExceeded", "")+`,"payload":{"Records":[]}}`)
	if got, want := f.ObjectKey("1a2b", "uuid"), "aws/lambda/1a2b/shardId-000000000001/2019/11/14/2019-11-14T00.38.06-uuid"; got != want {
		t.Errorf("key %s, want %s", got, want)
	}
}

// FuzzJudge: no answer of a function does harm, and none cuts outside the batch.
func FuzzJudge(f *testing.F) {
	for _, s := range []string{`{"batchItemFailures":[{"itemIdentifier":"10"}],"state":{}}`, `null`, `{`, `{"state":null}`, ``} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, answer []byte) {
		v := event.Judge(answer, event.Expect{Items: true, Window: true}, func(s string) int {
			var n int
			if _, err := fmt.Sscanf(s, "%d", &n); err != nil || n < 0 || n > 3 {
				return -1
			}
			return n
		})
		if v.Cut < -1 || v.Cut > 3 || v.State != nil && !v.State.IsValid(jsontext.AllowDuplicateNames(true), jsontext.AllowInvalidUTF8(true)) {
			t.Fatalf("%+v", v)
		}
	})
}
