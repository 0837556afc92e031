// Command table measures conditional UpdateItem of thalweg and of dynalite as
// whole processes, over loopback, each fresh, in turns: writes a second, their
// latency and their processor time, of 16 clients that each add to 64 items of
// their own of some 500 bytes, as a worker does that renews its leases. Every
// answer is looked at, and in the end the items hold as many additions as were
// acknowledged. thalweg verifies each signature and has each write on disk when
// it answers; dynalite verifies none and keeps its items in LevelDB without
// syncing.
//
// The floor takes the same requests and does the least that is durable: it
// verifies the signature, appends the body to a file with one sync for all that
// wait, and answers {}. It has no table, so nothing is counted in it.
//
// All requests are signed beforehand and sent by the same client, whose own
// processor time a request is printed as well: it shares the machine.
//
//	go run ./table [-runs 5] [-time 3s] [-servers thalweg,dynalite,floor]
package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"log"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/thalweg/thalweg/bench/load"
)

const (
	clients = 16
	items   = 64  // of each client
	want    = 5.0 // times dynalite's rate

	dynalite, dynalitePackage = "dynalite", "dynalite@4.0.0"
	floor                     = "floor"
)

func main() {
	runs := flag.Int("runs", 5, "runs of each server")
	length := flag.Duration("time", 3*time.Second, "length of a measured stretch")
	servers := flag.String("servers", "thalweg,dynalite,floor", "which to measure")
	flag.Parse()
	log.SetFlags(0)
	if err := run(*runs, *length, strings.Split(*servers, ",")); err != nil {
		log.Fatal("table: ", err)
	}
}

// starter starts a server over a folder.
type starter func(dir string) (*exec.Cmd, string, error)

func run(runs int, length time.Duration, servers []string) error {
	scratch, err := os.MkdirTemp("", "thalweg-bench-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(scratch)
	starters, err := prepare(scratch, servers)
	if err != nil {
		return err
	}
	rates := map[string][]float64{}
	for range runs {
		for _, name := range servers {
			m, err := once(starters[name], filepath.Join(scratch, name+"-data"), name == floor, length)
			if err != nil {
				return fmt.Errorf("%s: %w", name, err)
			}
			rates[name] = append(rates[name], m.rate)
			fmt.Printf("%-9s %8.0f UpdateItem/s   p50 %7.2f ms   p99 %7.2f ms   %6.1f µs of processor a request, its client %5.1f µs\n",
				name, m.rate, m.p50, m.p99, m.server, m.client)
		}
	}
	ours := median(rates["thalweg"])
	for _, name := range servers {
		switch rate := median(rates[name]); name {
		case dynalite:
			fmt.Printf("median %.0f to dynalite's %.0f: %.1f times, %.0f wanted\n", ours, rate, ours/rate, want)
		case floor:
			fmt.Printf("median %.0f to the floor's %.0f: %.2f of it\n", ours, rate, ours/rate)
		}
	}
	return nil
}

// prepare builds or installs the servers that are asked for.
func prepare(scratch string, servers []string) (map[string]starter, error) {
	starters := map[string]starter{}
	ours, bare, err := load.Build(scratch)
	if err != nil {
		return nil, err
	}
	starters["thalweg"], starters[floor] = ours.Start, bare.Start
	if slices.Contains(servers, dynalite) {
		npm := exec.Command("npm", "install", "--silent", "--no-audit", "--no-fund", "--prefix", filepath.Join(scratch, "npm"), dynalitePackage)
		npm.Stderr = os.Stderr
		if err := npm.Run(); err != nil {
			return nil, fmt.Errorf("install %s (needs Node.js): %w", dynalitePackage, err)
		}
		starters[dynalite] = func(dir string) (*exec.Cmd, string, error) {
			port := load.FreePort()
			cmd := exec.Command("node", filepath.Join(scratch, "npm", "node_modules", "dynalite", "cli.js"), "--port", port, "--path", dir, "--createTableMs", "0")
			return load.Listening(cmd, port)
		}
	}
	for _, name := range servers {
		if starters[name] == nil {
			return nil, fmt.Errorf("no server %q", name)
		}
	}
	return starters, nil
}

// measured is one run of a server. Latencies are in ms, processor times in µs a
// request.
type measured struct{ rate, p50, p99, server, client float64 }

// once measures a fresh server. The floor's file is kept for its next run.
func once(start starter, dir string, bare bool, length time.Duration) (measured, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return measured{}, err
	}
	cmd, addr, err := start(dir)
	if err != nil {
		return measured{}, err
	}
	defer func() {
		load.Stop(cmd)
		if !bare {
			os.RemoveAll(dir)
		}
	}()
	return measure(load.Target{Addr: addr, AccessKey: load.AccessKey, SecretKey: load.SecretKey}, cmd.Process.Pid, bare, length)
}

func median(list []float64) float64 {
	slices.Sort(list)
	return list[len(list)/2]
}

func call(t load.Target, c *load.Conn, op string, body string) ([]byte, error) {
	return c.Do(t.SignFor("dynamodb", "DynamoDB_20120810."+op, load.JSON10, []byte(body)))
}

const updateItem = `{"TableName":"leases","Key":{"k":{"S":%q}},"UpdateExpression":"SET n = n + :i","ConditionExpression":"#o = :o AND n < :most","ExpressionAttributeNames":{"#o":"owner"},` +
	`"ExpressionAttributeValues":{":i":{"N":"1"},":o":{"S":"worker-%d"},":most":{"N":"1000000000"}}}`

// measure makes the table, has the clients write, and counts what is there; of
// a bare server it does the second only.
func measure(t load.Target, pid int, bare bool, length time.Duration) (m measured, err error) {
	c, err := load.Dial(t.Addr)
	if err != nil {
		return m, err
	}
	defer c.Close()
	if !bare {
		if err := fill(t, c); err != nil {
			return m, err
		}
	}
	sets := make([][][]byte, clients)
	for w := range clients {
		for i := range items {
			sets[w] = append(sets[w], t.SignFor("dynamodb", "DynamoDB_20120810.UpdateItem", load.JSON10, fmt.Appendf(nil, updateItem, key(w, i), w)))
		}
	}
	if _, err := write(t, sets, length/3); err != nil { // to warm up
		return m, err
	}
	before := 0
	if !bare {
		if before, err = total(t, c); err != nil {
			return m, err
		}
	}
	server, client, from := load.CPU(pid), load.CPU(os.Getpid()), time.Now()
	took, err := write(t, sets, length)
	if err != nil {
		return m, err
	}
	count := float64(len(took))
	m.rate = count / time.Since(from).Seconds()
	m.server, m.client = float64((load.CPU(pid)-server).Microseconds())/count, float64((load.CPU(os.Getpid())-client).Microseconds())/count
	slices.Sort(took)
	ms := func(q float64) float64 { return float64(took[int(q*float64(len(took)-1))]) / 1e6 }
	m.p50, m.p99 = ms(.5), ms(.99)
	if bare {
		return m, nil
	}
	after, err := total(t, c)
	if err == nil && after-before != len(took) {
		err = fmt.Errorf("%d writes were acknowledged, %d are there", len(took), after-before)
	}
	return m, err
}

func key(client, item int) string { return fmt.Sprintf("shardId-%06d%06d", client, item) }

// fill makes the table and its items.
func fill(t load.Target, c *load.Conn) error {
	if _, err := call(t, c, "CreateTable", `{"TableName":"leases","BillingMode":"PAY_PER_REQUEST","KeySchema":[{"AttributeName":"k","KeyType":"HASH"}],"AttributeDefinitions":[{"AttributeName":"k","AttributeType":"S"}]}`); err != nil {
		return err
	}
	for {
		b, err := call(t, c, "DescribeTable", `{"TableName":"leases"}`)
		if err != nil {
			return err
		}
		if bytes.Contains(b, []byte(`"TableStatus":"ACTIVE"`)) {
			break
		}
		time.Sleep(50 * time.Millisecond)
	}
	pad := strings.Repeat("x", 400)
	for w := range clients {
		for i := range items {
			if _, err := call(t, c, "PutItem", fmt.Sprintf(`{"TableName":"leases","Item":{"k":{"S":%q},"owner":{"S":"worker-%d"},"n":{"N":"0"},"pad":{"S":%q}}}`, key(w, i), w, pad)); err != nil {
				return err
			}
		}
	}
	return nil
}

// write has each client write its items in turn and returns how long each call took.
func write(t load.Target, sets [][][]byte, length time.Duration) ([]time.Duration, error) {
	end := time.Now().Add(length)
	took := make([][]time.Duration, clients)
	errs := make([]error, clients)
	var wg sync.WaitGroup
	for w := range clients {
		wg.Go(func() {
			c, err := load.Dial(t.Addr)
			if err != nil {
				errs[w] = err
				return
			}
			defer c.Close()
			for i := 0; ; i++ {
				from := time.Now()
				if from.After(end) {
					return
				}
				answer, err := c.Do(sets[w][i%items])
				if err == nil && string(answer) != "{}" {
					err = fmt.Errorf("the answer was %q", answer)
				}
				if err != nil {
					errs[w] = err
					return
				}
				took[w] = append(took[w], time.Since(from))
			}
		})
	}
	wg.Wait()
	return slices.Concat(took...), errors.Join(errs...)
}

// total adds up what all items count.
func total(t load.Target, c *load.Conn) (int, error) {
	sum, start := 0, ""
	for {
		b, err := call(t, c, "Scan", `{"TableName":"leases","ConsistentRead":true`+start+`}`)
		if err != nil {
			return 0, err
		}
		var page struct {
			Items            []struct{ N struct{ N string } }
			LastEvaluatedKey json.RawMessage
		}
		if err := json.Unmarshal(b, &page); err != nil {
			return 0, err
		}
		for _, i := range page.Items {
			var n int
			fmt.Sscan(i.N.N, &n)
			sum += n
		}
		if page.LastEvaluatedKey == nil {
			return sum, nil
		}
		start = `,"ExclusiveStartKey":` + string(page.LastEvaluatedKey)
	}
}
