package dynamodb

import (
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/thalweg/thalweg/fault"
	"github.com/thalweg/thalweg/gate/wire"
	"github.com/thalweg/thalweg/table/attr"
)

// value is an attribute value as the wire has it: {"S": "text"}.
type value struct{ attr.Value }

// item is attributes by name, each in that form. Its map is not nil when it was
// in a request.
type item struct{ attr.Map }

// DecodeWire reads a value.
func (v *value) DecodeWire(f wire.Format, body []byte) error {
	d, err := newValueDecoder(f, body)
	if err == nil {
		v.Value, err = d.value()
	}
	return err
}

// DecodeWire reads attributes.
func (m *item) DecodeWire(f wire.Format, body []byte) error {
	d, err := newValueDecoder(f, body)
	if err == nil {
		m.Map, err = d.pairs()
	}
	return err
}

// AppendWire appends the value.
func (v value) AppendWire(dst []byte, _ wire.Format) []byte { return appendValue(dst, v.Value) }

// AppendWire appends the attributes, in the order of their names.
func (m item) AppendWire(dst []byte, _ wire.Format) []byte { return appendPairs(dst, m.Map) }

func appendPairs(dst []byte, m attr.Map) []byte {
	dst = append(dst, '{')
	for i, name := range slices.Sorted(maps.Keys(m)) {
		if i > 0 {
			dst = append(dst, ',')
		}
		dst = append(wire.AppendString(dst, name), ':')
		dst = appendValue(dst, m[name])
	}
	return append(dst, '}')
}

func appendValue(dst []byte, v attr.Value) []byte {
	dst = append(append(append(dst, `{"`...), v.Type().String()...), `":`...)
	switch v := v.(type) {
	case attr.String:
		dst = wire.AppendString(dst, v)
	case attr.Binary:
		dst = appendBlob(dst, string(v))
	case attr.Number:
		dst = appendNumber(dst, v)
	case attr.StringSet:
		dst = appendList(dst, v, wire.AppendString[string])
	case attr.BinarySet:
		dst = appendList(dst, v, appendBlob)
	case attr.NumberSet:
		dst = appendList(dst, v, appendNumber)
	case attr.List:
		dst = appendList(dst, v, appendValue)
	case attr.Map:
		dst = appendPairs(dst, v)
	case attr.Bool:
		dst = strconv.AppendBool(dst, bool(v))
	case attr.Null:
		dst = append(dst, "true"...)
	}
	return append(dst, '}')
}

func appendList[T any](dst []byte, list []T, element func([]byte, T) []byte) []byte {
	dst = append(dst, '[')
	for i, x := range list {
		if i > 0 {
			dst = append(dst, ',')
		}
		dst = element(dst, x)
	}
	return append(dst, ']')
}

func appendBlob(dst []byte, s string) []byte { return wire.AppendBlob(dst, []byte(s)) }

func appendNumber(dst []byte, n attr.Number) []byte {
	return append(n.Append(append(dst, '"')), '"')
}

// valueDecoder reads values off JSON that is known to be well-formed, so what
// it meets besides values of a wrong type are values that DynamoDB refuses.
type valueDecoder struct {
	s     wire.Scanner
	body  string // a copy of what s reads, of which texts are pieces
	depth int
}

func (d *valueDecoder) reset(body []byte) {
	d.s.Reset(body)
	d.body = string(body)
}

func newValueDecoder(f wire.Format, body []byte) (*valueDecoder, error) {
	if f != wire.JSON && f != wire.JSON10 {
		return nil, fault.Coded(fault.Malformed, "SerializationException", "DynamoDB speaks JSON only.")
	}
	d := new(valueDecoder)
	d.reset(body)
	return d, nil
}

func (d *valueDecoder) pairs() (attr.Map, error) {
	if d.s.Peek() != '{' {
		return nil, d.mismatch("Map")
	}
	m := attr.Map{}
	for d.s.Open('{'); d.s.Next('}'); {
		name := d.own(d.s.Key(), 2)
		if d.s.Null() {
			continue
		}
		v, err := d.value()
		if err != nil {
			return nil, err
		}
		m[name] = v
	}
	return m, nil
}

// mismatch is the fault of a value of another type than its place has.
func (d *valueDecoder) mismatch(want string) error {
	names := map[byte]string{'{': "START_OBJECT", '[': "START_ARRAY", '"': "STRING_VALUE", 't': "TRUE_VALUE", 'f': "FALSE_VALUE"}
	switch got := names[d.s.Peek()]; {
	case strings.HasPrefix(got, "START_OBJECT"):
		return malformed("Start of structure or map found where not expected.")
	case strings.HasPrefix(got, "START"):
		return malformed("Unrecognized collection type class " + want)
	case got == "":
		return malformed("NUMBER_VALUE cannot be converted to " + want)
	default:
		return malformed(got + " cannot be converted to " + want)
	}
}

func malformed(text string) error {
	return fault.Coded(fault.Malformed, "SerializationException", "%s", text)
}

var (
	errNoType    = invalid("Supplied AttributeValue is empty, must contain exactly one of the supported datatypes")
	errManyTypes = invalid("Supplied AttributeValue has more than one datatypes set, must contain exactly one of the supported datatypes")
	errNotNull   = invalid(parameters + "Null attribute value types must have the value of true")
	errDeep      = invalid("Nesting Levels have exceeded supported limits: Attributes in the item have nested levels beyond supported limit")
)

// value reads an object of one member, whose name is the type.
func (d *valueDecoder) value() (attr.Value, error) {
	if d.s.Peek() != '{' {
		return nil, d.mismatch("AttributeValue")
	}
	if d.depth++; d.depth > attr.MaxDepth+2 {
		return nil, errDeep
	}
	var v attr.Value
	for d.s.Open('{'); d.s.Next('}'); {
		t, known := attr.ParseType(string(d.s.Key()))
		if !known || d.s.Peek() == 'n' {
			d.s.Skip()
			continue
		}
		if v != nil {
			return nil, errManyTypes
		}
		var err error
		if v, err = d.typed(t); err != nil {
			return nil, err
		}
	}
	d.depth--
	if v == nil {
		return nil, errNoType
	}
	return v, nil
}

func (d *valueDecoder) typed(t attr.Type) (attr.Value, error) {
	switch t {
	case attr.S:
		s, err := d.text()
		return attr.String(s), err
	case attr.N:
		return d.number()
	case attr.B:
		b, err := d.blob()
		return attr.Binary(b), err
	case attr.SS:
		set, err := texts(d, "string", d.text)
		return attr.StringSet(set), err
	case attr.BS:
		set, err := texts(d, "binary", d.blob)
		return attr.BinarySet(set), err
	case attr.NS:
		return d.numbers()
	case attr.L:
		l, err := list(d, d.value)
		return attr.List(l), err
	case attr.M:
		return d.pairs()
	case attr.BOOL:
		b, err := d.boolean()
		return attr.Bool(b), err
	}
	b, err := d.boolean()
	if err == nil && !b {
		err = errNotNull
	}
	return attr.Null{}, err
}

func (d *valueDecoder) text() (string, error) {
	if d.s.Peek() != '"' {
		return "", d.mismatch("String")
	}
	return d.own(d.s.Text(), 1), nil
}

// own is a text that was just read, as a string: a piece of the body, if it
// stands there as it is and ends so many bytes before what comes next.
func (d *valueDecoder) own(t []byte, before int) string {
	if end := d.s.Pos() - before; end >= len(t) && d.body[end-len(t):end] == string(t) {
		return d.body[end-len(t) : end]
	}
	return string(t)
}

func (d *valueDecoder) boolean() (bool, error) {
	if c := d.s.Peek(); c != 't' && c != 'f' {
		return false, d.mismatch("Boolean")
	}
	return d.s.Bool(), nil
}

func (d *valueDecoder) number() (attr.Number, error) {
	s, err := d.text()
	if err != nil {
		return attr.Number{}, err
	}
	n, err := attr.ParseNumber(s)
	if err != nil {
		return n, invalid("%s", err)
	}
	return n, nil
}

func (d *valueDecoder) blob() (string, error) {
	if d.s.Peek() != '"' {
		return "", d.mismatch("Blob")
	}
	encoded := d.s.Text()
	n := wire.Base64Len(encoded)
	if n < 0 {
		return "", malformed("Base64 encoded length is expected a multiple of 4 bytes but found: " + strconv.Itoa(len(encoded)))
	}
	b := make([]byte, n)
	if !wire.DecodeBase64(b, encoded) {
		return "", malformed("Invalid Base64")
	}
	return string(b), nil
}

func list[T any](d *valueDecoder, element func() (T, error)) ([]T, error) {
	if d.s.Peek() != '[' {
		return nil, d.mismatch("List")
	}
	all := []T{}
	for d.s.Open('['); d.s.Next(']'); {
		x, err := element()
		if err != nil {
			return nil, err
		}
		all = append(all, x)
	}
	return all, nil
}

func texts(d *valueDecoder, kind string, element func() (string, error)) ([]string, error) {
	all, err := list(d, element)
	if err != nil {
		return nil, err
	}
	if len(all) == 0 {
		return nil, errEmptySet(kind)
	}
	shown := strings.Join(all, ", ")
	set, twice := attr.NewSet(all)
	if twice {
		return nil, errTwice(shown)
	}
	return set, nil
}

func (d *valueDecoder) numbers() (attr.NumberSet, error) {
	all, err := list(d, d.number)
	if err != nil {
		return nil, err
	}
	if len(all) == 0 {
		return nil, errEmptySet("number")
	}
	var shown []string
	for _, n := range all {
		shown = append(shown, n.String())
	}
	set, twice := attr.NewNumberSet(all)
	if twice {
		return nil, errTwice(strings.Join(shown, ", "))
	}
	return set, nil
}

func errEmptySet(kind string) error {
	return invalid(parameters+"An %s set  may not be empty", kind)
}

func errTwice(members string) error {
	return invalid(parameters+"Input collection [%s] contains duplicates.", members)
}
