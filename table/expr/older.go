package expr

import (
	"slices"

	"github.com/thalweg/thalweg/table/attr"
)

// Older is one condition in the form that came before expressions: Expected,
// ScanFilter, QueryFilter and KeyConditions. Op is AWS's ComparisonOperator.
type Older struct {
	Name   string
	Op     string
	Values []attr.Value
}

const invalid = "One or more parameter values were invalid: "

// olderOp is the operator's node, how many values it takes (at least when
// negative) and of which types.
func olderOp(name string) (o op, values int, types []attr.Type) {
	scalar := []attr.Type{attr.S, attr.N, attr.B}
	switch name {
	case "EQ":
		return opEqual, 1, nil
	case "NE":
		return opDiffer, 1, nil
	case "LE":
		return opLessEqual, 1, scalar
	case "LT":
		return opLess, 1, scalar
	case "GE":
		return opGreaterEqual, 1, scalar
	case "GT":
		return opGreater, 1, scalar
	case "NOT_NULL":
		return opExists, 0, nil
	case "NULL":
		return opNotExists, 0, nil
	case "CONTAINS":
		return opContains, 1, scalar
	case "NOT_CONTAINS":
		return opNotContains, 1, scalar
	case "BEGINS_WITH":
		return opBegins, 1, []attr.Type{attr.S, attr.B}
	case "IN":
		return opIn, -1, scalar
	case "BETWEEN":
		return opBetween, 2, scalar
	}
	return 0, 0, nil
}

// Check finds what is wrong with one condition.
func (c *Older) Check() error {
	if err := attr.CheckName(c.Name); err != nil {
		return failf(-1, invalid+"%s", err)
	}
	o, want, types := olderOp(c.Op)
	if o == 0 {
		return failf(-1, invalid+"Unsupported ComparisonOperator: %s", c.Op)
	}
	if n := len(c.Values); want >= 0 && n != want || want < 0 && n < -want {
		return failf(-1, invalid+"Invalid number of argument(s) for the %s ComparisonOperator", c.Op)
	}
	for _, v := range c.Values {
		if v.Type() != c.Values[0].Type() {
			return failf(-1, invalid+"AttributeValues inside AttributeValueList must be of same type")
		}
		if types != nil && !slices.Contains(types, v.Type()) {
			return failf(-1, invalid+"ComparisonOperator %s is not valid for %s AttributeValue type", c.Op, v.Type())
		}
	}
	if o == opBetween {
		if order, _ := attr.Compare(c.Values[0], c.Values[1]); order > 0 {
			return failf(-1, "The BETWEEN condition was provided a range where the lower bound is greater than the upper bound")
		}
	}
	return nil
}

// FromOlder joins conditions, each of which must have been checked, by AND or
// by OR.
func FromOlder(conditions []Older, or bool) *Condition {
	root := &node{op: opAnd}
	if or {
		root.op = opOr
	}
	for _, c := range conditions {
		o, _, _ := olderOp(c.Op)
		n := &node{op: o, args: []*node{{op: opPath, path: Path{{Name: c.Name}}}}}
		for _, v := range c.Values {
			n.args = append(n.args, &node{op: opValue, value: v})
		}
		root.args = append(root.args, n)
	}
	if len(root.args) == 1 {
		root = root.args[0]
	}
	return &Condition{root: root}
}

// KeyTests turns checked conditions into those of keys. AWS takes no other
// operators for keys than expressions have.
func KeyTests(conditions []Older) ([]KeyTest, error) {
	var list []KeyTest
	for _, c := range conditions {
		o, _, _ := olderOp(c.Op)
		switch o {
		case opEqual, opLess, opLessEqual, opGreater, opGreaterEqual, opBetween, opBegins:
			list = append(list, KeyTest{c.Name, keyOp(o, false), c.Values})
		default:
			return nil, failf(-1, "Attempted conditional constraint is not an indexable operation")
		}
	}
	return list, nil
}

// OlderUpdate is one entry of AttributeUpdates. Action "" is PUT.
type OlderUpdate struct {
	Name   string
	Action string
	Value  attr.Value // nil when there is none
}

// FromOlderUpdates compiles AttributeUpdates.
func FromOlderUpdates(updates []OlderUpdate) (*Update, error) {
	u := &Update{older: true}
	for _, c := range updates {
		if err := attr.CheckName(c.Name); err != nil {
			return nil, failf(-1, invalid+"%s", err)
		}
		s := step{action: actionSet, path: Path{{Name: c.Name}}}
		if c.Value == nil {
			if c.Action != "DELETE" {
				return nil, failf(-1, invalid+"Only DELETE action is allowed when no attribute value is specified")
			}
			s.action = actionRemove
			u.steps = append(u.steps, s)
			continue
		}
		set := c.Value.Type() == attr.SS || c.Value.Type() == attr.NS || c.Value.Type() == attr.BS
		switch {
		case c.Action == "DELETE" && !set:
			return nil, failf(-1, invalid+"DELETE action with value is not supported for the type %s", c.Value.Type())
		case c.Action == "DELETE":
			s.action = actionDelete
		case c.Action == "ADD" && !set && c.Value.Type() != attr.N && c.Value.Type() != attr.L:
			return nil, failf(-1, invalid+"ADD action is not supported for the type %s", c.Value.Type())
		case c.Action == "ADD":
			s.action = actionAdd
		}
		s.value = &node{op: opValue, value: c.Value}
		u.steps = append(u.steps, s)
	}
	return u, nil
}
