package server

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/thalweg/thalweg/internal/vfs"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// house is a running server.
type house struct {
	*Server
	url  string
	http *http.Client
	stop context.CancelFunc
	done chan error
}

func run(t *testing.T, cfg Config) *house {
	t.Helper()
	if cfg.Listen == "" {
		cfg.Listen = "127.0.0.1:0"
	}
	if cfg.Data == "" {
		cfg.Data = "data"
	}
	ready := make(chan struct{})
	cfg.Ready = func(*Server) { close(ready) }
	s, err := Open(cfg)
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(t.Context())
	h := &house{Server: s, url: "http://" + s.Addr(), stop: stop, done: make(chan error, 1),
		http: &http.Client{Transport: &http.Transport{}, Timeout: time.Minute}}
	t.Cleanup(h.http.CloseIdleConnections)
	go func() { h.done <- s.Run(ctx) }()
	<-ready
	return h
}

// end stops the house and returns what Run did.
func (h *house) end() error {
	h.stop()
	return <-h.done
}

type obj = map[string]any

// request is an operation's, with credentials that nobody checks.
func (h *house) request(op string, in obj) *http.Request {
	body, _ := json.Marshal(in)
	req, err := http.NewRequest("POST", h.url, bytes.NewReader(body))
	if err != nil {
		panic(err) // the address is ours
	}
	now := time.Now().UTC()
	req.Header.Set("Content-Type", "application/x-amz-json-1.1")
	req.Header.Set("X-Amz-Target", "Kinesis_20131202."+op)
	req.Header.Set("X-Amz-Date", now.Format("20060102T150405Z"))
	req.Header.Set("Authorization", "AWS4-HMAC-SHA256 Credential=test/"+now.Format("20060102")+
		"/us-east-1/kinesis/aws4_request, SignedHeaders=host;x-amz-date, Signature="+strings.Repeat("0", 64))
	return req
}

// call performs an operation.
func (h *house) call(op string, in obj) (status int, out obj, err error) {
	resp, err := h.http.Do(h.request(op, in))
	if err != nil {
		return 0, nil, err
	}
	defer resp.Body.Close()
	answer, err := io.ReadAll(resp.Body)
	if err == nil && len(answer) > 0 {
		err = json.Unmarshal(answer, &out)
	}
	return resp.StatusCode, out, err
}

func (h *house) must(t *testing.T, op string, in obj) obj {
	t.Helper()
	status, out, err := h.call(op, in)
	if err != nil || status != 200 {
		t.Fatalf("%s: %d %v %v", op, status, out, err)
	}
	return out
}

func (h *house) active(t *testing.T, stream string) {
	t.Helper()
	for range 1000 {
		out := h.must(t, "DescribeStreamSummary", obj{"StreamName": stream})
		if out["StreamDescriptionSummary"].(obj)["StreamStatus"] == "ACTIVE" {
			return
		}
	}
	t.Fatalf("stream %s does not become active", stream)
}

func (h *house) get(t *testing.T, path string) (int, string) {
	t.Helper()
	resp, err := h.http.Get(h.url + path)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp.StatusCode, string(body)
}

// "What was acknowledged survives, iterators handed out before stay valid":
// README, What an acknowledgement means.
func TestRestartKeepsRecordsAndIterators(t *testing.T) {
	disk := vfs.NewMem(0)
	h := run(t, Config{FS: disk})
	h.must(t, "CreateStream", obj{"StreamName": "s", "ShardCount": 1})
	h.active(t, "s")
	put := h.must(t, "PutRecord", obj{"StreamName": "s", "PartitionKey": "k", "Data": []byte("one")})
	it := h.must(t, "GetShardIterator", obj{"StreamName": "s", "ShardId": "shardId-000000000000", "ShardIteratorType": "TRIM_HORIZON"})
	h.http.CloseIdleConnections()
	if err := h.end(); err != nil {
		t.Fatal(err)
	}

	h = run(t, Config{FS: disk})
	page := h.must(t, "GetRecords", obj{"ShardIterator": it["ShardIterator"]})
	records := page["Records"].([]any)
	if len(records) != 1 || records[0].(obj)["SequenceNumber"] != put["SequenceNumber"] || records[0].(obj)["Data"] != "b25l" {
		t.Errorf("after a restart the iterator reads %v, put was %v", records, put)
	}
	h.http.CloseIdleConnections()
	if err := h.end(); err != nil {
		t.Fatal(err)
	}
}

// "A failed fsync ends the process": DESIGN, the log on one machine.
func TestFailedSyncEndsRun(t *testing.T) {
	var broken atomic.Bool
	errDisk := errors.New("the disk is on fire")
	disk := vfs.NewFaulty(vfs.NewMem(0), vfs.Hooks{Before: func(op vfs.Op) error {
		if broken.Load() && (op.Kind == vfs.OpSync || op.Kind == vfs.OpSyncData) {
			return errDisk
		}
		return nil
	}})
	h := run(t, Config{FS: disk})
	h.must(t, "CreateStream", obj{"StreamName": "s", "ShardCount": 1})
	h.active(t, "s")
	broken.Store(true)
	status, out, err := h.call("PutRecord", obj{"StreamName": "s", "PartitionKey": "k", "Data": []byte("one")})
	if err == nil && status == 200 {
		t.Errorf("a put was acknowledged that could not be synced: %v", out)
	}
	h.http.CloseIdleConnections()
	if err := <-h.done; !errors.Is(err, errDisk) {
		t.Errorf("Run returns %v, want %v", err, errDisk)
	}
}

// A request whose body is still on its way when the server is told to stop is
// answered; meanwhile the server says that it is not ready.
func TestDrain(t *testing.T) {
	h := run(t, Config{Ephemeral: true, Auth: AuthNone})
	if status, body := h.get(t, "/readyz"); status != 200 {
		t.Fatalf("/readyz: %d %s", status, body)
	}
	h.http.CloseIdleConnections()
	conn, err := net.Dial("tcp", h.Addr())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	body := `{"StreamName":"s","ShardCount":1}`
	fmt.Fprintf(conn, "POST / HTTP/1.1\r\nHost: x\r\nContent-Type: application/x-amz-json-1.1\r\nX-Amz-Target: Kinesis_20131202.CreateStream\r\nExpect: 100-continue\r\nContent-Length: %d\r\n\r\n", len(body))
	line := make([]byte, len("HTTP/1.1 100 Continue\r\n\r\n"))
	if _, err := io.ReadFull(conn, line); err != nil { // the server waits for the body now
		t.Fatal(err)
	}
	h.stop()
	if _, err := io.WriteString(conn, body); err != nil {
		t.Fatal(err)
	}
	answer, err := io.ReadAll(conn)
	if err != nil || !strings.HasPrefix(string(answer), "HTTP/1.1 200") {
		t.Errorf("the request under way is answered %q, %v", answer, err)
	}
	if err := <-h.done; err != nil {
		t.Errorf("Run returns %v", err)
	}
}

func TestTLS(t *testing.T) {
	h := run(t, Config{Data: t.TempDir()})
	pem, err := os.ReadFile(h.CAFile())
	if err != nil {
		t.Fatal(err)
	}
	if filepath.Base(h.CAFile()) != "ca.pem" {
		t.Errorf("the authority is in %s", h.CAFile())
	}
	pool := x509.NewCertPool()
	pool.AppendCertsFromPEM(pem)
	_, port, _ := net.SplitHostPort(h.Addr())
	for _, host := range []string{"127.0.0.1", "localhost"} {
		client := &http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{RootCAs: pool}}}
		resp, err := client.Get("https://" + net.JoinHostPort(host, port) + "/healthz")
		if err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
		client.CloseIdleConnections()
		if resp.StatusCode != 200 {
			t.Errorf("https on %s: %s", host, resp.Status)
		}
	}
	if err := h.end(); err != nil {
		t.Error(err)
	}
}

func TestMetrics(t *testing.T) {
	h := run(t, Config{Ephemeral: true})
	h.must(t, "ListStreams", obj{})
	_, body := h.get(t, "/metrics")
	for _, want := range []string{
		`thalweg_requests_total{operation="ListStreams",service="kinesis",status="200"} 1`,
		`thalweg_request_duration_seconds_count{operation="ListStreams",service="kinesis"} 1`,
		"thalweg_log_position ", "thalweg_disk_free_bytes ",
	} {
		if !strings.Contains(body, want) {
			t.Errorf("/metrics has no %q", want)
		}
	}
	h.http.CloseIdleConnections()
	if err := h.end(); err != nil {
		t.Error(err)
	}
}

func TestOpenRefuses(t *testing.T) {
	disk := vfs.NewMem(0)
	h := run(t, Config{FS: disk})
	taken := h.Addr()
	for _, c := range []struct {
		name string
		cfg  Config
		want string
	}{
		{"no folder", Config{Listen: "127.0.0.1:0"}, "needs a data folder"},
		{"a folder in use", Config{Listen: "127.0.0.1:0", FS: disk, Data: "data"}, "in use by another process"},
		{"a port in use", Config{Listen: taken, Ephemeral: true}, "address already in use"},
		{"half a certificate", Config{Listen: "127.0.0.1:0", Ephemeral: true, TLSKey: "k"}, "both --tls-cert and --tls-key"},
		{"no such certificate", Config{Listen: "127.0.0.1:0", Ephemeral: true, TLSKey: "/no/k", TLSCert: "/no/c"}, "certificate: open /no/c"},
	} {
		t.Run(c.name, func(t *testing.T) {
			if _, err := Open(c.cfg); err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("error %v, want one with %q", err, c.want)
			}
		})
	}
	if err := h.end(); err != nil {
		t.Error(err)
	}
}
