package dynamodb

import (
	"slices"
	"sync"

	"github.com/thalweg/thalweg/gate"
	"github.com/thalweg/thalweg/gate/wire"
	"github.com/thalweg/thalweg/table"
	"github.com/thalweg/thalweg/table/attr"
	"github.com/thalweg/thalweg/table/expr"
)

// UpdateItem, PutItem and GetItem as clients send them are read by hand: without
// reflection, and without compiling expressions that were compiled before.
// Whatever is unusual (older parameters, capacity, nulls, members that come
// twice) and whatever is wrong is left to the general codec, which reads the
// request again.

// maxByHand bounds the bodies that are read by hand.
const maxByHand = 1 << 20

// byHand is a request. Its texts are pieces of one copy of the body.
type byHand struct {
	d valueDecoder // its body is the request's

	table     string
	item      attr.Map // Key or Item
	values    attr.Map // nil: absent
	condition span
	update    span
	names     span
	returns   string // "": absent
	oldOnFail bool
}

// span is where a member's value stands in the body; all zero when it is absent.
type span struct{ from, to int }

func (s span) in(body string) string { return body[s.from:s.to] }

// members is a set of a request's members.
type members uint16

const (
	hasTable members = 1 << iota
	hasKey
	hasItem
	hasCondition
	hasUpdate
	hasNames
	hasValues
	hasReturns
	hasOldOnFail
	hasCapacity
	hasMetrics
	hasConsistent
	hasOlder // one that is never read by hand
)

const (
	ofWrite = hasTable | hasCondition | hasNames | hasValues | hasReturns | hasOldOnFail | hasCapacity | hasMetrics
	ofGet   = hasTable | hasKey | hasConsistent | hasCapacity
)

// memberOf is the member of a name; 0 when no operation here has it.
func memberOf(name string) members {
	switch name {
	case "TableName":
		return hasTable
	case "Key":
		return hasKey
	case "Item":
		return hasItem
	case "ConditionExpression":
		return hasCondition
	case "UpdateExpression":
		return hasUpdate
	case "ExpressionAttributeNames":
		return hasNames
	case "ExpressionAttributeValues":
		return hasValues
	case "ReturnValues":
		return hasReturns
	case "ReturnValuesOnConditionCheckFailure":
		return hasOldOnFail
	case "ReturnConsumedCapacity":
		return hasCapacity
	case "ReturnItemCollectionMetrics":
		return hasMetrics
	case "ConsistentRead":
		return hasConsistent
	case "Expected", "ConditionalOperator", "AttributeUpdates", "AttributesToGet", "ProjectionExpression":
		return hasOlder
	}
	return 0
}

// decode reads a request of the members allowed, wanted of which must be there.
// It answers false for what is left to the general codec.
func (h *byHand) decode(c *gate.Call, allowed, wanted members) bool {
	if c.Format != wire.JSON10 && c.Format != wire.JSON || len(c.Body) > maxByHand {
		return false
	}
	h.d.reset(c.Body)
	s := &h.d.s
	var seen members
	for s.Open('{'); s.Next('}'); {
		m := memberOf(string(s.Key()))
		if m == 0 {
			s.Skip()
			continue
		}
		if m&^allowed != 0 || seen&m != 0 || !h.member(m) {
			return false
		}
		seen |= m
	}
	return s.End() && seen&wanted == wanted
}

// member reads a member's value.
func (h *byHand) member(m members) (ok bool) {
	var err error
	var none string
	switch m {
	case hasTable:
		h.table, err = h.d.text()
		ok = h.table != "" && len(h.table) <= 1024
	case hasKey, hasItem:
		h.item, err = h.d.pairs()
		ok = true
	case hasValues:
		h.values, err = h.d.pairs()
		ok = true
	case hasCondition:
		h.condition, ok = h.span()
	case hasUpdate:
		h.update, ok = h.span()
	case hasNames:
		h.names, ok = h.span()
	case hasReturns:
		h.returns, err = h.d.text()
		ok = slices.Contains([]string{"NONE", "ALL_OLD", "ALL_NEW", "UPDATED_OLD", "UPDATED_NEW"}, h.returns)
	case hasOldOnFail:
		none, err = h.d.text()
		h.oldOnFail = none == "ALL_OLD"
		ok = h.oldOnFail || none == "NONE"
	case hasConsistent:
		_, err = h.d.boolean() // all reads are consistent
		ok = true
	default: // what is answered besides
		none, err = h.d.text()
		ok = none == "NONE"
	}
	return ok && err == nil && !h.d.s.Failed()
}

// span passes over a text or an object.
func (h *byHand) span() (span, bool) {
	s := &h.d.s
	first := s.Peek()
	at := s.Pos()
	s.Skip()
	return span{at, s.Pos()}, first == '"' || first == '{'
}

// given is a text of the body, read from its span; nil when it is absent. It
// shares no memory with the body. ok is false when it is something else.
func (h *byHand) given(at span) (text *string, ok bool) {
	if at.to == 0 {
		return nil, true
	}
	var s wire.Scanner
	s.Reset([]byte(at.in(h.d.body)))
	t := string(s.Text())
	return &t, s.End()
}

// terms reads the names as given reads a text, and has the values.
func (h *byHand) terms() (t terms, ok bool) {
	if h.values != nil {
		t.ExpressionAttributeValues = &item{h.values}
	}
	if h.names.to == 0 {
		return t, true
	}
	t.ExpressionAttributeNames = map[string]string{}
	var s wire.Scanner
	s.Reset([]byte(h.names.in(h.d.body)))
	for s.Open('{'); s.Next('}'); {
		name := string(s.Key())
		t.ExpressionAttributeNames[name] = string(s.Text())
	}
	return t, s.End()
}

// write makes the request that the general codec would have made. ok is false
// when that one must judge it.
func (h *byHand) write() (r writeRequest, update *string, ok bool) {
	r.TableName = &h.table
	if h.returns != "" {
		r.ReturnValues = &h.returns
	}
	if h.oldOnFail {
		all := "ALL_OLD"
		r.ReturnValuesOnConditionCheckFailure = &all
	}
	var oks [3]bool
	r.ConditionExpression, oks[0] = h.given(h.condition)
	r.terms, oks[1] = h.terms()
	update, oks[2] = h.given(h.update)
	return r, update, oks == [3]bool{true, true, true}
}

// programs keeps what was compiled, by the bytes of the expressions and names
// in the body. It is bounded by being emptied when it is full: what is in use
// is back within a few requests.
type programs struct {
	mu  sync.RWMutex
	all map[string]*program
}

// program is the compiled expressions of a request, without their values.
type program struct {
	condition *expr.Condition // nil: none
	update    *expr.Update    // nil: none
	binding   *expr.Binding
}

const (
	maxPrograms = 1024
	maxProgram  = 4 << 10 // bytes of the expressions and names of one that is kept
)

// key appends what a program is kept under. No JSON has a zero byte in it.
func (h *byHand) key(dst []byte) []byte {
	for _, s := range [...]span{h.update, h.condition, h.names} {
		dst = append(append(dst, s.in(h.d.body)...), 0)
	}
	return dst
}

// find puts the expressions of a request into o, if they were compiled before
// for values of the same types.
func (p *programs) find(h *byHand, key []byte, o *table.Op) bool {
	p.mu.RLock()
	found := p.all[string(key)]
	p.mu.RUnlock()
	if found == nil {
		return false
	}
	values, ok := found.binding.Values(h.values)
	if !ok {
		return false
	}
	if found.condition != nil {
		o.Condition = found.condition.With(values)
	}
	if found.update != nil {
		o.Update = found.update.With(values)
	}
	return true
}

// keep keeps the expressions of o.
func (p *programs) keep(key []byte, o *table.Op) {
	binding, ok := expr.Bind(o.Condition, o.Update)
	if !ok || len(key) > maxProgram {
		return
	}
	kept := &program{binding: binding}
	if o.Condition != nil {
		kept.condition = o.Condition.Strip()
	}
	if o.Update != nil {
		kept.update = o.Update.Strip()
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.all == nil || len(p.all) >= maxPrograms {
		p.all = map[string]*program{}
	}
	p.all[string(key)] = kept
}

// known makes the operation of a request whose expressions were compiled
// before, or which has none. ok is false when they are to be compiled.
func (p *programs) known(c *gate.Call, h *byHand, kind table.OpKind, key []byte) (o table.Op, ok bool) {
	if h.returns != "" && h.returns != "NONE" && h.returns != "ALL_OLD" && kind != table.Update || !p.find(h, key, &o) {
		return o, false
	}
	n, err := nameOf(c, h.table)
	if err != nil {
		return o, false
	}
	o.Kind, o.Table, o.Item, o.OldOnFail = kind, n, h.item, h.oldOnFail
	o.Quiet = h.returns == "" || h.returns == "NONE"
	return o, true
}

// appendWritten is a writeAnswer without capacity and metrics.
func appendWritten(dst []byte, attributes attr.Map) []byte {
	if attributes == nil {
		return append(dst, "{}"...)
	}
	return append(appendPairs(append(dst, `{"Attributes":`...), attributes), '}')
}
