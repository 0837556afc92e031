package conformance

import (
	"context"
	"fmt"
	"math/big"
	"sync"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/kinesis"
	"github.com/aws/aws-sdk-go-v2/service/kinesis/types"
)

const flowKeys = 100

// place is where a record is in a stream.
type place struct{ shard, sequence string }

// user is the nth record of a key.
type user struct {
	key string
	n   int
}

func (u user) data() []byte { return fmt.Appendf(nil, "%s %d \x00\xff\x80\n", u.key, u.n) }

// flow puts the next record of every key again and again, and none before the
// one before it is acknowledged. What it knows is to be read once it has ended.
type flow struct {
	placed map[place]user    // what was acknowledged
	last   map[string]string // by shard: the highest sequence number acknowledged
	again  map[user]bool     // put more than once, since an answer was lost
	rounds int               // records of each key
}

// flowing begins a flow; end ends it.
func flowing(t *testing.T, k *kinesis.Client, stream string) (f *flow, end func()) {
	f = &flow{placed: map[place]user{}, last: map[string]string{}, again: map[user]bool{}}
	ctx, cancel := context.WithCancel(t.Context())
	var done sync.WaitGroup
	done.Go(func() {
		for ; ctx.Err() == nil; f.rounds++ {
			f.round(context.WithoutCancel(ctx), t, k, stream)
			select {
			case <-time.After(200 * time.Millisecond):
			case <-ctx.Done():
			}
		}
	})
	end = func() { cancel(); done.Wait() }
	t.Cleanup(end)
	return f, end
}

func (f *flow) round(ctx context.Context, t *testing.T, k *kinesis.Client, stream string) {
	var due []user
	for i := range flowKeys {
		due = append(due, user{fmt.Sprint("schlüssel-", i), f.rounds})
	}
	for deadline := time.Now().Add(time.Minute); len(due) > 0; {
		in := &kinesis.PutRecordsInput{StreamName: &stream}
		for _, u := range due {
			in.Records = append(in.Records, types.PutRecordsRequestEntry{PartitionKey: &u.key, Data: u.data()})
		}
		out, err := k.PutRecords(ctx, in, func(o *kinesis.Options) { o.RetryMaxAttempts = 1 })
		if time.Now().After(deadline) {
			t.Errorf("%d records cannot be put: %v", len(due), err)
			return
		}
		if err != nil {
			for _, u := range due {
				f.again[u] = true
			}
			pause()
			continue
		}
		var refused []user
		for i, r := range out.Records {
			if r.SequenceNumber == nil {
				refused = append(refused, due[i])
				continue
			}
			f.placed[place{*r.ShardId, *r.SequenceNumber}] = due[i]
			if decimal(*r.SequenceNumber).Cmp(decimal(f.last[*r.ShardId])) > 0 {
				f.last[*r.ShardId] = *r.SequenceNumber
			}
		}
		if due = refused; len(due) > 0 {
			pause()
		}
	}
}

// decimal is a sequence number or hash key as a number; 0 of what is none.
func decimal(s string) *big.Int {
	n, ok := new(big.Int).SetString(s, 10)
	if !ok {
		return new(big.Int)
	}
	return n
}
