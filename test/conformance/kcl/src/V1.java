import com.amazonaws.client.builder.AwsClientBuilder.EndpointConfiguration;
import com.amazonaws.services.cloudwatch.AmazonCloudWatch;
import com.amazonaws.services.cloudwatch.AmazonCloudWatchClientBuilder;
import com.amazonaws.services.dynamodbv2.AmazonDynamoDB;
import com.amazonaws.services.dynamodbv2.AmazonDynamoDBClientBuilder;
import com.amazonaws.services.kinesis.AmazonKinesis;
import com.amazonaws.services.kinesis.AmazonKinesisClientBuilder;
import com.amazonaws.services.kinesis.clientlibrary.interfaces.IRecordProcessorCheckpointer;
import com.amazonaws.services.kinesis.clientlibrary.interfaces.v2.IRecordProcessor;
import com.amazonaws.services.kinesis.clientlibrary.interfaces.v2.IShutdownNotificationAware;
import com.amazonaws.services.kinesis.clientlibrary.lib.worker.InitialPositionInStream;
import com.amazonaws.services.kinesis.clientlibrary.lib.worker.KinesisClientLibConfiguration;
import com.amazonaws.services.kinesis.clientlibrary.lib.worker.ShutdownReason;
import com.amazonaws.services.kinesis.clientlibrary.lib.worker.Worker;
import com.amazonaws.services.kinesis.clientlibrary.types.InitializationInput;
import com.amazonaws.services.kinesis.clientlibrary.types.ProcessRecordsInput;
import com.amazonaws.services.kinesis.clientlibrary.types.ShutdownInput;
import com.amazonaws.auth.DefaultAWSCredentialsProviderChain;

/** A worker of KCL 1: arguments are endpoint, application, stream, worker and file. */
public final class V1 {
    public static void main(String[] args) throws Exception {
        String application = args[1], stream = args[2], id = args[3];
        Log log = new Log(args[4], id);
        // configuration
        EndpointConfiguration endpoint = new EndpointConfiguration(args[0], "us-east-1");
        AmazonKinesis kinesis = AmazonKinesisClientBuilder.standard().withEndpointConfiguration(endpoint).build();
        AmazonDynamoDB dynamo = AmazonDynamoDBClientBuilder.standard().withEndpointConfiguration(endpoint).build();
        AmazonCloudWatch cloudWatch = AmazonCloudWatchClientBuilder.standard().withEndpointConfiguration(endpoint).build();
        KinesisClientLibConfiguration config =
                new KinesisClientLibConfiguration(application, stream, new DefaultAWSCredentialsProviderChain(), id)
                        .withInitialPositionInStream(InitialPositionInStream.TRIM_HORIZON);
        // end of configuration
        // Waits that a test would have to sit through; and calls without records, to checkpoint what came before.
        config.withFailoverTimeMillis(3_000).withShardSyncIntervalMillis(1_000).withParentShardPollIntervalMillis(500)
                .withCallProcessRecordsEvenForEmptyRecordList(true);
        // builder
        Worker worker = new Worker.Builder()
                .recordProcessorFactory(() -> new Processor(log))
                .config(config)
                .kinesisClient(kinesis).dynamoDBClient(dynamo).cloudWatchClient(cloudWatch)
                .build();
        // end of builder
        Log.endWithStarter();
        worker.run();
    }

    private static final class Processor implements IRecordProcessor, IShutdownNotificationAware {
        private final Log log;
        private final Log.Due due = new Log.Due();
        private String shard;

        Processor(Log log) {
            this.log = log;
        }

        public void initialize(InitializationInput in) {
            shard = in.getShardId();
            log.say("lease", shard);
        }

        public void processRecords(ProcessRecordsInput in) {
            in.getRecords().forEach(r -> log.record(shard, r.getSequenceNumber(), r.getPartitionKey(), r.getData()));
            if (due.after(!in.getRecords().isEmpty())) {
                checkpoint("checkpoint", in.getCheckpointer());
            }
        }

        public void shutdown(ShutdownInput in) {
            if (in.getShutdownReason() == ShutdownReason.TERMINATE) {
                checkpoint("end", in.getCheckpointer());
            } else {
                log.say("lost", shard);
            }
        }

        public void shutdownRequested(IRecordProcessorCheckpointer checkpointer) {
            checkpoint("leave", checkpointer);
        }

        private void checkpoint(String event, IRecordProcessorCheckpointer checkpointer) {
            try {
                checkpointer.checkpoint();
                log.say(event, shard);
            } catch (Exception e) {
                log.say("failed", event, shard, e.toString().replace('\n', ' '));
            }
        }
    }

    private V1() {}
}
