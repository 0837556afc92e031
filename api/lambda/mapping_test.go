package lambda

import (
	"context"
	"encoding/json"
	"regexp"
	"strings"
	"testing"

	"github.com/thalweg/thalweg/fault"
	"github.com/thalweg/thalweg/flow"
	"github.com/thalweg/thalweg/function"
	"github.com/thalweg/thalweg/function/mapping"
)

const mappedStream = "arn:aws:kinesis:us-east-1:000000000000:stream/s"

// mappingEnv has one stream without records, s, and a consumer of it.
func mappingEnv(functions *function.Functions) mapping.Env {
	return mapping.Env{
		Stream: func(_ context.Context, arn string) (*mapping.Stream, error) {
			if arn != mappedStream && arn != mappedStream+"/consumer/c:1" {
				return nil, fault.New(fault.NotFound, "no stream")
			}
			return &mapping.Stream{ARN: mappedStream, ID: "id", Shards: []mapping.Shard{{ID: "shardId-000000000000"}}}, nil
		},
		Position: func(context.Context, string, uint32, mapping.Start) (flow.Pos, error) { return 7, nil },
		Function: func(o mapping.Owner, arn string) (string, error) {
			ref, err := functions.Resolve(o.Account, o.Region, arn, "")
			if err == nil {
				_, _, err = functions.Get(ref)
			}
			return "", err
		},
		CheckDestination: func(_ mapping.Owner, d string) error {
			if !strings.HasPrefix(d, "arn:aws:sqs:") {
				return fault.New(fault.Invalid, "no such destination")
			}
			return nil
		},
	}
}

// The operations on event source mappings step by step: answers and errors as
// they were recorded from AWS (facts: LocalStack's snapshots). The mappings do
// not run here, so each stays in the phase that the answer shows.
func TestMappings(t *testing.T) {
	f := newFixture(t)
	const fn = "/2015-03-31/functions"
	create := `{"FunctionName":"f","Runtime":"provided.al2023","Handler":"h","Role":"arn:aws:iam::000000000000:role/r","Architectures":["` + function.Architecture() +
		`"],"Code":{"ZipFile":"` + program(t, "one") + `"}}`
	if status, answer := f.call("POST", fn, create); status != 201 {
		t.Fatal(status, answer)
	}
	const path = "/2015-03-31/event-source-mappings"
	make := func(more string) string {
		return `{"FunctionName":"f","EventSourceArn":"` + mappedStream + `","StartingPosition":"LATEST"` + more + `}`
	}
	uuid := regexp.MustCompile(`[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}`)
	modified := regexp.MustCompile(`"LastModified":[0-9.]+`)
	made := ""
	for _, c := range []struct {
		method, path, body string
		status             int
		want               string // part of the answer, with UUID for the first mapping's
	}{
		{"GET", path, "", 200, `{"EventSourceMappings":[]}`},
		// The whole of a new mapping, as recorded.
		{"POST", path + "/", make(""), 202, `{"BatchSize":100,"BisectBatchOnFunctionError":false,"DestinationConfig":{"OnFailure":{}},"EventSourceArn":"` + mappedStream +
			`","EventSourceMappingArn":"arn:aws:lambda:us-east-1:000000000000:event-source-mapping:UUID","FunctionArn":"arn:aws:lambda:us-east-1:000000000000:function:f",` +
			`"FunctionResponseTypes":[],"LastModified":TIME,"LastProcessingResult":"No records processed","MaximumBatchingWindowInSeconds":0,"MaximumRecordAgeInSeconds":-1,` +
			`"MaximumRetryAttempts":-1,"ParallelizationFactor":1,"StartingPosition":"LATEST","State":"Creating","StateTransitionReason":"User action","TumblingWindowInSeconds":0,"UUID":"UUID"}`},
		{"POST", path, make(""), 409, `ResourceConflictException {"Type":"User","message":"The event source arn (\" ` + mappedStream +
			` \") and function (\" f \") provided mapping already exists. Please update or delete the existing mapping with UUID UUID"}`},
		{"POST", path, `{"FunctionName":"f","StartingPosition":"LATEST","EventSourceArn":"` + mappedStream + `x"}`, 400,
			`InvalidParameterValueException {"Type":"User","message":"Stream not found: ` + mappedStream + `x"}`},
		{"POST", path, `{"FunctionName":"f","EventSourceArn":"` + mappedStream + `"}`, 400,
			`1 validation error detected: Value null at 'startingPosition' failed to satisfy constraint: Member must not be null.`},
		{"POST", path, strings.Replace(make(""), "LATEST", "NOW", 1), 400,
			`ValidationException {"Type":"User","message":"1 validation error detected: Value 'NOW' at 'startingPosition' failed to satisfy constraint: Member must satisfy enum value set: [LATEST, AT_TIMESTAMP, TRIM_HORIZON]"}`},
		{"POST", path, `{"FunctionName":"f","StartingPosition":"LATEST"}`, 400, `InvalidParameterValueException {"Type":"User","message":"Unrecognized event source."}`},
		{"POST", path, strings.Replace(make(""), `"f"`, `"g"`, 1), 400, `InvalidParameterValueException {"Type":"User","message":"Function does not exist"}`},
		{"POST", path, strings.Replace(make(""), "us-east-1", "us-east-2", 1), 400, `of another account or region`},
		{"POST", path, make(`,"BatchSize":10001`), 400, `Value '10001' at 'batchSize' failed to satisfy constraint: Member must have value less than or equal to 10000`},
		{"POST", path, make(`,"ParallelizationFactor":11`), 400, `at 'parallelizationFactor'`},
		{"POST", path, make(`,"MaximumBatchingWindowInSeconds":301`), 400, `at 'maximumBatchingWindowInSeconds'`},
		{"POST", path, make(`,"TumblingWindowInSeconds":901`), 400, `at 'tumblingWindowInSeconds'`},
		{"POST", path, make(`,"MaximumRetryAttempts":10001`), 400, `at 'maximumRetryAttempts'`},
		{"POST", path, make(`,"MaximumRecordAgeInSeconds":59`), 400, `InvalidParameterValueException`},
		{"POST", path, make(`,"FunctionResponseTypes":["X"]`), 400, `Member must satisfy enum value set: [ReportBatchItemFailures]`},
		{"POST", path, make(`,"FilterCriteria":{"Filters":[{"Pattern":"{"}]}`), 400, `Invalid filter pattern definition.`},
		{"POST", path, make(`,"StartingPositionTimestamp":1`), 400, `InvalidParameterValueException`},
		{"POST", path, strings.Replace(make(`,"StartingPositionTimestamp":99999999999`), "LATEST", "AT_TIMESTAMP", 1), 400, `in the future`},
		{"POST", path, make(`,"DestinationConfig":{"OnFailure":{"Destination":"kafka://x"}}`), 400, `no such destination`},
		{"POST", path, make(`,"Queues":["q"]`), 400, `members for other sources are not taken`},
		{"POST", path, make(`,"KMSKeyArn":"arn:aws:kms:us-east-1:000000000000:key/k"`), 400, `KMSKeyArn`},
		{"POST", path, make(`,"MetricsConfig":{"Metrics":["EventCount"]}`), 400, `MetricsConfig is not taken`},
		{"GET", path + "/UUID", "", 200, `"State":"Creating"`},
		{"GET", path + "/00000000-0000-4000-8000-000000000000", "", 404, `ResourceNotFoundException {"Type":"User","message":"The resource you requested does not exist."}`},
		{"PUT", path + "/UUID", `{"BatchSize":5}`, 400, `ResourceInUseException`}, // it is Creating
		{"GET", path + "?FunctionName=f", "", 200, `"UUID":"UUID"`},
		{"GET", path + "?EventSourceArn=arn:x", "", 200, `{"EventSourceMappings":[]}`},
		{"POST", path, `{"FunctionName":"f","EventSourceArn":"` + mappedStream + `/consumer/c:1","StartingPosition":"TRIM_HORIZON","Enabled":false,"BatchSize":7,` +
			`"MaximumBatchingWindowInSeconds":2,"ParallelizationFactor":3,"MaximumRecordAgeInSeconds":60,"BisectBatchOnFunctionError":true,"MaximumRetryAttempts":0,` +
			`"FunctionResponseTypes":["ReportBatchItemFailures"],"FilterCriteria":{"Filters":[{"Pattern":"{\"partitionKey\":[\"1\"]}"}]},` +
			`"DestinationConfig":{"OnFailure":{"Destination":"arn:aws:sqs:us-east-1:000000000000:q"}}}`, 202,
			`{"BatchSize":7,"BisectBatchOnFunctionError":true,"DestinationConfig":{"OnFailure":{"Destination":"arn:aws:sqs:us-east-1:000000000000:q"}}`},
		{"GET", path + "?MaxItems=1", "", 200, `"NextMarker":"`},
		{"POST", "/2017-03-31/tags/arn:aws:lambda:us-east-1:000000000000:event-source-mapping:UUID", `{"Tags":{"a":"b","c":"d"}}`, 204, ``},
		{"DELETE", "/2017-03-31/tags/arn:aws:lambda:us-east-1:000000000000:event-source-mapping:UUID?tagKeys=a", ``, 204, ``},
		{"GET", "/2017-03-31/tags/arn:aws:lambda:us-east-1:000000000000:event-source-mapping:UUID", ``, 200, `{"Tags":{"c":"d"}}`},
		{"DELETE", path + "/UUID", "", 202, `"State":"Deleting"`},
		{"DELETE", path + "/UUID", "", 400, `ResourceInUseException`},
	} {
		status, answer := f.call(c.method, strings.ReplaceAll(c.path, "UUID", made), c.body)
		if made == "" && status == 202 {
			made = uuid.FindString(answer)
			if !json.Valid([]byte(answer)) {
				t.Errorf("not JSON: %s", answer)
			}
		}
		if made != "" {
			answer = strings.ReplaceAll(answer, made, "UUID")
		}
		answer = modified.ReplaceAllString(answer, `"LastModified":TIME`)
		if status != c.status || !strings.Contains(answer, c.want) {
			t.Errorf("%s %s %s\n got %d %s\nwant %d %s", c.method, c.path, c.body, status, answer, c.status, c.want)
		}
	}
}
