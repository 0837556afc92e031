package filter_test

import (
	"os"
	"strings"
	"testing"

	"github.com/thalweg/thalweg/function/mapping/filter"
)

// TestCases runs testdata/cases.txt: a line "pattern JSON" begins a case, "or
// JSON" adds a filter to it, "refused" says that it does not compile; "yes
// DATA" and "no DATA" are records whose data passes or does not, with metadata
// in front as [name=value].
func TestCases(t *testing.T) {
	text, err := os.ReadFile("testdata/cases.txt")
	if err != nil {
		t.Fatal(err)
	}
	var patterns []string
	count := 0
	for i, line := range strings.Split(string(text), "\n") {
		word, rest, _ := strings.Cut(line, " ")
		switch word {
		case "pattern":
			patterns = []string{rest}
		case "or":
			patterns = append(patterns, rest)
		case "refused":
			if _, err := filter.Compile(patterns); err == nil {
				t.Errorf("line %d: %q was not refused", i+1, patterns)
			}
			count++
		case "yes", "no":
			f, err := filter.Compile(patterns)
			if err != nil {
				t.Errorf("line %d: %v", i+1, err)
				continue
			}
			meta := map[string]string{}
			for strings.HasPrefix(rest, "[") && strings.Contains(rest, "=") {
				pair, after, ok := strings.Cut(rest[1:], "] ")
				name, value, named := strings.Cut(pair, "=")
				if !ok || !named {
					break
				}
				meta[name], rest = value, after
			}
			got := f.Match(filter.Record{Data: []byte(rest), Meta: func(n string) (string, bool) { v, ok := meta[n]; return v, ok }})
			if got != (word == "yes") {
				t.Errorf("line %d: %q matches %s: %t", i+1, patterns, rest, got)
			}
			count++
		}
	}
	if count < 60 {
		t.Errorf("only %d cases ran", count)
	}
}

// FuzzFilter: no pattern and no data do harm, and a record that passes one
// filter passes it together with any other.
func FuzzFilter(f *testing.F) {
	text, err := os.ReadFile("testdata/cases.txt")
	if err != nil {
		f.Fatal(err)
	}
	pattern := ""
	for line := range strings.SplitSeq(string(text), "\n") {
		word, rest, _ := strings.Cut(line, " ")
		switch word {
		case "pattern":
			pattern = rest
		case "yes", "no":
			f.Add(pattern, []byte(rest))
		}
	}
	f.Fuzz(func(t *testing.T, pattern string, data []byte) {
		one, err := filter.Compile([]string{pattern})
		if err != nil {
			return
		}
		r := filter.Record{Data: data, Meta: func(n string) (string, bool) { return "1", n == "partitionKey" }}
		two, err := filter.Compile([]string{`{"partitionKey":["2"]}`, pattern})
		if err != nil {
			t.Fatal(err)
		}
		if one.Match(r) != two.Match(r) {
			t.Fatalf("%s: %t alone, %t beside a filter that does not match", pattern, one.Match(r), two.Match(r))
		}
	})
}
