package lambda

import (
	"archive/zip"
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/thalweg/thalweg/catalog"
	"github.com/thalweg/thalweg/function"
	"github.com/thalweg/thalweg/function/mapping"
	"github.com/thalweg/thalweg/gate"
	"github.com/thalweg/thalweg/internal/vfs"
	"github.com/thalweg/thalweg/shardlog/journal"
)

// fixture is the API behind a real gate, over functions that do not run: the
// control plane needs no process.
type fixture struct {
	testing.TB
	url string
}

func newFixture(t testing.TB) *fixture {
	t.Helper()
	c := catalog.New()
	functions := function.New(function.Config{Catalog: c, FS: vfs.NewMem(0), Dir: "/functions", Work: t.TempDir()})
	log, err := journal.Open(t.Context(), journal.Config{FS: vfs.NewMem(1 << 30), Dir: "/data", Machine: c, SegmentBytes: 16 << 20})
	if err != nil {
		t.Fatal(err)
	}
	c.Attach(log)
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	g, err := gate.New(gate.Config{Listener: l, Auth: gate.Auth{Mode: gate.None}, Services: []*gate.Service{New(functions, mapping.New(mapping.Config{Catalog: c, Env: mappingEnv(functions)}), Config{
		Location: func(sha string, _ time.Time) string { return "http://here/" + sha },
		Fetch: func(_ context.Context, region, bucket, key, version string, _ int64) ([]byte, error) {
			return nil, invalid("%s %s %s %s", region, bucket, key, version)
		},
	})}})
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(context.Background())
	done := make(chan error)
	go func() { done <- g.Run(ctx) }()
	t.Cleanup(func() {
		stop()
		if err := <-done; err != nil {
			t.Error(err)
		}
		if err := log.Close(); err != nil {
			t.Error(err)
		}
	})
	return &fixture{t, "http://" + l.Addr().String()}
}

// call returns the status and, of an exception, its name before the body.
func (f *fixture) call(method, path, body string) (status int, answer string) {
	f.Helper()
	req, err := http.NewRequest(method, f.url+path, strings.NewReader(body))
	if err != nil {
		f.Fatal(err)
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		f.Fatal(err)
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		f.Fatal(err)
	}
	answer = string(b)
	if name := resp.Header.Get("X-Amzn-Errortype"); name != "" {
		answer = name + " " + answer
	}
	return resp.StatusCode, answer
}

func program(t testing.TB, content string) string {
	t.Helper()
	var b bytes.Buffer
	z := zip.NewWriter(&b)
	w, err := z.Create("bootstrap")
	if err != nil {
		t.Fatal(err)
	}
	io.WriteString(w, content)
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	return base64.StdEncoding.EncodeToString(b.Bytes())
}

// The control plane step by step, in AWS's shapes, statuses and exceptions
// (API reference; botocore's model of 2015-03-31).
func TestControlPlane(t *testing.T) {
	f := newFixture(t)
	code, other := program(t, "one"), program(t, "two")
	arch := function.Architecture()
	make := func(name, more string) string {
		return `{"FunctionName":"` + name + `","Runtime":"provided.al2023","Handler":"h","Role":"arn:aws:iam::000000000000:role/r","Architectures":["` + arch + `"],"Code":{"ZipFile":"` + code + `"}` + more + `}`
	}
	const fn = "/2015-03-31/functions"
	const arn = "arn:aws:lambda:us-east-1:000000000000:function:f"
	for _, c := range []struct {
		method, path, body string
		status             int
		want               []string // parts of the answer
	}{
		{"GET", fn, "", 200, []string{`{"Functions":[]}`}},
		{"GET", fn + "/f", "", 404, []string{`ResourceNotFoundException {"Type":"User","message":"Function not found: ` + arn + `"}`}},
		{"POST", fn, make("f", `,"Tags":{"a":"b"},"Description":"d","Environment":{"Variables":{"A":"1"}}`), 201, []string{
			`"FunctionName":"f"`, `"FunctionArn":"` + arn + `"`, `"Version":"$LATEST"`, `"State":"Active"`, `"LastUpdateStatus":"Successful"`, `"PackageType":"Zip"`,
			`"Timeout":3`, `"MemorySize":128`, `"EphemeralStorage":{"Size":512}`, `"Environment":{"Variables":{"A":"1"}}`, `"TracingConfig":{"Mode":"PassThrough"}`}},
		{"POST", fn, make("f", ""), 409, []string{`ResourceConflictException`, `Function already exist: f`}},
		{"POST", fn, make("g", `,"MemorySize":1`), 400, []string{`ValidationException`, `Value '1' at 'memorySize' failed to satisfy constraint: Member must have value greater than or equal to 128`}},
		{"POST", fn, make("g", `,"Timeout":901`), 400, []string{`Value '901' at 'timeout'`}},
		{"POST", fn, make("g", `,"Role":"r"`), 400, []string{`ValidationException`, `at 'role'`}},
		{"POST", fn, make("g", `,"Runtime":"ruby3.3"`), 400, []string{`InvalidParameterValueException`, `Runtime ruby3.3 is not supported here`}},
		{"POST", fn, make("g", `,"Runtime":"java99"`), 400, []string{`InvalidParameterValueException`}},
		{"POST", fn, make("g", `,"Architectures":["mips"]`), 400, []string{`ValidationException`}},
		{"POST", fn, make("g", `,"Code":{"S3Bucket":"b","S3Key":"k","S3ObjectVersion":"v"}`), 400, []string{`us-east-1 b k v`}},
		{"POST", fn, make("g", `,"Code":{}`), 400, []string{`Please provide a source for function code.`}},
		{"POST", fn, make("g", `,"Layers":["arn:x"]`), 400, []string{`thalweg's functions do not have what Layers asks for.`}},
		{"POST", fn, `{"FunctionName":"g"}`, 400, []string{`Value null at 'code' failed to satisfy constraint: Member must not be null`}},
		{"POST", fn, make("g", ``)[:40], 400, []string{"SerializationException"}},
		{"GET", fn + "/f", "", 200, []string{`"Configuration":{"FunctionName":"f"`, `"Code":{"RepositoryType":"S3","Location":"http://here/`, `"Tags":{"a":"b"}`}},
		{"GET", fn + "/" + arn, "", 200, []string{`"FunctionName":"f"`}},
		{"GET", fn + "/" + strings.ReplaceAll(arn, ":", "%3A") + "/configuration", "", 200, []string{`"FunctionName":"f"`}},
		{"GET", fn + "/arn:aws:lambda:us-east-1:111111111111:function:f", "", 403, []string{"AccessDeniedException"}},
		{"GET", fn + "/f?Qualifier=1", "", 404, []string{`Function not found: ` + arn + `:1`}},
		{"POST", fn + "/f/versions", `{"Description":"first"}`, 201, []string{`"Version":"1"`, `"Description":"first"`, `"FunctionArn":"` + arn + `:1"`}},
		{"POST", fn + "/f/versions", ``, 201, []string{`"Version":"1"`}},
		{"POST", fn + "/f/versions", `{"CodeSha256":"AAAA"}`, 400, []string{`InvalidParameterValueException`}},
		{"PUT", fn + "/f/code", `{"ZipFile":"` + other + `","DryRun":true}`, 200, []string{`"Version":"$LATEST"`}},
		{"PUT", fn + "/f/code", `{"ZipFile":"` + other + `","Publish":true}`, 200, []string{`"Version":"2"`}},
		{"PUT", fn + "/f/code", `{"ZipFile":"` + other + `","RevisionId":"x"}`, 412, []string{`PreconditionFailedException`}},
		{"PUT", fn + "/f/configuration", `{"MemorySize":256,"Timeout":5}`, 200, []string{`"MemorySize":256`, `"Timeout":5`, `"Description":"d"`, `"Environment":{"Variables":{"A":"1"}}`}},
		{"GET", fn + "/f/versions?MaxItems=1", "", 200, []string{`"Version":"$LATEST"`, `"NextMarker":"0"`}},
		{"GET", fn + "/f/versions?MaxItems=1&Marker=0", "", 200, []string{`"Version":"1"`, `"NextMarker":"1"`}},
		{"GET", fn + "/f/versions?Marker=1", "", 200, []string{`"Version":"2"`}},
		{"GET", fn + "?MaxItems=x", "", 400, []string{`ValidationException`}},
		{"GET", fn + "?FunctionVersion=ALL", "", 200, []string{`"Version":"$LATEST"`, `"Version":"1"`, `"Version":"2"`}},
		{"POST", fn + "/f/aliases", `{"Name":"live","FunctionVersion":"1"}`, 201, []string{`"AliasArn":"` + arn + `:live"`, `"FunctionVersion":"1"`}},
		{"POST", fn + "/f/aliases", `{"Name":"live","FunctionVersion":"1"}`, 409, []string{`Alias already exists: ` + arn + `:live`}},
		{"POST", fn + "/f/aliases", `{"Name":"7","FunctionVersion":"1"}`, 400, []string{`ValidationException`}},
		{"POST", fn + "/f/aliases", `{"Name":"dead","FunctionVersion":"9"}`, 404, []string{`Function not found: ` + arn + `:9`}},
		{"PUT", fn + "/f/aliases/live", `{"RoutingConfig":{"AdditionalVersionWeights":{"2":0.25}}}`, 200, []string{`"RoutingConfig":{"AdditionalVersionWeights":{"2":0.25}}`}},
		{"PUT", fn + "/f/aliases/live", `{"RoutingConfig":{"AdditionalVersionWeights":{"2":1.5}}}`, 400, []string{`not within 0.0 and 1.0`}},
		{"PUT", fn + "/f/aliases/live", `{"FunctionVersion":"$LATEST"}`, 400, []string{`$LATEST is not supported for an alias pointing to more than 1 version`}},
		{"GET", fn + "/f?Qualifier=live", "", 200, []string{`"Version":"1"`, `"FunctionArn":"` + arn + `:live"`}},
		{"GET", fn + "/f/aliases?FunctionVersion=2", "", 200, []string{`"Name":"live"`}},
		{"GET", fn + "/f/aliases?FunctionVersion=$LATEST", "", 200, []string{`{"Aliases":[]}`}},
		{"DELETE", fn + "/f?Qualifier=1", "", 409, []string{`Version 1 is referenced by alias live`}},
		{"DELETE", fn + "/f?Qualifier=$LATEST", "", 400, []string{`$LATEST version cannot be deleted`}},
		{"DELETE", fn + "/f/aliases/live", "", 204, nil},
		{"GET", fn + "/f/aliases/live", "", 404, []string{`Cannot find alias arn: ` + arn + `:live`}},
		{"DELETE", fn + "/f?Qualifier=1", "", 204, nil},
		{"GET", fn + "/f?Qualifier=1", "", 404, nil},
		{"POST", fn + "/f/policy", `{"StatementId":"s","Action":"lambda:InvokeFunction","Principal":"123456789012"}`, 201, []string{`arn:aws:iam::123456789012:root`}},
		{"POST", fn + "/f/policy", `{"StatementId":"s","Action":"lambda:InvokeFunction","Principal":"*"}`, 409, []string{`The statement id (s) provided already exists`}},
		{"GET", fn + "/f/policy", "", 200, []string{`\"Sid\":\"s\"`, `"RevisionId"`}},
		{"DELETE", fn + "/f/policy/s", "", 204, nil},
		{"DELETE", fn + "/f/policy/s", "", 404, nil},
		{"GET", fn + "/f/policy", "", 404, []string{`The resource you requested does not exist.`}},
		{"POST", "/2017-03-31/tags/" + arn, `{"Tags":{"c":"d"}}`, 204, nil},
		{"DELETE", "/2017-03-31/tags/" + arn + "?tagKeys=a&tagKeys=x", "", 204, nil},
		{"GET", "/2017-03-31/tags/" + arn, "", 200, []string{`{"Tags":{"c":"d"}}`}},
		{"DELETE", "/2017-03-31/tags/" + arn, "", 400, []string{`Value null at 'tagKeys'`}},
		{"GET", "/2017-03-31/tags/" + arn + ":1", "", 400, []string{`Tags on function aliases and versions are not supported`}},
		{"PUT", "/2017-10-31/functions/f/concurrency", `{"ReservedConcurrentExecutions":7}`, 200, []string{`{"ReservedConcurrentExecutions":7}`}},
		{"GET", fn + "/f", "", 200, []string{`"Concurrency":{"ReservedConcurrentExecutions":7}`}},
		{"GET", "/2016-08-19/account-settings/", "", 200, []string{`"ConcurrentExecutions":1000,"UnreservedConcurrentExecutions":993`, `"FunctionCount":1`}},
		{"DELETE", "/2017-10-31/functions/f/concurrency", "", 204, nil},
		{"GET", "/2019-09-30/functions/f/concurrency", "", 200, []string{`{}`}},
		{"GET", "/2020-06-30/functions/f/code-signing-config", "", 200, []string{`"FunctionName":"f"`}},
		{"GET", "/2024-08-31/functions/f/recursion-config", "", 200, []string{`{"RecursiveLoop":"Allow"}`}},
		{"GET", "/2021-07-20/functions/f/runtime-management-config", "", 200, []string{`"UpdateRuntimeOn":"Auto"`}},
		{"POST", "/2021-11-15/functions/f/response-streaming-invocations", "{}", 404, []string{`streamed responses`}},
		{"PUT", "/2019-09-25/functions/f/event-invoke-config", `{"MaximumRetryAttempts":3}`, 400, []string{`ValidationException`}},
		{"PUT", "/2019-09-25/functions/f/event-invoke-config", `{"DestinationConfig":{"OnFailure":{"Destination":"arn:aws:sqs:us-east-1:000000000000:q"}}}`, 400, []string{`cannot be told from here`}},
		{"PUT", "/2019-09-25/functions/f/event-invoke-config", `{"MaximumRetryAttempts":1,"DestinationConfig":{"OnFailure":{"Destination":"` + arn + `"}}}`, 200, []string{`"MaximumRetryAttempts":1`, `"FunctionArn":"` + arn + `:$LATEST"`}},
		{"POST", "/2019-09-25/functions/f/event-invoke-config", `{"MaximumEventAgeInSeconds":60}`, 200, []string{`"MaximumRetryAttempts":1,"MaximumEventAgeInSeconds":60`}},
		{"GET", "/2019-09-25/functions/f/event-invoke-config/list", "", 200, []string{`"OnFailure":{"Destination":"` + arn + `"}`}},
		{"DELETE", "/2019-09-25/functions/f/event-invoke-config", "", 204, nil},
		{"GET", "/2019-09-25/functions/f/event-invoke-config", "", 404, []string{`doesn't have an EventInvokeConfig`}},
		{"POST", fn + "/f/invocations", `{`, 400, []string{`InvalidRequestContentException`}},
		{"POST", fn + "/none/invocations", `{}`, 404, []string{`Function not found`}},
		{"POST", "/2014-11-13/functions/f/invoke-async/", `{}`, 202, []string{`{"Status":202}`}},
		{"GET", "/2018-10-31/layers", "", 404, []string{`UnknownOperationException`, `layers, to which ListLayers belongs`}},
		{"DELETE", fn + "/f", "", 204, nil},
		{"DELETE", fn + "/f", "", 404, nil},
		{"GET", fn, "", 200, []string{`{"Functions":[]}`}},
	} {
		status, got := f.call(c.method, c.path, c.body)
		for _, part := range c.want {
			if !strings.Contains(got, part) {
				t.Errorf("%s %s %.120s: no %s in %s", c.method, c.path, c.body, part, got)
			}
		}
		if status != c.status {
			t.Errorf("%s %s %.120s: %d %s, want %d", c.method, c.path, c.body, status, got, c.status)
		}
		if strings.HasPrefix(got, "{") && !json.Valid([]byte(got)) {
			t.Errorf("%s %s: no JSON: %s", c.method, c.path, got)
		}
	}
	http.DefaultClient.CloseIdleConnections()
}
