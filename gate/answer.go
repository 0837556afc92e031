package gate

import (
	"encoding/base64"
	"encoding/binary"
	"encoding/hex"
	"hash/crc32"
	"math/rand/v2"
	"net/http"
	"strconv"

	"github.com/thalweg/thalweg/gate/wire"
)

// Values of headers, made once; nobody writes to them.
var (
	contentTypes = [...][]string{wire.JSON: {wire.JSON.ContentType()}, wire.CBOR: {wire.CBOR.ContentType()}, wire.JSON10: {wire.JSON10.ContentType()},
		wire.RPC: {wire.RPC.ContentType()}, wire.Query: {wire.Query.ContentType()}, wire.REST: {wire.REST.ContentType()}}
	plainJSON   = []string{"application/json"}
	rpcProtocol = []string{"rpc-v2-cbor"}
	eventStream = []string{wire.EventStream}
)

// Headers as AWS spells them, set under these very keys: HTTP/1.1 sends them
// so, HTTP/2 in lower case.
const (
	headerID       = "x-amzn-RequestId"
	headerExtended = "x-amz-id-2"
)

// identify gives the exchange its two ids: a random UUID, and 72 random bytes
// in base64. They name a request in logs and guard nothing, so the generator
// is the fast one, and both share one string.
func (x *exchange) identify() {
	const raw, uuid, extended = 72, 36, 96
	var random [raw]byte
	var out [uuid + extended]byte
	for i := 0; i < raw; i += 8 {
		binary.LittleEndian.PutUint64(random[i:], rand.Uint64())
	}
	base64.StdEncoding.Encode(out[uuid:], random[:])
	binary.LittleEndian.PutUint64(random[0:], rand.Uint64())
	binary.LittleEndian.PutUint64(random[8:], rand.Uint64())
	random[6] = random[6]&0x0f | 0x40
	random[8] = random[8]&0x3f | 0x80
	at := 0
	for i, b := range random[:16] {
		if i == 4 || i == 6 || i == 8 || i == 10 {
			out[at] = '-'
			at++
		}
		hex.Encode(out[at:], []byte{b})
		at += 2
	}
	ids := string(out[:])
	x.ids = [2]string{ids[:uuid], ids[uuid:]}
	x.call.RequestID = x.ids[0]
}

// send writes an answer. The header's values may be the exchange's own, as
// net/http copies them in WriteHeader. It finds out the length of short
// bodies by itself, for less than we can.
func (g *Gate) send(w http.ResponseWriter, x *exchange, status int, contentType []string, body []byte) {
	x.status = status
	h := w.Header()
	h[headerID] = x.ids[0:1:1]
	h[headerExtended] = x.ids[1:2:2]
	h["Content-Type"] = contentType // nil keeps net/http from guessing one
	if x.op != nil && x.op.service.Checksum {
		h["X-Amz-Crc32"] = []string{strconv.FormatUint(uint64(crc32.ChecksumIEEE(body)), 10)}
	}
	if len(body) >= shortBody {
		x.length[0] = strconv.Itoa(len(body))
		h["Content-Length"] = x.length[:]
	}
	w.WriteHeader(status)
	if len(body) > 0 {
		// An error means that the caller is gone, which its next read tells it.
		_, err := w.Write(body)
		x.lost = err != nil
	}
}

// shortBody is the size of net/http's buffer for an answer.
const shortBody = 2 << 10

// sendFault answers in the request's format. Error answers are short and rare
// enough to be made anew.
func (g *Gate) sendFault(w http.ResponseWriter, x *exchange, status int, name, message string, more []byte) {
	x.exception = name
	format := x.call.Format
	if format == wire.Query {
		g.sendQueryFault(w, x, status, name, message)
		return
	}
	if format == wire.REST {
		g.sendRestFault(w, x, status, name, message, more)
		return
	}
	if format == wire.RPC {
		w.Header()["Smithy-Protocol"] = rpcProtocol
	}
	if x.op != nil && x.op.service.Query != nil { // clients of old go by the names they had then
		w.Header()["X-Amzn-Query-Error"] = []string{queryCode(x.op, name) + ";" + culprit(status)}
	}
	body := wire.AppendError(nil, format, name, message)
	if len(more) > 0 && (format == wire.JSON || format == wire.JSON10) {
		body = append(append(append(body[:len(body)-1], ','), more...), '}')
	}
	g.send(w, x, status, contentTypes[format], body)
}

// sendResult answers with what an operation appended. AWS's Query protocol has
// elements around it, rpc-v2-cbor a map where there is nothing.
func (g *Gate) sendResult(w http.ResponseWriter, x *exchange, out []byte) {
	switch x.call.Format {
	case wire.REST:
		g.sendRest(w, x, out)
		return
	case wire.Query:
		name := x.op.name
		b := append(make([]byte, 0, len(out)+512), "<"+name+`Response xmlns="`+x.op.service.Query.Namespace+`">`...)
		if len(out) > 0 {
			b = append(append(append(b, "<"+name+"Result>"...), out...), "</"+name+"Result>"...)
		}
		out = append(b, "<ResponseMetadata><RequestId>"+x.ids[0]+"</RequestId></ResponseMetadata></"+name+"Response>"...)
	case wire.RPC:
		w.Header()["Smithy-Protocol"] = rpcProtocol
		if len(out) == 0 {
			out = wire.AppendHead(nil, wire.MajorMap, 0)
		}
	}
	g.send(w, x, http.StatusOK, contentTypes[x.call.Format], out)
}

// sendQueryFault answers in the envelope that Query has for errors.
func (g *Gate) sendQueryFault(w http.ResponseWriter, x *exchange, status int, name, message string) {
	b := append(make([]byte, 0, len(message)+512), "<ErrorResponse"...)
	if x.op != nil {
		b = append(b, ` xmlns="`+x.op.service.Query.Namespace+`"`...)
	}
	code := queryCode(x.op, name)
	b = append(b, "><Error><Type>"+culprit(status)+"</Type><Code>"+code+"</Code><Message>"...)
	b = wire.AppendXMLText(b, message)
	b = append(b, "</Message></Error><RequestId>"+x.ids[0]+"</RequestId></ErrorResponse>"...)
	switch code {
	case "MissingAuthenticationToken", "InvalidClientTokenId", "SignatureDoesNotMatch", "ExpiredToken", "AccessDenied":
		status = http.StatusForbidden
	}
	g.send(w, x, status, contentTypes[wire.Query], b)
}

// culprit is whose fault a status says it is.
func culprit(status int) string {
	if status >= http.StatusInternalServerError {
		return "Receiver"
	}
	return "Sender"
}

// sendXML answers as AWS does where it cannot tell what format is wanted.
func (g *Gate) sendXML(w http.ResponseWriter, x *exchange, status int, name, message string) {
	x.exception = name
	body := "<" + name + "/>\n"
	if message != "" {
		body = "<" + name + ">\n  <Message>" + message + "</Message>\n</" + name + ">\n"
	}
	g.send(w, x, status, nil, []byte(body))
}

// sendCoral answers in the envelope that AWS keeps for plain application/json.
func (g *Gate) sendCoral(w http.ResponseWriter, x *exchange, status int, name string) {
	x.exception = name
	g.send(w, x, status, plainJSON, []byte(`{"Output":{"__type":"com.amazon.coral.service#`+name+`"},"Version":"1.0"}`))
}

// cors lets a browser's scripts use the port, and answers their preflight
// requests: then it is true.
func (g *Gate) cors(w http.ResponseWriter, r *http.Request, x *exchange) bool {
	h := w.Header()
	h["Access-Control-Allow-Origin"] = []string{"*"}
	if r.Method != http.MethodOptions {
		h["Access-Control-Expose-Headers"] = []string{"x-amzn-RequestId,x-amzn-ErrorType,x-amz-request-id,x-amz-id-2,x-amzn-ErrorMessage,Date"}
		return false
	}
	if v := r.Header["Access-Control-Request-Headers"]; len(v) > 0 {
		h["Access-Control-Allow-Headers"] = v[:1]
	}
	if v := r.Header["Access-Control-Request-Method"]; len(v) > 0 {
		h["Access-Control-Allow-Methods"] = v[:1]
	}
	h["Access-Control-Max-Age"] = []string{"172800"}
	h[headerID] = x.ids[0:1:1]
	x.status = http.StatusOK
	w.WriteHeader(http.StatusOK)
	return true
}
