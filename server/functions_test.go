package server

import (
	"archive/zip"
	"bytes"
	"encoding/base64"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/thalweg/thalweg/function"
	"github.com/thalweg/thalweg/gate"
	"github.com/thalweg/thalweg/internal/vfs"
)

func (h *house) lambda(t *testing.T, method, path, body string, header ...string) (status int, answer string, got http.Header) {
	t.Helper()
	req, err := http.NewRequest(method, h.url+path, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	for i := 0; i < len(header); i += 2 {
		req.Header.Set(header[i], header[i+1])
	}
	resp, err := h.http.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp.StatusCode, string(b), resp.Header
}

// archive is a zip of one script.
func archive(t *testing.T, script string) []byte {
	t.Helper()
	var b bytes.Buffer
	z := zip.NewWriter(&b)
	w, err := z.Create("bootstrap")
	if err != nil {
		t.Fatal(err)
	}
	io.WriteString(w, script)
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func creation(code string) string {
	return `{"FunctionName":"f","Runtime":"provided.al2023","Handler":"h","Role":"arn:aws:iam::000000000000:role/r","Architectures":["` + function.Architecture() + `"],"Code":` + code + `}`
}

const functions = "/2015-03-31/functions"

// A function through the whole house: made, invoked over HTTP, its log and its
// code read, in memory, and nothing of it left behind on the machine's disk.
func TestFunctions(t *testing.T) {
	h := run(t, Config{Ephemeral: true, Auth: AuthNone, FS: vfs.NewMem(0)})
	code := archive(t, "#!/bin/sh\necho home is $AWS_ENDPOINT_URL\nexit 5\n")
	status, answer, _ := h.lambda(t, "POST", functions, creation(`{"ZipFile":"`+base64.StdEncoding.EncodeToString(code)+`"}`))
	if status != 201 {
		t.Fatal(status, answer)
	}
	status, answer, header := h.lambda(t, "POST", functions+"/f/invocations", "{}", "X-Amz-Log-Type", "Tail")
	tail, _ := base64.StdEncoding.DecodeString(header.Get("X-Amz-Log-Result"))
	if status != 200 || header.Get("X-Amz-Function-Error") != "Unhandled" || header.Get("X-Amz-Executed-Version") != "$LATEST" ||
		!strings.Contains(answer, "exit status 5") || !strings.Contains(string(tail), "home is "+h.url+"\n") || !strings.Contains(string(tail), "RequestId: "+header.Get("X-Amzn-Requestid")) {
		t.Errorf("%d %v %s\n%s", status, header, answer, tail)
	}
	if status, answer, _ := h.lambda(t, "GET", functionLogsPath+"?account=000000000000&region=us-east-1&name=f", ""); status != 200 || !strings.Contains(answer, "home is") {
		t.Errorf("%d %s", status, answer)
	}
	if status, _, _ := h.lambda(t, "GET", functionLogsPath+"?account=000000000000&region=us-east-1&name=none", ""); status != 404 {
		t.Error(status)
	}
	url, ok := strings.CutPrefix(h.codeURL(firstSum(t, h), time.Now()), h.url)
	if !ok {
		t.Fatal(url)
	}
	if status, answer, _ := h.lambda(t, "GET", url, ""); status != 200 || answer != string(code) {
		t.Errorf("the code: %d, %d bytes", status, len(answer))
	}
	for _, bad := range []string{strings.Replace(url, "token=", "token=0", 1), strings.Replace(url, "expires=", "expires=9", 1)} {
		if status, _, _ := h.lambda(t, "GET", bad, ""); status != 403 {
			t.Errorf("%s: %d", bad, status)
		}
	}
	scratch := h.scratch
	h.http.CloseIdleConnections()
	if err := h.end(); err != nil {
		t.Error(err)
	}
	if left, err := vfs.OS().List(scratch); err == nil {
		t.Errorf("%v are left in %s", left, scratch)
	}
}

func firstSum(t *testing.T, h *house) string {
	t.Helper()
	_, v, err := h.functions.Get(function.Ref{Name: function.Name{Account: "000000000000", Region: "us-east-1", Function: "f"}})
	if err != nil {
		t.Fatal(err)
	}
	return v.Code.SHA256
}

// Functions that verified callers own sign with a session of their account's.
func TestFunctionCredentials(t *testing.T) {
	h := run(t, Config{Ephemeral: true, Credentials: []Credential{{AccessKeyID: "k", SecretAccessKey: "s", Account: "111111111111"}}})
	c := h.functionCredentials("111111111111", "us-east-1")
	if c.Token == "" || c.Secret == "s" {
		t.Errorf("%+v", c)
	}
	if c := h.functionCredentials("222222222222", "us-east-1"); c.Token != "" {
		t.Errorf("an account of nobody's has %+v", c)
	}
	if h.auth.Mode != gate.Verify {
		t.Error("nothing is verified")
	}
	if err := h.end(); err != nil {
		t.Error(err)
	}
}

// "Code also from a bucket at any S3 endpoint", by a signed GET of the path's
// style; what the endpoint says no with is told.
func TestCodeFromBucket(t *testing.T) {
	code := archive(t, "#!/bin/sh\nexit 6\n")
	var asked []string
	s3 := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		asked = append(asked, r.Method+" "+r.RequestURI)
		if !strings.Contains(r.Header.Get("Authorization"), "Credential=key/") || !strings.Contains(r.Header.Get("Authorization"), "/us-east-1/s3/aws4_request") {
			t.Errorf("signed as %q", r.Header.Get("Authorization"))
		}
		if strings.Contains(r.RequestURI, "missing") {
			w.WriteHeader(404)
			io.WriteString(w, "<Error><Code>NoSuchKey</Code><Message>The specified key does not exist.</Message></Error>")
			return
		}
		w.Write(code)
	}))
	defer s3.Close()
	h := run(t, Config{Ephemeral: true, Auth: AuthNone, Remote: Remote{Endpoints: map[string]string{"s3": s3.URL + "/"}, AccessKeyID: "key", SecretAccessKey: "secret"}})
	if status, answer, _ := h.lambda(t, "POST", functions, creation(`{"S3Bucket":"code","S3Key":"a b/missing.zip"}`)); status != 400 ||
		!strings.Contains(answer, "Error occurred while GetObject. S3 Error Code: NoSuchKey. S3 Error Message: The specified key does not exist.") {
		t.Error(status, answer)
	}
	if status, answer, _ := h.lambda(t, "POST", functions, creation(`{"S3Bucket":"code","S3Key":"f.zip","S3ObjectVersion":"v=1"}`)); status != 201 {
		t.Error(status, answer)
	}
	if got := strings.Join(asked, ", "); got != "GET /code/a%20b/missing.zip, GET /code/f.zip?versionId=v%3D1" {
		t.Error(got)
	}
	if _, answer, _ := h.lambda(t, "POST", functions+"/f/invocations", "{}"); !strings.Contains(answer, "exit status 6") {
		t.Error(answer)
	}
	h.http.CloseIdleConnections()
	if err := h.end(); err != nil {
		t.Error(err)
	}
}

// Invocations go to another endpoint, as they came; its answers and refusals
// come back.
func TestForward(t *testing.T) {
	there := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		w.Header().Set("X-Amzn-RequestId", "there")
		switch {
		case strings.Contains(r.URL.Path, "/none/"):
			w.WriteHeader(404)
			io.WriteString(w, `{"Message":"not there"}`)
		case strings.Contains(r.URL.Path, "/busy/"):
			w.WriteHeader(429)
			io.WriteString(w, `{"message":"Rate Exceeded.","Reason":"ConcurrentInvocationLimitExceeded"}`)
		case strings.Contains(r.URL.Path, "/broken/"):
			w.WriteHeader(502)
		case r.Header.Get("X-Amz-Invocation-Type") == "Event":
			w.WriteHeader(202)
		default:
			w.Header().Set("X-Amz-Function-Error", "Handled")
			w.Header().Set("X-Amz-Executed-Version", "7")
			w.Header().Set("X-Amz-Log-Result", base64.StdEncoding.EncodeToString([]byte(r.Header.Get("X-Amz-Log-Type"))))
			io.WriteString(w, r.RequestURI+" "+string(body))
		}
	}))
	defer there.Close()
	h := run(t, Config{Ephemeral: true, Auth: AuthNone, Functions: Functions{Endpoint: there.URL}})
	status, answer, header := h.lambda(t, "POST", functions+"/f/invocations?Qualifier=live", `{"a":1}`, "X-Amz-Log-Type", "Tail")
	if status != 200 || answer != functions+`/f/invocations?Qualifier=live {"a":1}` || header.Get("X-Amz-Function-Error") != "Handled" ||
		header.Get("X-Amz-Executed-Version") != "7" || header.Get("X-Amz-Log-Result") != base64.StdEncoding.EncodeToString([]byte("Tail")) {
		t.Errorf("%d %s %v", status, answer, header)
	}
	for name, want := range map[string]struct {
		status int
		name   string
		text   string
	}{
		"none":   {404, "ResourceNotFoundException", "not there"},
		"busy":   {429, "TooManyRequestsException", `"Reason":"ConcurrentInvocationLimitExceeded"`},
		"broken": {500, "ServiceException", ``},
	} {
		if status, answer, header := h.lambda(t, "POST", functions+"/"+name+"/invocations", `{}`); status != want.status || header.Get("X-Amzn-Errortype") != want.name || !strings.Contains(answer, want.text) {
			t.Errorf("%s: %d %s %s", name, status, header.Get("X-Amzn-Errortype"), answer)
		}
	}
	if status, _, _ := h.lambda(t, "POST", functions+"/f/invocations", `{}`, "X-Amz-Invocation-Type", "Event"); status != 202 {
		t.Errorf("an event: %d", status)
	}
	if status, answer, _ := h.lambda(t, "POST", functions, creation(`{"ZipFile":"`+base64.StdEncoding.EncodeToString(archive(t, "x"))+`"}`)); status != 400 || !strings.Contains(answer, "forwards invocations to another endpoint") {
		t.Errorf("made here: %d %s", status, answer)
	}
	h.http.CloseIdleConnections()
	if err := h.end(); err != nil {
		t.Error(err)
	}
	if _, err := Open(Config{Ephemeral: true, Listen: "127.0.0.1:0", Functions: Functions{Endpoint: "nowhere"}}); err == nil {
		t.Error("an endpoint that is no URL is taken")
	}
}
