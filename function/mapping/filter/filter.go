// Package filter decides which records of a stream a function gets: patterns
// in the language of Lambda's event filtering, compiled once and matched
// against records. It hides the language. It is pure, its work on a record is
// linear in the record and the patterns, and it never fails on a record: one
// that is not what a pattern asks for does not match. (Lambda Developer Guide,
// "Control which events Lambda sends to your function")
package filter

import (
	"fmt"
	"strings"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
)

// The bounds of AWS: filters of one mapping with a raised quota, and what one
// pattern may have.
const (
	MaxFilters = 10
	MaxPattern = 4096 // characters
)

// Filters is compiled patterns. A record passes that matches any of them. The
// zero Filters lets everything pass.
type Filters struct {
	patterns []*object
	data     bool // some pattern looks into the data
}

// Record is what is matched: the record's data and what its event says of it.
type Record struct {
	Data []byte
	Meta func(name string) (string, bool) // partitionKey, sequenceNumber and such
}

// Compile reads patterns. An error says which and why.
func Compile(patterns []string) (*Filters, error) {
	f := new(Filters)
	for i, text := range patterns {
		o, err := compile(text)
		if err != nil {
			return nil, fmt.Errorf("filter pattern %d: %w", i+1, err)
		}
		if o.looksAt("data") {
			f.data = true
		}
		f.patterns = append(f.patterns, o)
	}
	return f, nil
}

func compile(text string) (*object, error) {
	var v any
	if err := json.Unmarshal([]byte(text), &v, jsontext.AllowInvalidUTF8(true)); err != nil {
		return nil, fmt.Errorf("it is not JSON: %w", err)
	}
	m, ok := v.(map[string]any)
	if !ok {
		return nil, fmt.Errorf("it is not an object")
	}
	o, err := compileObject(m)
	if err != nil {
		return nil, err
	}
	return o, o.checkData()
}

// checkData refuses what AWS refuses of data that is not JSON: a list of
// values where an object is wanted.
func (o *object) checkData() error {
	for _, f := range o.fields {
		if f.name == "data" && f.sub == nil {
			return fmt.Errorf("data must be an object: records whose data is not JSON cannot be told apart by it")
		}
	}
	for _, alternatives := range o.or {
		for _, a := range alternatives {
			if err := a.checkData(); err != nil {
				return err
			}
		}
	}
	return nil
}

func (o *object) looksAt(name string) bool {
	for _, f := range o.fields {
		if f.name == name {
			return true
		}
	}
	for _, alternatives := range o.or {
		for _, a := range alternatives {
			if a.looksAt(name) {
				return true
			}
		}
	}
	return false
}

// Empty tells whether there is nothing to match.
func (f *Filters) Empty() bool { return f == nil || len(f.patterns) == 0 }

// Match tells whether a record passes. Data that is not JSON matches only
// patterns that do not look into it.
func (f *Filters) Match(r Record) bool {
	if f.Empty() {
		return true
	}
	top := subject{record: &r}
	if f.data {
		top.json = json.Unmarshal(r.Data, &top.data, jsontext.AllowDuplicateNames(true), jsontext.AllowInvalidUTF8(true)) == nil
	}
	for _, o := range f.patterns {
		if o.match(top.get) {
			return true
		}
	}
	return false
}

// subject is a record while it is matched.
type subject struct {
	record *Record
	data   any
	json   bool // data is valid
}

func (s *subject) get(name string) (any, bool) {
	if name == "data" && !s.json {
		return unreadable{}, true
	}
	if name == "data" {
		return s.data, true
	}
	v, ok := s.record.Meta(name)
	return v, ok
}

// unreadable is data that is not JSON: no pattern for it matches, not even one
// that something be absent.
type unreadable struct{}

// object is a pattern for an object: all fields match, and of each $or one.
type object struct {
	fields []field
	or     [][]*object
}

// field is what a member must be: an object of its own, or any of some things.
type field struct {
	name string
	sub  *object
	any  []test
}

func (o *object) match(get func(string) (any, bool)) bool {
	for i := range o.fields {
		v, ok := get(o.fields[i].name)
		if !o.fields[i].match(v, ok) {
			return false
		}
	}
	for _, alternatives := range o.or {
		found := false
		for _, a := range alternatives {
			if found = a.match(get); found {
				break
			}
		}
		if !found {
			return false
		}
	}
	return true
}

// match holds a value against the field. Of a list, one element must match.
func (f *field) match(v any, present bool) bool {
	if f.sub == nil {
		for i := range f.any {
			if f.any[i].match(v, present) {
				return true
			}
		}
		return false
	}
	switch v := v.(type) {
	case unreadable:
		return false
	case map[string]any:
		return f.sub.match(func(name string) (any, bool) { x, ok := v[name]; return x, ok })
	case []any:
		for _, e := range v {
			if f.match(e, true) {
				return true
			}
		}
		return false
	}
	// Nothing is there to look into; only what must be absent can match.
	return f.sub.match(func(string) (any, bool) { return nil, false })
}

// test is one thing that a value may be.
type test struct {
	op    op
	text  string
	value any    // equals: text, number (as float64), bool or nil
	not   []test // anything-but: none of these
	low   bound
	high  bound
}

type bound struct {
	set, inclusive bool
	limit          float64
}

type op uint8

const (
	equals op = iota + 1
	fold      // equals, whatever the case
	prefix
	suffix
	exists
	absent
	numeric
	anythingBut
)

func (t *test) match(v any, present bool) bool {
	if list, ok := v.([]any); ok && present {
		if len(list) == 0 {
			return t.op == absent
		}
		for _, e := range list {
			if t.match(e, true) {
				return true
			}
		}
		return false
	}
	_, inner := v.(map[string]any)
	leaf := present && !inner
	switch t.op {
	case exists:
		return leaf
	case absent:
		return !leaf
	}
	if !leaf {
		return false
	}
	switch t.op {
	case equals:
		return v == t.value
	case anythingBut:
		for i := range t.not {
			if t.not[i].match(v, true) {
				return false
			}
		}
		return true
	case numeric:
		n, ok := v.(float64)
		return ok && t.low.below(n) && t.high.above(n)
	}
	s, ok := v.(string)
	if !ok {
		return false
	}
	switch t.op {
	case fold:
		return strings.EqualFold(s, t.text)
	case prefix:
		return strings.HasPrefix(s, t.text)
	case suffix:
		return strings.HasSuffix(s, t.text)
	}
	return false
}

func (b bound) below(n float64) bool {
	return !b.set || n > b.limit || b.inclusive && n == b.limit
}

func (b bound) above(n float64) bool {
	return !b.set || n < b.limit || b.inclusive && n == b.limit
}
