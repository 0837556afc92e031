package gate

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"fmt"
	"io"
	"net"
	"net/http"
	"runtime"
	"strings"
	"testing"

	"github.com/thalweg/thalweg/gate/wire"
)

// footprint is the memory in use, of the heap and of stacks, and the number of
// goroutines.
func footprint() (bytes, goroutines int) {
	runtime.GC()
	runtime.GC() // pools give up what they kept in the second
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int(m.HeapAlloc + m.StackInuse), runtime.NumGoroutine()
}

// Thousands of streams that wait cost what net/http itself holds for them: its
// goroutines, the parsed request and its small buffers. The clients are bare
// connections with little memory of their own, in the same measurement.
func TestIdleStreams(t *testing.T) {
	const streams = 2000
	l := newLive()
	h := start(t, l.config)
	var whole bytes.Buffer
	r := liveRequest(t, wire.JSON, liveIn{})
	r.Host = "gate"
	// A long request, whose buffer must not stay with the stream.
	body := `{"Do":"idle","Else":"` + strings.Repeat("x", 50<<10) + `"}`
	r.Body, r.ContentLength = io.NopCloser(strings.NewReader(body)), int64(len(body))
	if err := r.Write(&whole); err != nil {
		t.Fatal(err)
	}
	first := wire.AppendInitialResponse(nil, wire.JSON)
	for _, k := range []struct {
		name              string
		bytes, goroutines int // at most, per stream
		open              func() (end func())
	}{
		// Two goroutines: the handler's, and the one that sees the caller leave.
		{"http/1.1", 40 << 10, 2, func() func() {
			conns := make([]net.Conn, streams)
			buf := make([]byte, 2<<10)
			for i := range conns {
				conn, err := net.Dial("tcp", h.addr)
				if err != nil {
					t.Fatal(err)
				}
				conns[i] = conn
				if _, err := conn.Write(whole.Bytes()); err != nil {
					t.Fatal(err)
				}
				for n := 0; !bytes.Contains(buf[:n], first); {
					m, err := conn.Read(buf[n:])
					if err != nil {
						t.Fatalf("%v after %q", err, buf[:n])
					}
					n += m
				}
			}
			return func() {
				for _, conn := range conns {
					conn.Close()
				}
			}
		}},
		{"h2c", 30 << 10, 1, func() func() {
			conn, err := net.Dial("tcp", h.addr)
			if err != nil {
				t.Fatal(err)
			}
			go plainHTTP2(conn, r.Header, `{"Do":"idle","Count":0,"Size":0}`, streams)
			from := bufio.NewReader(conn)
			for seen := 0; seen < streams; {
				var head [9]byte
				if _, err := io.ReadFull(from, head[:]); err != nil {
					t.Fatal(err)
				}
				payload := make([]byte, int(head[0])<<16|int(head[1])<<8|int(head[2]))
				if _, err := io.ReadFull(from, payload); err != nil {
					t.Fatal(err)
				}
				if head[3] == 0 && bytes.Equal(payload, first) {
					seen++
				}
			}
			return func() { conn.Close() }
		}},
	} {
		before, goroutines := footprint()
		end := k.open()
		for range streams {
			<-l.opened
		}
		after, many := footprint()
		each := (after - before) / streams
		t.Logf("%s: %d bytes and %.2f goroutines for each of %d streams", k.name, each, float64(many-goroutines)/streams, streams)
		if each > k.bytes || many-goroutines > k.goroutines*streams+20 {
			t.Errorf("%s: %d bytes a stream, %d goroutines in all", k.name, each, many-goroutines)
		}
		end()
		for range streams {
			<-l.ended
			if status := <-l.seen; status != statusGone {
				t.Errorf("observed %d", status)
			}
		}
	}
}

// plainHTTP2 writes the requests of a client that keeps nothing: literal
// headers, and the body in one frame.
func plainHTTP2(w io.Writer, h http.Header, body string, streams int) {
	frame := func(dst []byte, kind, flags byte, stream uint32, payload []byte) []byte {
		n := len(payload)
		dst = append(dst, byte(n>>16), byte(n>>8), byte(n), kind, flags)
		return append(binary.BigEndian.AppendUint32(dst, stream), payload...)
	}
	var fields []byte
	field := func(name, value string) {
		fields = append(append(fields, 0, byte(len(name))), name...)
		if n := len(value); n < 127 {
			fields = append(fields, byte(n))
		} else {
			fields = append(fields, 127, byte(n-127)) // up to 254 bytes
		}
		fields = append(fields, value...)
	}
	field(":method", "POST")
	field(":scheme", "http")
	field(":path", "/")
	field(":authority", "gate")
	field("content-length", fmt.Sprint(len(body)))
	for name := range h {
		field(string(bytes.ToLower([]byte(name))), h.Get(name))
	}
	out := []byte("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n")
	out = frame(out, 4, 0, 0, nil)                                       // our settings
	out = frame(out, 4, 1, 0, nil)                                       // theirs, seen
	out = frame(out, 8, 0, 0, binary.BigEndian.AppendUint32(nil, 1<<24)) // room for all answers
	for id := uint32(1); streams > 0; id, streams = id+2, streams-1 {
		out = frame(out, 1, 4, id, fields)
		out = frame(out, 0, 1, id, []byte(body))
	}
	w.Write(out) // an error shows as answers that do not come
}
