// Command function measures invocations of a function in Go, Python and Node:
// bare (its process, our shim and a Runtime API of a few lines), by package
// function as mappings call it, and by a whole server over HTTP. All three run
// the same files, in turns, with a small event and with one of 1,000 records of
// 1 KiB, one at a time and on two instances at once. Every answer is compared.
// Cold starts are compared with the time that the bare process takes until it
// asks for work.
//
//	go run ./function [-runs 5] [-time 1s] [-runtimes go,python,node] [-cold 15]
package main

import (
	"archive/zip"
	"bytes"
	"encoding/base64"
	"encoding/json"
	"flag"
	"fmt"
	"log"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/thalweg/thalweg/bench/load"
	"github.com/thalweg/thalweg/function"
)

// fn is a function in one runtime.
type fn struct {
	name, runtime, handler string
	interpreter            string // "" for Go
	args                   func(dir string) []string
	files                  map[string][]byte
	archive                []byte
}

const (
	want     = 0.8 // of the bare rate
	wantCold = 10 * time.Millisecond
)

func main() {
	runs := flag.Int("runs", 5, "runs of each")
	length := flag.Duration("time", time.Second, "length of a measured stretch")
	cold := flag.Int("cold", 15, "cold starts of each")
	runtimes := flag.String("runtimes", "go,python,node", "which to measure")
	flag.Parse()
	log.SetFlags(0)
	if err := run(*runs, *length, *cold, strings.Split(*runtimes, ",")); err != nil {
		log.Fatal("function: ", err)
	}
}

func run(runs int, length time.Duration, cold int, names []string) error {
	scratch, err := os.MkdirTemp("", "thalweg-bench-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(scratch)
	fns, err := prepare(scratch, names)
	if err != nil {
		return err
	}
	h, err := startHouse(filepath.Join(scratch, "house"))
	if err != nil {
		return err
	}
	defer h.stop()
	r, stop, err := startServer(scratch, fns)
	if err != nil {
		return err
	}
	defer stop()
	for _, f := range fns {
		if err := h.create(f); err != nil {
			return err
		}
		small, large := []byte(`{"a":1}`), event(1000)
		if err := h.invoke(f, small, []byte("0")); err != nil { // the shims are there from now on
			return fmt.Errorf("%s: %w", f.name, err)
		}
		dir := filepath.Join(scratch, "bare-"+f.name)
		if err := unpack(f, filepath.Join(scratch, "house", "work"), dir); err != nil {
			return err
		}
		for _, c := range []struct {
			what      string
			payload   []byte
			answer    string
			instances int
			records   float64
		}{
			{"small event, one at a time", small, "0", 1, 0},
			{"small event, two at once", small, "0", 2, 0},
			{"1000 x 1 KiB, one at a time", large, "1000", 1, 1000},
			{"1000 x 1 KiB, two at once", large, "1000", 2, 1000},
		} {
			rates, err := turns(f, h, r, dir, c.instances, runs, length, c.payload, []byte(c.answer))
			if err != nil {
				return fmt.Errorf("%s, %s: %w", f.name, c.what, err)
			}
			bare, ours, server := median(rates[0]), median(rates[1]), median(rates[2])
			verdict := ""
			if ours < want*bare {
				verdict = fmt.Sprintf("  less than %.1f", want)
			}
			if c.records > 0 {
				fmt.Printf("%-7s %-28s bare %8.0f records/s   function %8.0f (%.2f)   over HTTP %8.0f (%.2f)%s\n", f.name, c.what, bare*c.records, ours*c.records, ours/bare, server*c.records, server/bare, verdict)
				continue
			}
			fmt.Printf("%-7s %-28s bare %8.0f invocations/s   function %8.0f (%.2f)   over HTTP %8.0f (%.2f)%s\n", f.name, c.what, bare, ours, ours/bare, server, server/bare, verdict)
		}
		if err := starts(f, h, dir, cold, small); err != nil {
			return fmt.Errorf("%s, cold: %w", f.name, err)
		}
	}
	return nil
}

// turns measures bare, house and server, in turns, in invocations a second.
func turns(f *fn, h *house, r *remote, dir string, instances, runs int, length time.Duration, payload, answer []byte) (rates [3][]float64, err error) {
	bares := make([]*bare, instances)
	for i := range bares {
		if bares[i], _, err = startBare(f, dir); err != nil {
			return rates, err
		}
		defer bares[i].stop()
		<-bares[i].first
	}
	for range runs {
		for k, invoke := range []func(i int) error{
			func(i int) error { return bares[i].invoke(payload, answer) },
			func(int) error { return h.invoke(f, payload, answer) },
			func(int) error { return r.invoke(f, payload, answer) },
		} {
			rate, err := measure(instances, length, invoke)
			if err != nil {
				return rates, err
			}
			rates[k] = append(rates[k], rate)
		}
	}
	return rates, nil
}

// measure invokes on so many at once and returns how many a second.
func measure(instances int, length time.Duration, invoke func(i int) error) (float64, error) {
	for i := range instances { // warm
		for range 20 {
			if err := invoke(i); err != nil {
				return 0, err
			}
		}
	}
	counts, errs := make([]int, instances), make([]error, instances)
	began := time.Now()
	var wg sync.WaitGroup
	for i := range instances {
		wg.Go(func() {
			for time.Since(began) < length && errs[i] == nil {
				errs[i] = invoke(i)
				counts[i]++
			}
		})
	}
	wg.Wait()
	took := time.Since(began)
	total := 0
	for i := range instances {
		if errs[i] != nil {
			return 0, errs[i]
		}
		total += counts[i]
	}
	return float64(total) / took.Seconds(), nil
}

// starts compares cold starts: what an invocation that starts a process takes
// beyond a warm one, and what the bare process takes until it asks for work.
func starts(f *fn, h *house, dir string, n int, payload []byte) error {
	var bares, ours []float64
	for i := range n {
		b, started, err := startBare(f, dir)
		if err != nil {
			return err
		}
		bares = append(bares, (<-b.first).Sub(started).Seconds()*1000)
		b.stop()
		if err := h.cool(f, i); err != nil {
			return err
		}
		began := time.Now()
		if err := h.invoke(f, payload, []byte("0")); err != nil {
			return err
		}
		cold := time.Since(began)
		began = time.Now()
		if err := h.invoke(f, payload, []byte("0")); err != nil {
			return err
		}
		ours = append(ours, (cold-time.Since(began)).Seconds()*1000)
	}
	bare, cold := median(bares), median(ours)
	verdict := ""
	if cold-bare > wantCold.Seconds()*1000 {
		verdict = fmt.Sprintf("  more than %s", wantCold)
	}
	fmt.Printf("%-7s %-28s bare %8.1f ms   function %8.1f ms, %.1f ms more%s\n", f.name, "cold start", bare, cold, cold-bare, verdict)
	return nil
}

func median(v []float64) float64 {
	slices.Sort(v)
	return v[len(v)/2]
}

// event is what a mapping sends of so many records of 1 KiB.
func event(records int) []byte {
	data := base64.StdEncoding.EncodeToString(bytes.Repeat([]byte("x"), 1024))
	var b bytes.Buffer
	b.WriteString(`{"Records":[`)
	for i := range records {
		if i > 0 {
			b.WriteByte(',')
		}
		fmt.Fprintf(&b, `{"kinesis":{"kinesisSchemaVersion":"1.0","partitionKey":"k%d","sequenceNumber":"4959033827%046d","data":"%s","approximateArrivalTimestamp":1607497475.000},`+
			`"eventSource":"aws:kinesis","eventVersion":"1.0","eventID":"shardId-000000000006:%d","eventName":"aws:kinesis:record","invokeIdentityArn":"arn:aws:iam::000000000000:role/r","awsRegion":"us-east-1","eventSourceARN":"arn:aws:kinesis:us-east-1:000000000000:stream/s"}`, i, i, data, i)
	}
	b.WriteString(`]}`)
	return b.Bytes()
}

// prepare builds and packs the functions.
func prepare(scratch string, names []string) (fns []*fn, err error) {
	for _, name := range names {
		f := &fn{name: name, files: map[string][]byte{}}
		switch name {
		case "go":
			f.runtime, f.handler = "provided.al2023", "bootstrap"
			out := filepath.Join(scratch, "bootstrap")
			cmd := exec.Command("go", "build", "-tags", "lambda.norpc", "-o", out, "./function/functions/gofn")
			cmd.Env, cmd.Stderr = append(os.Environ(), "CGO_ENABLED=0"), os.Stderr
			if err := cmd.Run(); err != nil {
				return nil, err
			}
			f.files["bootstrap"], err = os.ReadFile(out)
		case "python":
			f.runtime, f.handler = "python3.13", "app.handler"
			f.interpreter, err = found("python3", "-c", "import sys; print(sys.executable)")
			f.args = func(dir string) []string { return []string{"-u", filepath.Join(dir, "boot.py")} }
		case "node":
			f.runtime, f.handler = "nodejs22.x", "app.handler"
			f.interpreter, err = found("node", "-p", "process.execPath")
			f.args = func(dir string) []string { return []string{filepath.Join(dir, "boot.mjs")} }
		default:
			err = fmt.Errorf("runtime %q is none of go, python, node", name)
		}
		if err != nil {
			return nil, err
		}
		if ext := map[string]string{"python": "app.py", "node": "app.mjs"}[name]; ext != "" {
			if f.files[ext], err = os.ReadFile("function/functions/" + ext); err != nil {
				return nil, fmt.Errorf("%w (run in bench/)", err)
			}
		}
		var b bytes.Buffer
		z := zip.NewWriter(&b)
		for n, text := range f.files {
			w, err := z.Create(n)
			if err != nil {
				return nil, err
			}
			w.Write(text)
		}
		if err := z.Close(); err != nil {
			return nil, err
		}
		f.archive = b.Bytes()
		fns = append(fns, f)
	}
	return fns, nil
}

func found(program string, args ...string) (string, error) {
	out, err := exec.Command(program, args...).Output()
	return strings.TrimSpace(string(out)), err
}

// startServer starts a whole server with the functions deployed.
func startServer(scratch string, fns []*fn) (*remote, func(), error) {
	program, _, err := load.Build(scratch)
	if err != nil {
		return nil, nil, err
	}
	cmd, address, err := program.Open().Start(filepath.Join(scratch, "server"))
	if err != nil {
		return nil, nil, err
	}
	stop := func() {
		cmd.Process.Signal(os.Interrupt)
		cmd.Wait()
	}
	r := &remote{"http://" + address, &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: 16}}}
	for _, f := range fns {
		body, err := json.Marshal(map[string]any{
			"FunctionName": f.name, "Runtime": f.runtime, "Handler": f.handler, "Role": "arn:aws:iam::000000000000:role/r", "Timeout": 60, "MemorySize": 1024,
			"Architectures": []string{function.Architecture()}, "Code": map[string]any{"ZipFile": f.archive},
		})
		if err == nil {
			_, err = r.call(http.MethodPost, "/2015-03-31/functions", body, http.StatusCreated)
		}
		if err != nil {
			stop()
			return nil, nil, fmt.Errorf("deploy %s: %w", strconv.Quote(f.name), err)
		}
	}
	return r, stop, nil
}
