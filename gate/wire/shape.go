package wire

import (
	"fmt"
	"reflect"
	"regexp"
	"strconv"
	"strings"
	"time"
)

// Shape is the wire form of one Go struct type: how it is decoded, checked and
// encoded. It is made once per operation and safe for use by several goroutines.
type Shape struct{ root *plan }

// Compile makes the Shape of the struct type t.
//
// A field is a member of the same name. What it may be, with AWS's name for it:
//
//	string (String), bool (Boolean), int16 (Short), int and int32 (Integer), int64 (Long), float64 (Double),
//	[]byte (Blob), time.Time (Timestamp), []T (List), map[string]T (Map), struct (Structure)
//
// or a pointer to any of these but slices and maps. Named types of these kinds
// will do. A nil pointer, slice or map and a zero time are an absent member;
// any other field is present always. A struct may hold itself through a
// pointer, a slice or a map. An embedded struct lends its fields. Unexported
// fields are not members.
//
// The tag `aws:"…"` holds, separated by commas, in any order but pattern last:
//
//	required     must be present (for types that can be absent)
//	min=N max=N  bounds of a number; of the length of a string in characters, of a blob in bytes, of a list or map in elements
//	enum=A|B     the values a string may have
//	name=x       the member's name, where it is not the field's
//	omitzero     absent when zero, for types that could not be absent
//	pattern=re   what a whole string must match; may hold commas
//
// `elem:"…"` holds min, max, enum and pattern for the elements of a list or map
// of strings or numbers, `key:"…"` for the keys of a map. AWS reports these on
// the list or map as a whole. The tag aws:"shown=x" on a field named _ says
// how Java prints a value of the struct, as the texts of faults have it:
// com.amazonaws.kinesis.v20131202.PutRecordsRequestEntry@c965e310.
//
// An error is a mistake in t, to be found by a test.
func Compile(t reflect.Type) (*Shape, error) {
	if t == nil || t.Kind() != reflect.Struct || isTime(t) {
		return nil, fmt.Errorf("compile %v: not a struct", t)
	}
	c := compiler{plans: map[reflect.Type]*plan{}}
	root, err := c.plan(t)
	if err != nil {
		return nil, fmt.Errorf("compile %v: %w", t, err)
	}
	return &Shape{root}, nil
}

// kind is a type of AWS's data model.
type kind uint8

const (
	kindString kind = iota
	kindBoolean
	kindShort
	kindInteger
	kindLong
	kindDouble
	kindBlob
	kindTimestamp
	kindList
	kindMap
	kindStructure
	kindOwn // a type with a codec of its own
)

// Own is a struct type with a codec of its own, for values that Go's types do
// not show: the shape hands it the bytes of a value that is well-formed and not
// null, and appends what it appends. DecodeWire has a pointer receiver, keeps
// nothing of body, and fails with a *fault.Error; AppendWire has none.
type Own interface {
	appender
	DecodeWire(f Format, body []byte) error
}

type appender interface {
	AppendWire(dst []byte, f Format) []byte
}

func (k kind) String() string {
	return [...]string{"String", "Boolean", "Short", "Integer", "Long", "Double", "Blob", "Timestamp", "List", "Map", "Structure", "Structure"}[k]
}

// plan is the compiled form of one type, without pointers.
type plan struct {
	kind    kind
	typ     reflect.Type
	elem    *plan          // of a list or map
	pointer bool           // the elements are pointers
	members []member       // of a structure, in order of declaration
	byName  map[string]int // index into members
	shown   string         // what Java prints for a structure
}

// member is a field of a structure.
type member struct {
	name     string
	path     string // the name as texts have it: lower first letter
	index    []int
	plan     *plan
	pointer  bool
	absent   bool // the type has an absent value
	omitzero bool
	required bool
	rules    rules // on the value itself
	elem     rules // on each element of a list or map
	key      rules // on each key of a map
	json     []byte
	cbor     []byte // the member's name, ready to append
}

// rules are the constraints on one value.
type rules struct {
	min, max *float64
	minText  string
	maxText  string
	enum     []string
	pattern  *regexp.Regexp
	source   string // of pattern, as it was given
}

func (r *rules) any() bool {
	return r.min != nil || r.max != nil || r.enum != nil || r.pattern != nil
}

func isTime(t reflect.Type) bool { return t == reflect.TypeFor[time.Time]() }

type compiler struct{ plans map[reflect.Type]*plan }

// plan makes the plan of t, or finds it: structs may hold themselves.
func (c *compiler) plan(t reflect.Type) (*plan, error) {
	if p := c.plans[t]; p != nil {
		return p, nil
	}
	p := &plan{typ: t}
	c.plans[t] = p
	switch t.Kind() {
	case reflect.String:
		p.kind = kindString
	case reflect.Bool:
		p.kind = kindBoolean
	case reflect.Int16:
		p.kind = kindShort
	case reflect.Int, reflect.Int32:
		p.kind = kindInteger
	case reflect.Int64:
		p.kind = kindLong
	case reflect.Float64:
		p.kind = kindDouble
	case reflect.Slice:
		if t.Elem().Kind() == reflect.Uint8 {
			p.kind = kindBlob
			return p, nil
		}
		p.kind = kindList
		return p, c.elements(p, t.Elem())
	case reflect.Map:
		if t.Key().Kind() != reflect.String {
			return nil, fmt.Errorf("%v: keys are not strings", t)
		}
		p.kind = kindMap
		return p, c.elements(p, t.Elem())
	case reflect.Struct:
		if isTime(t) {
			p.kind = kindTimestamp
			return p, nil
		}
		p.shown = t.Name() + "@0"
		if reflect.PointerTo(t).Implements(reflect.TypeFor[Own]()) {
			p.kind = kindOwn
			return p, nil
		}
		p.kind = kindStructure
		p.byName = map[string]int{}
		return p, c.members(p, t, nil)
	default:
		return nil, fmt.Errorf("no wire form for %v", t)
	}
	return p, nil
}

func (c *compiler) elements(p *plan, t reflect.Type) (err error) {
	if t.Kind() == reflect.Pointer {
		p.pointer = true
		t = t.Elem()
	}
	p.elem, err = c.plan(t)
	return err
}

// members adds the fields of t, found in p's struct at index, to p.
func (c *compiler) members(p *plan, t reflect.Type, index []int) error {
	for i := range t.NumField() {
		f := t.Field(i)
		at := append(index[:len(index):len(index)], i)
		var err error
		switch {
		case f.Name == "_":
			if shown, ok := strings.CutPrefix(f.Tag.Get("aws"), "shown="); ok {
				p.shown = shown
			}
		case f.Anonymous && f.Type.Kind() == reflect.Struct:
			err = c.members(p, f.Type, at)
		case f.IsExported():
			err = c.member(p, f, at)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

func (c *compiler) member(p *plan, f reflect.StructField, index []int) error {
	m := member{name: f.Name, index: index}
	t := f.Type
	if t.Kind() == reflect.Pointer {
		m.pointer = true
		t = t.Elem()
		if k := t.Kind(); k == reflect.Slice || k == reflect.Map {
			return fmt.Errorf("%s: a pointer to what can be nil already", f.Name)
		}
	}
	var err error
	if m.plan, err = c.plan(t); err != nil {
		return fmt.Errorf("%s: %w", f.Name, err)
	}
	switch m.plan.kind {
	case kindBlob, kindList, kindMap, kindTimestamp:
		m.absent = true
	default:
		m.absent = m.pointer
	}
	if err := m.tags(f.Tag); err != nil {
		return fmt.Errorf("%s: %w", f.Name, err)
	}
	if _, twice := p.byName[m.name]; twice {
		return fmt.Errorf("%s: two members of this name", m.name)
	}
	m.path = lowerFirst(m.name)
	m.json = append(AppendString(nil, m.name), ':')
	m.cbor = AppendCBORText(nil, m.name)
	p.byName[m.name] = len(p.members)
	p.members = append(p.members, m)
	return nil
}

func lowerFirst(name string) string { return strings.ToLower(name[:1]) + name[1:] }

// tags reads the three tags of a member.
func (m *member) tags(tag reflect.StructTag) (err error) {
	rest, err := m.rules.parse(tag.Get("aws"), m.plan)
	if err != nil {
		return err
	}
	for _, word := range rest {
		name, named := strings.CutPrefix(word, "name=")
		switch {
		case word == "required" && m.absent:
			m.required = true
		case word == "required":
			return fmt.Errorf("required, but %v has no absent value: use a pointer", m.plan.typ)
		case word == "omitzero":
			m.omitzero = true
		case named && name != "":
			m.name = name
		default:
			return fmt.Errorf("tag %q is not known", word)
		}
	}
	if text, ok := tag.Lookup("elem"); ok {
		if m.plan.elem == nil {
			return fmt.Errorf("elem on %v, which has no elements", m.plan.typ)
		}
		if rest, err = m.elem.parse(text, m.plan.elem); err == nil && rest != nil {
			err = fmt.Errorf("tag %q is not for elements", rest[0])
		}
		if err != nil {
			return err
		}
	}
	if text, ok := tag.Lookup("key"); ok {
		if m.plan.kind != kindMap {
			return fmt.Errorf("key on %v, which has no keys", m.plan.typ)
		}
		if rest, err = m.key.parse(text, &plan{kind: kindString}); err == nil && rest != nil {
			err = fmt.Errorf("tag %q is not for keys", rest[0])
		}
	}
	return err
}

// parse reads what text says about values of p and returns the words that it
// does not know.
func (r *rules) parse(text string, p *plan) (rest []string, err error) {
	for text != "" {
		if source, ok := strings.CutPrefix(text, "pattern="); ok {
			if p.kind != kindString {
				return nil, fmt.Errorf("pattern on a %v", p.kind)
			}
			r.source = source
			r.pattern, err = regexp.Compile("^(?:" + source + ")$")
			return rest, err
		}
		var word string
		word, text, _ = strings.Cut(text, ",")
		key, value, _ := strings.Cut(word, "=")
		switch key {
		case "min":
			r.minText = value
			r.min, err = bound(value, p)
		case "max":
			r.maxText = value
			r.max, err = bound(value, p)
		case "enum":
			if p.kind != kindString {
				return nil, fmt.Errorf("enum on a %v", p.kind)
			}
			r.enum = strings.Split(value, "|")
		default:
			rest = append(rest, word)
		}
		if err != nil {
			return nil, err
		}
	}
	return rest, nil
}

func bound(text string, p *plan) (*float64, error) {
	switch p.kind {
	case kindBoolean, kindTimestamp, kindStructure:
		return nil, fmt.Errorf("a bound on a %v", p.kind)
	}
	f, err := strconv.ParseFloat(text, 64)
	return &f, err
}
