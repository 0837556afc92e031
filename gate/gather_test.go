package gate

import (
	"bytes"
	"errors"
	"net"
	"testing"

	"pgregory.net/rapid"
)

// sinkConn keeps what is written to it, until it fails.
type sinkConn struct {
	net.Conn
	bytes.Buffer
	writes int
	fail   error
}

func (s *sinkConn) Write(p []byte) (int, error) {
	if s.fail != nil {
		return 0, s.fail
	}
	s.writes++
	return s.Buffer.Write(p)
}

func (s *sinkConn) Read(p []byte) (int, error) { return s.Conn.Read(p) }

// What net/http writes of a chunk is held back until its end, and the chunk
// itself not copied: its buffer with the length and the first bytes, the rest,
// the line's end.
func TestGather(t *testing.T) {
	sink := &sinkConn{}
	c := &conn{Conn: sink}
	chunk := bytes.Repeat([]byte("chunk."), 30_000)
	g := new(gather)
	g.begin(c, chunk)
	buffer := append([]byte("2bf20\r\n"), chunk[:frameSize-7]...)
	for _, p := range [][]byte{buffer, chunk[frameSize-7:], []byte("\r\n")} {
		if n, err := c.Write(p); n != len(p) || err != nil {
			t.Fatal(n, err)
		}
	}
	clear(buffer) // net/http uses it again
	if sink.writes != 0 || len(g.held) != 3 || &g.held[1][0] != &chunk[frameSize-7] {
		t.Errorf("%d writes, %d pieces held", sink.writes, len(g.held))
	}
	if err := g.end(c, nil); err != nil || !bytes.Equal(sink.Bytes(), []byte("2bf20\r\n"+string(chunk)+"\r\n")) {
		t.Errorf("%v, %d bytes", err, sink.Len())
	}
	// Afterwards nothing is held.
	if n, err := c.Write([]byte("0\r\n\r\n")); n != 5 || err != nil || !bytes.HasSuffix(sink.Bytes(), []byte("\r\n0\r\n\r\n")) {
		t.Error(n, err)
	}
}

// However the writes fall, their bytes arrive in order.
func TestGatherAnything(t *testing.T) {
	rapid.Check(t, func(r *rapid.T) {
		sink := &sinkConn{}
		c := &conn{Conn: sink}
		g := new(gather)
		var want []byte
		for range rapid.IntRange(1, 3).Draw(r, "chunks") {
			chunk := bytes.Repeat([]byte{'c'}, rapid.IntRange(1, 3*frameSize).Draw(r, "chunk"))
			g.begin(c, chunk)
			for range rapid.IntRange(0, 6).Draw(r, "writes") {
				var p []byte
				if rapid.Bool().Draw(r, "own") {
					p = chunk[rapid.IntRange(0, len(chunk)-1).Draw(r, "from"):]
				} else {
					p = bytes.Repeat([]byte{byte(len(want))}, rapid.IntRange(0, 2*frameSize).Draw(r, "n"))
				}
				want = append(want, p...)
				if n, err := c.Write(p); n != len(p) || err != nil {
					r.Fatal(n, err)
				}
			}
			if err := g.end(c, nil); err != nil {
				r.Fatal(err)
			}
		}
		if !bytes.Equal(sink.Bytes(), want) {
			r.Fatalf("%d bytes, not %d", sink.Len(), len(want))
		}
	})
}

// Once a part is lost nothing may follow: the end of the body least of all,
// which would make it look whole.
func TestGatherFails(t *testing.T) {
	sink := &sinkConn{fail: errors.New("stuck")}
	c := &conn{Conn: sink}
	g := new(gather)
	chunk := make([]byte, 2*frameSize)
	g.begin(c, chunk)
	c.Write(chunk)
	if err := g.end(c, nil); !errors.Is(err, sink.fail) {
		t.Error(err)
	}
	stuck := sink.fail
	sink.fail = nil
	if _, err := c.Write([]byte("0\r\n\r\n")); !errors.Is(err, stuck) || sink.Len() > 0 {
		t.Errorf("%v after %d bytes", err, sink.Len())
	}
}
