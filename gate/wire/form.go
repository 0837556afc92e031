package wire

import (
	"bytes"
	"math"
	"net/url"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"time"
	"unsafe"
)

// pair is a parameter of a form.
type pair struct{ name, value string }

// form is the parameters of a Query request, in the order of their names, so
// that a structure's and a list's lie together: Metrics.member.1.Name.
type form []pair

// parseForm reads the body of a Query request. What is not UTF-8 in a value is
// made so with U+FFFD.
func parseForm(body []byte) (form, error) {
	var f form
	memory := maxMemory
	for len(body) > 0 {
		var part []byte
		part, body, _ = bytes.Cut(body, []byte{'&'})
		if len(part) == 0 {
			continue
		}
		if memory -= int(unsafe.Sizeof(pair{})); memory < 0 {
			return nil, malformed("The request holds too many parameters.")
		}
		rawName, rawValue, _ := strings.Cut(string(part), "=")
		name, err := url.QueryUnescape(rawName)
		if err != nil {
			return nil, malformed("The name of a parameter is not percent-encoded correctly.")
		}
		value, err := url.QueryUnescape(rawValue)
		if err != nil {
			return nil, malformed("The value of parameter %s is not percent-encoded correctly.", clip(name))
		}
		f = append(f, pair{name, strings.ToValidUTF8(value, "\ufffd")})
	}
	slices.SortStableFunc(f, func(a, b pair) int { return strings.Compare(a.name, b.name) })
	return f, nil
}

// Action returns the parameters Action and Version of a Query request, which
// say what operation of which API is meant. They are empty where there are none.
func Action(body []byte) (action, version string) {
	for len(body) > 0 && (action == "" || version == "") {
		var part []byte
		part, body, _ = bytes.Cut(body, []byte{'&'})
		if v, ok := bytes.CutPrefix(part, []byte("Action=")); ok {
			action = string(v)
		} else if v, ok := bytes.CutPrefix(part, []byte("Version=")); ok {
			version = string(v)
		}
	}
	return action, version
}

// under returns the parameters whose names begin with prefix.
func (f form) under(prefix string) form {
	from, _ := slices.BinarySearchFunc(f, prefix, func(p pair, name string) int { return strings.Compare(p.name, name) })
	to := from
	for to < len(f) && strings.HasPrefix(f[to].name, prefix) {
		to++
	}
	return f[from:to]
}

// get returns the parameter of this name, the last if there are several.
func (f form) get(name string) (value string, ok bool) {
	for _, p := range f.under(name) {
		if p.name != name {
			break
		}
		value, ok = p.value, true
	}
	return value, ok
}

// decodeForm reads a Query request into v. What stands for no member is
// skipped, as in the other formats.
func decodeForm(p *plan, body []byte, v reflect.Value) error {
	f, err := parseForm(body)
	if err != nil {
		return err
	}
	d := formDecoder{memory: maxMemory}
	return d.structure(p, f, "", v)
}

type formDecoder struct {
	memory int
	depth  int // of structures, lists and maps that are being read
}

func (d *formDecoder) hold(n int) error {
	if d.memory -= n; d.memory < 0 {
		return malformed("The request holds too many elements.")
	}
	return nil
}

// structure reads the members of a structure, whose names begin with prefix.
func (d *formDecoder) structure(p *plan, f form, prefix string, v reflect.Value) error {
	for i := range p.members {
		m := &p.members[i]
		name := prefix + m.name
		inside := f.under(name + ".")
		value, alone := f.get(name)
		if !alone && len(inside) == 0 {
			continue
		}
		field := m.field(v)
		if m.pointer {
			if err := d.hold(int(m.plan.typ.Size())); err != nil {
				return err
			}
			field.Set(reflect.New(m.plan.typ))
			field = field.Elem()
		}
		if err := d.value(m.plan, value, alone, inside, name, field); err != nil {
			return err
		}
	}
	return nil
}

// value reads what stands under name: value, if it stands there alone, and what
// is inside it.
func (d *formDecoder) value(p *plan, value string, alone bool, inside form, name string, v reflect.Value) error {
	if d.depth++; d.depth > maxDepth {
		return malformed("The parameter %s is nested too deeply.", clip(name))
	}
	defer func() { d.depth-- }()
	switch p.kind {
	case kindStructure:
		return d.structure(p, inside, name+".", v)
	case kindList:
		v.Set(reflect.MakeSlice(p.typ, 0, 0))
		return d.numbered(inside, name+".member.", func(inside form, name string) error {
			if err := d.hold(int(p.typ.Elem().Size())); err != nil {
				return err
			}
			i := v.Len()
			v.Grow(1)
			v.SetLen(i + 1)
			return d.element(p, inside, name, v.Index(i))
		})
	case kindMap:
		v.Set(reflect.MakeMap(p.typ))
		return d.numbered(inside, name+".entry.", func(inside form, name string) error {
			if err := d.hold(int(p.typ.Key().Size() + p.typ.Elem().Size())); err != nil {
				return err
			}
			key := reflect.New(p.typ.Key()).Elem()
			text, _ := inside.get(name + ".key")
			key.SetString(text)
			elem := reflect.New(p.typ.Elem()).Elem()
			err := d.element(p, inside, name+".value", elem)
			v.SetMapIndex(key, elem)
			return err
		})
	}
	if !alone {
		return malformed("The parameter %s has parameters within it, and is a %s.", clip(name), p.kind)
	}
	return scalar(p.kind, value, name, v)
}

// element reads an element of a list or the value of a map's entry.
func (d *formDecoder) element(p *plan, f form, name string, v reflect.Value) error {
	if p.pointer {
		if err := d.hold(int(p.elem.typ.Size())); err != nil {
			return err
		}
		v.Set(reflect.New(p.elem.typ))
		v = v.Elem()
	}
	value, alone := f.get(name)
	inside := f.under(name + ".")
	if !alone && len(inside) == 0 {
		return nil // a map's entry without a value
	}
	return d.value(p.elem, value, alone, inside, name, v)
}

// numbered calls each for the elements under prefix, in the order of their
// numbers, which need neither begin at 1 nor leave no gap.
func (d *formDecoder) numbered(f form, prefix string, each func(f form, name string) error) error {
	type group struct {
		number   uint64
		from, to int
		name     string
	}
	var groups []group
	for i := 0; i < len(f); i++ {
		rest, ok := strings.CutPrefix(f[i].name, prefix)
		if !ok {
			continue
		}
		digits, _, _ := strings.Cut(rest, ".")
		n, err := strconv.ParseUint(digits, 10, 32)
		if err != nil {
			return malformed("The parameter %s has no number where one belongs.", clip(f[i].name))
		}
		name := f[i].name[:len(prefix)+len(digits)]
		if last := len(groups) - 1; last >= 0 && groups[last].name == name {
			groups[last].to = i + 1
			continue
		}
		if err := d.hold(int(unsafe.Sizeof(group{}))); err != nil {
			return err
		}
		groups = append(groups, group{n, i, i + 1, name})
	}
	slices.SortStableFunc(groups, func(a, b group) int { return int(int64(a.number) - int64(b.number)) })
	for _, g := range groups {
		if err := each(f[g.from:g.to], g.name); err != nil {
			return err
		}
	}
	return nil
}

// scalar reads a text as a value of k.
func scalar(k kind, text, name string, v reflect.Value) (err error) {
	bits := 64
	switch k {
	case kindString:
		v.SetString(text)
		return nil
	case kindBlob:
		data := make([]byte, max(0, Base64Len([]byte(text))))
		if !DecodeBase64(data, []byte(text)) {
			return malformed("The value of parameter %s is not base64.", clip(name))
		}
		v.SetBytes(data)
		return nil
	case kindBoolean:
		var b bool
		if b, err = strconv.ParseBool(strings.ToLower(text)); err == nil {
			v.SetBool(b)
		}
	case kindDouble:
		var n float64
		if n, err = strconv.ParseFloat(text, 64); err == nil || math.IsInf(n, 0) {
			v.SetFloat(n)
			return nil
		}
	case kindTimestamp:
		var t time.Time
		if t, err = time.Parse(time.RFC3339, text); err == nil {
			v.Set(reflect.ValueOf(t.UTC()))
		}
	default:
		switch k {
		case kindShort:
			bits = 16
		case kindInteger:
			bits = 32
		}
		var n int64
		if n, err = strconv.ParseInt(text, 10, bits); err == nil {
			v.SetInt(n)
		}
	}
	if err != nil {
		return malformed("The value '%s' of parameter %s is no %s.", clip(text), clip(name), k)
	}
	return nil
}
