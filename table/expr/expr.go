// Package expr is the expression language of tables: condition, filter, key
// condition, projection and update expressions, and the older parameters that
// say the same in another form. Text becomes an immutable program, once, with
// its names and values resolved; a program is run on items, or written to bytes
// and read back. It hides grammar and evaluation. It never sees a table, never
// changes an item it is given, and does nothing but compute.
//
// Source: "Condition expressions", "Update expressions", "Reserved words" and
// "Comparison operator and function reference" of AWS's developer guide; the
// texts of faults are those that dynalite recorded from AWS.
package expr

import (
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/thalweg/thalweg/table/attr"
)

// Error is what is wrong with an expression or its names and values, in AWS's
// words. At is where in the text, in bytes; -1 when no place is to blame.
type Error struct {
	Message string
	At      int
}

func (e *Error) Error() string { return e.Message }

func failf(at int, format string, args ...any) *Error {
	return &Error{Message: fmt.Sprintf(format, args...), At: at}
}

// Step is one step of a Path: a name, or an index into a list when Name is "".
type Step struct {
	Name  string
	Index int
}

// Path leads to a value within an item. Its first step is a name.
type Path []Step

// String is the path as AWS's texts show it: [a, [0], b].
func (p Path) String() string {
	var b strings.Builder
	for i, s := range p {
		if i > 0 {
			b.WriteString(", ")
		}
		if s.Name == "" {
			b.WriteString("[" + strconv.Itoa(s.Index) + "]")
		} else {
			b.WriteString(s.Name)
		}
	}
	return "[" + b.String() + "]"
}

// find returns the value at the path; nil when there is none.
func (p Path) find(item attr.Map) attr.Value {
	var v attr.Value = item
	for _, s := range p {
		switch in := v.(type) {
		case attr.Map:
			if s.Name == "" {
				return nil
			}
			v = in[s.Name]
		case attr.List:
			if s.Name != "" || s.Index >= len(in) {
				return nil
			}
			v = in[s.Index]
		default:
			return nil
		}
	}
	return v
}

// Scope holds the names and values that the expressions of one request share.
type Scope struct {
	names     map[string]string
	values    map[string]attr.Value
	usedNames map[string]bool
	slots     map[string]int // of the values used
}

// NewScope checks a request's ExpressionAttributeNames and -Values; nil is
// absent.
func NewScope(names map[string]string, values map[string]attr.Value) (*Scope, error) {
	if names != nil && len(names) == 0 {
		return nil, failf(-1, "ExpressionAttributeNames must not be empty")
	}
	for _, k := range slices.Sorted(maps.Keys(names)) {
		if !placeholder(k, '#') {
			return nil, failf(-1, "ExpressionAttributeNames contains invalid key: Syntax error; key: %q", k)
		}
		if err := attr.CheckName(names[k]); err != nil {
			return nil, failf(-1, "ExpressionAttributeNames contains invalid value: %s for key %s", err, k)
		}
	}
	if values != nil && len(values) == 0 {
		return nil, failf(-1, "ExpressionAttributeValues must not be empty")
	}
	for _, k := range slices.Sorted(maps.Keys(values)) {
		if !placeholder(k, ':') {
			return nil, failf(-1, "ExpressionAttributeValues contains invalid key: Syntax error; key: %q", k)
		}
	}
	return &Scope{names: names, values: values, usedNames: map[string]bool{}, slots: map[string]int{}}, nil
}

func placeholder(k string, mark byte) bool {
	if len(k) < 2 || k[0] != mark {
		return false
	}
	for i := 1; i < len(k); i++ {
		if !isWord(k[i]) {
			return false
		}
	}
	return true
}

// Done reports names and values that no expression of the request used, as AWS
// does once all are compiled.
func (s *Scope) Done() error {
	if unused := missing(s.names, s.usedNames); unused != "" {
		return failf(-1, "Value provided in ExpressionAttributeNames unused in expressions: keys: {%s}", unused)
	}
	if unused := missing(s.values, s.slots); unused != "" {
		return failf(-1, "Value provided in ExpressionAttributeValues unused in expressions: keys: {%s}", unused)
	}
	return nil
}

func missing[V, U any](all map[string]V, used map[string]U) string {
	var unused []string
	for _, k := range slices.Sorted(maps.Keys(all)) {
		if _, ok := used[k]; !ok {
			unused = append(unused, k)
		}
	}
	return strings.Join(unused, ", ")
}

// Bounds on what is compiled. AWS: an expression has at most 4 KB, 300 operators
// and 100 operands of IN; nesting is bounded so that none overflows a stack.
const (
	MaxText      = 4 << 10
	maxOperators = 300
	maxIn        = 100
	maxNodes     = 2000
	maxDepth     = 600 // a pair of parentheses is two deep
)

// checkText refuses what no expression may be.
func checkText(text string) error {
	switch {
	case text == "":
		return failf(0, "The expression can not be empty;")
	case len(text) > MaxText:
		return failf(MaxText, "Expression size has exceeded the maximum allowed size; expression size: %d", len(text))
	}
	return nil
}

// Condition compiles a condition or filter expression.
func (s *Scope) Condition(text string) (*Condition, error) {
	root, err := s.condition(text)
	if err != nil {
		return nil, err
	}
	return &Condition{root: root}, nil
}

func (s *Scope) condition(text string) (*node, error) {
	if err := checkText(text); err != nil {
		return nil, err
	}
	p := newParser(text)
	root, err := p.condition()
	if err != nil {
		return nil, err
	}
	c := checker{scope: s}
	if err := c.condition(p, root); err != nil {
		return nil, err
	}
	return root, nil
}

// Projection compiles a projection expression.
func (s *Scope) Projection(text string) (*Projection, error) {
	if err := checkText(text); err != nil {
		return nil, err
	}
	p := newParser(text)
	nodes, err := p.paths()
	if err != nil {
		return nil, err
	}
	c := checker{scope: s}
	return c.projection(nodes)
}

// Update compiles an update expression.
func (s *Scope) Update(text string) (*Update, error) {
	if err := checkText(text); err != nil {
		return nil, err
	}
	p := newParser(text)
	clauses, err := p.update()
	if err != nil {
		return nil, err
	}
	c := checker{scope: s}
	return c.update(p, clauses)
}
