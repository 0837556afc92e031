package filter

import (
	"fmt"
	"maps"
	"slices"
)

// compileObject reads the pattern of an object, its members in the order of
// their names.
func compileObject(m map[string]any) (*object, error) {
	if len(m) == 0 {
		return nil, fmt.Errorf("an object in it is empty, so nothing is asked")
	}
	o := new(object)
	for _, name := range slices.Sorted(maps.Keys(m)) {
		if list, ok := m[name].([]any); ok && name == "$or" && objects(list) {
			alternatives, err := compileOr(list)
			if err != nil {
				return nil, err
			}
			o.or = append(o.or, alternatives)
			continue
		}
		f := field{name: name}
		var err error
		switch v := m[name].(type) {
		case map[string]any:
			f.sub, err = compileObject(v)
		case []any:
			f.any, err = compileTests(v)
		default:
			err = fmt.Errorf("%q must be an object or a list", name)
		}
		if err != nil {
			return nil, err
		}
		o.fields = append(o.fields, f)
	}
	return o, nil
}

// objects tells a $or from a member of that name whose values are given.
func objects(list []any) bool {
	for _, v := range list {
		if _, ok := v.(map[string]any); !ok {
			return false
		}
	}
	return len(list) >= 2
}

func compileOr(list []any) (alternatives []*object, err error) {
	for _, v := range list {
		o, err := compileObject(v.(map[string]any))
		if err != nil {
			return nil, err
		}
		alternatives = append(alternatives, o)
	}
	return alternatives, nil
}

func compileTests(list []any) (tests []test, err error) {
	if len(list) == 0 {
		return nil, fmt.Errorf("a list in it is empty, so nothing can match")
	}
	for _, v := range list {
		t, err := compileTest(v)
		if err != nil {
			return nil, err
		}
		tests = append(tests, t)
	}
	return tests, nil
}

func compileTest(v any) (test, error) {
	m, ok := v.(map[string]any)
	if !ok {
		if _, ok := v.([]any); ok {
			return test{}, fmt.Errorf("a list in it holds a list")
		}
		return test{op: equals, value: v}, nil
	}
	if len(m) != 1 {
		return test{}, fmt.Errorf("an operator stands alone in its object, this one has %d members", len(m))
	}
	for name, operand := range m {
		return compileOperator(name, operand)
	}
	return test{}, nil // not reached
}

func compileOperator(name string, operand any) (t test, err error) {
	switch name {
	case "prefix", "suffix", "equals-ignore-case":
		t.op = map[string]op{"prefix": prefix, "suffix": suffix, "equals-ignore-case": fold}[name]
		var ok bool
		if t.text, ok = operand.(string); !ok {
			return t, fmt.Errorf("%s wants a string", name)
		}
	case "exists":
		yes, ok := operand.(bool)
		if !ok {
			return t, fmt.Errorf("exists wants true or false")
		}
		if t.op = absent; yes {
			t.op = exists
		}
	case "numeric":
		return compileNumeric(operand)
	case "anything-but":
		return compileAnythingBut(operand)
	default:
		err = fmt.Errorf("operator %q is not known", name)
	}
	return t, err
}

// compileNumeric reads ["=", 5] and [">", 0, "<=", 5].
func compileNumeric(operand any) (test, error) {
	t := test{op: numeric}
	list, _ := operand.([]any)
	if len(list) != 2 && len(list) != 4 {
		return t, fmt.Errorf("numeric wants a list of one or two comparisons")
	}
	for ; len(list) > 0; list = list[2:] {
		how, _ := list[0].(string)
		n, ok := list[1].(float64)
		if !ok {
			return t, fmt.Errorf("numeric compares with a number")
		}
		b := bound{set: true, limit: n, inclusive: how == "=" || how == "<=" || how == ">="}
		switch how {
		case "=":
			if t.low.set || len(list) > 2 {
				return t, fmt.Errorf("numeric: = stands alone")
			}
			t.low, t.high = b, b
		case ">", ">=":
			if t.low.set || t.high.set {
				return t, fmt.Errorf("numeric: the lower bound comes first, and once")
			}
			t.low = b
		case "<", "<=":
			if t.high.set {
				return t, fmt.Errorf("numeric: there are two upper bounds")
			}
			t.high = b
		default:
			return t, fmt.Errorf("numeric does not know %q", how)
		}
	}
	if t.low.set && t.high.set && (t.low.limit > t.high.limit || t.low.limit == t.high.limit && !(t.low.inclusive && t.high.inclusive)) {
		return t, fmt.Errorf("numeric: no number is between the bounds")
	}
	return t, nil
}

// compileAnythingBut reads a value, a list of values, or a prefix, suffix or
// equals-ignore-case of one or several.
func compileAnythingBut(operand any) (test, error) {
	t := test{op: anythingBut}
	name := ""
	if m, ok := operand.(map[string]any); ok {
		if len(m) != 1 {
			return t, fmt.Errorf("anything-but wants one operator")
		}
		for name, operand = range m {
		}
		if name != "prefix" && name != "suffix" && name != "equals-ignore-case" {
			return t, fmt.Errorf("anything-but does not know %q", name)
		}
	}
	list, ok := operand.([]any)
	if !ok {
		list = []any{operand}
	}
	if len(list) == 0 {
		return t, fmt.Errorf("anything-but wants something that is not to be")
	}
	for _, v := range list {
		var not test
		var err error
		switch v.(type) {
		case map[string]any, []any:
			return t, fmt.Errorf("anything-but wants values")
		}
		if name == "" {
			not = test{op: equals, value: v}
		} else if not, err = compileOperator(name, v); err != nil {
			return t, err
		}
		t.not = append(t.not, not)
	}
	return t, nil
}
