package gate

import (
	"net/http"
	"net/url"
	"reflect"
	"strings"
	"time"

	"github.com/thalweg/thalweg/gate/wire"
)

// Rest is how an operation is called in AWS's REST-JSON protocol, where the
// method and the path name it, and what it wants lies in the path, the query,
// the headers and the body.
type Rest struct {
	Method string
	// Path has {Name} for each segment that is a parameter: /2015-03-31/functions/{FunctionName}.
	// A slash at its end counts neither here nor in a request.
	Path string
	// Status of the answer; 0: 200.
	Status int
	// Raw says that the body is not a JSON document with the members of the
	// shape, but whatever the operation makes of Call.Body, and its answer what
	// it has appended.
	Raw bool
	// MaxBody is for bodies larger than Config's; 0: Config's.
	MaxBody int64
	// Patience is how long the answer may take, where that is longer than for
	// the rest; 0: as long as they.
	Patience time.Duration
}

// Exchange is what an operation of REST-JSON sees of its request beside the
// body, and can say of its answer.
type Exchange struct {
	Path   map[string]string // the parameters in the path
	Query  url.Values
	Header http.Header // the request's; read-only

	// Of the answer; the zero values leave what Rest says.
	Status      int
	ContentType string
	Answer      http.Header // added to the gate's own headers; nil: none
}

// restTree finds operations by the segments of paths.
type restTree struct {
	next    map[string]*restTree
	any     *restTree
	methods map[string]*operation // of a path that ends here
}

// add files an operation under its path. It is false if there is one already.
func (t *restTree) add(op *operation) bool {
	for _, segment := range segments(op.rest.Path) {
		if strings.HasPrefix(segment, "{") {
			if t.any == nil {
				t.any = new(restTree)
			}
			t = t.any
			continue
		}
		if t.next == nil {
			t.next = map[string]*restTree{}
		}
		if t.next[segment] == nil {
			t.next[segment] = new(restTree)
		}
		t = t.next[segment]
	}
	if t.methods == nil {
		t.methods = map[string]*operation{}
	}
	if t.methods[op.rest.Method] != nil {
		return false
	}
	t.methods[op.rest.Method] = op
	return true
}

// find returns the operation that a method and an escaped path mean, and the
// parameters in the path.
func (t *restTree) find(method, path string) (*operation, map[string]string) {
	given := segments(path)
	if len(given) == 0 || len(given) > maxSegments {
		return nil, nil
	}
	for _, segment := range given {
		if next := t.next[segment]; next != nil {
			t = next
		} else if t = t.any; t == nil {
			return nil, nil
		}
	}
	op := t.methods[method]
	if op == nil {
		return nil, nil
	}
	parameters := map[string]string{}
	for i, name := range segments(op.rest.Path) {
		if !strings.HasPrefix(name, "{") {
			continue
		}
		value, err := url.PathUnescape(given[i])
		if err != nil {
			return nil, nil
		}
		parameters[name[1:len(name)-1]] = value
	}
	return op, parameters
}

// maxSegments bounds the paths that are looked at.
const maxSegments = 16

func segments(path string) []string {
	path = strings.Trim(path, "/")
	if path == "" {
		return nil
	}
	return strings.Split(path, "/")
}

// admitRest does for a REST-JSON request what admit does for the rest. It
// reports whether x's operation is to run: if not, the request is answered.
func (g *Gate) admitRest(w http.ResponseWriter, r *http.Request, x *exchange, op *operation, parameters map[string]string) bool {
	c := &x.call
	c.Format = wire.REST
	c.Target = op.service.Target + "." + op.name
	c.Rest = &Exchange{Path: parameters, Query: r.URL.Query(), Header: r.Header}
	x.op = op
	if op.rest.Patience > 0 {
		// Errors mean that the connection knows no deadlines, and so has none.
		_ = http.NewResponseController(w).SetWriteDeadline(time.Now().Add(op.rest.Patience))
	}
	limit := max(g.cfg.MaxBody, op.rest.MaxBody)
	err := x.read(r, &g.buffers, limit)
	if err == nil {
		c.Body = x.body
		if err = g.authenticate(r, x, op.service.Name); err == nil {
			err = g.inflate(r, x)
		}
	}
	if err != nil {
		g.sendError(w, r, x, op, err)
		return false
	}
	if len(c.Body) == 0 && !op.rest.Raw {
		c.Body = emptyObject
	}
	return true
}

// emptyObject is what a body of no bytes means.
var emptyObject = []byte("{}")

// sendRest answers with what an operation appended.
func (g *Gate) sendRest(w http.ResponseWriter, x *exchange, out []byte) {
	e := x.call.Rest
	for name, values := range e.Answer {
		w.Header()[name] = values
	}
	status := e.Status
	if status == 0 {
		status = x.op.rest.Status
	}
	if status == 0 {
		status = http.StatusOK
	}
	contentType := contentTypes[wire.REST]
	switch {
	case status == http.StatusNoContent:
		contentType, out = nil, nil
	case e.ContentType != "":
		contentType = []string{e.ContentType}
	}
	g.send(w, x, status, contentType, out)
}

// sendRestFault answers with an exception, whose name is in a header.
func (g *Gate) sendRestFault(w http.ResponseWriter, x *exchange, status int, name, message string, more []byte) {
	w.Header()["x-amzn-ErrorType"] = []string{name}
	body := []byte(`{"Type":"User","message":`)
	if status >= http.StatusInternalServerError {
		body = []byte(`{"Type":"Service","message":`)
	}
	body = wire.AppendString(body, message)
	if len(more) > 0 {
		body = append(append(body, ','), more...)
	}
	g.send(w, x, status, contentTypes[wire.REST], append(body, '}'))
}

// locate sets the members of a request that lie in the path or the query:
// those whose fields have the tag rest:"path" or rest:"query". in is a pointer
// to a struct, whose fields with such a tag are *string. Of the body's members
// of these names nothing remains.
func locate(e *Exchange, in any) {
	v := reflect.ValueOf(in).Elem()
	for _, f := range reflect.VisibleFields(v.Type()) {
		var value *string
		switch f.Tag.Get("rest") {
		case "":
			continue
		case "path":
			if text, ok := e.Path[f.Name]; ok {
				value = &text
			}
		case "query":
			if texts := e.Query[f.Name]; len(texts) > 0 {
				value = &texts[0]
			}
		}
		v.FieldByIndex(f.Index).Set(reflect.ValueOf(value))
	}
}

// canLocate reports whether locate can set what the fields' tags ask for.
func canLocate(t reflect.Type) bool {
	for _, f := range reflect.VisibleFields(t) {
		place, tagged := f.Tag.Lookup("rest")
		if tagged && (place != "path" && place != "query" || f.Type != reflect.TypeFor[*string]()) {
			return false
		}
	}
	return true
}
