package expr

import (
	"maps"
	"slices"

	"github.com/thalweg/thalweg/table/attr"
)

// action is what one step of an update does. The numbers are on disk.
type action byte

const (
	actionSet action = iota + 1
	actionRemove
	actionAdd
	actionDelete
)

func (a action) String() string {
	return [...]string{"?", "SET", "REMOVE", "ADD", "DELETE"}[a]
}

// step is one change of an Update.
type step struct {
	action action
	path   Path
	value  *node // nil of REMOVE
}

// Update is a compiled update expression. The zero Update changes nothing.
type Update struct {
	steps []step
	older bool // made of AttributeUpdates
	bound bound
	names []string // as Names; nil: not known yet
}

// Paths are the paths that the update writes, in its order.
func (u *Update) Paths() []Path {
	paths := make([]Path, len(u.steps))
	for i, s := range u.steps {
		paths[i] = s.path
	}
	return paths
}

// Names are the attributes that the update looks at or writes, each once.
func (u *Update) Names() []string {
	if u.names != nil {
		return u.names
	}
	names := []string{}
	for i := range u.steps {
		s := &u.steps[i]
		if name := s.path[0].Name; !slices.Contains(names, name) {
			names = append(names, name)
		}
		if s.value != nil {
			names = s.value.names(names)
		}
	}
	return names
}

// Writes returns the first attribute that the update writes to or within and
// that is one of those meant; ok is false when it writes to none of them.
func (u *Update) Writes(meant func(name string) bool) (name string, ok bool) {
	for i := range u.steps {
		if name := u.steps[i].path[0].Name; meant(name) {
			return name, true
		}
	}
	return "", false
}

// What AWS says of updates that an item does not bear.
func errOperand() error {
	return failf(-1, "An operand in the update expression has an incorrect data type")
}
func errDocument() error {
	return failf(-1, "The document path provided in the update expression is invalid for update")
}
func errAbsent() error {
	return failf(-1, "The provided expression refers to an attribute that does not exist in the item")
}

// Apply returns the item after the update; item stays as it is. All values are
// those of the item before it. The errors are *Error.
func (u *Update) Apply(item attr.Map) (attr.Map, error) {
	values := make([]attr.Value, len(u.steps))
	for i, s := range u.steps {
		if s.value == nil {
			continue
		}
		v, err := s.value.eval(item, u.bound)
		if err != nil {
			return nil, err
		}
		if v == nil {
			return nil, errAbsent()
		}
		values[i] = v
	}
	next := maps.Clone(item)
	if next == nil {
		next = attr.Map{}
	}
	for _, i := range u.order() {
		if _, err := u.steps[i].within(next, u.steps[i].path, values[i]); err != nil {
			if u.older && err.Error() == errOperand().Error() {
				err = failf(-1, "Type mismatch for attribute to update")
			}
			return nil, err
		}
	}
	return next, nil
}

// order is the order in which steps are taken. The indexes of a request are
// those of the item before it: so elements of lists are set from the front,
// those beyond the end being appended in their order, and are removed last,
// from the back.
func (u *Update) order() []int {
	order := make([]int, len(u.steps))
	for i := range order {
		order[i] = i
	}
	rank := func(i int) int {
		s := &u.steps[i]
		last := s.path[len(s.path)-1]
		switch {
		case last.Name != "":
			return -1
		case s.action == actionRemove:
			return 1<<32 + 1<<31 - last.Index
		}
		return last.Index
	}
	slices.SortStableFunc(order, func(a, b int) int { return rank(a) - rank(b) })
	return order
}

// within returns in, which is the caller's own, with the change made at path.
// What lies deeper is copied along the path.
func (s *step) within(in attr.Value, path Path, v attr.Value) (attr.Value, error) {
	at, last := path[0], len(path) == 1
	switch in := in.(type) {
	case attr.Map:
		if at.Name == "" {
			return nil, errDocument()
		}
		old := in[at.Name]
		if !last {
			return in, s.descend(old, path, v, func(x attr.Value) { in[at.Name] = x })
		}
		x, err := s.change(old, v)
		if err == nil && x == nil {
			delete(in, at.Name)
		} else if err == nil {
			in[at.Name] = x
		}
		return in, err
	case attr.List:
		if at.Name != "" {
			return nil, errDocument()
		}
		if !last {
			if at.Index >= len(in) {
				return nil, errDocument()
			}
			return in, s.descend(in[at.Index], path, v, func(x attr.Value) { in[at.Index] = x })
		}
		return s.element(in, at.Index, v)
	}
	return nil, errDocument()
}

// descend makes the change in a copy of old and puts that in its place.
func (s *step) descend(old attr.Value, path Path, v attr.Value, put func(attr.Value)) error {
	switch o := old.(type) {
	case attr.Map:
		old = maps.Clone(o)
	case attr.List:
		old = slices.Clone(o)
	}
	x, err := s.within(old, path[1:], v)
	if err == nil {
		put(x)
	}
	return err
}

// element changes one element of a list; one set beyond the end is appended.
func (s *step) element(in attr.List, i int, v attr.Value) (attr.Value, error) {
	var old attr.Value
	if i < len(in) {
		old = in[i]
	}
	x, err := s.change(old, v)
	switch {
	case err != nil:
		return nil, err
	case x == nil && i < len(in):
		return slices.Delete(in, i, i+1), nil
	case x == nil:
		return in, nil
	case i < len(in):
		in[i] = x
		return in, nil
	}
	return append(in, x), nil
}

// change is what becomes of the value old; nil is absent, before and after.
func (s *step) change(old, v attr.Value) (attr.Value, error) {
	switch s.action {
	case actionSet:
		return v, nil
	case actionAdd:
		return add(old, v)
	case actionDelete:
		return subtract(old, v)
	}
	return nil, nil
}

// add adds a number, or the members of a set. AttributeUpdates may also add to
// a list.
func add(old, v attr.Value) (attr.Value, error) {
	if old == nil {
		return v, nil
	}
	switch v := v.(type) {
	case attr.Number:
		if old, ok := old.(attr.Number); ok {
			return sum(old, v, attr.Number.Add)
		}
	case attr.StringSet:
		if old, ok := old.(attr.StringSet); ok {
			set, _ := attr.NewSet(slices.Concat(old, v))
			return attr.StringSet(set), nil
		}
	case attr.BinarySet:
		if old, ok := old.(attr.BinarySet); ok {
			set, _ := attr.NewSet(slices.Concat(old, v))
			return attr.BinarySet(set), nil
		}
	case attr.NumberSet:
		if old, ok := old.(attr.NumberSet); ok {
			set, _ := attr.NewNumberSet(slices.Concat(old, v))
			return set, nil
		}
	case attr.List:
		if old, ok := old.(attr.List); ok {
			return slices.Concat(old, v), nil
		}
	}
	return nil, errOperand()
}

func sum(a, b attr.Number, f func(a, b attr.Number) (attr.Number, error)) (attr.Value, error) {
	n, err := f(a, b)
	if err != nil {
		return nil, failf(-1, "%s", err)
	}
	return n, nil
}

// subtract takes members out of a set; nothing is left of an empty one.
func subtract(old, v attr.Value) (attr.Value, error) {
	if old == nil {
		return nil, nil
	}
	switch v := v.(type) {
	case attr.StringSet:
		if old, ok := old.(attr.StringSet); ok {
			return orNil(attr.StringSet(without(old, v)))
		}
	case attr.BinarySet:
		if old, ok := old.(attr.BinarySet); ok {
			return orNil(attr.BinarySet(without(old, v)))
		}
	case attr.NumberSet:
		if old, ok := old.(attr.NumberSet); ok {
			return orNil(attr.NumberSet(without(old, v)))
		}
	}
	return nil, errOperand()
}

func without[E comparable](set, gone []E) []E {
	var left []E
	for _, x := range set {
		if !slices.Contains(gone, x) {
			left = append(left, x)
		}
	}
	return left
}

// orNil is a set as a value, or no value when it is empty.
func orNil[T interface {
	attr.Value
	~[]E
}, E any](set T) (attr.Value, error) {
	if len(set) == 0 {
		return nil, nil
	}
	return set, nil
}

// eval is the value of an operand of an update; nil when it is absent.
func (n *node) eval(item attr.Map, with bound) (attr.Value, error) {
	switch n.op {
	case opPath:
		return n.path.find(item), nil
	case opValue:
		return with.of(n), nil
	}
	a, err := n.args[0].eval(item, with)
	if err != nil {
		return nil, err
	}
	if n.op == opIfNotExists && a != nil {
		return a, nil
	}
	b, err := n.args[1].eval(item, with)
	if err != nil || n.op == opIfNotExists {
		return b, err
	}
	if a == nil || b == nil {
		return nil, errAbsent()
	}
	switch n.op {
	case opPlus, opMinus:
		x, ok := a.(attr.Number)
		y, both := b.(attr.Number)
		if !ok || !both {
			return nil, errOperand()
		}
		if n.op == opPlus {
			return sum(x, y, attr.Number.Add)
		}
		return sum(x, y, attr.Number.Sub)
	case opAppend:
		x, ok := a.(attr.List)
		y, both := b.(attr.List)
		if !ok || !both {
			return nil, errOperand()
		}
		return slices.Concat(x, y), nil
	}
	return nil, errOperand()
}
