package dynamodb

import (
	"net/http"
	"strings"

	"github.com/thalweg/thalweg/fault"
)

// The prefixes of exceptions: DynamoDB's own, and two of AWS's framework.
const (
	ours      = "com.amazonaws.dynamodb.v20120810#"
	validates = "com.amazon.coral.validate#"
	framework = "com.amazon.coral.service#"
)

// exception spells a fault as DynamoDB does: with the namespace of its
// exception, and the status.
func exception(f *fault.Error) (name string, status int) {
	if f.Code != "" && f.Kind != fault.Malformed {
		return ours + f.Code, http.StatusBadRequest
	}
	switch f.Kind {
	case fault.Invalid, fault.Constraint:
		return validates + "ValidationException", http.StatusBadRequest
	case fault.Malformed:
		return framework + "SerializationException", http.StatusBadRequest
	case fault.NotFound:
		return ours + "ResourceNotFoundException", http.StatusBadRequest
	case fault.InUse:
		return ours + "ResourceInUseException", http.StatusBadRequest
	case fault.Limit:
		return ours + "LimitExceededException", http.StatusBadRequest
	case fault.Throttled:
		return ours + "ProvisionedThroughputExceededException", http.StatusBadRequest
	case fault.Denied:
		return framework + "AccessDeniedException", http.StatusBadRequest
	case fault.Unknown:
		return framework + "UnknownOperationException", http.StatusBadRequest
	case fault.TooLarge:
		return framework + "RequestEntityTooLargeException", http.StatusRequestEntityTooLarge
	case fault.Unavailable:
		return framework + "ServiceUnavailableException", http.StatusServiceUnavailable
	}
	return ours + "InternalServerError", http.StatusInternalServerError
}

// invalid is a ValidationException.
func invalid(format string, args ...any) error { return fault.New(fault.Invalid, format, args...) }

// unsupported refuses an option that nothing stands behind.
func unsupported(option string) error {
	return invalid("thalweg's tables do not have what %s asks for.", option)
}

// parameters begins most of DynamoDB's texts about parameters.
const parameters = "One or more parameter values were invalid: "

// plain is a name of an exception without its namespace.
func plain(name string) string { return name[strings.LastIndexByte(name, '#')+1:] }
