package thalwegtest_test

import (
	"context"
	"errors"
	"fmt"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/kinesis"
	"github.com/aws/aws-sdk-go-v2/service/kinesis/types"
	"go.uber.org/goleak"

	"github.com/thalweg/thalweg/thalwegtest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// In a test, Start(t) does what New and Close do here.
func Example() {
	srv, err := thalwegtest.New(thalwegtest.Streams(thalwegtest.Stream{Name: "orders", Shards: 1}))
	if err != nil {
		panic(err)
	}
	defer srv.Close()
	ctx := context.Background()
	client := kinesis.NewFromConfig(srv.Config())

	put, err := client.PutRecord(ctx, &kinesis.PutRecordInput{
		StreamName: aws.String("orders"), PartitionKey: aws.String("customer-7"), Data: []byte("a pot of tea")})
	if err != nil {
		panic(err)
	}
	iterator, err := client.GetShardIterator(ctx, &kinesis.GetShardIteratorInput{
		StreamName: aws.String("orders"), ShardId: put.ShardId, ShardIteratorType: types.ShardIteratorTypeTrimHorizon})
	if err != nil {
		panic(err)
	}
	page, err := client.GetRecords(ctx, &kinesis.GetRecordsInput{ShardIterator: iterator.ShardIterator})
	if err != nil {
		panic(err)
	}
	for _, r := range page.Records {
		fmt.Println(*r.PartitionKey, string(r.Data))
	}
	// Output: customer-7 a pot of tea
}

func put(s string) *kinesis.PutRecordInput {
	return &kinesis.PutRecordInput{StreamName: aws.String("orders"), PartitionKey: aws.String(s), Data: []byte(s)}
}

// Faults reach the SDK as AWS's own do: it retries what may be retried.
func TestFaults(t *testing.T) {
	srv := thalwegtest.Start(t)
	srv.CreateStream(t, "orders", 2)
	client := kinesis.NewFromConfig(srv.Config(), func(o *kinesis.Options) { o.RetryMaxAttempts = 1 })
	srv.Fault(t, thalwegtest.Fault{Operation: "PutRecord", Effect: thalwegtest.Throttle, Times: 1})
	var throttled *types.ProvisionedThroughputExceededException
	if _, err := client.PutRecord(t.Context(), put("k")); !errors.As(err, &throttled) {
		t.Errorf("throttled: %v", err)
	}
	if _, err := client.PutRecord(t.Context(), put("k")); err != nil {
		t.Error(err)
	}
	if f := srv.Faults(); len(f) != 1 || f[0].Hits != 1 || f[0].Matched != 2 {
		t.Errorf("faults %+v", f)
	}
	srv.ClearFaults()
	srv.Fault(t, thalwegtest.Fault{Effect: thalwegtest.Drop, Times: 1})
	if _, err := client.PutRecord(t.Context(), put("k")); err == nil {
		t.Error("a dropped call was answered")
	}
	patient := kinesis.NewFromConfig(srv.Config())
	srv.Fault(t, thalwegtest.Fault{Operation: "PutRecord", Effect: thalwegtest.Fail, Times: 1})
	if _, err := patient.PutRecord(t.Context(), put("k")); err != nil {
		t.Errorf("retried: %v", err)
	}
}

// A subscription is cut after its first event.
func TestCutSubscription(t *testing.T) {
	srv := thalwegtest.Start(t, thalwegtest.Streams(thalwegtest.Stream{Name: "orders", Shards: 1, Consumers: []string{"c"}}))
	client := kinesis.NewFromConfig(srv.Config())
	if _, err := client.PutRecord(t.Context(), put("k")); err != nil {
		t.Fatal(err)
	}
	list, err := client.ListStreamConsumers(t.Context(), &kinesis.ListStreamConsumersInput{StreamARN: aws.String("arn:aws:kinesis:us-east-1:000000000000:stream/orders")})
	if err != nil {
		t.Fatal(err)
	}
	srv.Fault(t, thalwegtest.Fault{Operation: "SubscribeToShard", Effect: thalwegtest.Drop})
	sub, err := client.SubscribeToShard(t.Context(), &kinesis.SubscribeToShardInput{ConsumerARN: list.Consumers[0].ConsumerARN,
		ShardId: aws.String("shardId-000000000000"), StartingPosition: &types.StartingPosition{Type: types.ShardIteratorTypeTrimHorizon}})
	if err != nil {
		t.Fatal(err)
	}
	defer sub.GetStream().Close()
	events := 0
	for range sub.GetStream().Events() {
		events++
	}
	if events != 1 { // that it broke, and did not end, the SDK does not tell between two events
		t.Errorf("%d events", events)
	}
}

// Servers share nothing, accounts and regions are those of the signature, and
// TLS is trusted through the server's own authority.
func TestServersAndAccounts(t *testing.T) {
	one, two := thalwegtest.Start(t), thalwegtest.Start(t)
	one.Declare(t, thalwegtest.Stream{Name: "orders", Shards: 1, Account: "123456789012", Region: "eu-central-1"})
	streams := func(srv *thalwegtest.Server, account, region, url string) string {
		t.Helper()
		cfg := srv.Config()
		cfg.Region, cfg.BaseEndpoint = region, aws.String(url)
		cfg.Credentials = aws.CredentialsProviderFunc(func(context.Context) (aws.Credentials, error) {
			return aws.Credentials{AccessKeyID: account, SecretAccessKey: "x"}, nil
		})
		out, err := kinesis.NewFromConfig(cfg).ListStreams(t.Context(), &kinesis.ListStreamsInput{})
		if err != nil {
			t.Fatal(err)
		}
		arns := ""
		for _, s := range out.StreamSummaries {
			arns += *s.StreamARN
		}
		return arns
	}
	const arn = "arn:aws:kinesis:eu-central-1:123456789012:stream/orders"
	for _, c := range []struct {
		srv                  *thalwegtest.Server
		account, region, url string
		want                 string
	}{
		{one, "123456789012", "eu-central-1", one.URL, arn},
		{one, "123456789012", "eu-central-1", one.TLSURL, arn},
		{one, "123456789012", "us-east-1", one.URL, ""},
		{one, "210987654321", "eu-central-1", one.URL, ""},
		{one, "test", "eu-central-1", one.URL, ""},
		{two, "123456789012", "eu-central-1", two.URL, ""},
	} {
		if got := streams(c.srv, c.account, c.region, c.url); got != c.want {
			t.Errorf("%s in %s on %s has %q, want %q", c.account, c.region, c.url, got, c.want)
		}
	}
	// Another account's stream is not to be had by its ARN.
	var denied *types.AccessDeniedException
	_, err := kinesis.NewFromConfig(one.Config(), func(o *kinesis.Options) { o.Region = "eu-central-1" }).DescribeStreamSummary(t.Context(),
		&kinesis.DescribeStreamSummaryInput{StreamARN: aws.String(arn)})
	if !errors.As(err, &denied) {
		t.Errorf("across accounts: %v", err)
	}
}

// With credentials, signatures are verified.
func TestCredentials(t *testing.T) {
	srv := thalwegtest.Start(t, thalwegtest.Credentials("me", "secret", "123456789012"), thalwegtest.Limits())
	if _, err := kinesis.NewFromConfig(srv.Config()).ListStreams(t.Context(), &kinesis.ListStreamsInput{}); err != nil {
		t.Error(err)
	}
	wrong := srv.Config()
	wrong.Credentials = aws.CredentialsProviderFunc(func(context.Context) (aws.Credentials, error) {
		return aws.Credentials{AccessKeyID: "me", SecretAccessKey: "guess"}, nil
	})
	if _, err := kinesis.NewFromConfig(wrong).ListStreams(t.Context(), &kinesis.ListStreamsInput{}); err == nil {
		t.Error("a wrong secret is taken")
	}
}

// BenchmarkStart is what a server of its own costs a test.
func BenchmarkStart(b *testing.B) {
	b.ReportAllocs()
	for b.Loop() {
		srv, err := thalwegtest.New()
		if err != nil {
			b.Fatal(err)
		}
		if err := srv.Close(); err != nil {
			b.Fatal(err)
		}
	}
}
