package gate

import "net"

// frameSize is net/http's buffer for what it sends: a chunk's beginning goes
// through it, and a write that fits into it is sent in one piece anyway.
const frameSize = 4 << 10

// gather has a large write and what net/http puts around it, a chunk's length
// before and a line's end after it, leave in one piece. It would else be sent
// in three, and each costs the system as much as many kilobytes do.
type gather struct {
	to     net.Conn
	whole  []byte // the write, which is not copied
	frame  [frameSize + 64]byte
	used   int         // of frame
	pieces [3][]byte   // of whole and frame, in order
	held   net.Buffers // those in use
}

// begin has c collect what is written from now on, whole among it.
func (g *gather) begin(c *conn, whole []byte) {
	g.to, g.whole = c.Conn, whole
	g.clear()
	c.gather = g
}

// end sends what was collected, unless writing has failed already.
func (g *gather) end(c *conn, err error) error {
	if err == nil {
		err = g.send()
	}
	c.gather, c.failed = nil, err
	g.to, g.whole = nil, nil
	return err
}

// write keeps p: itself if it is the rest of the large write, else a copy.
func (g *gather) write(p []byte) (int, error) {
	n := len(p)
	whole := n > 0 && &p[n-1] == &g.whole[len(g.whole)-1]
	if len(g.held) == len(g.pieces) || !whole && g.used+n > len(g.frame) {
		if err := g.send(); err != nil {
			return 0, err
		}
	}
	if !whole {
		if n > len(g.frame) {
			return g.to.Write(p)
		}
		at := g.used
		g.used += copy(g.frame[at:], p)
		p = g.frame[at:g.used]
	}
	g.held = append(g.held, p)
	return n, nil
}

func (g *gather) send() error {
	if len(g.held) == 0 {
		return nil
	}
	_, err := g.held.WriteTo(g.to)
	g.clear()
	return err
}

func (g *gather) clear() {
	g.pieces, g.used = [3][]byte{}, 0
	g.held = g.pieces[:0]
}
