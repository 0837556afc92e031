package thalweg_test

import (
	"os"
	"path"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// TestDocs keeps the documents true where that is cheap: what they link to is
// there, and so are the tests that docs/differences.md points at.
func TestDocs(t *testing.T) {
	files, err := tree(".")
	if err != nil {
		t.Fatal(err)
	}
	for _, module := range []string{"test/conformance/go", "test/conformance/go/telegraf"} { // of their own
		nested, err := tree(module)
		if err != nil {
			t.Fatal(err)
		}
		files = append(files, nested...)
	}
	tests := map[string]bool{}
	for _, f := range files {
		for _, m := range regexp.MustCompile(`(?m)^func (Test\w+)\(`).FindAllStringSubmatch(f.text, -1) {
			tests[m[1]] = true
		}
	}
	docs := []string{"README.md", "ARCHITECTURE.md", "CHANGELOG.md", "docs/differences.md", "docs/dependencies.md"}
	for _, doc := range append(docs, clientPages(t)...) {
		text, err := os.ReadFile(doc)
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range regexp.MustCompile(`\]\(([^)#]+)\)`).FindAllStringSubmatch(string(text), -1) {
			if strings.Contains(m[1], "://") {
				continue
			}
			if _, err := os.Stat(filepath.Join(filepath.Dir(doc), m[1])); err != nil {
				t.Errorf("%s links to %s, which is not there", doc, m[1])
			}
		}
		for _, name := range regexp.MustCompile(`\bTest[A-Z]\w+`).FindAllString(string(text), -1) {
			if !tests[name] {
				t.Errorf("%s points at %s, and there is no such test", doc, name)
			}
		}
	}
}

// Each difference from AWS names the tests that show it, by package and name,
// or the script of the whole program; and they are there.
func TestDifferencesAreShown(t *testing.T) {
	files, err := tree(".")
	if err != nil {
		t.Fatal(err)
	}
	tests := map[string]bool{} // by folder and name
	for _, f := range files {
		for _, m := range regexp.MustCompile(`(?m)^func (Test\w+)\(`).FindAllStringSubmatch(f.text, -1) {
			tests[path.Dir(f.path)+" "+m[1]] = true
		}
	}
	text, err := os.ReadFile("docs/differences.md")
	if err != nil {
		t.Fatal(err)
	}
	rows := regexp.MustCompile(`(?m)^\| (.*) \|$`).FindAllStringSubmatch(string(text), -1)
	if len(rows) < 20 {
		t.Errorf("%d rows", len(rows))
	}
	for _, row := range rows {
		cells := strings.Split(row[1], " | ")
		if cells[0] == "what" {
			continue
		}
		if len(cells) != 5 {
			t.Errorf("%s: %d cells", cells[0], len(cells))
			continue
		}
		for _, shown := range strings.Split(cells[4], "; ") {
			if script, ok := strings.CutPrefix(strings.Trim(shown, "`"), "test/script/"); ok {
				if _, err := os.Stat("test/script/" + script); err != nil {
					t.Errorf("%s: %v", cells[0], err)
				}
				continue
			}
			folder, names, _ := strings.Cut(shown, ": ")
			for _, name := range strings.Split(names, ", ") {
				if !tests[strings.Trim(folder, "`")+" "+strings.Trim(name, "`")] {
					t.Errorf("%s: %s has no test %s", cells[0], folder, name)
				}
			}
		}
	}
}

// Every direct dependency has its line in docs/dependencies.md.
func TestDependenciesAreExplained(t *testing.T) {
	files, err := tree(".")
	if err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile("docs/dependencies.md")
	if err != nil {
		t.Fatal(err)
	}
	mod, err := os.ReadFile("go.mod")
	if err != nil {
		t.Fatal(err)
	}
	for _, m := range regexp.MustCompile(`(?m)^\t(\S+) v`).FindAllStringSubmatch(string(mod), -1) {
		used := false
		for _, f := range files {
			used = used || strings.Contains(f.text, `"`+m[1]+`"`) || strings.Contains(f.text, `"`+m[1]+`/`)
		}
		if used && !strings.Contains(string(text), "| "+m[1]+" |") {
			t.Errorf("%s is used, and docs/dependencies.md does not say why", m[1])
		}
	}
}

func clientPages(t *testing.T) []string {
	t.Helper()
	pages, err := filepath.Glob("docs/clients/*.md")
	if err != nil {
		t.Fatal(err)
	}
	return pages
}

// What a page says of how to configure a client is what the test of that client
// does: a block of code after <!-- from FILE --> stands in that file, whatever
// the indent.
func TestClientPages(t *testing.T) {
	flush := func(text string) string { return regexp.MustCompile(`(?m)^[ \t]+`).ReplaceAllString(text, "") }
	for _, page := range clientPages(t) {
		text, err := os.ReadFile(page)
		if err != nil {
			t.Fatal(err)
		}
		blocks := regexp.MustCompile("(?s)<!-- from (\\S+) -->\n```\\w*\n(.*?)```").FindAllStringSubmatch(string(text), -1)
		if len(blocks) == 0 {
			t.Errorf("%s has no block that says where it is from", page)
		}
		for _, b := range blocks {
			source, err := os.ReadFile(b[1])
			if err != nil {
				t.Errorf("%s: %v", page, err)
			} else if !strings.Contains(flush(string(source)), flush(b[2])) {
				t.Errorf("%s has a block that is not in %s:\n%s", page, b[1], b[2])
			}
		}
	}
}
