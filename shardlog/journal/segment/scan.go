package segment

import "fmt"

// scan reads a segment's blocks front to back with large reads, past the
// cache: for merging and checking. Its memory is one read of the given size,
// or of a block where that is more, and one decompressed block. It holds the
// segment open; the caller releases.
type scan struct {
	s    *Segment
	size int64
	buf  []byte // what the file holds from off on
	off  int64
	raw  []byte
}

// scanSize is how much a scan by itself reads at once, and scanAll how much
// the scans of one merge do together.
const (
	scanSize = 1 << 20
	scanAll  = 8 << 20
)

// stored returns the bytes of block i as they are in the file, valid until the
// next call. Blocks must be asked for in ascending order; some may be left out.
func (c *scan) stored(i int) ([]byte, error) {
	b := &c.s.blocks[i]
	at := b.off - c.off
	if at < 0 || at+int64(b.stored) > int64(len(c.buf)) {
		// As many whole blocks as fit, so that no byte is read twice.
		n := int64(b.stored)
		for j := i + 1; j < len(c.s.blocks) && n+int64(c.s.blocks[j].stored) <= c.size; j++ {
			n += int64(c.s.blocks[j].stored)
		}
		buf, err := readAt(c.s.file, c.s.path, c.buf, int(n), b.off)
		if err != nil {
			c.buf = c.buf[:0] // it may hold anything
			return nil, err
		}
		c.buf, c.off, at = buf, b.off, 0
	}
	return c.buf[at : at+int64(b.stored)], nil
}

// block returns the raw bytes of block i, checked, valid until the next call.
func (c *scan) block(i int) ([]byte, error) {
	stored, err := c.stored(i)
	if err != nil {
		return nil, err
	}
	b := &c.s.blocks[i]
	raw, err := c.s.decode(c.raw, stored, b)
	if err != nil {
		return nil, err
	}
	if b.codec != plain {
		c.raw = raw
	}
	return raw, nil
}

func newScan(s *Segment, size int64) (*scan, error) {
	if err := s.acquire(); err != nil {
		return nil, fmt.Errorf("scan: %w", err)
	}
	return &scan{s: s, size: size}, nil
}
