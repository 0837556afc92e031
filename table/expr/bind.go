package expr

import "github.com/thalweg/thalweg/table/attr"

// Clients send the same few expressions over and over, with other values. What
// was compiled once, and stripped of its values, serves again with those of
// another request.

// bound is a request's values in the order of their slots; nil for a program
// that holds its values itself.
type bound []attr.Value

// of is the value of a node.
func (b bound) of(n *node) attr.Value {
	if b != nil && n.slot > 0 {
		return b[n.slot-1]
	}
	return n.value
}

// Binding is what other values must be like to take the place of those that a
// request's expressions were compiled with.
type Binding struct {
	names []string // in the order of the slots
	types []attr.Type
}

// Binding describes the values that the scope's expressions use, all of which
// are compiled, and Done finds nothing wrong. ok is false when compiling looked
// at more of a value than its type, so that others may be refused.
func (s *Scope) Binding() (b *Binding, ok bool) {
	if s.special {
		return nil, false
	}
	b = &Binding{make([]string, len(s.slots)), make([]attr.Type, len(s.slots))}
	for name, slot := range s.slots {
		b.names[slot-1], b.types[slot-1] = name, s.values[name].Type()
	}
	return b, true
}

// Values puts a request's values, nil when it has none, in the order that With
// wants. ok is false unless they have the names and the types that were compiled
// with.
func (b *Binding) Values(given map[string]attr.Value) (values []attr.Value, ok bool) {
	if len(given) != len(b.names) || given != nil && len(given) == 0 {
		return nil, false
	}
	values = make([]attr.Value, len(b.names))
	for i, name := range b.names {
		v := given[name]
		if v == nil || v.Type() != b.types[i] {
			return nil, false
		}
		values[i] = v
	}
	return values, true
}

// Strip returns the condition without its values: it is good for With only.
func (c *Condition) Strip() *Condition {
	return &Condition{root: c.root.strip(), names: c.Names()}
}

// With is the condition with other values, those that its Binding returned.
func (c *Condition) With(values []attr.Value) *Condition {
	return &Condition{c.root, values, c.names}
}

// Strip returns the update without its values: it is good for With only.
func (u *Update) Strip() *Update {
	bare := &Update{older: u.older, names: u.Names(), steps: make([]step, len(u.steps))}
	for i, s := range u.steps {
		if s.value != nil {
			s.value = s.value.strip()
		}
		bare.steps[i] = s
	}
	return bare
}

// With is the update with other values, those that its Binding returned.
func (u *Update) With(values []attr.Value) *Update {
	return &Update{u.steps, u.older, values, u.names}
}

func (n *node) strip() *node {
	bare := *n
	bare.value = nil
	bare.args = make([]*node, len(n.args))
	for i, a := range n.args {
		bare.args[i] = a.strip()
	}
	return &bare
}
