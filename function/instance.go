package function

import (
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"net"
	"net/http"
	"sync"
	"time"

	"github.com/thalweg/thalweg/fault"
)

// spec is what an instance is an instance of.
type spec struct {
	name    Name
	version *Version
}

func (s *spec) key() slotKey { return slotKey{s.name, s.version.Number, s.version.Revision} }

// call is one invocation on its way through an instance.
type call struct {
	spec
	id    string // the request's
	arn   string // as it was invoked
	trace string
	extra http.Header // of the invocation: the client's context
	tail  bool
	timer *time.Timer // while it waits for an instance; guarded by Functions.pmu

	mu      sync.Mutex // held while payload is read
	payload []byte
	sent    bool
	dropped bool // by a caller that went before it was sent

	done chan struct{}
	out  Outcome // once done is closed
	err  error
}

// drop takes the payload back from a call whose caller goes.
func (c *call) drop() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.dropped = !c.sent
	c.payload = nil
}

// fail ends a call that no instance has.
func (c *call) fail(err error) {
	c.err = err
	close(c.done)
}

// instance is one process and what it is told and tells over the Runtime API.
type instance struct {
	f        *Functions
	id       int // of its slot
	spec     spec
	mark     string
	process  *process
	listener net.Listener
	server   *http.Server
	leave    func() // the folder of its code
	scribe   scribe
	work     chan *call // what next hands out
	exited   chan struct{}
	born     time.Time

	mu       sync.Mutex
	current  *call // assigned; nil: idle
	sent     bool  // to the process
	answered bool  // and it asks for no other yet
	ready    bool  // it has asked for work once
	ended    bool  // nothing is given to it any more
	reaped   bool  // the process is gone
	reason   *problem
	began    time.Time     // of the call
	took     time.Duration // of its start, until told in a report
	watch    *time.Timer   // of the init, then of each call
	memory   int64         // the most seen
	measured time.Time
}

// problem is why an instance ended before its call was answered.
type problem struct {
	Type    string // of the error, to callers; "": none
	Message string
	log     string
	status  string // in the report: error or timeout
}

// initLimit is how long a start may take, where the function's own time-out is
// no longer ("Lambda execution environment lifecycle": 10 seconds, and then
// again within the time-out).
const initLimit = 10 * time.Second

// launch starts an instance for its first call.
func (f *Functions) launch(slot int, c *call) {
	if f.running.Err() != nil {
		c.fail(errStopping())
		f.slotGone(slot)
		return
	}
	i, err := f.newInstance(slot, c)
	if err == nil {
		return
	}
	var kind *fault.Error
	switch {
	case errors.As(err, &kind):
		c.fail(kind)
	default:
		c.fail(fmt.Errorf("start an instance of %s: %w", c.name.ARN(), err))
	}
	if i != nil && i.leave != nil {
		i.leave()
	}
	f.slotGone(slot)
}

func (f *Functions) newInstance(slot int, c *call) (*instance, error) {
	i := &instance{f: f, id: slot, spec: c.spec, work: make(chan *call, 1), exited: make(chan struct{}), born: time.Now(), current: c}
	i.mark = f.mark + ":" + newID()
	i.scribe = scribe{to: f.logs.of(c.name), now: time.Now, onError: func(err error) {
		f.logger.Warn("a function's log cannot be kept", "function", c.name.ARN(), "err", err)
	}}
	dir, leave, err := f.codes.folder(f.running, c.version.Code)
	if err != nil {
		return i, err
	}
	i.leave = leave
	args, err := f.commandLine(c.version, dir)
	if err != nil {
		return i, err
	}
	if i.listener, err = net.Listen("tcp", "127.0.0.1:0"); err != nil {
		return i, err
	}
	i.server = &http.Server{Handler: i, ErrorLog: f.quiet, ReadHeaderTimeout: time.Minute}
	i.work <- c
	i.scribe.begin("START RequestId: " + c.id + " Version: " + c.version.Qualifier())
	i.began = time.Now()
	if i.process, err = startProcess(args, f.environment(&i.spec, dir, i.listener.Addr().String(), i.mark, i.began), dir); err != nil {
		i.listener.Close()
		i.leave()
		p := &problem{Type: "Runtime.InvalidEntrypoint", Message: fmt.Sprintf("RequestId: %s Error: %v", c.id, startError(err)), status: "error"}
		i.finish(c, nil, p)
		f.slotGone(slot)
		return i, nil
	}
	f.pmu.Lock()
	f.instances[slot] = i
	f.pmu.Unlock()
	i.watch = time.AfterFunc(max(initLimit, timeout(c.version)), i.late)
	go i.process.read(i.scribe.write)
	go func() { _ = i.server.Serve(i.listener) }() // it ends with Close
	go i.reap()
	return i, nil
}

// startError is what callers are told of a process that could not be started,
// without the server's paths.
func startError(err error) string {
	var p interface{ Unwrap() error }
	if errors.As(err, &p) && p.Unwrap() != nil {
		return "cannot start bootstrap: " + p.Unwrap().Error()
	}
	return "cannot start bootstrap"
}

func timeout(v *Version) time.Duration { return time.Duration(v.Timeout) * time.Second }

// assign gives an idle instance a call. It is false when the instance has ended
// meanwhile.
func (i *instance) assign(c *call) bool {
	i.mu.Lock()
	defer i.mu.Unlock()
	if i.ended {
		return false
	}
	i.current, i.sent, i.answered = c, false, false
	i.began = time.Now()
	i.scribe.begin("START RequestId: " + c.id + " Version: " + c.version.Qualifier())
	i.watch.Reset(timeout(c.version))
	i.work <- c
	return true
}

// late is called when a start or a call takes too long.
func (i *instance) late() {
	i.mu.Lock()
	c := i.current
	limit := timeout(i.spec.version)
	if !i.ready {
		limit = max(initLimit, limit)
	}
	if time.Since(i.began) < limit {
		c = nil // the one that was late has been answered: this is the next
	}
	if c != nil {
		text := fmt.Sprintf("%s %s Task timed out after %.2f seconds", time.Now().UTC().Format("2006-01-02T15:04:05.000Z"), c.id, limit.Seconds())
		i.reason = &problem{Message: text, log: text + "\n", status: "timeout"}
	}
	i.mu.Unlock()
	if c != nil {
		i.kill()
	}
}

// kill ends the instance at once, with all that is in its group.
func (i *instance) kill() {
	i.mu.Lock()
	i.ended = true
	reaped := i.reaped
	i.mu.Unlock()
	if !reaped { // its group's number may be another's afterwards
		i.process.signal(true)
	}
}

// end lets an idle instance end.
func (i *instance) end() {
	i.mu.Lock()
	i.ended = true
	reaped := i.reaped
	i.mu.Unlock()
	if !reaped { // see kill
		i.process.signal(false)
	}
	select {
	case <-i.exited:
	case <-time.After(patience):
		i.kill()
	}
}

// patience is how long a process may take to end that was asked to.
const patience = 500 * time.Millisecond

// reap waits for the process and clears up behind it.
func (i *instance) reap() {
	status := i.process.wait()
	i.mu.Lock()
	i.ended, i.reaped = true, true
	i.mu.Unlock()
	i.process.signal(true) // whom it has left behind in its group
	killMarked(i.mark)     // and elsewhere
	i.process.drain(i.scribe.write)
	i.mu.Lock()
	c, p := i.current, i.reason
	if i.answered {
		c = nil
	}
	i.current = nil
	i.watch.Stop()
	i.mu.Unlock()
	switch {
	case c == nil:
	case p == nil && i.f.running.Err() != nil:
		c.fail(errStopping()) // it was killed, and has not failed
	default:
		if p == nil {
			p = &problem{Type: "Runtime.ExitError", Message: fmt.Sprintf("RequestId: %s Error: Runtime exited with error: %s", c.id, status), status: "error"}
			if status == "exit status 0" {
				p.Message = fmt.Sprintf("RequestId: %s Error: Runtime exited without providing a reason", c.id)
			}
			p.log = p.Message + "\nRuntime.ExitError"
		}
		i.finish(c, nil, p)
	}
	i.process.stop()
	_ = i.server.Close() // its listener is all that it has
	i.leave()
	i.f.slotGone(i.id)
	close(i.exited)
}

// finish ends a call: with what the function has answered, or with a problem.
func (i *instance) finish(c *call, answer []byte, p *problem) {
	now := time.Now()
	i.mu.Lock()
	took, began := i.took, i.began
	i.took = 0
	used := i.memory
	measure := i.process != nil && now.Sub(i.measured) >= measureEvery/10
	i.mu.Unlock()
	if measure {
		used = i.measure(now)
	}
	d := now.Sub(began)
	ms := float64(d.Microseconds()) / 1000
	report := fmt.Sprintf("REPORT RequestId: %s\tDuration: %.2f ms\tBilled Duration: %.0f ms\tMemory Size: %d MB\tMax Memory Used: %d MB\t",
		c.id, ms, math.Ceil(ms), c.version.Memory, (used+1<<20-1)>>20)
	if took > 0 {
		report += fmt.Sprintf("Init Duration: %.2f ms\t", float64(took.Microseconds())/1000)
	}
	lines := make([]string, 0, 4)
	if p != nil {
		if p.log != "" {
			lines = append(lines, p.log)
		}
		if p.status != "" {
			report += "Status: " + p.status + "\t"
		}
		if p.status == "error" && p.Type != "" {
			report += "Error Type: " + p.Type + "\t"
		}
	}
	i.scribe.end(append(lines, "END RequestId: "+c.id, report)...)
	c.out = Outcome{Payload: answer, Version: c.version.Qualifier(), RequestID: c.id}
	if p != nil {
		c.out.FunctionError = "Unhandled"
		if answer == nil {
			c.out.Payload = p.payload()
		}
	}
	if c.tail {
		c.out.LogTail = i.scribe.last()
	}
	close(c.done)
}

// payload is AWS's JSON of a problem.
func (p *problem) payload() []byte {
	body := struct {
		Type    string `json:"errorType,omitempty"`
		Message string `json:"errorMessage"`
	}{p.Type, p.Message}
	b, err := json.Marshal(body)
	if err != nil {
		panic(err) // two strings
	}
	return b
}

// measureEvery is how often memory is looked at.
const measureEvery = 100 * time.Millisecond

// measure looks at the memory of the process and returns the most seen.
func (i *instance) measure(now time.Time) int64 {
	used := memory(i.process.pid())
	i.mu.Lock()
	defer i.mu.Unlock()
	i.memory, i.measured = max(i.memory, used), now
	return i.memory
}

// guard ends the instance if it uses more memory than it may.
func (i *instance) guard(now time.Time) {
	limit := int64(i.spec.version.Memory) << 20
	if i.measure(now) <= limit {
		return
	}
	i.mu.Lock()
	if c := i.current; c != nil && i.reason == nil {
		i.reason = &problem{Type: "Runtime.OutOfMemory", Message: fmt.Sprintf("RequestId: %s Error: Runtime exited with error: signal: killed", c.id), status: "error"}
		i.reason.log = i.reason.Message + "\nRuntime.OutOfMemory"
	}
	i.mu.Unlock()
	i.kill()
}
