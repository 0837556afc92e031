"""Tables as boto3 uses them: the client and the resource. Needs AWS_ENDPOINT_URL.

Each step says what it proves; a step that fails ends the session."""

import sys
import time
from decimal import Decimal

import boto3
from boto3.dynamodb.conditions import Attr, Key
from botocore.exceptions import ClientError

client = boto3.client("dynamodb")
resource = boto3.resource("dynamodb")
suffix = str(time.time_ns())


def fails(code, f, **kw):
    try:
        f(**kw)
    except ClientError as e:
        assert e.response["Error"]["Code"] == code, e
        return e
    raise AssertionError(f"{code} was expected")


def leases():
    """KCL's lease table: older parameters, an index made later, segments."""
    t = "leases" + suffix
    fails("ResourceNotFoundException", client.describe_table, TableName=t)
    client.create_table(TableName=t, KeySchema=[{"AttributeName": "leaseKey", "KeyType": "HASH"}],
                        AttributeDefinitions=[{"AttributeName": "leaseKey", "AttributeType": "S"}], BillingMode="PAY_PER_REQUEST",
                        Tags=[{"Key": "app", "Value": "x"}])
    client.get_waiter("table_exists").wait(TableName=t)
    fails("ResourceInUseException", client.create_table, TableName=t, KeySchema=[{"AttributeName": "leaseKey", "KeyType": "HASH"}],
          AttributeDefinitions=[{"AttributeName": "leaseKey", "AttributeType": "S"}], BillingMode="PAY_PER_REQUEST")
    for i in range(40):
        put = dict(TableName=t, Item={"leaseKey": {"S": f"shardId-{i:012d}"}, "leaseCounter": {"N": "0"}, "checkpoint": {"S": "TRIM_HORIZON"}},
                   Expected={"leaseKey": {"Exists": False}})
        client.put_item(**put)
        fails("ConditionalCheckFailedException", client.put_item, **put)
    key = {"leaseKey": {"S": "shardId-000000000003"}}
    client.update_item(TableName=t, Key=key, AttributeUpdates={
        "leaseOwner": {"Action": "PUT", "Value": {"S": "me"}}, "leaseCounter": {"Action": "ADD", "Value": {"N": "1"}}},
        Expected={"leaseCounter": {"Value": {"N": "0"}}, "leaseOwner": {"Exists": False}})
    e = fails("ConditionalCheckFailedException", client.update_item, TableName=t, Key=key,
              AttributeUpdates={"leaseCounter": {"Action": "ADD", "Value": {"N": "1"}}},
              Expected={"leaseCounter": {"Value": {"N": "0"}}}, ReturnValuesOnConditionCheckFailure="ALL_OLD")
    assert e.response["Item"]["leaseCounter"] == {"N": "1"}, e.response
    got = client.update_item(TableName=t, Key=key, ReturnValues="ALL_NEW", AttributeUpdates={
        "leaseOwner": {"Action": "DELETE"}, "throughputKBps": {"Action": "PUT", "Value": {"N": "1.25"}}},
        Expected={"checkpoint": {"ComparisonOperator": "NE", "AttributeValueList": [{"S": "SHARD_END"}]}})
    assert "leaseOwner" not in got["Attributes"] and got["Attributes"]["throughputKBps"] == {"N": "1.25"}, got
    client.update_item(TableName=t, Key=key, AttributeUpdates={"leaseOwner": {"Value": {"S": "me"}, "Action": "PUT"}})
    client.update_table(TableName=t, AttributeDefinitions=[{"AttributeName": "leaseOwner", "AttributeType": "S"}, {"AttributeName": "leaseKey", "AttributeType": "S"}],
                        GlobalSecondaryIndexUpdates=[{"Create": {"IndexName": "LeaseOwnerToLeaseKeyIndex", "Projection": {"ProjectionType": "KEYS_ONLY"},
                                                                 "KeySchema": [{"AttributeName": "leaseOwner", "KeyType": "HASH"}, {"AttributeName": "leaseKey", "KeyType": "RANGE"}]}}])
    d = client.describe_table(TableName=t)["Table"]
    assert d["TableStatus"] == "ACTIVE" and d["GlobalSecondaryIndexes"][0]["IndexStatus"] == "ACTIVE" and d["ItemCount"] == 40, d
    assert d["BillingModeSummary"]["BillingMode"] == "PAY_PER_REQUEST", d
    got = client.query(TableName=t, IndexName="LeaseOwnerToLeaseKeyIndex", KeyConditionExpression="leaseOwner = :leaseOwner",
                       ExpressionAttributeValues={":leaseOwner": {"S": "me"}})
    assert got["Items"] == [{"leaseOwner": {"S": "me"}, **key}], got
    seen = []
    for segment in range(10):
        kw = dict(TableName=t, Segment=segment, TotalSegments=10, Limit=3)
        while True:
            page = client.scan(**kw)
            seen += [i["leaseKey"]["S"] for i in page["Items"]]
            if "LastEvaluatedKey" not in page:
                break
            kw["ExclusiveStartKey"] = page["LastEvaluatedKey"]
    assert sorted(seen) == [f"shardId-{i:012d}" for i in range(40)], seen
    arn = d["TableArn"]
    client.tag_resource(ResourceArn=arn, Tags=[{"Key": "b", "Value": ""}])
    client.untag_resource(ResourceArn=arn, TagKeys=["app"])
    assert client.list_tags_of_resource(ResourceArn=arn)["Tags"] == [{"Key": "b", "Value": ""}]
    assert client.describe_continuous_backups(TableName=t)["ContinuousBackupsDescription"]["PointInTimeRecoveryDescription"]["PointInTimeRecoveryStatus"] == "DISABLED"
    client.delete_table(TableName=t)
    client.get_waiter("table_not_exists").wait(TableName=t)


def samples():
    """What Lambda samples do, through the resource."""
    t = resource.create_table(
        TableName="orders" + suffix, BillingMode="PROVISIONED", ProvisionedThroughput={"ReadCapacityUnits": 5, "WriteCapacityUnits": 5},
        KeySchema=[{"AttributeName": "customer", "KeyType": "HASH"}, {"AttributeName": "at", "KeyType": "RANGE"}],
        AttributeDefinitions=[{"AttributeName": n, "AttributeType": k} for n, k in (("customer", "S"), ("at", "N"), ("total", "N"), ("state", "S"))],
        LocalSecondaryIndexes=[{"IndexName": "byTotal", "Projection": {"ProjectionType": "ALL"},
                                "KeySchema": [{"AttributeName": "customer", "KeyType": "HASH"}, {"AttributeName": "total", "KeyType": "RANGE"}]}],
        GlobalSecondaryIndexes=[{"IndexName": "byState", "Projection": {"ProjectionType": "INCLUDE", "NonKeyAttributes": ["total"]},
                                 "ProvisionedThroughput": {"ReadCapacityUnits": 1, "WriteCapacityUnits": 1},
                                 "KeySchema": [{"AttributeName": "state", "KeyType": "HASH"}]}])
    t.wait_until_exists()
    every = {"customer": "a", "at": 0, "s": "", "n": Decimal("12345678901234567890.123456789"), "b": b"\x00\xff", "ss": {"x", "y"}, "ns": {1, Decimal("2.5")},
             "bs": {b"a"}, "m": {"deep": [1, {"er": None}]}, "l": [True, False, "x"], "yes": True, "nil": None}
    t.put_item(Item=every)
    got = t.get_item(Key={"customer": "a", "at": 0}, ConsistentRead=True)["Item"]
    assert {k: (v.value if hasattr(v, "value") else v) for k, v in got.items()} == {**every, "bs": {b"a"}}, got
    with t.batch_writer() as batch:
        for i in range(1, 60):
            batch.put_item(Item={"customer": "b", "at": i, "total": i % 10, "state": "open" if i % 2 else "done", "pad": "x" * 100})
    page = t.query(KeyConditionExpression=Key("customer").eq("b") & Key("at").between(10, 20), ScanIndexForward=False, Limit=4)
    assert [int(i["at"]) for i in page["Items"]] == [20, 19, 18, 17] and page["LastEvaluatedKey"] == {"customer": "b", "at": 17}, page
    page = t.query(IndexName="byTotal", KeyConditionExpression=Key("customer").eq("b") & Key("total").gte(8), FilterExpression=Attr("state").eq("open"))
    assert page["Count"] == 6 and page["ScannedCount"] == 12 and all(i["total"] == 9 for i in page["Items"][-5:]), page
    page = t.query(IndexName="byState", KeyConditionExpression=Key("state").eq("open"), Select="COUNT", ReturnConsumedCapacity="INDEXES")
    assert page["Count"] == 30 and "Items" not in page and page["ConsumedCapacity"]["GlobalSecondaryIndexes"]["byState"]["CapacityUnits"] > 0, page
    page = t.scan(FilterExpression=Attr("pad").begins_with("x") & Attr("at").lt(5), ProjectionExpression="#a, #t", ExpressionAttributeNames={"#a": "at", "#t": "total"})
    assert sorted(int(i["at"]) for i in page["Items"]) == [1, 2, 3, 4] and set(page["Items"][0]) == {"at", "total"}, page
    key = {"customer": "c", "at": 1}
    up = t.update_item(Key=key, UpdateExpression="SET n = if_not_exists(n, :z) + :i, l = list_append(if_not_exists(l, :e), :l) ADD tags :t",
                       ExpressionAttributeValues={":z": 0, ":i": 5, ":e": [], ":l": ["x"], ":t": {"p", "q"}}, ReturnValues="UPDATED_NEW")
    assert up["Attributes"] == {"n": 5, "l": ["x"], "tags": {"p", "q"}}, up
    up = t.update_item(Key=key, UpdateExpression="SET m = :m REMOVE l DELETE tags :t", ExpressionAttributeValues={":m": {"a": {"b": [1, 2]}}, ":t": {"p"}}, ReturnValues="ALL_NEW")
    assert up["Attributes"] == {**key, "n": 5, "tags": {"q"}, "m": {"a": {"b": [1, 2]}}}, up
    up = t.update_item(Key=key, UpdateExpression="SET m.a.b[1] = :v", ExpressionAttributeValues={":v": 9}, ReturnValues="UPDATED_OLD")
    assert up["Attributes"] == {"m": {"a": {"b": [2]}}}, up
    fails("ConditionalCheckFailedException", t.delete_item, Key=key, ConditionExpression=Attr("n").gt(5))
    old = t.delete_item(Key=key, ConditionExpression=Attr("n").eq(5) & Attr("tags").contains("q"), ReturnValues="ALL_OLD", ReturnItemCollectionMetrics="SIZE")
    assert old["Attributes"]["n"] == 5 and old["ItemCollectionMetrics"]["ItemCollectionKey"] == {"customer": "c"}, old
    got = resource.batch_get_item(RequestItems={t.name: {"Keys": [{"customer": "b", "at": i} for i in (1, 2, 999)]}})
    assert len(got["Responses"][t.name]) == 2 and got["UnprocessedKeys"] == {}, got
    fails("ValidationException", t.put_item, Item={"customer": "a"})
    fails("ValidationException", t.put_item, Item={"customer": "a", "at": 1, "x": "y" * (400 << 10)})
    fails("ValidationException", t.query, KeyConditionExpression=Key("at").eq(1))
    fails("ResourceNotFoundException", resource.Table("nosuch").get_item, Key={"a": "b"})
    t.delete()


def transactions():
    t = "tx" + suffix
    client.create_table(TableName=t, KeySchema=[{"AttributeName": "k", "KeyType": "HASH"}], AttributeDefinitions=[{"AttributeName": "k", "AttributeType": "S"}],
                        BillingMode="PAY_PER_REQUEST")
    put = lambda k, **kw: {"Put": {"TableName": t, "Item": {"k": {"S": k}, "n": {"N": "1"}}, **kw}}
    client.transact_write_items(TransactItems=[put("a"), put("b", ConditionExpression="attribute_not_exists(k)")], ClientRequestToken="one" + suffix)
    client.transact_write_items(TransactItems=[put("a"), put("b", ConditionExpression="attribute_not_exists(k)")], ClientRequestToken="one" + suffix)
    fails("IdempotentParameterMismatchException", client.transact_write_items, TransactItems=[put("z")], ClientRequestToken="one" + suffix)
    e = fails("TransactionCanceledException", client.transact_write_items, TransactItems=[
        {"Update": {"TableName": t, "Key": {"k": {"S": "a"}}, "UpdateExpression": "SET n = n + :i", "ExpressionAttributeValues": {":i": {"N": "1"}}}},
        put("b", ConditionExpression="attribute_not_exists(k)", ReturnValuesOnConditionCheckFailure="ALL_OLD"),
        {"ConditionCheck": {"TableName": t, "Key": {"k": {"S": "c"}}, "ConditionExpression": "attribute_not_exists(k)"}}])
    reasons = e.response["CancellationReasons"]
    assert [r["Code"] for r in reasons] == ["None", "ConditionalCheckFailed", "None"] and reasons[1]["Item"]["k"] == {"S": "b"}, reasons
    got = client.transact_get_items(TransactItems=[{"Get": {"TableName": t, "Key": {"k": {"S": k}}}} for k in "abc"])["Responses"]
    assert got == [{"Item": {"k": {"S": "a"}, "n": {"N": "1"}}}, {"Item": {"k": {"S": "b"}, "n": {"N": "1"}}}, {}], got
    client.update_time_to_live(TableName=t, TimeToLiveSpecification={"Enabled": True, "AttributeName": "ttl"})
    assert client.describe_time_to_live(TableName=t)["TimeToLiveDescription"] == {"TimeToLiveStatus": "ENABLED", "AttributeName": "ttl"}
    assert t in [n for p in client.get_paginator("list_tables").paginate(Limit=1) for n in p["TableNames"]]
    fails("UnknownOperationException", client.execute_statement, Statement="SELECT * FROM x")
    client.delete_table(TableName=t)


for step in leases, samples, transactions:
    step()
    print("ok", step.__name__, flush=True)
sys.exit(0)
