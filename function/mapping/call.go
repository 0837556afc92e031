package mapping

import (
	"context"
	"errors"
	"time"

	"github.com/thalweg/thalweg/fault"
	"github.com/thalweg/thalweg/flow"
	"github.com/thalweg/thalweg/function"
	"github.com/thalweg/thalweg/function/mapping/event"
	"github.com/thalweg/thalweg/function/mapping/filter"
	"github.com/thalweg/thalweg/function/mapping/shard"
)

// begin makes the invocation or the delivery that a batch is.
func (w *worker) begin(ctx context.Context, b shard.Batch) {
	o := w.orders
	if b.Failure != "" {
		w.discard(ctx, b, o)
		return
	}
	// What has to wait holds no data meanwhile.
	var records []flow.Record
	give := w.r.events.now(w.eventSize(b, o))
	if give != nil {
		records = w.held.of(b.Records)
	}
	w.spawn(ctx, func() func() { return w.invoke(ctx, b, records, give, o) })
}

// errLost says that records are no longer in the log.
var errLost = errors.New("retention has taken some of the records")

// recall reads the records of a batch again, where they are not held.
func (w *worker) recall(ctx context.Context, wanted []shard.Record, held []flow.Record) ([]flow.Record, error) {
	if len(held) == len(wanted) {
		return held, nil
	}
	var found chunk
	from, last := wanted[0].Pos, wanted[len(wanted)-1].Pos
	for from <= last {
		p, err := w.r.m.env.Read(ctx, w.stream, w.shard.Index, from, Limit{Records: readRecords, Bytes: readBytes}, func(r flow.Record) {
			if n := len(found.records); n < len(wanted) && r.Pos == wanted[n].Pos {
				found.add(r)
			}
		})
		if err != nil {
			return nil, err
		}
		if p.Next <= from || p.Tip {
			break
		}
		from = p.Next
	}
	if len(found.records) < len(wanted) {
		return nil, errLost
	}
	return found.records, nil
}

// eventSize is what the event of a batch has at most.
func (w *worker) eventSize(b shard.Batch, o *orders) int {
	size := w.source(o).Around()
	for _, r := range b.Records {
		size += r.Size + 1
	}
	if b.Window != nil {
		size += len(b.Window.State)
	}
	return size
}

// event writes the event of a batch.
func (w *worker) event(b shard.Batch, records []flow.Record, o *orders) []byte {
	source := w.source(o)
	out := event.Begin(make([]byte, 0, w.eventSize(b, o)))
	for i, r := range records {
		if i > 0 {
			out = append(out, ',')
		}
		at := r.Time.UnixMilli()
		out = source.Append(out, event.Record{Sequence: w.shard.Sequence(r.Pos, at), Key: r.Key, Data: r.Data, Time: at})
	}
	return source.End(out, b.Window)
}

// invoke invokes the function with a batch, and returns what its answer means
// to the machine.
func (w *worker) invoke(ctx context.Context, b shard.Batch, held []flow.Record, give func(), o *orders) func() {
	counts := w.r.counts
	refused := func() { w.m.Result(time.Now(), b.ID, shard.Result{Refused: true}) }
	if give == nil {
		var err error
		if give, err = w.r.events.take(ctx, w.eventSize(b, o)); err != nil {
			return refused // all is ending
		}
	}
	defer give()
	records, err := w.recall(ctx, b.Records, held)
	if errors.Is(err, errLost) {
		return func() {
			refused()
			w.passLost(ctx, b)
		}
	}
	var out function.Outcome
	if err == nil {
		if len(b.Records) > 0 {
			counts.IteratorAge.Store(max(0, time.Now().UnixMilli()-b.Records[len(b.Records)-1].Time))
		}
		out, err = w.r.m.env.Invoke(ctx, function.Invocation{
			Account: o.Account, Region: o.Region, Function: o.Function, Payload: w.event(b, records, o),
		})
	}
	if err != nil {
		w.refused(ctx, err)
		return refused
	}
	counts.Invocations.Add(1)
	r := shard.Result{Verdict: event.Verdict{Failed: true, Cut: -1}}
	if out.FunctionError == "" {
		r.Verdict = event.Judge(out.Payload, b.Expect, w.index(b))
	}
	switch {
	case r.Failed:
		counts.Failures.Add(1)
		counts.result(callFailed)
	case r.Cut >= 0:
		counts.ItemFailures.Add(1)
		counts.Records.Add(int64(r.Cut))
		counts.result(callFailed)
	default:
		counts.Records.Add(int64(len(b.Records)))
		counts.result(allRight)
	}
	return func() {
		w.last = lastCall{out.RequestID, out.Version, out.FunctionError}
		w.m.Result(time.Now(), b.ID, r)
	}
}

// lastCall is what is told of an invocation where its batch is given up.
type lastCall struct{ request, version, failure string }

// refused notes that an invocation did not take place.
func (w *worker) refused(ctx context.Context, err error) {
	if ctx.Err() != nil {
		return
	}
	counts := w.r.counts
	counts.Refused.Add(1)
	switch {
	case fault.Is(err, fault.NotFound):
		counts.result(noFunction)
	case !fault.Is(err, fault.Throttled):
		counts.result(callFailed)
	}
	if counts.refusedLog(time.Now()) {
		w.r.m.logger.Warn("a function does not take its records", "mapping", w.r.uuid, "shard", w.shard.ID, "err", err)
	}
}

// index returns what finds a record of a batch by its sequence number.
func (w *worker) index(b shard.Batch) func(string) int {
	var places map[string]int
	return func(sequence string) int {
		if places == nil {
			places = make(map[string]int, len(b.Records))
			for i, r := range b.Records {
				places[w.shard.Sequence(r.Pos, r.Time)] = i
			}
		}
		if i, ok := places[sequence]; ok {
			return i
		}
		return -1
	}
}

// passLost lets the machine pass records that the log no longer has.
func (w *worker) passLost(ctx context.Context, b shard.Batch) {
	w.spawn(ctx, func() func() {
		first := b.Records[len(b.Records)-1].Pos + 1
		_, err := w.r.m.env.Read(ctx, w.stream, w.shard.Index, b.Records[0].Pos, Limit{Records: 1}, func(r flow.Record) { first = r.Pos })
		return func() {
			if err != nil {
				return // the next try finds out
			}
			w.r.m.logger.Warn("records expired before they were processed", "mapping", w.r.uuid, "shard", w.shard.ID)
			w.m.Lost(b.Records[0].Pos, first)
		}
	})
}

// sendFor is how long a delivery is tried.
const sendFor = 5 * time.Minute

// discard sends a batch that was given up to the on-failure destination, if
// there is one. As on AWS, the shard moves on when that fails for long.
func (w *worker) discard(ctx context.Context, b shard.Batch, o *orders) {
	w.r.counts.Discarded.Add(int64(len(b.Records)))
	call := w.last
	w.spawn(ctx, func() func() {
		if o.OnFailure != "" && !w.deliver(ctx, b, o, call) {
			return func() {} // all is ending
		}
		return func() { w.m.Sent(b.ID) }
	})
}

// deliver is false when ctx has ended before the destination had the batch.
func (w *worker) deliver(ctx context.Context, b shard.Batch, o *orders, call lastCall) bool {
	d := Delivery{Mapping: w.r.uuid, ID: newID(), Failure: event.Failure{
		RequestID: newID(), Function: o.Function, Condition: b.Failure, Invokes: b.Invokes, At: time.Now(),
		Shard: w.shard.ID, Stream: w.stream.ARN, Count: len(b.Records),
	}}
	if b.Invokes > 0 && call.request != "" {
		d.RequestID, d.Version, d.Error = call.request, call.version, call.failure
	}
	if n := len(b.Records); n > 0 {
		first, last := b.Records[0], b.Records[n-1]
		d.First, d.Last = w.shard.Sequence(first.Pos, first.Time), w.shard.Sequence(last.Pos, last.Time)
		d.FirstTime, d.LastTime = first.Time, last.Time
	}
	d.Event = func(ctx context.Context) ([]byte, error) {
		records, err := w.recall(ctx, b.Records, nil)
		if err != nil {
			return nil, err
		}
		return w.event(b, records, o), nil
	}
	pause, began := 250*time.Millisecond, time.Now()
	for {
		err := w.r.m.env.Send(ctx, o.Owner, o.OnFailure, d)
		if err == nil {
			return true
		}
		if ctx.Err() != nil {
			return false
		}
		w.r.counts.result(noDelivery)
		over := time.Since(began) > sendFor
		w.r.m.logger.Warn("an on-failure destination does not take a batch", "mapping", w.r.uuid, "destination", o.OnFailure, "given up", over, "err", err)
		if over {
			w.r.counts.SendFailures.Add(1)
			return true
		}
		select {
		case <-ctx.Done():
			return false
		case <-time.After(pause):
		}
		pause = min(2*pause, time.Minute)
	}
}

// wanted tells whether a filter wants a record.
func (w *worker) wanted(o *orders, r flow.Record) bool {
	if o.filters.Empty() {
		return true
	}
	at := r.Time.UnixMilli()
	return o.filters.Match(filter.Record{Data: r.Data, Meta: func(name string) (string, bool) {
		switch name {
		case "partitionKey":
			return r.Key, true
		case "sequenceNumber":
			return w.shard.Sequence(r.Pos, at), true
		case "eventID":
			return w.shard.ID + ":" + w.shard.Sequence(r.Pos, at), true
		case "eventSource":
			return "aws:kinesis", true
		case "eventName":
			return "aws:kinesis:record", true
		case "eventVersion", "kinesisSchemaVersion":
			return "1.0", true
		case "awsRegion":
			return o.Region, true
		case "eventSourceARN":
			return o.Source, true
		case "invokeIdentityArn":
			return o.role, true
		}
		return "", false
	}})
}
