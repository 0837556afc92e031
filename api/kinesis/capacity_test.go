package kinesis

import (
	"fmt"
	"maps"
	"strings"
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

func TestCapacityConstraints(t *testing.T) {
	f := newFixture(t)
	long := strings.Repeat("a", 129)
	v := func(shown, at, constraint string) string {
		return "Value " + shown + " at '" + at + "' failed to satisfy constraint: " + constraint
	}
	const (
		null    = "Member must not be null"
		name    = "Member must satisfy regular expression pattern: [a-zA-Z0-9_.-]+"
		length1 = "Member must have length greater than or equal to 1"
		most128 = "Member must have length less than or equal to 128"
		arn     = `Member must satisfy regular expression pattern: arn:aws.*:kinesis:.*:\d{12}:stream/\S+`
		modes   = "Member must satisfy enum value set: [PROVISIONED, ON_DEMAND]"
	)
	for _, c := range []struct {
		op   string
		in   m
		want []string
	}{
		// These of UpdateShardCount are from a contribution to kinesalite.
		{"UpdateShardCount", m{"StreamName": "", "ScalingType": "", "TargetShardCount": 0}, []string{
			v("''", "scalingType", "Member must satisfy enum value set: [UNIFORM_SCALING]"), v("''", "streamName", name), v("''", "streamName", length1),
			v("'0'", "targetShardCount", "Member must have value greater than or equal to 1")}},
		{"UpdateShardCount", m{"StreamName": long, "ScalingType": "UNIFORM_SCALING", "TargetShardCount": 1}, []string{v("'"+long+"'", "streamName", most128)}},
		{"UpdateShardCount", m{"StreamName": "a", "ScalingType": "UNIFORM_SCALING", "TargetShardCount": 100001},
			[]string{v("'100001'", "targetShardCount", "Member must have value less than or equal to 100000")}},
		{"UpdateShardCount", m{"StreamName": "a"}, []string{v("null", "scalingType", null), v("null", "targetShardCount", null)}},
		{"UpdateShardCount", m{"ScalingType": "UNIFORM_SCALING", "TargetShardCount": 1}, []string{v("null", "streamName", null)}},
		{"UpdateStreamMode", m{}, []string{v("null", "streamARN", null), v("null", "streamModeDetails", null)}},
		{"UpdateStreamMode", m{"StreamARN": "x", "StreamModeDetails": m{"StreamMode": "X"}, "WarmThroughputMiBps": -1}, []string{
			v("'x'", "streamARN", arn), v("'X'", "streamModeDetails.streamMode", modes),
			v("'-1'", "warmThroughputMiBps", "Member must have value greater than or equal to 0")}},
		{"UpdateStreamMode", m{"StreamARN": arnHead + "s", "StreamModeDetails": m{}}, []string{v("null", "streamModeDetails.streamMode", null)}},
		{"UpdateStreamWarmThroughput", m{"StreamName": "a"}, []string{v("null", "warmThroughputMiBps", null)}},
		{"UpdateStreamWarmThroughput", m{"StreamName": "a", "WarmThroughputMiBps": -1},
			[]string{v("'-1'", "warmThroughputMiBps", "Member must have value greater than or equal to 0")}},
		{"UpdateMaxRecordSize", m{}, []string{v("null", "streamARN", null), v("null", "maxRecordSizeInKiB", null)}},
		{"UpdateMaxRecordSize", m{"StreamARN": arnHead + "s", "MaxRecordSizeInKiB": 1023},
			[]string{v("'1023'", "maxRecordSizeInKiB", "Member must have value greater than or equal to 1024")}},
		{"UpdateMaxRecordSize", m{"StreamARN": arnHead + "s", "MaxRecordSizeInKiB": 10241},
			[]string{v("'10241'", "maxRecordSizeInKiB", "Member must have value less than or equal to 10240")}},
		{"UpdateStreamRecordDistributionStrategy", m{}, []string{v("null", "streamARN", null), v("null", "recordDistributionStrategy", null)}},
		{"UpdateStreamRecordDistributionStrategy", m{"StreamARN": arnHead + "s", "RecordDistributionStrategy": "X"},
			[]string{v("'X'", "recordDistributionStrategy", "Member must satisfy enum value set: [AUTO, USER_PARTITION_KEY]")}},
		{"IncreaseStreamRetentionPeriod", m{}, []string{v("null", "retentionPeriodHours", null)}},
		{"IncreaseStreamRetentionPeriod", m{"StreamName": "", "RetentionPeriodHours": 30}, []string{v("''", "streamName", name), v("''", "streamName", length1)}},
		{"DecreaseStreamRetentionPeriod", m{}, []string{v("null", "retentionPeriodHours", null)}},
		{"DecreaseStreamRetentionPeriod", m{"StreamName": long, "RetentionPeriodHours": 30}, []string{v("'"+long+"'", "streamName", most128)}},
		{"UpdateAccountSettings", m{}, []string{v("null", "minimumThroughputBillingCommitment", null)}},
		{"UpdateAccountSettings", m{"MinimumThroughputBillingCommitment": m{}}, []string{v("null", "minimumThroughputBillingCommitment.status", null)}},
		{"UpdateAccountSettings", m{"MinimumThroughputBillingCommitment": m{"Status": "X"}},
			[]string{v("'X'", "minimumThroughputBillingCommitment.status", "Member must satisfy enum value set: [ENABLED, DISABLED]")}},
	} {
		message := "1 validation error detected: " + c.want[0]
		if n := len(c.want); n > 1 {
			message = fmt.Sprintf("%d validation errors detected: %s", n, strings.Join(c.want, "; "))
		}
		f.fails(c.op, c.in, "ValidationException", message)
	}
}

// What is within the constraints and yet wrong: no such stream, another's
// stream, the wrong mode, a bound or a quota exceeded.
func TestCapacityRefusals(t *testing.T) {
	f := newFixture(t)
	f.create("p", 6)
	f.ok("CreateStream", m{"StreamName": "od", "StreamModeDetails": m{"StreamMode": "ON_DEMAND"}})
	const (
		validation, invalid, limit = "ValidationException", "InvalidArgumentException", "LimitExceededException"
		provisioned                = "Request is invalid. Stream p under account 000000000000 is in Provisioned mode."
	)
	for op, in := range map[string]m{
		"UpdateShardCount":                       {"ScalingType": "UNIFORM_SCALING", "TargetShardCount": 2},
		"UpdateStreamMode":                       {"StreamModeDetails": m{"StreamMode": "ON_DEMAND"}},
		"UpdateStreamWarmThroughput":             {"WarmThroughputMiBps": 8},
		"UpdateMaxRecordSize":                    {"MaxRecordSizeInKiB": 1024},
		"UpdateStreamRecordDistributionStrategy": {"RecordDistributionStrategy": "AUTO"},
		"IncreaseStreamRetentionPeriod":          {"RetentionPeriodHours": 30},
		"DecreaseStreamRetentionPeriod":          {"RetentionPeriodHours": 24},
	} {
		with := func(more m) m { out := maps.Clone(in); maps.Copy(out, more); return out }
		f.fails(op, with(m{"StreamARN": arnHead + "nobody"}), "ResourceNotFoundException", "Stream nobody under account 000000000000 not found.")
		f.fails(op, with(m{"StreamARN": "arn:aws:kinesis:eu-west-1:000000000000:stream/p"}), invalid,
			"StreamARN arn:aws:kinesis:eu-west-1:000000000000:stream/p is of another region than us-east-1, to which the request was sent.")
		f.fails(op, with(m{"StreamARN": "arn:aws:kinesis:us-east-1:111111111111:stream/p"}), "AccessDeniedException",
			"User: arn:aws:iam::000000000000:root is not authorized to perform: kinesis:"+op+" on resource: arn:aws:kinesis:us-east-1:111111111111:stream/p "+
				"because no resource-based policy allows the kinesis:"+op+" action")
	}
	scale := func(name string, n int) m {
		return m{"StreamName": name, "ScalingType": "UNIFORM_SCALING", "TargetShardCount": n}
	}
	f.fails("UpdateShardCount", scale("od", 8), validation, "Request is invalid. Stream od under account 000000000000 is in On-Demand mode.")
	f.fails("UpdateShardCount", scale("p", 13), limit,
		"UpdateShardCount cannot scale up over double your current open shard count. Current open shard count: 6, Target shard count: 13")
	f.fails("UpdateShardCount", scale("p", 2), limit,
		"UpdateShardCount cannot scale down below half your current open shard count. Current open shard count: 6, Target shard count: 2")
	f.fails("UpdateShardCount", scale("p", 10001), limit,
		"Target shard count or number of open shards cannot be greater than 10000. Current open shard count: 6, Target shard count: 10001")
	f.fails("UpdateStreamWarmThroughput", m{"StreamName": "p", "WarmThroughputMiBps": 8}, validation, provisioned)
	f.fails("UpdateStreamWarmThroughput", m{"StreamName": "od", "WarmThroughputMiBps": 8}, validation,
		"Request is invalid. Warm throughput requires that MinimumThroughputBillingCommitment is enabled for account 000000000000.")
	f.fails("UpdateStreamRecordDistributionStrategy", m{"StreamARN": arnHead + "p", "RecordDistributionStrategy": "AUTO"}, invalid, provisioned)
	f.fails("UpdateStreamMode", m{"StreamARN": arnHead + "p", "StreamModeDetails": m{"StreamMode": "PROVISIONED"}, "WarmThroughputMiBps": 1}, validation,
		"WarmThroughputMiBps is only supported when the stream mode is updated to ON_DEMAND.")
	// moto's texts of retention.
	f.fails("IncreaseStreamRetentionPeriod", m{"StreamName": "p", "RetentionPeriodHours": 23}, invalid,
		"Minimum allowed retention period is 24 hours. Requested retention period (23 hours) is too short.")
	f.fails("IncreaseStreamRetentionPeriod", m{"StreamName": "p", "RetentionPeriodHours": 8761}, invalid,
		"Maximum allowed retention period is 8760 hours. Requested retention period (8761 hours) is too long.")
	f.ok("IncreaseStreamRetentionPeriod", m{"StreamName": "p", "RetentionPeriodHours": 48})
	f.fails("IncreaseStreamRetentionPeriod", m{"StreamName": "p", "RetentionPeriodHours": 47}, invalid,
		"Requested retention period (47 hours) for stream p can not be shorter than existing retention period (48 hours). Use DecreaseRetentionPeriod API.")
	f.fails("DecreaseStreamRetentionPeriod", m{"StreamName": "p", "RetentionPeriodHours": 49}, invalid,
		"Requested retention period (49 hours) for stream p can not be longer than existing retention period (48 hours). Use IncreaseRetentionPeriod API.")
	for _, mode := range []string{"ON_DEMAND", "PROVISIONED"} {
		f.ok("UpdateStreamMode", m{"StreamARN": arnHead + "p", "StreamModeDetails": m{"StreamMode": mode}})
	}
	f.fails("UpdateStreamMode", m{"StreamARN": arnHead + "p", "StreamModeDetails": m{"StreamMode": "ON_DEMAND"}}, limit,
		"UpdateStreamMode has been called 2 times within 24 hours for stream p under account 000000000000, the most that is allowed.")
}
