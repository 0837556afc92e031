package destination_test

import (
	"context"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"

	"github.com/thalweg/thalweg/fault"
	"github.com/thalweg/thalweg/function/mapping"
	"github.com/thalweg/thalweg/function/mapping/destination"
	"github.com/thalweg/thalweg/function/mapping/event"
)

func owner() mapping.Owner { return mapping.Owner{Account: "123456789012", Region: "us-east-1"} }

func delivery() mapping.Delivery {
	return mapping.Delivery{
		Mapping: "m", ID: "id",
		Failure: event.Failure{Condition: event.RecordAgeExceeded, At: time.UnixMilli(1573691886021), Shard: "shardId-000000000001", Count: 1},
		Event:   func(context.Context) ([]byte, error) { return []byte(`{"Records":[]}`), nil },
	}
}

type request struct {
	method, path, auth, kind string
	body                     string
}

// Each kind of destination is called as its service wants it: S3 gets an
// object with the event, SQS a message and SNS one of a topic, without it.
func TestSend(t *testing.T) {
	var got []request
	status := http.StatusOK
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		got = append(got, request{r.Method, r.URL.Path, r.Header.Get("Authorization"), r.Header.Get("Content-Type"), string(body)})
		w.WriteHeader(status)
		io.WriteString(w, "what is wrong")
	}))
	defer s.Close()
	var puts []string
	d := destination.New(destination.Config{
		Endpoints: map[string]string{"s3": s.URL, "sqs": s.URL + "/", "sns": s.URL}, HTTP: s.Client(),
		Credentials: aws.Credentials{AccessKeyID: "AKID", SecretAccessKey: "secret"},
		Put: func(_ context.Context, account, arn string, record []byte) error {
			puts = append(puts, account, arn, string(record))
			return nil
		},
	})
	ctx := context.Background()
	send := func(to string) error { return d.Send(ctx, owner(), to, delivery()) }
	for _, to := range []string{"arn:aws:s3:::bucket", "arn:aws:sqs:eu-west-1:123456789012:q", "arn:aws:sns:eu-west-1:123456789012:t", "arn:aws:kinesis:us-east-1:123456789012:stream/s"} {
		if err := d.Check(owner(), to); err != nil {
			t.Error(err)
		}
		if err := send(to); err != nil {
			t.Error(err)
		}
	}
	if len(got) != 3 || len(puts) != 3 {
		t.Fatalf("%+v %+v", got, puts)
	}
	const date = "AWS4-HMAC-SHA256 Credential=AKID/"
	if r := got[0]; r.method != "PUT" || r.path != "/bucket/aws/lambda/m/shardId-000000000001/2019/11/14/2019-11-14T00.38.06-id" ||
		!strings.Contains(r.auth, "/us-east-1/s3/") || !strings.HasPrefix(r.auth, date) || !strings.HasSuffix(r.body, `,"payload":{"Records":[]}}`) {
		t.Errorf("S3: %+v", r)
	}
	form, _ := url.ParseQuery(got[1].body)
	if r := got[1]; r.path != "/123456789012/q" || form.Get("Action") != "SendMessage" || !strings.HasPrefix(form.Get("MessageBody"), `{"requestContext":`) ||
		strings.Contains(form.Get("MessageBody"), "payload") || !strings.Contains(r.auth, "/eu-west-1/sqs/") || r.kind != "application/x-www-form-urlencoded" {
		t.Errorf("SQS: %+v", r)
	}
	form, _ = url.ParseQuery(got[2].body)
	if r := got[2]; form.Get("Action") != "Publish" || form.Get("TopicArn") != "arn:aws:sns:eu-west-1:123456789012:t" || !strings.Contains(r.auth, "/eu-west-1/sns/") {
		t.Errorf("SNS: %+v", r)
	}
	if puts[0] != "123456789012" || !strings.HasSuffix(puts[1], "stream/s") || strings.Contains(puts[2], "payload") {
		t.Errorf("a stream: %q", puts)
	}
	status = http.StatusForbidden
	if err := send("arn:aws:s3:::bucket"); err == nil || !strings.Contains(err.Error(), "what is wrong") {
		t.Errorf("a refusal: %v", err)
	}
	broken := delivery()
	broken.Event = func(context.Context) ([]byte, error) { return nil, errors.New("no data") }
	if err := d.Send(ctx, owner(), "arn:aws:s3:::bucket", broken); err == nil {
		t.Error("an object without its event was put")
	}
}

func TestCheck(t *testing.T) {
	d := destination.New(destination.Config{Endpoints: map[string]string{"sqs": "http://127.0.0.1:1"}})
	for _, to := range []string{
		"", "q", "arn:aws:sqs:us-east-1:1:", "arn:aws:s3:::bucket", "arn:aws:sns:us-east-1:1:t", "kafka://topic", "arn:aws:sqs:us-east-1:1:a/../b",
		"arn:aws:kafka:us-east-1:1:cluster/x", "arn:aws:kinesis:us-east-1:999999999999:stream/s", "arn:aws:kinesis:eu-west-1:123456789012:stream/s",
	} {
		if err := d.Check(owner(), to); !fault.Is(err, fault.Invalid) {
			t.Errorf("%q: %v", to, err)
		}
	}
}
