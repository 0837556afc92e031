package gate

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"runtime/debug"
	"strings"
	"time"

	"github.com/thalweg/thalweg/fault"
	"github.com/thalweg/thalweg/gate/sigv4"
	"github.com/thalweg/thalweg/gate/wire"
)

// exchange is everything that one request needs, kept for the next one.
type exchange struct {
	call     Call
	signed   sigv4.Request
	verifier sigv4.Verifier
	body     []byte // as read, and as signed; ownBody or a slice of the pool's
	inflated []byte // what the body was compressed from, if it was; the pool's
	ownBody  []byte
	ownOut   []byte
	lost     bool      // the answer could not be written
	ids      [2]string // request id, extended request id
	length   [1]string
	op       *operation

	status    int    // of the answer
	exception string // in the answer, if it is one
	dropped   bool   // there is none: see ErrDrop
}

// media is how a request's content type is answered.
type media uint8

const (
	mediaNone   media = iota // missing, or not one of ours
	mediaJSON                // application/x-amz-json-1.1
	mediaJSON10              // application/x-amz-json-1.0
	mediaCBOR                // application/x-amz-cbor-1.1
	mediaPlain               // application/json, of which only old Coral envelopes come back
	mediaForm                // application/x-www-form-urlencoded: Query
)

// statusGone is what Observe is told of a caller that went away.
const statusGone = 499

// ErrDrop, returned by an operation, drops the connection instead of an answer
// (of HTTP/2 the stream), so that the caller cannot know what was done. It is
// for faults on purpose.
var ErrDrop = errors.New("the connection is dropped on purpose")

// ServeHTTP answers one request.
func (g *Gate) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if r.Method == http.MethodGet || r.Method == http.MethodHead {
		if h := g.cfg.Routes[r.URL.Path]; h != nil {
			h.ServeHTTP(w, r)
			return
		}
	}
	if h := g.cfg.Admin[r.URL.Path]; h != nil && r.Header["X-Amz-Target"] == nil {
		g.admin(w, r, h)
		return
	}
	x := g.exchanges.Get().(*exchange)
	x.call.Now = time.Now()
	x.exception, x.dropped = "", false
	if g.admit(w, r, x) {
		if x.op.stream != nil {
			g.stream(w, r, x)
			return
		}
		g.serve(w, r, x, x.op)
	}
	g.done(r.Context(), &x.call, x.op, x.status, x.exception)
	dropped := x.dropped
	g.release(x)
	if dropped {
		panic(http.ErrAbortHandler)
	}
}

// release keeps the exchange and its buffers for the next request.
func (g *Gate) release(x *exchange) {
	if cap(x.body) > small {
		g.buffers.put(x.body)
	}
	if x.inflated != nil {
		g.buffers.put(x.inflated)
	}
	x.op, x.body, x.inflated, x.call, x.signed = nil, nil, nil, Call{}, sigv4.Request{}
	g.exchanges.Put(x)
}

// admit goes through AWS's checks in AWS's order, as kinesalite recorded it:
// origin, method, empty body, content type, whether the body parses, target,
// who is asking. It reports whether x's operation is to run: if not, the
// request is answered. What the body means is the operation's affair.
func (g *Gate) admit(w http.ResponseWriter, r *http.Request, x *exchange) bool {
	x.identify()
	if origin := r.Header["Origin"]; len(origin) > 0 && origin[0] != "" && g.cors(w, r, x) {
		return false
	}
	if r.URL.Path != "/" && r.Header["X-Amz-Target"] == nil {
		if op, parameters := g.paths.find(r.Method, r.URL.EscapedPath()); op != nil {
			return g.admitRest(w, r, x, op, parameters)
		}
	}
	if r.Method != http.MethodPost {
		g.sendXML(w, x, http.StatusForbidden, "AccessDeniedException", undetermined)
		return false
	}
	m := mediaOf(first(r.Header, "Content-Type"))
	c := &x.call
	c.Format = wire.CBOR
	if m == mediaJSON {
		c.Format = wire.JSON
	}
	c.Target = first(r.Header, "X-Amz-Target")
	rpc := false
	if c.Target == "" {
		if c.Target, rpc = rpcTarget(r.URL.Path); rpc {
			c.Format = wire.RPC
		}
	}
	op := g.ops[c.Target]
	if rpc && op != nil && !op.service.RPC {
		op = nil
	}
	if m == mediaJSON10 {
		if m = mediaNone; g.json10[prefix(c.Target)] {
			m, c.Format = mediaJSON10, wire.JSON10
		}
	}
	x.op = op
	if err := x.read(r, &g.buffers, g.cfg.MaxBody); err != nil {
		g.sendError(w, r, x, nil, err)
		return false
	}
	c.Body = x.body
	switch {
	case rpc && op == nil:
		g.sendError(w, r, x, nil, g.unknownRPC(c.Target, r.URL.Path))
		return false
	case rpc:
		if len(c.Body) == 0 { // for an operation that wants nothing
			c.Body = emptyMap
		}
	case m == mediaForm && c.Target == "" && len(c.Body) > 0:
		return g.admitForm(w, r, x)
	case len(c.Body) == 0 && op == nil:
		g.sendError(w, r, x, nil, g.unknown(c.Target))
		return false
	case len(c.Body) == 0:
		g.sendError(w, r, x, nil, errNotParsed)
		return false
	case m == mediaNone || m == mediaForm:
		if service, name, _ := strings.Cut(c.Target, "."); service == "" || name == "" {
			g.sendXML(w, x, http.StatusForbidden, "AccessDeniedException", undetermined)
		} else {
			g.sendXML(w, x, http.StatusNotFound, "UnknownOperationException", "")
		}
		return false
	case m == mediaPlain:
		// AWS lets nothing that is plain application/json get any further.
		if !wire.Valid(wire.JSON, c.Body) {
			g.sendCoral(w, x, http.StatusBadRequest, "SerializationException")
		} else {
			g.sendCoral(w, x, http.StatusNotFound, "UnknownOperationException")
		}
		return false
	}
	var err error
	if op != nil {
		err = g.authenticate(r, x, op.service.Name)
	} else {
		err = g.unknown(c.Target)
	}
	if err == nil {
		if err := g.inflate(r, x); err != nil {
			g.sendError(w, r, x, nil, err)
			return false
		}
	} else if encoding := first(r.Header, "Content-Encoding"); encoding == "" && !rpc && !wire.Valid(c.Format, c.Body) {
		// Whether a body parses comes first with AWS. Operations find that out
		// as they decode, so it is looked at apart only where none will run.
		err = errNotParsed
	}
	if err != nil {
		g.sendError(w, r, x, op, err)
		return false
	}
	return true
}

// emptyMap is CBOR's.
var emptyMap = []byte{byte(wire.MajorMap)}

const undetermined = "Unable to determine service/operation name to be authorized"

var errNotParsed = &fault.Error{Kind: fault.Malformed, Code: "SerializationException"}

// unknown is the fault for a target that is no operation, or not yet.
func (g *Gate) unknown(target string) error {
	return &fault.Error{Kind: fault.Unknown, Code: "UnknownOperationException", Message: g.later[target]}
}

// unknownRPC is the fault for a path of rpc-v2-cbor that names no operation
// which speaks it.
func (g *Gate) unknownRPC(target, path string) error {
	text := g.later[target]
	if text == "" {
		text = "No service here speaks rpc-v2-cbor (" + path + "): use AWS JSON 1.1 or CBOR 1.1 with X-Amz-Target."
	}
	return &fault.Error{Kind: fault.Unknown, Code: "UnknownOperationException", Message: text}
}

// serve runs the operation and writes what it appended.
func (g *Gate) serve(w http.ResponseWriter, r *http.Request, x *exchange, op *operation) {
	dst, pooled := x.ownOut[:0], false
	if n := op.size.guess(); n > small {
		dst, pooled = g.buffers.get(n), true
	}
	out, err := g.run(r.Context(), x, op, dst)
	switch {
	case errors.Is(err, ErrDrop):
		x.status, x.dropped, out = statusGone, true, dst
	case err != nil:
		g.sendError(w, r, x, op, err)
		out = dst
	default:
		op.size.saw(len(out))
		g.sendResult(w, x, out)
	}
	switch {
	case x.lost: // HTTP/2 may still be reading it
		x.ownOut, x.lost = nil, false
	case cap(out) > small:
		g.buffers.put(out)
	case !pooled:
		x.ownOut = out[:0]
	}
}

// run calls the operation; a panic becomes an error, so that the caller gets
// an answer and the log one line with the request's id.
func (g *Gate) run(ctx context.Context, x *exchange, op *operation, dst []byte) (out []byte, err error) {
	defer recovered(&err)
	return op.serve(ctx, &x.call, dst)
}

// recovered, deferred, makes an error of a panic.
func recovered(err *error) {
	if p := recover(); p != nil {
		*err = fmt.Errorf("panic: %v\n%s", p, debug.Stack())
	}
}

// sendError answers with err as a fault of op's service, or of none.
func (g *Gate) sendError(w http.ResponseWriter, r *http.Request, x *exchange, op *operation, err error) {
	if gone(r.Context(), err) {
		g.sendFault(w, x, http.StatusInternalServerError, "InternalFailure", "", nil)
		x.status = statusGone
		return
	}
	name, message, status := g.spell(r.Context(), &x.call, op, err)
	var more *Failure
	if errors.As(err, &more) {
		g.sendFault(w, x, status, name, message, more.Members)
		return
	}
	g.sendFault(w, x, status, name, message, nil)
}

// gone reports whether err says no more than that ctx has ended.
func gone(ctx context.Context, err error) bool {
	return ctx.Err() != nil && errors.Is(err, ctx.Err())
}

// spell puts err into words for the caller of op, or of no operation. What is
// no fault is our failure: logged here, once, and told without detail.
func (g *Gate) spell(ctx context.Context, c *Call, op *operation, err error) (name, message string, status int) {
	var f *fault.Error
	if !errors.As(err, &f) || f.Kind == fault.Internal {
		g.report(ctx, c, err)
		f = fault.New(fault.Internal, "")
	} else if f.Kind == fault.Unavailable {
		g.report(ctx, c, err)
	}
	name, status = f.Code, http.StatusBadRequest
	switch {
	case f.Kind == fault.TooLarge && op == nil:
		status = http.StatusRequestEntityTooLarge
	case op != nil && op.service.Exception != nil && f.Kind != fault.Unauthentic:
		name, status = op.service.Exception(f)
	}
	if name == "" {
		name = defaultName(f.Kind)
	}
	if f.Kind == fault.Internal { // whatever the service makes of it
		status = http.StatusInternalServerError
	}
	return name, f.Message, status
}

// defaultName is the exception that every AWS service has for a kind of fault
// without a name of its own.
func defaultName(k fault.Kind) string {
	switch k {
	case fault.Malformed:
		return "SerializationException"
	case fault.Constraint, fault.Invalid:
		return "ValidationException"
	case fault.Unknown:
		return "UnknownOperationException"
	case fault.Denied:
		return "AccessDeniedException"
	case fault.Throttled:
		return "ThrottlingException"
	}
	return "InternalFailure"
}

// prefix is the part of a target that names the service.
func prefix(target string) string {
	service, _, _ := strings.Cut(target, ".")
	return service
}

// mediaOf reads a content type, without its parameters.
func mediaOf(value string) media {
	if at := strings.IndexByte(value, ';'); at >= 0 {
		value = value[:at]
	}
	switch strings.TrimSpace(value) {
	case "application/x-amz-json-1.1":
		return mediaJSON
	case "application/x-amz-json-1.0":
		return mediaJSON10
	case "application/x-amz-cbor-1.1":
		return mediaCBOR
	case "application/json":
		return mediaPlain
	case "application/x-www-form-urlencoded":
		return mediaForm
	}
	return mediaNone
}

// first returns the first value of the header under its canonical key.
func first(h http.Header, key string) string {
	if v := h[key]; len(v) > 0 {
		return v[0]
	}
	return ""
}
