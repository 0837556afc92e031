package wire

import (
	"reflect"
	"strconv"
	"time"
)

// show is v as Java prints it, which is how AWS's texts repeat values.
func show(p *plan, v reflect.Value) string {
	return clip(string(appendShown(nil, p, v)))
}

func appendShown(dst []byte, p *plan, v reflect.Value) []byte {
	if len(dst) > maxShown { // show cuts it anyway
		return dst
	}
	switch p.kind {
	case kindString:
		return append(dst, v.String()...)
	case kindBoolean:
		return strconv.AppendBool(dst, v.Bool())
	case kindShort, kindInteger, kindLong:
		return strconv.AppendInt(dst, v.Int(), 10)
	case kindDouble:
		return strconv.AppendFloat(dst, v.Float(), 'f', -1, 64)
	case kindTimestamp:
		return v.Interface().(time.Time).UTC().AppendFormat(dst, "Mon Jan 02 15:04:05 UTC 2006")
	case kindBlob:
		n := strconv.Itoa(v.Len())
		return append(dst, "java.nio.HeapByteBuffer[pos=0 lim="+n+" cap="+n+"]"...)
	case kindStructure, kindOwn:
		return append(dst, p.shown...)
	case kindList:
		dst = append(dst, '[')
		for i := range v.Len() {
			if i > 0 {
				dst = append(dst, ", "...)
			}
			dst = appendElement(dst, p, v.Index(i))
		}
		return append(dst, ']')
	}
	dst = append(dst, '{')
	for i, k := range sortedKeys(v) {
		if i > 0 {
			dst = append(dst, ", "...)
		}
		dst = append(append(dst, k.String()...), '=')
		dst = appendElement(dst, p, v.MapIndex(k))
	}
	return append(dst, '}')
}

func appendElement(dst []byte, p *plan, e reflect.Value) []byte {
	if p.pointer {
		e = e.Elem()
	}
	if !e.IsValid() {
		return append(dst, "null"...)
	}
	return appendShown(dst, p.elem, e)
}
