import com.google.common.util.concurrent.ListenableFuture;
import java.io.BufferedReader;
import java.io.InputStreamReader;
import java.io.PrintStream;
import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.List;

/**
 * What both versions of the KPL are put through: many user records, added as
 * fast as the producer's own limits let them. The test is told when a quarter is
 * in, and afterwards of each record: number, attempts, shard and sequence number.
 * A line on standard input ends it.
 */
final class Load {
    /** The part of a producer that is used, whatever its package. */
    interface Producer<R> {
        ListenableFuture<R> add(String stream, String key, String explicitHashKey, ByteBuffer data);

        int outstanding();

        void flush();
    }

    /** What is told of a record that was put. */
    interface Report<R> {
        String line(R result);
    }

    static <R> void run(String stream, int records, Producer<R> producer, Report<R> report) throws Exception {
        PrintStream out = new PrintStream(System.out, false, StandardCharsets.UTF_8);
        BufferedReader in = new BufferedReader(new InputStreamReader(System.in, StandardCharsets.UTF_8));
        List<ListenableFuture<R>> futures = new ArrayList<>(records);
        for (int i = 0; i < records; i++) {
            while (producer.outstanding() > 20_000) { // as the KPL's documentation has it
                Thread.sleep(1);
            }
            if (i == records / 4) {
                out.println("quarter");
                out.flush();
            }
            futures.add(producer.add(stream, "key-" + i % 997, hashKey(i), ByteBuffer.wrap(data(i).getBytes(StandardCharsets.UTF_8))));
        }
        producer.flush();
        for (int i = 0; i < records; i++) {
            out.println("record " + i + " " + report.line(futures.get(i).get())); // which throws if it failed
        }
        out.println("done");
        out.flush();
        in.readLine(); // keeps the producer alive while its metrics are waited for
    }

    /** Every tenth record is routed by a hash key of its own. */
    private static String hashKey(int i) {
        return i % 10 == 0 ? "34028236692093846346337460743176" + (100_000 + i) : null;
    }

    private static String data(int i) {
        return "record " + i + " of a producer, with a few words more to be of some length";
    }

    private Load() {}
}
