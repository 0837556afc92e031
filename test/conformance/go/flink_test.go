package conformance

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/config"
	"github.com/aws/aws-sdk-go-v2/service/kinesis"
	"github.com/aws/aws-sdk-go-v2/service/kinesis/types"
)

const flinkKeys = 40

// flinkSource is a way to read with one of Flink's connectors (see ../flink).
type flinkSource struct {
	name     string
	endpoint string
	fanOut   bool
	keeps    bool // the consumer is there before the job, and after it
	inOrder  bool // the connector reads a shard only once its parents are read
}

// TestFlink starts jobs that read one stream and write another, in each way
// that the connector has, with checkpoints: tasks fail while records are put,
// once before a shard is split, once after that and once after two are merged.
// Every record is seen, unchanged; first occurrences are in the order in which
// they were put, by key, and for connectors without an order of shards by key
// and shard; by the state that goes back with a checkpoint each record is seen
// exactly once; all of them are in the stream that the sink writes.
// FLINK_CONNECTOR and FLINK_CLASSPATH say which version it is.
func TestFlink(t *testing.T) {
	sources := map[string][]flinkSource{
		"v4": {
			{name: "polling", endpoint: "THALWEG_HTTP"},
			{name: "fan-out", endpoint: "THALWEG_HTTPS", fanOut: true},
		},
		"v6": {
			{name: "polling", endpoint: "THALWEG_HTTP", inOrder: true},
			{name: "fan-out", endpoint: "THALWEG_HTTPS", fanOut: true, inOrder: true},
			{name: "fan-out-kept", endpoint: "THALWEG_HTTP", fanOut: true, keeps: true, inOrder: true},
		},
	}[endpoint(t, "FLINK_CONNECTOR")]
	for _, source := range sources {
		t.Run(source.name, func(t *testing.T) { source.run(t) })
	}
	t.Run("sink", flinkSink)
}

func (source flinkSource) run(t *testing.T) {
	from, to := newFlinkStream(t, source.name+"-from", 2), newFlinkStream(t, source.name+"-to", 2)
	ctx, k := t.Context(), from.k
	consumer := "flink-reads"
	if source.keeps {
		must[*kinesis.RegisterStreamConsumerOutput](t)(k.RegisterStreamConsumer(ctx, &kinesis.RegisterStreamConsumerInput{StreamARN: &from.arn, ConsumerName: &consumer}))
	}
	job := startFlink(t, endpoint(t, source.endpoint), source.name, to.arn, t.TempDir(), from.arn, consumer)
	written, enough := make(chan int, 1), make(chan struct{})
	go func() { written <- from.put(enough) }()

	job.failAfter(1_000)
	must[*kinesis.SplitShardOutput](t)(k.SplitShard(ctx, &kinesis.SplitShardInput{StreamName: &from.stream, ShardToSplit: aws.String("shardId-000000000000"), NewStartingHashKey: aws.String("42535295865117307932921825928971026432")}))
	from.active()
	job.failAfter(len(job.first) + 1_000)
	must[*kinesis.MergeShardsOutput](t)(k.MergeShards(ctx, &kinesis.MergeShardsInput{StreamName: &from.stream, ShardToMerge: aws.String("shardId-000000000003"), AdjacentShardToMerge: aws.String("shardId-000000000001")}))
	from.active()
	job.failAfter(len(job.first) + 1_000)
	close(enough)
	n := <-written
	job.until("every record", func() bool { return len(job.first) == n })
	job.until("what the last failure took back", func() bool {
		for key := range flinkKeys {
			if job.counts[fmt.Sprint("key-", key)] != n/flinkKeys {
				return false
			}
		}
		return true
	})
	to.has(n)
	if source.fanOut {
		if c := from.consumers(); !slices.Equal(c, []string{consumer + " ACTIVE"}) {
			t.Errorf("while the job runs the stream has consumers %q", c)
		}
	}
	job.order("cancel")
	var left []string
	if source.keeps {
		left = []string{consumer + " ACTIVE"}
	}
	for deadline := time.Now().Add(20 * time.Second); !slices.Equal(from.consumers(), left); pause() {
		if time.Now().After(deadline) {
			t.Errorf("after the job the stream has consumers %q, want %q", from.consumers(), left)
			break
		}
	}
	job.end()

	where := map[string]string{}
	for shard, records := range from.records() {
		for _, r := range records {
			if record := string(r.Data); where[record] != "" {
				delete(job.twice, record) // the SDK put it again
			} else {
				where[record] = shard
			}
		}
	}
	if len(where) != n {
		t.Fatalf("%d records are in the stream, %d were put", len(where), n)
	}
	for record := range job.twice {
		t.Errorf("the state after a failure had %q, and the source gave it again", record)
	}
	next := map[string]int{}
	for _, record := range job.first {
		shard, ok := where[record]
		if !ok {
			t.Fatalf("nobody put %q", record)
		}
		if source.inOrder {
			shard = ""
		}
		var key string
		var index int
		if _, err := fmt.Sscan(record, &key, &index); err != nil {
			t.Fatal(record)
		}
		if key = shard + " " + key; index < next[key] {
			t.Errorf("%s after %d of %s", record, next[key]-1, key)
		}
		next[key] = index + 1
	}
	t.Logf("%d records, %d seen again after failures", n, job.seen-n)
}

// flinkSink is a job that only writes, faster than one shard takes under AWS's limits.
func flinkSink(t *testing.T) {
	to := newFlinkStream(t, "sink", 1)
	const records = 97 * 120
	job := startFlink(t, endpoint(t, "THALWEG_HTTP"), "numbers", to.arn, t.TempDir(), fmt.Sprint(records))
	job.failAfter(500)
	job.until("the end of the job", func() bool { return job.finished })
	job.end()
	to.has(records)
}

type flinkStream struct {
	session
	k   *kinesis.Client
	arn string
}

func newFlinkStream(t *testing.T, name string, shards int32) flinkStream {
	k := kinesis.NewFromConfig(must[aws.Config](t)(config.LoadDefaultConfig(t.Context(), config.WithBaseEndpoint(endpoint(t, "THALWEG_HTTP")))))
	name = fmt.Sprintf("flink-%s-%d", name, time.Now().UnixNano())
	must[*kinesis.CreateStreamOutput](t)(k.CreateStream(t.Context(), &kinesis.CreateStreamInput{StreamName: &name, ShardCount: &shards}))
	s := session{t, k, name}
	return flinkStream{s, k, *s.active().StreamARN}
}

// put puts a record of every key, each key's in order, until there are enough.
// It returns how many, or 0 after an error.
func (f flinkStream) put(enough <-chan struct{}) (n int) {
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for i := 0; ; i++ {
		records := make([]types.PutRecordsRequestEntry, flinkKeys)
		for key := range records {
			name := fmt.Sprint("key-", key)
			records[key] = types.PutRecordsRequestEntry{PartitionKey: &name, Data: fmt.Appendf(nil, "%s %d read by Apache Flink", name, i)}
		}
		out, err := f.k.PutRecords(f.t.Context(), &kinesis.PutRecordsInput{StreamName: &f.stream, Records: records})
		if err != nil || *out.FailedRecordCount > 0 {
			f.t.Errorf("put %d: %v, %+v", i, err, out)
			return 0
		}
		n += flinkKeys
		select {
		case <-enough:
			return n
		case <-tick.C:
		}
	}
}

// records are all of the stream, by shard.
func (f flinkStream) records() map[string][]types.Record {
	f.t.Helper()
	all := map[string][]types.Record{}
	for _, shard := range must[*kinesis.ListShardsOutput](f.t)(f.k.ListShards(f.t.Context(), &kinesis.ListShardsInput{StreamName: &f.stream})).Shards {
		all[*shard.ShardId] = f.drain(*shard.ShardId)
	}
	return all
}

// has waits until n records are in a stream that a job writes, once or more:
// the sink keeps some back for up to five seconds, through checkpoints.
func (f flinkStream) has(n int) {
	f.t.Helper()
	for deadline := time.Now().Add(20 * time.Second); ; pause() {
		found, all := map[string]bool{}, 0
		for _, records := range f.records() {
			for _, r := range records {
				if key, _, _ := strings.Cut(string(r.Data), " "); key != *r.PartitionKey {
					f.t.Fatalf("%q is under %s", r.Data, *r.PartitionKey)
				}
				found[string(r.Data)] = true
				all++
			}
		}
		if len(found) == n {
			f.t.Logf("the sink put %d records, %d of them again", all, all-n)
			return
		}
		if time.Now().After(deadline) {
			f.t.Fatalf("%d records of %d are in the stream that the sink wrote", len(found), n)
		}
	}
}

func (f flinkStream) consumers() (all []string) {
	f.t.Helper()
	for _, c := range must[*kinesis.ListStreamConsumersOutput](f.t)(f.k.ListStreamConsumers(f.t.Context(), &kinesis.ListStreamConsumersInput{StreamARN: &f.arn})).Consumers {
		all = append(all, *c.ConsumerName+" "+string(c.ConsumerStatus))
	}
	return all
}

// flinkJob is a process with a cluster and a job in it.
type flinkJob struct {
	t      *testing.T
	cmd    *exec.Cmd
	orders io.WriteCloser
	lines  chan string

	seen        int
	twice       map[string]bool // records that the function's state had already
	first       []string        // records, in the order of their first occurrence
	known       map[string]bool
	counts      map[string]int // records of a key, by the state of the function
	checkpoints int
	failures    int
	finished    bool
}

func startFlink(t *testing.T, endpoint, source, to string, more ...string) *flinkJob {
	t.Helper()
	trust := filepath.Join(t.TempDir(), "trust.p12")
	if out, err := exec.Command("keytool", "-importcert", "-noprompt", "-alias", "thalweg", "-file", os.Getenv("CA_FILE"), "-keystore", trust, "-storetype", "PKCS12", "-storepass", "changeit").CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	args := []string{"-Xmx320m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", "-Djavax.net.ssl.trustStore=" + trust, "-Djavax.net.ssl.trustStorePassword=changeit",
		"-Dorg.slf4j.simpleLogger.defaultLogLevel=" + or(os.Getenv("FLINK_LOG"), "warn")}
	for _, of := range []string{"java.lang", "java.util", "java.util.concurrent", "java.net", "java.text", "java.time"} {
		args = append(args, "--add-opens=java.base/"+of+"=ALL-UNNAMED")
	}
	args = append(append(args, "-cp", os.Getenv("FLINK_CLASSPATH"), "Job", endpoint, source, to), more...)
	j := &flinkJob{t: t, cmd: exec.CommandContext(t.Context(), "java", args...), lines: make(chan string, 1000), known: map[string]bool{}, twice: map[string]bool{}, counts: map[string]int{}}
	var log bytes.Buffer
	j.cmd.Stderr = &log
	j.orders = must[io.WriteCloser](t)(j.cmd.StdinPipe())
	out := must[io.ReadCloser](t)(j.cmd.StdoutPipe())
	if err := j.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	go func() {
		for lines := bufio.NewScanner(out); lines.Scan(); {
			j.lines <- lines.Text()
		}
		close(j.lines)
	}()
	t.Cleanup(func() {
		j.cmd.Process.Kill()
		for range j.lines {
		}
		j.cmd.Wait()
		if t.Failed() {
			text := log.String()
			t.Logf("Flink logged:\n%s", text[max(0, len(text)-6_000):])
		}
	})
	return j
}

func or(a, b string) string {
	if a != "" {
		return a
	}
	return b
}

// until takes in what the job says until done.
func (j *flinkJob) until(what string, done func() bool) {
	j.t.Helper()
	deadline := time.NewTimer(90 * time.Second)
	defer deadline.Stop()
	for !done() {
		select {
		case line, ok := <-j.lines:
			if !ok {
				j.t.Fatalf("the job ended before %s; %d records, %d failures, %d checkpoints", what, len(j.first), j.failures, j.checkpoints)
			}
			j.take(line)
		case <-deadline.C:
			j.t.Fatalf("waited too long for %s; %d records, %d failures, %d checkpoints", what, len(j.first), j.failures, j.checkpoints)
		}
	}
}

func (j *flinkJob) take(line string) {
	kind, rest, _ := strings.Cut(line, " ")
	switch kind {
	case "record":
		count, record, _ := strings.Cut(rest, " ")
		key, _, _ := strings.Cut(record, " ")
		n, err := strconv.Atoi(count)
		if err != nil {
			j.t.Fatal(line)
		}
		j.counts[key] = n
		j.seen++
		if !j.known[record] {
			j.known[record] = true
			j.first = append(j.first, record)
		}
	case "twice":
		j.twice[rest] = true
	case "checkpoint":
		j.checkpoints++
	case "failing":
		j.failures++
	case "finished":
		j.finished = true
	default:
		j.t.Log(line)
	}
}

// failAfter has a task fail once n records were seen and a checkpoint made.
func (j *flinkJob) failAfter(n int) {
	j.t.Helper()
	j.until(fmt.Sprintf("record %d", n), func() bool { return len(j.first) >= n })
	failures := j.failures
	j.order("fail")
	j.until("a failure", func() bool { return j.failures > failures })
}

func (j *flinkJob) order(what string) {
	j.t.Helper()
	if _, err := fmt.Fprintln(j.orders, what); err != nil {
		j.t.Fatal(err)
	}
}

// end has the process end.
func (j *flinkJob) end() {
	j.t.Helper()
	j.orders.Close()
	for line := range j.lines {
		j.take(line)
	}
	if err := j.cmd.Wait(); err != nil {
		j.t.Errorf("the process ended with %v", err)
	}
}
