package crash

import (
	"archive/zip"
	"bytes"
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

var (
	mapped      = flag.Int("mapped", 20_000, "how many records go through an event source mapping")
	mappedBytes = flag.Int("mapped-bytes", 100, "of each, at least")
)

const mappedKeys = 400

// TestMappingAcrossKills takes records of four shards through a function in Go
// with ParallelizationFactor 4, which fails one batch in 50, while the server
// is killed in the middle and the stream reshards before and after: the function
// has each record at least once, and a record of a key only after all earlier
// ones of that key.
func TestMappingAcrossKills(t *testing.T) {
	bin, data, out := build(t), t.TempDir(), filepath.Join(t.TempDir(), "out")
	s := start(t, bin, data)
	s.must(t, "CreateStream", obj{"StreamName": "mapped", "ShardCount": 4}, nil)
	s.awaitActive(t, "mapped")
	arch := map[string]string{"amd64": "x86_64", "arm64": "arm64"}[runtime.GOARCH]
	s.lambda(t, "POST", "/2015-03-31/functions", obj{
		"FunctionName": "consumer", "Runtime": "provided.al2023", "Handler": "bootstrap", "Role": "arn:aws:iam::000000000000:role/r", "Timeout": 60,
		"Architectures": []string{arch}, "Environment": obj{"Variables": obj{"OUT": out}}, "Code": obj{"ZipFile": consumer(t)},
	}, nil)
	var m struct{ UUID string }
	s.lambda(t, "POST", "/2015-03-31/event-source-mappings", obj{
		"FunctionName": "consumer", "EventSourceArn": "arn:aws:kinesis:us-east-1:000000000000:stream/mapped",
		"StartingPosition": "TRIM_HORIZON", "ParallelizationFactor": 4, "BatchSize": 500,
	}, &m)

	var current atomic.Pointer[server]
	current.Store(s)
	began := time.Now()
	var wg sync.WaitGroup
	for w := range writers {
		wg.Go(func() { feed(t, &current, w) })
	}
	seen := &seen{file: out, last: map[string]int{}}
	killed := false
	reshards := []struct{ after, shards int }{{*mapped / 4, 6}, {*mapped / 4 * 3, 4}}
	for seen.total < *mapped && !t.Failed() {
		if !seen.read(t) {
			<-time.After(10 * time.Millisecond) // the function's file is not watched
		}
		if len(reshards) > 0 && seen.total > reshards[0].after {
			s.must(t, "UpdateShardCount", obj{"StreamName": "mapped", "TargetShardCount": reshards[0].shards, "ScalingType": "UNIFORM_SCALING"}, nil)
			reshards = reshards[1:]
		}
		if !killed && seen.total > *mapped/2 {
			killed = true
			s.stop()
			at := time.Now()
			s = start(t, bin, data)
			current.Store(s)
			t.Logf("killed after %d records; ready again %v later", seen.total, time.Since(at).Round(time.Millisecond))
		}
		if time.Since(began) > 2*time.Minute+time.Duration(*mapped)*time.Millisecond {
			t.Errorf("only %d of %d records came through\n%s", seen.total, *mapped, s.log)
		}
	}
	wg.Wait()
	if !killed || len(reshards) > 0 {
		t.Error("the server was not killed, or the stream not resharded")
	}
	var figures struct{ State, LastProcessingResult string }
	s.lambda(t, "GET", "/2015-03-31/event-source-mappings/"+m.UUID, nil, &figures)
	s.stop()
	t.Logf("%d records in %v; %d came twice, %d lines were cut by the kill; the mapping is %+v", seen.total, time.Since(began).Round(time.Millisecond), seen.twice, seen.cut, figures)
}

// consumer is the function's archive.
func consumer(t *testing.T) []byte {
	t.Helper()
	file := filepath.Join(t.TempDir(), "bootstrap")
	cmd := exec.Command("go", "build", "-trimpath", "-ldflags=-s", "-o", file, "./testdata/consumer")
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	if text, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("build: %v\n%s", err, text)
	}
	program, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	var b bytes.Buffer
	z := zip.NewWriter(&b)
	w, err := z.CreateHeader(&zip.FileHeader{Name: "bootstrap", Method: zip.Deflate, ExternalAttrs: 0o755 << 16})
	if err == nil {
		_, err = w.Write(program)
	}
	if err == nil {
		err = z.Close()
	}
	if err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// lambda makes a call of Lambda's API that has to succeed.
func (s *server) lambda(t *testing.T, method, path string, in, out any) {
	t.Helper()
	var body []byte
	if in != nil {
		body, _ = json.Marshal(in)
	}
	status, answer, err := s.rest(method, path, nil, body)
	if err != nil || status/100 != 2 {
		t.Fatalf("%s %s: %d %s %v\n%s", method, path, status, answer, err, s.log)
	}
	if out != nil {
		if err := json.Unmarshal([]byte(answer), out); err != nil {
			t.Fatal(err)
		}
	}
}

func (s *server) awaitActive(t *testing.T, stream string) {
	t.Helper()
	for {
		var d struct{ StreamDescriptionSummary struct{ StreamStatus string } }
		s.must(t, "DescribeStreamSummary", obj{"StreamName": stream}, &d)
		if d.StreamDescriptionSummary.StreamStatus == "ACTIVE" {
			return
		}
		<-time.After(10 * time.Millisecond)
	}
}

// numberOf is how many records of the whole a key has.
func numberOf(key int) int {
	n := *mapped / mappedKeys
	if key < *mapped%mappedKeys {
		n++
	}
	return n
}

// feed puts a writer's share of records, each key's numbers in order. What may
// or may not have been stored when the server was killed is put again.
func feed(t *testing.T, current *atomic.Pointer[server], w int) {
	pad := strings.Repeat("x", *mappedBytes)
	var records []obj
	flush := func() bool {
		for len(records) > 0 {
			var answer struct{ FailedRecordCount int }
			fault, err := current.Load().call("PutRecords", obj{"StreamName": "mapped", "Records": records}, &answer)
			if fault != "" || err == nil && answer.FailedRecordCount > 0 {
				t.Errorf("PutRecords: %s, %d failed", fault, answer.FailedRecordCount)
				return false
			}
			if err == nil {
				records = records[:0]
				break
			}
			<-time.After(20 * time.Millisecond) // until the server is there again
			if t.Failed() {
				return false
			}
		}
		return true
	}
	for round := 1; ; round++ {
		some := false
		for key := w; key < mappedKeys; key += writers {
			if round > numberOf(key) {
				continue
			}
			some = true
			records = append(records, obj{"PartitionKey": fmt.Sprint("key-", key), "Data": fmt.Appendf(nil, "%d %s", round, pad)})
			if len(records) == 500 && !flush() {
				return
			}
		}
		if !some {
			flush()
			return
		}
	}
}

// seen is what the function has written, as far as it was read.
type seen struct {
	file  string
	at    int64
	rest  string
	last  map[string]int // per key
	total int
	twice int
	cut   int
}

// read goes on reading and reports whether there was anything.
func (s *seen) read(t *testing.T) bool {
	f, err := os.Open(s.file)
	if err != nil {
		return false // not made yet
	}
	defer f.Close()
	b := make([]byte, 1<<20)
	n, _ := f.ReadAt(b, s.at)
	s.at += int64(n)
	lines := strings.Split(s.rest+string(b[:n]), "\n")
	s.rest = lines[len(lines)-1]
	for _, line := range lines[:len(lines)-1] {
		key, number, ok := strings.Cut(line, " ")
		number, whole := strings.CutSuffix(number, ".")
		i, err := strconv.Atoi(number)
		switch {
		case !ok || !whole || err != nil:
			s.cut++
		case i <= s.last[key]:
			s.twice++
		case i == s.last[key]+1:
			s.last[key] = i
			s.total++
		default:
			t.Errorf("key %s: record %d after %d", key, i, s.last[key])
		}
	}
	return n > 0
}
