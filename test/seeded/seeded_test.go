// Package seeded puts bugs into the program, one at a time, and sees to it that
// a test finds each: what makes the tests worth believing. bugs.txt is the list
// of them, with the test that has to fail. The tree itself is never changed: the
// build gets the changed file as an overlay.
package seeded

import (
	"encoding/json"
	"errors"
	"flag"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

var apply = flag.Bool("apply", false, "build each bug in and run its test, which takes minutes; else only see whether the list fits the code")

// bug is a change of a file that a test must not survive.
type bug struct {
	name     string
	file     string
	old, new string // the text that is replaced is in the file once
	pkg      string
	test     string
	flags    []string // of the test
}

func TestSeededBugs(t *testing.T) {
	root, err := filepath.Abs("../..")
	if err != nil {
		t.Fatal(err)
	}
	list, err := os.ReadFile("bugs.txt")
	if err != nil {
		t.Fatal(err)
	}
	began, bugs := time.Now(), parse(t, string(list))
	for _, b := range bugs {
		t.Run(b.name, func(t *testing.T) {
			path := filepath.Join(root, filepath.FromSlash(b.file))
			text, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			if n := strings.Count(string(text), b.old); n != 1 {
				t.Fatalf("%s has %d places for this bug; bugs.txt changes with the code:\n%s", b.file, n, b.old)
			}
			if *apply {
				b.catch(t, path, strings.Replace(string(text), b.old, b.new, 1))
			}
		})
	}
	if *apply {
		t.Logf("%d bugs in %v", len(bugs), time.Since(began).Round(time.Second))
	}
}

// catch runs the bug's test with text in the place of the file.
func (b *bug) catch(t *testing.T, path, text string) {
	dir := t.TempDir()
	changed, overlay := filepath.Join(dir, "changed.go"), filepath.Join(dir, "overlay.json")
	replace, err := json.Marshal(map[string]map[string]string{"Replace": {path: changed}})
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(os.WriteFile(changed, []byte(text), 0o600), os.WriteFile(overlay, replace, 0o600)); err != nil {
		t.Fatal(err)
	}
	args := []string{"test", "-count=1", "-failfast", "-timeout=60s", "-run", "^" + b.test + "$", b.pkg}
	cmd := exec.Command("go", append(args, b.flags...)...)
	cmd.Dir = filepath.Join("..", "..")
	// By the environment, so that tests that build the program build it so.
	cmd.Env = append(os.Environ(), "GOFLAGS="+os.Getenv("GOFLAGS")+" -overlay="+overlay)
	out, err := cmd.CombinedOutput()
	var failed *exec.ExitError
	switch said := string(out); {
	case err == nil:
		t.Errorf("%s passes with the bug:\n%s", b.test, said)
	case !errors.As(err, &failed):
		t.Fatal(err)
	case !strings.Contains(said, "--- FAIL: "+b.test) && !strings.Contains(said, "panic: ") && !strings.Contains(said, "fatal error: "):
		t.Errorf("%s did not run:\n%s", b.test, said)
	}
}

// parse reads the list: a paragraph for each bug, and paragraphs of #.
func parse(t *testing.T, list string) (bugs []bug) {
	for p := range strings.SplitSeq(strings.TrimSpace(list), "\n\n") {
		if strings.HasPrefix(p, "#") {
			continue
		}
		var b bug
		for line := range strings.Lines(p) {
			key, rest, _ := strings.Cut(strings.TrimSuffix(line, "\n"), " ")
			switch key {
			case "bug":
				b.name = rest
			case "file":
				b.file = rest
			case "test":
				if f := strings.Fields(rest); len(f) >= 2 {
					b.pkg, b.test, b.flags = f[0], f[1], f[2:]
				}
			case "-":
				b.old += rest + "\n"
			case "+":
				b.new += rest + "\n"
			default:
				t.Fatalf("bugs.txt: what is %q?", line)
			}
		}
		if b.name == "" || b.file == "" || b.test == "" || b.old == "" || b.old == b.new {
			t.Fatalf("bugs.txt: this is no bug:\n%s", p)
		}
		bugs = append(bugs, b)
	}
	return bugs
}
