// Package vmware runs vmware-go-kcl-v2 against the server.
package vmware

import (
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/kinesis"
	"github.com/aws/aws-sdk-go-v2/service/kinesis/types"
	"github.com/vmware/vmware-go-kcl-v2/clientlibrary/config"
	"github.com/vmware/vmware-go-kcl-v2/clientlibrary/interfaces"
	"github.com/vmware/vmware-go-kcl-v2/clientlibrary/worker"

	"github.com/thalweg/thalweg/test/conformance/go/ledger"
)

// TestVMware reads a stream by polling and by enhanced fan-out, plainly and over
// TLS.
func TestVMware(t *testing.T) {
	for _, c := range []struct {
		name, endpoint string
		fanOut         bool
	}{
		{"polling", "THALWEG_HTTP", false},
		{"polling-tls", "THALWEG_HTTPS", false},
		{"fanout", "THALWEG_HTTP", true},
		{"fanout-tls", "THALWEG_HTTPS", true},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			a := application{Ledger: ledger.Open(t, "vmware-"+c.name, 2), t: t, fanOut: c.fanOut}
			a.reshard(ledger.Endpoint(t, c.endpoint))
		})
		t.Run(c.name+"-workers", func(t *testing.T) {
			t.Parallel()
			a := application{Ledger: ledger.Open(t, "vmware-workers-"+c.name, 4), t: t, fanOut: c.fanOut}
			cut := c.endpoint == "THALWEG_HTTP"
			if c.fanOut {
				a.share(ledger.Endpoint(t, c.endpoint), cut)
			} else {
				a.stealing = true
				a.steal(ledger.Endpoint(t, c.endpoint), cut)
			}
		})
	}
}

// application is one application of the KCL, whose name and table are the
// stream's.
type application struct {
	*ledger.Ledger
	t        *testing.T
	fanOut   bool
	stealing bool
}

// start starts a worker, which reads from the oldest record on what has no
// checkpoint yet. That the test does not take hours, it looks more often than
// it would.
func (a application) start(endpoint, name string, more ...func(*config.KinesisClientLibConfiguration)) *worker.Worker {
	a.t.Helper()
	cfg := config.NewKinesisClientLibConfig(a.Stream, a.Stream, "us-east-1", name).
		WithInitialPositionInStream(config.TRIM_HORIZON).
		WithKinesisEndpoint(endpoint).
		WithDynamoDBEndpoint(endpoint).
		WithEnhancedFanOutConsumer(a.fanOut).
		WithLeaseStealing(a.stealing)
	cfg.WithShardSyncIntervalMillis(200).WithLeaseSyncingIntervalMillis(200).WithLeaseStealingIntervalMillis(200).
		WithIdleTimeBetweenReadsInMillis(250).WithFailoverTimeMillis(3000).WithLeaseRefreshPeriodMillis(2000).WithLeaseRefreshWaitTime(500)
	cfg.ParentShardPollIntervalMillis = 200
	for _, f := range more {
		f(cfg)
	}
	w := worker.NewWorker(processors{a, name}, cfg)
	if err := w.Start(); err != nil {
		a.t.Fatal(err)
	}
	a.t.Cleanup(w.Shutdown)
	return w
}

type processors struct {
	application
	worker string
}

func (p processors) CreateProcessor() interfaces.IRecordProcessor {
	return &processor{processors: p}
}

// processor reads a shard and checkpoints after each batch.
type processor struct {
	processors
	*ledger.Reader
}

func (p *processor) Initialize(in *interfaces.InitializationInput) {
	p.Reader = p.Ledger.Reader(p.worker, in.ShardId)
}

func (p *processor) ProcessRecords(in *interfaces.ProcessRecordsInput) {
	for _, r := range in.Records {
		p.Reader.Read(*r.PartitionKey, r.Data, *r.SequenceNumber)
	}
	if n := len(in.Records); n > 0 {
		// Who is cut off cannot, and another one reads the batch again.
		_ = in.Checkpointer.Checkpoint(in.Records[n-1].SequenceNumber)
	}
}

func (p *processor) Shutdown(in *interfaces.ShutdownInput) {
	if in.ShutdownReason == interfaces.TERMINATE {
		if err := in.Checkpointer.Checkpoint(nil); err != nil {
			p.t.Error(err)
		}
	}
}

// checkpoints waits until the table says that these shards are read to their
// end, and of every other what was read last.
func (a application) checkpoints(ended ...string) {
	a.t.Helper()
	told := func() error {
		leases, err := a.Items(a.Stream, "ShardID")
		if err != nil {
			return err
		}
		want := map[string]string{}
		for s := range len(leases) {
			want[ledger.Shard(s)] = a.Last(ledger.Shard(s))
		}
		for _, s := range ended {
			want[s] = "SHARD_END"
		}
		for s, checkpoint := range want {
			if got := leases[s]["Checkpoint"]; got != checkpoint || got == "" {
				return fmt.Errorf("%s: checkpoint %q, not %q", s, got, checkpoint)
			}
		}
		return nil
	}
	if !a.stealing {
		a.Until("checkpoints", told)
		return
	}
	// With lease stealing this client takes checkpoints from the table too, and
	// one that its renewal of the lease has overwritten with the one before
	// stays there until the next record.
	a.Until("checkpoints", func() (err error) {
		a.Put(1)
		a.Read()
		for range 20 {
			if err = told(); err == nil {
				break
			}
			<-time.After(50 * time.Millisecond)
		}
		return err
	})
}

// owners waits until these workers hold so many of the open shards' leases.
func (a application) owners(want map[string]int) {
	a.t.Helper()
	a.Until("leases", func() error {
		leases, err := a.Items(a.Stream, "ShardID")
		if err != nil {
			return err
		}
		got := map[string]int{}
		for _, l := range leases {
			if owner := l["AssignedTo"]; l["Checkpoint"] != "SHARD_END" {
				got[owner]++
			}
		}
		if fmt.Sprint(got) != fmt.Sprint(want) {
			return fmt.Errorf("%v, not %v", got, want)
		}
		return nil
	})
}

// reshard reads through a split and a merge, stops, and goes on where it
// stopped.
func (a application) reshard(endpoint string) {
	a.Put(20)
	a.PutAggregated(3)
	first := a.start(endpoint, "first")
	a.During(func() {
		a.owners(map[string]int{"first": 2})
		a.checkpointed(0, 1)
		a.Split(ledger.Shard(0)) // into 2 and 3
		a.checkpointed(2, 3)
	})
	// This client waits for the parent of a shard and not for the adjacent one.
	a.Read()
	a.Merge(ledger.Shard(3), ledger.Shard(1)) // into 4
	a.PutAggregated(3)
	a.During(func() { a.checkpointed(4) })
	if again := a.Read(); again > 0 {
		a.t.Errorf("%d values were read twice", again)
	}
	ended := []string{ledger.Shard(0), ledger.Shard(1), ledger.Shard(3)}
	a.checkpoints(ended...)
	a.owners(map[string]int{"first": 2})
	first.Shutdown()
	a.owners(map[string]int{"": 2})
	a.settled(2, 4)

	a.Put(5)
	a.start(endpoint, "second")
	if again := a.Read(); again > 0 {
		a.t.Errorf("%d values were read twice", again)
	}
	a.checkpoints(ended...)
	a.owners(map[string]int{"second": 2})
}

// checkpointed waits until these shards have checkpoints.
func (a application) checkpointed(shards ...int) {
	a.t.Helper()
	a.Until("first checkpoints", func() error {
		leases, err := a.Items(a.Stream, "ShardID")
		for _, s := range shards {
			if err == nil && leases[ledger.Shard(s)]["Checkpoint"] == "" {
				err = fmt.Errorf("%s has none", ledger.Shard(s))
			}
		}
		return err
	})
}

// steal lets a second worker take half the shards of the first, and the first
// take them back when the second is shut down, or cut off.
func (a application) steal(endpoint string, cut bool) {
	a.Put(5)
	a.start(endpoint, "first")
	a.Read()
	a.checkpoints()
	a.owners(map[string]int{"first": 4})

	stop := a.second(endpoint, cut)
	a.owners(map[string]int{"first": 2, "second": 2})
	a.Put(10)
	a.PutAggregated(3)
	a.Read()
	a.checkpoints()

	a.During(func() {
		stop()
		a.owners(map[string]int{"first": 4})
	})
	a.t.Logf("%d values of %d were read twice", a.Read(), a.Values())
	a.checkpoints()
}

// share lets two workers read half the shards each, and a third go on where
// the second stopped. Of lease stealing and fan-out this client can do one: see
// settled.
func (a application) share(endpoint string, cut bool) {
	half := func(cfg *config.KinesisClientLibConfiguration) { cfg.WithMaxLeasesForWorker(2) }
	a.Put(5)
	a.start(endpoint, "first", half)
	stop := a.second(endpoint, cut, half)
	a.owners(map[string]int{"first": 2, "second": 2})
	a.PutAggregated(3)
	a.Read()
	a.checkpoints()
	a.settled(0, 1, 2, 3)

	a.During(func() {
		stop()
		a.start(endpoint, "third", half)
		a.owners(map[string]int{"first": 2, "third": 2})
	})
	a.t.Logf("%d values of %d were read twice", a.Read(), a.Values())
	a.checkpoints()
}

// second starts a second worker, and returns what cuts it off from the server,
// or shuts it down.
func (a application) second(endpoint string, cut bool, more ...func(*config.KinesisClientLibConfiguration)) (stop func()) {
	a.t.Helper()
	if !cut {
		return a.start(endpoint, "second", more...).Shutdown
	}
	line := a.Line()
	a.start(line.URL, "second", more...)
	return line.Cut
}

// settled waits until these shards may be subscribed to, five seconds after
// they were. A worker of this client that is refused gives its lease up, and
// when it looks at the leases meanwhile, as it does to steal some, it may go on
// believing that it has that one.
func (a application) settled(shards ...int) {
	a.t.Helper()
	if !a.fanOut {
		return
	}
	consumer, err := a.Kinesis.DescribeStreamConsumer(a.t.Context(), &kinesis.DescribeStreamConsumerInput{StreamARN: &a.ARN, ConsumerName: &a.Stream})
	if err != nil {
		a.t.Fatal(err)
	}
	for _, s := range shards {
		a.Until("subscribe again", func() error {
			_, err := a.Kinesis.SubscribeToShard(a.t.Context(), &kinesis.SubscribeToShardInput{
				ConsumerARN: consumer.ConsumerDescription.ConsumerARN, ShardId: aws.String(ledger.Shard(s)), DryRun: aws.Bool(true),
				StartingPosition: &types.StartingPosition{Type: types.ShardIteratorTypeLatest}})
			if _, would := errors.AsType[*types.DryRunOperationException](err); would {
				return nil
			}
			return err
		})
	}
}
