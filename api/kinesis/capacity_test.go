package kinesis

import (
	"fmt"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/thalweg/thalweg/gate/wire"
)

// The operations about capacity and settings: a good call of each in both
// formats, with a StreamId, which is ignored, and by ARN alone.
func TestCapacity(t *testing.T) {
	for _, format := range []wire.Format{wire.JSON, wire.CBOR} {
		t.Run(format.String(), func(t *testing.T) {
			f := newFixture(t)
			f.create("s", 4)
			arn := arnHead + "s"
			call := func(op string, in m) m {
				t.Helper()
				in["StreamId"] = "abcdefghijabcdefghij-abc"
				return f.okIn(format, op, in)
			}
			summary := func() m {
				t.Helper()
				return f.ok("DescribeStreamSummary", m{"StreamARN": arn})["StreamDescriptionSummary"].(m)
			}
			same := func(what string, got, want m) {
				t.Helper()
				if warm, ok := got["WarmThroughput"]; ok {
					got["WarmThroughput"] = inner(warm)
				}
				if fmt.Sprint(got) != fmt.Sprint(want) { // numbers are of other types in CBOR
					t.Errorf("%s: %s", what, cmp.Diff(want, got))
				}
			}
			same("UpdateShardCount", call("UpdateShardCount", m{"StreamARN": arn, "TargetShardCount": 5, "ScalingType": "UNIFORM_SCALING"}),
				m{"StreamName": "s", "StreamARN": arn, "CurrentShardCount": 4, "TargetShardCount": 5})
			if n := len(f.ok("ListShards", m{"StreamName": "s"})["Shards"].([]any)); n != 15 {
				t.Errorf("%d shards; AWS has 15 after 4 to 5", n)
			}
			call("UpdateMaxRecordSize", m{"StreamARN": arn, "MaxRecordSizeInKiB": 10240})
			call("IncreaseStreamRetentionPeriod", m{"StreamARN": arn, "RetentionPeriodHours": 48})
			call("IncreaseStreamRetentionPeriod", m{"StreamName": "s", "RetentionPeriodHours": 48}) // Terraform does so
			call("DecreaseStreamRetentionPeriod", m{"StreamName": "s", "RetentionPeriodHours": 30})
			call("DecreaseStreamRetentionPeriod", m{"StreamARN": arn, "RetentionPeriodHours": 30})
			if s := summary(); s["MaxRecordSizeInKiB"] != 10240.0 || s["RetentionPeriodHours"] != 30.0 || s["OpenShardCount"] != 5.0 {
				t.Errorf("%v", s)
			}
			if _, there := summary()["RecordDistributionStrategy"]; there {
				t.Error("a PROVISIONED stream has a distribution strategy")
			}
			big := make([]byte, 10<<20-1)
			call("PutRecord", m{"StreamARN": arn, "PartitionKey": "k", "Data": big})

			call("UpdateStreamMode", m{"StreamARN": arn, "StreamModeDetails": m{"StreamMode": "ON_DEMAND"}})
			same("mode", summary()["StreamModeDetails"].(m), m{"StreamMode": "ON_DEMAND"})
			if got := summary()["RecordDistributionStrategy"]; got != "USER_PARTITION_KEY" {
				t.Errorf("strategy: %v", got)
			}
			call("UpdateStreamRecordDistributionStrategy", m{"StreamARN": arn, "RecordDistributionStrategy": "AUTO"})
			if got := summary()["RecordDistributionStrategy"]; got != "AUTO" {
				t.Errorf("strategy: %v", got)
			}
			shards := map[any]bool{}
			for range 5 {
				shards[call("PutRecord", m{"StreamARN": arn, "PartitionKey": "k", "Data": []byte("x")})["ShardId"]] = true
			}
			if len(shards) != 5 {
				t.Errorf("AUTO put five records of one key to %v", shards)
			}
			call("UpdateStreamRecordDistributionStrategy", m{"StreamARN": arn, "RecordDistributionStrategy": "USER_PARTITION_KEY"})
			same("DescribeLimits", call("DescribeLimits", m{}),
				m{"ShardLimit": 20000, "OpenShardCount": 5, "OnDemandStreamCount": 1, "OnDemandStreamCountLimit": 50, "ChannelCount": 0})

			commitment := func(out m) m { t.Helper(); return inner(out["MinimumThroughputBillingCommitment"]) }
			same("DescribeAccountSettings", commitment(call("DescribeAccountSettings", m{})), m{"Status": "DISABLED"})
			on := commitment(call("UpdateAccountSettings", m{"MinimumThroughputBillingCommitment": m{"Status": "ENABLED"}}))
			if on["Status"] != "ENABLED" || on["StartedAt"] == nil || on["EarliestAllowedEndAt"] == nil || on["EndedAt"] != nil {
				t.Errorf("%v", on)
			}
			same("UpdateStreamWarmThroughput", call("UpdateStreamWarmThroughput", m{"StreamARN": arn, "WarmThroughputMiBps": 8}),
				m{"StreamName": "s", "StreamARN": arn, "WarmThroughput": m{"TargetMiBps": 8, "CurrentMiBps": 8}})
			off := commitment(call("UpdateAccountSettings", m{"MinimumThroughputBillingCommitment": m{"Status": "DISABLED"}}))
			if off["Status"] != "ENABLED_UNTIL_EARLIEST_ALLOWED_END" {
				t.Errorf("%v", off)
			}
			same("DescribeAccountSettings", commitment(call("DescribeAccountSettings", m{})), off)
			call("UpdateStreamMode", m{"StreamARN": arn, "StreamModeDetails": m{"StreamMode": "PROVISIONED"}})
			if s := summary(); s["OpenShardCount"] != 8.0 || s["WarmThroughput"] != nil {
				t.Errorf("%v", s)
			}
			f.okIn(format, "CreateStream", m{"StreamName": "auto", "StreamModeDetails": m{"StreamMode": "ON_DEMAND"},
				"RecordDistributionStrategy": "AUTO", "WarmThroughputMiBps": 6})
			auto := f.ok("DescribeStreamSummary", m{"StreamName": "auto"})["StreamDescriptionSummary"].(m)
			if auto["RecordDistributionStrategy"] != "AUTO" || auto["OpenShardCount"] != 6.0 {
				t.Errorf("%v", auto)
			}
		})
	}
}

// inner is a map within an answer, with names for keys: CBOR's may be anything.
func inner(v any) m {
	if named, ok := v.(m); ok {
		return named
	}
	out := m{}
	for k, v := range v.(map[any]any) {
		out[k.(string)] = v
	}
	return out
}
