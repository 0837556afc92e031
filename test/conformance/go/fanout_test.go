package conformance

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"math/big"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/config"
	"github.com/aws/aws-sdk-go-v2/service/kinesis"
	"github.com/aws/aws-sdk-go-v2/service/kinesis/types"
)

// TestGoFanOut runs the fan-out session.
func TestGoFanOut(t *testing.T) {
	for _, variable := range []string{"THALWEG_HTTP", "THALWEG_HTTPS"} {
		t.Run(variable, func(t *testing.T) {
			t.Parallel()
			cfg, err := config.LoadDefaultConfig(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			url := endpoint(t, variable)
			k := kinesis.NewFromConfig(cfg, func(o *kinesis.Options) { o.BaseEndpoint = &url })
			f := &fanOut{t: t, k: k, stream: fmt.Sprintf("go-fan-%s-%d", strings.ToLower(variable[8:]), time.Now().UnixNano()),
				consumers: map[string]*string{}, horizon: map[string]*reader{}, ended: map[string]bool{}}
			f.run()
		})
	}
}

type fanOut struct {
	t         *testing.T
	k         *kinesis.Client
	stream    string
	consumers map[string]*string // ARNs by name
	written   int

	mu      sync.Mutex
	horizon map[string]*reader // whoever reads from the oldest record, by shard
	seen    []types.Record     // of shards that have ended
	ended   map[string]bool
}

const fanKeys = 6

// reader is one subscription.
type reader struct {
	shard string
	done  chan struct{}

	mu       sync.Mutex
	records  []types.Record
	children []types.ChildShard
	beats    int
	err      error // what ended the stream
}

func shardID(i int) string { return fmt.Sprintf("shardId-%012d", i) }

func at(kind types.ShardIteratorType) *types.StartingPosition {
	return &types.StartingPosition{Type: kind}
}

// subscribe returns once the subscription has begun. ended is called at the
// end of the shard.
func (f *fanOut) subscribe(consumer, shard string, start *types.StartingPosition, ended func(*reader)) (*reader, error) {
	out, err := f.k.SubscribeToShard(context.WithoutCancel(f.t.Context()),
		&kinesis.SubscribeToShardInput{ConsumerARN: f.consumers[consumer], ShardId: &shard, StartingPosition: start})
	if err != nil {
		return nil, err
	}
	r := &reader{shard: shard, done: make(chan struct{})}
	go func() {
		defer close(r.done)
		events := out.GetStream()
		defer events.Close()
		last := new(big.Int)
		rises := func(s *string, or int) {
			n, ok := new(big.Int).SetString(*s, 10)
			if !ok || n.Cmp(last) < or {
				f.t.Errorf("%s after %s", *s, last)
			}
			last = n
		}
		for event := range events.Events() {
			e := event.(*types.SubscribeToShardEventStreamMemberSubscribeToShardEvent).Value
			if *e.MillisBehindLatest < 0 || r.children != nil || (e.ContinuationSequenceNumber == nil) != (len(e.ChildShards) > 0) {
				f.t.Errorf("event %+v", e)
			}
			for _, rec := range e.Records {
				rises(rec.SequenceNumber, 1)
			}
			if e.ContinuationSequenceNumber != nil {
				rises(e.ContinuationSequenceNumber, 0)
			}
			r.mu.Lock()
			r.records = append(r.records, e.Records...)
			r.children = e.ChildShards
			if len(e.Records) == 0 && e.ContinuationSequenceNumber != nil {
				r.beats++
			}
			r.mu.Unlock()
		}
		r.mu.Lock()
		r.err = events.Err()
		end := r.children != nil && r.err == nil
		r.mu.Unlock()
		if end && ended != nil {
			ended(r)
		}
	}()
	return r, nil
}

// end waits for the end of a shard and returns its records.
func (r *reader) end(t *testing.T) []types.Record {
	t.Helper()
	select {
	case <-r.done:
	case <-time.After(time.Minute):
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.children == nil || r.err != nil {
		t.Fatalf("%s did not end: %v", r.shard, r.err)
	}
	return r.records
}

// follow goes on with each child of a shard that has ended, once both its
// parents have.
func (f *fanOut) follow(r *reader) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.seen = append(f.seen, r.records...)
	f.ended[r.shard] = true
	for _, c := range r.children {
		start, ok := new(big.Int).SetString(*c.HashKeyRange.StartingHashKey, 10)
		end, ok2 := new(big.Int).SetString(*c.HashKeyRange.EndingHashKey, 10)
		if !slices.Contains(c.ParentShards, r.shard) || !ok || !ok2 || start.Cmp(end) >= 0 {
			f.t.Errorf("child %+v of %s", c, r.shard)
		}
		if slices.ContainsFunc(c.ParentShards, func(p string) bool { return !f.ended[p] }) {
			continue
		}
		child, err := f.subscribe("horizon", *c.ShardId, at(types.ShardIteratorTypeTrimHorizon), f.follow)
		if err != nil {
			f.t.Error(err)
			continue
		}
		f.horizon[*c.ShardId] = child
	}
}

func (f *fanOut) put(rounds int) {
	for range rounds {
		for k := range fanKeys {
			must[*kinesis.PutRecordOutput](f.t)(f.k.PutRecord(f.t.Context(), &kinesis.PutRecordInput{
				StreamName: &f.stream, PartitionKey: aws.String(fmt.Sprint("key-", k)), Data: fmt.Append(nil, f.written)}))
		}
		f.written++
	}
}

func value(r types.Record) int {
	n, _ := strconv.Atoi(string(r.Data))
	return n
}

func sequences(records []types.Record) (s []string) {
	for _, r := range records {
		s = append(s, *r.SequenceNumber)
	}
	return s
}

func (f *fanOut) run() {
	t, ctx, k := f.t, f.t.Context(), f.k
	must[*kinesis.CreateStreamOutput](t)(k.CreateStream(ctx, &kinesis.CreateStreamInput{StreamName: &f.stream, ShardCount: aws.Int32(2)}))
	arn := session{t, k, f.stream}.active().StreamARN
	for _, name := range []string{"horizon", "latest", "at", "after", "timed"} {
		c := must[*kinesis.RegisterStreamConsumerOutput](t)(k.RegisterStreamConsumer(ctx, &kinesis.RegisterStreamConsumerInput{StreamARN: arn, ConsumerName: &name})).Consumer.ConsumerARN
		for must[*kinesis.DescribeStreamConsumerOutput](t)(k.DescribeStreamConsumer(ctx, &kinesis.DescribeStreamConsumerInput{ConsumerARN: c})).ConsumerDescription.ConsumerStatus != types.ConsumerStatusActive {
			pause()
		}
		f.consumers[name] = c
	}
	subscribe := func(consumer, shard string, start *types.StartingPosition, ended func(*reader)) *reader {
		t.Helper()
		return must[*reader](t)(f.subscribe(consumer, shard, start, ended))
	}

	f.put(2)
	latest := map[string]*reader{}
	for _, s := range []string{shardID(0), shardID(1)} {
		f.horizon[s] = subscribe("horizon", s, at(types.ShardIteratorTypeTrimHorizon), f.follow)
		latest[s] = subscribe("latest", s, at(types.ShardIteratorTypeLatest), nil)
	}
	began := time.Now()
	_, err := f.subscribe("horizon", shardID(0), at(types.ShardIteratorTypeLatest), nil)
	if _, ok := errors.AsType[*types.ResourceInUseException](err); !ok {
		t.Fatalf("a second subscription at once: %v", err)
	}
	f.put(3)
	must[*kinesis.SplitShardOutput](t)(k.SplitShard(ctx, &kinesis.SplitShardInput{StreamName: &f.stream, ShardToSplit: aws.String(shardID(0)), NewStartingHashKey: aws.String(new(big.Int).Lsh(big.NewInt(1), 126).String())}))
	f.put(3)
	must[*kinesis.MergeShardsOutput](t)(k.MergeShards(ctx, &kinesis.MergeShardsInput{StreamName: &f.stream, ShardToMerge: aws.String(shardID(2)), AdjacentShardToMerge: aws.String(shardID(3))}))
	f.put(3)
	must[*kinesis.MergeShardsOutput](t)(k.MergeShards(ctx, &kinesis.MergeShardsInput{StreamName: &f.stream, ShardToMerge: aws.String(shardID(4)), AdjacentShardToMerge: aws.String(shardID(1))}))
	f.put(3)

	// all returns what came by now, and whether the last shard has had a heartbeat.
	all := func() (records []types.Record, beat bool) {
		f.mu.Lock()
		defer f.mu.Unlock()
		records = slices.Clone(f.seen)
		if r := f.horizon[shardID(5)]; r != nil {
			r.mu.Lock()
			defer r.mu.Unlock()
			return append(records, r.records...), r.beats > 0
		}
		return records, false
	}
	for {
		records, beat := all()
		if len(records) == f.written*fanKeys && beat {
			break
		}
		if time.Since(began) > time.Minute {
			t.Fatalf("%d records of %d, heartbeat %v, ended %v", len(records), f.written*fanKeys, beat, f.ended)
		}
		pause()
	}
	if ended := slices.Sorted(maps.Keys(f.ended)); !slices.Equal(ended, []string{shardID(0), shardID(1), shardID(2), shardID(3), shardID(4)}) {
		t.Errorf("ended: %v", ended)
	}
	got, want := map[string][]int{}, []int{}
	records, _ := all()
	for _, r := range records {
		got[*r.PartitionKey] = append(got[*r.PartitionKey], value(r))
	}
	for i := range f.written {
		want = append(want, i)
	}
	for key := range fanKeys {
		if g := got[fmt.Sprint("key-", key)]; !slices.Equal(g, want) {
			t.Errorf("key-%d: %v", key, g)
		}
	}

	// The other places to start, on a shard that has ended.
	s := shardID(0)
	if len(f.horizon[s].end(t)) == 0 {
		s = shardID(1)
	}
	whole := f.horizon[s].end(t)
	for name, c := range map[string]struct {
		start *types.StartingPosition
		want  []types.Record
	}{
		"at":    {&types.StartingPosition{Type: types.ShardIteratorTypeAtSequenceNumber, SequenceNumber: whole[1].SequenceNumber}, whole[1:]},
		"after": {&types.StartingPosition{Type: types.ShardIteratorTypeAfterSequenceNumber, SequenceNumber: whole[1].SequenceNumber}, whole[2:]},
		"timed": {&types.StartingPosition{Type: types.ShardIteratorTypeAtTimestamp, Timestamp: whole[0].ApproximateArrivalTimestamp}, whole},
	} {
		if got := subscribe(name, s, c.start, nil).end(t); !slices.Equal(sequences(got), sequences(c.want)) {
			t.Errorf("%s: %d records, not %d", name, len(got), len(c.want))
		}
	}
	for s, r := range latest {
		late := slices.DeleteFunc(slices.Clone(f.horizon[s].end(t)), func(r types.Record) bool { return value(r) < 2 })
		if got := r.end(t); !slices.Equal(sequences(got), sequences(late)) {
			t.Errorf("LATEST: %d records, not %d", len(got), len(late))
		}
	}

	// What ends a stream of events for a reason says so in it: another
	// subscription after five seconds, the end of the stream.
	last := f.horizon[shardID(5)]
	var again *reader
	for {
		if again, err = f.subscribe("horizon", shardID(5), at(types.ShardIteratorTypeLatest), nil); err == nil {
			break
		}
		if _, ok := errors.AsType[*types.ResourceInUseException](err); !ok || time.Since(began) > time.Minute {
			t.Fatal(err)
		}
		pause()
	}
	<-last.done
	if _, ok := errors.AsType[*types.ResourceInUseException](last.err); !ok {
		t.Errorf("the subscription that was taken over ended with %v", last.err)
	}
	must[*kinesis.DeleteStreamOutput](t)(k.DeleteStream(ctx, &kinesis.DeleteStreamInput{StreamName: &f.stream, EnforceConsumerDeletion: aws.Bool(true)}))
	<-again.done
	if _, ok := errors.AsType[*types.ResourceNotFoundException](again.err); !ok {
		t.Errorf("the deleted stream's subscription ended with %v", again.err)
	}
}
