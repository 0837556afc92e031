package function

import (
	"context"
	"encoding/hex"
	"math/rand/v2"
	"net/http"
	"strconv"
	"time"

	"github.com/thalweg/thalweg/fault"
)

// Invocation is one call of a function that is waited for.
type Invocation struct {
	Account, Region string // of the caller; an ARN in Function must agree with them
	Function        string // a name or an ARN, which may carry a qualifier
	Qualifier       string // a version, $LATEST or an alias; "": Function's own, else $LATEST
	Payload         []byte // JSON, at most MaxPayload; read-only until Invoke returns
	Tail            bool   // Outcome is to have the end of what was logged
	RequestID       string // "": one is made
	ClientContext   string // JSON for the function's context; "": none
}

// Outcome is what became of an invocation that reached the function, also one
// that failed within it.
type Outcome struct {
	Payload       []byte // the response, or with FunctionError AWS's JSON of what went wrong
	FunctionError string // "": none; "Handled" or "Unhandled"
	Version       string // that ran: $LATEST or a number
	RequestID     string
	LogTail       string // with Tail: at most the last 4 KiB, not encoded
}

// Invoke runs a function and waits for what it answers. An error means that
// the function did not run: a fault of kind NotFound, Throttled, TooLarge,
// Invalid, InUse or Unavailable, or a failure of ours. A function's own failure
// is no error but an Outcome with FunctionError. When ctx ends, the function is
// left to its time-out and ctx's error returned.
func (f *Functions) Invoke(ctx context.Context, in Invocation) (Outcome, error) {
	if len(in.Payload) > MaxPayload {
		return Outcome{}, tooLarge(MaxPayload)
	}
	ref, err := resolveRef(in.Account, in.Region, in.Function, in.Qualifier)
	if err != nil {
		return Outcome{}, err
	}
	return f.invoke(ctx, ref, &in)
}

func errStopping() error {
	return fault.New(fault.Unavailable, "The server is stopping: functions are not invoked any more.")
}

func tooLarge(limit int) error {
	return fault.Coded(fault.TooLarge, "RequestTooLargeException", "Request must be smaller than %d bytes for the InvokeFunction operation", limit)
}

func (f *Functions) invoke(ctx context.Context, ref Ref, in *Invocation) (Outcome, error) {
	if f.forwards() {
		return f.cfg.Forward(ctx, ref, in, false)
	}
	e, err := f.get(ref.Name)
	if err != nil {
		return Outcome{}, notFound(ref)
	}
	v := e.find(ref.Qualifier, rand.Float64())
	if v == nil {
		return Outcome{}, notFound(ref)
	}
	select { // the work folder is there once Run has begun
	case <-f.ready:
	case <-ctx.Done():
		return Outcome{}, ctx.Err()
	}
	if f.running.Err() != nil {
		return Outcome{}, errStopping()
	}
	c := &call{
		spec: spec{ref.Name, v}, id: in.RequestID, arn: ref.ARN(), trace: newTrace(time.Now()), tail: in.Tail,
		payload: in.Payload, done: make(chan struct{}),
	}
	if c.id == "" {
		c.id = newID()
	}
	if len(c.payload) == 0 {
		c.payload = []byte("{}")
	}
	if in.ClientContext != "" {
		c.extra = http.Header{"Lambda-Runtime-Client-Context": {in.ClientContext}}
	}
	f.pmu.Lock()
	reason := f.meter.begin(ref.Name, e.def.Reserved, f.reservedOf(owner{ref.Account, ref.Region}))
	f.pmu.Unlock()
	if reason != "" {
		return Outcome{}, throttled(reason)
	}
	ends := func() {
		f.pmu.Lock()
		defer f.pmu.Unlock()
		f.meter.end(ref.Name, e.def.Reserved)
	}
	f.place(c)
	select {
	case <-c.done:
		ends()
		return c.out, c.err
	case <-ctx.Done():
		c.drop()
		go func() { <-c.done; ends() }() // it counts as long as it runs
		return Outcome{}, ctx.Err()
	}
}

// reservedOf is how much of an owner's concurrency functions have reserved.
func (f *Functions) reservedOf(o owner) int {
	f.mu.RLock()
	defer f.mu.RUnlock()
	return f.reserved[o]
}

// newTrace is a header of AWS X-Ray that says that nothing is sampled.
func newTrace(now time.Time) string {
	var random [20]byte
	for i := range random {
		random[i] = byte(rand.Uint32())
	}
	h := hex.EncodeToString(random[:])
	return "Root=1-" + strconv.FormatInt(now.Unix(), 16) + "-" + h[:24] + ";Parent=" + h[24:] + ";Sampled=0"
}
