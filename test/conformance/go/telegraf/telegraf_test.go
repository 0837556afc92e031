// Package telegraf runs Telegraf, from its configuration on, against the
// server: an agent that writes metrics to a stream, and one that reads them.
package telegraf

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	awsconfig "github.com/aws/aws-sdk-go-v2/config"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	table "github.com/aws/aws-sdk-go-v2/service/dynamodb/types"
	"github.com/aws/aws-sdk-go-v2/service/kinesis"
	"github.com/aws/aws-sdk-go-v2/service/kinesis/types"
	"github.com/influxdata/telegraf"
	"github.com/influxdata/telegraf/agent"
	"github.com/influxdata/telegraf/config"
	"github.com/influxdata/telegraf/plugins/inputs"
	_ "github.com/influxdata/telegraf/plugins/inputs/kinesis_consumer"
	"github.com/influxdata/telegraf/plugins/outputs"
	_ "github.com/influxdata/telegraf/plugins/outputs/kinesis"
	_ "github.com/influxdata/telegraf/plugins/parsers/influx"
	_ "github.com/influxdata/telegraf/plugins/serializers/influx"
)

const writer = `
[agent]
  interval = "100ms"
  flush_interval = "100ms"
  omit_hostname = true

[[inputs.probe]]

[[outputs.kinesis]]
  region = "us-east-1"
  endpoint_url = "ENDPOINT"
  streamname = "STREAM"
  data_format = "influx"
  [outputs.kinesis.partition]
    method = "tag"
    key = "sensor"
`

const reader = `
[agent]
  flush_interval = "100ms"
  omit_hostname = true

[[inputs.kinesis_consumer]]
  region = "us-east-1"
  endpoint_url = "ENDPOINT"
  streamname = "STREAM"
  shard_iterator_type = "TRIM_HORIZON"
  max_undelivered_messages = 1000
  data_format = "influx"
  [inputs.kinesis_consumer.checkpoint_dynamodb]
    app_name = "app"
    table_name = "STREAM"
    interval = "200ms"

[[outputs.probe]]
`

const sensors = 20

func sensor(i int) string { return fmt.Sprint("sensor-", i) }

// probe is the other end of each agent: an input that gathers what there is to
// write, and an output that takes what was read.
type probe struct {
	mu     sync.Mutex
	told   int            // rounds that were asked for
	sent   int            // rounds that were gathered
	seen   map[string]int // by sensor, how many values were read, in order
	wrong  error
	change chan struct{}
}

func (*probe) SampleConfig() string { return "" }
func (*probe) Connect() error       { return nil }
func (*probe) Close() error         { return nil }

func (p *probe) Gather(acc telegraf.Accumulator) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	for ; p.sent < p.told; p.sent++ {
		for i := range sensors {
			acc.AddFields("reading", map[string]any{"value": int64(p.sent), "text": text(p.sent)},
				map[string]string{"sensor": sensor(i)}, time.Unix(int64(p.sent), int64(i)))
		}
	}
	return nil
}

func text(n int) string { return fmt.Sprintf("число \"%d\", with\\ what = has to be escaped", n) }

func (p *probe) Write(metrics []telegraf.Metric) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, m := range metrics {
		name, _ := m.GetTag("sensor")
		n := p.seen[name]
		value, _ := m.GetField("value")
		said, _ := m.GetField("text")
		if value != int64(n) || said != text(n) || m.Name() != "reading" || m.Time().Unix() != int64(n) {
			p.wrong = errors.Join(p.wrong, fmt.Errorf("after %d of %s came %v", n-1, name, m))
		}
		p.seen[name]++
	}
	close(p.change)
	p.change = make(chan struct{})
	return nil
}

// read waits until so many values of each sensor are read, each once and in
// order.
func (p *probe) read(t *testing.T, rounds int) {
	t.Helper()
	for late := time.After(time.Minute); ; {
		p.mu.Lock()
		change, wrong, missing := p.change, p.wrong, 0
		for i := range sensors {
			missing += rounds - p.seen[sensor(i)]
		}
		p.mu.Unlock()
		if wrong != nil {
			t.Fatal(wrong)
		}
		if missing == 0 {
			return
		}
		select {
		case <-change:
		case <-late:
			t.Fatalf("%d values were not read in a minute", missing)
		}
	}
}

// run starts an agent, and returns what stops it, once it has flushed.
func run(t *testing.T, text, stream string) (stop func()) {
	t.Helper()
	c := config.NewConfig()
	filled := strings.NewReplacer("ENDPOINT", os.Getenv("THALWEG_HTTP"), "STREAM", stream).Replace(text)
	if err := c.LoadConfigData([]byte(filled), config.EmptySourcePath); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- agent.NewAgent(c).Run(ctx) }()
	stop = sync.OnceFunc(func() {
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
	t.Cleanup(stop)
	return stop
}

// TestTelegraf writes metrics, splits and merges shards between them, and reads
// them all; then more, from the checkpoints on.
func TestTelegraf(t *testing.T) {
	url := os.Getenv("THALWEG_HTTP")
	if url == "" {
		t.Fatal("THALWEG_HTTP is not set: run these tests through `make conformance`")
	}
	t.Setenv("AWS_ENDPOINT_URL_DYNAMODB", url) // endpoint_url is of Kinesis only
	cfg, err := awsconfig.LoadDefaultConfig(t.Context(), awsconfig.WithBaseEndpoint(url))
	if err != nil {
		t.Fatal(err)
	}
	k, d := kinesis.NewFromConfig(cfg), dynamodb.NewFromConfig(cfg)
	stream := fmt.Sprint("telegraf-", time.Now().UnixNano())
	must := func(_ any, err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	must(k.CreateStream(t.Context(), &kinesis.CreateStreamInput{StreamName: &stream, ShardCount: aws.Int32(2)}))
	must(nil, kinesis.NewStreamExistsWaiter(k).Wait(t.Context(), &kinesis.DescribeStreamInput{StreamName: &stream}, time.Minute))
	key := func(name string, kind table.KeyType) table.KeySchemaElement {
		return table.KeySchemaElement{AttributeName: &name, KeyType: kind}
	}
	str := func(name string) table.AttributeDefinition {
		return table.AttributeDefinition{AttributeName: &name, AttributeType: table.ScalarAttributeTypeS}
	}
	must(d.CreateTable(t.Context(), &dynamodb.CreateTableInput{
		TableName: &stream, BillingMode: table.BillingModePayPerRequest,
		KeySchema:            []table.KeySchemaElement{key("namespace", table.KeyTypeHash), key("shard_id", table.KeyTypeRange)},
		AttributeDefinitions: []table.AttributeDefinition{str("namespace"), str("shard_id")},
	}))
	must(nil, dynamodb.NewTableExistsWaiter(d).Wait(t.Context(), &dynamodb.DescribeTableInput{TableName: &stream}, time.Minute))

	p := &probe{seen: map[string]int{}, change: make(chan struct{})}
	inputs.Add("probe", func() telegraf.Input { return p })
	outputs.Add("probe", func() telegraf.Output { return p })
	shard := func(i int) *string { return aws.String(fmt.Sprintf("shardId-%012d", i)) }
	// last is, by shard, the sequence number of its last record.
	last := func() map[string]string {
		m := map[string]string{}
		shards, err := k.ListShards(t.Context(), &kinesis.ListShardsInput{StreamName: &stream})
		must(shards, err)
		for _, s := range shards.Shards {
			it, err := k.GetShardIterator(t.Context(), &kinesis.GetShardIteratorInput{StreamName: &stream, ShardId: s.ShardId, ShardIteratorType: types.ShardIteratorTypeTrimHorizon})
			must(it, err)
			for at := it.ShardIterator; at != nil; {
				out, err := k.GetRecords(t.Context(), &kinesis.GetRecordsInput{ShardIterator: at})
				must(out, err)
				if n := len(out.Records); n > 0 {
					m[*s.ShardId] = *out.Records[n-1].SequenceNumber
				} else if *out.MillisBehindLatest == 0 {
					break
				}
				at = out.NextShardIterator
			}
		}
		return m
	}
	write := func(rounds int) {
		t.Helper()
		p.mu.Lock()
		p.told += rounds
		p.mu.Unlock()
		stop := run(t, writer, stream)
		until(t, func() error {
			p.mu.Lock()
			defer p.mu.Unlock()
			if p.sent < p.told {
				return errors.New("not all is gathered")
			}
			return nil
		})
		stop() // it flushes
	}
	checkpoints := func() {
		t.Helper()
		want := last()
		until(t, func() error {
			out, err := d.Scan(t.Context(), &dynamodb.ScanInput{TableName: &stream})
			must(out, err)
			got := map[string]string{}
			for _, item := range out.Items {
				if item["namespace"].(*table.AttributeValueMemberS).Value == "app-"+stream {
					got[item["shard_id"].(*table.AttributeValueMemberS).Value] = item["sequence_number"].(*table.AttributeValueMemberS).Value
				}
			}
			if fmt.Sprint(got) != fmt.Sprint(want) {
				return fmt.Errorf("checkpoints %v, not %v", got, want)
			}
			return nil
		})
	}

	write(30) // 600 metrics, of which 500 fit in a call
	must(k.SplitShard(t.Context(), &kinesis.SplitShardInput{StreamName: &stream, ShardToSplit: shard(0), NewStartingHashKey: aws.String("85070591730234615865843651857942052864")}))
	write(5)
	must(k.MergeShards(t.Context(), &kinesis.MergeShardsInput{StreamName: &stream, ShardToMerge: shard(3), AdjacentShardToMerge: shard(1)}))
	write(5)
	if shards := last(); len(shards) != 5 {
		t.Fatalf("records in %v", shards)
	}

	stop := run(t, reader, stream)
	p.read(t, 40)
	checkpoints()
	stop()

	write(5)
	stop = run(t, reader, stream)
	p.read(t, 45)
	checkpoints()
	stop()
	p.read(t, 45)
}

func until(t *testing.T, f func() error) {
	t.Helper()
	for deadline := time.Now().Add(time.Minute); ; {
		err := f()
		if err == nil {
			return
		}
		if time.Now().After(deadline) {
			t.Fatal(err)
		}
		<-time.After(50 * time.Millisecond)
	}
}
