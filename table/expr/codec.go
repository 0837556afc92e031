package expr

import (
	"encoding/binary"

	"github.com/thalweg/thalweg/table/attr"
)

// The encodings below are those of docs/format/table.md. A program is written
// as it was compiled, with names and values in place, so reading it back needs
// no grammar.

// Append appends the condition.
func (c *Condition) Append(dst []byte) []byte { return c.root.append(dst, c.bound) }

// ReadCondition reads what Condition.Append wrote; r is Bad when it did not.
func ReadCondition(r *attr.Reader) *Condition { return &Condition{root: readNode(r, 0)} }

func (n *node) append(dst []byte, b bound) []byte {
	dst = append(dst, byte(n.op))
	switch n.op {
	case opPath:
		return n.path.append(dst)
	case opValue:
		return attr.AppendValue(dst, b.of(n))
	}
	dst = binary.AppendUvarint(dst, uint64(len(n.args)))
	for _, a := range n.args {
		dst = a.append(dst, b)
	}
	return dst
}

func readNode(r *attr.Reader, depth int) *node {
	n := &node{op: op(r.Byte())}
	switch {
	case n.op == 0 || n.op >= opEnd || depth > maxNodes: // a chain of operators is as deep as it is long
		r.Bad = true
	case n.op == opPath:
		n.path = readPath(r)
	case n.op == opValue:
		n.value = r.Value()
	default:
		count := r.Count(1)
		for range count {
			a := readNode(r, depth+1)
			if r.Bad {
				break
			}
			n.args = append(n.args, a)
		}
		if count < operands(n.op) {
			r.Bad = true
		}
	}
	return n
}

// operands is how many a node has at least.
func operands(o op) int {
	switch o {
	case opAnd, opOr:
		return 0
	case opNot, opExists, opNotExists, opSize, opIn:
		return 1
	case opBetween:
		return 3
	}
	return 2
}

func (p Path) append(dst []byte) []byte {
	dst = binary.AppendUvarint(dst, uint64(len(p)))
	for _, s := range p {
		dst = append(binary.AppendUvarint(dst, uint64(len(s.Name))), s.Name...)
		if s.Name == "" {
			dst = binary.AppendUvarint(dst, uint64(s.Index))
		}
	}
	return dst
}

func readPath(r *attr.Reader) Path {
	p := make(Path, r.Count(1))
	for i := range p {
		if p[i].Name = r.Text(); p[i].Name == "" {
			p[i].Index = int(r.Uvarint() & (1<<31 - 1))
		}
	}
	if len(p) == 0 {
		r.Bad = true
	}
	return p
}

// Append appends the update.
func (u *Update) Append(dst []byte) []byte {
	older := byte(0)
	if u.older {
		older = 1
	}
	dst = binary.AppendUvarint(append(dst, older), uint64(len(u.steps)))
	for _, s := range u.steps {
		dst = s.path.append(append(dst, byte(s.action)))
		if s.value != nil {
			dst = s.value.append(dst, u.bound)
		}
	}
	return dst
}

// ReadUpdate reads what Update.Append wrote; r is Bad when it did not.
func ReadUpdate(r *attr.Reader) *Update {
	u := &Update{older: r.Byte() == 1}
	for range r.Count(3) {
		s := step{action: action(r.Byte()), path: readPath(r)}
		switch s.action {
		case actionSet, actionAdd, actionDelete:
			s.value = readNode(r, 0)
		case actionRemove:
		default:
			r.Bad = true
		}
		if r.Bad {
			break
		}
		u.steps = append(u.steps, s)
	}
	return u
}
