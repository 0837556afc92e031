"""Functions as boto3 uses them: deployed from zips, invoked in all ways, changed
and deleted. Needs AWS_ENDPOINT_URL and, as its argument, a folder with the
functions and a bootstrap in Go.

Each step says what it proves; a step that fails ends the session."""

import base64
import io
import json
import sys
import time
import urllib.request
import zipfile

import boto3
from botocore.config import Config
from botocore.exceptions import ClientError

folder = sys.argv[1]
aws = boto3.client("lambda", config=Config(retries={"total_max_attempts": 1}))
careless = boto3.client("lambda", config=Config(retries={"total_max_attempts": 1}, parameter_validation=False))
kinesis = boto3.client("kinesis")
suffix = str(time.time_ns())
role = "arn:aws:iam::000000000000:role/service-role/functions"


def archive(*names):
    b = io.BytesIO()
    with zipfile.ZipFile(b, "w", zipfile.ZIP_DEFLATED) as z:
        for n in names:
            z.write(f"{folder}/{n}", n)
    return b.getvalue()


def fails(code, f, **kw):
    try:
        f(**kw)
    except ClientError as e:
        assert e.response["Error"]["Code"] == code, e
        assert e.response["ResponseMetadata"]["RequestId"], e
        return e.response
    raise AssertionError(f"{code} was expected")


def create(name, runtime, handler, code, **kw):
    name += suffix
    kw = {"Timeout": 30, "MemorySize": 512} | kw
    out = aws.create_function(FunctionName=name, Runtime=runtime, Handler=handler, Role=role, Code={"ZipFile": code}, **kw)
    assert out["ResponseMetadata"]["HTTPStatusCode"] == 201 and out["State"] in ("Active", "Pending"), out
    aws.get_waiter("function_active_v2").wait(FunctionName=name)
    return name


def invoke(name, event, **kw):
    out = aws.invoke(FunctionName=name, Payload=json.dumps(event), **kw)
    body = out["Payload"].read()
    return out, json.loads(body) if body else None


def life(name, code):
    """One function in each way of invoking it, then changed, then gone."""
    out, got = invoke(name, {"a": "ü", "n": [1, None]}, LogType="Tail")
    arn = f"arn:aws:lambda:us-east-1:000000000000:function:{name}"
    assert out["StatusCode"] == 200 and out["ExecutedVersion"] == "$LATEST" and "FunctionError" not in out, out
    request = out["ResponseMetadata"]["RequestId"]
    assert got["event"] == {"a": "ü", "n": [1, None]} and got["arn"] == arn and got["version"] == "$LATEST" and got["requestId"] == request, got
    log = base64.b64decode(out["LogResult"]).decode()
    lines = log.splitlines()
    assert lines[0] == f"START RequestId: {request} Version: $LATEST" and "hello from" in log, log
    assert f"END RequestId: {request}" in lines and lines[-1].startswith(f"REPORT RequestId: {request}\tDuration: ") and "Init Duration" in lines[-1], log
    out, got = invoke(name, {"Fail": True}, LogType="Tail")
    assert out["StatusCode"] == 200 and out["FunctionError"] == "Unhandled" and got["errorMessage"] == "no good", (out, got)
    out, _ = invoke(name, {}, InvocationType="DryRun")
    assert out["StatusCode"] == 204, out
    out, body = invoke(name, {}, InvocationType="Event")
    assert out["StatusCode"] == 202 and body is None, (out, body)
    out = aws.invoke(FunctionName=name)
    assert json.loads(out["Payload"].read())["event"] == {}, "no payload at all is an empty event"

    c = aws.update_function_configuration(FunctionName=name, Environment={"Variables": {"MINE": "changed"}}, Description="d", Timeout=29)
    aws.get_waiter("function_updated_v2").wait(FunctionName=name)
    assert c["Environment"]["Variables"] == {"MINE": "changed"} and c["Description"] == "d" and c["Timeout"] == 29, c
    assert invoke(name, {})[1]["mine"] == "changed"
    fails("PreconditionFailedException", aws.update_function_configuration, FunctionName=name, Description="x", RevisionId="0" * 8)

    v = aws.publish_version(FunctionName=name, Description="first")
    assert v["Version"] == "1" and v["FunctionArn"] == arn + ":1" and v["Description"] == "first", v
    assert aws.publish_version(FunctionName=name)["Version"] == "1", "nothing has changed"
    aws.create_alias(FunctionName=name, Name="live", FunctionVersion="1")
    u = aws.update_function_code(FunctionName=name, ZipFile=code, Publish=True)
    assert u["Version"] == "2", u
    out, got = invoke(name, {}, Qualifier="live")
    assert out["ExecutedVersion"] == "1" and got["version"] == "1" and got["arn"] == arn + ":live", (out, got)
    a = aws.update_alias(FunctionName=name, Name="live", FunctionVersion="2", RoutingConfig={"AdditionalVersionWeights": {"1": 1.0}})
    assert a["RoutingConfig"]["AdditionalVersionWeights"] == {"1": 1.0} and a["AliasArn"] == arn + ":live", a
    assert invoke(name + ":live", {})[0]["ExecutedVersion"] == "1", "all weight is on the other version"
    assert invoke(arn + ":2", {})[0]["ExecutedVersion"] == "2"
    assert [x["Name"] for x in aws.list_aliases(FunctionName=name)["Aliases"]] == ["live"]
    assert aws.get_alias(FunctionName=name, Name="live")["FunctionVersion"] == "2"
    fails("ResourceConflictException", aws.create_alias, FunctionName=name, Name="live", FunctionVersion="1")
    fails("ResourceConflictException", aws.delete_function, FunctionName=name, Qualifier="1")
    versions = [p["Version"] for page in aws.get_paginator("list_versions_by_function").paginate(FunctionName=name, PaginationConfig={"PageSize": 1}) for p in page["Versions"]]
    assert versions == ["$LATEST", "1", "2"], versions

    f = aws.get_function(FunctionName=name)
    assert urllib.request.urlopen(f["Code"]["Location"]).read() == code, "the code comes back as it was sent"
    # What Terraform reads of a function.
    assert not aws.get_function_code_signing_config(FunctionName=name).get("CodeSigningConfigArn")
    aws.get_runtime_management_config(FunctionName=name)
    aws.get_function_recursion_config(FunctionName=name)

    aws.tag_resource(Resource=arn, Tags={"a": "1", "b": "2"})
    aws.untag_resource(Resource=arn, TagKeys=["a"])
    assert aws.list_tags(Resource=arn)["Tags"] == {"b": "2"}
    aws.put_function_concurrency(FunctionName=name, ReservedConcurrentExecutions=0)
    e = fails("TooManyRequestsException", aws.invoke, FunctionName=name)
    assert e["Reason"] == "ReservedFunctionConcurrentInvocationLimitExceeded" and e["ResponseMetadata"]["HTTPStatusCode"] == 429, e
    assert aws.get_function_concurrency(FunctionName=name)["ReservedConcurrentExecutions"] == 0
    aws.delete_function_concurrency(FunctionName=name)
    s = aws.add_permission(FunctionName=name, StatementId="s3", Action="lambda:InvokeFunction", Principal="s3.amazonaws.com", SourceArn="arn:aws:s3:::b")
    assert json.loads(s["Statement"])["Condition"] == {"ArnLike": {"AWS:SourceArn": "arn:aws:s3:::b"}}, s
    assert json.loads(aws.get_policy(FunctionName=name)["Policy"])["Statement"][0]["Sid"] == "s3"
    aws.remove_permission(FunctionName=name, StatementId="s3")
    fails("ResourceNotFoundException", aws.get_policy, FunctionName=name)

    aws.delete_alias(FunctionName=name, Name="live")
    aws.delete_function(FunctionName=name, Qualifier="1")
    aws.delete_function(FunctionName=name)
    fails("ResourceNotFoundException", aws.get_function, FunctionName=name)
    fails("ResourceNotFoundException", aws.invoke, FunctionName=name)


def destinations(name):
    """An event that fails reaches the stream that it is to go to."""
    stream = "failed" + suffix
    kinesis.create_stream(StreamName=stream, ShardCount=1)
    kinesis.get_waiter("stream_exists").wait(StreamName=stream, WaiterConfig={"Delay": 1})
    arn = kinesis.describe_stream_summary(StreamName=stream)["StreamDescriptionSummary"]["StreamARN"]
    c = aws.put_function_event_invoke_config(FunctionName=name, MaximumRetryAttempts=0, DestinationConfig={"OnFailure": {"Destination": arn}})
    assert c["MaximumRetryAttempts"] == 0 and c["DestinationConfig"]["OnFailure"]["Destination"] == arn, c
    assert aws.get_function_event_invoke_config(FunctionName=name)["DestinationConfig"]["OnFailure"]["Destination"] == arn
    assert len(aws.list_function_event_invoke_configs(FunctionName=name)["FunctionEventInvokeConfigs"]) == 1
    out, _ = invoke(name, {"Fail": True}, InvocationType="Event")
    it = kinesis.get_shard_iterator(StreamName=stream, ShardId="shardId-000000000000", ShardIteratorType="TRIM_HORIZON")["ShardIterator"]
    for _ in range(100):
        got = kinesis.get_records(ShardIterator=it)
        if got["Records"]:
            break
        it = got["NextShardIterator"]
        time.sleep(0.2)
    record = json.loads(got["Records"][0]["Data"])
    assert record["requestContext"]["condition"] == "RetriesExhausted" and record["requestPayload"] == {"Fail": True}, record
    assert record["requestContext"]["requestId"] == out["ResponseMetadata"]["RequestId"], record
    aws.delete_function_event_invoke_config(FunctionName=name)
    fails("ResourceNotFoundException", aws.get_function_event_invoke_config, FunctionName=name)
    kinesis.delete_stream(StreamName=stream)


def refusals(code):
    """What cannot be done is refused by name, and nothing is left of it."""
    name = "refused" + suffix
    ask = dict(FunctionName=name, Runtime="python3.12", Handler="app.handler", Role=role, Code={"ZipFile": code})
    for change, text in [
        ({"Runtime": "ruby3.3"}, "ruby3.3 is not supported here"), ({"Runtime": "dotnet8"}, "dotnet8"), ({"Runtime": "java21"}, "java"),
        ({"PackageType": "Image", "Code": {"ImageUri": "x"}}, "images"), ({"Layers": ["arn:aws:lambda:us-east-1:1:layer:l:1"]}, "Layers"),
        ({"VpcConfig": {"SubnetIds": ["s"], "SecurityGroupIds": ["g"]}}, "VpcConfig"), ({"TracingConfig": {"Mode": "Active"}}, "Active"),
        ({"Code": {"ZipFile": b"no zip"}}, "Could not unzip"), ({"Code": {"S3Bucket": "b", "S3Key": "k"}}, "bucket"),
        ({"Environment": {"Variables": {"AWS_REGION": "x"}}}, "reserved keys"), ({"Environment": {"Variables": {"A": "x" * 5000}}}, "4KB"),
        ({"DeadLetterConfig": {"TargetArn": "arn:aws:sqs:us-east-1:000000000000:q"}}, "dead-letter"),
    ]:
        e = fails("InvalidParameterValueException", careless.create_function, **(ask | change))
        assert text in (e.get("message") or e["Error"]["Message"]), (change, e)
    fails("ValidationException", careless.create_function, **(ask | {"MemorySize": 1}))
    fails("ValidationException", careless.create_function, **(ask | {"Timeout": 0}))
    fails("ResourceNotFoundException", careless.get_function, FunctionName=name)
    fails("UnknownOperationException", careless.list_layers)
    fails("UnknownOperationException", careless.list_function_url_configs, FunctionName=name)


py = archive("app.py", "broken.py")
js = archive("app.mjs", "old.cjs")
go = archive("bootstrap")
life(create("go", "provided.al2023", "bootstrap", go), archive("bootstrap", "app.py"))
life(create("python", "python3.12", "app.handler", py), archive("app.py"))
life(create("node", "nodejs22.x", "app.handler", js), archive("app.mjs"))

python = create("py", "python3.12", "app.handler", py)
fails("ResourceConflictException", aws.create_function, FunctionName=python, Runtime="python3.12", Handler="app.handler", Role=role, Code={"ZipFile": py})
assert invoke(python, {"Fail": True})[1]["errorType"] == "Trouble"
assert 'raise Trouble("no good")' in "".join(invoke(python, {"Fail": True})[1]["stackTrace"])
e = invoke(python, {"Unserializable": True})[1]
assert e["errorType"] == "Runtime.MarshalError" and e["errorMessage"] == "Unable to marshal response: Object of type set is not JSON serializable", e
fails("InvalidRequestContentException", aws.invoke, FunctionName=python, Payload="{")
fails("RequestTooLargeException", aws.invoke, FunctionName=python, Payload=b'"' + b"x" * (6 << 20) + b'"')
fails("RequestTooLargeException", aws.invoke, FunctionName=python, Payload=b'"' + b"x" * (1 << 20) + b'"', InvocationType="Event")
destinations(python)
aws.update_function_configuration(FunctionName=python, Handler="app.home")
assert invoke(python, {})[1] == "$LATEST", "a function calls the server that runs it, by its environment alone"
for handler, kind, text in [
    ("app.missing", "Runtime.HandlerNotFound", "Handler 'missing' missing on module 'app'"),
    ("nowhere.handler", "Runtime.ImportModuleError", "Unable to import module 'nowhere': No module named 'nowhere'"),
    ("broken.handler", "Runtime.UserCodeSyntaxError", "Syntax error in module 'broken'"),
    ("app", "Runtime.MalformedHandlerName", "Bad handler 'app'"),
]:
    aws.update_function_configuration(FunctionName=python, Handler=handler)
    out, e = invoke(python, {})
    assert out["FunctionError"] == "Unhandled" and e["errorType"] == kind and e["errorMessage"].startswith(text), e

node = create("js", "nodejs22.x", "old.handler", js)
assert invoke(node, {"x": 1})[1] == {"event": {"x": 1}}
assert invoke(node, {"Fail": True})[1]["errorType"] == "TypeError"
for handler, want in [
    ("old.returnsNothing", None), ("old.nested.deep", "deep"), ("old.throwsNow", "a string"), ("old.missing", "Runtime.HandlerNotFound"),
    ("nowhere.handler", "Runtime.ImportModuleError"), ("app.rejects", "Runtime.UnhandledPromiseRejection"),
]:
    aws.update_function_configuration(FunctionName=node, Handler=handler)
    out, got = invoke(node, {})
    assert want in (got, isinstance(got, dict) and got["errorType"], isinstance(got, dict) and got["errorMessage"]), (handler, got)
refusals(py)

# Java, with the runtime client that it brings along.
with open(f"{folder}/java.zip", "rb") as f:
    java = create("java", "java21", "Hello::handle", f.read())
out, got = invoke(java, {"x": 1}, LogType="Tail")
assert got["event"] == {"x": 1} and got["requestId"] == out["ResponseMetadata"]["RequestId"], got
assert "hello from Java" in base64.b64decode(out["LogResult"]).decode(), out
assert invoke(java, {"Fail": 1})[1]["errorType"] == "java.lang.IllegalStateException"

names = [f["FunctionName"] for page in aws.get_paginator("list_functions").paginate(PaginationConfig={"PageSize": 1}) for f in page["Functions"]]
assert python in names and node in names, names
usage = aws.get_account_settings()
assert usage["AccountUsage"]["FunctionCount"] == len(names) and usage["AccountLimit"]["ConcurrentExecutions"] > 0, usage
for name in (python, node, java):
    aws.delete_function(FunctionName=name)
print(f"boto3 {boto3.__version__} functions: ok")
