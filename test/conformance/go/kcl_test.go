package conformance

import (
	"bytes"
	"cmp"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"maps"
	"math/big"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/config"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	dynamotypes "github.com/aws/aws-sdk-go-v2/service/dynamodb/types"
	"github.com/aws/aws-sdk-go-v2/service/kinesis"
	"github.com/aws/aws-sdk-go-v2/service/kinesis/types"
)

// TestKCL runs workers of the Kinesis Client Library (see ../kcl), each a process
// of its own, and in Python and Node.js with one more for each shard, on a stream
// into which records flow all the while: one shard is split and two are merged; a
// worker is killed between processing records and checkpointing them, and its
// leases have to go to others; the server is killed and started again; in the end
// half as many shards replace all there are. Each record that was acknowledged is
// processed where it was put, the first times of each key's records are in order,
// who gets a lease begins after its checkpoint and processes nothing twice while
// it has it, checkpoints never go back and come to the last record of each shard,
// and the lease of every shard that is closed ends.
func TestKCL(t *testing.T) {
	for _, c := range []application{
		{name: "3.5.1 fan-out", version: "V3", args: []string{"Worker", "fan-out"}, workers: 3, shards: 8, crash: true},
		{name: "3.5.1 polling, TLS", version: "V3", args: []string{"Worker", "polling"}, workers: 2, shards: 4, secure: true, first: true},
		{name: "2.7.2 fan-out", version: "V2", args: []string{"Worker", "fan-out"}, workers: 2, shards: 4},
		{name: "1.15.3 polling", version: "V1", args: []string{"V1"}, workers: 2, shards: 4},
		{name: "Python 2.2.3 fan-out", version: "PYTHON", workers: 2, shards: 4},
		{name: "Node 2.3.2 polling, TLS", version: "NODE", workers: 2, shards: 4, secure: true},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			c.run(t)
		})
	}
}

// application is one KCL application under test.
type application struct {
	name    string
	version string   // its classpath is KCL_CLASSPATH_ and this; PYTHON and NODE have folders, KCL_PYTHON and KCL_NODE
	args    []string // main class and what it takes at the end
	workers int
	shards  int32
	secure  bool
	crash   bool // of the server
	first   bool // kill the worker that assigns leases, of KCL 3, rather than another one

	t      *testing.T
	server *ownServer
	k      *kinesis.Client
	tables *dynamodb.Client
	stream string // the application has this name as well
	dir    string
	live   map[string]*worker

	log    *os.File
	rest   []byte                     // of a line that is not whole yet
	seen   map[place]user             // what was processed, by where it was
	next   map[string]int             // by key: the number that is due
	counts map[string]map[string]int  // records processed since the last mark, by shard and worker
	total  map[string]int             // by worker
	held   map[[2]string]*holding     // by worker and shard
	dirty  map[string]map[string]bool // by worker: shards with records processed since the last checkpoint
	twice  int                        // records processed again

	leases map[string]lease // by shard; as they were last
	stored map[string]lease // as they were before what follow reads next was written
	leader string           // of KCL 3

	flow *flow
}

type lease struct{ owner, checkpoint string }

func (l lease) ended() bool { return l.checkpoint == "SHARD_END" }

// position orders checkpoints.
func (l lease) position() *big.Int {
	switch l.checkpoint {
	case "TRIM_HORIZON":
		return big.NewInt(-1)
	case "SHARD_END":
		return new(big.Int).Lsh(big.NewInt(1), 200)
	}
	return decimal(l.checkpoint)
}

// holding is what a worker has done with a shard since it last got the lease.
type holding struct {
	last  *big.Int // record processed
	saved bool     // a checkpoint was stored
}

type worker struct {
	process *exec.Cmd
	stdin   io.Closer
	exited  chan error
}

func (a *application) run(t *testing.T) {
	a.t, a.server, a.dir = t, serve(t), t.TempDir()
	a.stream = fmt.Sprintf("kcl-%s-%d", strings.ToLower(a.version), time.Now().UnixNano())
	cfg := must[aws.Config](t)(config.LoadDefaultConfig(t.Context(), config.WithBaseEndpoint(a.server.plain())))
	a.k, a.tables = kinesis.NewFromConfig(cfg), dynamodb.NewFromConfig(cfg)
	a.seen, a.next, a.dirty, a.total, a.leases, a.live = map[place]user{}, map[string]int{}, map[string]map[string]bool{}, map[string]int{}, map[string]lease{}, map[string]*worker{}
	a.held = map[[2]string]*holding{}
	a.log = must[*os.File](t)(os.OpenFile(filepath.Join(a.dir, "log"), os.O_CREATE|os.O_RDONLY, 0o600))
	defer a.log.Close()
	a.mark()

	must[*kinesis.CreateStreamOutput](t)(a.k.CreateStream(t.Context(), &kinesis.CreateStreamInput{StreamName: &a.stream, ShardCount: &a.shards}))
	session{t, a.k, a.stream}.active()
	var end func()
	a.flow, end = flowing(t, a.k, a.stream)
	defer a.report()
	for i := range a.workers {
		a.start(fmt.Sprint("worker-", i))
		if i == 0 {
			a.until("the first worker has made its table", a.made)
		}
	}
	a.until("every worker processes records, and every lease has an owner", func() bool {
		return len(a.total) == a.workers && len(a.leases) == int(a.shards) && !slices.ContainsFunc(slices.Collect(maps.Values(a.leases)), func(l lease) bool { return l.owner == "" })
	})

	children := a.reshape()
	a.until("the parents end and the children are read", func() bool {
		for _, child := range children {
			if len(a.counts[child]) == 0 {
				return false
			}
		}
		return a.over()
	})

	a.takeOver()
	if a.crash {
		a.server.kill()
		t.Log("the server is killed")
		a.server.start()
		a.mark()
		a.until("every open shard is read again", func() bool { return all(a.open(), func(shard string) bool { return len(a.counts[shard]) > 0 }) })
	}

	end()
	a.until("every record is processed, and the checkpoints are at the last ones", func() bool {
		return all(slices.Collect(maps.Keys(a.flow.placed)), func(p place) bool { _, ok := a.seen[p]; return ok }) &&
			all(a.open(), func(shard string) bool { return a.leases[shard].checkpoint == a.flow.last[shard] })
	})
	must[*kinesis.UpdateShardCountOutput](t)(a.k.UpdateShardCount(t.Context(), &kinesis.UpdateShardCountInput{
		StreamName: &a.stream, ScalingType: types.ScalingTypeUniformScaling, TargetShardCount: aws.Int32(a.shards / 2)}))
	session{t, a.k, a.stream}.active()
	a.until("the leases of the shards that were replaced end", a.over)
	a.check()
	a.until("the workers' metrics are seen", func() bool { return a.metric("RecordsProcessed") > 0 })
}

// metric is the sum of what the workers have put to CloudWatch under a name since the server started.
func (a *application) metric(name string) (sum float64) {
	a.t.Helper()
	resp := must[*http.Response](a.t)(http.Get(a.server.plain() + "/metrics"))
	defer resp.Body.Close()
	text := must[[]byte](a.t)(io.ReadAll(resp.Body))
	for _, m := range regexp.MustCompile(`(?m)^thalweg_cloudwatch_sum\{[^}]*metric="`+name+`",namespace="`+a.stream+`"[^}]*\} (\S+)$`).FindAllSubmatch(text, -1) {
		sum += must[float64](a.t)(strconv.ParseFloat(string(m[1]), 64))
	}
	return sum
}

// check holds what was processed against what was put.
func (a *application) check() {
	strange := 0
	for p, u := range a.seen {
		if put, ok := a.flow.placed[p]; ok && put != u || !ok && !a.flow.again[u] {
			strange++
			a.t.Logf("%v was processed, which is not what was put there: %v", u, put)
		}
	}
	for key, n := range a.next {
		if n != a.flow.rounds {
			a.t.Errorf("%d records of %s were put, and %d came in order", a.flow.rounds, key, n)
		}
	}
	closed := 0
	for shard, l := range a.leases {
		// What is open still was not replaced, or is new and empty.
		switch want := cmp.Or(a.flow.last[shard], "TRIM_HORIZON"); {
		case l.ended():
			closed++
		case l.checkpoint != want:
			a.t.Errorf("%s is open and its lease is at %s, not at %s", shard, l.checkpoint, want)
		}
	}
	if strange > 0 || len(a.next) != flowKeys || closed < int(a.shards)+2 {
		a.t.Errorf("%d records were not as they were put, %d leases ended", strange, closed)
	}
	a.t.Logf("%d records put under %d keys, %d again because an answer was lost; %d processed again; %d leases, %d ended; by worker %v",
		len(a.flow.placed), len(a.next), len(a.flow.again), a.twice, len(a.leases), closed, a.total)
}

// reshape splits the first open shard and merges the last two, and returns their children.
func (a *application) reshape() (children []string) {
	a.t.Helper()
	before := a.open()
	shards := a.list()
	open := slices.DeleteFunc(shards, func(s types.Shard) bool { return !slices.Contains(before, *s.ShardId) })
	slices.SortFunc(open, func(x, y types.Shard) int {
		return decimal(*x.HashKeyRange.StartingHashKey).Cmp(decimal(*y.HashKeyRange.StartingHashKey))
	})
	middle := new(big.Int).Add(decimal(*open[0].HashKeyRange.StartingHashKey), decimal(*open[0].HashKeyRange.EndingHashKey))
	must[*kinesis.SplitShardOutput](a.t)(a.k.SplitShard(a.t.Context(), &kinesis.SplitShardInput{StreamName: &a.stream, ShardToSplit: open[0].ShardId, NewStartingHashKey: aws.String(middle.Rsh(middle, 1).String())}))
	session{a.t, a.k, a.stream}.active()
	must[*kinesis.MergeShardsOutput](a.t)(a.k.MergeShards(a.t.Context(), &kinesis.MergeShardsInput{StreamName: &a.stream, ShardToMerge: open[len(open)-2].ShardId, AdjacentShardToMerge: open[len(open)-1].ShardId}))
	session{a.t, a.k, a.stream}.active()
	return slices.DeleteFunc(a.open(), func(s string) bool { return slices.Contains(before, s) })
}

// takeOver kills a worker that has checkpointed, between processing records and
// checkpointing them, and the processes that it has started, and waits until others
// process the records of its shards. With KCL 3 it is the worker that assigns
// leases or not, as is asked for; else any.
func (a *application) takeOver() {
	a.t.Helper()
	var victim string
	a.until("a worker is amid its work", func() bool {
		for _, name := range slices.Sorted(maps.Keys(a.live)) {
			held, saved := 0, false
			for shard := range a.dirty[name] {
				if l := a.leases[shard]; l.owner == name && !l.ended() {
					held++
					saved = saved || a.held[[2]string{name, shard}].saved
				}
			}
			if held >= 2 && saved && (a.version != "V3" || a.first == (name == a.leader)) {
				victim = name
			}
		}
		return victim != ""
	})
	w := a.live[victim]
	w.kill()
	<-w.exited
	delete(a.live, victim)
	a.follow()
	a.scan()
	var left []string
	for shard, l := range a.leases {
		if l.owner == victim && !l.ended() {
			left = append(left, shard)
		}
	}
	slices.Sort(left)
	proven := slices.ContainsFunc(left, func(shard string) bool { return a.counts[shard][victim] > 0 })
	a.t.Logf("%s is killed; it processed %d records, and has the leases of %v (leader: %q)", victim, a.total[victim], left, a.leader)
	if !proven {
		a.t.Fatalf("it processed none of a shard whose lease it has: %v", a.counts)
	}
	a.mark()
	began, twice := time.Now(), a.twice
	a.until("others process the shards of the worker that was killed", func() bool {
		return all(left, func(shard string) bool {
			others := slices.ContainsFunc(slices.Collect(maps.Keys(a.counts[shard])), func(w string) bool { return w != victim })
			return a.leases[shard].owner != victim && (a.leases[shard].ended() || others)
		})
	})
	a.t.Logf("others took over within %v, and processed %d records again", time.Since(began).Round(time.Second), a.twice-twice)
	if a.twice == twice {
		a.t.Error("it had not checkpointed all that it processed, and nothing was processed again")
	}
}

// made says whether the lease table is there, and with KCL 3 its index: of
// workers that make it at once KCL 3.5.1 starts only one, since it does not try
// again (MigrationStateMachineImpl.initialize), with AWS as well.
func (a *application) made() bool {
	a.t.Helper()
	out, err := a.tables.DescribeTable(a.t.Context(), &dynamodb.DescribeTableInput{TableName: &a.stream})
	if _, ok := errors.AsType[*dynamotypes.ResourceNotFoundException](err); ok {
		return false
	}
	if err != nil {
		a.t.Fatal(err)
	}
	return a.version != "V3" || len(out.Table.GlobalSecondaryIndexes) > 0
}

// over says whether each closed shard's lease has ended, and each open shard has one.
func (a *application) over() bool {
	open := a.open()
	return all(a.list(), func(s types.Shard) bool {
		l, ok := a.leases[*s.ShardId]
		return ok && (slices.Contains(open, *s.ShardId) || l.ended())
	})
}

func (a *application) list() []types.Shard {
	a.t.Helper()
	return must[*kinesis.ListShardsOutput](a.t)(a.k.ListShards(a.t.Context(), &kinesis.ListShardsInput{StreamName: &a.stream})).Shards
}

func (a *application) open() (shards []string) {
	a.t.Helper()
	for _, s := range a.list() {
		if s.SequenceNumberRange.EndingSequenceNumber == nil {
			shards = append(shards, *s.ShardId)
		}
	}
	return shards
}

// command is what starts a worker.
func (a *application) command(name string) *exec.Cmd {
	a.t.Helper()
	url, options := a.server.plain(), []string{"-Xmx256m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1"}
	if a.secure {
		_, port, _ := net.SplitHostPort(a.server.address)
		url = "https://localhost:" + port
		store := filepath.Join(a.dir, "trust.p12")
		if _, err := os.Stat(store); err != nil {
			out, err := exec.Command("keytool", "-importcert", "-noprompt", "-alias", "thalweg", "-file", a.server.authority(), "-keystore", store, "-storetype", "PKCS12", "-storepass", "changeit").CombinedOutput()
			if err != nil {
				a.t.Fatalf("keytool: %v: %s", err, out)
			}
		}
		options = append(options, "-Djavax.net.ssl.trustStore="+store, "-Djavax.net.ssl.trustStorePassword=changeit")
	}
	if a.version == "PYTHON" || a.version == "NODE" {
		return a.daemon(name, url, options)
	}
	args := append(options, "-Dorg.slf4j.simpleLogger.defaultLogLevel=warn", "-Dorg.apache.commons.logging.simplelog.defaultlog=warn",
		"-cp", endpoint(a.t, "KCL_CLASSPATH_"+a.version), a.args[0], url, a.stream, a.stream, name, a.log.Name())
	return exec.Command("java", append(args, a.args[1:]...)...)
}

// daemon is the command of a worker in another language, which is a Java process
// that starts one of its own for each shard: as the package says to start it, and
// with the properties file that is there.
func (a *application) daemon(name, url string, options []string) *exec.Cmd {
	a.t.Helper()
	folder := endpoint(a.t, "KCL_"+a.version)
	source := "../kcl/python"
	if a.version == "NODE" {
		source = folder // the package is beside the program
	}
	text := string(must[[]byte](a.t)(os.ReadFile(filepath.Join(source, "worker.properties"))))
	text = strings.NewReplacer("http://localhost:4567", url, "orders-app", a.stream, "orders", a.stream, "workerId = worker", "workerId = "+name).Replace(text)
	properties := filepath.Join(a.dir, name+".properties")
	if err := os.WriteFile(properties, []byte(text), 0o600); err != nil {
		a.t.Fatal(err)
	}
	java := must[string](a.t)(exec.LookPath("java"))
	line := []string{filepath.Join(folder, "node_modules/.bin/kcl-bootstrap"), "--java", java, "--properties", properties, "--execute"}
	if a.version == "PYTHON" {
		printed := must[[]byte](a.t)(exec.Command(filepath.Join(folder, "python"), filepath.Join(folder, "amazon_kclpy_helper.py"), "--print_command", "--java", java, "--properties", properties).Output())
		line = []string{"sh", "-c", "exec " + string(printed)}
	}
	// A daemon does not end with this test, as the other workers do when their
	// standard input ends: so its shell ends the group, and does so when it is gone.
	cmd := exec.Command("sh", append([]string{"-c", `("$@"; kill -9 0) & cat; kill -9 0`, "sh"}, line...)...)
	cmd.Dir = source
	cmd.Env = append(os.Environ(), "PATH="+folder+":"+os.Getenv("PATH"), "JAVA_TOOL_OPTIONS="+strings.Join(options, " "), "KCL_LOG="+a.log.Name(), "KCL_WORKER="+name)
	return cmd
}

// kill kills a worker and the processes that it has started.
func (w *worker) kill() { _ = syscall.Kill(-w.process.Process.Pid, syscall.SIGKILL) }

// start starts a worker.
func (a *application) start(name string) {
	a.t.Helper()
	w := &worker{process: a.command(name), exited: make(chan error, 1)}
	w.stdin = must[io.WriteCloser](a.t)(w.process.StdinPipe())
	said := must[*os.File](a.t)(os.Create(filepath.Join(a.dir, name)))
	w.process.Stdout, w.process.Stderr = said, said
	w.process.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	if err := w.process.Start(); err != nil {
		a.t.Fatal(err)
	}
	go func() { w.exited <- w.process.Wait() }()
	a.t.Cleanup(func() {
		if a.live[name] == w {
			w.kill()
		}
		said.Close()
	})
	a.live[name] = w
}

// report tells, of a run that failed, what the workers said last.
func (a *application) report() {
	if !a.t.Failed() {
		return
	}
	for _, name := range slices.Sorted(maps.Keys(a.live)) {
		said, _ := os.ReadFile(filepath.Join(a.dir, name))
		a.t.Logf("%s: %s", name, said[max(0, len(said)-6000):])
	}
}

// until follows log and leases until done says so.
func (a *application) until(what string, done func() bool) {
	a.t.Helper()
	deadline := time.Now().Add(4 * time.Minute) // KCL 3 waits two for a leader that is gone
	for ; ; <-time.After(200 * time.Millisecond) {
		a.follow()
		a.scan()
		if done() {
			a.t.Logf("%s: %d records so far", what, len(a.seen))
			return
		}
		for name, w := range a.live {
			select {
			case err := <-w.exited:
				a.t.Fatalf("%s ended by itself: %v", name, err)
			default:
			}
		}
		if time.Now().After(deadline) {
			a.t.Fatalf("waited in vain until %s. Leases %v, records by shard and worker %v, leader %q, %d seen", what, a.leases, a.counts, a.leader, len(a.seen))
		}
	}
}

// mark begins to count anew.
func (a *application) mark() { a.counts = map[string]map[string]int{} }

// follow reads what the workers have written since.
func (a *application) follow() {
	a.t.Helper()
	more := must[[]byte](a.t)(io.ReadAll(a.log))
	text := append(a.rest, more...)
	for {
		line, rest, whole := bytes.Cut(text, []byte{'\n'})
		if !whole {
			a.rest = slices.Clone(text)
			a.stored = maps.Clone(a.leases)
			return
		}
		text = rest
		words := strings.Fields(string(line))
		switch words[1] {
		case "lease":
			a.held[[2]string{words[0], words[2]}] = &holding{}
		case "record":
			a.processed(words[0], words[2], words[3], words[4], words[5])
		case "checkpoint", "end", "leave", "lost":
			if words[1] == "checkpoint" {
				a.held[[2]string{words[0], words[2]}].saved = true
			}
			delete(a.dirty[words[0]], words[2])
		case "failed":
			a.t.Logf("%s", line)
		}
	}
}

func (a *application) processed(worker, shard, sequence, key, data string) {
	a.t.Helper()
	var u user
	raw := must[[]byte](a.t)(hex.DecodeString(data))
	if n, _ := fmt.Sscanf(string(raw), "%s %d", &u.key, &u.n); n != 2 || u.key != key || !bytes.Equal(raw, u.data()) {
		a.t.Fatalf("%s processed %q under %s, which nobody put", worker, raw, key)
	}
	if u.n > a.next[key] {
		a.t.Errorf("%s processed record %d of %s in %s, and %d was due", worker, u.n, key, shard, a.next[key])
	}
	a.next[key] = max(a.next[key], u.n+1)
	number, h := decimal(sequence), a.held[[2]string{worker, shard}]
	if h.last != nil && number.Cmp(h.last) <= 0 {
		a.t.Errorf("%s processed record %s of %s after %s, having had the lease all the while", worker, number, shard, h.last)
	}
	if l, ok := a.stored[shard]; ok && h.last == nil && number.Cmp(l.position()) <= 0 {
		a.t.Errorf("%s begins %s at record %s, and the checkpoint is %s", worker, shard, number, l.checkpoint)
	}
	h.last = number
	p := place{shard, sequence}
	if _, again := a.seen[p]; again {
		a.twice++
	}
	a.seen[p] = u
	if a.counts[shard] == nil {
		a.counts[shard] = map[string]int{}
	}
	a.counts[shard][worker]++
	if a.dirty[worker] == nil {
		a.dirty[worker] = map[string]bool{}
	}
	a.dirty[worker][shard] = true
	a.total[worker]++
}

// scan reads the lease table. A lease that the KCL has removed since stays as it was.
func (a *application) scan() {
	a.t.Helper()
	pages := dynamodb.NewScanPaginator(a.tables, &dynamodb.ScanInput{TableName: &a.stream, ConsistentRead: aws.Bool(true)})
	for pages.HasMorePages() {
		page, err := pages.NextPage(a.t.Context())
		if err != nil {
			if _, ok := errors.AsType[*dynamotypes.ResourceNotFoundException](err); ok {
				return // the first worker has not made it yet
			}
			a.t.Fatal(err)
		}
		text := func(item map[string]dynamotypes.AttributeValue, name string) string {
			s, _ := item[name].(*dynamotypes.AttributeValueMemberS)
			if s == nil {
				return ""
			}
			return s.Value
		}
		for _, item := range page.Items {
			key := text(item, "leaseKey")
			if key == "Leader" {
				a.leader = text(item, "ownerName")
			}
			if !strings.HasPrefix(key, "shardId-") {
				continue
			}
			now := lease{text(item, "leaseOwner"), text(item, "checkpoint")}
			if was, ok := a.leases[key]; ok && now.position().Cmp(was.position()) < 0 {
				a.t.Errorf("the checkpoint of %s went back from %s to %s", key, was.checkpoint, now.checkpoint)
			}
			a.leases[key] = now
		}
	}
}

func all[T any](list []T, is func(T) bool) bool {
	return !slices.ContainsFunc(list, func(v T) bool { return !is(v) })
}
