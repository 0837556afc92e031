package dynamodb

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/thalweg/thalweg/catalog"
	"github.com/thalweg/thalweg/gate"
	"github.com/thalweg/thalweg/gate/wire"
	"github.com/thalweg/thalweg/table"
)

// instant is a log that applies what it is given and writes nothing.
type instant struct{ *catalog.Catalog }

func (l instant) Propose(_ context.Context, cmd []byte) (any, error) { return l.Apply(7, cmd), nil }

// The benchmarks below are from a request's body to the answer's, for a lease
// of some 500 bytes, with a log that takes no time.
func benchmark(b *testing.B, op, body string) {
	c := catalog.New()
	tables := table.New(table.Config{Catalog: c})
	c.Attach(instant{c})
	f := &fixture{TB: b, ops: map[string]gate.Op{}}
	for _, op := range New(tables).Ops {
		f.ops[op.Name] = op
	}
	for _, step := range [][2]string{
		{"CreateTable", `{"TableName":"leases","BillingMode":"PAY_PER_REQUEST","KeySchema":[{"AttributeName":"k","KeyType":"HASH"}],"AttributeDefinitions":[{"AttributeName":"k","AttributeType":"S"}]}`},
		{"PutItem", putLease}, {op, body},
	} {
		if out := f.call(step[0], step[1]); !strings.HasPrefix(out, "{") {
			b.Fatal(step[0], out)
		}
	}
	serve, call := f.ops[op].Serve, gate.Call{Account: "000000000000", Region: "us-east-1", Format: wire.JSON10, Body: []byte(body), Now: time.Now()}
	var out []byte
	b.ReportAllocs()
	for b.Loop() {
		var err error
		if out, err = serve(b.Context(), &call, out[:0]); err != nil {
			b.Fatal(err)
		}
	}
}

var putLease = `{"TableName":"leases","Item":{"k":{"S":"shardId-000000000001"},"owner":{"S":"worker-1"},"n":{"N":"0"},"pad":{"S":"` + strings.Repeat("x", 400) + `"}}}`

const updateLease = `{"TableName":"leases","Key":{"k":{"S":"shardId-000000000001"}},"UpdateExpression":"SET n = n + :i","ConditionExpression":"#o = :o AND n < :most","ExpressionAttributeNames":{"#o":"owner"},` +
	`"ExpressionAttributeValues":{":i":{"N":"1"},":o":{"S":"worker-1"},":most":{"N":"1000000000000"}}}`

func BenchmarkUpdateItem(b *testing.B) { benchmark(b, "UpdateItem", updateLease) }

func BenchmarkPutItem(b *testing.B) { benchmark(b, "PutItem", putLease) }

func BenchmarkGetItem(b *testing.B) {
	benchmark(b, "GetItem", `{"TableName":"leases","Key":{"k":{"S":"shardId-000000000001"}},"ConsistentRead":true}`)
}
