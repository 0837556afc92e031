import com.google.common.util.concurrent.ListenableFuture;
import java.nio.ByteBuffer;
import com.amazonaws.services.kinesis.producer.KinesisProducer;
import com.amazonaws.services.kinesis.producer.KinesisProducerConfiguration;
import com.amazonaws.services.kinesis.producer.UserRecordResult;

/** The KPL of com.amazonaws: arguments are host, port, file of the authority, stream and number of records. */
public final class V0 {
    public static void main(String[] args) throws Exception {
        String host = args[0], stream = args[3];
        long port = Long.parseLong(args[1]);
        // configuration
        KinesisProducerConfiguration config = new KinesisProducerConfiguration()
                .setRegion("us-east-1")
                .setKinesisEndpoint(host).setKinesisPort(port)
                .setCloudwatchEndpoint(host).setCloudwatchPort(port)
                .setStsEndpoint(host).setStsPort(port)
                .setVerifyCertificate(false);
        // end of configuration
        config.setMetricsUploadDelay(2_000); // a minute otherwise, which the test would have to wait for
        KinesisProducer kpl = new KinesisProducer(config);
        Load.run(stream, Integer.parseInt(args[4]), new Load.Producer<UserRecordResult>() {
            public ListenableFuture<UserRecordResult> add(String stream, String key, String explicitHashKey, ByteBuffer data) {
                return kpl.addUserRecord(stream, key, explicitHashKey, data);
            }

            public int outstanding() {
                return kpl.getOutstandingRecordsCount();
            }

            public void flush() {
                kpl.flushSync();
            }
        }, r -> r.getAttempts().size() + " " + r.getShardId() + " " + r.getSequenceNumber());
        kpl.destroy();
        System.exit(0);
    }

    private V0() {}
}
