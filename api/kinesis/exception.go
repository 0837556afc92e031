package kinesis

import (
	"net/http"

	"github.com/thalweg/thalweg/fault"
)

// exception spells a fault as Kinesis does: the short name of its exception
// and the status. A fault with a name of its own keeps that.
func exception(f *fault.Error) (name string, status int) {
	name, status = kindName(f.Kind)
	if f.Code != "" {
		name = f.Code
	}
	return name, status
}

func kindName(k fault.Kind) (name string, status int) {
	switch k {
	case fault.Invalid:
		return "InvalidArgumentException", http.StatusBadRequest
	case fault.Constraint:
		return "ValidationException", http.StatusBadRequest
	case fault.Malformed:
		return "SerializationException", http.StatusBadRequest
	case fault.NotFound:
		return "ResourceNotFoundException", http.StatusBadRequest
	case fault.InUse:
		return "ResourceInUseException", http.StatusBadRequest
	case fault.Limit:
		return "LimitExceededException", http.StatusBadRequest
	case fault.Throttled:
		return "ProvisionedThroughputExceededException", http.StatusBadRequest
	case fault.Expired:
		return "ExpiredIteratorException", http.StatusBadRequest
	case fault.ExpiredToken:
		return "ExpiredNextTokenException", http.StatusBadRequest
	case fault.Denied:
		return "AccessDeniedException", http.StatusBadRequest
	case fault.Unauthentic:
		return "UnrecognizedClientException", http.StatusBadRequest
	case fault.Unknown:
		return "UnknownOperationException", http.StatusBadRequest
	case fault.TooLarge:
		return "RequestEntityTooLargeException", http.StatusRequestEntityTooLarge
	case fault.Unavailable:
		return "ServiceUnavailable", http.StatusServiceUnavailable
	}
	return "InternalFailureException", http.StatusInternalServerError
}

// dryRun is the answer to a request with DryRun set that would otherwise have
// been carried out: AWS answers it with an exception, as EC2 does. Its text was
// never recorded.
func dryRun() error {
	return fault.Coded(fault.Invalid, "DryRunOperationException", "Request would have succeeded, but DryRun flag is set.")
}
