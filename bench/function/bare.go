package main

import (
	"bytes"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// bare is the least that runs a function: its process, our shim, and a Runtime
// API of a few lines. It has no limits, time-outs, logs or pools.
type bare struct {
	cmd     *exec.Cmd
	server  *http.Server
	payload []byte
	begin   chan struct{}
	answers chan []byte
	first   chan time.Time // of the first time that it asked for work
	asked   bool
	n       int
}

// startBare starts a function whose files and shims lie in dir.
func startBare(f *fn, dir string) (b *bare, started time.Time, err error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, started, err
	}
	b = &bare{begin: make(chan struct{}), answers: make(chan []byte), first: make(chan time.Time, 1)}
	b.server = &http.Server{Handler: b}
	go b.server.Serve(l)
	args := []string{filepath.Join(dir, "bootstrap")}
	if f.interpreter != "" {
		args = append([]string{f.interpreter}, f.args(dir)...)
	}
	b.cmd = exec.Command(args[0], args[1:]...)
	b.cmd.Dir, b.cmd.Stderr = dir, os.Stderr
	b.cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	b.cmd.Env = append(os.Environ(), "AWS_LAMBDA_RUNTIME_API="+l.Addr().String(), "_HANDLER="+f.handler, "LAMBDA_TASK_ROOT="+dir,
		"AWS_LAMBDA_FUNCTION_NAME=f", "AWS_LAMBDA_FUNCTION_VERSION=$LATEST", "AWS_LAMBDA_FUNCTION_MEMORY_SIZE=512",
		"AWS_LAMBDA_LOG_GROUP_NAME=g", "AWS_LAMBDA_LOG_STREAM_NAME=s", "AWS_REGION=us-east-1")
	started = time.Now()
	return b, started, b.cmd.Start()
}

func (b *bare) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if strings.HasSuffix(r.URL.Path, "/next") {
		if !b.asked {
			b.asked = true
			b.first <- time.Now()
		}
		select {
		case <-b.begin:
		case <-r.Context().Done():
			return
		}
		b.n++
		h := w.Header()
		h.Set("Content-Type", "application/json")
		h.Set("Lambda-Runtime-Aws-Request-Id", fmt.Sprintf("00000000-0000-4000-8000-%012d", b.n))
		h.Set("Lambda-Runtime-Deadline-Ms", strconv.FormatInt(time.Now().Add(time.Minute).UnixMilli(), 10))
		h.Set("Lambda-Runtime-Invoked-Function-Arn", "arn:aws:lambda:us-east-1:000000000000:function:f")
		h.Set("Lambda-Runtime-Trace-Id", "Root=1-5bef4de7-ad49b0e87f6ef6c87fc2e700;Parent=9a9197af755a6419;Sampled=0")
		h.Set("Content-Length", strconv.Itoa(len(b.payload)))
		w.Write(b.payload)
		return
	}
	body, _ := io.ReadAll(r.Body)
	w.WriteHeader(http.StatusAccepted)
	io.WriteString(w, `{"status":"OK"}`)
	b.answers <- body
}

// invoke runs the function once.
func (b *bare) invoke(payload, want []byte) error {
	b.payload = payload
	b.begin <- struct{}{}
	if got := <-b.answers; !bytes.Equal(got, want) {
		return fmt.Errorf("answered %.100q, want %s", got, want)
	}
	return nil
}

func (b *bare) stop() {
	syscall.Kill(-b.cmd.Process.Pid, syscall.SIGKILL)
	b.cmd.Wait()
	b.server.Close()
}
