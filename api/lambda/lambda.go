// Package lambda is the AWS Lambda API of 2015-03-31: the shapes of its requests
// and answers, and one file per operation that turns them into calls on the
// room of functions and back. It hides AWS's paths, wire names and exceptions.
//
// It never decides what becomes of an invocation, keeps no state between calls,
// and never takes an option that nothing stands behind: what is missing is
// refused by name.
package lambda

import (
	"context"
	"net/http"
	"time"

	"github.com/thalweg/thalweg/fault"
	"github.com/thalweg/thalweg/function"
	"github.com/thalweg/thalweg/function/mapping"
	"github.com/thalweg/thalweg/gate"
)

// Config is what the operations stand on besides functions.
type Config struct {
	// Fetch reads an object of a bucket, of at most max bytes, for functions
	// whose code lies there; nil: there are no buckets. version is "" for the
	// newest.
	Fetch func(ctx context.Context, region, bucket, key, version string, max int64) ([]byte, error)
	// Location is a URL where an archive can be read for ten minutes.
	Location func(sha256 string, now time.Time) string
}

// New returns the operations over f and m.
func New(f *function.Functions, m *mapping.Mappings, cfg Config) *gate.Service {
	a := &api{functions: f, mappings: m, cfg: cfg}
	return &gate.Service{Name: "lambda", Target: "AWSLambda", Ops: append(a.operations(), later()...), Exception: exception}
}

// api is what all operations stand on.
type api struct {
	functions *function.Functions
	mappings  *mapping.Mappings
	cfg       Config
}

// The largest requests: AWS takes as much for an archive of 50 MB in base64
// with all that is around it.
const maxUpload = 70_167_211

// at makes an operation one of REST-JSON.
func at(method, path string, status int, op gate.Op) gate.Op {
	op.Rest = &gate.Rest{Method: method, Path: path, Status: status}
	return op
}

// upload lets an operation take an archive.
func upload(op gate.Op) gate.Op {
	op.Rest.MaxBody = maxUpload
	return op
}

const (
	get, post, put, del = http.MethodGet, http.MethodPost, http.MethodPut, http.MethodDelete

	root = "/2015-03-31/functions"
	one  = root + "/{FunctionName}"

	events = "/2019-09-25/functions/{FunctionName}/event-invoke-config"
	tags   = "/2017-03-31/tags/{Resource}"

	mappings = "/2015-03-31/event-source-mappings"
	aMapping = mappings + "/{UUID}"
)

// operations is the table of all operations that are there. A test holds it
// against the files of this folder.
func (a *api) operations() []gate.Op {
	return []gate.Op{
		at(post, one+"/policy", 201, gate.Handle("AddPermission", a.addPermission)),
		at(post, one+"/aliases", 201, gate.Handle("CreateAlias", a.createAlias)),
		at(post, mappings, 202, gate.Handle("CreateEventSourceMapping", a.createEventSourceMapping)),
		upload(at(post, root, 201, gate.Handle("CreateFunction", a.createFunction))),
		at(del, one+"/aliases/{Name}", 204, gate.Handle("DeleteAlias", a.deleteAlias)),
		at(del, aMapping, 202, gate.Handle("DeleteEventSourceMapping", a.deleteEventSourceMapping)),
		at(del, one, 204, gate.Handle("DeleteFunction", a.deleteFunction)),
		at(del, "/2017-10-31/functions/{FunctionName}/concurrency", 204, gate.Handle("DeleteFunctionConcurrency", a.deleteFunctionConcurrency)),
		at(del, events, 204, gate.Handle("DeleteFunctionEventInvokeConfig", a.deleteFunctionEventInvokeConfig)),
		at(get, "/2016-08-19/account-settings", 200, gate.Handle("GetAccountSettings", a.getAccountSettings)),
		at(get, one+"/aliases/{Name}", 200, gate.Handle("GetAlias", a.getAlias)),
		at(get, aMapping, 200, gate.Handle("GetEventSourceMapping", a.getEventSourceMapping)),
		at(get, one, 200, gate.Handle("GetFunction", a.getFunction)),
		at(get, "/2020-06-30/functions/{FunctionName}/code-signing-config", 200, gate.Handle("GetFunctionCodeSigningConfig", a.getFunctionCodeSigningConfig)),
		at(get, "/2019-09-30/functions/{FunctionName}/concurrency", 200, gate.Handle("GetFunctionConcurrency", a.getFunctionConcurrency)),
		at(get, one+"/configuration", 200, gate.Handle("GetFunctionConfiguration", a.getFunctionConfiguration)),
		at(get, events, 200, gate.Handle("GetFunctionEventInvokeConfig", a.getFunctionEventInvokeConfig)),
		at(get, "/2024-08-31/functions/{FunctionName}/recursion-config", 200, gate.Handle("GetFunctionRecursionConfig", a.getFunctionRecursionConfig)),
		at(get, one+"/policy", 200, gate.Handle("GetPolicy", a.getPolicy)),
		at(get, "/2021-07-20/functions/{FunctionName}/runtime-management-config", 200, gate.Handle("GetRuntimeManagementConfig", a.getRuntimeManagementConfig)),
		a.invokeOp(),
		a.invokeAsyncOp(),
		at(get, one+"/aliases", 200, gate.Handle("ListAliases", a.listAliases)),
		at(get, mappings, 200, gate.Handle("ListEventSourceMappings", a.listEventSourceMappings)),
		at(get, events+"/list", 200, gate.Handle("ListFunctionEventInvokeConfigs", a.listFunctionEventInvokeConfigs)),
		at(get, root, 200, gate.Handle("ListFunctions", a.listFunctions)),
		at(get, tags, 200, gate.Handle("ListTags", a.listTags)),
		at(get, one+"/versions", 200, gate.Handle("ListVersionsByFunction", a.listVersionsByFunction)),
		at(post, one+"/versions", 201, gate.Handle("PublishVersion", a.publishVersion)),
		at(put, "/2017-10-31/functions/{FunctionName}/concurrency", 200, gate.Handle("PutFunctionConcurrency", a.putFunctionConcurrency)),
		at(put, events, 200, gate.Handle("PutFunctionEventInvokeConfig", a.putFunctionEventInvokeConfig)),
		at(del, one+"/policy/{StatementId}", 204, gate.Handle("RemovePermission", a.removePermission)),
		at(post, tags, 204, gate.Handle("TagResource", a.tagResource)),
		at(del, tags, 204, gate.Handle("UntagResource", a.untagResource)),
		at(put, one+"/aliases/{Name}", 200, gate.Handle("UpdateAlias", a.updateAlias)),
		at(put, aMapping, 202, gate.Handle("UpdateEventSourceMapping", a.updateEventSourceMapping)),
		upload(at(put, one+"/code", 200, gate.Handle("UpdateFunctionCode", a.updateFunctionCode))),
		at(put, one+"/configuration", 200, gate.Handle("UpdateFunctionConfiguration", a.updateFunctionConfiguration)),
		at(post, events, 200, gate.Handle("UpdateFunctionEventInvokeConfig", a.updateFunctionEventInvokeConfig)),
	}
}

// target is how a request names a function.
type target struct {
	FunctionName *string `rest:"path" aws:"required,min=1,max=200"`
}

// qualified is how a request names a function or a version of it.
type qualified struct {
	target
	Qualifier *string `rest:"query" aws:"min=1,max=128"`
}

func (a *api) resolve(c *gate.Call, name, qualifier *string) (function.Ref, error) {
	ref, err := a.functions.Resolve(c.Account, c.Region, text(name), text(qualifier))
	c.Resource = ref.Function
	return ref, err
}

func text(s *string) string {
	if s == nil {
		return ""
	}
	return *s
}

func optional(s string) *string {
	if s == "" {
		return nil
	}
	return &s
}

func yes(b *bool) bool { return b != nil && *b }

// invalid is an InvalidParameterValueException.
func invalid(format string, args ...any) error { return fault.New(fault.Invalid, format, args...) }

// unsupported refuses an option that nothing stands behind.
func unsupported(option string) error {
	return invalid("thalweg's functions do not have what %s asks for.", option)
}

// stamp is a time as Lambda writes it: 2026-11-24T11:58:19.123+0000.
func stamp(t time.Time) string { return t.UTC().Format("2006-01-02T15:04:05.000-0700") }

// exception spells a fault as Lambda does.
func exception(f *fault.Error) (name string, status int) {
	switch {
	case f.Kind == fault.Throttled:
		return "TooManyRequestsException", http.StatusTooManyRequests
	case f.Code == "PreconditionFailedException":
		return f.Code, http.StatusPreconditionFailed
	case f.Kind == fault.TooLarge:
		return "RequestTooLargeException", http.StatusRequestEntityTooLarge
	case f.Kind == fault.Denied:
		return "AccessDeniedException", http.StatusForbidden
	case f.Code != "":
		return f.Code, http.StatusBadRequest
	}
	switch f.Kind {
	case fault.Invalid:
		return "InvalidParameterValueException", http.StatusBadRequest
	case fault.Constraint:
		return "ValidationException", http.StatusBadRequest
	case fault.Malformed:
		return "SerializationException", http.StatusBadRequest
	case fault.NotFound:
		return "ResourceNotFoundException", http.StatusNotFound
	case fault.InUse:
		return "ResourceConflictException", http.StatusConflict
	case fault.Limit:
		return "CodeStorageExceededException", http.StatusBadRequest
	case fault.Unknown:
		return "UnknownOperationException", http.StatusNotFound
	case fault.Unavailable:
		return "ServiceException", http.StatusServiceUnavailable
	}
	return "ServiceException", http.StatusInternalServerError
}
