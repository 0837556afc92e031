package segment

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/thalweg/thalweg/internal/vfs"
)

// dumpFrames is how many frames of a block Dump prints.
const dumpFrames = 16

// Dump prints a segment for people: what the footer says, a line per block
// and, indented under it, a line for each of its first frames. A block that is
// damaged says so in its place; the errors come back joined at the end.
func Dump(fs vfs.FS, name string, w io.Writer) error {
	s, err := Open(fs, name)
	if err != nil {
		return err
	}
	defer s.Close()
	out := bufio.NewWriter(w)
	m := s.meta
	fmt.Fprintf(out, "segment %s: version %d, class %d, store %016x, %d bytes\n", m.Name, version, m.Class, s.head.store, m.Bytes)
	fmt.Fprintf(out, "%d blocks, %d shards, %d records, positions %d..%d, times %s..%s\n",
		len(s.blocks), m.Shards.Len(), m.Records, m.First, m.Last, stamp(m.MinTime), stamp(m.MaxTime))
	c := &scan{s: s}
	var found []error
	for i := range s.blocks {
		b := &s.blocks[i]
		fmt.Fprintf(out, "block %d: shard %d, at %d, %s %d of %d bytes, crc %08x, %d frames, %d records, positions %d..%d, times %s..%s\n",
			i, b.shard, b.off, b.codec, b.stored, b.raw, b.sum, b.frames, b.records, b.first, b.last, stamp(b.minTime), stamp(b.maxTime))
		rest, err := c.block(i)
		if err != nil {
			fmt.Fprintf(out, "  damaged: %v\n", err)
			if len(found) < maxFound {
				found = append(found, err)
			}
			continue
		}
		for n := 0; len(rest) > 0; n++ {
			if n == dumpFrames {
				fmt.Fprintf(out, "  and %d frames more\n", int(b.frames)-n)
				break
			}
			var f Frame
			f, rest = firstFrame(rest, b.shard)
			fmt.Fprintf(out, "  position %d: %d records, %d bytes, crc %08x, time %s", f.Pos, f.Count, len(f.Payload), f.Sum, stamp(f.Time))
			if Sum(f.Payload) != f.Sum {
				fmt.Fprint(out, ", WRONG CHECKSUM")
			}
			fmt.Fprintln(out)
		}
	}
	if err := out.Flush(); err != nil {
		return err
	}
	return errors.Join(found...)
}

func stamp(ms int64) string { return time.UnixMilli(ms).UTC().Format("2006-01-02T15:04:05.000Z") }
