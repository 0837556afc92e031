package dynamodb

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/thalweg/thalweg/catalog"
	"github.com/thalweg/thalweg/fault"
	"github.com/thalweg/thalweg/gate"
	"github.com/thalweg/thalweg/gate/wire"
	"github.com/thalweg/thalweg/internal/vfs"
	"github.com/thalweg/thalweg/shardlog/journal"
	"github.com/thalweg/thalweg/table"
)

// fixture is the API over real tables in a real journal on memory files.
type fixture struct {
	testing.TB
	ops     map[string]gate.Op
	service *gate.Service
	fs      vfs.FS
	log     *journal.Journal
}

func newFixture(t testing.TB) *fixture {
	f := &fixture{TB: t, fs: vfs.NewMem(1 << 30)}
	f.open()
	t.Cleanup(f.close)
	return f
}

func (f *fixture) open() {
	c := catalog.New()
	tables := table.New(table.Config{Catalog: c})
	var err error
	if f.log, err = journal.Open(f.Context(), journal.Config{FS: f.fs, Dir: "/data", Machine: c, SegmentBytes: 16 << 20}); err != nil {
		f.Fatal(err)
	}
	c.Attach(f.log)
	f.ops, f.service = map[string]gate.Op{}, New(tables)
	for _, op := range f.service.Ops {
		f.ops[op.Name] = op
	}
}

func (f *fixture) close() {
	if err := f.log.Close(); err != nil {
		f.Error(err)
	}
}

// call performs an operation and returns its answer, or "Exception: message"
// with what the exception brings besides.
func (f *fixture) call(op, body string) string {
	c := &gate.Call{Account: "000000000000", Region: "us-east-1", Format: wire.JSON10, Body: []byte(body), Now: time.Now()}
	out, err := f.ops[op].Serve(f.Context(), c, nil)
	if err == nil {
		return string(out)
	}
	var e *fault.Error
	if !errors.As(err, &e) {
		f.Fatalf("%s %s: %v", op, body, err)
	}
	name, status := exception(e)
	if status != 400 {
		name = fmt.Sprintf("%d %s", status, name)
	}
	text := plain(name) + ": " + e.Message
	var more *gate.Failure
	if errors.As(err, &more) {
		text += " {" + string(more.Members) + "}"
	}
	return text
}

// holds reports whether got has all that want has: members of objects that want
// does not name may be there as well.
func holds(got, want any) bool {
	switch want := want.(type) {
	case map[string]any:
		g, ok := got.(map[string]any)
		for k, w := range want {
			if w == nil {
				if _, there := g[k]; there {
					return false
				}
				continue
			}
			if !ok || !holds(g[k], w) {
				return false
			}
		}
		return ok
	case []any:
		g, ok := got.([]any)
		return ok && len(g) == len(want) && !slices.ContainsFunc(want, func(w any) bool {
			return !slices.ContainsFunc(g, func(x any) bool { return holds(x, w) })
		})
	}
	return got == want
}

// The files in testdata are sessions, each on tables of its own: an operation
// and its request, then what is answered. An answer in JSON must hold what is
// written, a member that is null being absent; elements of lists have no order.
// A fault is written as its exception and its message.
func TestSessions(t *testing.T) {
	files, err := filepath.Glob("testdata/*.txt")
	if err != nil || len(files) == 0 {
		t.Fatal("no sessions", err)
	}
	called := map[string]bool{}
	for _, file := range files {
		t.Run(filepath.Base(file), func(t *testing.T) {
			b, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			f := newFixture(t)
			var op, body string
			for i, line := range strings.Split(string(b), "\n") {
				answer, isAnswer := strings.CutPrefix(line, "=> ")
				if !isAnswer {
					if line != "" && line[0] != '#' {
						op, body, _ = strings.Cut(line, " ")
					}
					continue
				}
				if called[op] = true; f.ops[op].Serve == nil {
					t.Fatalf("%s:%d: no operation %s", file, i+1, op)
				}
				got := f.call(op, body)
				var g, w any
				if json.Unmarshal([]byte(answer), &w) != nil {
					if got != answer {
						t.Errorf("%s:%d: %s\n got %s\nwant %s", file, i+1, op, got, answer)
					}
				} else if json.Unmarshal([]byte(got), &g); !holds(g, w) && (got != "" || answer != "{}") {
					t.Errorf("%s:%d: %s\n got %s\nwant %s", file, i+1, op, got, answer)
				}
			}
		})
	}
	for _, op := range newFixture(t).service.Ops {
		if !called[op.Name] {
			t.Errorf("no session calls %s", op.Name)
		}
	}
}

// A server that cannot write for now says so with a status that SDKs retry.
func TestUnavailable(t *testing.T) {
	if name, status := exception(fault.New(fault.Unavailable, "The server's disk is full")); plain(name) != "ServiceUnavailableException" || status != 503 {
		t.Error(name, status)
	}
}

// Every operation has its file, and every operation of AWS's is there or told
// to be missing by its feature.
func TestOperations(t *testing.T) {
	f := newFixture(t)
	for name := range f.ops {
		var file strings.Builder
		for i, r := range name {
			if i > 0 && r >= 'A' && r <= 'Z' {
				file.WriteByte('_')
			}
			file.WriteRune(r)
		}
		if _, err := os.Stat(strings.ToLower(file.String()) + ".go"); err != nil {
			t.Error(err)
		}
	}
	if n := len(f.ops) + len(f.service.Later); n != 57 {
		t.Errorf("%d operations are known, AWS has 57", n)
	}
	if text := f.service.Later["ExecuteStatement"]; !strings.Contains(text, "PartiQL") {
		t.Error(text)
	}
}
