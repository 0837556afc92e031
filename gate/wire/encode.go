package wire

import (
	"errors"
	"fmt"
	"math"
	"reflect"
	"strconv"
	"time"
	"unicode/utf8"
)

// Append appends v, a struct of the Shape's type or a pointer to one, to dst in
// format f. Absent members are left out, an absent element of a list is null,
// and the pairs of a map come in the order of their keys. JSON has no white
// space, blobs in base64 and timestamps as AppendSeconds writes them; CBOR has
// definite lengths only. Query has the members' elements, without what AWS puts
// around them. A string that is not UTF-8 is made so with U+FFFD. It
// fails for a float that is no number, and for a v of another type; dst is then
// returned as it was.
func (s *Shape) Append(dst []byte, f Format, v any) ([]byte, error) {
	r, err := s.value(v)
	if err != nil {
		return dst, fmt.Errorf("encode: %w", err)
	}
	if f == Query {
		return appendXML(dst, s.root, r)
	}
	e := encoder{buf: dst, cbor: f.isCBOR(), seconds: f == RPC}
	e.structure(s.root, r)
	if e.err != nil {
		return dst, fmt.Errorf("encode %v: %w", s.root.typ, e.err)
	}
	return e.buf, nil
}

// AppendError appends the body of an error answer: its type, by the name that
// AWS's clients match, and its message unless that is empty. The key of the
// message has a capital for SerializationException alone (kinesalite,
// test/helpers.js, recorded from AWS).
func AppendError(dst []byte, f Format, typeName, message string) []byte {
	key := "message"
	if typeName == "SerializationException" {
		key = "Message"
	}
	e := encoder{buf: dst, cbor: f.isCBOR()}
	if e.cbor {
		n := uint64(1)
		if message != "" {
			n = 2
		}
		e.buf = AppendHead(e.buf, MajorMap, n)
		e.text("__type")
		e.text(typeName)
		if message != "" {
			e.text(key)
			e.text(message)
		}
		return e.buf
	}
	e.buf = append(e.buf, `{"__type":`...)
	e.text(typeName)
	if message != "" {
		e.buf = append(e.buf, ',')
		e.text(key)
		e.buf = append(e.buf, ':')
		e.text(message)
	}
	return append(e.buf, '}')
}

type encoder struct {
	buf     []byte
	cbor    bool
	seconds bool // CBOR's timestamps are seconds
	err     error
}

func (e *encoder) value(p *plan, v reflect.Value) {
	switch p.kind {
	case kindString:
		e.text(v.String())
	case kindBoolean:
		if e.cbor {
			e.buf = AppendCBORBool(e.buf, v.Bool())
		} else {
			e.buf = strconv.AppendBool(e.buf, v.Bool())
		}
	case kindShort, kindInteger, kindLong:
		if e.cbor {
			e.buf = AppendCBORInt(e.buf, v.Int())
		} else {
			e.buf = strconv.AppendInt(e.buf, v.Int(), 10)
		}
	case kindDouble:
		e.double(v.Float())
	case kindTimestamp:
		ms := v.Interface().(time.Time).UnixMilli()
		switch {
		case e.cbor && e.seconds:
			e.buf = AppendCBORDouble(append(e.buf, byte(MajorTag)|tagEpoch), float64(ms)/1000)
		case e.cbor:
			e.buf = AppendCBORTime(e.buf, ms)
		default:
			e.buf = AppendSeconds(e.buf, ms)
		}
	case kindBlob:
		if e.cbor {
			e.buf = AppendCBORBytes(e.buf, v.Bytes())
		} else {
			e.buf = AppendBlob(e.buf, v.Bytes())
		}
	case kindList:
		e.list(p, v)
	case kindMap:
		e.pairs(p, v)
	case kindStructure:
		e.structure(p, v)
	case kindOwn:
		f := JSON
		if e.cbor {
			f = CBOR
		}
		e.buf = v.Interface().(appender).AppendWire(e.buf, f)
	}
}

func (e *encoder) text(s string) {
	switch {
	case !e.cbor:
		e.buf = AppendString(e.buf, s)
	case utf8.ValidString(s):
		e.buf = AppendCBORText(e.buf, s)
	default:
		e.buf = AppendCBORText(e.buf, string([]rune(s)))
	}
}

func (e *encoder) double(f float64) {
	switch {
	case math.IsNaN(f) || math.IsInf(f, 0):
		e.err = errors.New("a float that is no number")
	case e.cbor:
		e.buf = AppendCBORDouble(e.buf, f)
	default:
		e.buf = strconv.AppendFloat(e.buf, f, 'f', -1, 64)
	}
}

func (e *encoder) list(p *plan, v reflect.Value) {
	n := v.Len()
	if e.cbor {
		e.buf = AppendHead(e.buf, MajorList, uint64(n))
		for i := range n {
			e.element(p, v.Index(i))
		}
		return
	}
	e.buf = append(e.buf, '[')
	for i := range n {
		e.comma(i)
		e.element(p, v.Index(i))
	}
	e.buf = append(e.buf, ']')
}

func (e *encoder) pairs(p *plan, v reflect.Value) {
	keys := sortedKeys(v)
	if e.cbor {
		e.buf = AppendHead(e.buf, MajorMap, uint64(len(keys)))
		for _, k := range keys {
			e.text(k.String())
			e.element(p, v.MapIndex(k))
		}
		return
	}
	e.buf = append(e.buf, '{')
	for i, k := range keys {
		e.comma(i)
		e.text(k.String())
		e.buf = append(e.buf, ':')
		e.element(p, v.MapIndex(k))
	}
	e.buf = append(e.buf, '}')
}

// element appends an element of a list or map of plan p.
func (e *encoder) element(p *plan, v reflect.Value) {
	if p.pointer {
		v = v.Elem()
	}
	switch {
	case v.IsValid():
		e.value(p.elem, v)
	case e.cbor:
		e.buf = append(e.buf, cborNull)
	default:
		e.buf = append(e.buf, "null"...)
	}
}

func (e *encoder) structure(p *plan, v reflect.Value) {
	if e.cbor {
		var n uint64
		for i := range p.members {
			if _, ok := p.members[i].present(v); ok {
				n++
			}
		}
		e.buf = AppendHead(e.buf, MajorMap, n)
		for i := range p.members {
			m := &p.members[i]
			if f, ok := m.present(v); ok {
				e.buf = append(e.buf, m.cbor...)
				e.value(m.plan, f)
			}
		}
		return
	}
	e.buf = append(e.buf, '{')
	n := 0
	for i := range p.members {
		m := &p.members[i]
		if f, ok := m.present(v); ok {
			e.comma(n)
			n++
			e.buf = append(e.buf, m.json...)
			e.value(m.plan, f)
		}
	}
	e.buf = append(e.buf, '}')
}

// comma separates the i-th of several from the one before.
func (e *encoder) comma(i int) {
	if i > 0 {
		e.buf = append(e.buf, ',')
	}
}
