// Package terraform plays what Terraform's AWS provider calls, in its order, as
// its source has it (internal/service/kinesis/stream.go, stream_consumer.go,
// internal/service/dynamodb/table.go), through the SDK that it uses. After each
// step it reads as the provider does and compares with what was asked for: what
// differed would be drift in a plan.
package terraform

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/config"
	"github.com/aws/aws-sdk-go-v2/service/kinesis"
	"github.com/aws/aws-sdk-go-v2/service/kinesis/types"
	"github.com/aws/aws-sdk-go-v2/service/sts"
	"github.com/aws/smithy-go"

	"github.com/thalweg/thalweg/test/conformance/go/ledger"
)

func must[T any](t *testing.T) func(T, error) T {
	return func(v T, err error) T {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
}

func provider(t *testing.T) aws.Config {
	t.Helper()
	endpoint := ledger.Endpoint(t, "THALWEG_HTTP")
	cfg, err := config.LoadDefaultConfig(t.Context(), config.WithBaseEndpoint(endpoint))
	if err != nil {
		t.Fatal(err)
	}
	return cfg
}

// until polls a status as the provider does: whatever is neither pending nor
// the target is an error. gone stands for what is not found.
func until(t *testing.T, target string, pending []string, status func() (string, error)) {
	t.Helper()
	for deadline := time.Now().Add(time.Minute); ; {
		s, err := status()
		if api, ok := errors.AsType[smithy.APIError](err); ok && api.ErrorCode() == "ResourceNotFoundException" {
			s, err = gone, nil
		}
		switch {
		case err != nil:
			t.Fatal(err)
		case s == target:
			return
		case !slices.Contains(pending, s):
			t.Fatalf("unexpected state %q, wanted target %q", s, target)
		case time.Now().After(deadline):
			t.Fatalf("still %s", s)
		}
		<-time.After(50 * time.Millisecond)
	}
}

const gone = "gone"

// stream is what a configuration of aws_kinesis_stream says.
type stream struct {
	mode      types.StreamMode
	shards    int32 // 0: not read
	retention int32
	record    int32 // KiB
	metrics   string
	tags      map[string]string
}

// state is an aws_kinesis_stream in Terraform's state.
type state struct {
	t    *testing.T
	k    *kinesis.Client
	name string
	arn  string
}

func (s *state) describe() (*types.StreamDescriptionSummary, error) {
	out, err := s.k.DescribeStreamSummary(s.t.Context(), &kinesis.DescribeStreamSummaryInput{StreamName: &s.name})
	if err != nil {
		return nil, err
	}
	return out.StreamDescriptionSummary, nil
}

func (s *state) wait(target string, pending ...string) {
	s.t.Helper()
	until(s.t, target, pending, func() (string, error) {
		d, err := s.describe()
		if err != nil {
			return "", err
		}
		return string(d.StreamStatus), nil
	})
}

// read refreshes, and compares with the configuration.
func (s *state) read(want stream) {
	s.t.Helper()
	d := must[*types.StreamDescriptionSummary](s.t)(s.describe())
	s.arn = *d.StreamARN
	got := stream{mode: d.StreamModeDetails.StreamMode, retention: *d.RetentionPeriodHours, record: *d.MaxRecordSizeInKiB, tags: map[string]string{}}
	if got.mode == types.StreamModeProvisioned {
		got.shards = *d.OpenShardCount
	}
	var metrics []string
	for _, m := range d.EnhancedMonitoring {
		for _, name := range m.ShardLevelMetrics {
			metrics = append(metrics, string(name))
		}
	}
	slices.Sort(metrics)
	got.metrics = strings.Join(metrics, ",")
	for _, tag := range must[*kinesis.ListTagsForStreamOutput](s.t)(s.k.ListTagsForStream(s.t.Context(), &kinesis.ListTagsForStreamInput{StreamName: &s.name})).Tags {
		got.tags[*tag.Key] = *tag.Value
	}
	if got.mode != want.mode || got.shards != want.shards || got.retention != want.retention || got.record != want.record || got.metrics != want.metrics || !maps.Equal(got.tags, want.tags) {
		s.t.Errorf("a plan would change %+v to %+v", got, want)
	}
	if d.EncryptionType != "" && d.EncryptionType != types.EncryptionTypeNone || d.KeyId != nil || *d.StreamName != s.name || !strings.HasSuffix(s.arn, ":stream/"+s.name) {
		s.t.Errorf("%+v", d)
	}
}

// updated waits after a change, as the provider does after each.
func (s *state) updated(_ any, err error) {
	s.t.Helper()
	if err != nil {
		s.t.Fatal(err)
	}
	s.wait("ACTIVE", "UPDATING")
}

// TestStream creates, changes and destroys an aws_kinesis_stream and its
// consumer.
func TestStream(t *testing.T) {
	cfg, ctx := provider(t), t.Context()
	if id := must[*sts.GetCallerIdentityOutput](t)(sts.NewFromConfig(cfg).GetCallerIdentity(ctx, &sts.GetCallerIdentityInput{})); *id.Account == "" {
		t.Error("the provider wants an account")
	}
	k := kinesis.NewFromConfig(cfg)
	s := &state{t: t, k: k, name: fmt.Sprint("terraform-", time.Now().UnixNano())}

	// Plan.
	limits := must[*kinesis.DescribeLimitsOutput](t)(k.DescribeLimits(ctx, &kinesis.DescribeLimitsInput{}))
	if *limits.OpenShardCount+2 > *limits.ShardLimit || *limits.OnDemandStreamCount+1 > *limits.OnDemandStreamCountLimit {
		t.Fatalf("%+v", limits)
	}
	if _, err := s.describe(); !notFound(err) {
		t.Fatal(err)
	}

	// Create. The retention of 24 hours is there already, and is set again.
	want := stream{mode: types.StreamModeProvisioned, shards: 2, retention: 24, record: 1024, metrics: "IncomingBytes,OutgoingBytes", tags: map[string]string{"team": "a", "env": "test"}}
	must[*kinesis.CreateStreamOutput](t)(k.CreateStream(ctx, &kinesis.CreateStreamInput{
		StreamName: &s.name, ShardCount: &want.shards, StreamModeDetails: &types.StreamModeDetails{StreamMode: want.mode}, Tags: want.tags}))
	s.wait("ACTIVE", "CREATING")
	s.updated(k.IncreaseStreamRetentionPeriod(ctx, &kinesis.IncreaseStreamRetentionPeriodInput{StreamName: &s.name, RetentionPeriodHours: &want.retention}))
	s.updated(k.EnableEnhancedMonitoring(ctx, &kinesis.EnableEnhancedMonitoringInput{StreamName: &s.name,
		ShardLevelMetrics: []types.MetricsName{types.MetricsNameIncomingBytes, types.MetricsNameOutgoingBytes}}))
	s.read(want)
	if shards := must[*kinesis.ListShardsOutput](t)(k.ListShards(ctx, &kinesis.ListShardsInput{StreamName: &s.name})).Shards; len(shards) != 2 {
		t.Errorf("the data source finds %d shards", len(shards))
	}

	// Change one thing after the other, as the provider's update has them.
	for _, mode := range []types.StreamMode{types.StreamModeOnDemand, types.StreamModeProvisioned} {
		s.updated(k.UpdateStreamMode(ctx, &kinesis.UpdateStreamModeInput{StreamARN: &s.arn, StreamModeDetails: &types.StreamModeDetails{StreamMode: mode}}))
		want.mode, want.shards = mode, 0
		if mode == types.StreamModeProvisioned {
			want.shards = 4 // what it has from then on
			s.updated(k.UpdateShardCount(ctx, &kinesis.UpdateShardCountInput{StreamName: &s.name, TargetShardCount: &want.shards, ScalingType: types.ScalingTypeUniformScaling}))
		}
		s.read(want)
	}
	want.retention = 48
	s.updated(k.IncreaseStreamRetentionPeriod(ctx, &kinesis.IncreaseStreamRetentionPeriodInput{StreamName: &s.name, RetentionPeriodHours: &want.retention}))
	s.read(want)
	want.retention = 36
	s.updated(k.DecreaseStreamRetentionPeriod(ctx, &kinesis.DecreaseStreamRetentionPeriodInput{StreamName: &s.name, RetentionPeriodHours: &want.retention}))
	s.updated(k.DisableEnhancedMonitoring(ctx, &kinesis.DisableEnhancedMonitoringInput{StreamName: &s.name, ShardLevelMetrics: []types.MetricsName{types.MetricsNameIncomingBytes}}))
	s.updated(k.EnableEnhancedMonitoring(ctx, &kinesis.EnableEnhancedMonitoringInput{StreamName: &s.name, ShardLevelMetrics: []types.MetricsName{types.MetricsNameIteratorAgeMilliseconds}}))
	want.metrics = "IteratorAgeMilliseconds,OutgoingBytes"
	want.record = 2048
	s.updated(k.UpdateMaxRecordSize(ctx, &kinesis.UpdateMaxRecordSizeInput{StreamARN: &s.arn, MaxRecordSizeInKiB: &want.record}))
	must[*kinesis.RemoveTagsFromStreamOutput](t)(k.RemoveTagsFromStream(ctx, &kinesis.RemoveTagsFromStreamInput{StreamName: &s.name, TagKeys: []string{"env"}}))
	must[*kinesis.AddTagsToStreamOutput](t)(k.AddTagsToStream(ctx, &kinesis.AddTagsToStreamInput{StreamName: &s.name, Tags: map[string]string{"team": "b", "cost": "1"}}))
	want.tags = map[string]string{"team": "b", "cost": "1"}
	s.read(want)

	// encryption_type = "KMS" fails, and says why.
	_, err := k.StartStreamEncryption(ctx, &kinesis.StartStreamEncryptionInput{StreamName: &s.name, EncryptionType: types.EncryptionTypeKms, KeyId: aws.String("alias/aws/kinesis")})
	if api, ok := errors.AsType[smithy.APIError](err); !ok || api.ErrorCode() != "UnknownOperationException" || !strings.Contains(api.ErrorMessage(), "StartStreamEncryption") {
		t.Error(err)
	}
	s.read(want)

	s.consumer()

	// Destroy, with a consumer that Terraform does not know of.
	must[*kinesis.RegisterStreamConsumerOutput](t)(k.RegisterStreamConsumer(ctx, &kinesis.RegisterStreamConsumerInput{StreamARN: &s.arn, ConsumerName: aws.String("other")}))
	_, err = k.DeleteStream(ctx, &kinesis.DeleteStreamInput{StreamName: &s.name, EnforceConsumerDeletion: aws.Bool(false)})
	if _, ok := errors.AsType[*types.ResourceInUseException](err); !ok {
		t.Errorf("without enforce_consumer_deletion: %v", err)
	}
	must[*kinesis.DeleteStreamOutput](t)(k.DeleteStream(ctx, &kinesis.DeleteStreamInput{StreamName: &s.name, EnforceConsumerDeletion: aws.Bool(true)}))
	s.wait(gone, "DELETING")
	// A second destroy finds nothing to do.
	if _, err := k.DeleteStream(ctx, &kinesis.DeleteStreamInput{StreamName: &s.name, EnforceConsumerDeletion: aws.Bool(true)}); !notFound(err) {
		t.Error(err)
	}
}

func notFound(err error) bool {
	_, ok := errors.AsType[*types.ResourceNotFoundException](err)
	return ok
}

// consumer is the life of an aws_kinesis_stream_consumer.
func (s *state) consumer() {
	t, k, ctx := s.t, s.k, s.t.Context()
	before := time.Now().Add(-time.Second).Truncate(time.Second)
	c := must[*kinesis.RegisterStreamConsumerOutput](t)(k.RegisterStreamConsumer(ctx, &kinesis.RegisterStreamConsumerInput{
		StreamARN: &s.arn, ConsumerName: aws.String("reader"), Tags: map[string]string{"team": "c"}})).Consumer
	describe := func() (*types.ConsumerDescription, error) {
		out, err := k.DescribeStreamConsumer(ctx, &kinesis.DescribeStreamConsumerInput{ConsumerARN: c.ConsumerARN})
		if err != nil {
			return nil, err
		}
		return out.ConsumerDescription, nil
	}
	status := func() (string, error) {
		d, err := describe()
		if err != nil {
			return "", err
		}
		return string(d.ConsumerStatus), nil
	}
	until(t, "ACTIVE", []string{"CREATING"}, status)
	if d := must[*types.ConsumerDescription](t)(describe()); *d.ConsumerName != "reader" || *d.StreamARN != s.arn || *d.ConsumerARN != *c.ConsumerARN || d.ConsumerCreationTimestamp.Before(before) {
		t.Errorf("%+v", d)
	}
	tags := must[*kinesis.ListTagsForResourceOutput](t)(k.ListTagsForResource(ctx, &kinesis.ListTagsForResourceInput{ResourceARN: c.ConsumerARN})).Tags
	if len(tags) != 1 || *tags[0].Key != "team" || *tags[0].Value != "c" {
		t.Errorf("%v", tags)
	}
	must[*kinesis.TagResourceOutput](t)(k.TagResource(ctx, &kinesis.TagResourceInput{ResourceARN: c.ConsumerARN, Tags: map[string]string{"env": "test"}}))
	must[*kinesis.UntagResourceOutput](t)(k.UntagResource(ctx, &kinesis.UntagResourceInput{ResourceARN: c.ConsumerARN, TagKeys: []string{"team"}}))
	tags = must[*kinesis.ListTagsForResourceOutput](t)(k.ListTagsForResource(ctx, &kinesis.ListTagsForResourceInput{ResourceARN: c.ConsumerARN})).Tags
	if len(tags) != 1 || *tags[0].Key != "env" {
		t.Errorf("%v", tags)
	}
	must[*kinesis.DeregisterStreamConsumerOutput](t)(k.DeregisterStreamConsumer(ctx, &kinesis.DeregisterStreamConsumerInput{ConsumerARN: c.ConsumerARN}))
	until(t, gone, []string{"DELETING"}, status)
	if _, err := k.DeregisterStreamConsumer(ctx, &kinesis.DeregisterStreamConsumerInput{ConsumerARN: c.ConsumerARN}); !notFound(err) {
		t.Error(err)
	}
}
