package journal

import (
	"encoding/binary"
	"errors"
	"fmt"

	"github.com/thalweg/thalweg/internal/vfs"
	"github.com/thalweg/thalweg/shardlog"
)

const slotMagic = "thwgjrnl"

// slotHeader is the first block of a journal file.
type slotHeader struct {
	file    uint32 // file sequence number
	log     uint64
	prevEnd int64 // where the file before this one ended
	lsn     uint64
	group   uint64
	time    int64
}

const slotHeaderSum = 56 // where the checksum lies

func (h slotHeader) encode() []byte {
	b := make([]byte, block)
	le := binary.LittleEndian
	copy(b, slotMagic)
	le.PutUint32(b[8:], formatVersion)
	le.PutUint32(b[12:], h.file)
	le.PutUint64(b[16:], h.log)
	le.PutUint64(b[24:], uint64(h.prevEnd))
	le.PutUint64(b[32:], h.lsn)
	le.PutUint64(b[40:], h.group)
	le.PutUint64(b[48:], uint64(h.time))
	le.PutUint32(b[slotHeaderSum:], checksum(b[:slotHeaderSum]))
	return b
}

var (
	errNoHeader = errors.New("no header")
	errHeader   = errors.New("header is damaged")
)

// parseSlotHeader answers errNoHeader for a block of zeros, errHeader for what
// is no header, and another error for a version it does not know.
func parseSlotHeader(b []byte) (slotHeader, error) {
	if len(b) < slotHeaderSum+4 {
		return slotHeader{}, errNoHeader
	}
	le := binary.LittleEndian
	if string(b[:8]) != slotMagic || checksum(b[:slotHeaderSum]) != le.Uint32(b[slotHeaderSum:]) {
		if allZero(b) {
			return slotHeader{}, errNoHeader
		}
		return slotHeader{}, errHeader
	}
	if v := le.Uint32(b[8:]); v != formatVersion {
		return slotHeader{}, fmt.Errorf("journal format version %d; this program knows version %d", v, formatVersion)
	}
	h := slotHeader{
		file: le.Uint32(b[12:]), log: le.Uint64(b[16:]), prevEnd: int64(le.Uint64(b[24:])),
		lsn: le.Uint64(b[32:]), group: le.Uint64(b[40:]), time: int64(le.Uint64(b[48:])),
	}
	if h.file == 0 || h.lsn == 0 || h.group == 0 || h.prevEnd < 0 {
		return slotHeader{}, errHeader
	}
	return h, nil
}

func allZero(b []byte) bool {
	for len(b) >= 8 {
		if binary.LittleEndian.Uint64(b) != 0 {
			return false
		}
		b = b[8:]
	}
	for _, x := range b {
		if x != 0 {
			return false
		}
	}
	return true
}

// slot is one pre-written file, in use as a journal file or free.
type slot struct {
	path string
	f    vfs.File
	size int64 // pre-written bytes
	file uint32
}

// zeros is what slots are filled and groups are padded with.
var zeros [256 << 10]byte

// makeSlot pre-writes a new slot, durable with its name.
func makeSlot(fs vfs.FS, dir, path string, size int64) (*slot, error) {
	f, err := fs.Create(path)
	if err != nil {
		return nil, fmt.Errorf("make journal slot %s: %w", path, err)
	}
	err = fill(f, size)
	if err == nil {
		err = fs.SyncDir(dir)
	}
	if err != nil {
		f.Close()
		fs.Remove(path)
		return nil, fmt.Errorf("make journal slot %s: %w", path, err)
	}
	return &slot{path: path, f: f, size: size}, nil
}

func fill(f vfs.File, size int64) error {
	for off := int64(0); off < size; {
		n := min(size-off, int64(len(zeros)))
		if _, err := f.WriteAt(zeros[:n], off); err != nil {
			return err
		}
		off += n
	}
	return f.Sync()
}

// begin makes the slot the journal file that h describes.
func (s *slot) begin(h slotHeader) error {
	if err := s.f.WriteVec([][]byte{h.encode()}, 0); err != nil {
		return fmt.Errorf("begin journal file %s: %w", s.path, err)
	}
	if err := s.f.SyncData(); err != nil {
		return fmt.Errorf("begin journal file %s: %w", s.path, err)
	}
	s.file = h.file
	return nil
}

func corrupt(path string, off int64, format string, args ...any) error {
	return fmt.Errorf("%s at offset %d: %s: %w (nothing was changed; `thalweg fsck` tells more)",
		path, off, fmt.Sprintf(format, args...), shardlog.ErrCorrupt)
}
