package lambda

import (
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/thalweg/thalweg/catalog"
	"github.com/thalweg/thalweg/function"
	"github.com/thalweg/thalweg/gate"
)

// Each operation has its file, and each file of an operation its operation.
func TestFiles(t *testing.T) {
	ops := New(function.New(function.Config{Catalog: catalog.New()}), nil, Config{}).Ops
	files, err := os.ReadDir(".")
	if err != nil {
		t.Fatal(err)
	}
	var have []string
	for _, f := range files {
		have = append(have, f.Name())
	}
	for _, op := range ops {
		if op.Serve == nil || op.Rest == nil {
			t.Errorf("%s cannot be called", op.Name)
		}
	}
	a := &api{}
	for _, op := range a.operations() {
		if !slices.Contains(have, snake(op.Name)+".go") {
			t.Errorf("%s has no file %s.go", op.Name, snake(op.Name))
		}
	}
	for _, f := range have {
		name, isGo := strings.CutSuffix(f, ".go")
		if !isGo || strings.HasSuffix(f, "_test.go") || !strings.Contains(name, "_") && name != "invoke" {
			continue
		}
		if !slices.ContainsFunc(a.operations(), func(op gate.Op) bool { return snake(op.Name) == name }) {
			t.Errorf("%s is the file of no operation", f)
		}
	}
}

func snake(name string) string {
	var b strings.Builder
	for i, r := range name {
		if i > 0 && 'A' <= r && r <= 'Z' {
			b.WriteByte('_')
		}
		b.WriteRune(r)
	}
	return strings.ToLower(b.String())
}
