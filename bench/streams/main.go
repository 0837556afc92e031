// Command streams measures thalweg's data path as a whole process, over
// loopback, side by side with the bare floor and with other servers, in one
// run: each server in turn, fresh, over and over, so that the machine's own
// drift falls on all alike. It prints medians, CPU time per record and ratios.
// Every byte that was acknowledged is read back and compared.
//
//	go run ./streams [-runs 5] [-time 3s] [-peers kinesalite,kinesis-mock] [-only NAME]
package main

import (
	"flag"
	"fmt"
	"log"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/thalweg/thalweg/bench/load"
)

// server is one contestant.
type server struct {
	name   string
	floor  bool // takes no CreateStream and one iterator "all"
	settle time.Duration
	start  func(dir string) (*exec.Cmd, string, error) // a running process and its address
}

// trial is one kind of load.
type trial struct {
	name          string
	size, records int // bytes of a record, records of a request
	format        load.Format
	conns         int
	drain         bool // measure the drain instead of the puts
	peers         bool // also against the other servers
	want          map[string]float64
}

var trials = []trial{
	{name: "PutRecords 500x1KiB JSON", size: 1024, records: 500, format: load.JSON, conns: 8, peers: true, want: map[string]float64{"floor": 0.8, "kinesalite": 20}},
	{name: "PutRecords 500x1KiB CBOR", size: 1024, records: 500, format: load.CBOR, conns: 8, want: map[string]float64{"floor": 0.8}},
	{name: "PutRecords 500x100B JSON", size: 100, records: 500, format: load.JSON, conns: 8, want: map[string]float64{"floor": 0.7}},
	{name: "PutRecord 1KiB 64 clients", size: 1024, records: 1, format: load.JSON, conns: 64, peers: true, want: map[string]float64{"floor": 0.8}},
	{name: "GetRecords drain JSON", size: 1024, records: 500, format: load.JSON, conns: 8, drain: true, want: map[string]float64{"floor": 0.7}},
}

func main() {
	runs := flag.Int("runs", 5, "runs of each server in each trial")
	length := flag.Duration("time", 3*time.Second, "length of a measured stretch")
	peers := flag.String("peers", "kinesalite,kinesis-mock", "other servers to run, of npm")
	only := flag.String("only", "", "run only trials whose name holds this")
	verbose := flag.Bool("v", false, "print each run")
	scratch := flag.String("scratch", "", "folder for data; default a temporary one")
	flag.Parse()
	log.SetFlags(0)
	if err := run(*runs, *length, *peers, *only, *scratch, *verbose); err != nil {
		log.Fatal("streams: ", err)
	}
}

func run(runs int, length time.Duration, peers, only, scratch string, verbose bool) error {
	if scratch == "" {
		dir, err := os.MkdirTemp("", "thalweg-bench-")
		if err != nil {
			return err
		}
		defer os.RemoveAll(dir)
		scratch = dir
	}
	thalweg, floor, err := load.Build(scratch)
	if err != nil {
		return err
	}
	base := []server{{name: "thalweg", start: thalweg.Start}, {name: "floor", floor: true, start: floor.Start}}
	others, err := peerServers(scratch, peers)
	if err != nil {
		return err
	}
	for _, t := range trials {
		if !strings.Contains(t.name, only) {
			continue
		}
		field := base
		if t.peers {
			field = slices.Concat(base, others)
		}
		rates := map[string][]float64{}
		cpus := map[string][]float64{}
		lats := map[string][]float64{}
		for i := range runs {
			for _, s := range field {
				m, err := measure(s, t, length, scratch)
				if err != nil {
					return fmt.Errorf("%s, %s, run %d: %w", t.name, s.name, i+1, err)
				}
				if verbose {
					fmt.Printf("  run %d %-12s %10.0f records/s %8.2f CPU us/record  p50 %v p99 %v\n", i+1, s.name, m.rate, m.cpu, m.p50, m.p99)
				}
				rates[s.name] = append(rates[s.name], m.rate)
				cpus[s.name] = append(cpus[s.name], m.cpu)
				lats[s.name] = append(lats[s.name], float64(m.p99.Microseconds())/1000)
			}
		}
		fmt.Printf("%s (medians of %d alternating runs of %v)\n", t.name, runs, length)
		ours := median(rates["thalweg"])
		for _, s := range field {
			r := rates[s.name]
			fmt.Printf("  %-12s %10.0f records/s  [%.0f .. %.0f]  %6.2f CPU us/record  p99 %.2f ms", s.name, median(r), slices.Min(r), slices.Max(r), median(cpus[s.name]), median(lats[s.name]))
			if s.name != "thalweg" {
				var pairs []float64
				for i := range r {
					pairs = append(pairs, rates["thalweg"][i]/r[i])
				}
				fmt.Printf("  thalweg/%s %.2f (pairs %.2f)", s.name, ours/median(r), median(pairs))
				if w, ok := t.want[s.name]; ok {
					fmt.Printf(", to reach %.2f", w)
				}
			}
			fmt.Println()
		}
	}
	return nil
}

func median(v []float64) float64 {
	v = slices.Sorted(slices.Values(v))
	if len(v) == 0 {
		return 0
	}
	return v[len(v)/2]
}

type measured struct {
	rate, cpu float64
	p50, p99  time.Duration
}

// measure starts s afresh, loads it, reads everything back and stops it.
func measure(s server, t trial, length time.Duration, scratch string) (m measured, err error) {
	dir := filepath.Join(scratch, s.name)
	if !s.floor {
		os.RemoveAll(dir)
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return m, err
	}
	cmd, addr, err := s.start(dir)
	if err != nil {
		return m, err
	}
	defer func() {
		load.Stop(cmd)
		if !s.floor {
			os.RemoveAll(dir)
		}
	}()
	tg := load.Target{Addr: addr, AccessKey: load.AccessKey, SecretKey: load.SecretKey, Stream: "bench"}
	if !s.floor {
		if err := tg.Create(4); err != nil {
			return m, err
		}
	}
	pool := load.NewPool(max(500, min(16000, 32*t.records)), t.size)
	var set [][]byte
	if t.records == 1 {
		set = tg.Singles(pool)
	} else {
		set = tg.Batches(pool, t.format, t.records)
	}
	warm, err := load.Put(addr, set, t.records, t.conns, time.Second)
	if err != nil {
		return m, err
	}
	before := load.CPU(cmd.Process.Pid)
	put, err := load.Put(addr, set, t.records, t.conns, length)
	if err != nil {
		return m, err
	}
	res := put
	spent := load.CPU(cmd.Process.Pid) - before
	iterators := func() ([]string, error) {
		if s.floor {
			return []string{"all"}, nil
		}
		return tg.Iterators()
	}
	if t.drain {
		its, err := iterators()
		if err != nil {
			return m, err
		}
		before = load.CPU(cmd.Process.Pid)
		res, err = tg.Drain(slices.Concat(its, its), 2, nil)
		if err != nil {
			return m, err
		}
		spent = load.CPU(cmd.Process.Pid) - before
	}
	m = measured{rate: res.Rate(), cpu: spent.Seconds() * 1e6 / float64(res.Records)}
	if n := len(res.Latency); n > 0 {
		m.p50, m.p99 = res.Latency[n/2], res.Latency[n*99/100]
	}
	its, err := iterators()
	if err != nil {
		return m, err
	}
	back, err := tg.Drain(its, 1, pool)
	if err != nil {
		return m, fmt.Errorf("read back: %w", err)
	}
	for i, n := range back.Sent {
		if want := warm.Sent[i/t.records] + put.Sent[i/t.records]; n != want {
			return m, fmt.Errorf("record %d was acknowledged %d times and read back %d times", i, want, n)
		}
	}
	return m, nil
}

// peerServers installs the named npm packages at pinned versions.
func peerServers(scratch, names string) ([]server, error) {
	var out []server
	npm := func(pkg string) (string, error) {
		dir := filepath.Join(scratch, "npm")
		os.MkdirAll(dir, 0o755)
		cmd := exec.Command("npm", "install", "--silent", "--no-audit", "--no-fund", "--prefix", dir, pkg)
		cmd.Stderr = os.Stderr
		return filepath.Join(dir, "node_modules"), cmd.Run()
	}
	for name := range strings.SplitSeq(names, ",") {
		switch name {
		case "":
		case "kinesalite":
			modules, err := npm("kinesalite@3.3.3")
			if err != nil {
				return nil, fmt.Errorf("install kinesalite (needs Node.js; -peers '' leaves it out): %w", err)
			}
			out = append(out, server{name: name, start: func(dir string) (*exec.Cmd, string, error) {
				port := load.FreePort()
				cmd := exec.Command("node", filepath.Join(modules, "kinesalite", "cli.js"), "--port", port, "--path", dir, "--createStreamMs", "0", "--shardLimit", "100")
				return load.Listening(cmd, port)
			}})
		case "kinesis-mock":
			modules, err := npm("kinesis-local@0.6.2")
			if err != nil {
				return nil, fmt.Errorf("install kinesis-mock (needs Node.js; -peers '' leaves it out): %w", err)
			}
			out = append(out, server{name: name, start: func(dir string) (*exec.Cmd, string, error) {
				port, tls := load.FreePort(), load.FreePort()
				cmd := exec.Command("node", filepath.Join(modules, "kinesis-local", "main.js"))
				cmd.Dir = filepath.Join(modules, "kinesis-local")
				cmd.Env = append(os.Environ(), "KINESIS_MOCK_PLAIN_PORT="+port, "KINESIS_MOCK_TLS_PORT="+tls, "LOG_LEVEL=ERROR",
					"CREATE_STREAM_DURATION=0ms", "SHARD_LIMIT=100", "SHOULD_PERSIST_DATA=true", "PERSIST_PATH="+dir, "PERSIST_INTERVAL=5s")
				return load.Listening(cmd, port)
			}})
		default:
			return nil, fmt.Errorf("no server %q", name)
		}
	}
	return out, nil
}
