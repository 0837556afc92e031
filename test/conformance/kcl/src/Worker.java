import java.net.URI;
import software.amazon.awssdk.services.cloudwatch.CloudWatchAsyncClient;
import software.amazon.awssdk.services.dynamodb.DynamoDbAsyncClient;
import software.amazon.awssdk.services.kinesis.KinesisAsyncClient;
import software.amazon.kinesis.common.ConfigsBuilder;
import software.amazon.kinesis.common.InitialPositionInStream;
import software.amazon.kinesis.common.InitialPositionInStreamExtended;
import software.amazon.kinesis.common.KinesisClientUtil;
import software.amazon.kinesis.coordinator.Scheduler;
import software.amazon.kinesis.lifecycle.events.InitializationInput;
import software.amazon.kinesis.lifecycle.events.LeaseLostInput;
import software.amazon.kinesis.lifecycle.events.ProcessRecordsInput;
import software.amazon.kinesis.lifecycle.events.ShardEndedInput;
import software.amazon.kinesis.lifecycle.events.ShutdownRequestedInput;
import software.amazon.kinesis.processor.RecordProcessorCheckpointer;
import software.amazon.kinesis.processor.ShardRecordProcessor;
import software.amazon.kinesis.processor.SingleStreamTracker;
import software.amazon.kinesis.retrieval.polling.PollingConfig;

/** A worker of KCL 2 or 3: arguments are endpoint, application, stream, worker, file and "fan-out" or "polling". */
public final class Worker {
    public static void main(String[] args) throws Exception {
        String application = args[1], stream = args[2], worker = args[3];
        Log log = new Log(args[4], worker);
        // configuration
        URI endpoint = URI.create(args[0]);
        KinesisAsyncClient kinesis = KinesisClientUtil.createKinesisAsyncClient(KinesisAsyncClient.builder().endpointOverride(endpoint));
        DynamoDbAsyncClient dynamo = DynamoDbAsyncClient.builder().endpointOverride(endpoint).build();
        CloudWatchAsyncClient cloudWatch = CloudWatchAsyncClient.builder().endpointOverride(endpoint).build();
        ConfigsBuilder configs = new ConfigsBuilder(
                new SingleStreamTracker(stream, InitialPositionInStreamExtended.newInitialPosition(InitialPositionInStream.TRIM_HORIZON)),
                application, kinesis, dynamo, cloudWatch, worker, () -> new Processor(log));
        // end of configuration
        var retrieval = configs.retrievalConfig();
        if (args[5].equals("polling")) {
            retrieval = retrieval.retrievalSpecificConfig(new PollingConfig(stream, kinesis));
        }
        // Waits that a test would have to sit through; and calls without records, to checkpoint what came before.
        Scheduler scheduler = new Scheduler(configs.checkpointConfig(), configs.coordinatorConfig().parentShardPollIntervalMillis(500),
                configs.leaseManagementConfig().failoverTimeMillis(3_000).shardSyncIntervalMillis(1_000),
                configs.lifecycleConfig(), configs.metricsConfig(), configs.processorConfig().callProcessRecordsEvenForEmptyRecordList(true), retrieval);
        Log.endWithStarter();
        scheduler.run();
    }

    private static final class Processor implements ShardRecordProcessor {
        private final Log log;
        private final Log.Due due = new Log.Due();
        private String shard;

        Processor(Log log) {
            this.log = log;
        }

        public void initialize(InitializationInput in) {
            shard = in.shardId();
            log.say("lease", shard);
        }

        public void processRecords(ProcessRecordsInput in) {
            in.records().forEach(r -> log.record(shard, r.sequenceNumber(), r.partitionKey(), r.data()));
            if (due.after(!in.records().isEmpty())) {
                checkpoint("checkpoint", in.checkpointer());
            }
        }

        public void leaseLost(LeaseLostInput in) {
            log.say("lost", shard);
        }

        public void shardEnded(ShardEndedInput in) {
            checkpoint("end", in.checkpointer());
        }

        public void shutdownRequested(ShutdownRequestedInput in) {
            checkpoint("leave", in.checkpointer());
        }

        private void checkpoint(String event, RecordProcessorCheckpointer checkpointer) {
            try {
                checkpointer.checkpoint();
                log.say(event, shard);
            } catch (Exception e) {
                log.say("failed", event, shard, e.toString().replace('\n', ' '));
            }
        }
    }

    private Worker() {}
}
