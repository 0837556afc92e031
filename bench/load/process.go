package load

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"time"
)

// The credentials that servers under load are started with and that requests
// are signed with.
const (
	AccessKey = "AKIAIOSFODNN7EXAMPLE"
	SecretKey = "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY"
)

// Program is a server that was built and can be started over and over.
type Program struct {
	Keeps bool // its folder is worth keeping for the next start
	path  string
	args  func(dir string) []string
	env   []string
}

// Build compiles thalweg and the floor into scratch. It is to be run in this
// module.
func Build(scratch string) (thalweg, floor Program, err error) {
	root, err := exec.Command("go", "list", "-m", "-f", "{{.Dir}}", "github.com/thalweg/thalweg").Output()
	if err != nil {
		return thalweg, floor, fmt.Errorf("find thalweg (run in bench/): %w", err)
	}
	build := func(dir, pkg, out string) (string, error) {
		out = filepath.Join(scratch, out)
		cmd := exec.Command("go", "build", "-o", out, pkg)
		cmd.Dir, cmd.Stderr = dir, os.Stderr
		return out, cmd.Run()
	}
	thalweg.args = func(dir string) []string {
		return []string{"serve", "--listen", "127.0.0.1:0", "--data", dir, "--limits", "off", "--auth", "verify", "--log-level", "error"}
	}
	thalweg.env = []string{"THALWEG_ACCESS_KEY_ID=" + AccessKey, "THALWEG_SECRET_ACCESS_KEY=" + SecretKey}
	floor.Keeps = true // the file that it recycles
	floor.args = func(dir string) []string { return []string{"-data", dir, "-secret", SecretKey} }
	if thalweg.path, err = build(strings.TrimSpace(string(root)), "./cmd/thalweg", "thalweg.bin"); err != nil {
		return thalweg, floor, err
	}
	floor.path, err = build(filepath.Join(strings.TrimSpace(string(root)), "bench"), "./floor", "floor.bin")
	return thalweg, floor, err
}

// Open is thalweg that asks for no credentials.
func (p Program) Open() Program {
	p.env = nil
	p.args = func(dir string) []string {
		return []string{"serve", "--listen", "127.0.0.1:0", "--data", dir, "--limits", "off", "--auth", "none", "--log-level", "error"}
	}
	return p
}

// Start runs the program over a folder until it says that it is ready, and
// returns its address.
func (p Program) Start(dir string) (*exec.Cmd, string, error) {
	cmd := exec.Command(p.path, p.args(dir)...)
	cmd.Env = append(os.Environ(), p.env...)
	cmd.Stderr = os.Stderr
	out, err := cmd.StdoutPipe()
	if err != nil {
		return nil, "", err
	}
	if err := cmd.Start(); err != nil {
		return nil, "", err
	}
	ready := regexp.MustCompile(`ready on http://([0-9.:]+)`)
	for sc := bufio.NewScanner(out); sc.Scan(); {
		if m := ready.FindStringSubmatch(sc.Text()); m != nil {
			return cmd, m[1], nil
		}
	}
	cmd.Process.Kill()
	return nil, "", errors.New("did not become ready: " + cmd.String())
}

// Stop ends a server, by force if it takes more than ten seconds.
func Stop(cmd *exec.Cmd) {
	cmd.Process.Signal(syscall.SIGTERM)
	done := make(chan struct{})
	go func() { cmd.Wait(); close(done) }()
	select {
	case <-done:
	case <-time.After(10 * time.Second):
		cmd.Process.Kill()
		<-done
	}
}

// CPU is the processor time that a process has used, its threads together: by
// the scheduler's own count, which is finer than the ticks of stat.
func CPU(pid int) time.Duration {
	threads, _ := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/schedstat", pid))
	var all time.Duration
	for _, t := range threads {
		var ns int64
		if b, err := os.ReadFile(t); err == nil {
			fmt.Sscan(string(b), &ns)
		}
		all += time.Duration(ns)
	}
	return all
}

// Create makes the target's stream and waits until it can be used.
func (t Target) Create(shards int) error {
	c, err := Dial(t.Addr)
	if err != nil {
		return err
	}
	defer c.Close()
	if _, err := c.Do(t.Sign("CreateStream", JSON, fmt.Appendf(nil, `{"StreamName":%q,"ShardCount":%d}`, t.Stream, shards))); err != nil {
		return err
	}
	for {
		body, err := c.Do(t.Sign("DescribeStreamSummary", JSON, fmt.Appendf(nil, `{"StreamName":%q}`, t.Stream)))
		if err != nil {
			return err
		}
		var d struct {
			StreamDescriptionSummary struct{ StreamStatus string }
		}
		if err := json.Unmarshal(body, &d); err != nil {
			return err
		}
		if d.StreamDescriptionSummary.StreamStatus == "ACTIVE" {
			return nil
		}
		time.Sleep(50 * time.Millisecond)
	}
}
