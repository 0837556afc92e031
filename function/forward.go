package function

import (
	"context"

	"github.com/thalweg/thalweg/fault"
)

// Forward is an executor elsewhere: it invokes a function at another endpoint,
// waiting for its answer or, with event, not. Its errors are Invoke's.
type Forward func(ctx context.Context, ref Ref, in *Invocation, event bool) (Outcome, error)

// forwards reports whether invocations go to another endpoint. Functions are
// then those that are there, and none can be made here.
func (f *Functions) forwards() bool { return f.cfg.Forward != nil }

func errForwards() error {
	return fault.New(fault.Invalid, "This server forwards invocations to another endpoint: make and change functions there.")
}
