package journal

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"

	"github.com/thalweg/thalweg/internal/vfs"
)

// place is where in the log the next group is expected.
type place struct {
	group, lsn uint64
	clock      int64
}

// scanner walks the groups of one journal file held in memory.
type scanner struct {
	path   string
	buf    []byte // the whole file, header included
	seed   uint32
	file   uint32
	at     place
	frames []found // of the group last walked
}

type found struct {
	frame
	off int // of the payload
}

func (f *found) payload(buf []byte) []byte { return buf[f.off : f.off+f.length] }

// flaw is why a group is not whole, and where.
type flaw struct {
	off  int64
	what error
}

var errContinuity = errors.New("frame does not follow the one before it")

// group walks the group at off, which must be whole, and answers where the
// next one starts.
func (s *scanner) group(off int64) (int64, *flaw) {
	s.frames = s.frames[:0]
	at := s.at
	for p := off; ; {
		f, err := parseFrame(s.buf[min(p, int64(len(s.buf))):], s.seed)
		if err == nil && (f.file != s.file || f.group != at.group || f.lsn != at.lsn || f.time < at.clock) {
			err = errContinuity
		}
		end := p + frameHeader + int64(f.length)
		if err == nil && end > int64(len(s.buf)) {
			err = errors.New("frame reaches past the end of the file")
		}
		if err == nil && checksum(s.buf[p+frameHeader:end]) != f.sum {
			err = errors.New("payload checksum does not match")
		}
		if err != nil {
			return 0, &flaw{p, err}
		}
		s.frames = append(s.frames, found{f, int(p + frameHeader)})
		at.lsn += uint64(f.count)
		at.clock = f.time
		p = end
		if f.last {
			at.group++
			s.at = at
			return align(end), nil
		}
	}
}

// later looks for a valid frame of this file with a group after the given one,
// anywhere from off on. A candidate is wherever the file's number is.
func (s *scanner) later(off int64, group uint64) (int64, bool) {
	var want [4]byte
	binary.LittleEndian.PutUint32(want[:], s.file)
	const inFrame = 20 // where a header has the file number
	for p := int(off) + inFrame; p < len(s.buf); p++ {
		i := bytes.Index(s.buf[p:], want[:])
		if i < 0 {
			break
		}
		p += i
		if f, err := parseFrame(s.buf[p-inFrame:], s.seed); err == nil && f.file == s.file && f.group > group {
			return int64(p - inFrame), true
		}
	}
	return 0, false
}

// tail decides what a flaw in the last file is: nil for the end of the log,
// else corruption.
func (s *scanner) tail(bad *flaw) error {
	if at, ok := s.later(bad.off, s.at.group); ok {
		return corrupt(s.path, bad.off, "%v, but group %d is later and was written after this one was acknowledged: see offset %d", bad.what, s.at.group+1, at)
	}
	return nil
}

// torn tells whether a flaw at the end of the last file is what is left of a
// group under way when the power went, rather than what the slot held before.
func (s *scanner) torn(bad *flaw) bool {
	_, ok := s.later(bad.off, s.at.group-1)
	return ok || len(s.frames) > 0
}

// journalFile is a slot found on disk.
type journalFile struct {
	path string
	f    vfs.File
	size int64
	head slotHeader
	err  error // of the header
}

// load reads the file's first n bytes.
func (x *journalFile) load(n int64) ([]byte, error) {
	buf := make([]byte, n)
	got, err := x.f.ReadAt(buf, 0)
	if got < len(buf) {
		if err == nil || errors.Is(err, io.EOF) {
			return nil, corrupt(x.path, int64(got), "the file ends %d bytes too early", len(buf)-got)
		}
		return nil, fmt.Errorf("read journal file %s: %w", x.path, err)
	}
	return buf, nil
}

// findFiles opens all slots of a journal folder and reads their headers.
func findFiles(fs vfs.FS, dir string, rw bool) (files []*journalFile, err error) {
	defer func() {
		if err != nil {
			for _, x := range files {
				x.f.Close()
			}
		}
	}()
	names, err := fs.List(dir)
	if err != nil {
		return nil, err
	}
	open := fs.Open
	if rw {
		open = fs.OpenRW
	}
	for _, name := range names {
		if len(name) < 6 || name[:5] != "slot-" {
			continue
		}
		f, err := open(dir + "/" + name)
		if err != nil {
			return files, err
		}
		x := &journalFile{path: dir + "/" + name, f: f}
		files = append(files, x)
		if x.size, err = f.Size(); err != nil {
			return files, fmt.Errorf("read journal slot %s: %w", x.path, err)
		}
		head := make([]byte, block)
		n, err := f.ReadAt(head, 0)
		if n < len(head) && err != nil && !errors.Is(err, io.EOF) {
			return files, fmt.Errorf("read journal slot %s: %w", x.path, err)
		}
		x.head, x.err = parseSlotHeader(head[:n])
	}
	return files, nil
}
