package wire

import (
	"fmt"
	"testing"
)

// records is a PutRecords body of 500 records of 1 KiB.
func records(f Format) []byte {
	data := make([]byte, 1024)
	for i := range data {
		data[i] = byte(i * 7)
	}
	var dst []byte
	if f == CBOR {
		dst = AppendCBORText(append(dst, 0xa2), "StreamName")
		dst = AppendCBORText(dst, "orders")
		dst = AppendHead(AppendCBORText(dst, "Records"), MajorList, 500)
	} else {
		dst = append(dst, `{"StreamName":"orders","Records":[`...)
	}
	for i := range 500 {
		key := fmt.Sprintf("key-%d", i)
		if f == CBOR {
			dst = AppendCBORBytes(AppendCBORText(append(dst, 0xa2), "Data"), data)
			dst = AppendCBORText(AppendCBORText(dst, "PartitionKey"), key)
			continue
		}
		if i > 0 {
			dst = append(dst, ',')
		}
		dst = AppendBlob(append(dst, `{"Data":`...), data)
		dst = append(AppendString(append(dst, `,"PartitionKey":`...), key), '}')
	}
	if f == CBOR {
		return dst
	}
	return append(dst, `]}`...)
}

// scanRecords is how a hand-made codec reads that body. It returns the number
// of records, -1 if it would fall back to the general codec.
func scanRecords(s *Scanner, body, data []byte) (n int) {
	s.Reset(body)
	for s.Open('{'); s.Next('}'); {
		switch string(s.Key()) {
		case "StreamName":
			s.Text()
		case "Records":
			for s.Open('['); s.Next(']'); n++ {
				for s.Open('{'); s.Next('}'); {
					switch string(s.Key()) {
					case "Data":
						raw, plain := s.Raw()
						if !plain {
							raw = s.Unescape(raw)
						}
						if size := Base64Len(raw); size < 0 || size > len(data) || !DecodeBase64(data[:size], raw) {
							s.Fail()
						}
					case "PartitionKey":
						s.Text()
					default:
						s.Skip()
					}
				}
			}
		default:
			s.Skip()
		}
	}
	if !s.End() {
		return -1
	}
	return n
}

func readRecords(r *Reader, body, data []byte) (n int) {
	r.Reset(body)
	for m := r.Open(MajorMap); r.Next(&m); {
		switch string(r.Key()) {
		case "StreamName":
			r.Text()
		case "Records":
			for l := r.Open(MajorList); r.Next(&l); n++ {
				for m := r.Open(MajorMap); r.Next(&m); {
					switch string(r.Key()) {
					case "Data":
						copy(data, r.Bytes())
					case "PartitionKey":
						r.Text()
					default:
						r.Skip()
					}
				}
			}
		default:
			r.Skip()
		}
	}
	if !r.End() {
		return -1
	}
	return n
}

// The hot pieces take no memory of their own.
func TestNoAllocation(t *testing.T) {
	body, item, data, dst := records(JSON), records(CBOR), make([]byte, 1024), make([]byte, 0, 4096)
	s, r := Scanner{Scratch: make([]byte, 0, 64)}, Reader{Scratch: make([]byte, 0, 64)}
	escaped := []byte(`{"Records":[{"Data":"\/\/8=","PartitionKey":"\u00e9"}]}`)
	for what, f := range map[string]func(){
		"scan":      func() { scanRecords(&s, body, data) },
		"escapes":   func() { scanRecords(&s, escaped, data) },
		"skip":      func() { s.Reset(body); s.Skip() },
		"read":      func() { readRecords(&r, item, data) },
		"skip CBOR": func() { r.Reset(item); r.Skip() },
		"append":    func() { AppendBlob(AppendString(AppendSeconds(AppendCBORTime(dst, 1), 1), "é\"\xff"), data) },
	} {
		if n := testing.AllocsPerRun(10, f); n != 0 {
			t.Errorf("%s allocates %v times", what, n)
		}
	}
	if n := scanRecords(&s, body, data); n != 500 {
		t.Errorf("scanned %d records", n)
	}
	if n := readRecords(&r, item, data); n != 500 {
		t.Errorf("read %d records", n)
	}
}

func BenchmarkScanRecords(b *testing.B) {
	body, data := records(JSON), make([]byte, 1024)
	var s Scanner
	b.SetBytes(int64(len(body)))
	b.ReportAllocs()
	for b.Loop() {
		if scanRecords(&s, body, data) != 500 {
			b.Fatal("refused")
		}
	}
}

func BenchmarkScanSkip(b *testing.B) {
	body := records(JSON)
	var s Scanner
	b.SetBytes(int64(len(body)))
	b.ReportAllocs()
	for b.Loop() {
		s.Reset(body)
		if s.Skip(); !s.End() {
			b.Fatal("refused")
		}
	}
}

func BenchmarkReadRecords(b *testing.B) {
	body, data := records(CBOR), make([]byte, 1024)
	var r Reader
	b.SetBytes(int64(len(body)))
	b.ReportAllocs()
	for b.Loop() {
		if readRecords(&r, body, data) != 500 {
			b.Fatal("refused")
		}
	}
}

func BenchmarkDecodeRecords(b *testing.B) {
	for _, f := range []Format{JSON, CBOR} {
		b.Run(f.String(), func(b *testing.B) {
			body, shape := records(f), shapeOf[putRecords](b)
			b.SetBytes(int64(len(body)))
			b.ReportAllocs()
			for b.Loop() {
				var v putRecords
				if err := shape.Decode(f, body, &v); err != nil {
					b.Fatal(err)
				}
				if err := shape.Check(&v); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

func BenchmarkDecodeBase64(b *testing.B) {
	text, data := AppendBase64(nil, make([]byte, 1024)), make([]byte, 1024)
	b.SetBytes(int64(len(text)))
	b.ReportAllocs()
	for b.Loop() {
		if !DecodeBase64(data, text) {
			b.Fatal("refused")
		}
	}
}

func BenchmarkAppendBase64(b *testing.B) {
	dst, data := make([]byte, 0, 2048), make([]byte, 1024)
	b.SetBytes(1024)
	b.ReportAllocs()
	for b.Loop() {
		AppendBase64(dst, data)
	}
}
