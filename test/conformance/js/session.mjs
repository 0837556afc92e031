// The conformance session with the AWS SDK for JavaScript v3 and its default
// handler, configured by nothing but the endpoint. See ../README.md.
import { randomUUID } from "node:crypto";
import { setTimeout as sleep } from "node:timers/promises";
import * as K from "@aws-sdk/client-kinesis";

const endpoint = process.argv[2];
const client = new K.KinesisClient({ endpoint });
const send = (name, input) => client.send(new K[name + "Command"](input));
const StreamName = "js-" + randomUUID().slice(0, 8);

function check(ok, what) {
  if (!ok) throw new Error(`js ${endpoint}: ${what}`);
}
const same = (a, b) => JSON.stringify(a) === JSON.stringify(b);
const text = (r) => Buffer.from(r.Data).toString("latin1");
const numbers = (rs) => rs.map((r) => BigInt(r.SequenceNumber));

async function waitActive() {
  for (let i = 0; i < 200; i++) {
    const { StreamDescriptionSummary: d } = await send("DescribeStreamSummary", { StreamName });
    if (d.StreamStatus === "ACTIVE") return d;
    await sleep(50);
  }
  check(false, "stream did not become ACTIVE");
}

async function read(ShardId, start = { ShardIteratorType: "TRIM_HORIZON" }) {
  let { ShardIterator } = await send("GetShardIterator", { StreamName, ShardId, ...start });
  const records = [];
  for (;;) {
    const out = await send("GetRecords", { ShardIterator, Limit: 7 });
    records.push(...out.Records);
    if (!out.NextShardIterator) {
      check(out.ChildShards?.length > 0, "no next iterator, but no children either");
      return { records, children: out.ChildShards };
    }
    check(!out.ChildShards?.length, "a next iterator together with children");
    check(out.NextShardIterator !== ShardIterator, "the next iterator is the same");
    ShardIterator = out.NextShardIterator;
    if (out.Records.length === 0 && out.MillisBehindLatest === 0) return { records, children: [] };
  }
}

await send("CreateStream", { StreamName, ShardCount: 2 });
await K.waitUntilStreamExists({ client, maxWaitTime: 10, minDelay: 1 }, { StreamName });
const summary = await waitActive();
check(summary.OpenShardCount === 2, "summary");
const { StreamARN } = summary;
const { Shards } = await send("ListShards", { StreamARN });
check(same(Shards.map((s) => s.ShardId), ["shardId-000000000000", "shardId-000000000001"]), "shard ids");
check(Shards[0].HashKeyRange.StartingHashKey === "0", "first hash key");
check(BigInt(Shards[1].HashKeyRange.EndingHashKey) === 2n ** 128n - 1n, "last hash key");

const all = Uint8Array.from({ length: 256 }, (_, i) => i);
const first = await send("PutRecord", { StreamName, PartitionKey: "schlüssel-ключ-鍵", Data: all });
const puts = Array.from({ length: 25 }, (_, i) => ({ PartitionKey: `k${i % 5}`, Data: Buffer.from(`record ${i} `.repeat(i + 1)) }));
puts.push({ PartitionKey: "explicit", ExplicitHashKey: String(2n ** 128n - 1n), Data: Buffer.alloc(0) });
const put = await send("PutRecords", { StreamARN, Records: puts });
check(put.FailedRecordCount === 0 && put.Records.length === 26, "PutRecords");
check(put.Records[25].ShardId === "shardId-000000000001", "explicit hash key decides the shard");

const want = { "schlüssel-ключ-鍵": [Buffer.from(all).toString("latin1")] };
for (const p of puts) (want[p.PartitionKey] ??= []).push(text(p));
const seen = {};
for (const s of Shards) {
  const { records } = await read(s.ShardId);
  const n = numbers(records);
  check(n.every((x, i) => i === 0 || n[i - 1] < x), "sequence numbers rise");
  for (const r of records) {
    check(Math.abs(Date.now() - r.ApproximateArrivalTimestamp) < 60e3, "arrival time");
    (seen[r.PartitionKey] ??= []).push(text(r));
  }
}
for (const k of new Set([...Object.keys(want), ...Object.keys(seen)])) check(same(want[k], seen[k]), `records of ${k}`);

const StartingSequenceNumber = first.SequenceNumber;
const { records: at } = await read(first.ShardId, { ShardIteratorType: "AT_SEQUENCE_NUMBER", StartingSequenceNumber });
check(at[0].SequenceNumber === StartingSequenceNumber, "AT_SEQUENCE_NUMBER");
const { records: after } = await read(first.ShardId, { ShardIteratorType: "AFTER_SEQUENCE_NUMBER", StartingSequenceNumber });
check(same(after.map((r) => r.SequenceNumber), at.slice(1).map((r) => r.SequenceNumber)), "AFTER_SEQUENCE_NUMBER");
const { records: timed } = await read(first.ShardId, { ShardIteratorType: "AT_TIMESTAMP", Timestamp: at[0].ApproximateArrivalTimestamp });
check(same(timed.map((r) => r.SequenceNumber), at.map((r) => r.SequenceNumber)), "AT_TIMESTAMP");

await send("SplitShard", { StreamName, ShardToSplit: "shardId-000000000000", NewStartingHashKey: String(2n ** 126n) });
await waitActive();
const child = await send("PutRecord", { StreamName, PartitionKey: "x", ExplicitHashKey: "0", Data: Buffer.from("to the first child") });
check(child.ShardId === "shardId-000000000002", "after the split the child takes the record");
let { children } = await read("shardId-000000000000");
check(same(children.map((c) => c.ShardId).sort(), ["shardId-000000000002", "shardId-000000000003"]), "children of the split");
check(children.every((c) => same(c.ParentShards, ["shardId-000000000000"])), "parents of the children");
const { records: childs } = await read("shardId-000000000002");
check(same(childs.map(text), ["to the first child"]), "the child's records");
await send("MergeShards", { StreamName, ShardToMerge: "shardId-000000000002", AdjacentShardToMerge: "shardId-000000000003" });
await waitActive();
({ children } = await read("shardId-000000000003"));
check(same(children.map((c) => [...c.ParentShards].sort()), [["shardId-000000000002", "shardId-000000000003"]]), "a merge child has two parents");

for (const [exception, call] of [
  [K.ResourceInUseException, () => send("CreateStream", { StreamName, ShardCount: 1 })],
  [K.ResourceNotFoundException, () => send("PutRecord", { StreamName: "no-such", PartitionKey: "a", Data: all })],
  [K.InvalidArgumentException, () => send("GetRecords", { ShardIterator: "AAAA" })],
]) {
  const e = await call().then(() => null, (e) => e);
  check(e instanceof exception, `no ${exception.name}: ${e}`);
  check(e.$metadata.requestId, "request id of an error");
}

await send("DeleteStream", { StreamName });
for (let i = 0; ; i++) {
  const e = await send("DescribeStreamSummary", { StreamName }).then(() => null, (e) => e);
  if (e instanceof K.ResourceNotFoundException) break;
  check(i < 200, "stream is not gone");
  await sleep(50);
}
client.destroy();
console.log(`js @aws-sdk/client-kinesis ${process.env.npm_package_dependencies__aws_sdk_client_kinesis ?? "3.1143.0"} ${endpoint}: ok`);
