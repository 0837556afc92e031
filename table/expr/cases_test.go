package expr

import (
	"bufio"
	"bytes"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/thalweg/thalweg/table/attr"
)

// The files in testdata hold a case a line:
//
//	cond a = :x => true            a condition or filter, on the item
//	cond a = => ! Syntax error     what is wrong with it; the text may be cut at its end by ...
//	update SET a = :x => {"a":1}   the item afterwards
//	project a, b[0] => {"a":1}     what is left of the item
//	key a = :x => a = 1            the conditions on keys
//
// and, for all cases that follow, the item, the names and the values. Values
// are JSON whose types are plain; {"$ss":["a"]}, {"$ns":[1]}, {"$bs":["YQ=="]}
// and {"$b":"YQ=="} are the types that JSON has not. Indented lines say where
// the following cases come from.

type caseFile struct {
	item   attr.Map
	names  map[string]string
	values map[string]attr.Value
}

func TestCases(t *testing.T) {
	files, err := filepath.Glob("testdata/*.txt")
	if err != nil || len(files) == 0 {
		t.Fatal("no cases", err)
	}
	count := 0
	for _, file := range files {
		b, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		c := new(caseFile)
		n := 0
		for lines := bufio.NewScanner(bytes.NewReader(b)); lines.Scan(); {
			n++
			line := lines.Text()
			if strings.TrimSpace(line) == "" || line[0] == ' ' || line[0] == '#' {
				continue
			}
			verb, rest, _ := strings.Cut(line, " ")
			if !strings.Contains(line, " => ") {
				if err := c.set(verb, rest); err != nil {
					t.Fatalf("%s:%d: %v", file, n, err)
				}
				continue
			}
			count++
			at := strings.LastIndex(rest, " => ")
			text, want := rest[:at], rest[at+4:]
			got := c.run(verb, strings.ReplaceAll(text, "<TAB>", "\t"))
			if cut, ok := strings.CutSuffix(want, "..."); ok && len(got) > len(cut) {
				got, want = got[:len(cut)], cut
			}
			if got != want {
				t.Errorf("%s:%d: %s %s\n got %s\nwant %s", file, n, verb, text, got, want)
			}
		}
	}
	if count < 300 { // what is promised
		t.Errorf("%d cases", count)
	}
}

func (c *caseFile) set(what, text string) error {
	d := json.NewDecoder(strings.NewReader(text))
	d.UseNumber()
	switch what {
	case "names":
		c.names = nil
		return d.Decode(&c.names)
	case "values", "item":
		var v any
		if err := d.Decode(&v); err != nil {
			return err
		}
		m, _ := parse(v).(attr.Map)
		if what == "item" {
			c.item = m
		} else {
			c.values = m
		}
		return nil
	}
	return fmt.Errorf("what is %q?", what)
}

func (c *caseFile) run(verb, text string) string {
	s, err := NewScope(c.names, c.values)
	if err != nil {
		return "! " + err.Error()
	}
	var out string
	switch verb {
	case "cond":
		var p *Condition
		if p, err = s.Condition(text); err == nil {
			p = throughBytes(p, (*Condition).Append, ReadCondition)
			out = fmt.Sprint(p.Match(c.item))
		}
	case "update":
		var p *Update
		if p, err = s.Update(text); err == nil {
			p = throughBytes(p, (*Update).Append, ReadUpdate)
			before := show(c.item)
			var m attr.Map
			if m, err = p.Apply(c.item); err == nil {
				out = render(m)
			}
			if show(c.item) != before {
				out += " and the item was changed"
			}
		}
	case "project":
		var p *Projection
		if p, err = s.Projection(text); err == nil {
			out = render(p.Apply(c.item))
		}
	case "key":
		var k []KeyTest
		if k, err = s.KeyCondition(text); err == nil {
			var list []string
			for _, x := range k {
				one := x.Name + " " + [...]string{"", "=", "<", "<=", ">", ">=", "between", "begins"}[x.Op]
				for _, v := range x.Values {
					one += " " + render(v)
				}
				list = append(list, one)
			}
			out = strings.Join(list, ", ")
		}
	case "scope":
		if text == "all used" {
			err = s.Done()
		} else if _, err = s.Condition(text); err == nil {
			err = s.Done()
		}
		out = "ok"
	default:
		return "no such verb"
	}
	if err != nil {
		return "! " + err.Error()
	}
	return out
}

// throughBytes writes a program and reads it back: what runs is what the log
// carries.
func throughBytes[P any](p *P, write func(*P, []byte) []byte, read func(*attr.Reader) *P) *P {
	r := attr.Reader{Rest: string(write(p, nil))}
	q := read(&r)
	if r.Bad || r.Rest != "" {
		panic("a program does not come back from its bytes")
	}
	return q
}

func parse(v any) attr.Value {
	switch v := v.(type) {
	case string:
		return attr.String(v)
	case json.Number:
		n, err := attr.ParseNumber(v.String())
		if err != nil {
			panic(err) // a mistake in a case
		}
		return n
	case bool:
		return attr.Bool(v)
	case nil:
		return attr.Null{}
	case []any:
		l := attr.List{}
		for _, x := range v {
			l = append(l, parse(x))
		}
		return l
	}
	m := attr.Map{}
	for k, x := range v.(map[string]any) {
		switch k {
		case "$b":
			b, _ := base64.StdEncoding.DecodeString(x.(string))
			return attr.Binary(b)
		case "$ss", "$bs":
			var list []string
			for _, s := range x.([]any) {
				text := s.(string)
				if k == "$bs" {
					b, _ := base64.StdEncoding.DecodeString(text)
					text = string(b)
				}
				list = append(list, text)
			}
			set, _ := attr.NewSet(list)
			if k == "$bs" {
				return attr.BinarySet(set)
			}
			return attr.StringSet(set)
		case "$ns":
			var list []attr.Number
			for _, n := range x.([]any) {
				list = append(list, parse(n).(attr.Number))
			}
			set, _ := attr.NewNumberSet(list)
			return set
		}
		m[k] = parse(x)
	}
	return m
}

func render(v attr.Value) string {
	list := func(n int, at func(int) string) string {
		var all []string
		for i := range n {
			all = append(all, at(i))
		}
		return "[" + strings.Join(all, ",") + "]"
	}
	switch v := v.(type) {
	case attr.String:
		return fmt.Sprintf("%q", string(v))
	case attr.Binary:
		return `{"$b":"` + base64.StdEncoding.EncodeToString([]byte(v)) + `"}`
	case attr.Number:
		return v.String()
	case attr.Bool:
		return fmt.Sprint(bool(v))
	case attr.StringSet:
		return `{"$ss":` + list(len(v), func(i int) string { return fmt.Sprintf("%q", v[i]) }) + "}"
	case attr.BinarySet:
		return `{"$bs":` + list(len(v), func(i int) string { return `"` + base64.StdEncoding.EncodeToString([]byte(v[i])) + `"` }) + "}"
	case attr.NumberSet:
		return `{"$ns":` + list(len(v), func(i int) string { return v[i].String() }) + "}"
	case attr.List:
		return list(len(v), func(i int) string { return render(v[i]) })
	case attr.Map:
		var all []string
		for _, k := range slices.Sorted(maps.Keys(v)) {
			all = append(all, fmt.Sprintf("%q:%s", k, render(v[k])))
		}
		return "{" + strings.Join(all, ",") + "}"
	}
	return "null"
}

// FuzzExpression: no text crashes the compilers; what they take runs, and comes
// back from its bytes as the same program.
func FuzzExpression(f *testing.F) {
	for _, file := range []string{"conditions", "updates", "rest"} {
		b, err := os.ReadFile("testdata/" + file + ".txt")
		if err != nil {
			f.Fatal(err)
		}
		for line := range strings.Lines(string(b)) {
			if verb, text, ok := strings.Cut(line, " "); ok && strings.Contains(text, " => ") {
				f.Add(verb, text[:strings.LastIndex(text, " => ")])
			}
		}
	}
	c := &caseFile{
		names:  map[string]string{"#a": "a", "#b": "b", "#n": "n"},
		values: map[string]attr.Value{":x": attr.Whole(1), ":y": attr.Whole(2), ":s": attr.String("s"), ":l": attr.List{attr.Whole(1)}, ":ss": attr.StringSet{"a"}},
		item:   attr.Map{"a": attr.Whole(1), "b": attr.String("b"), "l": attr.List{attr.Map{"m": attr.Whole(1)}}, "m": attr.Map{"k": attr.Null{}}},
	}
	f.Fuzz(func(t *testing.T, verb, text string) {
		first := c.run(verb, text)
		if again := c.run(verb, text); again != first {
			t.Errorf("%s %q: %s, then %s", verb, text, first, again)
		}
		if strings.HasSuffix(first, "was changed") {
			t.Errorf("%s %q: %s", verb, text, first)
		}
	})
}
