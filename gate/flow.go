package gate

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"sync"
	"time"

	"github.com/thalweg/thalweg/fault"
	"github.com/thalweg/thalweg/gate/wire"
)

// Flow is the answer of a streaming operation: first nothing, then, opened, a
// stream of events. It is used by one goroutine, until the operation returns.
//
// A flow that waits holds no buffer of ours: what the request came in is given
// back by Open.
type Flow struct {
	gate    *Gate
	w       http.ResponseWriter
	control *http.ResponseController
	conn    *conn     // of HTTP/1.1 in the clear
	x       *exchange // until it is open
	op      *operation
	call    Call
	ids     [2]string
	err     error // of the write that failed: nothing is sent any more
	cut     bool  // ErrDrop comes after the next message

	mu      sync.Mutex // the drain meets a write in progress
	writing bool
}

var (
	errClosed = errors.New("send on a stream that is not open")
	errUnused = errors.New("a streaming operation ended without an answer")
	errDrains = fault.New(fault.Unavailable, "The server is stopping.")
)

// piece is how much is sent under one deadline: so a slow reader of a large
// event is told from one that has stopped.
const piece = 256 << 10

// farewell is how long a reader may take for what is being sent to it as the
// drain begins.
const farewell = time.Second

// Open answers 200 and begins the stream: header and the initial response go
// out at once. From then on the call has no Body. A second Open does nothing.
// An error means that the caller is gone.
func (f *Flow) Open() error {
	if f.x == nil {
		return f.err
	}
	f.gate.release(f.x)
	f.x, f.call.Body = nil, nil
	h := f.w.Header()
	h[headerID] = f.ids[0:1:1]
	h[headerExtended] = f.ids[1:2:2]
	h["Content-Type"] = eventStream
	f.w.WriteHeader(http.StatusOK)
	var room [160]byte
	return f.write(wire.AppendInitialResponse(room[:0], f.call.Format))
}

// Send sends one message, made as wire's BeginEvent and EndMessage make it in
// the call's format, and returns when it is on its way. An error means that the
// caller is gone or was cut off because it took nothing for Stall: then HTTP/2
// may still be reading the message, which must not be written to any more.
func (f *Flow) Send(message []byte) error {
	switch {
	case f.x != nil:
		return errClosed
	case f.err != nil:
		return f.err
	}
	if err := f.write(message); err != nil {
		return err
	}
	if f.cut {
		f.err = ErrDrop
	}
	return f.err
}

// Cut has the connection dropped after the next message, as ErrDrop does.
func (f *Flow) Cut() { f.cut = true }

// write sends p and sees it off. No deadline stays on the connection: HTTP/2
// would reset a stream that merely waits.
func (f *Flow) write(p []byte) error {
	var err error
	for len(p) > 0 && err == nil {
		n := min(len(p), piece)
		f.allow(true)
		if err = f.push(p[:n]); err == nil {
			p = p[n:]
		}
	}
	f.allow(false)
	if err != nil {
		f.err = fmt.Errorf("send to the reader of a stream: %w", err)
	}
	return f.err
}

// push writes p and has it leave now.
func (f *Flow) push(p []byte) (err error) {
	if f.conn != nil && len(p) >= frameSize {
		g := f.gate.gathers.Get().(*gather)
		defer f.gate.gathers.Put(g)
		g.begin(f.conn, p)
		defer func() { err = g.end(f.conn, err) }()
	}
	if _, err := f.w.Write(p); err != nil {
		return err
	}
	return f.control.Flush()
}

// allow begins or ends the time that a write may take.
func (f *Flow) allow(writing bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.writing = writing
	var end time.Time
	if writing {
		end = time.Now().Add(f.patience())
	}
	f.control.SetWriteDeadline(end)
}

func (f *Flow) patience() time.Duration {
	if f.gate.draining.Err() != nil {
		return min(f.gate.cfg.Stall, farewell)
	}
	return f.gate.cfg.Stall
}

// hurry shortens the time of a write in progress, as the drain begins.
func (f *Flow) hurry() {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.writing {
		f.control.SetWriteDeadline(time.Now().Add(f.patience()))
	}
}

// stream runs x's operation, whose answer is a stream, and takes x over.
func (g *Gate) stream(w http.ResponseWriter, r *http.Request, x *exchange) {
	f := &Flow{gate: g, w: w, control: http.NewResponseController(w), x: x, op: x.op, call: x.call, ids: x.ids}
	if c, ok := r.Context().Value(connKey{}).(*conn); ok && r.ProtoMajor == 1 && c.secure.Load() == nil {
		f.conn = c
	}
	ctx, cancel := context.WithCancel(r.Context())
	defer cancel()
	defer context.AfterFunc(g.draining, func() { cancel(); f.hurry() })()
	status, exception := f.end(ctx, r, f.run(ctx))
	g.done(ctx, &f.call, f.op, status, exception)
	if errors.Is(f.err, ErrDrop) {
		panic(http.ErrAbortHandler)
	}
}

func (f *Flow) run(ctx context.Context) (err error) {
	defer recovered(&err)
	return f.op.stream(ctx, &f.call, f)
}

// end brings the answer to its end after the operation returned err, and
// returns the status to count it under and the exception that was told. ctx is
// the operation's own, which the drain ends as well as the caller.
func (f *Flow) end(ctx context.Context, r *http.Request, err error) (status int, exception string) {
	g := f.gate
	if f.x != nil {
		switch {
		case err == nil:
			err = errUnused
		case r.Context().Err() == nil && gone(ctx, err):
			err = errDrains
		}
		g.sendError(f.w, r, f.x, f.op, err)
		status, exception = f.x.status, f.x.exception
		g.release(f.x)
		return status, exception
	}
	status = http.StatusOK
	if f.err == nil && err != nil && !gone(ctx, err) {
		var message string
		exception, message, status = g.spell(ctx, &f.call, f.op, err)
		// Names and messages are ours and short, so this cannot be too long.
		if frame, err := wire.AppendException(nil, f.call.Format, exception, message); err == nil {
			f.write(frame)
		}
	}
	if f.err != nil || r.Context().Err() != nil {
		return statusGone, exception
	}
	// The end of the body is still to be written. On HTTP/1.1 the deadline
	// stays until the connection's next request sets its own.
	f.control.SetWriteDeadline(time.Now().Add(f.patience()))
	return status, exception
}
