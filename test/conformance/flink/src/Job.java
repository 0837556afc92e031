import java.io.BufferedReader;
import java.io.InputStreamReader;
import java.nio.file.Path;
import java.util.Properties;
import java.util.concurrent.atomic.AtomicBoolean;
import java.util.concurrent.atomic.AtomicInteger;
import org.apache.flink.api.common.eventtime.WatermarkStrategy;
import org.apache.flink.api.common.serialization.SimpleStringSchema;
import org.apache.flink.api.common.state.CheckpointListener;
import org.apache.flink.api.common.state.MapState;
import org.apache.flink.api.common.state.MapStateDescriptor;
import org.apache.flink.api.common.state.ValueState;
import org.apache.flink.api.common.state.ValueStateDescriptor;
import org.apache.flink.api.common.typeinfo.Types;
import org.apache.flink.api.connector.source.lib.NumberSequenceSource;
import org.apache.flink.configuration.Configuration;
import org.apache.flink.connector.kinesis.sink.KinesisStreamsSink;
import org.apache.flink.connector.kinesis.sink.KinesisStreamsSinkBuilder;
import org.apache.flink.core.execution.JobClient;
import org.apache.flink.streaming.api.datastream.DataStream;
import org.apache.flink.streaming.api.environment.StreamExecutionEnvironment;
import org.apache.flink.streaming.api.functions.KeyedProcessFunction;
import org.apache.flink.util.Collector;

/**
 * A job of a source, a function that counts by partition key, and a sink, in a
 * cluster within this process. The test that starts it says on standard input
 * when a task has to fail and when to stop, and is told on standard output of
 * every record, in the order that the function sees them, of checkpoints and of
 * attempts. Arguments: endpoint, source, ARN of the stream to write, folder of
 * checkpoints, and what the source wants: an ARN and a consumer's name, or a
 * number of records.
 */
public final class Job {
    static final AtomicInteger failuresAsked = new AtomicInteger();
    static final AtomicBoolean cancelling = new AtomicBoolean();

    public static void main(String[] args) throws Exception {
        String endpoint = args[0], from = args[1], to = args[2], checkpoints = Path.of(args[3]).toUri().toString();
        Configuration cluster = new Configuration();
        cluster.setString("execution.checkpointing.interval", "500 ms");
        cluster.setString("execution.checkpointing.dir", checkpoints); // Flink 2
        cluster.setString("state.checkpoints.dir", checkpoints); // Flink 1
        cluster.setString("restart-strategy.type", "fixed-delay");
        cluster.setString("restart-strategy.fixed-delay.attempts", "30");
        cluster.setString("restart-strategy.fixed-delay.delay", "100 ms");
        cluster.setString("taskmanager.memory.network.min", "16m");
        cluster.setString("taskmanager.memory.network.max", "16m");
        cluster.setString("taskmanager.memory.managed.size", "8m");
        cluster.setString("taskmanager.memory.segment-size", "4kb"); // so that a sink that has to wait is felt by the source
        StreamExecutionEnvironment env = StreamExecutionEnvironment.createLocalEnvironment(2, cluster);

        DataStream<String> records = from.equals("numbers")
                ? env.fromSource(new NumberSequenceSource(0, Long.parseLong(args[4]) - 1), WatermarkStrategy.noWatermarks(), from)
                        .map(i -> "key-" + i % 97 + " " + i / 97 + " of a job in Apache Flink").returns(Types.STRING)
                : Connector.read(env, endpoint, from, args[4], args[5]);
        records.keyBy(Job::key).process(new Count()).sinkTo(sink(endpoint, to));
        JobClient job = env.executeAsync();
        job.getJobExecutionResult().whenComplete((result, failure) -> {
            if (result != null) {
                say("finished");
            } else if (!cancelling.get()) {
                failure.printStackTrace();
                System.exit(1);
            }
        });

        BufferedReader orders = new BufferedReader(new InputStreamReader(System.in));
        for (String order; (order = orders.readLine()) != null; ) {
            switch (order) {
                case "fail" -> failuresAsked.incrementAndGet();
                case "cancel" -> {
                    cancelling.set(true);
                    job.cancel().get();
                }
                default -> throw new IllegalArgumentException(order);
            }
        }
        System.exit(0);
    }

    static KinesisStreamsSink<String> sink(String endpoint, String arn) {
        // sink
        Properties client = new Properties();
        client.setProperty("aws.endpoint", endpoint);
        client.setProperty("aws.region", "us-east-1");

        KinesisStreamsSinkBuilder<String> sink = KinesisStreamsSink.<String>builder()
                .setKinesisClientProperties(client)
                .setStreamArn(arn)
                .setSerializationSchema(new SimpleStringSchema())
                .setPartitionKeyGenerator(Job::key);
        // end of sink
        sink.setMaxBufferedRequests(1_000); // 10,000 otherwise, which is more than there are before a failure
        return sink.build();
    }

    static String key(String record) {
        return record.substring(0, record.indexOf(' '));
    }

    static synchronized void say(String line) {
        System.out.println(line);
    }

    /** Says of each record how many of its key the state has with it, and if the state had it already. */
    static final class Count extends KeyedProcessFunction<String, String, String> implements CheckpointListener {
        private transient MapState<String, Boolean> seen;
        private transient ValueState<Integer> count;
        private transient boolean restorable; // a checkpoint was made since this attempt began

        @Override
        public void processElement(String record, Context context, Collector<String> out) throws Exception {
            if (seen == null) {
                seen = getRuntimeContext().getMapState(new MapStateDescriptor<>("seen", Types.STRING, Types.BOOLEAN));
                count = getRuntimeContext().getState(new ValueStateDescriptor<>("count", Types.INT));
            }
            String index = record.split(" ")[1];
            int n = count.value() == null ? 0 : count.value();
            if (seen.contains(index)) {
                say("twice " + record);
            } else {
                seen.put(index, true);
                count.update(++n);
            }
            say("record " + n + " " + record);
            out.collect(record);
            if (restorable && failuresAsked.getAndUpdate(n2 -> Math.max(0, n2 - 1)) > 0) {
                say("failing");
                throw new IllegalStateException("a failure on purpose");
            }
        }

        @Override
        public void notifyCheckpointComplete(long id) {
            restorable = true;
            say("checkpoint " + id);
        }
    }

    private Job() {}
}
