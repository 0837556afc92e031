package function

import (
	"errors"
	"io"
	"net/http"
	"strconv"
	"strings"
	"time"
)

// The Runtime API, as "Using the Lambda runtime API for custom runtimes" has
// it. Each instance has a listener of its own, so an address tells them apart.

// Bounds of payloads ("Lambda quotas").
const (
	MaxPayload  = 6 << 20       // of an invocation that is waited for, in bytes
	maxResponse = 6<<20 + 100   // as the Runtime API has it
	apiRoot     = "/2018-06-01" // of all paths
)

// ServeHTTP answers the instance's process.
func (i *instance) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	path, ok := strings.CutPrefix(r.URL.Path, apiRoot+"/runtime/")
	if !ok {
		refuse(w, http.StatusNotFound, "NotFound", "There is no "+r.URL.Path+" here.")
		return
	}
	if path == "invocation/next" && r.Method == http.MethodGet {
		i.next(w, r)
		return
	}
	if r.Method == http.MethodPost {
		if path == "init/error" {
			i.initError(w, r)
			return
		}
		id, what, _ := strings.Cut(strings.TrimPrefix(path, "invocation/"), "/")
		if what == "response" || what == "error" {
			i.answer(w, r, id, what == "error")
			return
		}
	}
	refuse(w, http.StatusNotFound, "NotFound", "There is no "+r.Method+" "+r.URL.Path+" here.")
}

func refuse(w http.ResponseWriter, status int, kind, text string) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	p := problem{Type: kind, Message: text}
	_, _ = w.Write(p.payload()) // who does not listen is not told
}

func accepted(w http.ResponseWriter) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(http.StatusAccepted)
	_, _ = io.WriteString(w, `{"status":"OK"}`+"\n")
}

// next hands out the next call, when there is one.
func (i *instance) next(w http.ResponseWriter, r *http.Request) {
	i.mu.Lock()
	if i.current != nil && i.sent && !i.answered {
		i.mu.Unlock()
		refuse(w, http.StatusForbidden, "InvalidStateTransition", "The invocation before has not been answered.")
		return
	}
	if !i.ready { // the first one: the call that it was started for waits
		i.ready = true
		i.took = time.Since(i.began)
		i.began = time.Now()
		i.watch.Reset(timeout(i.spec.version))
	}
	free := i.answered
	if free {
		i.current, i.answered = nil, false
		i.watch.Stop()
	}
	i.mu.Unlock()
	if free {
		i.f.slotDone(i)
	}
	for {
		select {
		case c := <-i.work:
			if i.hand(w, c) {
				return
			}
		case <-r.Context().Done():
			return
		case <-i.exited:
			return
		}
	}
}

// hand sends a call to the process. It is false when its caller has gone.
func (i *instance) hand(w http.ResponseWriter, c *call) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	i.mu.Lock()
	if c.dropped {
		i.current = nil
		i.watch.Stop()
		i.mu.Unlock()
		i.finish(c, nil, &problem{Message: "The caller went before the function was invoked."})
		i.f.slotDone(i)
		return false
	}
	i.sent = true
	deadline := i.began.Add(timeout(c.version))
	i.mu.Unlock()
	h := w.Header()
	h["Content-Type"] = jsonType
	h["Lambda-Runtime-Aws-Request-Id"] = []string{c.id}
	h["Lambda-Runtime-Deadline-Ms"] = []string{strconv.FormatInt(deadline.UnixMilli(), 10)}
	h["Lambda-Runtime-Invoked-Function-Arn"] = []string{c.arn}
	h["Lambda-Runtime-Trace-Id"] = []string{c.trace}
	for name, values := range c.extra {
		h[name] = values
	}
	h["Content-Length"] = []string{strconv.Itoa(len(c.payload))}
	c.sent = true
	// An error means that the process is gone, of which reap tells.
	_, _ = w.Write(c.payload)
	return true
}

var jsonType = []string{"application/json"}

// answer takes what the function has made of a call.
func (i *instance) answer(w http.ResponseWriter, r *http.Request, id string, failed bool) {
	body, err := readBounded(r, maxResponse)
	tooLarge := errors.Is(err, errTooLarge)
	if err != nil && !tooLarge {
		refuse(w, http.StatusBadRequest, "InvalidRequest", "The body ended too early.")
		return
	}
	i.mu.Lock()
	c := i.current
	switch {
	case c == nil || c.id != id:
		i.mu.Unlock()
		refuse(w, http.StatusBadRequest, "InvalidRequestID", "Invalid request ID")
		return
	case i.answered || !i.sent || i.ended:
		i.mu.Unlock()
		refuse(w, http.StatusForbidden, "InvalidStateTransition", "The invocation has been answered already.")
		return
	}
	i.answered = true
	i.mu.Unlock()
	i.f.slotAnswered(i) // before its caller can come again
	i.process.drain(i.scribe.write)
	switch kind := r.Trailer.Get("Lambda-Runtime-Function-Error-Type"); {
	case tooLarge:
		p := &problem{Type: "Function.ResponseSizeTooLarge", status: "error",
			Message: "Response payload size exceeded maximum allowed payload size (" + strconv.Itoa(maxResponse) + " bytes)."}
		i.finish(c, nil, p)
		refuse(w, http.StatusRequestEntityTooLarge, p.Type, p.Message)
		return
	case kind != "": // of a stream that broke
		i.finish(c, nil, &problem{Type: kind, Message: "The function's response stream ended with an error.", status: "error"})
	case failed:
		i.finish(c, body, &problem{Type: r.Header.Get("Lambda-Runtime-Function-Error-Type")})
	default:
		i.finish(c, body, nil)
	}
	accepted(w)
}

// initError takes why the function could not start.
func (i *instance) initError(w http.ResponseWriter, r *http.Request) {
	body, err := readBounded(r, maxResponse)
	if err != nil {
		body = (&problem{Type: "Runtime.Unknown", Message: "The function could not start, and did not say why."}).payload()
	}
	i.mu.Lock()
	c := i.current
	if i.ready || c == nil || i.answered {
		i.mu.Unlock()
		refuse(w, http.StatusForbidden, "InvalidStateTransition", "The function has started already.")
		return
	}
	i.answered, i.ended = true, true
	i.mu.Unlock()
	i.process.drain(i.scribe.write)
	i.finish(c, body, &problem{Type: r.Header.Get("Lambda-Runtime-Function-Error-Type"), status: "error"})
	accepted(w)
	time.AfterFunc(patience, i.kill) // it exits by itself, or it is made to
}

var errTooLarge = errors.New("body too large")

// readBounded reads a body of at most limit bytes.
func readBounded(r *http.Request, limit int) ([]byte, error) {
	if r.ContentLength > int64(limit) {
		_, _ = io.Copy(io.Discard, io.LimitReader(r.Body, 64<<20)) // so that it can read the answer
		return nil, errTooLarge
	}
	if n := r.ContentLength; n >= 0 {
		b := make([]byte, n)
		_, err := io.ReadFull(r.Body, b)
		return b, err
	}
	b, err := io.ReadAll(io.LimitReader(r.Body, int64(limit)+1))
	if len(b) > limit {
		return nil, errTooLarge
	}
	return b, err
}
