// The fan-out session with the AWS SDK for JavaScript v3 and its default
// handler, configured by nothing but the endpoint. See ../README.md.
import { randomUUID } from "node:crypto";
import { setTimeout as sleep } from "node:timers/promises";
import * as K from "@aws-sdk/client-kinesis";

const endpoint = process.argv[2];
const client = new K.KinesisClient({ endpoint });
const send = (name, input) => client.send(new K[name + "Command"](input));
const StreamName = "js-fan-" + randomUUID().slice(0, 8);
const keys = Array.from({ length: 6 }, (_, i) => `key-${i}`);
const id = (i) => "shardId-" + String(i).padStart(12, "0");

function check(ok, what) {
  if (!ok) throw new Error(`js ${endpoint}: ${what}`);
}
const same = (a, b) => JSON.stringify(a) === JSON.stringify(b);
const value = (r) => Number(Buffer.from(r.Data).toString());
const numbers = (rs) => rs.map((r) => r.SequenceNumber);

async function until(what, done, seconds = 60) {
  for (const end = Date.now() + seconds * 1000; !done(); await sleep(20)) check(Date.now() < end, what());
}

await send("CreateStream", { StreamName, ShardCount: 2 });
await K.waitUntilStreamExists({ client, maxWaitTime: 10, minDelay: 1 }, { StreamName });
const { StreamARN } = (await send("DescribeStreamSummary", { StreamName })).StreamDescriptionSummary;
const consumers = {};
for (const ConsumerName of ["horizon", "latest", "at", "after", "timed"]) {
  const { ConsumerARN } = (await send("RegisterStreamConsumer", { StreamARN, ConsumerName })).Consumer;
  while ((await send("DescribeStreamConsumer", { ConsumerARN })).ConsumerDescription.ConsumerStatus !== "ACTIVE") await sleep(50);
  consumers[ConsumerName] = ConsumerARN;
}

// subscribe resolves once a subscription has begun; its .done, once it ended.
async function subscribe(consumer, ShardId, StartingPosition, ended) {
  const { EventStream } = await send("SubscribeToShard", { ConsumerARN: consumers[consumer], ShardId, StartingPosition });
  const s = { shard: ShardId, records: [], beats: 0 };
  s.done = (async () => {
    let last = 0n;
    for await (const { SubscribeToShardEvent: e } of EventStream) {
      check(e && e.MillisBehindLatest >= 0, "MillisBehindLatest");
      check(!s.children, "an event after the shard's end");
      check((e.ContinuationSequenceNumber === undefined) === (e.ChildShards?.length > 0), "the continuation is absent exactly at the shard's end");
      for (const r of e.Records) {
        check(BigInt(r.SequenceNumber) > last, "sequence numbers rise");
        last = BigInt(r.SequenceNumber);
        s.records.push(r);
      }
      if (e.ContinuationSequenceNumber) {
        check(BigInt(e.ContinuationSequenceNumber) >= last, "the continuation is not before the last record");
        last = BigInt(e.ContinuationSequenceNumber);
        if (!e.Records.length) s.beats++;
      } else s.children = e.ChildShards;
    }
    if (s.children) await ended?.(s);
  })();
  s.done.catch((e) => (s.error = e));
  return s;
}

// Whoever reads a shard to its end goes on with each child once both its
// parents have ended.
const horizon = {};
const seen = [];
const ended = new Set();
async function follow(s) {
  seen.push(...s.records);
  ended.add(s.shard);
  for (const c of s.children) {
    check(/^\d+$/.test(c.HashKeyRange.StartingHashKey) && /^\d+$/.test(c.HashKeyRange.EndingHashKey), "a child's hash key range");
    check(c.ParentShards.includes(s.shard), "a child without its parent");
    if (c.ParentShards.every((p) => ended.has(p))) horizon[c.ShardId] = await subscribe("horizon", c.ShardId, { Type: "TRIM_HORIZON" }, follow);
  }
}

let written = 0;
async function put(rounds) {
  for (; rounds > 0; rounds--, written++) {
    for (const PartitionKey of keys) await send("PutRecord", { StreamName, PartitionKey, Data: Buffer.from(String(written)) });
  }
}

await put(2);
const latest = [];
for (const s of [0, 1]) {
  horizon[id(s)] = await subscribe("horizon", id(s), { Type: "TRIM_HORIZON" }, follow);
  latest[s] = await subscribe("latest", id(s), { Type: "LATEST" });
}
const second = await subscribe("horizon", id(0), { Type: "LATEST" }).then(() => null, (e) => e);
check(second instanceof K.ResourceInUseException, `a second subscription at once: ${second}`);
await put(3);
await send("SplitShard", { StreamName, ShardToSplit: id(0), NewStartingHashKey: String(2n ** 126n) });
await put(3);
await send("MergeShards", { StreamName, ShardToMerge: id(2), AdjacentShardToMerge: id(3) });
await put(3);
await send("MergeShards", { StreamName, ShardToMerge: id(4), AdjacentShardToMerge: id(1) });
await put(3);

const all = () => [...seen, ...(horizon[id(5)]?.records ?? [])];
await until(
  () => `${all().length} records of ${written * keys.length}, ended ${[...ended]}, ${horizon[id(5)]?.beats} heartbeats, ${Object.values(horizon).map((s) => s.error)}`,
  () => all().length === written * keys.length && horizon[id(5)]?.beats > 0,
);
check(same([...ended].sort(), [0, 1, 2, 3, 4].map(id)), `ended: ${[...ended]}`);
for (const s of Object.values(horizon)) check(!s.error, `${s.shard}: ${s.error}`);
const want = Array.from({ length: written }, (_, i) => i);
for (const k of keys) check(same(all().filter((r) => r.PartitionKey === k).map(value), want), `${k}: ${all().filter((r) => r.PartitionKey === k).map(value)}`);

// The other places to start, on a shard that has ended.
const s = horizon[id(0)].records.length ? id(0) : id(1);
const whole = horizon[s].records;
for (const [name, start, records] of [
  ["at", { Type: "AT_SEQUENCE_NUMBER", SequenceNumber: whole[1].SequenceNumber }, whole.slice(1)],
  ["after", { Type: "AFTER_SEQUENCE_NUMBER", SequenceNumber: whole[1].SequenceNumber }, whole.slice(2)],
  ["timed", { Type: "AT_TIMESTAMP", Timestamp: whole[0].ApproximateArrivalTimestamp }, whole],
]) {
  const got = await subscribe(name, s, start);
  await got.done;
  check(got.children && same(numbers(got.records), numbers(records)), `${name}: ${got.records.length} records, not ${records.length}`);
}
for (const i of [0, 1]) {
  await latest[i].done;
  const { records } = horizon[id(i)];
  check(same(numbers(latest[i].records), numbers(records.filter((r) => value(r) >= 2))), "LATEST");
}

// What ends a stream of events for a reason says so in it.
const last = horizon[id(5)];
await send("DeleteStream", { StreamName, EnforceConsumerDeletion: true });
await until(() => "the deleted stream's subscription goes on", () => last.error, 30);
check(last.error instanceof K.ResourceNotFoundException, `the deleted stream's subscription ended with ${last.error}`);
client.destroy();
console.log(`js @aws-sdk/client-kinesis 3.1143.0 ${endpoint}: ok`);
