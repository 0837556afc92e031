package function

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	iofs "io/fs"
	"path"
	"sync"
	"time"

	"github.com/thalweg/thalweg/internal/vfs"
)

// Bounds of what functions write.
const (
	logBytes     = 4 << 20   // of one of a function's two files
	maxLine      = 256 << 10 // a longer one is kept in pieces, as CloudWatch Logs' events are
	perCallBytes = 1 << 20   // of one invocation; the rest is counted and dropped
	tailBytes    = 4 << 10   // of X-Amz-Log-Result
)

// stamp begins each line in a file.
const stamp = "2006-01-02T15:04:05.000Z "

// logs keeps what functions write: of each two files, one written until it is
// full and then the other over again. Nothing is synced: what power loss takes
// is log lines.
type logs struct {
	fs  vfs.FS
	dir string

	mu     sync.Mutex
	byName map[Name]*logFile
}

// logFile is one function's log.
type logFile struct {
	fs     vfs.FS
	dir    string
	mu     sync.Mutex
	files  [2]vfs.File
	active int
	at     int64 // where the active one ends
	failed error
}

func newLogs(fs vfs.FS, dir string) *logs {
	return &logs{fs: fs, dir: dir, byName: map[Name]*logFile{}}
}

// of returns a function's log, opened with its first use.
func (l *logs) of(n Name) *logFile {
	l.mu.Lock()
	defer l.mu.Unlock()
	f := l.byName[n]
	if f == nil {
		f = &logFile{fs: l.fs, dir: path.Join(l.dir, n.Account, n.Region, n.Function)}
		l.byName[n] = f
	}
	return f
}

// drop removes a function's log.
func (l *logs) drop(n Name) error {
	f := l.of(n)
	l.mu.Lock()
	delete(l.byName, n)
	l.mu.Unlock()
	f.mu.Lock()
	defer f.mu.Unlock()
	if err := f.open(); err != nil {
		return err
	}
	return errors.Join(f.closeLocked(), l.fs.Remove(path.Join(f.dir, "0")), l.fs.Remove(path.Join(f.dir, "1")), l.fs.Remove(f.dir))
}

// close closes all files.
func (l *logs) close() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	var errs []error
	for _, f := range l.byName {
		f.mu.Lock()
		errs = append(errs, f.closeLocked())
		f.mu.Unlock()
	}
	return errors.Join(errs...)
}

func (f *logFile) closeLocked() error {
	var errs []error
	for i, file := range f.files {
		if file != nil {
			errs = append(errs, file.Close())
			f.files[i] = nil
		}
	}
	f.failed = errors.New("the log is closed")
	return errors.Join(errs...)
}

// open finds out where an earlier run has ended: in the file whose first line
// is the younger one.
func (f *logFile) open() error {
	if f.failed != nil || f.files[0] != nil {
		return f.failed
	}
	if f.failed = f.fs.MkdirAll(f.dir); f.failed != nil {
		return f.failed
	}
	var first [2]string
	var size [2]int64
	for i, name := range []string{"0", "1"} {
		name = path.Join(f.dir, name)
		file, err := f.fs.OpenRW(name)
		if errors.Is(err, iofs.ErrNotExist) {
			file, err = f.fs.Create(name)
		}
		if err == nil {
			f.files[i] = file
			size[i], err = file.Size()
		}
		if err != nil {
			f.failed = fmt.Errorf("open log: %w", err)
			return f.failed
		}
		head := make([]byte, len(stamp))
		if n, _ := file.ReadAt(head, 0); n == len(head) {
			first[i] = string(head)
		}
	}
	if first[1] > first[0] {
		f.active = 1
	}
	f.at = min(size[f.active], logBytes)
	return nil
}

// append adds whole lines, each with its stamp. A log that cannot be written
// is no reason for a function to fail: the error is told once.
func (f *logFile) append(lines []byte) error {
	if len(lines) == 0 {
		return nil
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	was := f.failed
	if err := f.open(); err != nil {
		if was != nil {
			return nil
		}
		return err
	}
	if f.at+int64(len(lines)) > logBytes {
		f.active, f.at = 1-f.active, 0
		if f.failed = f.files[f.active].Truncate(0); f.failed != nil {
			return f.failed
		}
	}
	if _, f.failed = f.files[f.active].WriteAt(lines, f.at); f.failed != nil {
		return fmt.Errorf("write log: %w", f.failed)
	}
	f.at += int64(len(lines))
	return nil
}

// tail returns the last lines, at most max bytes of them.
func (f *logFile) tail(max int64) ([]byte, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if err := f.open(); err != nil {
		return nil, err
	}
	var all []byte
	for _, i := range []int{1 - f.active, f.active} {
		size := f.at
		if i != f.active {
			var err error
			if size, err = f.files[i].Size(); err != nil {
				return nil, err
			}
		}
		b := make([]byte, min(size, 2*logBytes))
		if _, err := f.files[i].ReadAt(b, 0); err != nil && !errors.Is(err, io.EOF) {
			return nil, err
		}
		all = append(all, b...)
	}
	if int64(len(all)) > max {
		all = all[int64(len(all))-max:]
		all = all[bytes.IndexByte(all, '\n')+1:]
	}
	return all, nil
}

// scribe takes what one instance writes apart into lines and keeps them: in
// the function's log, and the end of them for who asks.
type scribe struct {
	mu      sync.Mutex
	to      *logFile
	partial []byte // of a line that has not ended
	pending []byte // lines that are not in the log yet
	tail    []byte // of this invocation, at most twice tailBytes
	written int    // bytes of this invocation
	dropped int64
	onError func(error)
	now     func() time.Time
}

// write takes a piece of the process's output.
func (s *scribe) write(p []byte) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for len(p) > 0 {
		at := bytes.IndexByte(p, '\n')
		piece := p
		if at >= 0 {
			piece = p[:at]
		}
		if room := maxLine - len(s.partial); len(piece) > room {
			s.partial = append(s.partial, piece[:room]...)
			p = p[room:]
			s.line(s.partial)
			s.partial = s.partial[:0]
			continue
		}
		s.partial = append(s.partial, piece...)
		if at < 0 {
			break
		}
		s.line(s.partial)
		s.partial = s.partial[:0]
		p = p[at+1:]
	}
	s.flush()
}

// line keeps one line.
func (s *scribe) line(text []byte) {
	s.tail = append(append(s.tail, text...), '\n')
	if len(s.tail) > 2*tailBytes {
		s.tail = append(s.tail[:0], s.tail[len(s.tail)-tailBytes:]...)
	}
	if s.written += len(text) + 1; s.written > perCallBytes {
		s.dropped += int64(len(text)) + 1
		return
	}
	s.keep(text)
}

func (s *scribe) keep(text []byte) {
	s.pending = append(append(s.now().UTC().AppendFormat(s.pending, stamp), text...), '\n')
	if len(s.pending) > 64<<10 {
		s.flush()
	}
}

func (s *scribe) flush() {
	if err := s.to.append(s.pending); err != nil {
		s.onError(err)
	}
	s.pending = s.pending[:0]
}

// begin is the start of an invocation.
func (s *scribe) begin(text string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.tail, s.written, s.dropped = s.tail[:0], 0, 0
	s.tail = append(append(s.tail, text...), '\n')
	s.keep([]byte(text))
}

// end ends an invocation with lines of ours and returns the end of what it has
// written.
func (s *scribe) end(lines ...string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.partial) > 0 {
		s.line(s.partial)
		s.partial = s.partial[:0]
	}
	if s.dropped > 0 {
		s.keep(fmt.Appendf(nil, "%d bytes of output were dropped: an invocation keeps the first %d", s.dropped, perCallBytes))
	}
	for _, text := range lines {
		s.tail = append(append(s.tail, text...), '\n')
		s.keep([]byte(text))
	}
	s.written, s.dropped = 0, 0
	s.flush()
}

// last is the end of what the invocation has written.
func (s *scribe) last() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return string(s.tail[max(0, len(s.tail)-tailBytes):])
}
