package expr

import (
	"fmt"
	"runtime"
	"strings"
	"testing"

	"github.com/thalweg/thalweg/table/attr"
)

func scope(t *testing.T, values map[string]attr.Value) *Scope {
	t.Helper()
	s, err := NewScope(nil, values)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// AWS's bounds, with the texts that Alternator's tests recorded of it.
func TestBounds(t *testing.T) {
	list := func(n int) string { return "a IN (" + strings.Repeat("b, ", n-1) + "b)" }
	many := "The expression contains too many operators; operator count: 301"
	for text, want := range map[string]string{
		strings.Repeat("a<b OR ", 149) + "a<b":                               "",
		strings.Repeat("a<b OR ", 150) + "a<b":                               many,
		strings.Repeat("a=:v AND (", 149) + "a<b" + strings.Repeat(")", 149): "",
		strings.Repeat("(", 2000):                                            "The expression is nested too deeply",
		list(100):                                                            "",
		list(101):                                                            "The IN operator is provided with too many operands; number of operands: 101",
	} {
		c, err := scope(t, map[string]attr.Value{":v": attr.Whole(1)}).Condition(text)
		if got := fmt.Sprint(err); err == nil && want != "" || err != nil && got != want {
			t.Errorf("%.40s: %v, want %q", text, err, want)
		}
		if err == nil {
			throughBytes(c, (*Condition).Append, ReadCondition)
		}
	}
	if _, err := scope(t, nil).Update(" "); fmt.Sprint(err) != `Syntax error; token: "<EOF>", near: ""` {
		t.Error(err)
	}
}

// What earlier versions compiled, which were as deep as they had operators, is
// still read.
func TestDeepProgramsAreRead(t *testing.T) {
	n := &node{op: opExists, args: []*node{{op: opPath, path: Path{{Name: "a"}}}}}
	for range maxNodes - 2 {
		n = &node{op: opNot, args: []*node{n}}
	}
	throughBytes(&Condition{root: n}, (*Condition).Append, ReadCondition)
}

// An update of 4 KB that would make gigabytes of a large list is refused before
// it does.
func TestLargeUpdatesAreRefused(t *testing.T) {
	large := make(attr.List, attr.MaxItem/3)
	for i := range large {
		large[i] = attr.Bool(true)
	}
	item := attr.Map{"l": large}
	var text strings.Builder
	for i := range 100 {
		fmt.Fprintf(&text, ", a%d = list_append(l, l)", i)
	}
	u, err := scope(t, nil).Update("SET" + text.String()[1:])
	if err != nil {
		t.Fatal(err)
	}
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	if _, err := u.Apply(item); err == nil || err.Error() != errSize().Error() {
		t.Error(err)
	}
	runtime.ReadMemStats(&after)
	if bytes := after.TotalAlloc - before.TotalAlloc; bytes > 64<<20 {
		t.Errorf("%d bytes are allocated", bytes)
	}
}

// Thousands of names and members cost as they are many, not as their square.
func TestNothingIsQuadratic(t *testing.T) {
	const n = 200_000
	var updates []OlderUpdate
	var olders []Older
	members := make([]string, n)
	for i := range n {
		name := fmt.Sprintf("a%06d", i)
		updates = append(updates, OlderUpdate{Name: name, Action: "DELETE"})
		olders = append(olders, Older{Name: name, Op: "NULL"})
		members[i] = name
	}
	u, err := FromOlderUpdates(updates)
	if err != nil {
		t.Fatal(err)
	}
	if got := len(u.Names()); got != n {
		t.Error(got)
	}
	if got := len(FromOlder(olders, false).Names()); got != n {
		t.Error(got)
	}
	if left := without(members, members, strings.Compare); len(left) != 0 {
		t.Error(len(left))
	}
}
