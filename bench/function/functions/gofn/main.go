// Command gofn is the function in Go that is measured: it counts an event's
// records, as a consumer of a stream begins.
package main

import (
	"encoding/json"

	"github.com/aws/aws-lambda-go/lambda"
)

func main() {
	lambda.Start(func(event json.RawMessage) (int, error) {
		var in struct {
			Records []struct{ Kinesis struct{ Data []byte } }
		}
		err := json.Unmarshal(event, &in)
		return len(in.Records), err
	})
}
