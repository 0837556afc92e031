package wire

import (
	"fmt"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/thalweg/thalweg/fault"
)

// maxViolations is how many violations AWS names in one answer.
const maxViolations = 10

// Check holds v, a struct of the Shape's type or a pointer to one, against the
// constraints of its members. The error is a *fault.Error of kind Constraint
// with AWS's text, which names at most ten violations.
func (s *Shape) Check(v any) error {
	r, err := s.value(v)
	if err != nil {
		return fmt.Errorf("check: %w", err)
	}
	var c checker
	c.structure(s.root, r)
	switch n := len(c.found); n {
	case 0:
		return nil
	case 1:
		return fault.New(fault.Constraint, "1 validation error detected: %s", c.found[0])
	default:
		return fault.New(fault.Constraint, "%d validation errors detected: %s", n, strings.Join(c.found, "; "))
	}
}

// value is the struct that v is or points to.
func (s *Shape) value(v any) (reflect.Value, error) {
	r := reflect.ValueOf(v)
	if r.Kind() == reflect.Pointer {
		r = r.Elem()
	}
	if !r.IsValid() || r.Type() != s.root.typ {
		return r, fmt.Errorf("a %T is no %v", v, s.root.typ)
	}
	return r, nil
}

type checker struct {
	path  []byte // of what is being checked, as texts have it
	found []string
}

func (c *checker) full() bool { return len(c.found) >= maxViolations }

func (c *checker) violation(shown, constraint string) {
	if !c.full() {
		c.found = append(c.found, fmt.Sprintf("Value %s at '%s' failed to satisfy constraint: %s", shown, c.path, constraint))
	}
}

func (c *checker) structure(p *plan, v reflect.Value) {
	for i := range p.members {
		if c.full() {
			return
		}
		m := &p.members[i]
		leave := c.enter(m.path)
		if f, ok := m.present(v); ok {
			c.member(m, f)
		} else if m.required {
			c.violation("null", "Member must not be null")
		}
		c.path = c.path[:leave]
	}
}

// enter makes name the last step of the path and returns how long it was.
func (c *checker) enter(name string) (leave int) {
	leave = len(c.path)
	if leave > 0 {
		c.path = append(c.path, '.')
	}
	c.path = append(c.path, name...)
	return leave
}

// present is m's value in the struct v, without its pointer; ok is false if it
// is absent.
func (m *member) present(v reflect.Value) (f reflect.Value, ok bool) {
	f = m.field(v)
	if m.pointer {
		if f.IsNil() {
			return f, false
		}
		f = f.Elem()
	}
	switch m.plan.kind {
	case kindBlob, kindList, kindMap:
		return f, !f.IsNil()
	case kindTimestamp:
		return f, !f.Interface().(time.Time).IsZero()
	}
	return f, m.pointer || !m.omitzero || !f.IsZero()
}

func (c *checker) member(m *member, v reflect.Value) {
	p := m.plan
	for constraint := range m.rules.broken(p, v) {
		c.violation("'"+show(p, v)+"'", constraint)
	}
	if m.key.any() && slices.ContainsFunc(v.MapKeys(), func(k reflect.Value) bool { return m.key.breaks(&plan{kind: kindString}, k) }) {
		c.violation("'"+show(p, v)+"'", "Map keys must satisfy constraint: ["+m.key.text(kindString)+"]")
	}
	if m.elem.any() && anyElement(p, v, func(e reflect.Value) bool { return m.elem.breaks(p.elem, e) }) {
		c.violation("'"+show(p, v)+"'", elementsOf(p.kind)+" must satisfy constraint: ["+m.elem.text(p.elem.kind)+"]")
	}
	c.within(p, v)
}

// within checks what v holds, whose own constraints are its member's.
func (c *checker) within(p *plan, v reflect.Value) {
	switch p.kind {
	case kindStructure:
		c.structure(p, v)
	case kindList:
		if !p.elem.holds() {
			return
		}
		for i := range v.Len() {
			c.element(p, v.Index(i), strconv.Itoa(i+1))
		}
	case kindMap:
		if !p.elem.holds() {
			return
		}
		for _, k := range sortedKeys(v) {
			c.element(p, v.MapIndex(k), k.String())
		}
	}
}

// holds reports whether a value of p may hold members with constraints.
func (p *plan) holds() bool {
	return p.kind == kindStructure || p.kind == kindList || p.kind == kindMap
}

func (c *checker) element(p *plan, e reflect.Value, at string) {
	if p.pointer {
		e = e.Elem()
	}
	if c.full() || !e.IsValid() {
		return
	}
	leave := c.enter(at)
	c.enter("member")
	c.within(p.elem, e)
	c.path = c.path[:leave]
}

// anyElement reports whether bad is true for one of the elements of v.
func anyElement(p *plan, v reflect.Value, bad func(reflect.Value) bool) bool {
	one := func(e reflect.Value) bool {
		if p.pointer {
			e = e.Elem()
		}
		return e.IsValid() && bad(e)
	}
	if p.kind == kindList {
		for i := range v.Len() {
			if one(v.Index(i)) {
				return true
			}
		}
		return false
	}
	for it := v.MapRange(); it.Next(); {
		if one(it.Value()) {
			return true
		}
	}
	return false
}

// breaks reports whether v breaks any of the rules.
func (r *rules) breaks(p *plan, v reflect.Value) bool {
	for range r.broken(p, v) {
		return true
	}
	return false
}

// broken yields the text of each of the rules that v breaks.
func (r *rules) broken(p *plan, v reflect.Value) func(yield func(string) bool) {
	return func(yield func(string) bool) {
		if r.pattern != nil && !r.pattern.MatchString(v.String()) && !yield(r.patternText()) {
			return
		}
		if r.min != nil && size(p, v) < *r.min && !yield(r.least(p.kind)) {
			return
		}
		if r.max != nil && size(p, v) > *r.max && !yield(r.most(p.kind)) {
			return
		}
		if r.enum != nil && !slices.Contains(r.enum, v.String()) {
			yield(r.enumText())
		}
	}
}

// text lists all the rules, in the order in which AWS prints those of elements.
func (r *rules) text(k kind) string {
	var all []string
	if r.max != nil {
		all = append(all, r.most(k))
	}
	if r.min != nil {
		all = append(all, r.least(k))
	}
	if r.pattern != nil {
		all = append(all, r.patternText())
	}
	if r.enum != nil {
		all = append(all, r.enumText())
	}
	return strings.Join(all, ", ")
}

func (r *rules) least(k kind) string {
	return "Member must have " + measure(k) + " greater than or equal to " + r.minText
}

func (r *rules) most(k kind) string {
	return "Member must have " + measure(k) + " less than or equal to " + r.maxText
}

func (r *rules) patternText() string {
	return "Member must satisfy regular expression pattern: " + r.source
}

func (r *rules) enumText() string {
	return "Member must satisfy enum value set: [" + strings.Join(r.enum, ", ") + "]"
}

// measure is what a bound on a k bounds.
func measure(k kind) string {
	switch k {
	case kindShort, kindInteger, kindLong, kindDouble:
		return "value"
	}
	return "length"
}

// size is the value of a number and the length of anything else.
func size(p *plan, v reflect.Value) float64 {
	switch p.kind {
	case kindShort, kindInteger, kindLong:
		return float64(v.Int())
	case kindDouble:
		return v.Float()
	case kindString:
		return float64(utf8.RuneCountInString(v.String()))
	}
	return float64(v.Len())
}

func sortedKeys(v reflect.Value) []reflect.Value {
	keys := v.MapKeys()
	slices.SortFunc(keys, func(a, b reflect.Value) int { return strings.Compare(a.String(), b.String()) })
	return keys
}
