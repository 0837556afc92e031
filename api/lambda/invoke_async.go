package lambda

import (
	"context"
	"net/http"

	"github.com/thalweg/thalweg/function"
	"github.com/thalweg/thalweg/gate"
)

// InvokeAsync is Invoke with type Event, as clients of 2014 call it.

func (a *api) invokeAsyncOp() gate.Op {
	return gate.Op{Name: "InvokeAsync", Serve: a.invokeAsync, Rest: &gate.Rest{
		Method: post, Path: "/2014-11-13/functions/{FunctionName}/invoke-async", Raw: true, Status: http.StatusAccepted,
	}}
}

func (a *api) invokeAsync(ctx context.Context, c *gate.Call, dst []byte) ([]byte, error) {
	name := c.Rest.Path["FunctionName"]
	if _, err := a.resolve(c, &name, nil); err != nil {
		return dst, err
	}
	if err := checkJSON(c.Body); err != nil {
		return dst, err
	}
	_, err := a.functions.Enqueue(ctx, function.Invocation{Account: c.Account, Region: c.Region, Function: name, Payload: c.Body, RequestID: c.RequestID}, c.Now)
	if err != nil {
		return dst, explain(err)
	}
	return append(dst, `{"Status":202}`...), nil
}
