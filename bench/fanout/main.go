// Command fanout measures enhanced fan-out of thalweg as a whole process, over
// loopback:
//
//   - how long after a put was sent its record is with a consumer, against how
//     long the put itself takes, when there is little else to do;
//   - what eight consumers of one stream cost the server, against one;
//   - how much eight consumers are given per second in all, from the oldest
//     record on, against what the bare floor hands out by GetRecords.
//
// Every message's checksum is verified and every record counted: all must come
// to every consumer as often as they were acknowledged. The bytes are compared
// with what was put as well, but for the last measurement, where comparing
// would take more than delivering: there, they are read once more for that.
//
//	go run ./fanout [-runs 5] [-time 3s] [-only latency|cpu|drain] [-format json|cbor]
package main

import (
	"bytes"
	"encoding/binary"
	"errors"
	"flag"
	"fmt"
	"log"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/thalweg/thalweg/bench/load"
)

const (
	shards     = 4
	consumers  = 8
	size       = 1024 // bytes of a record
	batch      = 500  // records of a PutRecords
	batchRate  = 80   // PutRecords per second when the processor time is measured: 40 MB/s
	singleRate = 200  // PutRecord per second when the latency is measured
	preload    = 600_000
)

func main() {
	runs := flag.Int("runs", 5, "runs of each measurement")
	length := flag.Duration("time", 3*time.Second, "length of a measured stretch")
	only := flag.String("only", "", "run only the measurements whose name holds this")
	formats := flag.String("format", "json,cbor", "encodings of the events")
	scratch := flag.String("scratch", "", "folder for data; default a temporary one")
	flag.Parse()
	log.SetFlags(0)
	if err := run(*runs, *length, *only, *formats, *scratch); err != nil {
		log.Fatal("fanout: ", err)
	}
}

func run(runs int, length time.Duration, only, formats, scratch string) error {
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
	b := &bench{thalweg: thalweg, floor: floor, scratch: scratch, runs: runs, length: length, pool: load.NewPool(32*batch, size)}
	for _, f := range []load.Format{load.JSON, load.CBOR} {
		name := map[load.Format]string{load.JSON: "json", load.CBOR: "cbor"}[f]
		if !strings.Contains(formats, name) {
			continue
		}
		for _, m := range []struct {
			name    string
			measure func(load.Format) error
		}{{"latency", b.latency}, {"cpu", b.processor}, {"drain", b.drain}} {
			if !strings.Contains(m.name, only) {
				continue
			}
			fmt.Printf("%s, events in %s\n", m.name, name)
			if err := m.measure(f); err != nil {
				return fmt.Errorf("%s, %s: %w", m.name, name, err)
			}
		}
	}
	return nil
}

type bench struct {
	thalweg, floor load.Program
	scratch        string
	runs           int
	length         time.Duration
	pool           *load.Pool
}

// serve runs f against a fresh server.
func (b *bench) serve(p load.Program, f func(t load.Target, pid int) error) error {
	dir := filepath.Join(b.scratch, map[bool]string{true: "kept", false: "data"}[p.Keeps])
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	cmd, addr, err := p.Start(dir)
	if err != nil {
		return err
	}
	defer func() {
		load.Stop(cmd)
		if !p.Keeps {
			os.RemoveAll(dir)
		}
	}()
	return f(load.Target{Addr: addr, AccessKey: load.AccessKey, SecretKey: load.SecretKey, Stream: "bench"}, cmd.Process.Pid)
}

// audience is consumers that read every shard of the stream.
type audience struct {
	pool  *load.Pool
	seen  [][]atomic.Int64 // by consumer and record of the pool
	taken atomic.Int64     // records
	count bool             // instead of comparing
	subs  []*load.Subscription
	wg    sync.WaitGroup
	mu    sync.Mutex
	first error
	done  atomic.Bool
	// arrived, when set, is told of each record.
	arrived func(record int, at time.Time)
}

// subscribe makes n consumers and has each read every shard.
func (b *bench) subscribe(t load.Target, f load.Format, n int, position string) (*audience, error) {
	a := &audience{pool: b.pool, seen: make([][]atomic.Int64, n)}
	ids, err := t.Shards()
	if err != nil {
		return nil, err
	}
	for i := range n {
		a.seen[i] = make([]atomic.Int64, len(b.pool.Data))
		arn, err := t.Register(fmt.Sprintf("consumer-%d", time.Now().UnixNano()))
		if err != nil {
			return nil, err
		}
		for _, id := range ids {
			s, err := t.Subscribe(f, arn, id, position)
			if err != nil {
				return nil, err
			}
			a.subs = append(a.subs, s)
		}
	}
	return a, nil
}

// listen begins to read.
func (a *audience) listen() {
	each := len(a.subs) / len(a.seen)
	for i, s := range a.subs {
		a.wg.Go(func() {
			if err := a.read(s, a.seen[i/each]); err != nil && !a.done.Load() {
				a.mu.Lock()
				a.first = errors.Join(a.first, err)
				a.mu.Unlock()
			}
		})
	}
}

func (a *audience) read(s *load.Subscription, seen []atomic.Int64) error {
	for {
		payload, err := s.Next()
		if err != nil {
			return err
		}
		if a.count {
			a.taken.Add(int64(s.Count(payload)))
			continue
		}
		at := time.Now()
		err = s.Data(payload, func(data []byte) error {
			i := int(binary.LittleEndian.Uint32(data))
			if i >= len(a.pool.Data) || !bytes.Equal(data, a.pool.Data[i]) {
				return fmt.Errorf("record %d does not hold the bytes that were put", i)
			}
			seen[i].Add(1)
			if a.arrived != nil {
				a.arrived(i, at)
			}
			a.taken.Add(1)
			return nil
		})
		if err != nil {
			return err
		}
	}
}

// end waits until every consumer has had records many records, and holds what
// came against how often each request was acknowledged.
func (a *audience) end(sent []int64, each int) error {
	var want int64
	for _, n := range sent {
		want += n * int64(each)
	}
	want *= int64(len(a.seen))
	for deadline := time.Now().Add(30 * time.Second); a.taken.Load() < want; time.Sleep(time.Millisecond) {
		a.mu.Lock()
		err := a.first
		a.mu.Unlock()
		if err != nil || time.Now().After(deadline) {
			return errors.Join(err, fmt.Errorf("%d records of %d were delivered", a.taken.Load(), want))
		}
	}
	a.close()
	for i := range a.seen {
		if a.count {
			break
		}
		for r := range a.seen[i] {
			if got, want := a.seen[i][r].Load(), sent[r/each]; got != want {
				return fmt.Errorf("record %d was acknowledged %d times and came to consumer %d %d times", r, want, i, got)
			}
		}
	}
	return nil
}

func (a *audience) close() {
	a.done.Store(true)
	for _, s := range a.subs {
		s.Close()
	}
	a.wg.Wait()
}

// pace sends the requests of the set one after another, rate per second, from
// as many connections as that takes, and says how often each was taken.
func pace(addr string, set [][]byte, rate int, d time.Duration, took func(i int, began, ended time.Time)) ([]int64, error) {
	const conns = 4
	sent := make([]int64, len(set))
	var wg sync.WaitGroup
	var mu sync.Mutex
	var first error
	start := time.Now()
	n := int(d.Seconds() * float64(rate))
	for k := range conns {
		wg.Go(func() {
			c, err := load.Dial(addr)
			for i := k; i < n && err == nil; i += conns {
				time.Sleep(time.Until(start.Add(time.Duration(i) * time.Second / time.Duration(rate))))
				began := time.Now()
				r := i % len(set)
				if _, err = c.Do(set[r]); err == nil {
					took(r, began, time.Now())
					atomic.AddInt64(&sent[r], 1)
				}
			}
			if c != nil {
				c.Close()
			}
			mu.Lock()
			first = errors.Join(first, err)
			mu.Unlock()
		})
	}
	wg.Wait()
	return sent, first
}

// latency compares the time from sending a put to having its record, with that
// to having its answer.
func (b *bench) latency(f load.Format) error {
	for _, n := range []int{1, consumers} {
		var ratios []float64
		var all, answers []time.Duration
		for range b.runs {
			err := b.serve(b.thalweg, func(t load.Target, _ int) error {
				if err := t.Create(shards); err != nil {
					return err
				}
				a, err := b.subscribe(t, f, n, "LATEST")
				if err != nil {
					return err
				}
				defer a.close()
				// Each record is put once, so when it was put says which put that was.
				set := t.Singles(b.pool)
				began := make([]atomic.Int64, len(set))
				put := make([]time.Duration, len(set))
				var mu sync.Mutex
				var delays []time.Duration
				start := time.Now()
				arrivals := make([][]time.Duration, len(set))
				a.arrived = func(i int, at time.Time) {
					mu.Lock()
					arrivals[i] = append(arrivals[i], at.Sub(start))
					mu.Unlock()
				}
				a.listen()
				sent, err := pace(t.Addr, set, singleRate, b.length, func(i int, from, to time.Time) {
					began[i].Store(int64(from.Sub(start)))
					put[i] = to.Sub(from)
				})
				if err != nil {
					return err
				}
				if err := a.end(sent, 1); err != nil {
					return err
				}
				var puts []time.Duration
				for i := range set {
					if sent[i] == 0 {
						continue
					}
					puts = append(puts, put[i])
					for _, at := range arrivals[i] {
						delays = append(delays, at-time.Duration(began[i].Load()))
					}
				}
				d, p := middle(delays), middle(puts)
				ratios = append(ratios, float64(d)/float64(p))
				all, answers = append(all, d), append(answers, p)
				return nil
			})
			if err != nil {
				return err
			}
		}
		fmt.Printf("  %d consumers, %d PutRecord/s: put p50 %v, put to delivery p50 %v, ratio %.2f%s\n",
			n, singleRate, middle(answers), middle(all), middle(ratios), wanted(n == 1, "at most 2"))
	}
	return nil
}

// processor compares the processor time that the server takes for eight
// consumers and for one, under the same puts.
func (b *bench) processor(f load.Format) error {
	for _, kind := range []struct {
		name       string
		each, rate int
	}{{"PutRecords 500x1KiB", batch, batchRate}, {"PutRecord 1KiB", 1, singleRate}} {
		costs := map[int][]float64{}
		for range b.runs {
			for _, n := range []int{0, 1, consumers} {
				err := b.serve(b.thalweg, func(t load.Target, pid int) error {
					if err := t.Create(shards); err != nil {
						return err
					}
					a, err := b.subscribe(t, f, max(n, 1), "LATEST")
					if err != nil {
						return err
					}
					defer a.close()
					if n == 0 {
						a.close()
					}
					set := t.Singles(b.pool)
					if kind.each > 1 {
						set = t.Batches(b.pool, load.JSON, kind.each)
					}
					a.listen()
					warm, err := pace(t.Addr, set, kind.rate, time.Second, func(int, time.Time, time.Time) {})
					if err != nil {
						return err
					}
					before := load.CPU(pid)
					sent, err := pace(t.Addr, set, kind.rate, b.length, func(int, time.Time, time.Time) {})
					if err != nil {
						return err
					}
					for i := range sent {
						sent[i] += warm[i]
					}
					spent := load.CPU(pid) - before
					if n > 0 {
						if err := a.end(sent, kind.each); err != nil {
							return err
						}
					}
					costs[n] = append(costs[n], spent.Seconds()/b.length.Seconds()*100)
					return nil
				})
				if err != nil {
					return err
				}
			}
		}
		var ratios []float64
		for i := range costs[1] {
			ratios = append(ratios, costs[consumers][i]/costs[1][i])
		}
		fmt.Printf("  %s, %d/s: %.1f %% of a processor without consumers, %.1f %% with 1, %.1f %% with %d: ratio %.2f%s\n", kind.name, kind.rate,
			middle(costs[0]), middle(costs[1]), middle(costs[consumers]), consumers, middle(ratios), wanted(kind.each > 1, "below 2"))
	}
	return nil
}

// drain compares what consumers are given per second, from the oldest record
// on, with what the floor hands out.
func (b *bench) drain(f load.Format) error {
	var floors []float64
	rates := map[int][]float64{}
	fill := func(t load.Target) ([]int64, int64, error) {
		set := t.Batches(b.pool, load.CBOR, batch)
		sent := make([]int64, len(set))
		var n int64
		for n < preload {
			res, err := load.Put(t.Addr, set, batch, 8, 200*time.Millisecond)
			if err != nil {
				return nil, 0, err
			}
			for i := range sent {
				sent[i] += res.Sent[i]
			}
			n += res.Records
		}
		return sent, n * size, nil
	}
	for range b.runs {
		err := b.serve(b.floor, func(t load.Target, _ int) error {
			if _, _, err := fill(t); err != nil {
				return err
			}
			res, err := t.Drain([]string{"all", "all"}, 2, nil)
			floors = append(floors, res.Rate()*size/1e6)
			return err
		})
		if err != nil {
			return err
		}
		for _, n := range []int{1, consumers} {
			err := b.serve(b.thalweg, func(t load.Target, _ int) error {
				if err := t.Create(shards); err != nil {
					return err
				}
				sent, all, err := fill(t)
				if err != nil {
					return err
				}
				a, err := b.subscribe(t, f, n, "TRIM_HORIZON")
				if err != nil {
					return err
				}
				defer a.close()
				a.count = true
				start := time.Now()
				a.listen()
				if err := a.end(sent, batch); err != nil {
					return err
				}
				rates[n] = append(rates[n], float64(all)*float64(n)/time.Since(start).Seconds()/1e6)
				again, err := b.subscribe(t, f, 1, "TRIM_HORIZON")
				if err != nil {
					return err
				}
				defer again.close()
				again.listen()
				return again.end(sent, batch)
			})
			if err != nil {
				return err
			}
		}
	}
	fmt.Printf("  floor, GetRecords in JSON: %.0f MB/s\n", middle(floors))
	for _, n := range []int{1, consumers} {
		var ratios []float64
		for i := range floors {
			ratios = append(ratios, rates[n][i]/floors[i])
		}
		fmt.Printf("  %d consumers: %.0f MB/s in all, ratio %.2f%s\n", n, middle(rates[n]), middle(ratios), wanted(n > 1, "at least 0.7"))
	}
	return nil
}

func wanted(target bool, text string) string {
	if !target {
		return ""
	}
	return ", to be " + text
}

func middle[T float64 | time.Duration](v []T) T {
	v = slices.Sorted(slices.Values(v))
	if len(v) == 0 {
		return 0
	}
	return v[len(v)/2]
}
