// The conformance session with the AWS SDK for Java v2's async client: CBOR
// and HTTP/2, which are its defaults, configured by nothing but the endpoint.
// See ../README.md.

import java.math.BigInteger;
import java.net.URI;
import java.nio.charset.StandardCharsets;
import java.time.Duration;
import java.time.Instant;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.TreeSet;
import java.util.UUID;
import java.util.concurrent.CompletionException;
import java.util.concurrent.Callable;
import software.amazon.awssdk.core.SdkBytes;
import software.amazon.awssdk.services.kinesis.KinesisAsyncClient;
import software.amazon.awssdk.services.kinesis.model.*;
import software.amazon.awssdk.services.kinesis.model.Record;

public class Session {
  static String endpoint;
  static final String stream = "java-" + UUID.randomUUID().toString().substring(0, 8);
  static KinesisAsyncClient kinesis;

  record Found(List<Record> records, List<ChildShard> children) {}

  static void check(boolean ok, String what) {
    if (!ok) throw new IllegalStateException("java " + endpoint + ": " + what);
  }

  static StreamDescriptionSummary waitActive() throws Exception {
    for (int i = 0; i < 200; i++) {
      var d = kinesis.describeStreamSummary(b -> b.streamName(stream)).join().streamDescriptionSummary();
      if (d.streamStatus() == StreamStatus.ACTIVE) return d;
      Thread.sleep(50);
    }
    throw new IllegalStateException("stream did not become ACTIVE");
  }

  static Found read(String shard, java.util.function.Consumer<GetShardIteratorRequest.Builder> start) {
    var it = kinesis.getShardIterator(b -> start.accept(b.streamName(stream).shardId(shard))).join().shardIterator();
    var records = new ArrayList<Record>();
    while (true) {
      String at = it;
      var out = kinesis.getRecords(b -> b.shardIterator(at).limit(7)).join();
      records.addAll(out.records());
      if (out.nextShardIterator() == null) {
        check(!out.childShards().isEmpty(), "no next iterator, but no children either");
        return new Found(records, out.childShards());
      }
      check(out.childShards().isEmpty(), "a next iterator together with children");
      check(!out.nextShardIterator().equals(it), "the next iterator is the same");
      it = out.nextShardIterator();
      if (out.records().isEmpty() && out.millisBehindLatest() == 0) return new Found(records, List.of());
    }
  }

  static Found read(String shard) {
    return read(shard, b -> b.shardIteratorType(ShardIteratorType.TRIM_HORIZON));
  }

  static List<BigInteger> numbers(List<Record> rs) {
    return rs.stream().map(r -> new BigInteger(r.sequenceNumber())).toList();
  }

  static String text(SdkBytes b) {
    return new String(b.asByteArray(), StandardCharsets.ISO_8859_1);
  }

  static void fails(Class<? extends KinesisException> want, Callable<?> call) throws Exception {
    try {
      call.call();
    } catch (CompletionException e) {
      check(want.isInstance(e.getCause()), "want " + want.getSimpleName() + ", got " + e.getCause());
      check(((KinesisException) e.getCause()).requestId() != null, "request id of an error");
      return;
    }
    check(false, "no " + want.getSimpleName());
  }

  public static void main(String[] args) throws Exception {
    endpoint = args[0];
    kinesis = KinesisAsyncClient.builder().endpointOverride(URI.create(endpoint)).build();
    kinesis.createStream(b -> b.streamName(stream).shardCount(2)).join();
    var summary = waitActive();
    check(summary.openShardCount() == 2, "summary");
    check(Duration.between(summary.streamCreationTimestamp(), Instant.now()).abs().toSeconds() < 60, "creation time");
    var arn = summary.streamARN();
    var shards = kinesis.listShards(b -> b.streamARN(arn)).join().shards();
    check(shards.stream().map(Shard::shardId).toList().equals(List.of("shardId-000000000000", "shardId-000000000001")), "shard ids");
    check(shards.get(0).hashKeyRange().startingHashKey().equals("0"), "first hash key");
    var top = BigInteger.ONE.shiftLeft(128).subtract(BigInteger.ONE);
    check(new BigInteger(shards.get(1).hashKeyRange().endingHashKey()).equals(top), "last hash key");

    var bytes = new byte[256];
    for (int i = 0; i < 256; i++) bytes[i] = (byte) i;
    var all = SdkBytes.fromByteArray(bytes);
    var first = kinesis.putRecord(b -> b.streamName(stream).partitionKey("schlüssel-ключ-鍵").data(all)).join();
    var puts = new ArrayList<PutRecordsRequestEntry>();
    for (int i = 0; i < 25; i++) {
      var data = SdkBytes.fromUtf8String(("record " + i + " ").repeat(i + 1));
      puts.add(PutRecordsRequestEntry.builder().partitionKey("k" + i % 5).data(data).build());
    }
    puts.add(PutRecordsRequestEntry.builder().partitionKey("explicit").explicitHashKey(top.toString()).data(SdkBytes.fromByteArray(new byte[0])).build());
    var put = kinesis.putRecords(b -> b.streamARN(arn).records(puts)).join();
    check(put.failedRecordCount() == 0 && put.records().size() == 26, "PutRecords");
    check(put.records().get(25).shardId().equals("shardId-000000000001"), "explicit hash key decides the shard");

    Map<String, List<String>> want = new HashMap<>(), seen = new HashMap<>();
    want.computeIfAbsent("schlüssel-ключ-鍵", k -> new ArrayList<>()).add(text(all));
    for (var p : puts) want.computeIfAbsent(p.partitionKey(), k -> new ArrayList<>()).add(text(p.data()));
    for (var s : shards) {
      var got = read(s.shardId()).records();
      check(numbers(got).equals(new ArrayList<>(new TreeSet<>(numbers(got)))), "sequence numbers rise");
      for (var r : got) {
        check(Duration.between(r.approximateArrivalTimestamp(), Instant.now()).abs().toSeconds() < 60, "arrival time");
        seen.computeIfAbsent(r.partitionKey(), k -> new ArrayList<>()).add(text(r.data()));
      }
    }
    check(seen.equals(want), "what was put is not what was read");

    var at = read(first.shardId(), b -> b.shardIteratorType(ShardIteratorType.AT_SEQUENCE_NUMBER).startingSequenceNumber(first.sequenceNumber())).records();
    check(at.get(0).sequenceNumber().equals(first.sequenceNumber()), "AT_SEQUENCE_NUMBER");
    var after = read(first.shardId(), b -> b.shardIteratorType(ShardIteratorType.AFTER_SEQUENCE_NUMBER).startingSequenceNumber(first.sequenceNumber())).records();
    check(numbers(after).equals(numbers(at).subList(1, at.size())), "AFTER_SEQUENCE_NUMBER");
    var timed = read(first.shardId(), b -> b.shardIteratorType(ShardIteratorType.AT_TIMESTAMP).timestamp(at.get(0).approximateArrivalTimestamp())).records();
    check(numbers(timed).equals(numbers(at)), "AT_TIMESTAMP");

    kinesis.splitShard(b -> b.streamName(stream).shardToSplit("shardId-000000000000").newStartingHashKey(BigInteger.TWO.pow(126).toString())).join();
    waitActive();
    var child = kinesis.putRecord(b -> b.streamName(stream).partitionKey("x").explicitHashKey("0").data(SdkBytes.fromUtf8String("to the first child"))).join();
    check(child.shardId().equals("shardId-000000000002"), "after the split the child takes the record");
    var children = read("shardId-000000000000").children();
    check(new TreeSet<>(children.stream().map(ChildShard::shardId).toList()).equals(new TreeSet<>(List.of("shardId-000000000002", "shardId-000000000003"))), "children of the split");
    check(children.stream().allMatch(c -> c.parentShards().equals(List.of("shardId-000000000000"))), "parents of the children");
    check(read("shardId-000000000002").records().stream().map(r -> text(r.data())).toList().equals(List.of("to the first child")), "the child's records");
    kinesis.mergeShards(b -> b.streamName(stream).shardToMerge("shardId-000000000002").adjacentShardToMerge("shardId-000000000003")).join();
    waitActive();
    children = read("shardId-000000000003").children();
    check(children.size() == 1 && children.get(0).parentShards().size() == 2, "a merge child has two parents");

    fails(ResourceInUseException.class, () -> kinesis.createStream(b -> b.streamName(stream).shardCount(1)).join());
    fails(ResourceNotFoundException.class, () -> kinesis.putRecord(b -> b.streamName("no-such").partitionKey("a").data(all)).join());
    fails(InvalidArgumentException.class, () -> kinesis.getRecords(b -> b.shardIterator("AAAA")).join());

    kinesis.deleteStream(b -> b.streamName(stream)).join();
    for (int i = 0; ; i++) {
      try {
        kinesis.describeStreamSummary(b -> b.streamName(stream)).join();
      } catch (CompletionException e) {
        check(e.getCause() instanceof ResourceNotFoundException, "" + e.getCause());
        break;
      }
      check(i < 200, "stream is not gone");
      Thread.sleep(50);
    }
    kinesis.close();
    System.out.println("java software.amazon.awssdk:kinesis 2.40.3 " + endpoint + ": ok");
  }
}
