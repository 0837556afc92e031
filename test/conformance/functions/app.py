"""A function in Python, for the conformance sessions."""

import logging
import os


class Trouble(Exception):
    pass


def handler(event, context):
    print("hello from Python")
    logging.getLogger().error("logged")
    if isinstance(event, dict) and event.get("Fail"):
        raise Trouble("no good")
    if isinstance(event, dict) and event.get("Unserializable"):
        return {1, 2}
    assert 0 < context.get_remaining_time_in_millis() <= 30000
    return {"event": event, "requestId": context.aws_request_id, "arn": context.invoked_function_arn,
            "version": context.function_version, "mine": os.environ.get("MINE"), "home": os.environ["AWS_ENDPOINT_URL"]}


def home(event, context):
    """Calls the server that runs it, configured by its environment alone."""
    import boto3
    return boto3.client("lambda").get_function_configuration(FunctionName=context.function_name)["Version"]
