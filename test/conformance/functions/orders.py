"""A function behind a stream that uses Lambda Powertools as its guides do: the
batch processor reports the records that failed, and idempotency, with a table,
lets each order be handled once, however often it comes."""

import os

from aws_lambda_powertools.utilities.batch import BatchProcessor, EventType, process_partial_response
from aws_lambda_powertools.utilities.data_classes.kinesis_stream_event import KinesisStreamRecord
from aws_lambda_powertools.utilities.idempotency import DynamoDBPersistenceLayer, IdempotencyConfig, idempotent_function

store = DynamoDBPersistenceLayer(table_name=os.environ["TABLE"])
config = IdempotencyConfig(event_key_jmespath="id")
processor = BatchProcessor(event_type=EventType.KinesisDataStreams)


def note(line):
    with open(os.environ["OUT"], "a") as f:
        f.write(line + "\n")


@idempotent_function(data_keyword_argument="order", persistence_store=store, config=config)
def handle(order):
    if order.get("fails"):
        note(f"failed {order['id']}")
        with open(os.environ["OUT"]) as f:
            if f.read().count(f"failed {order['id']}\n") <= order["fails"]:
                raise ValueError("not yet")
    note(f"handled {order['id']}")
    return {"id": order["id"]}


def record_handler(record: KinesisStreamRecord):
    return handle(order=record.kinesis.data_as_json())


def lambda_handler(event, context):
    config.register_lambda_context(context)
    return process_partial_response(event=event, record_handler=record_handler, processor=processor, context=context)
