package thalweg_test

import (
	"cmp"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"maps"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
)

const module = "github.com/thalweg/thalweg"

// rooms is the law of imports: what each top package, and all below it, may
// import of ours besides itself and internal. Tests may import anything.
func rooms() map[string][]string {
	return map[string][]string{
		"fault":         nil,
		"flow":          nil,
		"aggregation":   nil,
		"gate":          {"fault"},
		"shardlog":      {"flow"},
		"catalog":       {"flow"}, // for the position of a command
		"stream":        {"catalog", "fault", "flow", "shardlog"},
		"table":         {"catalog", "fault"},
		"object":        {"catalog", "fault"},
		"function":      {"catalog", "fault", "flow"},
		"delivery":      {"catalog", "fault", "flow"},
		"query":         {"catalog", "fault", "flow"},
		"api/kinesis":   {"fault", "flow", "gate", "stream"},
		"api/firehose":  {"fault", "flow", "gate", "delivery"},
		"api/analytics": {"fault", "flow", "gate", "query"},
		"api/lambda":    {"fault", "flow", "gate", "function"},
		"api/dynamodb":  {"fault", "flow", "gate", "table"},
		"api/s3":        {"fault", "flow", "gate", "object"},
		"api/sink":      {"fault", "flow", "gate"},
		"console":       {"fault"},
		"internal":      nil,
		"server":        {"*"},
		"cmd":           {"aggregation", "server"},
		"thalwegtest":   {"server"},
		"test":          {"*"}, // programs that torment the house from outside
	}
}

// lent names the nested packages that others than their own room and server
// may see: a codec made by hand in api speaks wire's vocabulary.
func lent() map[string]string {
	return map[string]string{"gate/wire": "api", "table/attr": "api", "table/expr": "api", "function/mapping": "api"}
}

// pure lists the packages that compute and do nothing else.
func pure() []string {
	return []string{"fault", "flow", "gate/wire", "gate/sigv4", "query/sql", "query/run", "delivery/format", "aggregation", "table/attr", "table/expr",
		"function/mapping/event", "function/mapping/filter", "function/mapping/shard"}
}

// source is one Go file: its slash-separated path in the module and its text.
type source struct{ path, text string }

func TestArchitecture(t *testing.T) {
	files, err := tree(".")
	if err != nil {
		t.Fatal(err)
	}
	for _, offence := range check(files) {
		t.Error(offence)
	}
}

// tree reads the module's Go files, without nested modules and test data.
func tree(root string) (files []source, err error) {
	err = filepath.WalkDir(root, func(p string, d fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case d.IsDir():
			if p == root {
				return nil
			}
			_, nested := os.Stat(filepath.Join(p, "go.mod"))
			if nested == nil || d.Name() == "testdata" || d.Name() == "node_modules" || d.Name()[0] == '.' {
				return fs.SkipDir
			}
		case strings.HasSuffix(p, ".go"):
			text, err := os.ReadFile(p)
			if err != nil {
				return err
			}
			files = append(files, source{filepath.ToSlash(p), string(text)})
		}
		return nil
	})
	return files, err
}

// check returns a sentence for each offence against the rules of the house.
func check(files []source) []string {
	c := checker{set: token.NewFileSet(), parsed: map[string]*ast.File{}, imports: map[string][]string{}}
	for _, f := range files {
		c.load(f)
	}
	for _, p := range slices.Sorted(maps.Keys(c.parsed)) {
		c.file(p, c.parsed[p])
	}
	for _, dir := range c.packages() {
		c.comment(dir)
		c.state(dir)
	}
	for _, p := range pure() {
		c.purity(p, p, map[string]bool{})
	}
	return c.offences
}

type checker struct {
	set      *token.FileSet
	parsed   map[string]*ast.File // by path
	imports  map[string][]string  // what the files of a package import, tests apart
	offences []string
}

func (c *checker) sayf(format string, args ...any) {
	c.offences = append(c.offences, fmt.Sprintf(format, args...))
}

func (c *checker) load(f source) {
	if n := strings.Count(f.text, "\n"); n > 800 {
		c.sayf("%s has %d lines: no file is longer than 800, split it by concern", f.path, n)
	}
	tree, err := parser.ParseFile(c.set, f.path, f.text, parser.ParseComments)
	if err != nil {
		c.sayf("%s does not parse: %v", f.path, err)
		return
	}
	c.parsed[f.path] = tree
	if isTest(f.path) {
		return
	}
	dir := path.Dir(f.path)
	for _, spec := range tree.Imports {
		p, _ := strconv.Unquote(spec.Path.Value)
		c.imports[dir] = append(c.imports[dir], p)
	}
}

// file checks what can be seen in one file alone.
func (c *checker) file(p string, f *ast.File) {
	for _, d := range f.Decls {
		if fn, ok := d.(*ast.FuncDecl); ok && fn.Recv == nil && fn.Name.Name == "init" {
			c.sayf("%s has an init function: nothing happens before main, build it in New", c.at(fn))
		}
	}
	if isTest(p) {
		c.patience(f)
		return
	}
	from := path.Dir(p)
	for _, spec := range f.Imports {
		quoted, _ := strconv.Unquote(spec.Path.Value)
		if to, ours := strings.CutPrefix(quoted, module+"/"); ours {
			c.edge(p, from, to)
		}
	}
}

// edge checks one import of ours against the law.
func (c *checker) edge(file, from, to string) {
	a, b := room(from), room(to)
	allowed, known := rooms()[a]
	switch {
	case !known:
		c.sayf("%s belongs to %q, which has no line in the table of imports: add the room and its rule together", file, a)
		return
	case a == b || b == "internal":
	case a == "internal":
		c.sayf("%s imports %s: internal packages import nothing of ours but each other", file, to)
		return
	case !slices.Contains(allowed, b) && !slices.Contains(allowed, "*"):
		c.sayf("%s imports %s: %s may import only %s", file, to, a, orNothing(allowed))
		return
	}
	outside := slices.Contains([]string{"server", "test"}, a)
	if nested := b != to && b != "internal" && b != "cmd"; nested && !outside {
		home := path.Dir(to)
		if !within(from, home) && !(lent()[to] != "" && within(from, lent()[to])) {
			c.sayf("%s imports %s: a nested package is visible only within %s and to server", file, to, home)
		}
	}
}

// purity follows the imports of a pure package through our own packages.
func (c *checker) purity(root, dir string, seen map[string]bool) {
	if seen[dir] {
		return
	}
	seen[dir] = true
	for _, p := range c.imports[dir] {
		if ours, ok := strings.CutPrefix(p, module+"/"); ok {
			c.purity(root, ours, seen)
			continue
		}
		for _, banned := range []string{"os", "net", "log", "sync"} {
			if within(p, banned) && p != "net/url" {
				c.sayf("%s reaches %s through %s: it is pure, so it imports no os, net, log or sync", root, p, dir)
			}
		}
	}
}

// patience refuses tests that skip or that wait by the clock. In a file that
// uses testing/synctest, Sleep moves a fake clock and costs nothing.
func (c *checker) patience(f *ast.File) {
	bubble := slices.ContainsFunc(f.Imports, func(s *ast.ImportSpec) bool { return s.Path.Value == `"testing/synctest"` })
	ast.Inspect(f, func(n ast.Node) bool {
		call, ok := n.(*ast.CallExpr)
		if !ok {
			return true
		}
		sel, ok := call.Fun.(*ast.SelectorExpr)
		if !ok {
			return true
		}
		x, _ := sel.X.(*ast.Ident)
		switch {
		case x == nil:
		case slices.Contains([]string{"t", "b", "f", "tb"}, x.Name) && slices.Contains([]string{"Skip", "Skipf", "SkipNow"}, sel.Sel.Name):
			c.sayf("%s skips a test: a test that does not run proves nothing", c.at(call))
		case x.Name == "time" && sel.Sel.Name == "Sleep" && !bubble:
			c.sayf("%s sleeps in a test: wait for the event, or use testing/synctest", c.at(call))
		}
		return true
	})
}

// comment wants each package to say what it hides and what it never does.
func (c *checker) comment(dir string) {
	longest := ""
	for _, f := range c.filesOf(dir) {
		if f.Doc != nil && len(f.Doc.Text()) > len(longest) {
			longest = f.Doc.Text()
		}
	}
	if len(longest) < 80 {
		c.sayf("package %s has no package comment: say what it hides and what it never does", dir)
	}
}

// state looks for variables of a package that change, or are made to.
func (c *checker) state(dir string) {
	vars := map[string]*ast.ValueSpec{}
	files := c.filesOf(dir)
	for _, f := range files {
		for _, d := range f.Decls {
			gen, ok := d.(*ast.GenDecl)
			if !ok || gen.Tok != token.VAR {
				continue
			}
			for _, s := range gen.Specs {
				spec := s.(*ast.ValueSpec)
				for _, name := range spec.Names {
					if name.Name == "_" {
						continue
					}
					vars[name.Name] = spec
					if what := changeable(spec); what != "" {
						c.sayf("%s: package variable %s is %s: packages hold no state, give it to a value made by New", c.at(name), name.Name, what)
					}
				}
			}
		}
	}
	for _, f := range files {
		ast.Inspect(f, func(n ast.Node) bool {
			var targets []ast.Expr
			switch n := n.(type) {
			case *ast.AssignStmt:
				if n.Tok != token.DEFINE {
					targets = n.Lhs
				}
			case *ast.IncDecStmt:
				targets = []ast.Expr{n.X}
			case *ast.UnaryExpr:
				if n.Op == token.AND {
					targets = []ast.Expr{n.X}
				}
			}
			for _, e := range targets {
				id := root(e)
				if id == nil || vars[id.Name] == nil || (id.Obj != nil && id.Obj.Decl != any(vars[id.Name])) {
					continue // not ours, or a local variable of the same name
				}
				c.sayf("%s changes package variable %s: packages hold no state, give it to a value made by New", c.at(e), id.Name)
			}
			return true
		})
	}
}

// changeable names the part of a declaration that only changing things have.
func changeable(spec *ast.ValueSpec) (what string) {
	look := func(n ast.Node) bool {
		switch n := n.(type) {
		case *ast.FuncLit:
			return false
		case *ast.ChanType:
			what = "a channel"
		case *ast.SelectorExpr:
			if x, ok := n.X.(*ast.Ident); ok && (x.Name == "sync" || x.Name == "atomic") {
				what = "a " + x.Name + "." + n.Sel.Name
			}
		case *ast.CallExpr:
			if id, ok := n.Fun.(*ast.Ident); ok && (id.Name == "make" || id.Name == "new") {
				what = "made empty by " + id.Name
			}
		}
		return what == ""
	}
	if spec.Type != nil {
		ast.Inspect(spec.Type, look)
	}
	for _, v := range spec.Values {
		ast.Inspect(v, look)
	}
	return what
}

// root finds the variable that an assignment to e would change.
func root(e ast.Expr) *ast.Ident {
	for {
		switch x := e.(type) {
		case *ast.Ident:
			return x
		case *ast.SelectorExpr:
			e = x.X
		case *ast.IndexExpr:
			e = x.X
		case *ast.StarExpr:
			e = x.X
		case *ast.ParenExpr:
			e = x.X
		default:
			return nil
		}
	}
}

func (c *checker) packages() []string {
	dirs := map[string]bool{}
	for p := range c.parsed {
		if !isTest(p) {
			dirs[path.Dir(p)] = true
		}
	}
	return slices.Sorted(maps.Keys(dirs))
}

// filesOf returns the files of a package, tests apart, in order.
func (c *checker) filesOf(dir string) (files []*ast.File) {
	for _, p := range slices.Sorted(maps.Keys(c.parsed)) {
		if path.Dir(p) == dir && !isTest(p) {
			files = append(files, c.parsed[p])
		}
	}
	return files
}

func (c *checker) at(n ast.Node) string {
	p := c.set.Position(n.Pos())
	return fmt.Sprintf("%s:%d", p.Filename, p.Line)
}

func isTest(p string) bool { return strings.HasSuffix(p, "_test.go") }

func within(p, dir string) bool { return p == dir || strings.HasPrefix(p, dir+"/") }

// room is the part of a package's path that the law speaks of.
func room(p string) string {
	parts := strings.SplitN(p, "/", 3)
	if parts[0] == "api" && len(parts) > 1 {
		return "api/" + parts[1]
	}
	return parts[0]
}

func orNothing(allowed []string) string {
	return cmp.Or(strings.Join(allowed, ", "), "nothing of ours")
}
