package journal

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"path"
	"strings"
	"time"

	"github.com/thalweg/thalweg/internal/vfs"
	"github.com/thalweg/thalweg/shardlog/journal/segment"
)

// Dump prints one file of a log for people: a journal slot, a checkpoint or a
// segment, told by its name. It prints what it understands up to damage and
// then returns that as an error.
func Dump(fs vfs.FS, name string, w io.Writer) error {
	base := path.Base(name)
	switch {
	case strings.HasSuffix(base, ".seg"):
		return segment.Dump(fs, name, w)
	case strings.HasPrefix(base, checkpointPrefix):
		return dumpCheckpoint(fs, name, w)
	case strings.HasPrefix(base, "slot-"):
		return dumpSlot(fs, name, w)
	}
	return fmt.Errorf("dump %s: the name is none of slot-NN, checkpoint-N or *.seg", name)
}

func stamp(ms int64) string {
	if ms == 0 {
		return "-"
	}
	return time.UnixMilli(ms).UTC().Format("2006-01-02T15:04:05.000Z")
}

func dumpCheckpoint(fs vfs.FS, name string, w io.Writer) error {
	st, err := readCheckpoint(fs, name)
	if err != nil {
		return err
	}
	p := &printer{w: w}
	p.f("checkpoint  format %d  log %016x  replay from file %d  lsn %d  group %d  time %s\n", formatVersion, st.log, st.file, st.lsn, st.group, stamp(st.time))
	p.f("snapshot    %d bytes\n", st.snapshotSize())
	for _, x := range st.shards {
		p.f("shard %-8d retention %v  created %d  first %d  tail %d  last %s", x.id, time.Duration(x.retention)*time.Millisecond, x.created, x.first, x.tail, stamp(x.last))
		if x.floor > 0 {
			p.f("  floor %s", stamp(x.floor))
		}
		if x.end != 0 {
			p.f("  sealed at %d", x.end)
		}
		if x.dropped {
			p.f("  dropped")
		}
		p.f("\n")
	}
	for _, m := range st.segments {
		p.f("segment %s  class %s  %d bytes  %d..%d  %s..%s  %d records  %d shards\n",
			m.Name, classNames[min(int(m.Class), classes-1)], m.Bytes, m.First, m.Last, stamp(m.MinTime), stamp(m.MaxTime), m.Records, m.Shards.Len())
	}
	return p.err
}

func dumpSlot(fs vfs.FS, name string, w io.Writer) error {
	f, err := fs.Open(name)
	if err != nil {
		return fmt.Errorf("dump %s: %w", name, err)
	}
	defer f.Close()
	size, err := f.Size()
	if err != nil {
		return fmt.Errorf("dump %s: %w", name, err)
	}
	x := &journalFile{path: name, f: f, size: size}
	buf, err := x.load(size)
	if err != nil {
		return err
	}
	p := &printer{w: w}
	h, err := parseSlotHeader(buf[:min(len(buf), block)])
	switch {
	case errors.Is(err, errNoHeader):
		p.f("unused slot, %d bytes\n", size)
		return p.err
	case err != nil:
		return corrupt(name, 0, "%v", err)
	}
	p.f("journal file %d  format %d  log %016x  file before it ends at %d  first lsn %d  first group %d  time %s\n",
		h.file, formatVersion, h.log, h.prevEnd, h.lsn, h.group, stamp(h.time))
	s := &scanner{path: name, buf: buf, seed: logSeed(h.log), file: h.file, at: place{h.group, h.lsn, h.time}}
	for off := int64(block); p.err == nil; {
		to, bad := s.group(off)
		if bad != nil {
			if s.torn(bad) {
				p.f("%10d  end, or a group that was never acknowledged: at %d: %v\n", off, bad.off, bad.what)
			} else {
				p.f("%10d  end\n", off)
			}
			if err := s.tail(bad); err != nil {
				return err
			}
			break
		}
		p.f("%10d  group %d  %d frames  %d bytes\n", off, s.at.group-1, len(s.frames), to-off)
		for i := range s.frames {
			p.frame(&s.frames[i], buf)
		}
		off = to
	}
	return p.err
}

// printer remembers the first error of printing.
type printer struct {
	w   io.Writer
	err error
}

func (p *printer) f(format string, args ...any) {
	if p.err == nil {
		_, p.err = fmt.Fprintf(p.w, format, args...)
	}
}

func (p *printer) frame(f *found, buf []byte) {
	p.f("%10d    %-7v lsn %d  %s", f.off-frameHeader, f.kind, f.lsn, stamp(f.time))
	body := f.payload(buf)
	le := binary.LittleEndian
	switch f.kind {
	case kindData:
		p.f("  shard %d  %d records", f.shard, f.count)
	case kindCreate:
		for ; len(body) >= 12; body = body[12:] {
			p.f("  shard %d for %v", le.Uint32(body), time.Duration(le.Uint64(body[4:]))*time.Millisecond)
		}
	case kindRetain:
		if len(body) >= 8 {
			p.f("  %v", time.Duration(le.Uint64(body))*time.Millisecond)
			body = body[8:]
		}
		fallthrough
	case kindSeal, kindDrop:
		for ; len(body) >= 4; body = body[4:] {
			p.f("  shard %d", le.Uint32(body))
		}
	}
	p.f("  %d bytes\n", f.length)
}
