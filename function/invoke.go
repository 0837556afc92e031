package function

import "context"

// Invocation is one call of a function that is waited for.
type Invocation struct {
	Account, Region string // of the caller; an ARN in Function must agree with them
	Function        string // a name or an ARN, which may carry a qualifier
	Qualifier       string // a version, $LATEST or an alias; "": Function's own, else $LATEST
	Payload         []byte // JSON, at most MaxPayload; read-only until Invoke returns
	Tail            bool   // Outcome is to have the end of what was logged
}

// Outcome is what became of an invocation that reached the function, also one
// that failed within it.
type Outcome struct {
	Payload       []byte // the response, or with FunctionError AWS's JSON of what went wrong
	FunctionError string // "": none; "Handled" or "Unhandled"
	Version       string // that ran: $LATEST or a number
	RequestID     string
	LogTail       string // with Tail: at most the last 4 KiB, not encoded
}

// Invoke runs a function and waits for what it answers. An error means that
// the function did not run: a fault of kind NotFound, Throttled, TooLarge,
// Invalid, InUse or Unavailable, or a failure of ours. A function's own failure
// is no error but an Outcome with FunctionError. When ctx ends, the function is
// left to its time-out and ctx's error returned.
func (f *Functions) Invoke(ctx context.Context, in Invocation) (Outcome, error) {
	ref, err := resolveRef(in.Account, in.Region, in.Function, in.Qualifier)
	if err != nil {
		return Outcome{}, err
	}
	return Outcome{}, notFound(ref)
}
