package kinesis

import (
	"fmt"
	"maps"
	"strings"
	"testing"
)

// The constraints, in the words that kinesalite's tests recorded from AWS.
func TestConstraints(t *testing.T) {
	f := newFixture(t)
	long, longKey := strings.Repeat("a", 129), strings.Repeat("k", 257)
	v := func(shown, at, constraint string) string {
		return "Value " + shown + " at '" + at + "' failed to satisfy constraint: " + constraint
	}
	const (
		null    = "Member must not be null"
		name    = "Member must satisfy regular expression pattern: [a-zA-Z0-9_.-]+"
		hash    = `Member must satisfy regular expression pattern: 0|([1-9]\d{0,38})`
		number  = `Member must satisfy regular expression pattern: 0|([1-9]\d{0,128})`
		length1 = "Member must have length greater than or equal to 1"
		most128 = "Member must have length less than or equal to 128"
		value1  = "Member must have value greater than or equal to 1"
		most10k = "Member must have value less than or equal to 10000"
	)
	noStream := v("null", "streamName", null)
	var many l
	for range 501 {
		many = append(many, m{"PartitionKey": "a", "Data": []byte{}})
	}
	for _, c := range []struct {
		op   string
		in   m
		want []string
	}{
		{"CreateStream", m{}, []string{noStream}},
		{"CreateStream", m{"StreamName": "", "ShardCount": 0}, []string{v("'0'", "shardCount", value1), v("''", "streamName", name), v("''", "streamName", length1)}},
		{"CreateStream", m{"StreamName": long, "ShardCount": 100000000000},
			[]string{v("'2147483647'", "shardCount", "Member must have value less than or equal to 100000"), v("'"+long+"'", "streamName", most128)}},
		{"CreateStream", m{"StreamName": "a", "MaxRecordSizeInKiB": 1}, []string{v("'1'", "maxRecordSizeInKiB", "Member must have value greater than or equal to 1024")}},
		{"CreateStream", m{"StreamName": "a", "StreamModeDetails": m{"StreamMode": "X"}},
			[]string{v("'X'", "streamModeDetails.streamMode", "Member must satisfy enum value set: [PROVISIONED, ON_DEMAND]")}},
		{"DeleteStream", m{}, []string{noStream}},
		{"DeleteStream", m{"StreamName": ""}, []string{v("''", "streamName", name), v("''", "streamName", length1)}},
		{"DescribeStream", m{}, []string{noStream}},
		{"DescribeStream", m{"StreamName": "", "Limit": 0, "ExclusiveStartShardId": ""}, []string{v("'0'", "limit", value1),
			v("''", "exclusiveStartShardId", name), v("''", "exclusiveStartShardId", length1), v("''", "streamName", name), v("''", "streamName", length1)}},
		{"DescribeStream", m{"StreamName": long, "Limit": 100000, "ExclusiveStartShardId": long},
			[]string{v("'100000'", "limit", most10k), v("'"+long+"'", "exclusiveStartShardId", most128), v("'"+long+"'", "streamName", most128)}},
		{"DescribeStreamSummary", m{}, []string{noStream}},
		{"DescribeStreamSummary", m{"StreamName": long}, []string{v("'"+long+"'", "streamName", most128)}},
		{"ListStreams", m{"ExclusiveStartStreamName": "", "Limit": 0},
			[]string{v("'0'", "limit", value1), v("''", "exclusiveStartStreamName", name), v("''", "exclusiveStartStreamName", length1)}},
		{"ListStreams", m{"ExclusiveStartStreamName": long, "Limit": 1000000}, []string{v("'1000000'", "limit", most10k), v("'"+long+"'", "exclusiveStartStreamName", most128)}},
		{"ListShards", m{"StreamName": "", "NextToken": "", "MaxResults": 0, "ExclusiveStartShardId": ""}, []string{v("'0'", "maxResults", value1),
			v("''", "exclusiveStartShardId", name), v("''", "exclusiveStartShardId", length1), v("''", "streamName", name), v("''", "streamName", length1), v("''", "nextToken", length1)}},
		{"PutRecord", m{}, []string{v("null", "data", null)}},
		{"PutRecord", m{"PartitionKey": "a", "Data": []byte{}}, []string{noStream}},
		{"PutRecord", m{"StreamName": "", "PartitionKey": "", "Data": []byte{}, "ExplicitHashKey": "", "SequenceNumberForOrdering": ""}, []string{
			v("''", "sequenceNumberForOrdering", number), v("''", "partitionKey", length1), v("''", "explicitHashKey", hash), v("''", "streamName", name), v("''", "streamName", length1)}},
		{"PutRecord", m{"StreamName": long, "PartitionKey": longKey, "Data": make([]byte, 10485761), "ExplicitHashKey": ""}, []string{
			v("'"+longKey+"'", "partitionKey", "Member must have length less than or equal to 256"), v("''", "explicitHashKey", hash),
			v("'java.nio.HeapByteBuffer[pos=0 lim=10485761 cap=10485761]'", "data", "Member must have length less than or equal to 10485760"), v("'"+long+"'", "streamName", most128)}},
		{"PutRecords", m{}, []string{v("null", "records", null)}},
		{"PutRecords", m{"StreamName": "", "Records": l{}}, []string{v("'[]'", "records", length1), v("''", "streamName", name), v("''", "streamName", length1)}},
		{"PutRecords", m{"StreamName": "", "Records": l{m{"PartitionKey": "", "Data": []byte{}, "ExplicitHashKey": ""}}}, []string{
			v("''", "records.1.member.partitionKey", length1), v("''", "records.1.member.explicitHashKey", hash), v("''", "streamName", name), v("''", "streamName", length1)}},
		{"PutRecords", m{"StreamName": "a", "Records": many}, []string{
			v("'["+strings.TrimSuffix(strings.Repeat("com.amazonaws.kinesis.v20131202.PutRecordsRequestEntry@c965e310, ", 501), ", ")+"]'", "records",
				"Member must have length less than or equal to 500")}},
		{"GetShardIterator", m{}, []string{v("null", "shardId", null), v("null", "shardIteratorType", null)}},
		{"GetShardIterator", m{"StreamName": "", "ShardIteratorType": "", "ShardId": "", "StartingSequenceNumber": ""}, []string{
			v("''", "shardId", name), v("''", "shardId", length1),
			v("''", "shardIteratorType", "Member must satisfy enum value set: [AFTER_SEQUENCE_NUMBER, LATEST, AT_TIMESTAMP, AT_SEQUENCE_NUMBER, TRIM_HORIZON]"),
			v("''", "startingSequenceNumber", number), v("''", "streamName", name), v("''", "streamName", length1)}},
		{"GetRecords", m{}, []string{v("null", "shardIterator", null)}},
		{"GetRecords", m{"ShardIterator": "", "Limit": 0}, []string{v("'0'", "limit", value1), v("''", "shardIterator", length1)}},
		{"GetRecords", m{"ShardIterator": strings.Repeat("a", 513), "Limit": 100000},
			[]string{v("'100000'", "limit", most10k), v("'"+strings.Repeat("a", 513)+"'", "shardIterator", "Member must have length less than or equal to 512")}},
		{"SplitShard", m{"StreamName": "", "ShardToSplit": "", "NewStartingHashKey": ""}, []string{v("''", "newStartingHashKey", hash),
			v("''", "streamName", name), v("''", "streamName", length1), v("''", "shardToSplit", name), v("''", "shardToSplit", length1)}},
		{"MergeShards", m{"StreamName": long, "ShardToMerge": long, "AdjacentShardToMerge": long},
			[]string{v("'"+long+"'", "shardToMerge", most128), v("'"+long+"'", "adjacentShardToMerge", most128), v("'"+long+"'", "streamName", most128)}},
	} {
		message := "1 validation error detected: " + c.want[0]
		if n := len(c.want); n > 1 {
			message = fmt.Sprintf("%d validation errors detected: %s", n, strings.Join(c.want, "; "))
		}
		f.fails(c.op, c.in, "ValidationException", message)
	}
}

// What is within the constraints and yet wrong, in words from kinesalite's tests
// but for those about ARNs, which are ours.
func TestRefusals(t *testing.T) {
	f := newFixture(t)
	f.create("orders", 3)
	const invalid = "InvalidArgumentException"
	f.fails("CreateStream", m{"StreamName": "orders", "ShardCount": 1}, "ResourceInUseException", "Stream orders under account 000000000000 already exists.")
	for op, in := range map[string]m{
		"DeleteStream": {}, "DescribeStream": {}, "DescribeStreamSummary": {}, "ListShards": {},
		"PutRecord":   {"PartitionKey": "a", "Data": []byte{}},
		"PutRecords":  {"Records": l{m{"PartitionKey": "a", "Data": []byte{}}}},
		"SplitShard":  {"ShardToSplit": "shardId-0", "NewStartingHashKey": "5"},
		"MergeShards": {"ShardToMerge": "shardId-0", "AdjacentShardToMerge": "shardId-1"},
	} {
		with := func(more m) m { out := maps.Clone(in); maps.Copy(out, more); return out }
		f.fails(op, with(m{"StreamName": "nobody"}), "ResourceNotFoundException", "Stream nobody under account 000000000000 not found.")
		f.fails(op, with(m{"StreamARN": arnHead + "nobody"}), "ResourceNotFoundException", "Stream nobody under account 000000000000 not found.")
		f.fails(op, with(m{"StreamARN": arnHead + "orders", "StreamName": "other"}), invalid, "StreamName other and StreamARN "+arnHead+"orders are of different streams.")
		f.fails(op, with(m{"StreamARN": "arn:aws:kinesis:eu-west-1:000000000000:stream/orders"}), invalid,
			"StreamARN arn:aws:kinesis:eu-west-1:000000000000:stream/orders is of another region than us-east-1, to which the request was sent.")
		f.fails(op, with(m{"StreamARN": "arn:aws:kinesis:us-east-1:111111111111:stream/orders"}), "AccessDeniedException",
			"User: arn:aws:iam::000000000000:root is not authorized to perform: kinesis:"+op+" on resource: arn:aws:kinesis:us-east-1:111111111111:stream/orders "+
				"because no resource-based policy allows the kinesis:"+op+" action")
	}
	f.fails("ListShards", m{}, invalid, "Either NextToken or StreamName should be provided.")
	f.fails("ListShards", m{"NextToken": "x", "StreamName": "orders"}, invalid, "NextToken and StreamName cannot be provided together.")
	f.fails("ListShards", m{"NextToken": "x", "StreamARN": arnHead + "orders"}, invalid, "NextToken and StreamARN cannot be provided together.")
	f.fails("ListShards", m{"NextToken": "x"}, invalid, "Invalid NextToken.")
	f.fails("ListShards", m{"StreamName": "orders", "ExclusiveStartShardId": "x"}, "ResourceNotFoundException", "Could not find shard x in stream orders under account 000000000000.")
	tooHigh := "340282366920938463463374607431768211456" // 2^128
	f.fails("PutRecord", m{"StreamName": "orders", "PartitionKey": "a", "Data": []byte{}, "ExplicitHashKey": tooHigh}, invalid,
		"Invalid ExplicitHashKey. ExplicitHashKey must be in the range: [0, 2^128-1]. Specified value was "+tooHigh)
	f.fails("PutRecord", m{"StreamName": "orders", "PartitionKey": "a", "Data": []byte{}, "DryRun": true}, "DryRunOperationException",
		"Request would have succeeded, but DryRun flag is set.")
	big := make([]byte, 1<<20-1)
	var eleven l
	for range 11 {
		eleven = append(eleven, m{"PartitionKey": "a", "Data": big})
	}
	f.fails("PutRecords", m{"StreamName": "orders", "Records": eleven}, invalid, "Records size exceeds 10 MB limit")
	f.fails("GetShardIterator", m{"StreamName": "orders", "ShardId": "shardId-0", "ShardIteratorType": "AT_TIMESTAMP"}, invalid,
		"Must specify timestampInMillis parameter for iterator of type AT_TIMESTAMP. Current request has no timestamp parameter.")
	f.fails("GetShardIterator", m{"StreamName": "orders", "ShardId": "shardId-0", "ShardIteratorType": "LATEST", "StartingSequenceNumber": "5"}, invalid,
		"Must either specify (1) AT_SEQUENCE_NUMBER or AFTER_SEQUENCE_NUMBER and StartingSequenceNumber or "+
			"(2) TRIM_HORIZON or LATEST and no StartingSequenceNumber. Request specified LATEST and also a StartingSequenceNumber.")
	f.fails("GetRecords", m{"ShardIterator": "nonsense"}, invalid, "Invalid ShardIterator.")
	f.fails("SplitShard", m{"StreamName": "orders", "NewStartingHashKey": "999999999999999999999999999999999999999", "ShardToSplit": "shard-2"}, invalid,
		"NewStartingHashKey 999999999999999999999999999999999999999 used in SplitShard() on shard shardId-000000000002 in stream orders under account 000000000000 "+
			"is not both greater than one plus the shard's StartingHashKey 226854911280625642308916404954512140970 and less than the shard's EndingHashKey 340282366920938463463374607431768211455.")
	f.fails("CreateStream", m{"StreamName": "auto", "ShardCount": 1, "RecordDistributionStrategy": "AUTO"}, invalid,
		"Request is invalid. Stream auto under account 000000000000 is in Provisioned mode.")
}
