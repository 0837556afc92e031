//go:build unix

package function

import (
	"bytes"
	"context"
	"encoding/json"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/thalweg/thalweg/catalog"
	"github.com/thalweg/thalweg/fault"
	"github.com/thalweg/thalweg/internal/vfs"
)

// "By default, Lambda retries an asynchronous invocation twice", after one
// minute and then two; throttles and failures of the service are tried "for up
// to six hours", from one second on "to a maximum of five minutes".
func TestRetrySchedule(t *testing.T) {
	const s, m, h = 1000, 60_000, 3_600_000
	none, one, minute := 0, 1, 60
	for _, c := range []struct {
		name            string
		e               event
		policy          Async
		reached, failed bool
		now             int64
		want            *event // of attempts, troubles and due
		condition       string
	}{
		{"success", event{}, Async{}, true, false, 5, nil, condSuccess},
		{"first error", event{}, Async{}, true, true, 5, &event{attempts: 1, due: 5 + 1*m}, ""},
		{"second error", event{attempts: 1}, Async{}, true, true, 5, &event{attempts: 2, due: 5 + 2*m}, ""},
		{"third error", event{attempts: 2}, Async{}, true, true, 5, nil, condExhausted},
		{"no retries", event{}, Async{Retries: &none}, true, true, 5, nil, condExhausted},
		{"one retry", event{attempts: 1}, Async{Retries: &one}, true, true, 5, nil, condExhausted},
		{"too old to retry", event{}, Async{MaxAge: &minute}, true, true, 1, nil, condAge},
		{"not quite", event{}, Async{MaxAge: &minute}, true, true, 0, &event{attempts: 1, due: 1 * m}, ""},
		{"throttled", event{attempts: 1}, Async{}, false, false, 5, &event{attempts: 1, troubles: 1, due: 5 + 1*s}, ""},
		{"throttled again", event{troubles: 3}, Async{}, false, false, 5, &event{troubles: 4, due: 5 + 8*s}, ""},
		{"throttled for long", event{troubles: 1 << 30}, Async{}, false, false, 5, &event{troubles: 1<<30 + 1, due: 5 + 5*m}, ""},
		{"throttled too long", event{troubles: 99}, Async{}, false, false, 6 * h, nil, condAge},
		{"reached at last", event{troubles: 7}, Async{}, true, true, 5, &event{attempts: 1, due: 5 + 1*m}, ""},
	} {
		got, condition := c.e.next(c.policy, c.reached, c.failed, time.UnixMilli(c.now))
		if d := cmp.Diff(c.want, got, cmp.AllowUnexported(event{})); d != "" || condition != c.condition {
			t.Errorf("%s: %q %s", c.name, condition, d)
		}
	}
}

// Events that were accepted are there after a power cut that took all that was
// not synced, from the journal and from a snapshot, and then they run; what was
// settled is not there.
func TestEventsAreDurable(t *testing.T) {
	disk := vfs.NewCrashable(1 << 30)
	f, log := open(t, disk) // and does not run: nothing is worked off
	name := Name{account, region, "f"}
	v := Version{Runtime: "provided.al2023", Handler: "x", Timeout: 30, Memory: 512, Architecture: Architecture(), Environment: map[string]string{"BEHAVIOR": "waits"}}
	if _, _, err := f.Create(t.Context(), name, v, nil, bootstrap(t), false, time.Now()); err != nil {
		t.Fatal(err)
	}
	g := newGuest(t)
	var ids []string
	for range 3 {
		id, err := f.Enqueue(t.Context(), Invocation{Account: account, Region: region, Function: "f", Payload: []byte(g.address)}, time.Now())
		if err != nil {
			t.Fatal(err)
		}
		ids = append(ids, id)
	}
	var snapshot bytes.Buffer
	if _, err := (machine{f}).Capture().WriteTo(&snapshot); err != nil {
		t.Fatal(err)
	}
	restored := New(Config{Catalog: catalog.New()})
	if err := (machine{restored}).Restore(bytes.NewReader(snapshot.Bytes())); err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(f.queue.byID, restored.queue.byID, cmp.AllowUnexported(event{})); d != "" || restored.queue.bytes != f.queue.bytes || restored.queue.line.Len() != 3 {
		t.Errorf("restored: %s", d)
	}
	cut := disk.CrashClone(vfs.Crash{})
	if err := log.Close(); err != nil {
		t.Fatal(err)
	}
	h := run(t, cut, nil)
	for range ids {
		defer g.arrives(t)()
	}
	if n := len(h.events()); n != 3 {
		t.Errorf("%d events while they run", n)
	}
}

func (f *Functions) events() (list []*event) {
	f.mu.RLock()
	defer f.mu.RUnlock()
	for _, e := range f.queue.byID {
		list = append(list, e)
	}
	return list
}

// sink is a function's destination outside: what it is told.
type sink struct {
	mu      sync.Mutex
	records []string
	told    chan struct{}
}

func (s *sink) deliver(_ context.Context, _, _ string, record []byte) error {
	s.mu.Lock()
	s.records = append(s.records, string(record))
	s.mu.Unlock()
	s.told <- struct{}{}
	return nil
}

// An event's life: it runs, its destinations are told in AWS's JSON ("Capturing
// records of Lambda asynchronous invocations"), and nothing of it is left.
func TestDestinations(t *testing.T) {
	s := &sink{told: make(chan struct{}, 8)}
	h := run(t, vfs.NewMem(0), func(c *Config) {
		c.Deliver, c.Delivers = s.deliver, func(service string) bool { return service == "kinesis" }
	})
	none := 0
	stream := "arn:aws:kinesis:us-east-1:000000000000:stream/s"
	for name, how := range map[string]string{"good": "echo", "bad": "error"} {
		h.create(t, name, how, nil)
		if err := h.SetAsync(t.Context(), Ref{Name: Name{account, region, name}}, &Async{Retries: &none, OnSuccess: stream, OnFailure: stream}); err != nil {
			t.Fatal(err)
		}
		id, err := h.Enqueue(t.Context(), Invocation{Account: account, Region: region, Function: name, Payload: []byte(`{"a":1}`)}, time.Now())
		if err != nil {
			t.Fatal(err)
		}
		<-s.told
		var got map[string]any
		if err := json.Unmarshal([]byte(s.records[len(s.records)-1]), &got); err != nil {
			t.Fatal(err)
		}
		delete(got, "timestamp")
		want := map[string]any{
			"version": "1.0", "requestPayload": map[string]any{"a": 1.0},
			"requestContext":  map[string]any{"requestId": id, "functionArn": "arn:aws:lambda:us-east-1:000000000000:function:" + name + ":$LATEST", "condition": "Success", "approximateInvokeCount": 1.0},
			"responseContext": map[string]any{"statusCode": 200.0, "executedVersion": "$LATEST"},
			"responsePayload": map[string]any{"a": 1.0},
		}
		if name == "bad" {
			want["requestContext"].(map[string]any)["condition"] = "RetriesExhausted"
			want["responseContext"].(map[string]any)["functionError"] = "Unhandled"
			want["responsePayload"] = map[string]any{"errorType": "Oops", "errorMessage": "no", "stackTrace": []any{"a"}}
		}
		if d := cmp.Diff(want, got); d != "" {
			t.Error(d)
		}
	}
	// A function as the destination of another gets the record as its event.
	h.create(t, "last", "echo", nil)
	to := "arn:aws:lambda:us-east-1:000000000000:function:last"
	for name, a := range map[string]*Async{"bad": {Retries: &none, OnFailure: to}, "last": {OnSuccess: stream}} {
		if err := h.SetAsync(t.Context(), Ref{Name: Name{account, region, name}}, a); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := h.Enqueue(t.Context(), Invocation{Account: account, Region: region, Function: "bad", Payload: []byte(`{"a":1}`)}, time.Now()); err != nil {
		t.Fatal(err)
	}
	<-s.told
	if last := s.records[len(s.records)-1]; strings.Count(last, "RetriesExhausted") != 2 {
		t.Errorf("the last of the chain tells %s", last)
	}
	h.end()
	if left := h.events(); len(left) > 0 {
		t.Errorf("left: %+v", left)
	}
	if err := h.CheckDestination("arn:aws:sqs:us-east-1:000000000000:q"); !fault.Is(err, fault.Invalid) {
		t.Errorf("a queue as a destination: %v", err)
	}
}

// The queue is bounded, by bytes and by events, before anything is written.
func TestQueueBounds(t *testing.T) {
	f, log := open(t, vfs.NewMem(0))
	defer log.Close()
	f.byName[Name{account, region, "f"}] = &entry{version: 1, def: &Function{}}
	in := Invocation{Account: account, Region: region, Function: "f", Payload: bytes.Repeat([]byte("1"), MaxEvent)}
	for n := 0; ; n++ {
		_, err := f.Enqueue(t.Context(), in, time.Now())
		if fault.Is(err, fault.Throttled) && n == maxQueued/(MaxEvent+eventOverhead) {
			break
		}
		if err != nil {
			t.Fatalf("%d: %v", n, err)
		}
	}
	in.Payload = append(in.Payload, '1')
	if _, err := f.Enqueue(t.Context(), in, time.Now()); !fault.Is(err, fault.TooLarge) {
		t.Error(err)
	}
	// A function takes its events with it.
	if err := f.Delete(t.Context(), Ref{Name: Name{account, region, "f"}}); err != nil {
		t.Fatal(err)
	}
	if n := len(f.events()); n != 0 || f.queue.bytes != 0 || f.queue.line.Len() != 0 {
		t.Errorf("%d events of %d bytes are left", n, f.queue.bytes)
	}
}

// A slow function's events leave room for another's.
func TestFairness(t *testing.T) {
	s := &sink{told: make(chan struct{}, 8)}
	h := run(t, vfs.NewMem(0), func(c *Config) {
		c.Processes = 1000
		c.Deliver, c.Delivers = s.deliver, func(string) bool { return true }
	})
	g := newGuest(t)
	h.create(t, "slow", "waits", nil)
	h.create(t, "fast", "echo", nil)
	if err := h.SetAsync(t.Context(), Ref{Name: Name{account, region, "fast"}}, &Async{OnSuccess: "arn:aws:kinesis:r:a:s"}); err != nil {
		t.Fatal(err)
	}
	send := func(name, payload string) {
		t.Helper()
		if _, err := h.Enqueue(t.Context(), Invocation{Account: account, Region: region, Function: name, Payload: []byte(payload)}, time.Now()); err != nil {
			t.Fatal(err)
		}
	}
	for range perFunction + 3 {
		send("slow", g.address)
	}
	send("fast", `1`)
	<-s.told
	for range perFunction + 3 {
		g.arrives(t)()
	}
}

// An event that waits for its turn goes with its function, also where another
// of the same name is there when the turn comes.
func TestEventsOfADeletedFunction(t *testing.T) {
	h := run(t, vfs.NewMem(0), nil)
	h.create(t, "f", "echo", nil)
	old := &event{id: 1 << 40, name: Name{account, region, "f"}, request: newID(), payload: `1`, accepted: time.Now().UnixMilli()}
	h.attempt(t.Context(), old)
	h.call(t, "f", `2`)
	if log := h.lines(t, "f"); strings.Contains(log, old.request) || !strings.Contains(log, "START") {
		t.Errorf("an event that is not in the queue ran:\n%s", log)
	}
}
