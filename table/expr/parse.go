package expr

import (
	"strconv"
	"strings"

	"github.com/thalweg/thalweg/table/attr"
)

// op says what a node does. The numbers are on disk, in commands of the log.
type op byte

const (
	opPath  op = iota + 1 // the value at path
	opValue               // value
	opAnd
	opOr
	opNot
	opEqual
	opDiffer
	opLess
	opLessEqual
	opGreater
	opGreaterEqual
	opBetween
	opIn
	opExists    // attribute_exists
	opNotExists // attribute_not_exists
	opType      // attribute_type
	opBegins    // begins_with
	opContains  // contains
	opSize      // size
	opIfNotExists
	opAppend // list_append
	opPlus
	opMinus
	opNotContains // of the older parameters alone
	opEnd
)

// node is a part of an expression. Until it is checked, path holds the names
// as they are written and value is nil.
type node struct {
	op    op
	path  Path
	value attr.Value
	slot  int // of value among those of the request, from 1; 0: it has none
	args  []*node

	// Of the text, and not written to bytes:
	at     int
	name   string // of a function or a value: ":x"
	parens bool   // written in parentheses
}

// boolean reports whether the node is true or false, rather than a value.
func (n *node) boolean() bool {
	switch n.op {
	case opPath, opValue, opSize, opIfNotExists, opAppend, opPlus, opMinus, 0:
		return false
	}
	return true
}

// operator reports whether AWS counts the node: functions it does not.
func (o op) operator() bool {
	return o >= opAnd && o <= opIn || o == opPlus || o == opMinus
}

// functions are those of conditions and of updates, by name.
func functions(name string) (o op, operands int) {
	switch name {
	case "attribute_exists":
		return opExists, 1
	case "attribute_not_exists":
		return opNotExists, 1
	case "attribute_type":
		return opType, 2
	case "begins_with":
		return opBegins, 2
	case "contains":
		return opContains, 2
	case "size":
		return opSize, 1
	case "if_not_exists":
		return opIfNotExists, 2
	case "list_append":
		return opAppend, 2
	}
	return 0, 0
}

// opName is how AWS's texts name an operator or a function.
func opName(o op) string {
	switch o {
	case opAnd:
		return "AND"
	case opOr:
		return "OR"
	case opNot:
		return "NOT"
	case opEqual:
		return "="
	case opDiffer:
		return "<>"
	case opLess:
		return "<"
	case opLessEqual:
		return "<="
	case opGreater:
		return ">"
	case opGreaterEqual:
		return ">="
	case opBetween:
		return "BETWEEN"
	case opIn:
		return "IN"
	case opExists:
		return "attribute_exists"
	case opNotExists:
		return "attribute_not_exists"
	case opType:
		return "attribute_type"
	case opBegins:
		return "begins_with"
	case opContains:
		return "contains"
	case opSize:
		return "size"
	case opIfNotExists:
		return "if_not_exists"
	case opAppend:
		return "list_append"
	case opPlus:
		return "+"
	case opMinus:
		return "-"
	}
	return "?"
}

// parser is a recursive descent over the tokens of one expression. Operators
// bind, from the tightest: comparisons, IN, BETWEEN; NOT; AND; OR.
type parser struct {
	text   string
	tokens []token
	pos    int
	nodes  int
	depth  int
	parens bool // something is written in two pairs of parentheses
	sums   bool // plus and minus are operators: in updates

	operators int
}

func newParser(text string) *parser { return &parser{text: text, tokens: scan(text)} }

func (p *parser) peek() token { return p.tokens[p.pos] }

func (p *parser) take() token {
	t := p.tokens[p.pos]
	if t.kind != end {
		p.pos++
	}
	return t
}

// is reports whether the next token is the mark, and takes it if so.
func (p *parser) is(text string) bool {
	if t := p.peek(); t.kind != mark || t.text != text {
		return false
	}
	p.pos++
	return true
}

// isWord is is for a keyword, in any case.
func (p *parser) isWord(text string) bool {
	if t := p.peek(); t.kind != word || !strings.EqualFold(t.text, text) {
		return false
	}
	p.pos++
	return true
}

func (p *parser) want(text string) error {
	if !p.is(text) {
		return p.syntax()
	}
	return nil
}

// syntax blames the next token, with its neighbours as AWS shows them.
func (p *parser) syntax() error {
	t := p.tokens[p.pos]
	from, to := t.at, len(p.text)
	if p.pos > 0 {
		from = p.tokens[p.pos-1].at
	}
	if p.pos+1 < len(p.tokens) {
		after := p.tokens[p.pos+1]
		to = after.at
		if after.kind != end {
			to += len(after.text)
		}
	}
	return failf(t.at, "Syntax error; token: \"%s\", near: \"%s\"", t.text, strings.TrimSpace(p.text[from:to]))
}

func (p *parser) node(o op, at int, args ...*node) (*node, error) {
	if o.operator() {
		p.operators++
	}
	if p.nodes++; p.nodes > maxNodes || p.operators > maxOperators {
		return nil, failf(at, "The expression contains too many operators; operator count: %d", maxOperators+1)
	}
	return &node{op: o, at: at, args: args}, nil
}

// deeper guards the stack; the caller defers what it returns.
func (p *parser) deeper() (leave func(), err error) {
	if p.depth++; p.depth > maxDepth {
		return nil, failf(p.peek().at, "The expression is nested too deeply")
	}
	return func() { p.depth-- }, nil
}

// condition parses a whole condition.
func (p *parser) condition() (*node, error) {
	n, err := p.or()
	if err != nil {
		return nil, err
	}
	if p.peek().kind != end || !n.logical() {
		return nil, p.syntax()
	}
	return n, nil
}

func (p *parser) or() (*node, error) { return p.chain("OR", opOr, p.and) }

func (p *parser) and() (*node, error) { return p.chain("AND", opAnd, p.not) }

// chain parses what is joined by a keyword, from the left.
func (p *parser) chain(keyword string, o op, operand func() (*node, error)) (*node, error) {
	left, err := operand()
	for err == nil {
		at := p.peek().at
		if !left.logical() || !p.isWord(keyword) {
			return left, nil
		}
		var right *node
		if right, err = operand(); err != nil {
			break
		}
		if !right.logical() {
			return nil, p.syntax()
		}
		left, err = p.node(o, at, left, right)
	}
	return nil, err
}

// logical reports whether the node may stand where a condition has to. A
// function that is used in the wrong place is found later, with its own text.
func (n *node) logical() bool { return n.boolean() || n.op != opPath && n.op != opValue }

func (p *parser) not() (*node, error) {
	leave, err := p.deeper()
	if err != nil {
		return nil, err
	}
	defer leave()
	at := p.peek().at
	if !p.isWord("NOT") {
		return p.comparison()
	}
	arg, err := p.not()
	if err != nil {
		return nil, err
	}
	if !arg.logical() {
		return nil, p.syntax()
	}
	return p.node(opNot, at, arg)
}

func comparator(text string) op {
	switch text {
	case "=":
		return opEqual
	case "<>":
		return opDiffer
	case "<":
		return opLess
	case "<=":
		return opLessEqual
	case ">":
		return opGreater
	case ">=":
		return opGreaterEqual
	}
	return 0
}

// comparison parses an operand and what it is compared with, if anything.
func (p *parser) comparison() (*node, error) {
	left, err := p.primary()
	if err != nil {
		return nil, err
	}
	t := p.peek()
	if t.kind == mark {
		if o := comparator(t.text); o != 0 && left.operand() {
			p.pos++
			right, err := p.primary()
			if err != nil {
				return nil, err
			}
			if !right.operand() {
				return nil, p.syntax()
			}
			return p.node(o, t.at, left, right)
		}
		return left, nil
	}
	if !left.operand() {
		return left, nil
	}
	switch {
	case p.isWord("BETWEEN"):
		low, err := p.primary()
		if err != nil {
			return nil, err
		}
		if !low.operand() || !p.isWord("AND") {
			return nil, p.syntax()
		}
		high, err := p.primary()
		if err != nil {
			return nil, err
		}
		if !high.operand() {
			return nil, p.syntax()
		}
		return p.node(opBetween, t.at, left, low, high)
	case p.isWord("IN"):
		list, err := p.arguments()
		if err != nil {
			return nil, err
		}
		if len(list) > maxIn {
			return nil, failf(t.at, "The IN operator is provided with too many operands; number of operands: %d", len(list))
		}
		return p.node(opIn, t.at, append([]*node{left}, list...)...)
	}
	return left, nil
}

// operand reports whether a node may be compared. Functions that are no values
// are let through, to be found with a text of their own.
func (n *node) operand() bool { return !n.boolean() || n.op >= opExists && !n.parens }

// primary parses a path, a value, a function or something in parentheses.
func (p *parser) primary() (*node, error) {
	at := p.peek().at
	if !p.is("(") {
		return p.leaf()
	}
	leave, err := p.deeper()
	if err != nil {
		return nil, err
	}
	defer leave()
	inner := p.or
	if p.sums {
		inner = p.sum
	}
	n, err := inner()
	if err != nil {
		return nil, err
	}
	if err := p.want(")"); err != nil {
		return nil, err
	}
	if n.parens {
		p.parens = true
	}
	n.parens, n.at = true, at
	return n, nil
}

// leaf parses a path, a value or a function.
func (p *parser) leaf() (*node, error) {
	t := p.peek()
	switch t.kind {
	case value:
		p.pos++
		n, err := p.node(opValue, t.at)
		if n != nil {
			n.name = t.text
		}
		return n, err
	case name:
		return p.path()
	case word:
		if after := p.tokens[p.pos+1]; after.kind == mark && after.text == "(" && !keyword(t.text) {
			return p.call()
		}
		if keyword(t.text) {
			return nil, p.syntax()
		}
		return p.path()
	}
	return nil, p.syntax()
}

// keyword reports whether a word has a meaning of its own in the grammar.
func keyword(text string) bool {
	switch strings.ToUpper(text) {
	case "AND", "OR", "NOT", "IN", "BETWEEN":
		return true
	}
	return false
}

// call parses a function and its arguments. That it exists is checked later.
func (p *parser) call() (*node, error) {
	t := p.take()
	args, err := p.arguments()
	if err != nil {
		return nil, err
	}
	o, _ := functions(t.text)
	n, err := p.node(o, t.at, args...)
	if n != nil {
		n.name = t.text
	}
	return n, err
}

// arguments parses operands between parentheses.
func (p *parser) arguments() ([]*node, error) {
	leave, err := p.deeper()
	if err != nil {
		return nil, err
	}
	defer leave()
	if err := p.want("("); err != nil {
		return nil, err
	}
	var list []*node
	for {
		n, err := p.primary()
		if err != nil {
			return nil, err
		}
		if !n.operand() {
			return nil, p.syntax()
		}
		list = append(list, n)
		if p.is(")") {
			return list, nil
		}
		if err := p.want(","); err != nil {
			return nil, err
		}
	}
}

// path parses a document path: a name and what is within it.
func (p *parser) path() (*node, error) {
	t := p.take()
	if t.kind != word && t.kind != name {
		p.pos--
		return nil, p.syntax()
	}
	n, err := p.node(opPath, t.at)
	if err != nil {
		return nil, err
	}
	n.path = Path{{Name: t.text}}
	for {
		switch {
		case p.is("."):
			if t = p.peek(); t.kind != word && t.kind != name {
				return nil, p.syntax()
			}
			p.pos++
			n.path = append(n.path, Step{Name: t.text})
		case p.is("["):
			if t = p.peek(); t.kind != digits {
				return nil, p.syntax()
			}
			i, err := strconv.ParseInt(t.text, 10, 32)
			if err != nil {
				return nil, failf(t.at, "List index is not within the allowable range; index: [%s]", t.text)
			}
			p.pos++
			if err := p.want("]"); err != nil {
				return nil, err
			}
			n.path = append(n.path, Step{Index: int(i)})
		default:
			return n, nil
		}
		if len(n.path) > attr.MaxDepth {
			return nil, failf(n.at, "The document path has too many nesting levels; nesting levels: %d", len(n.path))
		}
	}
}

// paths parses a whole projection expression.
func (p *parser) paths() (list []*node, err error) {
	for {
		if t := p.peek(); t.kind != word && t.kind != name {
			return nil, p.syntax()
		}
		n, err := p.path()
		if err != nil {
			return nil, err
		}
		list = append(list, n)
		if p.peek().kind == end {
			return list, nil
		}
		if err := p.want(","); err != nil {
			return nil, err
		}
	}
}

// clause is one action of an update expression, as it is written.
type clause struct {
	action action
	path   *node
	value  *node // nil of REMOVE
	first  bool  // of its section
}

// update parses a whole update expression: its sections in any order.
func (p *parser) update() (list []clause, err error) {
	p.sums = true
	for list == nil || p.peek().kind != end {
		var a action
		switch {
		case p.isWord("SET"):
			a = actionSet
		case p.isWord("REMOVE"):
			a = actionRemove
		case p.isWord("ADD"):
			a = actionAdd
		case p.isWord("DELETE"):
			a = actionDelete
		default:
			return nil, p.syntax()
		}
		for first := true; ; first = false {
			c := clause{action: a, first: first}
			if t := p.peek(); t.kind != word && t.kind != name {
				return nil, p.syntax()
			}
			if c.path, err = p.path(); err != nil {
				return nil, err
			}
			switch a {
			case actionSet:
				if err = p.want("="); err == nil {
					c.value, err = p.sum()
				}
				if err == nil && !c.value.operand() {
					err = p.syntax()
				}
			case actionAdd, actionDelete:
				if p.peek().kind != value {
					return nil, p.syntax()
				}
				c.value, err = p.leaf()
			}
			if err != nil {
				return nil, err
			}
			list = append(list, c)
			if !p.is(",") {
				break
			}
		}
	}
	return list, nil
}

// sum parses an operand of an update, or two with a plus or a minus between them.
func (p *parser) sum() (*node, error) {
	left, err := p.primary()
	if err != nil {
		return nil, err
	}
	t := p.peek()
	var o op
	switch {
	case p.is("+"):
		o = opPlus
	case p.is("-"):
		o = opMinus
	default:
		return left, nil
	}
	right, err := p.primary()
	if err != nil {
		return nil, err
	}
	return p.node(o, t.at, left, right)
}
