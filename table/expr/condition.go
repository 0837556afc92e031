package expr

import (
	"slices"
	"strings"
	"unicode/utf16"

	"github.com/thalweg/thalweg/table/attr"
)

// Condition is a compiled condition or filter.
type Condition struct {
	root  *node
	bound bound
	names []string // as Names; nil: not known yet
}

// Match reports whether the item, which may be nil for one that does not exist,
// meets the condition.
func (c *Condition) Match(item attr.Map) bool { return c.root.match(item, c.bound) }

// match is the truth of a condition.
func (n *node) match(item attr.Map, b bound) bool {
	switch n.op {
	case opAnd:
		for _, a := range n.args {
			if !a.match(item, b) {
				return false
			}
		}
		return true
	case opOr:
		for _, a := range n.args {
			if a.match(item, b) {
				return true
			}
		}
		return false
	case opNot:
		return !n.args[0].match(item, b)
	case opExists:
		return n.args[0].operandOf(item, b) != nil
	case opNotExists:
		return n.args[0].operandOf(item, b) == nil
	}
	v := n.args[0].operandOf(item, b)
	switch n.op {
	case opIn:
		return v != nil && slices.ContainsFunc(n.args[1:], func(a *node) bool { return attr.Equal(v, a.operandOf(item, b)) })
	case opBetween:
		low, ok := attr.Compare(v, n.args[1].operandOf(item, b))
		high, both := attr.Compare(v, n.args[2].operandOf(item, b))
		return ok && both && low >= 0 && high <= 0
	}
	w := n.args[1].operandOf(item, b)
	switch n.op {
	case opEqual:
		return v != nil && attr.Equal(v, w)
	case opDiffer:
		return v == nil || !attr.Equal(v, w)
	case opType:
		name, _ := w.(attr.String)
		return v != nil && v.Type().String() == string(name)
	case opBegins:
		return begins(v, w)
	case opContains:
		return contains(v, w)
	case opNotContains:
		return v != nil && !contains(v, w) // of an absent attribute AWS finds neither
	}
	order, ok := attr.Compare(v, w)
	switch n.op {
	case opLess:
		return ok && order < 0
	case opLessEqual:
		return ok && order <= 0
	case opGreater:
		return ok && order > 0
	case opGreaterEqual:
		return ok && order >= 0
	}
	return false
}

// operandOf is the value of an operand; nil when it is absent.
func (n *node) operandOf(item attr.Map, b bound) attr.Value {
	switch n.op {
	case opPath:
		return n.path.find(item)
	case opValue:
		return b.of(n)
	case opSize:
		return size(n.args[0].operandOf(item, b))
	}
	return nil
}

// size is a value's length: of a string in UTF-16 units, as Java counts, of a
// binary in bytes, of anything else in elements.
func size(v attr.Value) attr.Value {
	n := 0
	switch v := v.(type) {
	case attr.String:
		for _, r := range string(v) {
			n += utf16.RuneLen(r)
		}
	case attr.Binary:
		n = len(v)
	case attr.StringSet:
		n = len(v)
	case attr.BinarySet:
		n = len(v)
	case attr.NumberSet:
		n = len(v)
	case attr.List:
		n = len(v)
	case attr.Map:
		n = len(v)
	default:
		return nil
	}
	return attr.Whole(int64(n))
}

func begins(v, w attr.Value) bool {
	switch v := v.(type) {
	case attr.String:
		prefix, ok := w.(attr.String)
		return ok && strings.HasPrefix(string(v), string(prefix))
	case attr.Binary:
		prefix, ok := w.(attr.Binary)
		return ok && strings.HasPrefix(string(v), string(prefix))
	}
	return false
}

// contains looks for a part of a string, a member of a set or an element of a
// list.
func contains(v, w attr.Value) bool {
	switch v := v.(type) {
	case attr.String:
		part, ok := w.(attr.String)
		return ok && strings.Contains(string(v), string(part))
	case attr.Binary:
		part, ok := w.(attr.Binary)
		return ok && strings.Contains(string(v), string(part))
	case attr.StringSet:
		member, ok := w.(attr.String)
		return ok && slices.Contains(v, string(member))
	case attr.BinarySet:
		member, ok := w.(attr.Binary)
		return ok && slices.Contains(v, string(member))
	case attr.NumberSet:
		member, ok := w.(attr.Number)
		return ok && slices.Contains(v, member)
	case attr.List:
		return slices.ContainsFunc(v, func(x attr.Value) bool { return attr.Equal(x, w) })
	}
	return false
}

// Names are the attributes that the condition looks at, in order and each once.
func (c *Condition) Names() []string {
	if c.names != nil {
		return c.names
	}
	return distinct(c.root.names([]string{}))
}

// distinct sorts names and leaves each once.
func distinct(names []string) []string {
	slices.Sort(names)
	return slices.Compact(names)
}

// names appends the attributes that a node looks at.
func (n *node) names(names []string) []string {
	if n.op == opPath {
		names = append(names, n.path[0].Name)
	}
	for _, a := range n.args {
		names = a.names(names)
	}
	return names
}
