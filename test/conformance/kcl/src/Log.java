import java.io.FileOutputStream;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;
import java.util.HexFormat;

/**
 * What one worker did, a line each, at the end of a file that all workers of an application share. A line is one write
 * to the file opened for appending: it stays when the process is killed, and the lines are in the order of what happened.
 */
final class Log {
    private final FileOutputStream file;
    private final String worker;

    Log(String file, String worker) throws IOException {
        this.file = new FileOutputStream(file, true);
        this.worker = worker;
    }

    void say(String... words) {
        try {
            file.write((worker + " " + String.join(" ", words) + "\n").getBytes(StandardCharsets.UTF_8));
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
    }

    void record(String shard, String sequence, String key, ByteBuffer data) {
        byte[] bytes = new byte[data.remaining()];
        data.get(bytes);
        say("record", shard, sequence, key, HexFormat.of().formatHex(bytes));
    }

    /** Says when a shard's progress is due to be stored: when there is some, once in two seconds, as applications do it. */
    static final class Due {
        private boolean some;
        private long last = System.nanoTime();

        boolean after(boolean records) {
            some |= records;
            if (!some || System.nanoTime() - last < 2_000_000_000L) {
                return false;
            }
            some = false;
            last = System.nanoTime();
            return true;
        }
    }

    /** Ends this process when the one that started it closes its standard input, or is gone. */
    static void endWithStarter() {
        Thread waiting = new Thread(() -> {
            try {
                while (System.in.read() >= 0) {}
            } catch (IOException e) {
                // it is gone as well
            }
            Runtime.getRuntime().halt(0);
        });
        waiting.setDaemon(true);
        waiting.start();
    }
}
