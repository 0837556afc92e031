package wire

import (
	"fmt"
	"math"
	"reflect"
	"strings"
	"time"

	"github.com/thalweg/thalweg/fault"
)

// Decode reads body into the struct that into points to, whose type must be the
// Shape's. It sets members that are present, leaving others as they are; a
// member that is null is absent, one that is not known is skipped, and of
// several of one name the last counts. Numbers lose their fraction where an
// integer is wanted and stop at the bounds of its type, as they do at AWS.
//
// What is wrong with body is a *fault.Error of kind Malformed with code
// SerializationException: with AWS's text when a member has the wrong type,
// with none, as AWS has it, when body does not parse at all.
func (s *Shape) Decode(f Format, body []byte, into any) error {
	v := reflect.ValueOf(into)
	if v.Kind() != reflect.Pointer || v.IsNil() || v.Type().Elem() != s.root.typ {
		return fmt.Errorf("decode %v into %T", s.root.typ, into)
	}
	if f == Query {
		return decodeForm(s.root, body, v.Elem())
	}
	d := decoder{source: newSource(f, body), memory: maxMemory}
	switch d.what() {
	case whatMap, whatList:
	default:
		return malformed("")
	}
	err := d.value(s.root, v.Elem())
	if err == nil && d.done() {
		return nil
	}
	// A type may be found wrong before the body is found broken. The latter
	// is what AWS tells.
	if err == nil || !Valid(f, body) {
		return malformed("")
	}
	return err
}

// Valid reports whether body is one well-formed map, list or form in format f, which
// AWS looks at before it looks at anything else in a request.
func Valid(f Format, body []byte) bool {
	if f == Query {
		_, err := parseForm(body)
		return err == nil
	}
	src := newSource(f, body)
	if w := src.what(); w != whatMap && w != whatList {
		return false
	}
	src.skip()
	return src.done()
}

func malformed(format string, args ...any) error {
	return fault.Coded(fault.Malformed, "SerializationException", format, args...)
}

type decoder struct {
	source
	memory int // bytes of elements that may still be held
}

// hold takes n bytes of what one body may make us hold. Texts and blobs are not
// counted: they take no more than they took in the body.
func (d *decoder) hold(n int) error {
	if d.memory -= n; d.memory < 0 {
		return malformed("The request holds too many elements.")
	}
	return nil
}

// value reads the next value, which is not null, into v. A failure of the
// source is no error: it shows when the source is asked whether it is done.
func (d *decoder) value(p *plan, v reflect.Value) error {
	w := d.what()
	if w == whatNothing {
		return malformed("")
	}
	if !fits(p.kind, w) {
		return d.mismatch(p.kind, w)
	}
	switch p.kind {
	case kindString:
		v.SetString(string(d.text()))
	case kindBoolean:
		return d.boolean(w, v)
	case kindShort:
		v.SetInt(min(max(d.integer(), math.MinInt16), math.MaxInt16))
	case kindInteger:
		v.SetInt(min(max(d.integer(), math.MinInt32), math.MaxInt32))
	case kindLong:
		v.SetInt(d.integer())
	case kindDouble:
		v.SetFloat(d.double())
	case kindTimestamp:
		v.Set(reflect.ValueOf(time.UnixMilli(d.millis()).UTC()))
	case kindBlob:
		return d.blob(w, v)
	case kindList:
		return d.list(p, v)
	case kindMap:
		return d.pairs(p, v)
	case kindStructure:
		return d.structure(p, v)
	case kindOwn:
		return d.own(v)
	}
	return nil
}

// own hands a value to the codec of its type, once it is known to be well-formed.
func (d *decoder) own(v reflect.Value) error {
	format := JSON
	if _, ok := d.source.(*cborSource); ok {
		format = CBOR
	}
	raw := d.raw()
	if d.failed() {
		return malformed("")
	}
	return v.Addr().Interface().(Own).DecodeWire(format, raw)
}

// fits reports whether AWS takes w for a k at all.
func fits(k kind, w what) bool {
	switch k {
	case kindOwn:
		return true
	case kindString:
		return w == whatText
	case kindBoolean:
		return w == whatBoolean || w == whatText
	case kindBlob:
		return w == whatText || w == whatBytes
	case kindList:
		return w == whatList
	case kindMap, kindStructure:
		return w == whatMap
	}
	return w == whatNumber
}

// mismatch is the fault of a w where a k should be, in the texts that AWS was
// recorded to answer (kinesalite, test/helpers.js, assertType).
func (d *decoder) mismatch(k kind, w what) error {
	switch {
	case w == whatList:
		return malformed("Start of list found where not expected")
	case w == whatMap:
		return malformed("Start of structure or map found where not expected.")
	case k == kindList:
		return malformed("Expected list or null")
	case k == kindMap:
		return malformed("Expected map or null")
	case k == kindStructure:
		return malformed("Expected null")
	case k == kindTimestamp:
		return malformed("%s can not be converted to milliseconds since epoch", w.java())
	case k == kindBlob:
		return malformed("%s can not be converted to a Blob", w.java())
	}
	return malformed("%s can not be converted to an %s", w.java(), k)
}

// boolean takes a few words for a boolean, as AWS does.
func (d *decoder) boolean(w what, v reflect.Value) error {
	if w == whatBoolean {
		v.SetBool(d.source.boolean())
		return nil
	}
	switch word := strings.ToUpper(string(d.text())); word {
	case "TRUE", "YES", "1":
		v.SetBool(true)
	case "FALSE", "NO", "0":
		v.SetBool(false)
	default:
		return malformed("'%s' can not be converted to an Boolean", clip(word))
	}
	return nil
}

func (d *decoder) blob(w what, v reflect.Value) error {
	if w == whatBytes {
		v.SetBytes(append([]byte{}, d.bytes()...))
		return nil
	}
	if _, ok := d.source.(*cborSource); ok { // base64 is JSON's makeshift
		return d.mismatch(kindBlob, w)
	}
	text := d.text()
	data := make([]byte, max(0, Base64Len(text)))
	if !DecodeBase64(data, text) {
		return malformed("'%s' can not be converted to a Blob: %s", clip(string(text)), base64Fault(text))
	}
	v.SetBytes(data)
	return nil
}

// base64Fault is what AWS says is wrong with text (kinesalite, as mismatch).
func base64Fault(text []byte) string {
	if n := len(text); n%4 != 0 {
		return fmt.Sprintf("Base64 encoded length is expected a multiple of 4 bytes but found: %d", n)
	}
	for i, r := range string(text) {
		switch {
		case 'A' <= r && r <= 'Z', 'a' <= r && r <= 'z', '0' <= r && r <= '9', r == '+', r == '/':
		case r == '=' && (i+1 == len(text) || text[i+1] == '='):
		default:
			return fmt.Sprintf("Invalid Base64 character: '%c'", r)
		}
	}
	return "Invalid last non-pad Base64 character dectected" // as AWS spells it
}

func (d *decoder) list(p *plan, v reflect.Value) error {
	size := int(p.typ.Elem().Size())
	v.Set(reflect.MakeSlice(p.typ, 0, 0))
	for n := d.open(whatList); d.next(&n); {
		if err := d.hold(size); err != nil {
			return err
		}
		i := v.Len()
		v.Grow(1)
		v.SetLen(i + 1)
		if err := d.optional(p.elem, v.Index(i), p.pointer); err != nil {
			return err
		}
	}
	return nil
}

func (d *decoder) pairs(p *plan, v reflect.Value) error {
	size := int(p.typ.Key().Size() + p.typ.Elem().Size())
	v.Set(reflect.MakeMap(p.typ))
	for n := d.open(whatMap); d.next(&n); {
		if err := d.hold(size); err != nil {
			return err
		}
		key := reflect.New(p.typ.Key()).Elem()
		key.SetString(string(d.key()))
		if d.what() == whatNull {
			d.null()
			v.SetMapIndex(key, reflect.Value{})
			continue
		}
		elem := reflect.New(p.typ.Elem()).Elem()
		if err := d.optional(p.elem, elem, p.pointer); err != nil {
			return err
		}
		v.SetMapIndex(key, elem)
	}
	return nil
}

func (d *decoder) structure(p *plan, v reflect.Value) error {
	for n := d.open(whatMap); d.next(&n); {
		i, known := p.byName[string(d.key())]
		if !known {
			d.skip()
			continue
		}
		m := &p.members[i]
		if err := d.optional(m.plan, m.field(v), m.pointer); err != nil {
			return err
		}
	}
	return nil
}

// optional reads the next value, which may be null, into v, which is a pointer
// if pointer is set. What v held before is gone.
func (d *decoder) optional(p *plan, v reflect.Value, pointer bool) error {
	v.SetZero()
	if d.what() == whatNull {
		d.null()
		return nil
	}
	if pointer {
		if err := d.hold(int(p.typ.Size())); err != nil {
			return err
		}
		v.Set(reflect.New(p.typ))
		v = v.Elem()
	}
	return d.value(p, v)
}

// field is m's field in the struct v.
func (m *member) field(v reflect.Value) reflect.Value {
	for _, i := range m.index {
		v = v.Field(i)
	}
	return v
}

// maxShown bounds how much of a value a text repeats. AWS is not known to have
// such a bound; with it a text cannot outgrow the request many times over.
const maxShown = 64 << 10

// clip is s, or its start if it is too long to be repeated.
func clip(s string) string {
	if len(s) <= maxShown {
		return s
	}
	return strings.ToValidUTF8(s[:maxShown], "") + "..."
}
