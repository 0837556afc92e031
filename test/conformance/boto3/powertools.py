"""Lambda Powertools, unchanged, in a Python function behind a stream: its batch
processor and its idempotency. Needs AWS_ENDPOINT_URL and, as arguments, the
function's file and a scratch folder."""

import io
import json
import sys
import time
import zipfile
from collections import Counter

import boto3

file, scratch = sys.argv[1:3]
aws, kinesis, dynamodb = (boto3.client(s) for s in ("lambda", "kinesis", "dynamodb"))
suffix = str(time.time_ns())
name, out = "orders" + suffix, f"{scratch}/orders-{suffix}"

dynamodb.create_table(TableName=name, BillingMode="PAY_PER_REQUEST", KeySchema=[{"AttributeName": "id", "KeyType": "HASH"}],
                      AttributeDefinitions=[{"AttributeName": "id", "AttributeType": "S"}])
dynamodb.get_waiter("table_exists").wait(TableName=name)
dynamodb.update_time_to_live(TableName=name, TimeToLiveSpecification={"Enabled": True, "AttributeName": "expiration"})
kinesis.create_stream(StreamName=name, ShardCount=2)
kinesis.get_waiter("stream_exists").wait(StreamName=name, WaiterConfig={"Delay": 1})
b = io.BytesIO()
with zipfile.ZipFile(b, "w") as z:
    z.write(file, "orders.py")
aws.create_function(FunctionName=name, Runtime="python3.13", Handler="orders.lambda_handler", Role="arn:aws:iam::000000000000:role/r", Timeout=60, MemorySize=512,
                    Code={"ZipFile": b.getvalue()}, Environment={"Variables": {"OUT": out, "TABLE": name, "POWERTOOLS_SERVICE_NAME": "orders"}})
aws.create_event_source_mapping(
    FunctionName=name, EventSourceArn=f"arn:aws:kinesis:us-east-1:000000000000:stream/{name}", StartingPosition="TRIM_HORIZON", BatchSize=10,
    ParallelizationFactor=2, MaximumRetryAttempts=5, FunctionResponseTypes=["ReportBatchItemFailures"])

# 100 orders; every third comes twice, some fail once or twice before they succeed.
orders = [{"id": f"o{i}"} | ({"fails": 1 + i % 2} if i % 25 == 7 else {}) for i in range(100)]
sent = [o for i, o in enumerate(orders) for _ in range(2 if i % 3 == 0 else 1)]
kinesis.put_records(StreamName=name, Records=[{"Data": json.dumps(o).encode(), "PartitionKey": o["id"]} for o in sent])


def handled():
    try:
        with open(out) as f:
            return Counter(line.split()[1] for line in f if line.startswith("handled"))
    except FileNotFoundError:
        return Counter()


end = time.time() + 60
while len(handled()) < len(orders) and time.time() < end:
    time.sleep(0.1)
got = handled()
assert len(got) == len(orders), f"missing: {sorted(set(o['id'] for o in orders) - set(got))}"
with open(out) as f:
    failed = Counter(line.split()[1] for line in f if line.startswith("failed"))
assert set(failed) == {o["id"] for o in orders if "fails" in o}, failed
assert max(got.values()) == 1, f"handled more than once: {[k for k, n in got.items() if n > 1]}"
print("powertools: 100 orders, each handled once")
