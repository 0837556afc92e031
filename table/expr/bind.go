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

// Bind describes the values of the expressions of a scope, either of which may
// be nil. ok is false when compiling looked at more of a value than its type, so
// that others may be refused.
func Bind(c *Condition, u *Update) (b *Binding, ok bool) {
	b = new(Binding)
	ok = true
	look := func(n *node) error {
		switch {
		case n.op == opType, n.op == opBetween && n.args[1].op == opValue && n.args[2].op == opValue, n.op == opValue && n.slot == 0:
			ok = false
		case n.op == opValue:
			for len(b.names) < n.slot {
				b.names, b.types = append(b.names, ""), append(b.types, 0)
			}
			b.names[n.slot-1], b.types[n.slot-1] = n.name, n.value.Type()
		}
		return nil
	}
	if c != nil {
		_ = walk(c.root, look)
	}
	if u != nil {
		for _, s := range u.steps {
			if s.value != nil {
				_ = walk(s.value, look)
			}
		}
	}
	return b, ok
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
