// Package harlow runs harlow/kinesis-consumer against the server.
package harlow

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/config"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"
	"github.com/aws/aws-sdk-go-v2/service/kinesis"
	consumer "github.com/harlow/kinesis-consumer"
	group "github.com/harlow/kinesis-consumer/group/consumergroup/ddb"
	store "github.com/harlow/kinesis-consumer/store/ddb"

	"github.com/thalweg/thalweg/test/conformance/go/ledger"
)

// TestConsumer reads a stream alone, and in a group, plainly and over TLS.
func TestConsumer(t *testing.T) {
	for _, variable := range []string{"THALWEG_HTTP", "THALWEG_HTTPS"} {
		t.Run("alone/"+variable, func(t *testing.T) {
			t.Parallel()
			a := application{Ledger: ledger.Open(t, "harlow", 2), t: t}
			a.alone(ledger.Endpoint(t, variable))
		})
		t.Run("group/"+variable, func(t *testing.T) {
			t.Parallel()
			a := application{Ledger: ledger.Open(t, "harlow-group", 4), t: t}
			a.group(ledger.Endpoint(t, variable), variable == "THALWEG_HTTP")
		})
	}
}

// application reads one stream, and keeps its checkpoints in a table of the
// stream's name and its leases in another.
type application struct {
	*ledger.Ledger
	t *testing.T
}

func (a application) leases() string { return a.Stream + "-leases" }

// table makes a table as this client wants it, whose old leases expire.
func (a application) table(name string) {
	a.t.Helper()
	key := func(name string, kind types.KeyType) types.KeySchemaElement {
		return types.KeySchemaElement{AttributeName: &name, KeyType: kind}
	}
	text := func(name string) types.AttributeDefinition {
		return types.AttributeDefinition{AttributeName: &name, AttributeType: types.ScalarAttributeTypeS}
	}
	_, err := a.Tables.CreateTable(a.t.Context(), &dynamodb.CreateTableInput{
		TableName: &name, BillingMode: types.BillingModePayPerRequest,
		KeySchema:            []types.KeySchemaElement{key("namespace", types.KeyTypeHash), key("shard_id", types.KeyTypeRange)},
		AttributeDefinitions: []types.AttributeDefinition{text("namespace"), text("shard_id")},
	})
	if err == nil {
		err = dynamodb.NewTableExistsWaiter(a.Tables).Wait(a.t.Context(), &dynamodb.DescribeTableInput{TableName: &name}, time.Minute)
	}
	if err == nil {
		_, err = a.Tables.UpdateTimeToLive(a.t.Context(), &dynamodb.UpdateTimeToLiveInput{TableName: &name,
			TimeToLiveSpecification: &types.TimeToLiveSpecification{AttributeName: aws.String("ttl"), Enabled: aws.Bool(true)}})
	}
	if err != nil {
		a.t.Fatal(err)
	}
}

// worker is a consumer that scans until it is stopped. As its logger it learns
// when the scan of a shard begins, with or without a break.
type worker struct {
	application
	name   string
	cancel context.CancelFunc
	done   chan struct{}
	err    error
	dead   bool // cut off; of two errors at once this client's Scan does not return

	mu      sync.Mutex
	readers map[string]*ledger.Reader
}

func (w *worker) Log(args ...any) {
	if args[0] == "[CONSUMER] start scan:" {
		w.mu.Lock()
		defer w.mu.Unlock()
		shard := args[1].(string)
		w.readers[shard] = w.Reader(w.name, shard)
	}
}

func (w *worker) scan(r *consumer.Record) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.readers[r.ShardID].Read(*r.PartitionKey, r.Data, *r.SequenceNumber)
	return nil
}

// start starts a worker: in a group, or for all shards.
func (a application) start(endpoint, name string, inGroup bool) *worker {
	a.t.Helper()
	ctx, cancel := context.WithCancel(a.t.Context())
	cfg, err := config.LoadDefaultConfig(ctx, config.WithBaseEndpoint(endpoint))
	if err != nil {
		a.t.Fatal(err)
	}
	streams, tables := kinesis.NewFromConfig(cfg), dynamodb.NewFromConfig(cfg)
	checkpoints, err := store.New("app", a.Stream, store.WithDynamoClient(tables), store.WithMaxInterval(100*time.Millisecond))
	if err != nil {
		a.t.Fatal(err)
	}
	w := &worker{application: a, name: name, cancel: cancel, done: make(chan struct{}), readers: map[string]*ledger.Reader{}}
	options := []consumer.Option{
		consumer.WithClient(streams),
		consumer.WithStore(checkpoints),
		consumer.WithShardIteratorType("TRIM_HORIZON"),
		consumer.WithAggregation(true),
		consumer.WithLogger(w),
	}
	if inGroup {
		g, err := group.NewGroup(group.GroupConfig{
			GroupName: "app", StreamName: a.Stream, WorkerID: name,
			KinesisClient:   streams,
			Repository:      group.Config{Client: tables, TableName: a.leases()},
			CheckpointStore: checkpoints,
			LeaseDuration:   3 * time.Second, RenewInterval: 500 * time.Millisecond, AssignInterval: 500 * time.Millisecond,
		})
		if err != nil {
			a.t.Fatal(err)
		}
		options = append(options, consumer.WithGroup(g))
	}
	c, err := consumer.New(a.Stream, options...)
	if err != nil {
		a.t.Fatal(err)
	}
	go func() {
		defer close(w.done)
		w.err = c.Scan(ctx, w.scan)
		_ = checkpoints.Shutdown() // who is cut off cannot
	}()
	a.t.Cleanup(func() {
		cancel()
		if !w.dead {
			a.Wait("stop", w.done)
		}
	})
	return w
}

// stop stops a worker, which scanned without an error.
func (a application) stop(w *worker) {
	a.t.Helper()
	w.cancel()
	a.Wait("stop", w.done)
	if w.err != nil && !errors.Is(w.err, context.Canceled) { // a call that was under way is cancelled as well
		a.t.Error(w.err)
	}
}

// checkpoints waits until the table has what was read last of every shard.
func (a application) checkpoints(shards int) {
	a.t.Helper()
	a.Until("checkpoints", func() error {
		items, err := a.Items(a.Stream, "shard_id")
		if err != nil {
			return err
		}
		for i := range shards {
			s := ledger.Shard(i)
			if got := items[s]; got["sequence_number"] != a.Last(s) || got["namespace"] != "app-"+a.Stream {
				return fmt.Errorf("%s: %v, not %q", s, got, a.Last(s))
			}
		}
		return nil
	})
}

// alone reads through a split and a merge, which this client notices within 30
// seconds, stops, and goes on where it stopped.
func (a application) alone(endpoint string) {
	a.table(a.Stream)
	a.Put(20)
	a.PutAggregated(3)
	first := a.start(endpoint, "first", false)
	a.Read()
	a.During(func() {
		a.Split(ledger.Shard(0)) // into 2 and 3
		a.Put(1)
		a.Merge(ledger.Shard(3), ledger.Shard(1)) // into 4
		a.Until("the last shard", func() error {
			if a.Last(ledger.Shard(4)) == "" {
				return fmt.Errorf("nobody reads it")
			}
			return nil
		})
	})
	a.PutAggregated(3)
	a.Read()
	a.stop(first)
	a.checkpoints(5)

	a.Put(5)
	second := a.start(endpoint, "second", false)
	if again := a.Read(); again > 0 {
		a.t.Errorf("%d values were read twice", again)
	}
	a.stop(second)
	a.checkpoints(5)
}

// owners waits until these workers hold so many leases, and so many shards are
// read to their end.
func (a application) owners(want map[string]int, ended int) {
	a.t.Helper()
	a.Until("leases", func() error {
		leases, err := a.Items(a.leases(), "shard_id")
		if err != nil {
			return err
		}
		got, completed := map[string]int{}, 0
		for _, l := range leases {
			if owner, ok := l["lease_owner"]; !ok {
				continue // a worker
			} else if l["completed"] == "true" {
				completed++
			} else {
				got[owner]++
			}
		}
		if fmt.Sprint(got) != fmt.Sprint(want) || completed != ended {
			return fmt.Errorf("%v and %d ended, not %v and %d", got, completed, want, ended)
		}
		return nil
	})
}

// group lets a second worker take half of the first one's shards, while one is
// split and two are merged, and the first take over what the second leaves when
// it is stopped, or cut off.
func (a application) group(endpoint string, cut bool) {
	a.table(a.Stream)
	a.table(a.leases())
	a.Put(5)
	a.PutAggregated(3)
	a.start(endpoint, "first", true)
	a.Read()
	a.owners(map[string]int{"first": 4}, 0)

	line := a.Line()
	if !cut {
		line.URL = endpoint
	}
	second := a.start(line.URL, "second", true)
	a.During(func() {
		a.owners(map[string]int{"first": 2, "second": 2}, 0)
		a.Split(ledger.Shard(0)) // into 4 and 5
		a.Put(1)
		a.Merge(ledger.Shard(5), ledger.Shard(1)) // into 6
		a.owners(map[string]int{"first": 2, "second": 2}, 3)
	})
	if again := a.Read(); again > 0 {
		a.t.Errorf("%d values were read twice", again)
	}
	a.checkpoints(7)
	a.During(func() {
		if cut {
			second.dead = true
			line.Cut()
		} else {
			a.stop(second)
		}
		a.owners(map[string]int{"first": 4}, 3)
	})
	a.t.Logf("%d values of %d were read twice", a.Read(), a.Values())
	a.checkpoints(7)
}
