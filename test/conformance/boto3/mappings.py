"""Event source mappings as boto3 uses them: a function in Go that takes events
through the types of aws-lambda-go, behind a stream, with each kind of on-failure
destination at another server (moto). Needs AWS_ENDPOINT_URL and, as arguments,
a folder with the function's bootstrap, that server's URL, and a scratch folder.

Each step says what it proves; a step that fails ends the session."""

import io
import json
import os
import sys
import time
import zipfile

import boto3
from botocore.config import Config
from botocore.exceptions import ClientError

folder, elsewhere, scratch = sys.argv[1:4]
aws = boto3.client("lambda", config=Config(retries={"total_max_attempts": 1}))
kinesis = boto3.client("kinesis")
s3, sqs, sns = (boto3.client(s, endpoint_url=elsewhere) for s in ("s3", "sqs", "sns"))
account = "000000000000"
suffix = str(time.time_ns())
out = f"{scratch}/seen-{suffix}"


def seen():
    if not os.path.exists(out):
        return []
    with open(out) as f:
        return [json.loads(line) for line in f]


def wait(what, f, timeout=30):
    end = time.time() + timeout
    while time.time() < end:
        got = f()
        if got:
            return got
        time.sleep(0.05)
    raise AssertionError(f"{what}: {seen()}")


def state(uuid, want):
    return wait(f"{uuid} {want}", lambda: aws.get_event_source_mapping(UUID=uuid)["State"] == want)


def stream(shards=1):
    name = f"mapped-{time.time_ns()}"
    kinesis.create_stream(StreamName=name, ShardCount=shards)
    kinesis.get_waiter("stream_exists").wait(StreamName=name, WaiterConfig={"Delay": 1})
    return name, f"arn:aws:kinesis:us-east-1:{account}:stream/{name}"


def put(name, *texts, key="k ü"):
    got = kinesis.put_records(StreamName=name, Records=[{"Data": t.encode(), "PartitionKey": key} for t in texts])
    assert got["FailedRecordCount"] == 0


b = io.BytesIO()
with zipfile.ZipFile(b, "w", zipfile.ZIP_DEFLATED) as z:
    z.write(f"{folder}/mapped", "bootstrap")
fn = "mapped" + suffix
aws.create_function(FunctionName=fn, Runtime="provided.al2023", Handler="bootstrap", Role=f"arn:aws:iam::{account}:role/r", Timeout=30,
                    Code={"ZipFile": b.getvalue()}, Environment={"Variables": {"OUT": out}})

# Each state is seen, and what was put before, between and after is dealt with once.
name, arn = stream(2)
put(name, "a")
m = aws.create_event_source_mapping(FunctionName=fn, EventSourceArn=arn, StartingPosition="TRIM_HORIZON", Tags={"a": "b"})
uuid = m["UUID"]
assert m["ResponseMetadata"]["HTTPStatusCode"] == 202 and m["State"] == "Creating", m
state(uuid, "Enabled")
wait("a record from TRIM_HORIZON", lambda: [s["Data"] for s in seen()] == [["a"]])
m = aws.update_event_source_mapping(UUID=uuid, Enabled=False)
assert m["ResponseMetadata"]["HTTPStatusCode"] == 202 and m["State"] == "Disabling", m
state(uuid, "Disabled")
put(name, "b")
m = aws.update_event_source_mapping(UUID=uuid, Enabled=True, BatchSize=7, ParallelizationFactor=10, MaximumBatchingWindowInSeconds=1)
assert m["State"] == "Enabling" and m["BatchSize"] == 7, m
state(uuid, "Enabled")
wait("a record put while it was Disabled", lambda: [s["Data"] for s in seen()] == [["a"], ["b"]])
m = aws.update_event_source_mapping(UUID=uuid, MaximumRetryAttempts=0, FunctionResponseTypes=["ReportBatchItemFailures"])
assert m["State"] == "Updating" and m["FunctionResponseTypes"] == ["ReportBatchItemFailures"], m
state(uuid, "Enabled")
assert aws.get_event_source_mapping(UUID=uuid)["LastProcessingResult"] == "OK"
assert aws.list_tags(Resource=m["EventSourceMappingArn"])["Tags"] == {"a": "b"}
assert [x["UUID"] for x in aws.list_event_source_mappings(EventSourceArn=arn)["EventSourceMappings"]] == [uuid]
try:
    aws.create_event_source_mapping(FunctionName=fn, EventSourceArn=arn, StartingPosition="LATEST")
    raise AssertionError("two mappings of one pair")
except ClientError as e:
    assert e.response["Error"]["Code"] == "ResourceConflictException", e

# On-failure destinations: a poisoned item blocks nothing, and is told of.
queue = sqs.create_queue(QueueName="failed")["QueueUrl"]
topic = sns.create_topic(Name="failed")["TopicArn"]
sns.subscribe(TopicArn=topic, Protocol="sqs", Endpoint=f"arn:aws:sqs:us-east-1:{account}:topics")
topics = sqs.create_queue(QueueName="topics")["QueueUrl"]
s3.create_bucket(Bucket="failed")


def messages(url):
    for got in sqs.receive_message(QueueUrl=url, MaxNumberOfMessages=1).get("Messages", []):
        sqs.delete_message(QueueUrl=url, ReceiptHandle=got["ReceiptHandle"])
        return json.loads(got["Body"])


def told(got, condition="RetryAttemptsExhausted", error=None):
    info = got["KinesisBatchInfo"]
    assert got["requestContext"]["condition"] == condition and got["version"] == "1.0", got
    assert got["requestContext"]["functionArn"] == f"arn:aws:lambda:us-east-1:{account}:function:{fn}", got
    assert got["responseContext"] == {"statusCode": 200, "executedVersion": "$LATEST", "functionError": error}, got
    assert info["streamArn"] == arn and info["batchSize"] >= 1 and info["startSequenceNumber"] <= info["endSequenceNumber"], got
    return got


def to(destination):
    aws.update_event_source_mapping(UUID=uuid, DestinationConfig={"OnFailure": {"Destination": destination}})
    state(uuid, "Enabled")


to(f"arn:aws:sqs:us-east-1:{account}:failed")
put(name, "c", "poison", "d")
told(wait("SQS has the batch", lambda: messages(queue)))
to(topic)
put(name, "broken")
note = wait("SNS has the batch", lambda: messages(topics))
told(json.loads(note["Message"]), error="Unhandled")
to("arn:aws:s3:::failed")
put(name, "broken")
objects = wait("S3 has the batch", lambda: s3.list_objects_v2(Bucket="failed").get("Contents"))
assert objects[0]["Key"].startswith(f"aws/lambda/{uuid}/shardId-00000000000"), objects
got = told(json.loads(s3.get_object(Bucket="failed", Key=objects[0]["Key"])["Body"].read()), error="Unhandled")
assert got["payload"]["Records"][0]["kinesis"]["data"] == "YnJva2Vu", got

# Filters, while it runs.
aws.update_event_source_mapping(UUID=uuid, FilterCriteria={"Filters": [{"Pattern": json.dumps({"data": {"n": [{"numeric": [">", 1]}]}})}]})
state(uuid, "Enabled")
put(name, '{"n":1}', '{"n":2}', "no JSON")
wait("the record that passes", lambda: any(s["Data"] and '{"n":2}' in s["Data"] for s in seen()))
m = aws.delete_event_source_mapping(UUID=uuid)
assert m["ResponseMetadata"]["HTTPStatusCode"] == 202 and m["State"] == "Deleting", m


def is_gone():
    try:
        aws.get_event_source_mapping(UUID=uuid)
    except ClientError as e:
        return e.response["Error"]["Code"] == "ResourceNotFoundException"


wait("it is gone", is_gone)
flat = [d for s in seen() for d in s["Data"] or []]
assert "no JSON" not in flat and '{"n":1}' not in flat, flat

# Tumbling windows, through a consumer's ARN and a shard that ends.
os.remove(out)
aws.update_function_configuration(FunctionName=fn, Environment={"Variables": {"OUT": out, "AGAIN": "1"}})
name, arn = stream()
consumer = kinesis.register_stream_consumer(StreamARN=arn, ConsumerName="c")["Consumer"]["ConsumerARN"]
m = aws.create_event_source_mapping(FunctionName=fn, EventSourceArn=consumer, StartingPosition="LATEST", TumblingWindowInSeconds=3, BatchSize=2)
state(m["UUID"], "Enabled")
put(name, "1", "2", "3", "4", "5")


def counted():
    return sum(int(s["State"]["count"]) for s in seen() if s["Final"])


wait("the last call of a window, or of two, has counted all", lambda: counted() == 5)
put(name, "6")
kinesis.split_shard(StreamName=name, ShardToSplit="shardId-000000000000", NewStartingHashKey=str(2**127))
wait("the shard's end closes the window", lambda: counted() == 6)
wait("the stream is ACTIVE", lambda: kinesis.describe_stream_summary(StreamName=name)["StreamDescriptionSummary"]["StreamStatus"] == "ACTIVE")
put(name, "7")
wait("a child has windows of its own", lambda: counted() == 7)
aws.delete_event_source_mapping(UUID=m["UUID"])
aws.delete_function(FunctionName=fn)
print("mappings: all steps done")
