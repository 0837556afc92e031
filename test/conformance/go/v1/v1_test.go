// Package v1 runs the AWS SDK for Go, version 1, against the server.
package v1

import (
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/kinesis/types"
	"github.com/aws/aws-sdk-go/aws"
	"github.com/aws/aws-sdk-go/aws/awserr"
	"github.com/aws/aws-sdk-go/aws/session"
	"github.com/aws/aws-sdk-go/service/dynamodb"
	"github.com/aws/aws-sdk-go/service/kinesis"

	"github.com/thalweg/thalweg/test/conformance/go/ledger"
)

func code(err error) string {
	if e, ok := errors.AsType[awserr.Error](err); ok {
		return e.Code()
	}
	return fmt.Sprint(err)
}

func connect(t *testing.T, variable string) *session.Session {
	t.Helper()
	endpoint := ledger.Endpoint(t, variable)
	s, err := session.NewSession(&aws.Config{Endpoint: &endpoint})
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// TestStreams puts records and reads them through a split and a merge, by
// GetRecords and by SubscribeToShard, plainly and over TLS.
func TestStreams(t *testing.T) {
	for _, c := range []struct {
		name, variable string
		fanOut         bool
	}{{"polling", "THALWEG_HTTP", false}, {"polling-tls", "THALWEG_HTTPS", false}, {"fanout", "THALWEG_HTTP", true}, {"fanout-tls", "THALWEG_HTTPS", true}} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			k := kinesis.New(connect(t, c.variable))
			r := &reader{Ledger: ledger.Open(t, "v1-"+c.name, 2), t: t, k: k, ended: map[string]bool{}, over: map[string]string{}}
			r.read = r.poll
			if c.fanOut {
				r.register()
				r.read = r.subscribe
			}
			r.Send = r.put
			r.run()
		})
	}
}

// reader follows every shard to its end, and its children once all their
// parents have ended.
type reader struct {
	*ledger.Ledger
	t        *testing.T
	k        *kinesis.Kinesis
	consumer *string
	read     func(shard string, each func(*kinesis.Record)) ([]*kinesis.ChildShard, error)
	readers  sync.WaitGroup

	mu    sync.Mutex
	ended map[string]bool   // false while it is read
	over  map[string]string // why, of those that did not end
}

func (r *reader) put(entries []types.PutRecordsRequestEntry) error {
	in := &kinesis.PutRecordsInput{StreamName: &r.Stream}
	for _, e := range entries {
		in.Records = append(in.Records, &kinesis.PutRecordsRequestEntry{Data: e.Data, PartitionKey: e.PartitionKey})
	}
	out, err := r.k.PutRecords(in)
	if err == nil && *out.FailedRecordCount > 0 {
		err = errors.New(out.String())
	}
	return err
}

func (r *reader) register() {
	r.t.Helper()
	out, err := r.k.RegisterStreamConsumer(&kinesis.RegisterStreamConsumerInput{StreamARN: &r.ARN, ConsumerName: aws.String("reader")})
	if err != nil {
		r.t.Fatal(err)
	}
	r.consumer = out.Consumer.ConsumerARN
	r.Until("consumer", func() error {
		c, err := r.k.DescribeStreamConsumer(&kinesis.DescribeStreamConsumerInput{ConsumerARN: r.consumer})
		if err == nil && *c.ConsumerDescription.ConsumerStatus != kinesis.ConsumerStatusActive {
			err = errors.New(*c.ConsumerDescription.ConsumerStatus)
		}
		return err
	})
}

func (r *reader) poll(shard string, each func(*kinesis.Record)) ([]*kinesis.ChildShard, error) {
	it, err := r.k.GetShardIterator(&kinesis.GetShardIteratorInput{StreamName: &r.Stream, ShardId: &shard, ShardIteratorType: aws.String(kinesis.ShardIteratorTypeTrimHorizon)})
	if err != nil {
		return nil, err
	}
	for at := it.ShardIterator; ; {
		out, err := r.k.GetRecords(&kinesis.GetRecordsInput{ShardIterator: at, Limit: aws.Int64(50)})
		if err != nil {
			return nil, err
		}
		for _, record := range out.Records {
			each(record)
		}
		if at = out.NextShardIterator; at == nil {
			return out.ChildShards, nil
		}
		if len(out.Records) == 0 {
			<-time.After(20 * time.Millisecond)
		}
	}
}

func (r *reader) subscribe(shard string, each func(*kinesis.Record)) (children []*kinesis.ChildShard, err error) {
	out, err := r.k.SubscribeToShard(&kinesis.SubscribeToShardInput{ConsumerARN: r.consumer, ShardId: &shard,
		StartingPosition: &kinesis.StartingPosition{Type: aws.String(kinesis.ShardIteratorTypeTrimHorizon)}})
	if err != nil {
		return nil, err
	}
	stream := out.GetStream()
	defer stream.Close()
	for event := range stream.Events() {
		e := event.(*kinesis.SubscribeToShardEvent)
		for _, record := range e.Records {
			each(record)
		}
		if (e.ContinuationSequenceNumber == nil) != (len(e.ChildShards) > 0) {
			return nil, fmt.Errorf("event %v", e)
		}
		children = e.ChildShards
	}
	return children, stream.Err()
}

// follow begins to read a shard, unless it has begun or a parent is still read.
// The caller holds mu.
func (r *reader) follow(shard string, parents []*string) {
	_, begun := r.ended[shard]
	for _, p := range parents {
		begun = begun || !r.ended[*p]
	}
	if begun {
		return
	}
	r.ended[shard] = false
	r.readers.Go(func() {
		to := r.Reader("v1", shard)
		children, err := r.read(shard, func(record *kinesis.Record) { to.Read(*record.PartitionKey, record.Data, *record.SequenceNumber) })
		r.mu.Lock()
		defer r.mu.Unlock()
		if err != nil {
			r.over[shard] = code(err)
			return
		}
		r.ended[shard] = true
		for _, c := range children {
			r.follow(*c.ShardId, c.ParentShards)
		}
	})
}

func (r *reader) run() {
	r.Put(5)
	r.mu.Lock()
	for _, s := range []int{0, 1} {
		r.follow(ledger.Shard(s), nil)
	}
	r.mu.Unlock()
	r.During(func() {
		r.Split(ledger.Shard(0)) // into 2 and 3
		r.Put(2)
		r.Merge(ledger.Shard(3), ledger.Shard(1)) // into 4
		r.Put(2)
	})
	if again := r.Read(); again > 0 {
		r.t.Errorf("%d values were read twice", again)
	}

	// Pages, and errors as this SDK knows them.
	var shards, pages int
	if err := r.k.DescribeStreamPages(&kinesis.DescribeStreamInput{StreamName: &r.Stream, Limit: aws.Int64(2)}, func(out *kinesis.DescribeStreamOutput, _ bool) bool {
		shards += len(out.StreamDescription.Shards)
		pages++
		return true
	}); err != nil || shards != 5 || pages != 3 {
		r.t.Errorf("%d shards on %d pages, %v", shards, pages, err)
	}
	_, err := r.k.CreateStream(&kinesis.CreateStreamInput{StreamName: &r.Stream, ShardCount: aws.Int64(1)})
	if code(err) != kinesis.ErrCodeResourceInUseException {
		r.t.Error(err)
	}
	_, err = r.k.GetShardIterator(&kinesis.GetShardIteratorInput{StreamName: &r.Stream, ShardId: aws.String(ledger.Shard(9)), ShardIteratorType: aws.String(kinesis.ShardIteratorTypeLatest)})
	if code(err) != kinesis.ErrCodeResourceNotFoundException {
		r.t.Error(err)
	}

	// The stream is deleted under its readers.
	if _, err := r.k.DeleteStream(&kinesis.DeleteStreamInput{StreamName: &r.Stream, EnforceConsumerDeletion: aws.Bool(true)}); err != nil {
		r.t.Fatal(err)
	}
	if err := r.k.WaitUntilStreamNotExists(&kinesis.DescribeStreamInput{StreamName: &r.Stream}); err != nil {
		r.t.Error(err)
	}
	r.readers.Wait()
	if want := fmt.Sprint(map[string]string{ledger.Shard(2): kinesis.ErrCodeResourceNotFoundException, ledger.Shard(4): kinesis.ErrCodeResourceNotFoundException}); fmt.Sprint(r.over) != want {
		r.t.Errorf("the open shards' readers ended with %v, not %s", r.over, want)
	}
}

// TestTables takes and gives back a lease with the expressions of kinsumer, the
// consumer that was written on this SDK.
func TestTables(t *testing.T) {
	d := dynamodb.New(connect(t, "THALWEG_HTTPS"))
	name := aws.String(fmt.Sprint("v1-", time.Now().UnixNano()))
	must := func(_ any, err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	must(d.CreateTable(&dynamodb.CreateTableInput{TableName: name,
		KeySchema:             []*dynamodb.KeySchemaElement{{AttributeName: aws.String("Shard"), KeyType: aws.String("HASH")}},
		AttributeDefinitions:  []*dynamodb.AttributeDefinition{{AttributeName: aws.String("Shard"), AttributeType: aws.String("S")}},
		ProvisionedThroughput: &dynamodb.ProvisionedThroughput{ReadCapacityUnits: aws.Int64(10), WriteCapacityUnits: aws.Int64(10)}}))
	must(nil, d.WaitUntilTableExists(&dynamodb.DescribeTableInput{TableName: name}))

	const now = 1795521622067148222 // nanoseconds: 19 digits
	text := func(s string) *dynamodb.AttributeValue { return &dynamodb.AttributeValue{S: &s} }
	number := func(n int) *dynamodb.AttributeValue {
		return &dynamodb.AttributeValue{N: aws.String(fmt.Sprint(n))}
	}
	key := map[string]*dynamodb.AttributeValue{"Shard": text("s")}
	take := func(owner string, at int) error {
		_, err := d.UpdateItem(&dynamodb.UpdateItemInput{TableName: name, Key: key,
			UpdateExpression:    aws.String("SET OwnerID = :owner, OwnerName = :owner, LastUpdate = :now"),
			ConditionExpression: aws.String("attribute_not_exists(OwnerID) OR attribute_type(OwnerID, :nullType) OR LastUpdate <= :cutoff"),
			ExpressionAttributeValues: map[string]*dynamodb.AttributeValue{
				":owner": text(owner), ":now": number(at), ":nullType": text("NULL"), ":cutoff": number(at - 1000)}})
		return err
	}
	must(d.PutItem(&dynamodb.PutItemInput{TableName: name, Item: map[string]*dynamodb.AttributeValue{
		"Shard": text("s"), "OwnerID": {NULL: aws.Bool(true)}, "Data": {B: []byte{0, 255}}, "List": {L: []*dynamodb.AttributeValue{text("")}}}}))
	must(nil, take("a", now)) // nobody's
	if err := take("b", now+999); code(err) != dynamodb.ErrCodeConditionalCheckFailedException {
		t.Fatalf("a lease was taken too early: %v", err)
	}
	must(nil, take("b", now+1000))
	must(d.UpdateItem(&dynamodb.UpdateItemInput{TableName: name, Key: key,
		UpdateExpression:          aws.String("REMOVE OwnerID, OwnerName SET LastUpdate = :last, SequenceNumber = :seq"),
		ConditionExpression:       aws.String("OwnerID = :owner"),
		ExpressionAttributeValues: map[string]*dynamodb.AttributeValue{":last": number(now + 1001), ":seq": text("49"), ":owner": text("b")}}))
	out, err := d.GetItem(&dynamodb.GetItemInput{TableName: name, Key: key, ConsistentRead: aws.Bool(true)})
	must(out, err)
	if i := out.Item; len(i) != 5 || *i["LastUpdate"].N != fmt.Sprint(now+1001) || *i["SequenceNumber"].S != "49" || string(i["Data"].B) != "\x00\xff" || *i["List"].L[0].S != "" {
		t.Errorf("%v", out.Item)
	}
	scan, err := d.Scan(&dynamodb.ScanInput{TableName: name, ConsistentRead: aws.Bool(true), FilterExpression: aws.String("LastUpdate > :cutoff"),
		ExpressionAttributeValues: map[string]*dynamodb.AttributeValue{":cutoff": number(now + 1000)}})
	if must(scan, err); *scan.Count != 1 {
		t.Errorf("%v", scan)
	}
	must(d.DeleteTable(&dynamodb.DeleteTableInput{TableName: name}))
	must(nil, d.WaitUntilTableNotExists(&dynamodb.DescribeTableInput{TableName: name}))
	if _, err := d.DeleteTable(&dynamodb.DeleteTableInput{TableName: name}); code(err) != dynamodb.ErrCodeResourceNotFoundException || !strings.Contains(err.Error(), *name) {
		t.Error(err)
	}
}
