package wire

import (
	"bytes"
	"encoding/hex"
	"errors"
	"io"
	"slices"
	"strings"
	"testing"
	"testing/iotest"
)

// The bytes were put together by another program from the description of the
// format, with zlib's CRC-32.
func TestEventStreamGolden(t *testing.T) {
	must := func(b []byte, err error) []byte {
		if err != nil {
			t.Fatal(err)
		}
		return b
	}
	for name, k := range map[string]struct {
		got  []byte
		want string
		msg  Message
	}{
		// clients.md 0.3: frame 1 is an event of type initial-response.
		"initial, JSON": {AppendInitialResponse(nil, JSON),
			"0000007200000060ab820d9e0d3a6d6573736167652d747970650700056576656e740b3a6576656e742d74797065070010696e697469616c2d726573706f6e73650d3a636f6e74656e742d7479706507001a6170706c69636174696f6e2f782d616d7a2d6a736f6e2d312e317b7de16e66e4",
			Message{Type: "initial-response", ContentType: JSON.ContentType(), Payload: []byte("{}")}},
		"initial, CBOR": {AppendInitialResponse(nil, CBOR),
			"0000007100000060ec22774e0d3a6d6573736167652d747970650700056576656e740b3a6576656e742d74797065070010696e697469616c2d726573706f6e73650d3a636f6e74656e742d7479706507001a6170706c69636174696f6e2f782d616d7a2d63626f722d312e31a0cb427534",
			Message{Type: "initial-response", ContentType: CBOR.ContentType(), Payload: []byte("\xa0")}},
		"exception, JSON": {must(AppendException(nil, JSON, "ResourceNotFoundException", `no "x"`)),
			"0000009700000071210665c30d3a6d6573736167652d74797065070009657863657074696f6e0f3a657863657074696f6e2d747970650700195265736f757263654e6f74466f756e64457863657074696f6e0d3a636f6e74656e742d7479706507001a6170706c69636174696f6e2f782d616d7a2d6a736f6e2d312e317b226d657373616765223a226e6f205c22785c22227dbb7ec05f",
			Message{Exception: true, Type: "ResourceNotFoundException", ContentType: JSON.ContentType(), Payload: []byte(`{"message":"no \"x\""}`)}},
		"exception, CBOR": {must(AppendException(nil, CBOR, "InternalFailure", "")),
			"00000081000000673a72b2b00d3a6d6573736167652d74797065070009657863657074696f6e0f3a657863657074696f6e2d7479706507000f496e7465726e616c4661696c7572650d3a636f6e74656e742d7479706507001a6170706c69636174696f6e2f782d616d7a2d63626f722d312e31a1676d657373616765600f676f94",
			Message{Exception: true, Type: "InternalFailure", ContentType: CBOR.ContentType(), Payload: []byte("\xa1\x67message\x60")}},
		"empty event": {must(AppendEvent(nil, "E", "t", nil)),
			"000000480000003825a3747f0d3a6d6573736167652d747970650700056576656e740b3a6576656e742d74797065070001450d3a636f6e74656e742d7479706507000174104a2acd",
			Message{Type: "E", ContentType: "t"}},
	} {
		if got := hex.EncodeToString(k.got); got != k.want {
			t.Errorf("%s:\ngot  %s\nwant %s", name, got, k.want)
		}
		d := NewDecoder(iotest.OneByteReader(bytes.NewReader(k.got)))
		m, err := d.Next()
		if err != nil || !sameMessage(m, k.msg) {
			t.Errorf("%s: read back %+v, %v", name, m, err)
		}
		if _, err := d.Next(); err != io.EOF {
			t.Errorf("%s: at its end: %v", name, err)
		}
	}
}

func sameMessage(a, b Message) bool {
	return a.Exception == b.Exception && a.Type == b.Type && a.ContentType == b.ContentType && bytes.Equal(a.Payload, b.Payload)
}

// Messages of all sizes one after another, encoded where they lie behind
// others, are the ones that come back.
func TestEventStreamRoundTrip(t *testing.T) {
	sizes := []int{0, 1, 100, 4 << 10, 256<<10 - 50, 256 << 10, 1<<20 + 7, 10 << 20}
	var all []byte
	for i, n := range sizes {
		start := len(all)
		all = BeginEvent(all, "SubscribeToShardEvent", "x")
		all = append(all, bytes.Repeat([]byte{byte(i)}, n)...)
		var err error
		if all, err = EndMessage(all, start); err != nil {
			t.Fatal(err)
		}
	}
	d := NewDecoder(bytes.NewReader(all))
	for i, n := range sizes {
		m, err := d.Next()
		if err != nil || len(m.Payload) != n || bytes.Count(m.Payload, []byte{byte(i)}) != n || m.Type != "SubscribeToShardEvent" {
			t.Fatalf("message %d: %d bytes, %v", i, len(m.Payload), err)
		}
	}
	if _, err := d.Next(); err != io.EOF {
		t.Error(err)
	}
}

func TestEventStreamBounds(t *testing.T) {
	before := []byte("before")
	out, err := AppendEvent(before, "E", "t", make([]byte, MaxMessage))
	if err == nil || string(out) != "before" {
		t.Errorf("too long a message: %d bytes, %v", len(out), err)
	}
	// A length alone takes no memory: 24 MiB are claimed and nothing follows.
	prelude, _ := hex.DecodeString("0180000000000000")
	lie := bytes.NewReader(slices.Concat(prelude, []byte{0, 0, 0, 0}))
	if _, err := NewDecoder(lie).Next(); !errors.Is(err, errMessage) {
		t.Errorf("lengths with a wrong checksum: %v", err)
	}
	// Every byte of a message counts, and so does every one that is missing.
	whole, _ := AppendException(nil, JSON, "Name", "text")
	for i := range whole {
		bad := slices.Clone(whole)
		bad[i] ^= 0x10
		if _, err := NewDecoder(bytes.NewReader(bad)).Next(); !errors.Is(err, errMessage) {
			t.Errorf("byte %d turned: %v", i, err)
		}
		if _, err := NewDecoder(bytes.NewReader(whole[:i])).Next(); i > 0 && err != io.ErrUnexpectedEOF {
			t.Errorf("cut at %d: %v", i, err)
		}
	}
}

// seal makes a message of headers and payload, whatever they are.
func seal(headers, payload []byte) []byte {
	m := append(make([]byte, preludeLen), headers...)
	m[4], m[5], m[6], m[7] = byte(len(headers)>>24), byte(len(headers)>>16), byte(len(headers)>>8), byte(len(headers))
	m, _ = EndMessage(append(m, payload...), 0)
	return m
}

// Headers of the other types are stepped over.
func TestEventStreamHeaders(t *testing.T) {
	headers := []byte("\x01a\x00\x01b\x01\x01c\x02x\x01d\x03xx\x01e\x04xxxx\x01f\x05xxxxxxxx\x01g\x06\x00\x03xxx\x01i\x08xxxxxxxx\x01j\x09xxxxxxxxxxxxxxxx\x0d:message-type\x07\x00\x05event\x0b:event-type\x07\x00\x01Z")
	m, err := NewDecoder(bytes.NewReader(seal(headers, []byte("p")))).Next()
	if err != nil || m.Exception || m.Type != "Z" || string(m.Payload) != "p" {
		t.Errorf("%+v %v", m, err)
	}
	for _, bad := range []string{"\x01", "\x01a", "\x01a\x0a", "\x01a\x07", "\x01a\x07\x00\x02x", "\x01a\x05xxx", "\xff"} {
		if _, err := NewDecoder(bytes.NewReader(seal([]byte(bad), nil))).Next(); !errors.Is(err, errMessage) {
			t.Errorf("headers %q: %v", bad, err)
		}
	}
}

// Whatever bytes come, with right checksums or not, the decoder neither panics
// nor returns more than came.
func FuzzEventStream(f *testing.F) {
	f.Add([]byte("\x0d:message-type\x07\x00\x05event"), []byte("{}"))
	f.Add(AppendInitialResponse(nil, JSON), []byte(nil))
	f.Add([]byte("\x01a\x09"), []byte("x"))
	f.Fuzz(func(t *testing.T, headers, payload []byte) {
		for _, b := range [][]byte{headers, seal(headers, payload)} {
			d := NewDecoder(bytes.NewReader(b))
			total := 0
			for {
				m, err := d.Next()
				if err != nil {
					break
				}
				total += len(m.Payload) + preludeLen + checksumLen
				again, err := AppendEvent(nil, m.Type, m.ContentType, m.Payload)
				if err != nil {
					t.Fatal(err)
				}
				back, err := NewDecoder(bytes.NewReader(again)).Next()
				if m.Exception = false; err != nil || !sameMessage(back, m) {
					t.Fatalf("%+v came back as %+v, %v", m, back, err)
				}
			}
			if total > len(b) {
				t.Fatalf("%d bytes out of %d", total, len(b))
			}
		}
	})
}

func BenchmarkEventStream(b *testing.B) {
	for name, n := range map[string]int{"empty": 0, "1KiB": 1 << 10, "1MiB": 1 << 20} {
		payload := []byte(strings.Repeat("x", n))
		b.Run("append/"+name, func(b *testing.B) {
			buf := make([]byte, 0, n+200)
			b.SetBytes(int64(n))
			b.ReportAllocs()
			for b.Loop() {
				buf, _ = AppendEvent(buf[:0], "SubscribeToShardEvent", "application/x-amz-json-1.1", payload)
			}
		})
		// As an operation does it: the payload is there already, so what is
		// measured is the frame alone.
		b.Run("frame/"+name, func(b *testing.B) {
			buf := BeginEvent(nil, "SubscribeToShardEvent", "application/x-amz-json-1.1")
			head := len(buf)
			buf = append(append(buf, payload...), "\x00\x00\x00\x00"...)
			b.SetBytes(int64(n))
			b.ReportAllocs()
			for b.Loop() {
				buf = BeginEvent(buf[:0], "SubscribeToShardEvent", "application/x-amz-json-1.1")
				buf, _ = EndMessage(buf[:head+n], 0)
			}
		})
		b.Run("read/"+name, func(b *testing.B) {
			whole, _ := AppendEvent(nil, "SubscribeToShardEvent", "application/x-amz-json-1.1", payload)
			r := bytes.NewReader(whole)
			d := NewDecoder(r)
			b.SetBytes(int64(n))
			b.ReportAllocs()
			for b.Loop() {
				r.Reset(whole)
				if _, err := d.Next(); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
