package wire

import (
	"bytes"
	"encoding/base64"
	"math/rand/v2"
	"testing"
)

// standard is what DecodeBase64 is held against: the library's strict decoder,
// but for line breaks, which that one skips and ours refuses.
func standard(text []byte) ([]byte, bool) {
	data, err := base64.StdEncoding.Strict().DecodeString(string(text))
	return data, err == nil && bytes.IndexByte(text, '\n') < 0 && bytes.IndexByte(text, '\r') < 0
}

func checkBase64(t *testing.T, text []byte) {
	t.Helper()
	want, valid := standard(text)
	n := Base64Len(text)
	if n < 0 {
		if valid {
			t.Fatalf("%q: no length", text)
		}
		return
	}
	// A guard behind dst shows a write beyond it.
	room := bytes.Repeat([]byte{0xA5}, n+64)
	ok := DecodeBase64(room[:n:n], text)
	if ok != valid || ok && !bytes.Equal(room[:n], want) {
		t.Fatalf("%q: %v %x, want %v %x", text, ok, room[:n], valid, want)
	}
	if bytes.Count(room[n:], []byte{0xA5}) != 64 {
		t.Fatalf("%q: written beyond dst", text)
	}
	if DecodeBase64(make([]byte, n+1), text) {
		t.Fatalf("%q: a dst of the wrong length is taken", text)
	}
}

func TestBase64Mutated(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	odd := []byte("\r\n= -_AZaz09+/\x00\x7f\x80\xff")
	for i := range 60000 {
		data := make([]byte, r.IntN(200))
		for j := range data {
			data[j] = byte(r.Uint32())
		}
		text := AppendBase64([]byte("kept"), data)
		if want := "kept" + base64.StdEncoding.EncodeToString(data); string(text) != want {
			t.Fatalf("got %s, want %s", text, want)
		}
		text = text[4:]
		for range i % 4 {
			switch k := r.IntN(len(text) + 1); {
			case k == len(text):
				text = append(text, odd[r.IntN(len(odd))])
			case r.IntN(3) == 0:
				text = append(text[:k], text[k+1:]...)
			default:
				text[k] = odd[r.IntN(len(odd))]
			}
		}
		checkBase64(t, text)
	}
}

func FuzzBase64(f *testing.F) {
	for _, s := range []string{"", "QQ==", "QR==", "+/+=", "=+/=", "====", "QQ=", "QQ\n=", "QQ==\n\n\n\n", "\n\n\n\n", "QQ==QQ==", "Q===", base64.StdEncoding.EncodeToString(make([]byte, 100)) + "\r\n\r\n"} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		checkBase64(t, text)
		if data, ok := standard(AppendBase64(nil, text)); !ok || !bytes.Equal(data, text) {
			t.Fatalf("%q does not come back", text)
		}
	})
}
