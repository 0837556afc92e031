// Command table measures conditional UpdateItem of thalweg and of dynalite as
// whole processes, over loopback, each fresh, in turns: writes a second and
// their latency, of 16 clients that each add to 64 items of their own of some
// 500 bytes, as a worker does that renews its leases. Every answer is looked
// at, and in the end the items hold as many additions as were acknowledged.
// thalweg has each of them on disk when it answers; dynalite keeps its in
// LevelDB without syncing.
//
//	go run ./table [-runs 5] [-time 3s]
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
	clients  = 16
	items    = 64 // of each client
	dynalite = "dynalite@4.0.0"
	want     = 5.0 // times dynalite's rate
)

func main() {
	runs := flag.Int("runs", 5, "runs of each server")
	length := flag.Duration("time", 3*time.Second, "length of a measured stretch")
	flag.Parse()
	log.SetFlags(0)
	if err := run(*runs, *length); err != nil {
		log.Fatal("table: ", err)
	}
}

// starter starts a server over a folder.
type starter struct {
	name  string
	start func(dir string) (*exec.Cmd, string, error)
}

func run(runs int, length time.Duration) error {
	scratch, err := os.MkdirTemp("", "thalweg-bench-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(scratch)
	thalweg, _, err := load.Build(scratch)
	if err != nil {
		return err
	}
	npm := exec.Command("npm", "install", "--silent", "--no-audit", "--no-fund", "--prefix", filepath.Join(scratch, "npm"), dynalite)
	npm.Stderr = os.Stderr
	if err := npm.Run(); err != nil {
		return fmt.Errorf("install %s (needs Node.js): %w", dynalite, err)
	}
	peer := func(dir string) (*exec.Cmd, string, error) {
		port := load.FreePort()
		cmd := exec.Command("node", filepath.Join(scratch, "npm", "node_modules", "dynalite", "cli.js"), "--port", port, "--path", dir, "--createTableMs", "0")
		return load.Listening(cmd, port)
	}
	rates := map[string][]float64{}
	for range runs {
		for _, s := range []starter{{"thalweg", thalweg.Start}, {"dynalite", peer}} {
			dir := filepath.Join(scratch, "data")
			cmd, addr, err := s.start(dir)
			if err != nil {
				return err
			}
			rate, p50, p99, err := measure(load.Target{Addr: addr, AccessKey: load.AccessKey, SecretKey: load.SecretKey}, length)
			load.Stop(cmd)
			os.RemoveAll(dir)
			if err != nil {
				return fmt.Errorf("%s: %w", s.name, err)
			}
			rates[s.name] = append(rates[s.name], rate)
			fmt.Printf("%-9s %8.0f UpdateItem/s   p50 %7.2f ms   p99 %7.2f ms\n", s.name, rate, p50, p99)
		}
	}
	ratio := median(rates["thalweg"]) / median(rates["dynalite"])
	fmt.Printf("median %.0f to %.0f: %.1f times, %.0f wanted\n", median(rates["thalweg"]), median(rates["dynalite"]), ratio, want)
	return nil
}

func median(list []float64) float64 {
	slices.Sort(list)
	return list[len(list)/2]
}

func call(t load.Target, c *load.Conn, op string, body string) ([]byte, error) {
	return c.Do(t.SignFor("dynamodb", "DynamoDB_20120810."+op, load.JSON10, []byte(body)))
}

// measure makes the table, has the clients write, and counts what is there.
func measure(t load.Target, length time.Duration) (rate, p50, p99 float64, err error) {
	c, err := load.Dial(t.Addr)
	if err != nil {
		return 0, 0, 0, err
	}
	defer c.Close()
	if _, err = call(t, c, "CreateTable", `{"TableName":"leases","BillingMode":"PAY_PER_REQUEST","KeySchema":[{"AttributeName":"k","KeyType":"HASH"}],"AttributeDefinitions":[{"AttributeName":"k","AttributeType":"S"}]}`); err != nil {
		return 0, 0, 0, err
	}
	for {
		b, err := call(t, c, "DescribeTable", `{"TableName":"leases"}`)
		if err != nil {
			return 0, 0, 0, err
		}
		if bytes.Contains(b, []byte(`"TableStatus":"ACTIVE"`)) {
			break
		}
		time.Sleep(50 * time.Millisecond)
	}
	pad := strings.Repeat("x", 400)
	sets := make([][][]byte, clients)
	for w := range clients {
		for i := range items {
			k := fmt.Sprintf("shardId-%06d%06d", w, i)
			if _, err := call(t, c, "PutItem", fmt.Sprintf(`{"TableName":"leases","Item":{"k":{"S":%q},"owner":{"S":"worker-%d"},"n":{"N":"0"},"pad":{"S":%q}}}`, k, w, pad)); err != nil {
				return 0, 0, 0, err
			}
			sets[w] = append(sets[w], t.SignFor("dynamodb", "DynamoDB_20120810.UpdateItem", load.JSON10, fmt.Appendf(nil,
				`{"TableName":"leases","Key":{"k":{"S":%q}},"UpdateExpression":"SET n = n + :i","ConditionExpression":"#o = :o AND n < :most","ExpressionAttributeNames":{"#o":"owner"},`+
					`"ExpressionAttributeValues":{":i":{"N":"1"},":o":{"S":"worker-%d"},":most":{"N":"1000000000"}}}`, k, w)))
		}
	}
	if _, err := write(t, sets, length/3); err != nil { // to warm up
		return 0, 0, 0, err
	}
	before, err := total(t, c)
	if err != nil {
		return 0, 0, 0, err
	}
	from := time.Now()
	took, err := write(t, sets, length)
	elapsed := time.Since(from)
	if err != nil {
		return 0, 0, 0, err
	}
	after, err := total(t, c)
	if err == nil && after-before != len(took) {
		err = fmt.Errorf("%d writes were acknowledged, %d are there", len(took), after-before)
	}
	if err != nil {
		return 0, 0, 0, err
	}
	slices.Sort(took)
	ms := func(q float64) float64 { return float64(took[int(q*float64(len(took)-1))]) / 1e6 }
	return float64(len(took)) / elapsed.Seconds(), ms(.5), ms(.99), nil
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
				if _, err := c.Do(sets[w][i%items]); err != nil {
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
