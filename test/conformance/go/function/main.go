// Command function is a Lambda function as AWS's guides have it in Go, for the
// conformance sessions: it answers with its event and what it knows of itself.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"

	"github.com/aws/aws-lambda-go/lambda"
	"github.com/aws/aws-lambda-go/lambdacontext"
)

func main() {
	lambda.Start(func(ctx context.Context, event json.RawMessage) (map[string]any, error) {
		var in struct{ Fail bool }
		_ = json.Unmarshal(event, &in) // an event may be anything
		fmt.Println("hello from Go")
		if in.Fail {
			return nil, errors.New("no good")
		}
		c, _ := lambdacontext.FromContext(ctx)
		return map[string]any{
			"event": event, "requestId": c.AwsRequestID, "arn": c.InvokedFunctionArn, "version": lambdacontext.FunctionVersion,
			"mine": os.Getenv("MINE"), "home": os.Getenv("AWS_ENDPOINT_URL"),
		}, nil
	})
}
