import java.util.Properties;
import org.apache.flink.api.common.serialization.SimpleStringSchema;
import org.apache.flink.streaming.api.datastream.DataStream;
import org.apache.flink.streaming.api.environment.StreamExecutionEnvironment;
import org.apache.flink.streaming.connectors.kinesis.FlinkKinesisConsumer;

/** The source of org.apache.flink:flink-connector-kinesis 4.3. */
final class Connector {
    static DataStream<String> read(StreamExecutionEnvironment env, String endpoint, String source, String arn, String consumer) {
        String stream = arn.substring(arn.indexOf('/') + 1);
        // consumer
        Properties config = new Properties();
        config.setProperty("aws.endpoint", endpoint);
        config.setProperty("aws.region", "us-east-1");
        config.setProperty("flink.stream.initpos", "TRIM_HORIZON");
        // end of consumer
        if (source.equals("fan-out")) {
            // fan-out
            config.setProperty("flink.stream.recordpublisher", "EFO");
            config.setProperty("flink.stream.efo.consumername", consumer);
            // end of fan-out
        }
        config.setProperty("flink.shard.discovery.intervalmillis", "1000"); // ten seconds otherwise
        return env.addSource(new FlinkKinesisConsumer<>(stream, new SimpleStringSchema(), config));
    }

    private Connector() {}
}
