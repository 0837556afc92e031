"""A record processor of the KCL for Python. It appends what it does to the file
KCL_LOG, in the name of KCL_WORKER, as ../src/Log.java does."""
import os
import time

from amazon_kclpy import kcl
from amazon_kclpy.v3 import processor

log = os.open(os.environ["KCL_LOG"], os.O_WRONLY | os.O_APPEND)


def say(*words):
    os.write(log, (" ".join((os.environ["KCL_WORKER"],) + words) + "\n").encode())


class Processor(processor.RecordProcessorBase):
    def initialize(self, start):
        self.shard, self.some, self.last = start.shard_id, False, time.monotonic()
        say("lease", self.shard)

    def process_records(self, batch):
        for r in batch.records:
            say("record", self.shard, r.sequence_number, r.partition_key, r.binary_data.hex())
            self.some = True
        if self.some and time.monotonic() - self.last > 2:
            self.some, self.last = False, time.monotonic()
            self.checkpoint("checkpoint", batch.checkpointer)

    def lease_lost(self, _):
        say("lost", self.shard)

    def shard_ended(self, end):
        self.checkpoint("end", end.checkpointer)

    def shutdown_requested(self, leave):
        self.checkpoint("leave", leave.checkpointer)

    def checkpoint(self, event, checkpointer):
        try:
            checkpointer.checkpoint()
            say(event, self.shard)
        except kcl.CheckpointError as e:
            say("failed", event, self.shard, repr(e))


if __name__ == "__main__":
    kcl.KCLProcess(Processor()).run()
