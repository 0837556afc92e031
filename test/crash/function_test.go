package crash

import (
	"archive/zip"
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"
)

// The test binary is the function as well: it notes each event in a file.
func TestMain(m *testing.M) {
	if notes := os.Getenv("NOTES"); notes != "" {
		note(notes)
	}
	os.Exit(m.Run())
}

// note is a function over the Runtime API that appends each event to a file.
func note(file string) {
	base := "http://" + os.Getenv("AWS_LAMBDA_RUNTIME_API") + "/2018-06-01/runtime/invocation/"
	out, err := os.OpenFile(file, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o600)
	if err != nil {
		os.Exit(1)
	}
	for {
		resp, err := http.Get(base + "next")
		if err != nil {
			os.Exit(0)
		}
		event, err := io.ReadAll(resp.Body)
		resp.Body.Close()
		if err != nil {
			os.Exit(0)
		}
		if _, err := fmt.Fprintf(out, "%s\n", event); err != nil {
			os.Exit(1)
		}
		resp, err = http.Post(base+resp.Header.Get("Lambda-Runtime-Aws-Request-Id")+"/response", "application/json", strings.NewReader("null"))
		if err != nil {
			os.Exit(0)
		}
		resp.Body.Close()
	}
}

// rest calls an operation of Lambda.
func (s *server) rest(method, path string, header http.Header, body []byte) (status int, answer string, err error) {
	r, err := http.NewRequest(method, s.url+path, bytes.NewReader(body))
	if err != nil {
		return 0, "", err
	}
	for k, v := range header {
		r.Header[k] = v
	}
	r.Header.Set("X-Amz-Date", time.Now().UTC().Format("20060102T150405Z"))
	r.Header.Set("Authorization", "AWS4-HMAC-SHA256 Credential=test/"+time.Now().UTC().Format("20060102")+"/us-east-1/lambda/aws4_request, SignedHeaders=host;x-amz-date, Signature="+strings.Repeat("0", 64))
	resp, err := s.http.Do(r)
	if err != nil {
		return 0, "", err
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	return resp.StatusCode, string(b), err
}

// Clients queue events while the server is killed again and again. Each event
// that was answered with 202 runs: none is lost between its acceptance and its
// run, nor while it runs.
func TestEventsAcrossKills(t *testing.T) {
	bin, data := build(t), t.TempDir()
	notes := filepath.Join(t.TempDir(), "notes")
	var mu sync.Mutex
	accepted := map[string]bool{}
	for cycle := range *cycles {
		s := start(t, bin, data)
		if cycle == 0 {
			s.deployNotes(t, notes)
		}
		var clients sync.WaitGroup
		for c := range 8 {
			clients.Go(func() {
				for n := 0; ; n++ {
					event := fmt.Sprintf(`"%d-%d-%d"`, cycle, c, n)
					status, answer, err := s.rest(http.MethodPost, "/2015-03-31/functions/notes/invocations", http.Header{"X-Amz-Invocation-Type": {"Event"}}, []byte(event))
					if err != nil {
						return // killed
					}
					if status != http.StatusAccepted {
						t.Errorf("%d %s", status, answer)
						return
					}
					mu.Lock()
					accepted[event] = true
					mu.Unlock()
				}
			})
		}
		<-time.After(time.Duration(100+rand.IntN(300)) * time.Millisecond)
		s.stop()
		clients.Wait()
	}
	s := start(t, bin, data)
	defer s.stop()
	deadline := time.After(2 * time.Minute)
	for {
		missing := unnoted(t, notes, accepted)
		if missing == 0 {
			break
		}
		select {
		case <-deadline:
			t.Fatalf("%d of %d events have not run\n%s", missing, len(accepted), s.log)
		case <-time.After(50 * time.Millisecond):
		}
	}
	t.Logf("%d events over %d kills", len(accepted), *cycles)
}

func (s *server) deployNotes(t *testing.T, notes string) {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	var b bytes.Buffer
	z := zip.NewWriter(&b)
	w, err := z.Create("bootstrap")
	if err != nil {
		t.Fatal(err)
	}
	fmt.Fprintf(w, "#!/bin/sh\nexec '%s'\n", self)
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	arch := "x86_64"
	if runtime.GOARCH == "arm64" {
		arch = "arm64"
	}
	body, _ := json.Marshal(obj{"FunctionName": "notes", "Runtime": "provided.al2023", "Handler": "h", "Role": "arn:aws:iam::000000000000:role/r", "MemorySize": 512, "Timeout": 60,
		"Architectures": []string{arch}, "Environment": obj{"Variables": obj{"NOTES": notes}}, "Code": obj{"ZipFile": b.Bytes()}})
	if status, answer, err := s.rest(http.MethodPost, "/2015-03-31/functions", nil, body); err != nil || status != http.StatusCreated {
		t.Fatalf("%d %s %v", status, answer, err)
	}
}

// unnoted counts the events that are not in the file.
func unnoted(t *testing.T, notes string, events map[string]bool) (missing int) {
	t.Helper()
	b, err := os.ReadFile(notes)
	if err != nil && !os.IsNotExist(err) {
		t.Fatal(err)
	}
	noted := map[string]bool{}
	for line := range strings.Lines(string(b)) {
		noted[strings.TrimSuffix(line, "\n")] = true
	}
	for e := range events {
		if !noted[e] {
			missing++
		}
	}
	return missing
}
