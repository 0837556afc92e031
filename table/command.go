package table

import (
	"encoding/binary"
	"fmt"
	"strings"

	"github.com/thalweg/thalweg/table/attr"
	"github.com/thalweg/thalweg/table/expr"
)

// Commands begin with their version and their kind; docs/format/table.md has
// the rest. Numbers are on disk.
const (
	commandVersion = 1
	kindDefine     = 1
	kindWrite      = 2
	kindFill       = 3
	kindExpire     = 4
)

func appendText(dst []byte, s string) []byte {
	return append(binary.AppendUvarint(dst, uint64(len(s))), s...)
}

func (n Name) append(dst []byte) []byte {
	return appendText(appendText(appendText(dst, n.Account), n.Region), n.Table)
}

func readName(r *attr.Reader) Name {
	return Name{Account: r.Text(), Region: r.Text(), Table: r.Text()}
}

// define makes, changes or deletes (document "") a table whose definition has
// the version now; 0 is a table that does not exist.
type define struct {
	name     Name
	version  uint64
	document string // a Definition as JSON
}

func (c *define) append() []byte {
	dst := c.name.append([]byte{commandVersion, kindDefine})
	return appendText(binary.AppendUvarint(dst, c.version), c.document)
}

func readDefine(r *attr.Reader) *define {
	return &define{name: readName(r), version: r.Uvarint(), document: r.Text()}
}

// OpKind is what an Op does.
type OpKind byte

// The kinds of operations. Their numbers are on disk.
const (
	Put    OpKind = iota + 1 // Item replaces what is under its key
	Delete                   // of what is under Item, a key
	Update                   // of what is under Item, a key, or of nothing
	Check                    // of Condition alone
)

// Op is one write. Item, of Put, is the whole item, else the primary key.
type Op struct {
	Kind      OpKind
	Table     Name
	Item      attr.Map
	Condition *expr.Condition // nil: none
	Update    *expr.Update    // of Update; nil: no change but that the item exists
	OldOnFail bool            // a condition's failure brings the item
	Quiet     bool            // Write's Change need not have the items

	id      uint64 // of Table
	encoded string // of Item
}

const (
	opHasCondition = 1 << iota
	opHasUpdate
	opOldOnFail
)

func (o *Op) append(dst []byte) []byte {
	flags := byte(0)
	if o.Condition != nil {
		flags |= opHasCondition
	}
	if o.Update != nil {
		flags |= opHasUpdate
	}
	if o.OldOnFail {
		flags |= opOldOnFail
	}
	dst = binary.AppendUvarint(append(dst, byte(o.Kind), flags), o.id)
	dst = appendText(dst, o.encoded)
	if o.Condition != nil {
		dst = o.Condition.Append(dst)
	}
	if o.Update != nil {
		dst = o.Update.Append(dst)
	}
	return dst
}

func (o *Op) read(r *attr.Reader) {
	o.Kind = OpKind(r.Byte())
	flags := r.Byte()
	o.id = r.Uvarint()
	o.encoded = r.Text()
	if o.Kind == Put {
		o.encoded = strings.Clone(o.encoded) // it is kept, and the command is not
	}
	if flags&opHasCondition != 0 {
		o.Condition = expr.ReadCondition(r)
	}
	if flags&opHasUpdate != 0 {
		o.Update = expr.ReadUpdate(r)
	}
	o.OldOnFail = flags&opOldOnFail != 0
	if o.Kind < Put || o.Kind > Check {
		r.Bad = true
	}
}

// write is operations that are decided together: all of them, when it is a
// transaction, or each for itself.
type write struct {
	together bool
	token    string // of a transaction, with its owner; "": none
	digest   string // of the transaction, when it has a token
	now      int64  // of its proposer, Unix milliseconds
	ops      []Op
}

func (c *write) append() []byte {
	size := 64
	for i := range c.ops {
		size += len(c.ops[i].encoded) + 128
	}
	dst := append(make([]byte, 0, size), commandVersion, kindWrite, 0)
	if c.together {
		dst[2] = 1
	}
	dst = appendText(appendText(dst, c.token), c.digest)
	dst = binary.AppendUvarint(dst, uint64(c.now))
	dst = binary.AppendUvarint(dst, uint64(len(c.ops)))
	for i := range c.ops {
		dst = c.ops[i].append(dst)
	}
	return dst
}

func readWrite(r *attr.Reader) *write {
	c := &write{together: r.Byte() == 1, token: r.Text(), digest: r.Text(), now: int64(r.Uvarint())}
	c.ops = make([]Op, r.Count(4))
	for i := range c.ops {
		if c.ops[i].read(r); r.Bad {
			break
		}
	}
	return c
}

// fill adds up to count more items of a table to one of its indexes.
type fill struct {
	id    uint64
	index string
	count int
}

func (c *fill) append() []byte {
	dst := binary.AppendUvarint([]byte{commandVersion, kindFill}, c.id)
	return binary.AppendUvarint(appendText(dst, c.index), uint64(c.count))
}

func readFill(r *attr.Reader) *fill {
	return &fill{id: r.Uvarint(), index: r.Text(), count: int(r.Uvarint() & (1<<31 - 1))}
}

// expire removes the items under keys whose time to live is over by now.
type expire struct {
	id   uint64
	now  int64    // Unix seconds
	keys []string // of the tree
}

func (c *expire) append() []byte {
	dst := binary.AppendUvarint([]byte{commandVersion, kindExpire}, c.id)
	dst = binary.AppendUvarint(dst, uint64(c.now))
	dst = binary.AppendUvarint(dst, uint64(len(c.keys)))
	for _, k := range c.keys {
		dst = appendText(dst, k)
	}
	return dst
}

func readExpire(r *attr.Reader) *expire {
	c := &expire{id: r.Uvarint(), now: int64(r.Uvarint())}
	c.keys = make([]string, r.Count(1))
	for i := range c.keys {
		c.keys[i] = r.Text()
	}
	return c
}

// readCommand reads any command.
func readCommand(cmd string) (any, error) {
	r := &attr.Reader{Rest: cmd}
	version, kind := r.Byte(), r.Byte()
	var c any
	switch {
	case version != commandVersion:
		return nil, fmt.Errorf("table command of version %d; this program knows version %d", version, commandVersion)
	case kind == kindDefine:
		c = readDefine(r)
	case kind == kindWrite:
		c = readWrite(r)
	case kind == kindFill:
		c = readFill(r)
	case kind == kindExpire:
		c = readExpire(r)
	}
	if c == nil || r.Bad || r.Rest != "" {
		return nil, fmt.Errorf("table command: %w", attr.ErrCorrupt)
	}
	return c, nil
}
