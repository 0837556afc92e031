package function

import "context"

// forwards reports whether invocations go to another endpoint.
func (f *Functions) forwards() bool { return false }

func (f *Functions) forward(context.Context, Ref, *Version, *Invocation) (Outcome, error) {
	return Outcome{}, nil
}
