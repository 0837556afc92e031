package lambda

import (
	"context"
	"encoding/base64"
	"errors"
	"net/http"
	"time"

	"github.com/thalweg/thalweg/fault"
	"github.com/thalweg/thalweg/function"
	"github.com/thalweg/thalweg/gate"
	"github.com/thalweg/thalweg/gate/wire"
)

// Invoke runs a function: RequestResponse waits for its answer, Event queues
// the payload, DryRun says whether there is such a function.

// invokePatience is the longest that a function may run, its start and a wait
// for a free process.
const invokePatience = 35 * time.Minute

func (a *api) invokeOp() gate.Op {
	return gate.Op{Name: "Invoke", Serve: a.invoke, Rest: &gate.Rest{
		Method: post, Path: one + "/invocations", Raw: true, Patience: invokePatience,
	}}
}

func (a *api) invoke(ctx context.Context, c *gate.Call, dst []byte) ([]byte, error) {
	name := c.Rest.Path["FunctionName"]
	qualifier := c.Rest.Query.Get("Qualifier")
	ref, err := a.resolve(c, &name, &qualifier)
	if err != nil {
		return dst, err
	}
	if err := checkJSON(c.Body); err != nil {
		return dst, err
	}
	in := function.Invocation{
		Account: c.Account, Region: c.Region, Function: name, Qualifier: qualifier, Payload: c.Body, RequestID: c.RequestID,
		Tail: c.Rest.Header.Get("X-Amz-Log-Type") == "Tail",
	}
	if text := c.Rest.Header.Get("X-Amz-Client-Context"); text != "" {
		b, err := base64.StdEncoding.DecodeString(text)
		if err != nil || len(b) > 3583 {
			return dst, invalid("Client context must be a valid Base64-encoded JSON object.")
		}
		in.ClientContext = string(b)
	}
	answer := http.Header{}
	c.Rest.Answer = answer
	switch kind := c.Rest.Header.Get("X-Amz-Invocation-Type"); kind {
	case "", "RequestResponse":
	case "Event":
		if _, err := a.functions.Enqueue(ctx, in, c.Now); err != nil {
			return dst, explain(err)
		}
		c.Rest.Status = http.StatusAccepted
		return dst, nil
	case "DryRun":
		_, v, err := a.functions.Get(ref)
		if err != nil {
			return dst, err
		}
		c.Rest.Status = http.StatusNoContent
		answer["X-Amz-Executed-Version"] = []string{v.Qualifier()}
		return dst, nil
	default:
		return dst, fault.New(fault.Constraint, "1 validation error detected: Value '%.40s' at 'invocationType' failed to satisfy constraint: Member must satisfy enum value set: [Event, RequestResponse, DryRun]", kind)
	}
	out, err := a.functions.Invoke(ctx, in)
	if err != nil {
		return dst, explain(err)
	}
	answer["X-Amz-Executed-Version"] = []string{out.Version}
	if out.FunctionError != "" {
		answer["X-Amz-Function-Error"] = []string{out.FunctionError}
	}
	if in.Tail {
		answer["X-Amz-Log-Result"] = []string{base64.StdEncoding.EncodeToString([]byte(out.LogTail))}
	}
	return append(dst, out.Payload...), nil
}

// checkJSON wants a payload to be JSON, as AWS does; none at all will do.
func checkJSON(payload []byte) error {
	var s wire.Scanner
	if len(payload) == 0 {
		return nil
	}
	s.Reset(payload)
	s.Skip()
	if !s.End() {
		return fault.Coded(fault.Malformed, "InvalidRequestContentException", "Could not parse request body into json: Could not parse payload into json.")
	}
	return nil
}

// explain adds to a throttle what AWS says of it.
func explain(err error) error {
	var f *fault.Error
	if !errors.As(err, &f) || f.Kind != fault.Throttled {
		return err
	}
	return &gate.Failure{Fault: f, Members: append([]byte(`"Reason":`), wire.AppendString(nil, f.Code)...)}
}
