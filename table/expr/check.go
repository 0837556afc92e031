package expr

import (
	"fmt"
	"strings"

	"github.com/thalweg/thalweg/table/attr"
)

// checker turns parsed nodes into compiled ones: it resolves names and values
// and finds what the grammar lets through. Of several mistakes it tells the one
// that AWS would.
type checker struct {
	scope *Scope
	err   *Error // the first mistake within an operator or a function
}

func (c *checker) fail(at int, format string, args ...any) {
	if c.err == nil {
		c.err = failf(at, format, args...)
	}
}

// walk calls f for n and all below it, children first, until f fails.
func walk(n *node, f func(*node) error) error {
	for _, a := range n.args {
		if err := walk(a, f); err != nil {
			return err
		}
	}
	return f(n)
}

// reservedIn finds a name that may not be written as it is.
func reservedIn(n *node) error {
	for _, s := range n.path {
		if s.Name != "" && s.Name[0] != '#' && isReserved(s.Name) {
			return failf(n.at, "Attribute name is a reserved keyword; reserved keyword: %s", s.Name)
		}
	}
	return nil
}

// unknownIn finds a function that is none, or that conditions, or updates, do not
// have.
func unknownIn(updates bool) func(*node) error {
	return func(n *node) error {
		if n.name == "" || n.op == opValue {
			return nil
		}
		switch ofUpdates := n.op == opIfNotExists || n.op == opAppend; {
		case n.op == 0:
			return failf(n.at, "Invalid function name; function: %s", n.name)
		case ofUpdates && !updates:
			return failf(n.at, "The function is not allowed in a condition expression; function: %s", n.name)
		case updates && !ofUpdates:
			return failf(n.at, "The function is not allowed in an update expression; function: %s", n.name)
		}
		return nil
	}
}

const misused = "The function is not allowed to be used this way in an expression; function: %s"

// misusedIn finds functions whose answer is used as what it is not: only size
// gives a value, and only the others are conditions.
func misusedIn(n *node) error {
	for _, a := range n.args {
		switch n.op {
		case opAnd, opOr, opNot:
			if a.op == opSize {
				return failf(a.at, misused, a.name)
			}
		default:
			if a.boolean() {
				return failf(a.at, misused, opName(a.op))
			}
		}
	}
	return nil
}

// nestedIn finds a list_append that is an argument of another: AWS bears none.
func nestedIn(n *node) error {
	if n.op == opAppend {
		for _, a := range n.args {
			if a.op == opAppend {
				return failf(a.at, misused, a.name)
			}
		}
	}
	return nil
}

// condition compiles the tree of a condition in place.
func (c *checker) condition(p *parser, root *node) error {
	if p.parens {
		return failf(-1, "The expression has redundant parentheses;")
	}
	for _, pass := range [...]func(*node) error{unknownIn(false), misusedIn, reservedIn} {
		if err := walk(root, pass); err != nil {
			return err
		}
	}
	if root.op == opSize {
		return failf(root.at, misused, root.name)
	}
	err := walk(root, func(n *node) error {
		c.node(n)
		return nil
	})
	if err == nil && c.err != nil {
		err = c.err
	}
	return err
}

// node resolves one node and checks its operands.
func (c *checker) node(n *node) {
	c.resolve(n)
	switch n.op {
	case opPath, opValue, opAnd, opOr, opNot:
		return
	case opExists, opNotExists, opType, opBegins, opContains, opSize, opIfNotExists, opAppend:
		if _, want := functions(opName(n.op)); len(n.args) != want {
			c.fail(n.at, "Incorrect number of operands for operator or function; operator or function: %s, number of operands: %d", opName(n.op), len(n.args))
			return
		}
	}
	c.distinct(n)
	c.types(n)
}

// resolve replaces placeholders by what they stand for.
func (c *checker) resolve(n *node) {
	switch n.op {
	case opPath:
		c.path(n)
	case opValue:
		v, ok := c.scope.values[n.name]
		if !ok {
			c.fail(n.at, "An expression attribute value used in expression is not defined; attribute value: %s", n.name)
			return
		}
		slot := c.scope.slots[n.name]
		if slot == 0 {
			slot = len(c.scope.slots) + 1
			c.scope.slots[n.name] = slot
		}
		n.value, n.slot = v, slot
	}
}

func (c *checker) path(n *node) {
	for i, s := range n.path {
		if s.Name == "" || s.Name[0] != '#' {
			continue
		}
		full, ok := c.scope.names[s.Name]
		if !ok {
			c.fail(n.at, "An expression attribute name used in the document path is not defined; attribute name: %s", s.Name)
			return
		}
		c.scope.usedNames[s.Name] = true
		n.path[i].Name = full
	}
}

// distinct refuses an attribute that is compared with itself.
func (c *checker) distinct(n *node) {
	if len(n.args) != 2 || n.op >= opIfNotExists || n.args[0].op != opPath || n.args[1].op != opPath {
		return
	}
	if a, b := n.args[0].path.String(), n.args[1].path.String(); a == b {
		c.fail(n.at, "The first operand must be distinct from the remaining operands for this operator or function; operator: %s, first operand: %s", opName(n.op), a)
	}
}

// typeOf is the type that a node has whatever the item; 0 when the item decides.
func typeOf(n *node) attr.Type {
	switch n.op {
	case opValue:
		if n.value != nil {
			return n.value.Type()
		}
	case opSize, opPlus, opMinus:
		return attr.N
	case opAppend:
		return attr.L
	}
	return 0
}

const wrongType = "Incorrect operand type for operator or function; operator or function: %s, operand type: %s"

// types checks operands whose types are known.
func (c *checker) types(n *node) {
	bad := func(a *node, allowed ...attr.Type) {
		t := typeOf(a)
		if t == 0 {
			return
		}
		for _, x := range allowed {
			if t == x {
				return
			}
		}
		c.fail(a.at, wrongType, opName(n.op), t)
	}
	switch n.op {
	case opExists, opNotExists, opIfNotExists:
		if n.args[0].op != opPath {
			c.fail(n.at, "Operator or function requires a document path; operator or function: %s", opName(n.op))
		}
	case opBegins:
		bad(n.args[0], attr.S, attr.B)
		bad(n.args[1], attr.S, attr.B)
	case opType:
		c.attributeType(n)
	case opSize:
		bad(n.args[0], attr.S, attr.B, attr.SS, attr.NS, attr.BS, attr.L, attr.M)
	case opLess, opLessEqual, opGreater, opGreaterEqual, opBetween:
		for _, a := range n.args {
			bad(a, attr.S, attr.N, attr.B)
		}
		if n.op == opBetween {
			c.bounds(n.args[1], n.args[2])
		}
	case opPlus, opMinus:
		bad(n.args[0], attr.N)
		bad(n.args[1], attr.N)
	case opAppend:
		bad(n.args[0], attr.L)
		bad(n.args[1], attr.L)
	}
}

func (c *checker) attributeType(n *node) {
	a := n.args[1]
	name, ok := a.value.(attr.String)
	if !ok {
		t := "{NS,SS,L,BS,N,M,B,BOOL,NULL,S}"
		if known := typeOf(a); known != 0 {
			t = known.String()
		}
		c.fail(a.at, wrongType, opName(n.op), t)
		return
	}
	if _, ok := attr.ParseType(string(name)); !ok {
		c.fail(a.at, "Invalid attribute type name found; type: %s, valid types: {B,NULL,SS,BOOL,L,BS,N,NS,S,M}", string(name))
	}
}

func (c *checker) bounds(low, high *node) {
	if low.op != opValue || high.op != opValue || low.value == nil || high.value == nil {
		return
	}
	order, comparable := attr.Compare(low.value, high.value)
	switch {
	case low.value.Type() != high.value.Type():
		c.fail(low.at, "The BETWEEN operator requires same data type for lower and upper bounds; lower bound operand: AttributeValue: %s, upper bound operand: AttributeValue: %s", show(low.value), show(high.value))
	case comparable && order > 0:
		c.fail(low.at, "The BETWEEN operator requires upper bound to be greater than or equal to lower bound; lower bound operand: AttributeValue: %s, upper bound operand: AttributeValue: %s", show(low.value), show(high.value))
	}
}

// show is a value as AWS's texts show it: {S:text}.
func show(v attr.Value) string { return fmt.Sprintf("{%s:%v}", v.Type(), v) }

// projection resolves paths and refuses two of which one holds the other.
func (c *checker) projection(nodes []*node) (*Projection, error) {
	for _, n := range nodes {
		if err := reservedIn(n); err != nil {
			return nil, err
		}
	}
	var paths []Path
	for _, n := range nodes {
		c.path(n)
		paths = append(paths, n.path)
	}
	if c.err != nil {
		return nil, c.err
	}
	if err := overlaps(paths); err != nil {
		return nil, err
	}
	return Project(paths), nil
}

// overlaps finds two paths of which one holds the other, or of which one sees
// a map where the other sees a list.
func overlaps(paths []Path) error {
	var conflict *Error
	for j, b := range paths {
		for _, a := range paths[:j] {
			switch relation(a, b) {
			case pathsOverlap:
				return failf(-1, "Two document paths overlap with each other; must remove or rewrite one of these paths; path one: %s, path two: %s", a, b)
			case pathsConflict:
				if conflict == nil {
					conflict = failf(-1, "Two document paths conflict with each other; must remove or rewrite one of these paths; path one: %s, path two: %s", a, b)
				}
			}
		}
	}
	if conflict != nil {
		return conflict
	}
	return nil
}

const (
	pathsApart = iota
	pathsOverlap
	pathsConflict
)

func relation(a, b Path) int {
	for i := range min(len(a), len(b)) {
		switch {
		case (a[i].Name == "") != (b[i].Name == ""):
			return pathsConflict
		case a[i] != b[i]:
			return pathsApart
		}
	}
	return pathsOverlap
}

// update compiles the clauses of an update expression. AWS tells of reserved
// words first, then functions, sections, names, values, paths and operands.
func (c *checker) update(p *parser, clauses []clause) (*Update, error) {
	if err := c.updateForm(clauses); err != nil {
		return nil, err
	}
	values := checker{scope: c.scope}
	operands := checker{scope: c.scope}
	u := new(Update)
	for _, cl := range clauses {
		c.path(cl.path)
		s := step{action: cl.action, path: cl.path.path}
		if cl.value != nil {
			_ = walk(cl.value, func(n *node) error {
				switch n.op {
				case opPath:
					c.path(n)
				case opValue:
					values.resolve(n)
				default:
					operands.node(n)
				}
				return nil
			})
			operands.operand(cl)
			s.value = cl.value
		}
		u.steps = append(u.steps, s)
	}
	for _, err := range [...]*Error{c.err, values.err} {
		if err != nil {
			return nil, err
		}
	}
	paths := make([]Path, len(u.steps))
	for i, s := range u.steps {
		paths[i] = s.path
	}
	if err := overlaps(paths); err != nil {
		return nil, err
	}
	if operands.err != nil {
		return nil, operands.err
	}
	return u, nil
}

// updateForm checks what can be told before names and values are known.
func (c *checker) updateForm(clauses []clause) error {
	each := func(f func(*node) error) error {
		for _, cl := range clauses {
			err := f(cl.path)
			if err == nil && cl.value != nil {
				err = walk(cl.value, f)
			}
			if err != nil {
				return err
			}
		}
		return nil
	}
	if err := each(reservedIn); err != nil {
		return err
	}
	if err := each(unknownIn(true)); err != nil {
		return err
	}
	if err := each(nestedIn); err != nil {
		return err
	}
	var seen [actionDelete + 1]bool
	for _, cl := range clauses {
		if cl.first && seen[cl.action] {
			return failf(cl.path.at, "The %q section can only be used once in an update expression;", cl.action)
		}
		seen[cl.action] = true
	}
	return nil
}

// operand checks what ADD and DELETE take.
func (c *checker) operand(cl clause) {
	if cl.value.value == nil {
		return
	}
	t := cl.value.value.Type()
	set := t == attr.SS || t == attr.NS || t == attr.BS
	switch {
	case cl.action == actionAdd && (set || t == attr.N), cl.action == actionDelete && set, cl.action == actionSet:
	default:
		names := map[attr.Type]string{attr.S: "STRING", attr.N: "NUMBER", attr.B: "BINARY", attr.NULL: "NULL", attr.BOOL: "BOOLEAN", attr.L: "LIST", attr.M: "MAP"}
		c.fail(cl.value.at, "Incorrect operand type for operator or function; operator: %s, operand type: %s", strings.ToUpper(cl.action.String()), names[t])
	}
}
