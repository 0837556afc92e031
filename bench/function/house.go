package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"time"

	"github.com/thalweg/thalweg/catalog"
	"github.com/thalweg/thalweg/function"
	"github.com/thalweg/thalweg/internal/vfs"
	"github.com/thalweg/thalweg/shardlog/journal"
)

// house is package function as the server has it, over a journal and logs on
// disk, called as event source mappings call it.
type house struct {
	*function.Functions
	stop func() error
}

func startHouse(dir string) (*house, error) {
	facts := catalog.New()
	f := function.New(function.Config{Catalog: facts, FS: vfs.OS(), Dir: filepath.Join(dir, "functions"), Work: filepath.Join(dir, "work")})
	log, err := journal.Open(context.Background(), journal.Config{FS: vfs.OS(), Dir: filepath.Join(dir, "log"), Machine: facts, SegmentBytes: 16 << 20})
	if err != nil {
		return nil, err
	}
	facts.Attach(log)
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- f.Run(ctx) }()
	return &house{f, func() error {
		cancel()
		return errors.Join(<-done, log.Close())
	}}, nil
}

const account, region = "000000000000", "us-east-1"

func (h *house) create(f *fn) error {
	v := function.Version{Runtime: f.runtime, Handler: f.handler, Role: "arn:aws:iam::000000000000:role/r", Timeout: 60, Memory: 1024, Architecture: function.Architecture()}
	_, _, err := h.Create(context.Background(), function.Name{Account: account, Region: region, Function: f.name}, v, nil, f.archive, false, time.Now())
	return err
}

func (h *house) invoke(f *fn, payload, want []byte) error {
	out, err := h.Invoke(context.Background(), function.Invocation{Account: account, Region: region, Function: f.name, Payload: payload})
	if err == nil && !bytes.Equal(out.Payload, want) {
		err = fmt.Errorf("answered %.300q, want %s", out.Payload, want)
	}
	return err
}

// cool makes the next invocation one that starts a process.
func (h *house) cool(f *fn, n int) error {
	_, err := h.Configure(context.Background(), function.Name{Account: account, Region: region, Function: f.name}, "", func(v *function.Version) error {
		v.Description = fmt.Sprint(n)
		return nil
	}, time.Now())
	return err
}

// remote calls a whole server over HTTP, signed as a client that nobody checks.
type remote struct {
	url  string
	http *http.Client
}

func (r *remote) call(method, path string, body []byte, want int) ([]byte, error) {
	req, err := http.NewRequest(method, r.url+path, bytes.NewReader(body))
	if err != nil {
		return nil, err
	}
	resp, err := r.http.Do(req)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if err == nil && resp.StatusCode != want {
		err = fmt.Errorf("%s: %s %s", path, resp.Status, b)
	}
	return b, err
}

func (r *remote) invoke(f *fn, payload, want []byte) error {
	got, err := r.call(http.MethodPost, "/2015-03-31/functions/"+f.name+"/invocations", payload, http.StatusOK)
	if err == nil && !bytes.Equal(got, want) {
		err = fmt.Errorf("answered %.300q, want %s", got, want)
	}
	return err
}

// unpack writes a function's files and our shims where bare ones find them.
func unpack(f *fn, work, dir string) error {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	for name, text := range f.files {
		if err := os.WriteFile(filepath.Join(dir, name), text, 0o755); err != nil {
			return err
		}
	}
	for _, shim := range []string{"boot.py", "boot.mjs"} {
		text, err := os.ReadFile(filepath.Join(work, shim))
		if err != nil {
			return err
		}
		if err := os.WriteFile(filepath.Join(dir, shim), text, 0o644); err != nil {
			return err
		}
	}
	return nil
}
