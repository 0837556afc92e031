package stream

import (
	"iter"
	"sync/atomic"
	"time"

	"github.com/thalweg/thalweg/fault"
	"github.com/thalweg/thalweg/shardlog"
)

// Timed counts calls and how long they took. The zero Timed is ready for use.
type Timed struct {
	calls, nanos atomic.Int64
}

func (t *Timed) add(d time.Duration) {
	t.calls.Add(1)
	t.nanos.Add(int64(d))
}

// Load returns how many calls there were, and the time of all together.
func (t *Timed) Load() (calls int64, all time.Duration) {
	return t.calls.Load(), time.Duration(t.nanos.Load())
}

// Traffic is what passed through one stream since this process knows it. It
// is changed once per call, and never per record. Its methods are safe for
// concurrent use, and on nil: a stream that is not there.
type Traffic struct {
	InBytes, InRecords atomic.Int64 // stored: partition keys and data
	Put, PutMany       PutTraffic   // PutRecord and PutRecords
	Gets               Timed        // successful GetRecords
	OutBytes, OutCount atomic.Int64 // by GetRecords
	Subscribed         atomic.Int64 // successful SubscribeToShard
	SubscribeRefused   atomic.Int64
	Events             atomic.Int64 // of SubscribeToShard
	EventBytes         atomic.Int64
	EventRecords       atomic.Int64
	EventBehind        atomic.Int64 // milliseconds, of the latest event
}

// PutTraffic is what one of the operations that put records has done.
type PutTraffic struct {
	Timed                                      // all calls that found their stream
	OK                            atomic.Int64 // calls that stored at least one record
	Bytes, Records                atomic.Int64 // asked for
	Stored, Throttled, OtherFails atomic.Int64 // records
}

// CountPut counts one call of PutRecord (one) or PutRecords: bytes of keys and
// data asked for, the fates of its records, and its duration.
func (s *Streams) CountPut(ref Ref, one bool, bytes int, recs []PutRecord, took time.Duration) {
	e := (*s.entries.Load())[ref]
	if e == nil {
		return
	}
	t := &e.traffic.PutMany
	if one {
		t = &e.traffic.Put
	}
	stored, throttled := 0, 0
	for i := range recs {
		switch err := recs[i].Err; {
		case err == nil:
			stored++
		case fault.Is(err, fault.Throttled):
			throttled++
		}
	}
	t.add(took)
	t.Bytes.Add(int64(bytes))
	t.Records.Add(int64(len(recs)))
	t.Stored.Add(int64(stored))
	if stored > 0 {
		t.OK.Add(1)
	}
	if stored < len(recs) {
		t.Throttled.Add(int64(throttled))
		t.OtherFails.Add(int64(len(recs) - stored - throttled))
	}
}

// event counts one event of a subscription.
func (t *Traffic) event(records, bytes int, behind time.Duration) {
	t.Events.Add(1)
	t.EventBytes.Add(int64(bytes))
	t.EventRecords.Add(int64(records))
	t.EventBehind.Store(behind.Milliseconds())
}

// shardTraffic is the same of one shard.
type shardTraffic struct {
	inBytes, inRecords   atomic.Int64
	outBytes, outRecords atomic.Int64
	age                  atomic.Int64 // milliseconds, of the latest read
}

// appended counts the entries that the log took in.
func (v *view) appended(entries []shardlog.Entry, places []int32) {
	for i := range entries {
		if entries[i].Err != nil {
			continue
		}
		n := int64(entries[i].Count)
		bytes := int64(entries[i].Size) - n*int64(shardlog.RecordSize(0, 0))
		t := &v.shards[places[i]].limits.traffic
		t.inBytes.Add(bytes)
		t.inRecords.Add(n)
		v.traffic.InBytes.Add(bytes)
		v.traffic.InRecords.Add(n)
	}
}

// got counts one successful GetRecords.
func (e *entry) got(sh *shard, p *ReadPage, began time.Time) {
	t := &sh.limits.traffic
	t.outBytes.Add(int64(p.Bytes))
	t.outRecords.Add(int64(p.Records))
	t.age.Store(p.Behind.Milliseconds())
	e.traffic.Gets.add(time.Since(began))
	e.traffic.OutBytes.Add(int64(p.Bytes))
	e.traffic.OutCount.Add(int64(p.Records))
}

// ShardFigures are the figures of one shard, by the names of ShardMetrics.
type ShardFigures struct {
	ID                        string
	InBytes, InRecords        int64
	OutBytes, OutRecords      int64
	WriteRefused, ReadRefused int64 // records and calls beyond the limits
	AgeMillis                 int64 // how far the latest read was behind the tip
}

// Figures yields each stream with its traffic, and that of its shards.
func (s *Streams) Figures() iter.Seq2[*Info, Figures] {
	return func(yield func(*Info, Figures) bool) {
		for _, e := range *s.entries.Load() {
			v, err := s.load(e)
			if err != nil {
				continue // gone in the meantime
			}
			f := Figures{Traffic: &e.traffic, Shards: make([]ShardFigures, len(v.shards))}
			for i := range v.shards {
				l := v.shards[i].limits
				t := &l.traffic
				f.Shards[i] = ShardFigures{
					ID: v.shards[i].ID, InBytes: t.inBytes.Load(), InRecords: t.inRecords.Load(),
					OutBytes: t.outBytes.Load(), OutRecords: t.outRecords.Load(), AgeMillis: t.age.Load(),
				}
				l.mu.Lock()
				f.Shards[i].WriteRefused, f.Shards[i].ReadRefused = l.writesRefused, l.readsRefused
				l.mu.Unlock()
			}
			if !yield(&v.info, f) {
				return
			}
		}
	}
}

// Figures are what is counted of one stream.
type Figures struct {
	*Traffic
	Shards []ShardFigures // of those that are in the stream's Info, in its order
}
