package function

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"sync"
	"time"

	"github.com/thalweg/thalweg/fault"
)

// Enqueue accepts an invocation that nobody waits for. When it returns the
// event is durable: it runs at least once, also when the server is killed, and
// is tried again as the function's settings for events say. Tail is ignored.
func (f *Functions) Enqueue(ctx context.Context, in Invocation, now time.Time) (requestID string, err error) {
	if len(in.Payload) > MaxEvent {
		return "", tooLarge(MaxEvent)
	}
	ref, err := resolveRef(in.Account, in.Region, in.Function, in.Qualifier)
	if err != nil {
		return "", err
	}
	if f.forwards() {
		out, err := f.cfg.Forward(ctx, ref, &in, true)
		return out.RequestID, err
	}
	if _, _, err := f.Get(ref); err != nil {
		return "", err
	}
	e := event{name: ref.Name, qualifier: ref.Qualifier, request: in.RequestID, context: in.ClientContext, payload: string(in.Payload), accepted: now.UnixMilli()}
	if e.request == "" {
		e.request = newID()
	}
	f.mu.RLock()
	full := f.queue.full(len(e.payload))
	f.mu.RUnlock()
	if !full {
		var got acceptance
		if got, err = ask[acceptance](ctx, f, (&accept{e}).append()); err != nil {
			return "", err
		}
		full = !got.ok
	}
	if full {
		return "", fault.Coded(fault.Throttled, "CallerRateLimitExceeded", "Rate Exceeded: too many events wait for their functions.")
	}
	return e.request, nil
}

// perFunction bounds how many events of one function are worked on at once, so
// that one that is slow leaves others room.
const perFunction = 16

// worker runs events.
type worker struct {
	f      *Functions
	busy   map[Name]int
	parked map[Name][]*event // due, of functions that are at perFunction
	total  int
	ended  chan Name
	all    sync.WaitGroup
}

// work works off events until ctx ends, and returns when none is worked on.
// Those that were have lost nothing: they are not settled.
func (f *Functions) work(ctx context.Context) {
	w := &worker{f: f, busy: map[Name]int{}, parked: map[Name][]*event{}, ended: make(chan Name)}
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		select {
		case <-ctx.Done():
			go func() { w.all.Wait(); close(w.ended) }()
			for range w.ended {
			}
			return
		case <-timer.C:
		case <-f.wake:
		case n := <-w.ended:
			w.freed(ctx, n)
		}
		if at := w.begin(ctx, time.Now()); at != 0 {
			timer.Reset(max(0, time.Until(time.UnixMilli(at))))
		}
	}
}

// begin starts what is due, as far as there is room, and returns when it is to
// be called next; 0: when something happens.
func (w *worker) begin(ctx context.Context, now time.Time) (at int64) {
	for w.total < 4*w.f.pool.limits.processes {
		w.f.mu.Lock()
		e, at := w.f.queue.take(now.UnixMilli())
		w.f.mu.Unlock()
		if e == nil {
			return at
		}
		if w.busy[e.name] >= perFunction {
			w.parked[e.name] = append(w.parked[e.name], e)
			continue
		}
		w.start(ctx, e)
	}
	return 0
}

func (w *worker) start(ctx context.Context, e *event) {
	w.busy[e.name]++
	w.total++
	w.all.Go(func() {
		w.f.attempt(ctx, e)
		w.ended <- e.name
	})
}

func (w *worker) freed(ctx context.Context, n Name) {
	w.total--
	if w.busy[n]--; w.busy[n] == 0 {
		delete(w.busy, n)
	}
	if waiting := w.parked[n]; len(waiting) > 0 {
		if w.parked[n] = waiting[1:]; len(waiting) == 1 {
			delete(w.parked, n)
		}
		w.start(ctx, waiting[0])
	}
}

// attempt runs an event once and settles it.
func (f *Functions) attempt(ctx context.Context, e *event) {
	entry, err := f.get(e.name)
	f.mu.RLock()
	queued := f.queue.byID[e.id] != nil
	f.mu.RUnlock()
	if err != nil || !queued {
		return // deleted, and its events with it, even if there is another of its name
	}
	qualifier := e.qualifier
	if qualifier == "" {
		qualifier = Latest
	}
	policy := entry.def.Async[qualifier]
	if e.old(policy, time.Now().UnixMilli()) {
		f.conclude(ctx, e, policy, condAge, Outcome{}, false)
		return
	}
	out, err := f.invoke(ctx, Ref{e.name, e.qualifier}, &Invocation{Payload: []byte(e.payload), RequestID: e.request, ClientContext: e.context})
	if ctx.Err() != nil || fault.Is(err, fault.Unavailable) {
		return
	}
	if fault.Is(err, fault.NotFound) { // its version or alias is gone
		f.settle(ctx, e.id, nil)
		return
	}
	if err != nil && !fault.Is(err, fault.Throttled) {
		f.logger.Warn("an event could not reach its function", "function", e.name.ARN(), "request_id", e.request, "err", err)
	}
	again, condition := e.next(policy, err == nil, out.FunctionError != "", time.Now())
	if again != nil {
		f.settle(ctx, e.id, again)
		return
	}
	f.conclude(ctx, e, policy, condition, out, err == nil)
}

// conclude tells an event's destination, if it has one, and removes the event.
func (f *Functions) conclude(ctx context.Context, e *event, policy Async, condition string, out Outcome, reached bool) {
	to := policy.OnFailure
	if condition == condSuccess {
		to = policy.OnSuccess
	}
	if to != "" {
		if err := f.tell(ctx, to, e, e.record(condition, out, reached, time.Now())); err != nil {
			if ctx.Err() != nil {
				return
			}
			f.logger.Warn("a destination was not told of an event", "function", e.name.ARN(), "request_id", e.request, "destination", to, "err", err)
		}
	}
	f.settle(ctx, e.id, nil)
}

func (f *Functions) settle(ctx context.Context, id uint64, again *event) {
	s := &settle{id: id}
	if again != nil {
		s.again, s.attempts, s.troubles, s.due = true, again.attempts, again.troubles, again.due
	}
	if _, err := ask[settled](ctx, f, s.append()); err != nil && ctx.Err() == nil {
		f.logger.Warn("an event cannot be settled, and will run again", "err", err)
	}
}

// CheckDestination says what is wrong with the ARN of a destination.
func (f *Functions) CheckDestination(arn string) error {
	parts := strings.SplitN(arn, ":", 6)
	if len(parts) != 6 || parts[0] != "arn" {
		return invalid("The destination %.200q is no ARN.", arn)
	}
	if parts[2] == "lambda" || f.cfg.Deliver != nil && f.cfg.Delivers(parts[2]) {
		return nil
	}
	return invalid("The destination %s cannot be told from here: functions' destinations are other functions and streams of this server.", arn)
}

// tell hands a record to a destination, a few times if need be.
func (f *Functions) tell(ctx context.Context, arn string, e *event, record []byte) (err error) {
	for n := range 4 {
		if n > 0 {
			select {
			case <-time.After(time.Second << (2 * n)):
			case <-ctx.Done():
				return ctx.Err()
			}
		}
		if strings.Contains(arn, ":lambda:") {
			_, err = f.Enqueue(ctx, Invocation{Account: e.name.Account, Region: e.name.Region, Function: arn, Payload: record}, time.Now())
		} else {
			err = f.cfg.Deliver(ctx, e.name.Account, arn, record)
		}
		if err == nil || ctx.Err() != nil {
			return err
		}
	}
	return err
}

// record is what destinations get ("Capturing records of Lambda asynchronous
// invocations").
func (e *event) record(condition string, out Outcome, reached bool, now time.Time) []byte {
	type requestContext struct {
		RequestID string `json:"requestId"`
		ARN       string `json:"functionArn"`
		Condition string `json:"condition"`
		Count     int    `json:"approximateInvokeCount"`
	}
	type responseContext struct {
		Status  int    `json:"statusCode"`
		Version string `json:"executedVersion"`
		Error   string `json:"functionError,omitempty"`
	}
	r := struct {
		Version  string           `json:"version"`
		Time     string           `json:"timestamp"`
		Request  requestContext   `json:"requestContext"`
		Payload  json.RawMessage  `json:"requestPayload"`
		Response *responseContext `json:"responseContext,omitempty"`
		Answer   json.RawMessage  `json:"responsePayload,omitempty"`
	}{
		Version: "1.0", Time: now.UTC().Format("2006-01-02T15:04:05.000Z"),
		Request: requestContext{e.request, Ref{e.name, Latest}.ARN(), condition, e.attempts},
		Payload: raw([]byte(e.payload)),
	}
	if e.qualifier != "" {
		r.Request.ARN = Ref{e.name, e.qualifier}.ARN()
	}
	if reached {
		r.Request.Count++
		r.Response = &responseContext{200, out.Version, out.FunctionError}
		r.Answer = raw(out.Payload)
	}
	b, err := json.Marshal(r)
	if err != nil {
		panic(fmt.Sprintf("encode the record of an event: %v", err)) // its raw parts are JSON
	}
	return b
}

// raw is a payload within JSON: as it is, or as a string where it is none.
func raw(b []byte) json.RawMessage {
	if len(b) == 0 {
		return json.RawMessage("null")
	}
	if json.Valid(b) {
		return b
	}
	text, _ := json.Marshal(string(b)) // a string
	return text
}
