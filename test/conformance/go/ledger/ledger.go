// Package ledger holds what a test puts into a stream against what a client
// reads out of it: every value unchanged, each key's in their order, none lost,
// and those that come twice counted. It never reads the stream itself: what it
// knows of reading is what the client's own callbacks told it.
package ledger

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"math/big"
	"net"
	"net/url"
	"os"
	"sync"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/config"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	table "github.com/aws/aws-sdk-go-v2/service/dynamodb/types"
	"github.com/aws/aws-sdk-go-v2/service/kinesis"
	"github.com/aws/aws-sdk-go-v2/service/kinesis/types"

	"github.com/thalweg/thalweg/aggregation"
)

// Keys is how many partition keys each round has a record of. They are spread
// over eight shards at least.
const Keys = 32

// Endpoint returns one of the server's addresses, which run.sh names.
func Endpoint(t testing.TB, variable string) string {
	t.Helper()
	e := os.Getenv(variable)
	if e == "" {
		t.Fatalf("%s is not set: run these tests through `make conformance`", variable)
	}
	return e
}

// Ledger is one stream, what was put into it and what was read.
type Ledger struct {
	Stream, ARN string
	Kinesis     *kinesis.Client
	Tables      *dynamodb.Client
	// Send puts records, all of them or none. It may be replaced by another
	// client's.
	Send func([]types.PutRecordsRequestEntry) error

	t     *testing.T
	putMu sync.Mutex // one round at a time, so that a key's values are in order

	mu     sync.Mutex
	put    int                 // rounds
	seen   map[string]int      // values of a key that were read, without gaps
	again  int                 // values that had been read before
	last   map[string]*big.Int // of each shard, the highest sequence number read
	wrong  error
	change chan struct{}
}

// Open creates a stream whose name begins with name.
func Open(t *testing.T, name string, shards int32) *Ledger {
	t.Helper()
	cfg, err := config.LoadDefaultConfig(t.Context(), config.WithBaseEndpoint(Endpoint(t, "THALWEG_HTTP")))
	if err != nil {
		t.Fatal(err)
	}
	l := &Ledger{
		Stream: fmt.Sprintf("%s-%d", name, time.Now().UnixNano()), Kinesis: kinesis.NewFromConfig(cfg), Tables: dynamodb.NewFromConfig(cfg),
		t: t, seen: map[string]int{}, last: map[string]*big.Int{}, change: make(chan struct{}),
	}
	l.Send = func(entries []types.PutRecordsRequestEntry) error {
		out, err := l.Kinesis.PutRecords(t.Context(), &kinesis.PutRecordsInput{StreamName: &l.Stream, Records: entries})
		if err == nil && *out.FailedRecordCount > 0 {
			err = fmt.Errorf("%+v", out)
		}
		return err
	}
	l.must(l.Kinesis.CreateStream(t.Context(), &kinesis.CreateStreamInput{StreamName: &l.Stream, ShardCount: &shards}))
	if err := kinesis.NewStreamExistsWaiter(l.Kinesis).Wait(t.Context(), &kinesis.DescribeStreamInput{StreamName: &l.Stream}, time.Minute); err != nil {
		t.Fatal(err)
	}
	out, err := l.Kinesis.DescribeStreamSummary(t.Context(), &kinesis.DescribeStreamSummaryInput{StreamName: &l.Stream})
	l.must(out, err)
	l.ARN = *out.StreamDescriptionSummary.StreamARN
	return l
}

func (l *Ledger) must(_ any, err error) {
	l.t.Helper()
	if err != nil {
		l.t.Fatal(err)
	}
}

// Data is the n-th value of every key: its number, and every byte there is.
func Data(n int) []byte {
	data := fmt.Appendf(nil, "%d ", n)
	for i := range 256 {
		data = append(data, byte(i+n))
	}
	return data
}

// Put puts so many values of every key, one record each.
func (l *Ledger) Put(rounds int) {
	l.t.Helper()
	for range rounds {
		l.send(1, func(key string, from int) types.PutRecordsRequestEntry {
			return types.PutRecordsRequestEntry{PartitionKey: &key, Data: Data(from)}
		})
	}
}

// PutAggregated puts so many values of every key in one aggregated record.
func (l *Ledger) PutAggregated(values int) {
	l.t.Helper()
	l.send(values, func(key string, from int) types.PutRecordsRequestEntry {
		var e aggregation.Encoder
		for n := range values {
			if !e.Add(aggregation.Record{PartitionKey: key, Data: Data(from + n)}) {
				l.t.Fatalf("%d values do not fit", values)
			}
		}
		return types.PutRecordsRequestEntry{PartitionKey: &key, Data: e.Finish(nil).Data}
	})
}

func (l *Ledger) send(values int, entry func(key string, from int) types.PutRecordsRequestEntry) {
	l.t.Helper()
	l.putMu.Lock()
	defer l.putMu.Unlock()
	l.mu.Lock()
	from := l.put
	l.put += values
	l.mu.Unlock()
	var entries []types.PutRecordsRequestEntry
	for k := range Keys {
		entries = append(entries, entry(fmt.Sprint("key-", k), from))
	}
	if err := l.Send(entries); err != nil {
		l.t.Errorf("PutRecords: %v", err)
	}
}

// During goes on putting while f runs.
func (l *Ledger) During(f func()) {
	l.t.Helper()
	stop, done := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(done)
		for {
			select {
			case <-stop:
				return
			case <-time.After(10 * time.Millisecond):
				l.Put(1)
			}
		}
	}()
	defer func() { close(stop); <-done }()
	f()
}

// Split splits a shard in the middle.
func (l *Ledger) Split(shard string) {
	l.t.Helper()
	out, err := l.Kinesis.ListShards(l.t.Context(), &kinesis.ListShardsInput{StreamName: &l.Stream})
	l.must(out, err)
	for _, s := range out.Shards {
		if *s.ShardId == shard {
			from, _ := new(big.Int).SetString(*s.HashKeyRange.StartingHashKey, 10)
			to, _ := new(big.Int).SetString(*s.HashKeyRange.EndingHashKey, 10)
			middle := from.Add(from, to).Rsh(from, 1).String()
			l.must(l.Kinesis.SplitShard(l.t.Context(), &kinesis.SplitShardInput{StreamName: &l.Stream, ShardToSplit: &shard, NewStartingHashKey: &middle}))
		}
	}
}

// Merge merges two shards.
func (l *Ledger) Merge(a, b string) {
	l.t.Helper()
	l.must(l.Kinesis.MergeShards(l.t.Context(), &kinesis.MergeShardsInput{StreamName: &l.Stream, ShardToMerge: &a, AdjacentShardToMerge: &b}))
}

// Shard is the id of the i-th shard.
func Shard(i int) string { return fmt.Sprintf("shardId-%012d", i) }

// Reader is a client that holds one shard, from when it begins to read it until
// it stops.
type Reader struct {
	l     *Ledger
	name  string
	shard string
	keys  map[string]int // the values that come next
	last  *big.Int
}

// Reader says that a client, called name, begins to read a shard.
func (l *Ledger) Reader(name, shard string) *Reader {
	return &Reader{l: l, name: name, shard: shard, keys: map[string]int{}, last: new(big.Int)}
}

// Read says that a client has read a value.
func (r *Reader) Read(key string, data []byte, sequence string) {
	l := r.l
	l.mu.Lock()
	defer l.mu.Unlock()
	wrong := func(format string, args ...any) {
		l.wrong = errors.Join(l.wrong, fmt.Errorf("%s, %s, %s: %s", r.name, r.shard, key, fmt.Sprintf(format, args...)))
	}
	var n int
	if _, err := fmt.Sscan(string(data[:min(len(data), 12)]), &n); err != nil || n < 0 || n >= l.put || !bytes.Equal(data, Data(n)) {
		wrong("nobody put %q", data)
		return
	}
	seq, ok := new(big.Int).SetString(sequence, 10)
	if !ok || seq.Cmp(r.last) < 0 {
		wrong("sequence number %s after %s", sequence, r.last)
		return
	}
	r.last = seq
	if last := l.last[r.shard]; last == nil || last.Cmp(seq) < 0 {
		l.last[r.shard] = seq
	}
	if next, ok := r.keys[key]; ok && n != next {
		wrong("value %d after %d of the same reader", n, next-1)
	}
	r.keys[key] = n + 1
	switch seen := l.seen[key]; {
	case n > seen:
		wrong("value %d, and nobody has read %d", n, seen)
	case n < seen:
		l.again++
	default:
		l.seen[key]++
	}
	close(l.change)
	l.change = make(chan struct{})
}

// Read waits until everything put is read, and returns how many values were
// read that had been read before.
func (l *Ledger) Read() int {
	l.t.Helper()
	late := time.After(time.Minute)
	for {
		l.mu.Lock()
		change, missing, wrong := l.change, 0, l.wrong
		for k := range Keys {
			missing += l.put - l.seen[fmt.Sprint("key-", k)]
		}
		again := l.again
		l.mu.Unlock()
		if wrong != nil {
			l.t.Fatal(wrong)
		}
		if missing == 0 {
			return again
		}
		select {
		case <-change:
		case <-late:
			l.t.Fatalf("%d values were not read in a minute", missing)
		}
	}
}

// Values is how many values were put.
func (l *Ledger) Values() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.put * Keys
}

// Last is the last sequence number of a shard that a client has read, or empty.
func (l *Ledger) Last(shard string) string {
	l.mu.Lock()
	defer l.mu.Unlock()
	if last := l.last[shard]; last != nil {
		return last.String()
	}
	return ""
}

// Until waits until f finds nothing to say against it.
func (l *Ledger) Until(what string, f func() error) {
	l.t.Helper()
	for deadline := time.Now().Add(time.Minute); ; {
		err := f()
		if err == nil {
			return
		}
		if time.Now().After(deadline) {
			l.t.Fatalf("%s: %v", what, err)
		}
		<-time.After(50 * time.Millisecond)
	}
}

// Items returns a table's items, by the attribute id, with strings and numbers
// as they are and booleans as true or false.
func (l *Ledger) Items(name, id string) (map[string]map[string]string, error) {
	items := map[string]map[string]string{}
	for pages := dynamodb.NewScanPaginator(l.Tables, &dynamodb.ScanInput{TableName: &name}); pages.HasMorePages(); {
		page, err := pages.NextPage(l.t.Context())
		if err != nil {
			return nil, err
		}
		for _, raw := range page.Items {
			item := map[string]string{}
			for k, v := range raw {
				switch v := v.(type) {
				case *table.AttributeValueMemberS:
					item[k] = v.Value
				case *table.AttributeValueMemberN:
					item[k] = v.Value
				case *table.AttributeValueMemberBOOL:
					item[k] = fmt.Sprint(v.Value)
				}
			}
			items[item[id]] = item
		}
	}
	return items, nil
}

// Line is a way to the server that can be cut, as that of a machine that dies.
type Line struct {
	URL string

	listener net.Listener
	mu       sync.Mutex
	dead     bool
	ends     []net.Conn
}

// Line lays a line.
func (l *Ledger) Line() *Line {
	l.t.Helper()
	server, err := url.Parse(Endpoint(l.t, "THALWEG_HTTP"))
	l.must(server, err)
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	l.must(listener, err)
	line := &Line{URL: "http://" + listener.Addr().String(), listener: listener}
	l.t.Cleanup(line.Cut)
	go func() {
		for {
			near, err := listener.Accept()
			if err != nil {
				return
			}
			far, err := net.Dial("tcp", server.Host)
			if err != nil {
				near.Close()
				continue
			}
			line.mu.Lock()
			line.ends = append(line.ends, near, far)
			dead := line.dead
			line.mu.Unlock()
			if dead {
				line.Cut()
			}
			go pipe(near, far)
			go pipe(far, near)
		}
	}()
	return line
}

func pipe(to, from net.Conn) {
	_, _ = io.Copy(to, from) // whichever end goes first, both are gone
	to.Close()
	from.Close()
}

// Cut closes every connection, and lets no other begin.
func (line *Line) Cut() {
	line.mu.Lock()
	defer line.mu.Unlock()
	line.dead = true
	line.listener.Close()
	for _, end := range line.ends {
		end.Close()
	}
	line.ends = nil
}

// Wait waits for a channel, for a minute at most.
func (l *Ledger) Wait(what string, done <-chan struct{}) {
	l.t.Helper()
	select {
	case <-done:
	case <-time.After(time.Minute):
		l.t.Fatalf("%s: not in a minute", what)
	}
}
