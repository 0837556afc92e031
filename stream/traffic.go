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
// is changed once per call, and never per record. Its fields are safe for
// concurrent use.
type Traffic struct {
	InBytes, InRecords atomic.Int64 // stored: partition keys and data
	Put, PutMany       PutTraffic   // PutRecord and PutRecords
	Gets               Timed        // successful GetRecords
	GetsRefused        atomic.Int64 // beyond the limits
	OutBytes, OutCount atomic.Int64 // by GetRecords
}

// PutTraffic is what one of the operations that put records has done.
type PutTraffic struct {
	Timed                                      // all calls that found their stream
	OK                            atomic.Int64 // calls that stored at least one record
	Bytes, Records                atomic.Int64 // asked for
	Stored, Throttled, OtherFails atomic.Int64 // records
}

// CountPut counts one call of PutRecord (one) or PutRecords: bytes of keys and
// data asked for, the fates of its records, and its duration. It returns the
// first record's failure that is more than a refusal for its shard's limits.
func (s *Streams) CountPut(ref Ref, one bool, bytes int, recs []PutRecord, took time.Duration) (failed error) {
	e := (*s.entries.Load())[ref]
	if e == nil {
		return nil
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
		case failed == nil:
			failed = err
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
	return failed
}

// ConsumerTraffic is what one consumer's subscriptions have done.
type ConsumerTraffic struct {
	Subscribed, Refused              atomic.Int64 // calls of SubscribeToShard
	Events, EventBytes, EventRecords atomic.Int64
}

func (t *ConsumerTraffic) event(ev *Event) {
	t.Events.Add(1)
	t.EventBytes.Add(int64(ev.Bytes))
	t.EventRecords.Add(int64(ev.Records))
}

// consumer returns the traffic of a consumer of the stream.
func (e *entry) consumer(name string) *ConsumerTraffic {
	e.mu.Lock()
	defer e.mu.Unlock()
	t := e.consumers[name]
	if t == nil {
		if e.consumers == nil {
			e.consumers = make(map[string]*ConsumerTraffic)
		}
		t = new(ConsumerTraffic)
		e.consumers[name] = t
	}
	return t
}

// dismiss forgets a consumer that is gone: another one of its name counts anew.
func (e *entry) dismiss(name string) {
	e.mu.Lock()
	defer e.mu.Unlock()
	delete(e.consumers, name)
}

// shardTraffic is the same of one shard.
type shardTraffic struct {
	inBytes, inRecords   atomic.Int64
	outBytes, outRecords atomic.Int64
	age, read            atomic.Int64 // of the latest read: milliseconds behind the tip, and when (Unix milliseconds)
}

// recently is how long the age of a shard's latest read says something. A shard
// that nobody reads has none.
const recently = 5 * time.Minute

// lag returns how far the latest read was behind the tip, in milliseconds, or
// -1 when there was none lately.
func (t *shardTraffic) lag(now time.Time) int64 {
	if now.UnixMilli()-t.read.Load() > recently.Milliseconds() {
		return -1
	}
	return t.age.Load()
}

// appended counts the entries that the log took in.
func (v *view) appended(entries []shardlog.Entry, places []int32) {
	var records, bytes int64
	for i := range entries {
		if entries[i].Err != nil {
			continue
		}
		n := int64(entries[i].Count)
		size := int64(entries[i].Size) - n*int64(shardlog.RecordSize(0, 0))
		records, bytes = records+n, bytes+size
		t := &v.shards[places[i]].limits.traffic
		t.inBytes.Add(size)
		t.inRecords.Add(n)
	}
	v.traffic.InBytes.Add(bytes)
	v.traffic.InRecords.Add(records)
}

// got counts one successful GetRecords.
func (e *entry) got(sh *shard, p *ReadPage, began time.Time) {
	t := &sh.limits.traffic
	t.outBytes.Add(int64(p.Bytes))
	t.outRecords.Add(int64(p.Records))
	t.age.Store(p.Behind.Milliseconds())
	t.read.Store(began.UnixMilli())
	e.traffic.Gets.add(time.Since(began))
	e.traffic.OutBytes.Add(int64(p.Bytes))
	e.traffic.OutCount.Add(int64(p.Records))
}

// Figures are what is counted of one stream, as of one instant.
type Figures struct {
	*Info
	*Traffic
	AgeMillis int64             // the largest of its shards'; -1: nobody has called GetRecords lately
	Shards    []ShardFigures    // by index; none unless the stream exports metrics of its shards
	Consumers []ConsumerFigures // by name
}

// ShardFigures are the figures of one shard, by the names of ShardMetrics.
type ShardFigures struct {
	ID                        string
	InBytes, InRecords        int64
	OutBytes, OutRecords      int64
	WriteRefused, ReadRefused int64 // records and calls beyond the limits
	AgeMillis                 int64 // how far the latest read was behind the tip; -1: there was none lately
}

// ConsumerFigures are the figures of one registered consumer.
type ConsumerFigures struct {
	Name string
	*ConsumerTraffic
	Subscriptions int   // that are open
	BehindMillis  int64 // the largest that their latest events told; -1: none is open
}

// Figures yields each stream's figures.
func (s *Streams) Figures() iter.Seq[Figures] {
	return func(yield func(Figures) bool) {
		now := time.Now()
		open := s.subs.figures()
		for _, e := range *s.entries.Load() {
			v, err := s.load(e)
			if err != nil {
				continue // gone in the meantime
			}
			f := Figures{Info: &v.info, Traffic: &e.traffic, AgeMillis: -1}
			for i := range v.shards {
				if v.shards[i].expired(now, v.info.Retention) {
					continue
				}
				f.AgeMillis = max(f.AgeMillis, v.shards[i].limits.traffic.lag(now))
				if len(v.info.Metrics) > 0 {
					f.Shards = append(f.Shards, v.shards[i].figures(now))
				}
			}
			_ = v.consumers(v.seen.Load(), "", func(c Consumer) bool {
				o := ConsumerFigures{BehindMillis: -1}
				if found, ok := open[slotKey{stream: v.doc.ID, consumer: c.Name}]; ok {
					o = found
				}
				o.Name, o.ConsumerTraffic = c.Name, e.consumer(c.Name)
				f.Consumers = append(f.Consumers, o)
				return true
			}) // a document that does not decode is told by whoever needs it
			if !yield(f) {
				return
			}
		}
	}
}

func (sh *shard) figures(now time.Time) ShardFigures {
	l := sh.limits
	t := &l.traffic
	f := ShardFigures{
		ID: sh.ID, InBytes: t.inBytes.Load(), InRecords: t.inRecords.Load(),
		OutBytes: t.outBytes.Load(), OutRecords: t.outRecords.Load(), AgeMillis: t.lag(now),
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	f.WriteRefused, f.ReadRefused = l.writesRefused, l.readsRefused
	return f
}

// figures counts what is open, under keys without a shard.
func (t *subscriptions) figures() map[slotKey]ConsumerFigures {
	t.mu.Lock()
	defer t.mu.Unlock()
	open := make(map[slotKey]ConsumerFigures)
	for k, sl := range t.slots {
		if sl.closed {
			continue
		}
		k.shard = 0
		f := open[k]
		f.Subscriptions++
		f.BehindMillis = max(f.BehindMillis, sl.holder.told.Load())
		open[k] = f
	}
	return open
}
