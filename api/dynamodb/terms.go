package dynamodb

import (
	"slices"
	"strings"

	"github.com/thalweg/thalweg/table/attr"
	"github.com/thalweg/thalweg/table/expr"
)

// terms are the names and values that the expressions of one request share.
type terms struct {
	ExpressionAttributeNames  map[string]string
	ExpressionAttributeValues *item
}

// parameter is a member of a request and whether it is there.
type parameter struct {
	name  string
	given bool
}

func given(list ...parameter) []string {
	var names []string
	for _, p := range list {
		if p.given {
			names = append(names, p.name)
		}
	}
	return names
}

// mixed refuses requests that have both expressions and what they replaced.
func mixed(older, newer []string) error {
	if len(older) == 0 || len(newer) == 0 {
		return nil
	}
	return invalid("Can not use both expression and non-expression parameters in the same request: Non-expression parameters: {%s} Expression parameters: {%s}",
		strings.Join(older, ", "), strings.Join(newer, ", "))
}

// scope begins compiling. expressions are the members of the request that may
// hold expressions, which use the terms.
func (t *terms) scope(expressions ...parameter) (*expr.Scope, error) {
	var values attr.Map
	if t.ExpressionAttributeValues != nil {
		values = t.ExpressionAttributeValues.Map
	}
	if len(given(expressions...)) == 0 {
		var names []string
		for _, e := range expressions {
			names = append(names, e.name)
		}
		verb := " are null"
		if len(names) == 1 {
			verb = " is null"
		}
		switch {
		case t.ExpressionAttributeNames != nil:
			return nil, invalid("ExpressionAttributeNames can only be specified when using expressions")
		case values != nil && slices.Contains(names, "ProjectionExpression") && len(names) == 1:
			return nil, invalid("ExpressionAttributeValues can only be specified when using expressions")
		case values != nil:
			return nil, invalid("ExpressionAttributeValues can only be specified when using expressions: %s%s", strings.Join(names, " and "), verb)
		}
	}
	s, err := expr.NewScope(t.ExpressionAttributeNames, values)
	if err != nil {
		return nil, invalid("%s", err)
	}
	return s, nil
}

// compile compiles the expression of a member, if it is there, and says in its
// faults which one it is about.
func compile[T any](member string, text *string, f func(string) (T, error)) (out T, err error) {
	if text == nil {
		return out, nil
	}
	if out, err = f(*text); err != nil {
		return out, invalid("Invalid %s: %s", member, err)
	}
	return out, nil
}

// done reports terms that no expression used.
func done(s *expr.Scope) error {
	if err := s.Done(); err != nil {
		return invalid("%s", err)
	}
	return nil
}

// projection is the attributes that a read asks for, in either form.
func projection(s *expr.Scope, expression *string, older []string) (*expr.Projection, error) {
	if older == nil {
		return compile("ProjectionExpression", expression, s.Projection)
	}
	names := slices.Sorted(slices.Values(older))
	for i := range names {
		if err := attr.CheckName(names[i]); err != nil {
			return nil, invalid(parameters+"%s", err)
		}
		if i > 0 && names[i] == names[i-1] {
			return nil, invalid(parameters+"Duplicate value in attribute name: %s", names[i])
		}
	}
	return expr.Attributes(older), nil
}
