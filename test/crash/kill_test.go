// Package crash kills the real binary with SIGKILL under load, over and over
// on one folder, and checks after every restart what an acknowledgement
// promises: each acknowledged record is there once, on the shard and under
// the sequence number that were answered, in order per partition key through
// every reshard; each acknowledged change of a stream happened, and each other
// one wholly or not at all; no stream is stuck between states; iterators minted
// before the kill still work. And the control plane is linearizable for many
// clients at once, across kills as well.
package crash

import (
	"bufio"
	"bytes"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"math/big"
	"math/rand/v2"
	"net/http"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"
)

var cycles = flag.Int("cycles", 4, "how often the server is killed")

const (
	orderStream = "orders"
	writers     = 6
	batch       = 20
)

func TestKill(t *testing.T) {
	bin, data := build(t), t.TempDir()
	l := &ledger{acked: map[string]ack{}, positions: map[string]string{}, keys: map[string]int{}, churn: map[string]string{}}
	for cycle := range *cycles {
		s := start(t, bin, data)
		if cycle == 0 {
			s.must(t, "CreateStream", obj{"StreamName": orderStream, "ShardCount": 3}, nil)
		}
		l.verify(t, s)
		s.load(t, l)
		if t.Failed() {
			return
		}
	}
	s := start(t, bin, data)
	l.verify(t, s)
	l.verifyAll(t, s)
	s.stop()
	t.Logf("%d cycles: %d records acknowledged, all found; %d shards", *cycles, l.total, len(l.positions))
	if l.total == 0 {
		t.Fatal("nothing was acknowledged, so nothing was tested")
	}
}

func build(t *testing.T) (bin string) {
	t.Helper()
	bin = filepath.Join(t.TempDir(), "thalweg")
	if out, err := exec.Command("go", "build", "-o", bin, "github.com/thalweg/thalweg/cmd/thalweg").CombinedOutput(); err != nil {
		t.Fatalf("build: %v\n%s", err, out)
	}
	return bin
}

type obj = map[string]any

// server is one life of the process.
type server struct {
	cmd  *exec.Cmd
	url  string
	http *http.Client
	log  *bytes.Buffer
}

var ready = regexp.MustCompile(`http://[0-9.:]+`)

func start(t *testing.T, bin, data string) *server {
	t.Helper()
	s := &server{cmd: exec.Command(bin, "serve", "--listen", "127.0.0.1:0", "--data", data, "--limits", "off"), http: &http.Client{Timeout: 20 * time.Second}, log: new(bytes.Buffer)}
	s.cmd.Stderr = s.log
	out, err := s.cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := s.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.cmd.Process.Kill() })
	line, err := bufio.NewReader(out).ReadString('\n')
	if s.url = ready.FindString(line); err != nil || s.url == "" {
		s.cmd.Wait()
		t.Fatalf("server said %q (%v)\n%s", line, err, s.log)
	}
	return s
}

func (s *server) stop() {
	s.cmd.Process.Kill()
	s.cmd.Wait()
	s.http.CloseIdleConnections()
}

// call performs one operation. A failure that the server answered is fault; one
// of the connection, as when the server is killed, leaves the outcome unknown.
func (s *server) call(op string, in, out any) (fault string, err error) {
	return s.send("kinesis", "application/x-amz-json-1.1", "Kinesis_20131202."+op, in, out)
}

// send is call for an operation of any service.
func (s *server) send(service, content, target string, in, out any) (fault string, err error) {
	body, _ := json.Marshal(in)
	r, err := http.NewRequest("POST", s.url, bytes.NewReader(body))
	if err != nil {
		return "", err
	}
	r.Header.Set("Content-Type", content)
	r.Header.Set("X-Amz-Target", target)
	r.Header.Set("X-Amz-Date", time.Now().UTC().Format("20060102T150405Z"))
	r.Header.Set("Authorization", "AWS4-HMAC-SHA256 Credential=test/"+time.Now().UTC().Format("20060102")+"/us-east-1/"+service+"/aws4_request, SignedHeaders=host;x-amz-date;x-amz-target, Signature="+strings.Repeat("0", 64))
	resp, err := s.http.Do(r)
	if err != nil {
		return "", err
	}
	defer resp.Body.Close()
	answer, err := io.ReadAll(resp.Body)
	if err != nil {
		return "", err
	}
	if resp.StatusCode != 200 {
		return string(answer), nil
	}
	if out == nil {
		return "", nil
	}
	return "", json.Unmarshal(answer, out)
}

func (s *server) must(t *testing.T, op string, in, out any) {
	t.Helper()
	if fault, err := s.call(op, in, out); err != nil || fault != "" {
		t.Fatalf("%s %v: %s %v\n%s", op, in, fault, err, s.log)
	}
}

// ack is what the server promised of one record.
type ack struct{ shard, key, data string }

// ledger is what all lives of the server have promised.
type ledger struct {
	mu        sync.Mutex
	acked     map[string]ack // by sequence number, not yet found
	all       []string       // sequence numbers, acknowledged and found
	total     int
	positions map[string]string // per shard: the last sequence number found
	keys      map[string]int    // per key: the number of the last record found
	iterators []minted
	churn     map[string]string // small streams: "made", "gone" or "unknown"
	next      [writers]int
}

// minted is an iterator from before a kill and the first record it must give.
type minted struct {
	token, sequence string
	at              time.Time
}

type record struct {
	SequenceNumber, PartitionKey string
	Data                         []byte
}

type shard struct {
	ShardId, ParentShardId, AdjacentParentShardId string
	HashKeyRange                                  struct{ StartingHashKey, EndingHashKey string }
	SequenceNumberRange                           struct{ StartingSequenceNumber, EndingSequenceNumber string }
}

// load writes, reshards and makes and deletes streams until the process is
// killed, at a moment of its own choosing.
func (s *server) load(t *testing.T, l *ledger) {
	var wg sync.WaitGroup
	for w := range writers {
		wg.Go(func() { s.write(t, l, w) })
	}
	wg.Go(func() { s.reshard(t) })
	wg.Go(func() { s.churn(t, l) })
	<-time.After(time.Duration(100+rand.IntN(400)) * time.Millisecond)
	s.stop()
	wg.Wait()
}

func (s *server) write(t *testing.T, l *ledger, w int) {
	for {
		var records []obj
		l.mu.Lock()
		n := l.next[w]
		l.next[w] += batch
		l.mu.Unlock()
		var sent []ack
		for i := range batch {
			a := ack{key: fmt.Sprintf("w%d-k%d", w, (n+i)%5), data: fmt.Sprintf("%d:%s", n+i, strings.Repeat("x", (n+i)*37%900))}
			sent = append(sent, a)
			records = append(records, obj{"PartitionKey": a.key, "Data": []byte(a.data)})
		}
		var out struct {
			FailedRecordCount int
			Records           []struct{ SequenceNumber, ShardId, ErrorCode, ErrorMessage string }
		}
		fault, err := s.call("PutRecords", obj{"StreamName": orderStream, "Records": records}, &out)
		if err != nil {
			return // killed: whether the batch was stored is unknown
		}
		if fault != "" || out.FailedRecordCount != 0 {
			t.Errorf("PutRecords: %s %+v", fault, out)
			return
		}
		l.mu.Lock()
		for i, r := range out.Records {
			sent[i].shard = r.ShardId
			if _, twice := l.acked[r.SequenceNumber]; twice {
				t.Errorf("sequence number %s was given twice", r.SequenceNumber)
			}
			l.acked[r.SequenceNumber] = sent[i]
			l.total++
		}
		l.mu.Unlock()
		if n%(10*batch) == 0 {
			var it struct{ ShardIterator string }
			at := time.Now()
			r := out.Records[0]
			if fault, err := s.call("GetShardIterator", obj{"StreamName": orderStream, "ShardId": r.ShardId, "ShardIteratorType": "AT_SEQUENCE_NUMBER", "StartingSequenceNumber": r.SequenceNumber}, &it); err != nil {
				return
			} else if fault != "" {
				t.Errorf("GetShardIterator: %s", fault)
				return
			}
			l.mu.Lock()
			l.iterators = append(l.iterators, minted{it.ShardIterator, r.SequenceNumber, at})
			l.mu.Unlock()
		}
	}
}

// shards lists a stream's shards, in the order of their ids.
func (s *server) shards(stream string) ([]shard, string, error) {
	var all []shard
	in := obj{"StreamName": stream}
	for {
		var out struct {
			Shards    []shard
			NextToken string
		}
		if fault, err := s.call("ListShards", in, &out); err != nil || fault != "" {
			return nil, fault, err
		}
		all = append(all, out.Shards...)
		if out.NextToken == "" {
			return all, "", nil
		}
		in = obj{"NextToken": out.NextToken}
	}
}

// reshard splits and merges without end.
func (s *server) reshard(t *testing.T) {
	for i := 0; ; i++ {
		all, fault, err := s.shards(orderStream)
		if err != nil {
			return
		}
		if fault != "" {
			t.Errorf("ListShards: %s", fault)
			return
		}
		var open []shard
		for _, sh := range all {
			if sh.SequenceNumberRange.EndingSequenceNumber == "" {
				open = append(open, sh)
			}
		}
		if len(open) < 6 {
			sh := open[rand.IntN(len(open))]
			fault, err = s.call("SplitShard", obj{"StreamName": orderStream, "ShardToSplit": sh.ShardId, "NewStartingHashKey": sh.middle()}, nil)
		} else {
			a, b := neighbours(open)
			fault, err = s.call("MergeShards", obj{"StreamName": orderStream, "ShardToMerge": a, "AdjacentShardToMerge": b}, nil)
		}
		if err != nil {
			return
		}
		if fault != "" && !strings.Contains(fault, "ResourceInUseException") {
			t.Errorf("reshard: %s", fault)
			return
		}
	}
}

func neighbours(open []shard) (a, b string) {
	one := big.NewInt(1)
	for _, x := range open {
		_, end := x.keys()
		end.Add(end, one)
		for _, y := range open {
			if y.HashKeyRange.StartingHashKey == end.String() {
				return x.ShardId, y.ShardId
			}
		}
	}
	return "", ""
}

// churn makes and deletes small streams without end.
func (s *server) churn(t *testing.T, l *ledger) {
	set := func(name, state string) {
		l.mu.Lock()
		l.churn[name] = state
		l.mu.Unlock()
	}
	for i := 0; ; i++ {
		name := fmt.Sprintf("churn-%d-%d", time.Now().UnixNano(), i)
		set(name, "unknown")
		fault, err := s.call("CreateStream", obj{"StreamName": name, "ShardCount": 2}, nil)
		if err != nil {
			return
		}
		if fault != "" {
			t.Errorf("CreateStream: %s", fault)
			return
		}
		set(name, "made")
		if i%2 == 0 {
			continue
		}
		for {
			set(name, "unknown")
			fault, err := s.call("DeleteStream", obj{"StreamName": name}, nil)
			if err != nil {
				return
			}
			if fault == "" {
				set(name, "gone")
				break
			}
			if !strings.Contains(fault, "ResourceInUseException") {
				t.Errorf("DeleteStream: %s", fault)
				return
			}
		}
	}
}

// settled waits until a stream is ACTIVE or not there.
func (s *server) settled(t *testing.T, name string) (there bool) {
	t.Helper()
	deadline := time.Now().Add(10 * time.Second)
	for {
		var out struct{ StreamDescriptionSummary struct{ StreamStatus string } }
		fault, err := s.call("DescribeStreamSummary", obj{"StreamName": name}, &out)
		switch {
		case err != nil:
			t.Fatal(err)
		case strings.Contains(fault, "ResourceNotFoundException"):
			return false
		case fault == "" && out.StreamDescriptionSummary.StreamStatus == "ACTIVE":
			return true
		case time.Now().After(deadline):
			t.Fatalf("stream %s is stuck: %s %+v", name, fault, out)
		}
	}
}

// verify checks the states of all streams and reads on in every shard from
// where the last verification ended.
func (l *ledger) verify(t *testing.T, s *server) {
	t.Helper()
	for name, want := range l.churn {
		there := s.settled(t, name)
		if want == "made" && !there || want == "gone" && there {
			t.Fatalf("stream %s: acknowledged as %s, there after the restart: %v", name, want, there)
		}
		if there {
			for {
				fault, err := s.call("DeleteStream", obj{"StreamName": name}, nil)
				if err != nil {
					t.Fatal(err)
				}
				if fault == "" || strings.Contains(fault, "ResourceNotFoundException") {
					break
				}
			}
		}
	}
	clear(l.churn)
	if !s.settled(t, orderStream) {
		t.Fatalf("stream %s is gone", orderStream)
	}
	all, fault, err := s.shards(orderStream)
	if err != nil || fault != "" {
		t.Fatal(fault, err)
	}
	coverage(t, all)
	for _, m := range l.iterators {
		var out struct{ Records []record }
		s.must(t, "GetRecords", obj{"ShardIterator": m.token, "Limit": 1}, &out)
		if len(out.Records) != 1 || out.Records[0].SequenceNumber != m.sequence {
			t.Fatalf("an iterator from before the kill gives %+v, want %s", out.Records, m.sequence)
		}
	}
	l.iterators = nil
	// Shard numbers grow, so parents come before their children.
	for _, sh := range all {
		l.read(t, s, sh, l.positions[sh.ShardId], true)
	}
	for seq, a := range l.acked {
		t.Fatalf("%d acknowledged records are lost, among them %s on %s: %.40s", len(l.acked), seq, a.shard, a.data)
	}
}

// read reads a shard to its tip. New records are compared with the ledger.
func (l *ledger) read(t *testing.T, s *server, sh shard, after string, check bool) (found int) {
	t.Helper()
	in := obj{"StreamName": orderStream, "ShardId": sh.ShardId, "ShardIteratorType": "TRIM_HORIZON"}
	if after != "" {
		in["ShardIteratorType"], in["StartingSequenceNumber"] = "AFTER_SEQUENCE_NUMBER", after
	}
	var it struct{ ShardIterator string }
	s.must(t, "GetShardIterator", in, &it)
	last := after
	for token := it.ShardIterator; token != ""; {
		var out struct {
			Records            []record
			NextShardIterator  string
			MillisBehindLatest int64
			ChildShards        []struct{ ShardId string }
		}
		s.must(t, "GetRecords", obj{"ShardIterator": token}, &out)
		for _, r := range out.Records {
			if len(last) == len(r.SequenceNumber) && r.SequenceNumber <= last {
				t.Fatalf("%s: %s comes after %s", sh.ShardId, r.SequenceNumber, last)
			}
			last = r.SequenceNumber
			found++
			if check {
				l.found(t, sh.ShardId, r)
			}
		}
		if (out.NextShardIterator == "") != (len(out.ChildShards) > 0) {
			t.Fatalf("%s: next iterator %q with children %v", sh.ShardId, out.NextShardIterator, out.ChildShards)
		}
		if token = out.NextShardIterator; len(out.Records) == 0 && out.MillisBehindLatest == 0 && sh.SequenceNumberRange.EndingSequenceNumber == "" {
			break
		}
	}
	if check {
		l.positions[sh.ShardId] = last
	}
	return found
}

func (l *ledger) found(t *testing.T, shardID string, r record) {
	t.Helper()
	a, ok := l.acked[r.SequenceNumber]
	if ok && (a.shard != shardID || a.key != r.PartitionKey || a.data != string(r.Data)) {
		t.Fatalf("%s on %s under %s: acknowledged as %+v", r.SequenceNumber, shardID, r.PartitionKey, a)
	}
	delete(l.acked, r.SequenceNumber)
	var n int
	if _, err := fmt.Sscanf(string(r.Data), "%d:", &n); err != nil {
		t.Fatalf("%s holds %q", r.SequenceNumber, r.Data)
	}
	if before, seen := l.keys[r.PartitionKey]; seen && n <= before {
		t.Fatalf("key %s: record %d comes after %d", r.PartitionKey, n, before)
	}
	l.keys[r.PartitionKey] = n
	l.all = append(l.all, r.SequenceNumber)
}

// verifyAll reads everything once more from the beginning.
func (l *ledger) verifyAll(t *testing.T, s *server) {
	t.Helper()
	all, fault, err := s.shards(orderStream)
	if err != nil || fault != "" {
		t.Fatal(fault, err)
	}
	n := 0
	for _, sh := range all {
		n += l.read(t, s, sh, "", false)
	}
	if n != len(l.all) {
		t.Fatalf("%d records from the beginning, %d in pieces", n, len(l.all))
	}
}

// coverage fails the test unless the shards are such as AWS could show.
func coverage(t *testing.T, all []shard) {
	t.Helper()
	if err := tiled(all); err != nil {
		t.Fatal(err)
	}
}

// tiled checks that the open shards' hash ranges cover every key once, that a
// shard is closed exactly when it has children, and that each child is younger
// than its parents, begins after their ends and holds keys of theirs alone.
func tiled(all []shard) error {
	next, one := new(big.Int), big.NewInt(1)
	starts, known, parents := map[string]shard{}, map[string]shard{}, map[string]bool{}
	for _, sh := range all {
		parents[sh.ParentShardId], parents[sh.AdjacentParentShardId] = true, true
		if sh.open() {
			starts[sh.HashKeyRange.StartingHashKey] = sh
		}
		known[sh.ShardId] = sh
	}
	for _, sh := range all {
		if sh.open() == parents[sh.ShardId] {
			return fmt.Errorf("%s: open %v, has children %v", sh.ShardId, sh.open(), parents[sh.ShardId])
		}
		from, to := sh.keys()
		for _, id := range []string{sh.ParentShardId, sh.AdjacentParentShardId} {
			p, ok := known[id]
			if !ok {
				continue // none, or its last record has expired
			}
			first, last := p.keys()
			if id >= sh.ShardId || number(sh.SequenceNumberRange.StartingSequenceNumber).Cmp(number(p.SequenceNumberRange.EndingSequenceNumber)) <= 0 {
				return fmt.Errorf("%+v is not younger than its parent %+v", sh, p)
			}
			if from.Cmp(last) > 0 || to.Cmp(first) < 0 {
				return fmt.Errorf("%+v has no key of its parent %+v", sh, p)
			}
		}
		if p, ok := known[sh.ParentShardId]; ok {
			first, last := p.keys()
			if a, merged := known[sh.AdjacentParentShardId]; merged {
				_, last = a.keys()
			}
			if from.Cmp(first) < 0 || to.Cmp(last) > 0 {
				return fmt.Errorf("%+v has keys that its parents had not", sh)
			}
		}
	}
	for range starts {
		sh, ok := starts[next.String()]
		if !ok {
			return fmt.Errorf("no open shard starts at %v", next)
		}
		_, end := sh.keys()
		next.Add(end, one)
	}
	if next.Cmp(new(big.Int).Lsh(one, 128)) != 0 {
		return fmt.Errorf("open shards end before %v", next)
	}
	return nil
}

func (sh *shard) open() bool { return sh.SequenceNumberRange.EndingSequenceNumber == "" }

func (sh *shard) keys() (first, last *big.Int) {
	return number(sh.HashKeyRange.StartingHashKey), number(sh.HashKeyRange.EndingHashKey)
}

func (sh *shard) middle() string {
	first, last := sh.keys()
	return first.Rsh(first.Add(first, last), 1).String()
}

// number parses a decimal number; what is none is 0.
func number(s string) *big.Int {
	n, ok := new(big.Int).SetString(s, 10)
	if !ok {
		return new(big.Int)
	}
	return n
}
