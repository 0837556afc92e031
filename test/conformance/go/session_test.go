// Package conformance runs the conformance session (see ../README.md) with
// the AWS SDK for Go v2, configured by nothing but the endpoint, and over
// every combination of encoding and transport with bare requests.
package conformance

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"maps"
	"math/big"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/config"
	"github.com/aws/aws-sdk-go-v2/service/kinesis"
	"github.com/aws/aws-sdk-go-v2/service/kinesis/types"
)

// endpoint returns one of the server's addresses, which run.sh names.
func endpoint(t *testing.T, variable string) string {
	t.Helper()
	e := os.Getenv(variable)
	if e == "" {
		t.Fatalf("%s is not set: run these tests through `make conformance`", variable)
	}
	return e
}

// api is the part of Kinesis that the session calls, as the SDK spells it.
type api interface {
	CreateStream(context.Context, *kinesis.CreateStreamInput, ...func(*kinesis.Options)) (*kinesis.CreateStreamOutput, error)
	DeleteStream(context.Context, *kinesis.DeleteStreamInput, ...func(*kinesis.Options)) (*kinesis.DeleteStreamOutput, error)
	DescribeStreamSummary(context.Context, *kinesis.DescribeStreamSummaryInput, ...func(*kinesis.Options)) (*kinesis.DescribeStreamSummaryOutput, error)
	ListShards(context.Context, *kinesis.ListShardsInput, ...func(*kinesis.Options)) (*kinesis.ListShardsOutput, error)
	PutRecord(context.Context, *kinesis.PutRecordInput, ...func(*kinesis.Options)) (*kinesis.PutRecordOutput, error)
	PutRecords(context.Context, *kinesis.PutRecordsInput, ...func(*kinesis.Options)) (*kinesis.PutRecordsOutput, error)
	GetShardIterator(context.Context, *kinesis.GetShardIteratorInput, ...func(*kinesis.Options)) (*kinesis.GetShardIteratorOutput, error)
	GetRecords(context.Context, *kinesis.GetRecordsInput, ...func(*kinesis.Options)) (*kinesis.GetRecordsOutput, error)
	SplitShard(context.Context, *kinesis.SplitShardInput, ...func(*kinesis.Options)) (*kinesis.SplitShardOutput, error)
	MergeShards(context.Context, *kinesis.MergeShardsInput, ...func(*kinesis.Options)) (*kinesis.MergeShardsOutput, error)
}

func TestGoSDK(t *testing.T) {
	for _, variable := range []string{"THALWEG_HTTP", "THALWEG_HTTPS"} {
		t.Run(variable, func(t *testing.T) {
			cfg, err := config.LoadDefaultConfig(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			url := endpoint(t, variable)
			session{t, kinesis.NewFromConfig(cfg, func(o *kinesis.Options) { o.BaseEndpoint = &url }), "go-" + strings.ToLower(variable[8:])}.run()
		})
	}
}

// session is one run of the scripted session against one client.
type session struct {
	t      *testing.T
	k      api
	stream string
}

func must[T any](t *testing.T) func(T, error) T {
	return func(v T, err error) T {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
}

func (s session) run() {
	t, ctx, k, stream := s.t, s.t.Context(), s.k, aws.String(fmt.Sprintf("%s-%d", s.stream, time.Now().UnixNano()))
	s.stream = *stream
	must[*kinesis.CreateStreamOutput](t)(k.CreateStream(ctx, &kinesis.CreateStreamInput{StreamName: stream, ShardCount: aws.Int32(2)}))
	summary := s.active()
	if *summary.OpenShardCount != 2 {
		t.Fatalf("OpenShardCount = %d, want 2", *summary.OpenShardCount)
	}
	if age := time.Since(*summary.StreamCreationTimestamp).Abs(); age > time.Minute {
		t.Fatalf("StreamCreationTimestamp is %v away from now", age)
	}
	shards := must[*kinesis.ListShardsOutput](t)(k.ListShards(ctx, &kinesis.ListShardsInput{StreamARN: summary.StreamARN})).Shards
	top := new(big.Int).Sub(new(big.Int).Lsh(big.NewInt(1), 128), big.NewInt(1)).String()
	if len(shards) != 2 || *shards[0].ShardId != "shardId-000000000000" || *shards[0].HashKeyRange.StartingHashKey != "0" || *shards[1].HashKeyRange.EndingHashKey != top {
		t.Fatalf("shards = %+v", shards)
	}

	all := make([]byte, 256)
	for i := range all {
		all[i] = byte(i)
	}
	first := must[*kinesis.PutRecordOutput](t)(k.PutRecord(ctx, &kinesis.PutRecordInput{StreamName: stream, PartitionKey: aws.String("schlüssel-ключ-鍵"), Data: all}))
	var puts []types.PutRecordsRequestEntry
	want := map[string][]string{"schlüssel-ключ-鍵": {string(all)}}
	for i := range 25 {
		puts = append(puts, types.PutRecordsRequestEntry{PartitionKey: aws.String(fmt.Sprint("k", i%5)), Data: bytes.Repeat(fmt.Appendf(nil, "record %d ", i), i+1)})
	}
	puts = append(puts, types.PutRecordsRequestEntry{PartitionKey: aws.String("explicit"), ExplicitHashKey: &top, Data: []byte{}})
	for _, p := range puts {
		want[*p.PartitionKey] = append(want[*p.PartitionKey], string(p.Data))
	}
	put := must[*kinesis.PutRecordsOutput](t)(k.PutRecords(ctx, &kinesis.PutRecordsInput{StreamARN: summary.StreamARN, Records: puts}))
	if *put.FailedRecordCount != 0 || len(put.Records) != 26 || *put.Records[25].ShardId != "shardId-000000000001" {
		t.Fatalf("PutRecords = %+v", put)
	}
	seen := map[string][]string{}
	for _, sh := range shards {
		records, _ := s.read(*sh.ShardId, kinesis.GetShardIteratorInput{ShardIteratorType: types.ShardIteratorTypeTrimHorizon})
		last := new(big.Int)
		for _, r := range records {
			n, ok := new(big.Int).SetString(*r.SequenceNumber, 10)
			if !ok || n.Cmp(last) <= 0 {
				t.Fatalf("sequence number %s after %s", *r.SequenceNumber, last)
			}
			last = n
			if age := time.Since(*r.ApproximateArrivalTimestamp).Abs(); age > time.Minute {
				t.Fatalf("arrival %v away from now", age)
			}
			seen[*r.PartitionKey] = append(seen[*r.PartitionKey], string(r.Data))
		}
	}
	if !maps.EqualFunc(seen, want, slices.Equal) {
		t.Fatalf("read %q, want %q", seen, want)
	}

	at, _ := s.read(*first.ShardId, kinesis.GetShardIteratorInput{ShardIteratorType: types.ShardIteratorTypeAtSequenceNumber, StartingSequenceNumber: first.SequenceNumber})
	after, _ := s.read(*first.ShardId, kinesis.GetShardIteratorInput{ShardIteratorType: types.ShardIteratorTypeAfterSequenceNumber, StartingSequenceNumber: first.SequenceNumber})
	timed, _ := s.read(*first.ShardId, kinesis.GetShardIteratorInput{ShardIteratorType: types.ShardIteratorTypeAtTimestamp, Timestamp: at[0].ApproximateArrivalTimestamp})
	if *at[0].SequenceNumber != *first.SequenceNumber || len(after) != len(at)-1 || len(timed) != len(at) {
		t.Fatalf("AT_SEQUENCE_NUMBER gave %d records, AFTER %d, AT_TIMESTAMP %d", len(at), len(after), len(timed))
	}

	quarter := new(big.Int).Lsh(big.NewInt(1), 126).String()
	must[*kinesis.SplitShardOutput](t)(k.SplitShard(ctx, &kinesis.SplitShardInput{StreamName: stream, ShardToSplit: aws.String("shardId-000000000000"), NewStartingHashKey: &quarter}))
	s.active()
	child := must[*kinesis.PutRecordOutput](t)(k.PutRecord(ctx, &kinesis.PutRecordInput{StreamName: stream, PartitionKey: aws.String("x"), ExplicitHashKey: aws.String("0"), Data: []byte("to the first child")}))
	_, children := s.read("shardId-000000000000", kinesis.GetShardIteratorInput{ShardIteratorType: types.ShardIteratorTypeTrimHorizon})
	if *child.ShardId != "shardId-000000000002" || len(children) != 2 || !slices.Equal(children[0].ParentShards, []string{"shardId-000000000000"}) {
		t.Fatalf("child %s, children %+v", *child.ShardId, children)
	}
	must[*kinesis.MergeShardsOutput](t)(k.MergeShards(ctx, &kinesis.MergeShardsInput{StreamName: stream, ShardToMerge: aws.String("shardId-000000000002"), AdjacentShardToMerge: aws.String("shardId-000000000003")}))
	s.active()
	if _, children = s.read("shardId-000000000003", kinesis.GetShardIteratorInput{ShardIteratorType: types.ShardIteratorTypeTrimHorizon}); len(children) != 1 || len(children[0].ParentShards) != 2 {
		t.Fatalf("children of the merged shard = %+v", children)
	}

	_, err := k.CreateStream(ctx, &kinesis.CreateStreamInput{StreamName: stream, ShardCount: aws.Int32(1)})
	if _, ok := errors.AsType[*types.ResourceInUseException](err); !ok {
		t.Fatalf("CreateStream again: %v", err)
	}
	_, err = k.PutRecord(ctx, &kinesis.PutRecordInput{StreamName: aws.String("no-such"), PartitionKey: aws.String("a"), Data: all})
	if _, ok := errors.AsType[*types.ResourceNotFoundException](err); !ok {
		t.Fatalf("PutRecord to no stream: %v", err)
	}
	_, err = k.GetRecords(ctx, &kinesis.GetRecordsInput{ShardIterator: aws.String("AAAA")})
	if _, ok := errors.AsType[*types.InvalidArgumentException](err); !ok {
		t.Fatalf("GetRecords of a foreign iterator: %v", err)
	}
	must[*kinesis.DeleteStreamOutput](t)(k.DeleteStream(ctx, &kinesis.DeleteStreamInput{StreamName: stream}))
	for i := 0; ; i++ {
		_, err := k.DescribeStreamSummary(ctx, &kinesis.DescribeStreamSummaryInput{StreamName: stream})
		if _, ok := errors.AsType[*types.ResourceNotFoundException](err); ok {
			break
		}
		if err != nil || i == 200 {
			t.Fatalf("after DeleteStream: %v", err)
		}
		pause()
	}
}

// pause is how long a client waits before it asks for a status again.
func pause() { <-time.After(50 * time.Millisecond) }

func (s session) active() *types.StreamDescriptionSummary {
	s.t.Helper()
	for range 200 {
		d := must[*kinesis.DescribeStreamSummaryOutput](s.t)(s.k.DescribeStreamSummary(s.t.Context(), &kinesis.DescribeStreamSummaryInput{StreamName: &s.stream})).StreamDescriptionSummary
		if d.StreamStatus == types.StreamStatusActive {
			return d
		}
		pause()
	}
	s.t.Fatal("stream did not become ACTIVE")
	return nil
}

// read returns the records of a shard up to its tip or end, and the children
// when it has ended.
func (s session) read(shard string, start kinesis.GetShardIteratorInput) (records []types.Record, children []types.ChildShard) {
	s.t.Helper()
	start.StreamName, start.ShardId = &s.stream, &shard
	it := must[*kinesis.GetShardIteratorOutput](s.t)(s.k.GetShardIterator(s.t.Context(), &start)).ShardIterator
	for {
		out := must[*kinesis.GetRecordsOutput](s.t)(s.k.GetRecords(s.t.Context(), &kinesis.GetRecordsInput{ShardIterator: it, Limit: aws.Int32(7)}))
		records = append(records, out.Records...)
		if (out.NextShardIterator == nil) != (len(out.ChildShards) > 0) {
			s.t.Fatalf("next iterator %v with %d children", out.NextShardIterator, len(out.ChildShards))
		}
		if out.NextShardIterator == nil {
			return records, out.ChildShards
		}
		if *out.NextShardIterator == *it {
			s.t.Fatal("the next iterator is the same")
		}
		if it = out.NextShardIterator; len(out.Records) == 0 && *out.MillisBehindLatest == 0 {
			return records, nil
		}
	}
}
