import org.apache.flink.api.common.eventtime.WatermarkStrategy;
import org.apache.flink.api.common.serialization.SimpleStringSchema;
import org.apache.flink.configuration.Configuration;
import org.apache.flink.connector.kinesis.source.KinesisStreamsSource;
import org.apache.flink.streaming.api.datastream.DataStream;
import org.apache.flink.streaming.api.environment.StreamExecutionEnvironment;

/** The source of org.apache.flink:flink-connector-aws-kinesis-streams 6.0, as built from its tag. */
final class Connector {
    static DataStream<String> read(StreamExecutionEnvironment env, String endpoint, String source, String arn, String consumer) {
        // source
        Configuration config = new Configuration();
        config.setString("aws.endpoint", endpoint);
        config.setString("source.init.position", "TRIM_HORIZON");
        // end of source
        if (source.startsWith("fan-out")) {
            // fan-out
            config.setString("source.reader.type", "EFO");
            config.setString("source.efo.consumer.name", consumer);
            // end of fan-out
        }
        if (source.equals("fan-out-kept")) {
            config.setString("source.efo.lifecycle", "SELF_MANAGED");
        }
        config.setString("source.shard.discovery.interval", "1 s");
        KinesisStreamsSource<String> built = KinesisStreamsSource.<String>builder()
                .setStreamArn(arn)
                .setSourceConfig(config)
                .setDeserializationSchema(new SimpleStringSchema())
                .build();
        return env.fromSource(built, WatermarkStrategy.noWatermarks(), source).returns(String.class);
    }

    private Connector() {}
}
