// Command scale measures what many shards and much data cost thalweg, as a
// whole process over loopback:
//
//   - how long a stream of ten thousand shards takes to be made, and the server
//     to be ready again after kill -9 under load on it;
//   - how many records per second go to ten thousand shards, against four, in
//     alternating runs of fresh servers; every byte is read back and compared;
//   - how much memory the server has while many gigabytes flow through it and
//     readers follow at various distances. Records stay for 24 hours, the least
//     that AWS allows, so that nothing leaves while it is measured.
//
// Usage:
//
//	go run ./scale [-runs 5] [-time 2s] [-shards 10000] [-conns 16] [-flow 20] [-only create|puts|flow]
package main

import (
	"bytes"
	"errors"
	"flag"
	"fmt"
	"log"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/thalweg/thalweg/bench/load"
)

const (
	few   = 4
	size  = 1024
	batch = 500
)

func main() {
	runs := flag.Int("runs", 5, "runs of each measurement")
	length := flag.Duration("time", 2*time.Second, "length of a measured stretch of puts")
	shards := flag.Int("shards", 10000, "shards of the large stream")
	conns := flag.Int("conns", 16, "connections that put")
	flow := flag.Int("flow", 20, "GB that flow through")
	only := flag.String("only", "", "run only the measurement whose name holds this")
	scratch := flag.String("scratch", "", "folder for data; default a temporary one")
	flag.Parse()
	log.SetFlags(0)
	if *scratch == "" {
		dir, err := os.MkdirTemp("", "thalweg-bench-")
		if err != nil {
			log.Fatal(err)
		}
		defer os.RemoveAll(dir)
		*scratch = dir
	}
	thalweg, _, err := load.Build(*scratch)
	if err != nil {
		log.Fatal("scale: ", err)
	}
	b := bench{program: thalweg, dir: filepath.Join(*scratch, "data"), pool: load.NewPool(32*batch, size), runs: *runs, length: *length, shards: *shards, conns: *conns, flow: int64(*flow) * 1e9}
	for _, m := range []struct {
		name    string
		measure func() error
	}{{"create", b.create}, {"puts", b.puts}, {"flow", b.memory}} {
		if !strings.Contains(m.name, *only) {
			continue
		}
		if err := m.measure(); err != nil {
			log.Fatalf("scale: %s: %v", m.name, err)
		}
	}
}

type bench struct {
	program load.Program
	dir     string
	pool    *load.Pool
	runs    int
	length  time.Duration
	shards  int
	conns   int
	flow    int64
}

func (b *bench) start() (*exec.Cmd, load.Target, error) {
	if err := os.MkdirAll(b.dir, 0o755); err != nil {
		return nil, load.Target{}, err
	}
	cmd, addr, err := b.program.Start(b.dir)
	return cmd, load.Target{Addr: addr, AccessKey: load.AccessKey, SecretKey: load.SecretKey, Stream: "bench"}, err
}

func (b *bench) stop(cmd *exec.Cmd) {
	load.Stop(cmd)
	os.RemoveAll(b.dir)
}

// create makes the large stream, loads it, kills the server and starts it again.
func (b *bench) create() error {
	var made, again []float64
	for range b.runs {
		if err := func() error {
			cmd, t, err := b.start()
			if err != nil {
				return err
			}
			defer func() { b.stop(cmd) }()
			began := time.Now()
			if err := t.Create(b.shards); err != nil {
				return err
			}
			made = append(made, time.Since(began).Seconds())
			// The server is killed while all connections put.
			failed := make(chan error, 1)
			go func() {
				_, err := load.Put(t.Addr, t.Batches(b.pool, load.JSON, batch), batch, b.conns, time.Minute)
				failed <- err
			}()
			time.Sleep(b.length) // the stretch of load that is on disk when it dies
			cmd.Process.Kill()
			cmd.Wait()
			if err := <-failed; err == nil {
				return errors.New("the server was killed and still answered")
			}
			began = time.Now()
			if cmd, t, err = b.start(); err != nil {
				return err
			}
			again = append(again, time.Since(began).Seconds())
			its, err := t.Iterators()
			if err == nil && len(its) != b.shards {
				err = fmt.Errorf("%d shards came back of %d", len(its), b.shards)
			}
			return err
		}(); err != nil {
			return err
		}
	}
	fmt.Printf("%d shards (medians of %d runs): made in %.2f s, to stay below 10; ready %.2f s after kill -9 under load of %v, to stay below 5\n",
		b.shards, b.runs, median(made), median(again), b.length)
	return nil
}

// puts compares the rate of puts to many shards with that to few.
func (b *bench) puts() error {
	rates := map[int][]float64{}
	cpus := map[int][]float64{}
	for range b.runs {
		for _, n := range []int{few, b.shards} {
			rate, cpu, err := b.put(n)
			if err != nil {
				return fmt.Errorf("%d shards: %w", n, err)
			}
			rates[n], cpus[n] = append(rates[n], rate), append(cpus[n], cpu)
		}
	}
	var pairs []float64
	for i := range b.runs {
		pairs = append(pairs, rates[b.shards][i]/rates[few][i])
	}
	fmt.Printf("PutRecords %dx1KiB JSON, %d connections (medians of %d alternating runs of %v)\n", batch, b.conns, b.runs, b.length)
	for _, n := range []int{few, b.shards} {
		r := rates[n]
		fmt.Printf("  %5d shards  %10.0f records/s  [%.0f .. %.0f]  %6.2f CPU us/record\n", n, median(r), slices.Min(r), slices.Max(r), median(cpus[n]))
	}
	fmt.Printf("  ratio %.2f (pairs %.2f), to reach 0.80\n", median(rates[b.shards])/median(rates[few]), median(pairs))
	return nil
}

func (b *bench) put(shards int) (rate, cpu float64, err error) {
	cmd, t, err := b.start()
	if err != nil {
		return 0, 0, err
	}
	defer b.stop(cmd)
	if err := t.Create(shards); err != nil {
		return 0, 0, err
	}
	set := t.Batches(b.pool, load.JSON, batch)
	warm, err := load.Put(t.Addr, set, batch, b.conns, time.Second)
	if err != nil {
		return 0, 0, err
	}
	before := load.CPU(cmd.Process.Pid)
	put, err := load.Put(t.Addr, set, batch, b.conns, b.length)
	if err != nil {
		return 0, 0, err
	}
	spent := load.CPU(cmd.Process.Pid) - before
	its, err := t.Iterators()
	if err != nil {
		return 0, 0, err
	}
	back, err := t.Drain(its, 2, b.pool)
	if err != nil {
		return 0, 0, fmt.Errorf("read back: %w", err)
	}
	for i, n := range back.Sent {
		if want := warm.Sent[i/batch] + put.Sent[i/batch]; n != want {
			return 0, 0, fmt.Errorf("record %d was acknowledged %d times and read back %d times", i, want, n)
		}
	}
	return put.Rate(), spent.Seconds() * 1e6 / float64(put.Records), nil
}

// memory lets much data flow, with one reader at the tip, one that starts when
// a quarter has come and reads all of it, and one that reads the oldest records
// over and over, and looks at the server's resident set.
func (b *bench) memory() error {
	cmd, t, err := b.start()
	if err != nil {
		return err
	}
	defer b.stop(cmd)
	if err := t.Create(few); err != nil {
		return err
	}
	set := t.Batches(b.pool, load.JSON, batch)
	var flowed, read atomic.Int64 // bytes of data
	var over atomic.Bool
	var wg sync.WaitGroup
	var first error
	var mu sync.Mutex
	follow := func(from int64, again bool) {
		wg.Go(func() {
			for flowed.Load() < from {
				time.Sleep(50 * time.Millisecond)
			}
			for {
				err := b.follow(t, &over, &read, again)
				if err != nil {
					mu.Lock()
					first = errors.Join(first, err)
					mu.Unlock()
				}
				if err != nil || !again || over.Load() {
					return
				}
			}
		})
	}
	follow(0, false)
	follow(b.flow/4, false)
	follow(b.flow/4, true)
	var resident []float64
	began := time.Now()
	for flowed.Load() < b.flow {
		put, err := load.Put(t.Addr, set, batch, b.conns, time.Second)
		if err != nil {
			over.Store(true)
			wg.Wait()
			return err
		}
		flowed.Add(put.Records * size)
		rss, err := status(cmd.Process.Pid, "VmRSS")
		if err != nil {
			return err
		}
		resident = append(resident, rss)
	}
	took := time.Since(began)
	over.Store(true)
	wg.Wait()
	if first != nil {
		return first
	}
	peak, err := status(cmd.Process.Pid, "VmHWM")
	if err != nil {
		return err
	}
	fmt.Printf("%.1f GB of data put and %.1f GB read by three readers in %.0f s: resident %.0f MiB in the middle, %.0f MiB at most, to stay below 512\n",
		float64(flowed.Load())/1e9, float64(read.Load())/1e9, took.Seconds(), median(resident), peak)
	return nil
}

// follow reads all shards from the oldest record on until it is over, or, if
// it is to start again, until it has read for five seconds.
func (b *bench) follow(t load.Target, over *atomic.Bool, read *atomic.Int64, again bool) error {
	its, err := t.Iterators()
	if err != nil {
		return err
	}
	c, err := load.Dial(t.Addr)
	if err != nil {
		return err
	}
	defer c.Close()
	for began := time.Now(); !over.Load() && !(again && time.Since(began) > 5*time.Second); {
		idle := true
		for i, it := range its {
			body, err := c.Do(t.Sign("GetRecords", load.JSON, []byte(`{"ShardIterator":"`+it+`"}`)))
			if err != nil {
				return err
			}
			n := bytes.Count(body, []byte(`"Data":`))
			read.Add(int64(n) * size)
			idle = idle && n == 0
			_, rest, ok := bytes.Cut(body, []byte(`"NextShardIterator":"`))
			if !ok {
				return errors.New("a shard ended")
			}
			its[i] = string(rest[:bytes.IndexByte(rest, '"')])
		}
		if idle {
			time.Sleep(200 * time.Millisecond)
		}
	}
	return nil
}

// status reads a figure in MiB of a process.
func status(pid int, name string) (float64, error) {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		return 0, err
	}
	for line := range strings.Lines(string(text)) {
		if rest, ok := strings.CutPrefix(line, name+":"); ok {
			kb, err := strconv.ParseFloat(strings.TrimSuffix(strings.TrimSpace(rest), " kB"), 64)
			return kb / 1024, err
		}
	}
	return 0, fmt.Errorf("no %s of process %d", name, pid)
}

func median(v []float64) float64 {
	v = slices.Sorted(slices.Values(v))
	if len(v) == 0 {
		return 0
	}
	return v[len(v)/2]
}
