package server

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"math/big"
	"net"
	"net/http"
	"runtime"
	"sync"
	"testing"
	"time"

	"github.com/thalweg/thalweg/api/kinesis"
	"github.com/thalweg/thalweg/gate"
	"github.com/thalweg/thalweg/gate/wire"
)

// subscription is one SubscribeToShard under way.
type subscription struct {
	shard  string
	body   io.ReadCloser
	events *wire.Decoder
}

// event is what the tests look at of a SubscribeToShardEvent.
type event struct {
	Records                    []struct{ Data []byte }
	ContinuationSequenceNumber string
}

func (h *house) subscribe(c *http.Client, consumer, shard, from string) (*subscription, error) {
	resp, err := c.Do(h.request("SubscribeToShard", obj{"ConsumerARN": consumer, "ShardId": shard, "StartingPosition": obj{"Type": from}}))
	if err != nil {
		return nil, err
	}
	s := &subscription{shard, resp.Body, wire.NewDecoder(resp.Body)}
	m, err := s.events.Next()
	if err == nil && (resp.StatusCode != 200 || m.Type != "initial-response") {
		err = fmt.Errorf("%s begins with %d, %s %s", shard, resp.StatusCode, m.Type, m.Payload)
	}
	return s, err
}

func (s *subscription) next() (e event, err error) {
	m, err := s.events.Next()
	if err == nil && m.Type != "SubscribeToShardEvent" {
		err = fmt.Errorf("%s: %s %s", s.shard, m.Type, m.Payload)
	}
	if err == nil {
		err = json.Unmarshal(m.Payload, &e)
	}
	return e, err
}

// audience makes a stream of shards and n consumers of it.
func (h *house) audience(t *testing.T, stream string, shards, n int) (ids, consumers []string) {
	t.Helper()
	h.must(t, "CreateStream", obj{"StreamName": stream, "ShardCount": shards})
	for _, s := range h.must(t, "ListShards", obj{"StreamName": stream})["Shards"].([]any) {
		ids = append(ids, s.(obj)["ShardId"].(string))
	}
	for i := range n {
		out := h.must(t, "RegisterStreamConsumer", obj{"StreamARN": "arn:aws:kinesis:us-east-1:000000000000:stream/" + stream, "ConsumerName": fmt.Sprint("c", i)})
		consumers = append(consumers, out["Consumer"].(obj)["ConsumerARN"].(string))
	}
	return ids, consumers
}

// h2c returns a client that has all its requests on one connection.
func h2c(t *testing.T) *http.Client {
	p := new(http.Protocols)
	p.SetUnencryptedHTTP2(true)
	tr := &http.Transport{Protocols: p}
	t.Cleanup(tr.CloseIdleConnections)
	return &http.Client{Transport: tr}
}

// Five thousand subscriptions that wait cost little, are told every five
// seconds that nothing happened, keep nobody out, and when something happens
// all of them get it: "2,000 concurrent fan-out subscriptions", and more.
func TestManySubscriptions(t *testing.T) {
	const shards, consumers, connections = 250, 20, 4
	h := run(t, Config{Data: t.TempDir()}) // files in memory would be in the measurement
	ids, arns := h.audience(t, "orders", shards, consumers)
	clients := make([]*http.Client, connections)
	for i := range clients {
		clients[i] = h2c(t)
	}
	footprint := func() (bytes, goroutines int) {
		runtime.GC()
		runtime.GC()
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		return int(m.HeapAlloc + m.StackInuse), runtime.NumGoroutine()
	}
	before, few := footprint()
	subs := make([]*subscription, shards*consumers)
	var wg sync.WaitGroup
	for k := range 32 {
		wg.Go(func() {
			for i := k; i < len(subs); i += 32 {
				s, err := h.subscribe(clients[i%connections], arns[i/shards], ids[i%shards], "LATEST")
				if err != nil {
					t.Error(err)
					return
				}
				subs[i] = s
			}
		})
	}
	wg.Wait()
	if t.Failed() {
		return
	}
	after, many := footprint()
	each := (after - before) / len(subs)
	// The client's share of both is in them: a pipe, a response, a decoder.
	t.Logf("%d bytes and %.2f goroutines for each of %d subscriptions, the client's with them", each, float64(many-few)/float64(len(subs)), len(subs))
	if each > 48<<10 || many-few > 2*len(subs)+100 {
		t.Errorf("%d bytes for each subscription, %d goroutines in all", each, many-few)
	}

	quiet := make(chan struct{}, len(subs))
	for _, s := range subs {
		wg.Go(func() {
			began, beat := time.Now(), false
			for {
				e, err := s.next()
				switch {
				case err != nil:
					t.Error(err)
				case len(e.Records) == 0 && e.ContinuationSequenceNumber != "":
					if !beat {
						quiet <- struct{}{}
					}
					beat = true
					continue
				case len(e.Records) != 1 || string(e.Records[0].Data) != s.shard:
					t.Errorf("%s got %+v", s.shard, e)
				case !beat:
					t.Errorf("no heartbeat of %s for %v", s.shard, time.Since(began))
				}
				s.body.Close()
				return
			}
		})
	}
	for range subs {
		<-quiet
	}
	// One record for each shard, by the middle of its hash keys.
	var records []obj
	width := new(big.Int).Div(new(big.Int).Lsh(big.NewInt(1), 128), big.NewInt(shards))
	for i, id := range ids {
		at := new(big.Int).Mul(width, big.NewInt(int64(i)))
		records = append(records, obj{"PartitionKey": "k", "ExplicitHashKey": at.Add(at, big.NewInt(1)).String(), "Data": []byte(id)})
	}
	if out := h.must(t, "PutRecords", obj{"StreamName": "orders", "Records": records}); out["FailedRecordCount"] != 0.0 {
		t.Error(out)
	}
	wg.Wait()
	if err := h.end(); err != nil {
		t.Error(err)
	}
}

// A reader that stops reading is in nobody's way, and its connection is ended
// after a while.
func TestReaderThatStops(t *testing.T) {
	const consumers, puts, size = 3, 48, 1000 << 10
	h := run(t, Config{Ephemeral: true})
	// A second port, with less patience.
	ended := make(chan int, 100)
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	g, err := gate.New(gate.Config{Listener: l, Services: []*gate.Service{kinesis.New(h.streams)}, Stall: 5 * time.Second,
		Observe: func(_, op string, status int, _ time.Duration) { ended <- status }})
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(t.Context())
	stopped := make(chan error)
	go func() { stopped <- g.Run(ctx) }()
	impatient := *h
	impatient.url = "http://" + l.Addr().String()

	ids, arns := h.audience(t, "orders", 1, consumers+2)
	subscribe := func(c *http.Client, arn string) *subscription {
		s, err := impatient.subscribe(c, arn, ids[0], "TRIM_HORIZON")
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { s.body.Close() })
		return s
	}
	stuck := []*subscription{subscribe(&http.Client{Transport: &http.Transport{DisableKeepAlives: true}}, arns[0]), subscribe(h2c(t), arns[1])}
	var wg sync.WaitGroup
	for _, arn := range arns[2:] {
		s := subscribe(h2c(t), arn)
		wg.Go(func() {
			for got := 0; got < puts; {
				e, err := s.next()
				if err != nil {
					t.Error(err)
					return
				}
				for _, r := range e.Records {
					if r.Data[0] != byte(got) || len(r.Data) != size {
						t.Errorf("record %d is %d with %d bytes", got, r.Data[0], len(r.Data))
					}
					got++
				}
			}
		})
	}
	for i := range puts {
		h.must(t, "PutRecord", obj{"StreamName": "orders", "PartitionKey": "k", "Data": bytes.Repeat([]byte{byte(i)}, size)})
	}
	wg.Wait()
	for range stuck {
		if status := <-ended; status != 499 {
			t.Errorf("ended with %d", status)
		}
	}
	// What they did not read is cut off in the middle.
	for i, s := range stuck {
		if n, err := io.Copy(io.Discard, s.body); err == nil || n >= puts*size {
			t.Errorf("reader %d that stopped was served to the end: %d bytes", i, n)
		}
	}
	stop()
	if err := <-stopped; err != nil {
		t.Error(err)
	}
	if err := h.end(); err != nil {
		t.Error(err)
	}
}
