package gate

import (
	"net/http"
	"strings"

	"github.com/thalweg/thalweg/fault"
	"github.com/thalweg/thalweg/gate/sigv4"
	"github.com/thalweg/thalweg/gate/wire"
)

// rpcTarget is what X-Amz-Target would say where the path says it instead, as
// in rpc-v2-cbor: /service/<Target>/operation/<Name>.
func rpcTarget(path string) (target string, ok bool) {
	rest, ok := strings.CutPrefix(path, "/service/")
	if !ok {
		return "", false
	}
	service, name, ok := strings.Cut(rest, "/operation/")
	if !ok {
		return rest, true // of nothing
	}
	return service + "." + name, true
}

// admitForm does for a form what admit does for the rest: the body says what
// operation is meant, by its Action. It reports whether x's operation is to
// run: if not, the request is answered.
func (g *Gate) admitForm(w http.ResponseWriter, r *http.Request, x *exchange) bool {
	c := &x.call
	c.Format = wire.Query
	if err := g.inflate(r, x); err != nil {
		g.sendError(w, r, x, nil, err)
		return false
	}
	action, version := wire.Action(c.Body)
	if action == "" {
		g.sendXML(w, x, http.StatusForbidden, "AccessDeniedException", undetermined)
		return false
	}
	op, err := g.action(r, action, version)
	if err == nil {
		x.op, c.Target = op, op.service.Target+"."+op.name
		err = g.authenticate(r, x, op.service.Name)
	}
	if err != nil {
		g.sendError(w, r, x, op, err)
		return false
	}
	return true
}

// action finds the operation of this name. Where several services have one, the
// version decides, then the service that the signature names.
func (g *Gate) action(r *http.Request, name, version string) (*operation, error) {
	var found *operation
	scope := ""
	for _, op := range g.actions[name] {
		switch {
		case version != "" && op.service.Query.Version != version:
		case found == nil:
			found = op
		default:
			if scope == "" {
				signed := sigv4.Request{Method: r.Method, Target: r.RequestURI, Host: r.Host, Header: r.Header}
				s, _ := sigv4.Parse(&signed) // whether it is right is looked at later
				scope = s.Service
			}
			if op.service.Name == scope {
				found = op
			}
		}
	}
	if found != nil {
		return found, nil
	}
	for _, s := range g.cfg.Services {
		if text := s.Later[name]; text != "" && s.Query != nil && (version == "" || s.Query.Version == version) {
			return nil, fault.Coded(fault.Unknown, "UnknownOperationException", "%s", text)
		}
	}
	return nil, fault.Coded(fault.Unknown, "UnknownOperationException", "Could not find operation %s for version %s", name, version)
}

// queryCode is what an exception is called in the Query protocol.
func queryCode(op *operation, name string) string {
	if op != nil && op.service.Query != nil {
		if code := op.service.Query.Codes[name]; code != "" {
			return code
		}
	}
	switch name {
	case "MissingAuthenticationTokenException":
		return "MissingAuthenticationToken"
	case "IncompleteSignatureException":
		return "IncompleteSignature"
	case "UnrecognizedClientException":
		return "InvalidClientTokenId"
	case "InvalidSignatureException":
		return "SignatureDoesNotMatch"
	case "ExpiredTokenException":
		return "ExpiredToken"
	case "AccessDeniedException":
		return "AccessDenied"
	case "ThrottlingException":
		return "Throttling"
	case "UnknownOperationException":
		return "InvalidAction"
	case "ValidationException":
		return "ValidationError"
	case "SerializationException":
		return "MalformedInput"
	}
	return name
}
