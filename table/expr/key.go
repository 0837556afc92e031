package expr

import "github.com/thalweg/thalweg/table/attr"

// KeyOp is how a key condition compares.
type KeyOp byte

// The comparisons that keys have.
const (
	KeyEqual KeyOp = iota + 1
	KeyLess
	KeyLessEqual
	KeyGreater
	KeyGreaterEqual
	KeyBetween // two values
	KeyBegins
)

// KeyTest is the condition on one key attribute.
type KeyTest struct {
	Name   string
	Op     KeyOp
	Values []attr.Value
}

// KeyCondition compiles a key condition expression: one condition for each
// attribute, joined by AND. Whether they suit the keys is the table's affair.
func (s *Scope) KeyCondition(text string) ([]KeyTest, error) {
	root, err := s.condition(text)
	if err != nil {
		return nil, err
	}
	return keyTests(nil, root)
}

// KeyError is what is wrong with a key condition whose parts are right. Its
// message says what it is about, where an Error's leaves that to be said.
type KeyError struct{ cause *Error }

func (e *KeyError) Error() string { return e.cause.Message }

// Unwrap returns the mistake and its place.
func (e *KeyError) Unwrap() error { return e.cause }

func keyFail(at int, format string, args ...any) error {
	return &KeyError{failf(at, format, args...)}
}

const keyIn = "Invalid condition in KeyConditionExpression: "

func keyTests(list []KeyTest, n *node) ([]KeyTest, error) {
	switch n.op {
	case opAnd:
		var err error
		for _, a := range n.args {
			if list, err = keyTests(list, a); err != nil {
				return nil, err
			}
		}
		return list, nil
	case opOr, opNot, opIn, opDiffer, opExists, opNotExists, opType, opContains:
		return nil, keyFail(n.at, "Invalid operator used in KeyConditionExpression: %s", opName(n.op))
	case opBetween, opBegins:
		if n.args[0].op != opPath {
			return nil, keyFail(n.at, keyIn+"%s operator must have the key attribute as its first operand", opName(n.op))
		}
	}
	t := KeyTest{}
	turned := false
	for i, a := range n.args {
		switch {
		case a.op == opSize:
			return nil, keyFail(a.at, "KeyConditionExpressions cannot contain nested operations")
		case a.op == opValue:
			t.Values = append(t.Values, a.value)
		case t.Name != "":
			return nil, keyFail(a.at, keyIn+"Multiple attribute names used in one condition")
		case len(a.path) > 1:
			return nil, keyFail(a.at, "KeyConditionExpressions cannot have conditions on nested attributes")
		default:
			t.Name, turned = a.path[0].Name, i > 0
		}
	}
	if t.Name == "" {
		return nil, keyFail(n.at, keyIn+"No key attribute specified")
	}
	for _, other := range list {
		if other.Name == t.Name {
			return nil, keyFail(n.at, "KeyConditionExpressions must only contain one condition per key")
		}
	}
	t.Op = keyOp(n.op, turned)
	return append(list, t), nil
}

// keyOp is the comparison that o is; turned when the attribute stands right.
func keyOp(o op, turned bool) KeyOp {
	if turned {
		switch o {
		case opLess:
			return KeyGreater
		case opLessEqual:
			return KeyGreaterEqual
		case opGreater:
			return KeyLess
		case opGreaterEqual:
			return KeyLessEqual
		}
	}
	switch o {
	case opLess:
		return KeyLess
	case opLessEqual:
		return KeyLessEqual
	case opGreater:
		return KeyGreater
	case opGreaterEqual:
		return KeyGreaterEqual
	case opBetween:
		return KeyBetween
	case opBegins:
		return KeyBegins
	}
	return KeyEqual
}
