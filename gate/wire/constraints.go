package wire

import (
	"reflect"
	"strings"
)

// Constraint is one that a Shape sets on a member of its, in the words in which
// Check reports that it is broken: the path, with N for the place in a list or
// the key in a map, and the text. A test can so ask whether it has broken all.
type Constraint struct{ Path, Text string }

// Constraints returns all constraints of the Shape but those that nothing can
// break: a length is never below 0.
func (s *Shape) Constraints() []Constraint {
	l := lister{within: map[*plan]bool{}}
	l.structure(s.root, nil)
	return l.found
}

// New returns a pointer to a zero struct of the Shape's type.
func (s *Shape) New() any { return reflect.New(s.root.typ).Interface() }

type lister struct {
	within map[*plan]bool // what is being listed: structs may hold themselves
	found  []Constraint
}

func (l *lister) structure(p *plan, path []string) {
	if l.within[p] {
		return
	}
	l.within[p] = true
	defer delete(l.within, p)
	for i := range p.members {
		m := &p.members[i]
		at := append(path[:len(path):len(path)], m.path)
		add := func(text string) {
			l.found = append(l.found, Constraint{strings.Join(at, "."), text})
		}
		if m.required {
			add("Member must not be null")
		}
		for _, text := range m.rules.texts(m.plan.kind) {
			add(text)
		}
		if m.key.any() {
			add("Map keys must satisfy constraint: [" + m.key.text(kindString) + "]")
		}
		if m.elem.any() {
			add(elementsOf(m.plan.kind) + " must satisfy constraint: [" + m.elem.text(m.plan.elem.kind) + "]")
		}
		within := m.plan
		for within.kind == kindList || within.kind == kindMap {
			within, at = within.elem, append(at, "N", "member")
		}
		if within.kind == kindStructure {
			l.structure(within, at)
		}
	}
}

// texts are those of all rules that a value of k can break.
func (r *rules) texts(k kind) (all []string) {
	if r.pattern != nil {
		all = append(all, r.patternText())
	}
	if r.min != nil && (*r.min != 0 || measure(k) == "value") {
		all = append(all, r.least(k))
	}
	if r.max != nil {
		all = append(all, r.most(k))
	}
	if r.enum != nil {
		all = append(all, r.enumText())
	}
	return all
}

// elementsOf is what texts call the elements of a list or a map.
func elementsOf(k kind) string {
	if k == kindMap {
		return "Map value"
	}
	return "Member"
}
