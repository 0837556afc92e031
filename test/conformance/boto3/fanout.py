"""The fan-out session with boto3, configured by nothing but the endpoint.

See ../README.md for the steps, which every client runs alike.
"""

import os
import sys
import threading
import time
import uuid

import boto3

endpoint = sys.argv[1]
kinesis = boto3.client("kinesis", endpoint_url=endpoint, verify=os.environ.get("CA_FILE") if endpoint.startswith("https") else None)
errors = kinesis.exceptions
stream = "boto3-fan-" + uuid.uuid4().hex[:8]
keys = [f"key-{i}" for i in range(6)]


def check(ok, what):
    if not ok:
        raise SystemExit(f"boto3 {endpoint}: {what}")


kinesis.create_stream(StreamName=stream, ShardCount=2)
kinesis.get_waiter("stream_exists").wait(StreamName=stream, WaiterConfig={"Delay": 1})
arn = kinesis.describe_stream_summary(StreamName=stream)["StreamDescriptionSummary"]["StreamARN"]
consumers = {}
for name in ["horizon", "latest", "at", "after", "timed"]:
    c = kinesis.register_stream_consumer(StreamARN=arn, ConsumerName=name)["Consumer"]
    while kinesis.describe_stream_consumer(ConsumerARN=c["ConsumerARN"])["ConsumerDescription"]["ConsumerStatus"] != "ACTIVE":
        time.sleep(0.05)
    consumers[name] = c["ConsumerARN"]


class Reader(threading.Thread):
    """One subscription, read until it ends."""

    def __init__(self, consumer, shard, start, ended=None):
        super().__init__(daemon=True)
        self.shard, self.ended = shard, ended
        self.records, self.children, self.error, self.beats = [], None, None, 0
        self.events = kinesis.subscribe_to_shard(ConsumerARN=consumers[consumer], ShardId=shard, StartingPosition=start)["EventStream"]
        self.start()

    def run(self):
        last = 0
        try:
            for event in self.events:
                e = event["SubscribeToShardEvent"]
                check(e["MillisBehindLatest"] >= 0, "MillisBehindLatest")
                check(self.children is None, "an event after the shard's end")
                check(("ContinuationSequenceNumber" in e) == (not e.get("ChildShards")), "the continuation is absent exactly at the shard's end")
                for r in e["Records"]:
                    check(int(r["SequenceNumber"]) > last, "sequence numbers rise")
                    last = int(r["SequenceNumber"])
                self.records += e["Records"]
                if "ContinuationSequenceNumber" in e:
                    check(int(e["ContinuationSequenceNumber"]) >= last, "the continuation is not before the last record")
                    last = int(e["ContinuationSequenceNumber"])
                    self.beats += not e["Records"]
                else:
                    self.children = e["ChildShards"]
                    if self.ended:
                        self.ended(self)
        except BaseException as e:  # noqa: looked at by whoever waits for the end
            self.error = e

    def end(self):
        self.join(60)
        check(not self.is_alive() and self.children is not None and self.error is None, f"{self.shard} did not end: {self.error!r}")
        return self.records


# Whoever reads a shard to its end goes on with each child once both its
# parents have ended.
lock = threading.Lock()
horizon, seen, ended = {}, [], set()


def follow(reader):
    with lock:
        seen.extend(reader.records)
        ended.add(reader.shard)
        for child in reader.children:
            check(child["HashKeyRange"]["StartingHashKey"].isdigit() and child["HashKeyRange"]["EndingHashKey"].isdigit(), "a child's hash key range")
            check(reader.shard in child["ParentShards"], "a child without its parent")
            if ended.issuperset(child["ParentShards"]):
                horizon[child["ShardId"]] = Reader("horizon", child["ShardId"], {"Type": "TRIM_HORIZON"}, follow)


written = 0


def put(rounds):
    global written
    for _ in range(rounds):
        for k in keys:
            kinesis.put_record(StreamName=stream, PartitionKey=k, Data=b"%d" % written)
        written += 1


def values(records, key):
    return [int(r["Data"]) for r in records if r["PartitionKey"] == key]


put(2)
shards = ["shardId-000000000000", "shardId-000000000001"]
for s in shards:
    horizon[s] = Reader("horizon", s, {"Type": "TRIM_HORIZON"}, follow)
latest = {s: Reader("latest", s, {"Type": "LATEST"}) for s in shards}
try:
    Reader("horizon", shards[0], {"Type": "LATEST"})
    check(False, "a second subscription at once")
except errors.ResourceInUseException:
    pass
put(3)
kinesis.split_shard(StreamName=stream, ShardToSplit=shards[0], NewStartingHashKey=str(2**126))
put(3)
kinesis.merge_shards(StreamName=stream, ShardToMerge="shardId-000000000002", AdjacentShardToMerge="shardId-000000000003")
put(3)
kinesis.merge_shards(StreamName=stream, ShardToMerge="shardId-000000000004", AdjacentShardToMerge=shards[1])
put(3)

deadline = time.time() + 60
while time.time() < deadline:
    with lock:
        final = horizon.get("shardId-000000000005")
        if final and len(seen) + len(final.records) == written * len(keys) and final.beats:
            break
    time.sleep(0.05)
for r in horizon.values():
    check(r.error is None, f"{r.shard} failed: {r.error!r}")
check(sorted(ended) == [f"shardId-{i:012d}" for i in range(5)], f"ended: {sorted(ended)}")
check(final and final.beats, "no heartbeat of an idle shard")
for k in keys:
    check(values(seen + final.records, k) == list(range(written)), f"{k}: {values(seen + final.records, k)}")

# The other places to start, on a shard that has ended.
whole = horizon[shards[0]].end() if horizon[shards[0]].records else []
s = shards[0] if whole else shards[1]
whole = horizon[s].end()
for name, start, want in [
    ("at", {"Type": "AT_SEQUENCE_NUMBER", "SequenceNumber": whole[1]["SequenceNumber"]}, whole[1:]),
    ("after", {"Type": "AFTER_SEQUENCE_NUMBER", "SequenceNumber": whole[1]["SequenceNumber"]}, whole[2:]),
    ("timed", {"Type": "AT_TIMESTAMP", "Timestamp": whole[0]["ApproximateArrivalTimestamp"]}, whole),
]:
    got = Reader(name, s, start).end()
    check(got == want, f"{name}: {len(got)} records, not {len(want)}")
for s in shards:
    early = [r for r in horizon[s].records if int(r["Data"]) < 2]
    check(latest[s].end() == horizon[s].records[len(early) :], "LATEST")

# What ends a stream of events for a reason says so in it.
kinesis.delete_stream(StreamName=stream, EnforceConsumerDeletion=True)
final.join(30)
code = getattr(final.error, "response", {}).get("Error", {}).get("Code")
check(code == "ResourceNotFoundException", f"the deleted stream's subscription ended with {final.error!r}")
print(f"boto3 {boto3.__version__} {endpoint}: ok")
