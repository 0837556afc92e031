package wire

import (
	"errors"
	"math"
	"reflect"
	"strconv"
	"time"
	"unicode/utf8"
)

// appendXML appends the members of a structure as XML elements, as the Query
// protocol has them: the elements of a list as <member>, the pairs of a map as
// <entry> with <key> and <value>, times by ISO 8601, blobs in base64.
func appendXML(dst []byte, p *plan, v reflect.Value) ([]byte, error) {
	e := xmlEncoder{buf: dst}
	e.structure(p, v)
	if e.err != nil {
		return dst, e.err
	}
	return e.buf, nil
}

type xmlEncoder struct {
	buf []byte
	err error
}

// element appends an element of this name with what inside appends.
func (e *xmlEncoder) element(name string, inside func()) {
	e.buf = append(append(append(e.buf, '<'), name...), '>')
	inside()
	e.buf = append(append(append(e.buf, '<', '/'), name...), '>')
}

func (e *xmlEncoder) structure(p *plan, v reflect.Value) {
	for i := range p.members {
		m := &p.members[i]
		if f, ok := m.present(v); ok {
			e.element(m.name, func() { e.value(m.plan, f) })
		}
	}
}

func (e *xmlEncoder) value(p *plan, v reflect.Value) {
	switch p.kind {
	case kindString:
		e.buf = AppendXMLText(e.buf, v.String())
	case kindBoolean:
		e.buf = strconv.AppendBool(e.buf, v.Bool())
	case kindShort, kindInteger, kindLong:
		e.buf = strconv.AppendInt(e.buf, v.Int(), 10)
	case kindDouble:
		if f := v.Float(); math.IsNaN(f) || math.IsInf(f, 0) {
			e.err = errors.New("a float that is no number")
		} else {
			e.buf = strconv.AppendFloat(e.buf, f, 'f', -1, 64)
		}
	case kindTimestamp:
		e.buf = v.Interface().(time.Time).UTC().AppendFormat(e.buf, "2006-01-02T15:04:05.999Z")
	case kindBlob:
		e.buf = AppendBase64(e.buf, v.Bytes())
	case kindList:
		for i := range v.Len() {
			e.element("member", func() { e.inner(p, v.Index(i)) })
		}
	case kindMap:
		for _, k := range sortedKeys(v) {
			e.element("entry", func() {
				e.element("key", func() { e.buf = AppendXMLText(e.buf, k.String()) })
				e.element("value", func() { e.inner(p, v.MapIndex(k)) })
			})
		}
	case kindStructure:
		e.structure(p, v)
	}
}

// inner appends an element of a list or map of plan p; an absent one is empty.
func (e *xmlEncoder) inner(p *plan, v reflect.Value) {
	if p.pointer {
		v = v.Elem()
	}
	if v.IsValid() {
		e.value(p.elem, v)
	}
}

// AppendXMLText appends s as the text of an XML element. What XML has no
// character for comes out as U+FFFD.
func AppendXMLText(dst []byte, s string) []byte {
	for _, r := range s {
		switch {
		case r == '&':
			dst = append(dst, "&amp;"...)
		case r == '<':
			dst = append(dst, "&lt;"...)
		case r == '>':
			dst = append(dst, "&gt;"...)
		case r == '\r':
			dst = append(dst, "&#xD;"...)
		case r < 0x20 && r != '\t' && r != '\n', r == 0xfffe, r == 0xffff:
			dst = utf8.AppendRune(dst, utf8.RuneError)
		default:
			dst = utf8.AppendRune(dst, r)
		}
	}
	return dst
}
