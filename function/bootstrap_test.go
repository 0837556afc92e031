//go:build unix

package function

import (
	"archive/zip"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/thalweg/thalweg/internal/vfs"
	"github.com/thalweg/thalweg/shardlog/journal"
)

// The test binary is the functions' bootstrap as well: a script in the archive
// executes it with BEHAVIOR set.
func TestMain(m *testing.M) {
	if how := os.Getenv("BEHAVIOR"); how != "" {
		behave(how)
		os.Exit(0)
	}
	os.Exit(m.Run())
}

const api = "/2018-06-01/runtime/"

// runtimeClient speaks the Runtime API.
type runtimeClient struct{ base string }

func (c runtimeClient) next() (id string, header http.Header, event []byte) {
	resp, err := http.Get(c.base + "invocation/next")
	if err != nil {
		os.Exit(3) // the server has gone
	}
	defer resp.Body.Close()
	event, _ = io.ReadAll(resp.Body)
	return resp.Header.Get("Lambda-Runtime-Aws-Request-Id"), resp.Header, event
}

func (c runtimeClient) post(path, body string) (status int, answer string) {
	resp, err := http.Post(c.base+path, "application/json", strings.NewReader(body))
	if err != nil {
		return 0, err.Error()
	}
	defer resp.Body.Close()
	b, _ := io.ReadAll(resp.Body)
	return resp.StatusCode, string(b)
}

func (c runtimeClient) respond(id, body string) int {
	status, _ := c.post("invocation/"+id+"/response", body)
	return status
}

// behave is what the functions of tests do.
func behave(how string) {
	c := runtimeClient{"http://" + os.Getenv("AWS_LAMBDA_RUNTIME_API") + api}
	switch how {
	case "exit":
		fmt.Println("nothing to do")
		os.Exit(7)
	case "init error":
		c.post("init/error", `{"errorType":"Broken","errorMessage":"no database"}`)
		os.Exit(1)
	case "slow init":
		select {}
	case "stubborn":
		signal.Ignore(syscall.SIGTERM)
	}
	for n := 1; ; n++ {
		id, header, event := c.next()
		switch how {
		case "echo", "stubborn":
			fmt.Printf("got %s\n", event)
			c.respond(id, string(event))
		case "who":
			env := map[string]any{"pid": os.Getpid(), "n": n, "dir": must(os.Getwd()), "arn": header.Get("Lambda-Runtime-Invoked-Function-Arn"), "context": header.Get("Lambda-Runtime-Client-Context")}
			for _, v := range os.Environ() {
				name, value, _ := strings.Cut(v, "=")
				env[name] = value
			}
			b, _ := json.Marshal(env)
			c.respond(id, string(b))
		case "error":
			c.post("invocation/"+id+"/error", `{"errorType":"Oops","errorMessage":"no","stackTrace":["a"]}`)
		case "never":
			fmt.Println("thinking")
			select {}
		case "twice":
			first := c.respond(id, `"first"`)
			second := c.respond(id, `"second"`)
			third, _ := c.post("invocation/"+id+"/error", `{}`)
			unknown := c.respond("11111111-1111-1111-1111-111111111111", `{}`)
			fmt.Println("statuses", first, second, third, unknown)
		case "impatient": // asks again without an answer
			resp, err := http.Get(c.base + "invocation/next")
			if err == nil {
				c.respond(id, fmt.Sprint(resp.StatusCode))
			}
		case "garbage":
			conn, err := net.Dial("tcp", os.Getenv("AWS_LAMBDA_RUNTIME_API"))
			if err == nil {
				fmt.Fprint(conn, "\x00\xff garbage\r\n\r\n")
				io.Copy(io.Discard, conn)
			}
			c.post("no/such/path", "{}")
			c.respond(id, "\x00 not json")
		case "large":
			c.respond(id, strings.Repeat("x", maxResponse+1))
		case "loud":
			line := strings.Repeat("y", 1023) + "\n"
			chunk := strings.Repeat(line, 64)
			for range 1024 { // 64 MiB
				os.Stdout.WriteString(chunk)
			}
			os.Stdout.WriteString("no end of line")
			c.respond(id, "null")
		case "forks":
			pids := []int{os.Getpid()}
			for _, args := range [][]string{{"sleep", "1000"}, {"setsid", "sleep", "1000"}} {
				cmd := exec.Command(args[0], args[1:]...)
				if err := cmd.Start(); err != nil {
					fmt.Println(err)
				}
				pids = append(pids, cmd.Process.Pid)
			}
			b, _ := json.Marshal(pids)
			c.respond(id, string(b))
		case "greedy":
			var all [][]byte
			for {
				b := make([]byte, 1<<20)
				for i := range b {
					b[i] = byte(i)
				}
				if all = append(all, b); len(all) > 4<<10 {
					os.Exit(9)
				}
			}
		case "dies":
			os.Exit(0)
		case "waits": // tells an address that it is here, and waits for its word
			var address string
			json.Unmarshal(event, &address)
			conn, err := net.Dial("tcp", address)
			if err == nil {
				fmt.Fprintln(conn, os.Getpid())
				io.Copy(io.Discard, conn)
				conn.Close()
			}
			c.respond(id, fmt.Sprint(os.Getpid()))
		}
	}
}

func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}

// archive makes a zip of names and contents.
func archive(t testing.TB, files ...string) []byte {
	t.Helper()
	var b bytes.Buffer
	z := zip.NewWriter(&b)
	for i := 0; i < len(files); i += 2 {
		w, err := z.Create(files[i])
		if err != nil {
			t.Fatal(err)
		}
		if _, err := io.WriteString(w, files[i+1]); err != nil {
			t.Fatal(err)
		}
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// bootstrap is an archive whose bootstrap is this very program.
func bootstrap(t testing.TB) []byte {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	return archive(t, "bootstrap", "#!/bin/sh\nexec '"+self+"'\n")
}

// house is functions that run.
type house struct {
	*Functions
	log    *journal.Journal
	cancel func() // lets Run end
	end    func() // and waits for that
}

// run opens functions over the files of fs and runs them until the test ends,
// or end is called.
func run(t testing.TB, fs vfs.FS, change func(*Config)) *house {
	t.Helper()
	f, log := openWith(t, fs, func(cfg *Config) {
		cfg.Work = filepath.Join(t.TempDir(), "work")
		if change != nil {
			change(cfg)
		}
	})
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- f.Run(ctx) }()
	h := &house{Functions: f, log: log, cancel: cancel}
	ended := false
	h.end = func() {
		if ended {
			return
		}
		ended = true
		cancel()
		if err := errors.Join(<-done, log.Close()); err != nil {
			t.Error(err)
		}
	}
	t.Cleanup(h.end)
	return h
}

// create makes a function that behaves so.
func (h *house) create(t testing.TB, name, how string, change func(*Version)) {
	t.Helper()
	v := Version{Runtime: "provided.al2023", Handler: "x", Role: "arn:aws:iam::000000000000:role/r", Timeout: 30, Memory: 512, Architecture: Architecture(), Environment: map[string]string{"BEHAVIOR": how}}
	if change != nil {
		change(&v)
	}
	if _, _, err := h.Create(t.Context(), Name{account, region, name}, v, nil, bootstrap(t), false, time.Now()); err != nil {
		t.Fatal(err)
	}
}

func (h *house) call(t testing.TB, name, payload string) Outcome {
	t.Helper()
	out, err := h.Invoke(t.Context(), Invocation{Account: account, Region: region, Function: name, Payload: []byte(payload), Tail: true})
	if err != nil {
		t.Fatal(err)
	}
	return out
}
