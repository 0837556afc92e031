// The fan-out session with the AWS SDK for Java v2's async client: CBOR and
// HTTP/2, which are its defaults, configured by nothing but the endpoint. See
// ../README.md.

import java.math.BigInteger;
import java.net.URI;
import java.util.ArrayList;
import java.util.Collections;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.TreeSet;
import java.util.UUID;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CompletionException;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.TimeUnit;
import java.util.function.Consumer;
import java.util.function.Supplier;
import java.util.stream.IntStream;
import software.amazon.awssdk.core.SdkBytes;
import software.amazon.awssdk.services.kinesis.KinesisAsyncClient;
import software.amazon.awssdk.services.kinesis.model.*;
import software.amazon.awssdk.services.kinesis.model.Record;

public class FanOut {
  static String endpoint;
  static final String stream = "java-fan-" + UUID.randomUUID().toString().substring(0, 8);
  static KinesisAsyncClient kinesis;
  static final Map<String, String> consumers = new HashMap<>();

  static void check(boolean ok, String what) {
    if (!ok) throw new IllegalStateException("java " + endpoint + ": " + what);
  }

  static String id(int i) {
    return String.format("shardId-%012d", i);
  }

  static void until(Supplier<String> what, Supplier<Boolean> done) throws Exception {
    for (long end = System.currentTimeMillis() + 60_000; !done.get(); Thread.sleep(20)) check(System.currentTimeMillis() < end, what.get());
  }

  static StartingPosition.Builder at(ShardIteratorType type) {
    return StartingPosition.builder().type(type);
  }

  // One subscription: begun on return, done when it has ended.
  static class Reader {
    final String shard;
    final List<Record> records = Collections.synchronizedList(new ArrayList<>());
    volatile List<ChildShard> children;
    volatile int beats;
    BigInteger last = BigInteger.ZERO;
    final CompletableFuture<Void> begun = new CompletableFuture<>();
    final CompletableFuture<Void> done;

    Reader(String consumer, String shard, StartingPosition.Builder start, Consumer<Reader> ended) {
      this.shard = shard;
      var handler = SubscribeToShardResponseHandler.builder()
          .onResponse(r -> begun.complete(null))
          .subscriber(SubscribeToShardResponseHandler.Visitor.builder().onSubscribeToShardEvent(this::take).build())
          .build();
      done = kinesis.subscribeToShard(b -> b.consumerARN(consumers.get(consumer)).shardId(shard).startingPosition(start.build()), handler)
          .thenRun(() -> { if (children != null && ended != null) ended.accept(this); });
      done.exceptionally(e -> { begun.completeExceptionally(e); return null; });
    }

    void take(SubscribeToShardEvent e) {
      check(e.millisBehindLatest() >= 0, "MillisBehindLatest");
      check(children == null, "an event after the shard's end");
      check((e.continuationSequenceNumber() == null) == !e.childShards().isEmpty(), "the continuation is absent exactly at the shard's end");
      for (var r : e.records()) {
        check(new BigInteger(r.sequenceNumber()).compareTo(last) > 0, "sequence numbers rise");
        last = new BigInteger(r.sequenceNumber());
        records.add(r);
      }
      if (e.continuationSequenceNumber() != null) {
        check(new BigInteger(e.continuationSequenceNumber()).compareTo(last) >= 0, "the continuation is not before the last record");
        last = new BigInteger(e.continuationSequenceNumber());
        if (e.records().isEmpty()) beats++;
      } else {
        children = e.childShards();
      }
    }

    Reader begin() {
      begun.join();
      return this;
    }

    List<Record> end() throws Exception {
      done.get(60, TimeUnit.SECONDS);
      check(children != null, shard + " was left before its end");
      return records;
    }
  }

  // Whoever reads a shard to its end goes on with each child once both its
  // parents have ended.
  static final Map<String, Reader> horizon = new ConcurrentHashMap<>();
  static final List<Record> seen = new ArrayList<>();
  static final Set<String> ended = new TreeSet<>();

  static synchronized void follow(Reader r) {
    seen.addAll(r.records);
    ended.add(r.shard);
    for (var c : r.children) {
      check(new BigInteger(c.hashKeyRange().startingHashKey()).compareTo(new BigInteger(c.hashKeyRange().endingHashKey())) < 0, "a child's hash key range");
      check(c.parentShards().contains(r.shard), "a child without its parent");
      if (ended.containsAll(c.parentShards())) horizon.put(c.shardId(), new Reader("horizon", c.shardId(), at(ShardIteratorType.TRIM_HORIZON), FanOut::follow));
    }
  }

  static synchronized List<Record> all() {
    var all = new ArrayList<>(seen);
    if (horizon.containsKey(id(5))) all.addAll(List.copyOf(horizon.get(id(5)).records));
    return all;
  }

  static final int keys = 6;
  static int written = 0;

  static void put(int rounds) {
    for (; rounds > 0; rounds--, written++) {
      for (int k = 0; k < keys; k++) {
        String key = "key-" + k, data = "" + written;
        kinesis.putRecord(b -> b.streamName(stream).partitionKey(key).data(SdkBytes.fromUtf8String(data))).join();
      }
    }
  }

  static int value(Record r) {
    return Integer.parseInt(r.data().asUtf8String());
  }

  public static void main(String[] args) throws Exception {
    endpoint = args[0];
    kinesis = KinesisAsyncClient.builder().endpointOverride(URI.create(endpoint)).build();
    kinesis.createStream(b -> b.streamName(stream).shardCount(2)).join();
    kinesis.waiter().waitUntilStreamExists(b -> b.streamName(stream)).join();
    var arn = kinesis.describeStreamSummary(b -> b.streamName(stream)).join().streamDescriptionSummary().streamARN();
    for (var name : List.of("horizon", "latest", "at", "after", "timed")) {
      var c = kinesis.registerStreamConsumer(b -> b.streamARN(arn).consumerName(name)).join().consumer().consumerARN();
      while (kinesis.describeStreamConsumer(b -> b.consumerARN(c)).join().consumerDescription().consumerStatus() != ConsumerStatus.ACTIVE) Thread.sleep(50);
      consumers.put(name, c);
    }

    put(2);
    var latest = new ArrayList<Reader>();
    for (int i = 0; i < 2; i++) {
      horizon.put(id(i), new Reader("horizon", id(i), at(ShardIteratorType.TRIM_HORIZON), FanOut::follow).begin());
      latest.add(new Reader("latest", id(i), at(ShardIteratorType.LATEST), null).begin());
    }
    try {
      new Reader("horizon", id(0), at(ShardIteratorType.LATEST), null).begin();
      check(false, "a second subscription at once");
    } catch (CompletionException e) {
      Throwable t = e;
      while (t instanceof CompletionException) t = t.getCause();
      check(t instanceof ResourceInUseException, "a second subscription at once: " + t);
    }
    put(3);
    kinesis.splitShard(b -> b.streamName(stream).shardToSplit(id(0)).newStartingHashKey(BigInteger.TWO.pow(126).toString())).join();
    put(3);
    kinesis.mergeShards(b -> b.streamName(stream).shardToMerge(id(2)).adjacentShardToMerge(id(3))).join();
    put(3);
    kinesis.mergeShards(b -> b.streamName(stream).shardToMerge(id(4)).adjacentShardToMerge(id(1))).join();
    put(3);

    until(() -> all().size() + " records of " + written * keys + ", ended " + ended + ", failed " + horizon.values().stream().filter(r -> r.done.isCompletedExceptionally()).map(r -> r.shard + r.done).toList(),
        () -> all().size() == written * keys && horizon.get(id(5)).beats > 0);
    check(List.copyOf(ended).equals(IntStream.range(0, 5).mapToObj(FanOut::id).toList()), "ended: " + ended);
    var want = IntStream.range(0, written).boxed().toList();
    for (int k = 0; k < keys; k++) {
      var key = "key-" + k;
      var got = all().stream().filter(r -> r.partitionKey().equals(key)).map(FanOut::value).toList();
      check(got.equals(want), key + ": " + got);
    }

    // The other places to start, on a shard that has ended.
    var s = horizon.get(id(0)).end().isEmpty() ? id(1) : id(0);
    var whole = horizon.get(s).end();
    var second = whole.get(1).sequenceNumber();
    check(new Reader("at", s, at(ShardIteratorType.AT_SEQUENCE_NUMBER).sequenceNumber(second), null).end().equals(whole.subList(1, whole.size())), "AT_SEQUENCE_NUMBER");
    check(new Reader("after", s, at(ShardIteratorType.AFTER_SEQUENCE_NUMBER).sequenceNumber(second), null).end().equals(whole.subList(2, whole.size())), "AFTER_SEQUENCE_NUMBER");
    check(new Reader("timed", s, at(ShardIteratorType.AT_TIMESTAMP).timestamp(whole.get(0).approximateArrivalTimestamp()), null).end().equals(whole), "AT_TIMESTAMP");
    for (int i = 0; i < 2; i++) {
      check(latest.get(i).end().equals(horizon.get(id(i)).end().stream().filter(r -> value(r) >= 2).toList()), "LATEST");
    }

    // What ends a stream of events for a reason says so in it.
    kinesis.deleteStream(b -> b.streamName(stream).enforceConsumerDeletion(true)).join();
    try {
      horizon.get(id(5)).done.get(30, TimeUnit.SECONDS);
      check(false, "the deleted stream's subscription ended well");
    } catch (java.util.concurrent.ExecutionException e) {
      Throwable t = e;
      while (t instanceof CompletionException || t instanceof java.util.concurrent.ExecutionException) t = t.getCause();
      check(t instanceof ResourceNotFoundException, "the deleted stream's subscription ended with " + t);
    }
    kinesis.close();
    System.out.println("java software.amazon.awssdk:kinesis 2.40.3 " + endpoint + ": ok");
  }
}
