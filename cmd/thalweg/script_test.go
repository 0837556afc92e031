package main

import (
	"bufio"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"
)

func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){"thalweg": main})
}

// TestScripts runs the scripts of test/script against the real program. Besides
// testscript's own commands, whose names (stop and kill among them) win over
// ours, they have:
//
//	start NAME ARG...  starts `thalweg serve ARG...` on a free port, waits until
//	                   it says that it is ready, and sets NAME to its address
//	                   and THALWEG_ENDPOINT to its URL
//	halt NAME          sends SIGTERM and wants exit code 0
//	crash NAME         sends SIGKILL
//	get URL            prints status and body
//	flip FILE OFFSET   flips a bit of the byte at OFFSET
func TestScripts(t *testing.T) {
	testscript.Run(t, testscript.Params{
		Dir: "../../test/script",
		Setup: func(env *testscript.Env) error {
			env.Values["servers"] = servers{}
			env.Setenv("THALWEG_ENDPOINT", "http://127.0.0.1:1")
			return nil
		},
		Cmds: map[string]func(*testscript.TestScript, bool, []string){
			"start": cmdStart,
			"halt":  func(ts *testscript.TestScript, _ bool, args []string) { end(ts, args, syscall.SIGTERM) },
			"crash": func(ts *testscript.TestScript, _ bool, args []string) { end(ts, args, syscall.SIGKILL) },
			"get":   cmdGet,
			"flip":  cmdFlip,
		},
	})
}

// servers is what a script has started, by name.
type servers map[string]*exec.Cmd

var readyLine = regexp.MustCompile(`^thalweg is ready on http://(\S+) and https://\S+ \(.*\)\n$`)

func cmdStart(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) == 0 {
		ts.Fatalf("usage: start NAME ARG...")
	}
	program, err := exec.LookPath("thalweg")
	ts.Check(err)
	cmd := exec.Command(program, append([]string{"serve", "--listen", "127.0.0.1:0"}, args[1:]...)...)
	cmd.Dir = ts.Getenv("WORK")
	cmd.Env = append(os.Environ(), "THALWEG_ACCESS_KEY_ID="+ts.Getenv("SERVER_KEY"), "THALWEG_SECRET_ACCESS_KEY="+ts.Getenv("SERVER_SECRET"))
	log, err := os.Create(ts.MkAbs(args[0] + ".log"))
	ts.Check(err)
	defer log.Close()
	cmd.Stderr = log
	out, err := cmd.StdoutPipe()
	ts.Check(err)
	ts.Check(cmd.Start())
	ts.Defer(func() { _ = cmd.Process.Kill(); _ = cmd.Wait() })
	line, err := bufio.NewReader(out).ReadString('\n')
	m := readyLine.FindStringSubmatch(line)
	if m == nil {
		_ = cmd.Wait()
		ts.Fatalf("the server said %q (%v)\n%s", line, err, ts.ReadFile(args[0]+".log"))
	}
	ts.Value("servers").(servers)[args[0]] = cmd
	ts.Setenv(args[0], m[1])
	ts.Setenv("THALWEG_ENDPOINT", "http://"+m[1])
}

func end(ts *testscript.TestScript, args []string, how syscall.Signal) {
	cmd := ts.Value("servers").(servers)[args[0]]
	ts.Check(cmd.Process.Signal(how))
	if err := cmd.Wait(); err != nil && how == syscall.SIGTERM {
		ts.Fatalf("%s ended with %v\n%s", args[0], err, ts.ReadFile(args[0]+".log"))
	}
}

func cmdGet(ts *testscript.TestScript, _ bool, args []string) {
	resp, err := http.Get(args[0])
	ts.Check(err)
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	ts.Check(err)
	fmt.Fprintf(ts.Stdout(), "%d\n%s", resp.StatusCode, body)
}

func cmdFlip(ts *testscript.TestScript, _ bool, args []string) {
	names, err := filepath.Glob(ts.MkAbs(args[0]))
	ts.Check(err)
	if len(names) != 1 {
		ts.Fatalf("%s names %d files", args[0], len(names))
	}
	offset, err := strconv.ParseInt(args[1], 0, 64)
	ts.Check(err)
	f, err := os.OpenFile(names[0], os.O_RDWR, 0)
	ts.Check(err)
	defer f.Close()
	var b [1]byte
	_, err = f.ReadAt(b[:], offset)
	ts.Check(err)
	b[0] ^= 0x10
	_, err = f.WriteAt(b[:], offset)
	ts.Check(err)
}

// TestReadme runs the commands of the README that need Go alone, as they are
// written, but for the port and the folder.
func TestReadme(t *testing.T) {
	readme, err := os.ReadFile("../../README.md")
	if err != nil {
		t.Fatal(err)
	}
	blocks := map[string]string{}
	for _, m := range regexp.MustCompile("(?s)<!-- run: (\\w+) -->\n```\\w+\n(.*?)```").FindAllStringSubmatch(string(readme), -1) {
		blocks[m[1]] = m[2]
	}
	for _, name := range []string{"demo", "serve", "go", "awscli", "boto3", "test"} {
		if blocks[name] == "" {
			t.Fatalf("the README has no block %q", name)
		}
	}
	if got := strings.TrimSpace(blocks["test"]); got != "go test ./..." {
		t.Errorf("the README tests with %q, .ci/run with `go test ./...`", got)
	}
	data := t.TempDir()
	bash := func(script string) *exec.Cmd {
		cmd := exec.Command("bash", "-euo", "pipefail", "-c", script)
		cmd.Dir = "../.."
		cmd.Env = append(os.Environ(), "THALWEG_LISTEN=127.0.0.1:0", "THALWEG_DATA="+data)
		return cmd
	}

	out, err := bash(blocks["demo"]).CombinedOutput()
	if err != nil || !strings.Contains(string(out), "Every record came back once") {
		t.Fatalf("demo: %v\n%s", err, out)
	}

	// The last line is the server: exec makes it the process to signal.
	serve := bash(strings.Replace(blocks["serve"], "./bin/thalweg serve", "exec ./bin/thalweg serve", 1))
	serve.Stderr = os.Stderr
	stdout, err := serve.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := serve.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = serve.Process.Kill(); _ = serve.Wait() })
	line, err := bufio.NewReader(stdout).ReadString('\n')
	m := readyLine.FindStringSubmatch(line)
	if m == nil {
		t.Fatalf("serve said %q: %v", line, err)
	}

	walk := bash(blocks["go"])
	walk.Env = append(walk.Env, "THALWEG_ENDPOINT=http://"+m[1])
	out, err = walk.CombinedOutput()
	if err != nil {
		t.Fatalf("quick start: %v\n%s", err, out)
	}
	for _, want := range []string{
		"stream orders is active", "customer-7\ta pot of tea", `customer-9	{"customer":"customer-9","item":"coffee"}`,
		"split shardId-000000000000 of orders", "customer-7\ta walk home", "stream orders is deleted",
	} {
		if !strings.Contains(string(out), want) {
			t.Errorf("the quick start does not print %q:\n%s", want, out)
		}
	}
	if err := serve.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	if err := serve.Wait(); err != nil {
		t.Errorf("serve ended with %v", err)
	}
}
