package expr

import (
	"cmp"
	"maps"
	"slices"
	"strings"

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

// Names are the attributes that the update looks at or writes, in order and each
// once.
func (u *Update) Names() []string {
	if u.names != nil {
		return u.names
	}
	names := []string{}
	for i := range u.steps {
		s := &u.steps[i]
		names = append(names, s.path[0].Name)
		if s.value != nil {
			names = s.value.names(names)
		}
	}
	return distinct(names)
}

// OnlyRemoves reports whether the update has nothing to give to an item that is
// not there: AWS makes none then, and does not look at the paths.
func (u *Update) OnlyRemoves() bool {
	return !slices.ContainsFunc(u.steps, func(s step) bool { return s.action == actionSet || s.action == actionAdd })
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

// Given are the values that the update sets attributes to whatever the item.
func (u *Update) Given() attr.Map {
	given := attr.Map{}
	for i := range u.steps {
		if s := &u.steps[i]; s.action == actionSet && len(s.path) == 1 && s.value.op == opValue {
			given[s.path[0].Name] = u.bound.of(s.value)
		}
	}
	return given
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
func errSize() error {
	return failf(-1, "Item size to update has exceeded the maximum allowed size")
}

// Apply returns the item after the update; item stays as it is. All values are
// those of the item before it. The errors are *Error.
func (u *Update) Apply(item attr.Map) (attr.Map, error) {
	values := make([]attr.Value, len(u.steps))
	size := 0
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
		if s.action == actionSet { // all that is set will be in the item
			if size += attr.Size(v); size > attr.MaxItem {
				return nil, errSize()
			}
		}
		values[i] = v
	}
	next, err := u.copy(item)
	if err != nil {
		return nil, err
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

// copy is the item for the steps to change in place: what they change something
// within, which must be there, is copied, once, however many they are.
func (u *Update) copy(item attr.Map) (attr.Map, error) {
	next := maps.Clone(item)
	if next == nil {
		next = attr.Map{}
	}
	var copied map[string]bool
	for i := range u.steps {
		path := u.steps[i].path
		if len(path) == 1 {
			continue
		}
		if path[:len(path)-1].find(item) == nil {
			return nil, errDocument()
		}
		if name := path[0].Name; !copied[name] {
			if copied == nil {
				copied = map[string]bool{}
			}
			copied[name], next[name] = true, deepCopy(next[name])
		}
	}
	return next, nil
}

// deepCopy copies a map or a list with all maps and lists in it.
func deepCopy(v attr.Value) attr.Value {
	switch v := v.(type) {
	case attr.Map:
		m := make(attr.Map, len(v))
		for name, x := range v {
			m[name] = deepCopy(x)
		}
		return m
	case attr.List:
		l := make(attr.List, len(v))
		for i, x := range v {
			l[i] = deepCopy(x)
		}
		return l
	}
	return v
}

// order is the order in which steps are taken. The indexes of a request are
// those of the item before it: so elements of lists are set from the front,
// those beyond the end being appended in their order, and are removed last,
// from the back, each after what is removed within it and behind it.
func (u *Update) order() []int {
	order := make([]int, len(u.steps))
	for i := range order {
		order[i] = i
	}
	slices.SortStableFunc(order, func(i, j int) int {
		a, b := &u.steps[i], &u.steps[j]
		switch last, other := a.removesElement(), b.removesElement(); {
		case last && other:
			return -slices.CompareFunc(a.path, b.path, Step.compare)
		case last:
			return 1
		case other:
			return -1
		}
		return cmp.Compare(a.path[len(a.path)-1].Index, b.path[len(b.path)-1].Index)
	})
	return order
}

// removesElement reports whether a list may be shorter after the step.
func (s *step) removesElement() bool {
	return s.path[len(s.path)-1].Name == "" && (s.action == actionRemove || s.action == actionDelete)
}

// compare orders indexes before names.
func (s Step) compare(t Step) int {
	return cmp.Or(strings.Compare(s.Name, t.Name), cmp.Compare(s.Index, t.Index))
}

// within returns in, which it changes, with the change made at path.
func (s *step) within(in attr.Value, path Path, v attr.Value) (attr.Value, error) {
	at := path[0]
	var old attr.Value
	switch in := in.(type) {
	case attr.Map:
		old = in[at.Name]
		if at.Name == "" {
			return nil, errDocument()
		}
	case attr.List:
		if at.Name != "" {
			return nil, errDocument()
		}
		if at.Index < len(in) {
			old = in[at.Index]
		}
	default:
		return nil, errDocument()
	}
	x, err := s.change(old, path, v)
	if err != nil {
		return nil, err
	}
	switch in := in.(type) {
	case attr.Map:
		if in[at.Name] = x; x == nil {
			delete(in, at.Name)
		}
	case attr.List:
		switch {
		case at.Index >= len(in) && x != nil:
			return append(in, x), nil
		case at.Index < len(in) && x == nil:
			return slices.Delete(in, at.Index, at.Index+1), nil
		case x != nil:
			in[at.Index] = x
		}
	}
	return in, nil
}

// change is what becomes of the value old, at the first step of path; nil is
// absent, before and after.
func (s *step) change(old attr.Value, path Path, v attr.Value) (attr.Value, error) {
	if len(path) > 1 {
		return s.within(old, path[1:], v)
	}
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
			return orNil(attr.StringSet(without(old, v, strings.Compare)))
		}
	case attr.BinarySet:
		if old, ok := old.(attr.BinarySet); ok {
			return orNil(attr.BinarySet(without(old, v, strings.Compare)))
		}
	case attr.NumberSet:
		if old, ok := old.(attr.NumberSet); ok {
			return orNil(attr.NumberSet(without(old, v, attr.Number.Compare)))
		}
	}
	return nil, errOperand()
}

// without is the sorted set but for what is gone, which is sorted too.
func without[E any](set, gone []E, compare func(a, b E) int) []E {
	var left []E
	for _, x := range set {
		if _, found := slices.BinarySearchFunc(gone, x, compare); !found {
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
		if len(x)+len(y) > attr.MaxItem { // an element takes a byte at least
			return nil, errSize()
		}
		return slices.Concat(x, y), nil
	}
	return nil, errOperand()
}
