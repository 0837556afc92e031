"""The conformance session with boto3, configured by nothing but the endpoint.

See ../README.md for the steps, which every client runs alike.
"""

import os
import sys
import time
import uuid
from datetime import datetime, timedelta, timezone

import boto3

endpoint = sys.argv[1]
kinesis = boto3.client("kinesis", endpoint_url=endpoint, verify=os.environ.get("CA_FILE") if endpoint.startswith("https") else None)
errors = kinesis.exceptions
stream = "boto3-" + uuid.uuid4().hex[:8]


def check(ok, what):
    if not ok:
        raise SystemExit(f"boto3 {endpoint}: {what}")


def wait_active():
    for _ in range(200):
        d = kinesis.describe_stream_summary(StreamName=stream)["StreamDescriptionSummary"]
        if d["StreamStatus"] == "ACTIVE":
            return d
        time.sleep(0.05)
    check(False, "stream did not become ACTIVE")


def read(shard, **start):
    """All records of a shard, and its children when it has ended."""
    start = start or {"ShardIteratorType": "TRIM_HORIZON"}
    it = kinesis.get_shard_iterator(StreamName=stream, ShardId=shard, **start)["ShardIterator"]
    got = []
    while True:
        out = kinesis.get_records(ShardIterator=it, Limit=7)
        got += out["Records"]
        check(out.get("EncryptionType") in (None, "NONE"), "EncryptionType of a plain stream")
        if not out.get("NextShardIterator"):
            check(len(out["ChildShards"]) > 0, "no next iterator, but no children either")
            return got, out["ChildShards"]
        check(not out.get("ChildShards"), "a next iterator together with children")
        check(out["NextShardIterator"] != it, "the next iterator is the same")
        it = out["NextShardIterator"]
        if not out["Records"] and out["MillisBehindLatest"] == 0:
            return got, []


def numbers(records):
    return [int(r["SequenceNumber"]) for r in records]


kinesis.create_stream(StreamName=stream, ShardCount=2)
kinesis.get_waiter("stream_exists").wait(StreamName=stream, WaiterConfig={"Delay": 1})
summary = wait_active()
check(summary["OpenShardCount"] == 2 and summary["StreamName"] == stream, "summary")
arn = summary["StreamARN"]
shards = kinesis.list_shards(StreamARN=arn)["Shards"]
check([s["ShardId"] for s in shards] == ["shardId-000000000000", "shardId-000000000001"], "shard ids")
check(shards[0]["HashKeyRange"]["StartingHashKey"] == "0", "first hash key")
check(int(shards[1]["HashKeyRange"]["EndingHashKey"]) == 2**128 - 1, "last hash key")
check(stream in kinesis.list_streams(Limit=10000)["StreamNames"], "ListStreams")

first = kinesis.put_record(StreamName=stream, PartitionKey="schlüssel-ключ-鍵", Data=bytes(range(256)))
puts = [{"PartitionKey": f"k{i % 5}", "Data": b"record %d " % i * (i + 1)} for i in range(25)]
puts.append({"PartitionKey": "explicit", "ExplicitHashKey": str(2**128 - 1), "Data": b""})
out = kinesis.put_records(StreamARN=arn, Records=puts)
check(out["FailedRecordCount"] == 0 and len(out["Records"]) == 26, "PutRecords")
check(out["Records"][25]["ShardId"] == "shardId-000000000001", "explicit hash key decides the shard")

seen = {}
for s in shards:
    got, _ = read(s["ShardId"])
    check(numbers(got) == sorted(set(numbers(got))), "sequence numbers rise")
    for r in got:
        check(abs(datetime.now(timezone.utc) - r["ApproximateArrivalTimestamp"]) < timedelta(minutes=1), "arrival time")
        seen.setdefault(r["PartitionKey"], []).append(r["Data"])
want = {"schlüssel-ключ-鍵": [bytes(range(256))]}
for p in puts:
    want.setdefault(p["PartitionKey"], []).append(p["Data"])
check(seen == want, "what was put is not what was read")

at, _ = read(first["ShardId"], ShardIteratorType="AT_SEQUENCE_NUMBER", StartingSequenceNumber=first["SequenceNumber"])
check(at[0]["SequenceNumber"] == first["SequenceNumber"], "AT_SEQUENCE_NUMBER")
after, _ = read(first["ShardId"], ShardIteratorType="AFTER_SEQUENCE_NUMBER", StartingSequenceNumber=first["SequenceNumber"])
check(numbers(after) == numbers(at)[1:], "AFTER_SEQUENCE_NUMBER")
timed, _ = read(first["ShardId"], ShardIteratorType="AT_TIMESTAMP", Timestamp=at[0]["ApproximateArrivalTimestamp"])
check(numbers(timed) == numbers(at), "AT_TIMESTAMP")
latest, _ = read(first["ShardId"], ShardIteratorType="LATEST")
check(latest == [], "LATEST")

kinesis.split_shard(StreamName=stream, ShardToSplit="shardId-000000000000", NewStartingHashKey=str(2**126))
wait_active()
out = kinesis.put_record(StreamName=stream, PartitionKey="x", ExplicitHashKey="0", Data=b"to the first child")
check(out["ShardId"] == "shardId-000000000002", "after the split the child takes the record")
_, children = read("shardId-000000000000")
check(sorted(c["ShardId"] for c in children) == ["shardId-000000000002", "shardId-000000000003"], "children of the split")
check(all(c["ParentShards"] == ["shardId-000000000000"] for c in children), "parents of the children")
got, _ = read("shardId-000000000002")
check([r["Data"] for r in got] == [b"to the first child"], "the child's records")
kinesis.merge_shards(StreamName=stream, ShardToMerge="shardId-000000000002", AdjacentShardToMerge="shardId-000000000003")
wait_active()
_, children = read("shardId-000000000003")
check([sorted(c["ParentShards"]) for c in children] == [["shardId-000000000002", "shardId-000000000003"]], "a merge child has two parents")
open_now = kinesis.list_shards(StreamName=stream, ShardFilter={"Type": "AT_LATEST"})["Shards"]
check(sorted(s["ShardId"] for s in open_now) == ["shardId-000000000001", "shardId-000000000004"], "AT_LATEST")
closed = [s for s in kinesis.list_shards(StreamName=stream)["Shards"] if "EndingSequenceNumber" in s["SequenceNumberRange"]]
check(len(closed) == 3, "closed shards end, open ones do not")

for exception, call in [
    (errors.ResourceInUseException, lambda: kinesis.create_stream(StreamName=stream, ShardCount=1)),
    (errors.ResourceNotFoundException, lambda: kinesis.put_record(StreamName="no-such", PartitionKey="a", Data=b"")),
    (errors.InvalidArgumentException, lambda: kinesis.get_records(ShardIterator="AAAA")),
]:
    try:
        call()
        check(False, f"no {exception.__name__}")
    except exception as e:
        check(e.response["ResponseMetadata"]["RequestId"], "request id of an error")

kinesis.delete_stream(StreamName=stream)
for _ in range(200):
    try:
        kinesis.describe_stream_summary(StreamName=stream)
    except errors.ResourceNotFoundException:
        break
    time.sleep(0.05)
else:
    check(False, "stream is not gone")
print(f"boto3 {boto3.__version__} {endpoint}: ok")
