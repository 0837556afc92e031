package vfs

import (
	"errors"
	"io"
	"os"
	"sync"
	"unsafe"

	"golang.org/x/sys/unix"
)

// maxVec is the most buffers that the kernel takes in one pwritev (UIO_MAXIOV).
const maxVec = 1024

// vector is the list of buffers handed to the kernel, kept between writes so
// that a write allocates nothing.
type vector struct {
	mu  sync.Mutex
	iov []unix.Iovec
}

func (f *osFile) WriteVec(bufs [][]byte, off int64) error {
	f.open.RLock()
	defer f.open.RUnlock()
	f.vec.mu.Lock()
	defer f.vec.mu.Unlock()
	for len(bufs) > 0 {
		n := min(len(bufs), maxVec)
		iov := f.vec.iov[:0]
		for _, b := range bufs[:n] {
			if len(b) == 0 {
				continue
			}
			v := unix.Iovec{Base: unsafe.SliceData(b)}
			v.SetLen(len(b))
			iov = append(iov, v)
		}
		f.vec.iov, bufs = iov, bufs[n:]
		written, err := pwritev(f.Fd(), iov, off)
		clear(iov) // hold on to no buffer of the caller
		if err != nil {
			return f.failed("pwritev", err)
		}
		off += written
	}
	return nil
}

// pwritev writes all of iov at off, in as many calls as the kernel makes it.
// It eats iov. The call is made by hand because unix.Pwritev builds a vector
// of its own each time.
func pwritev(fd uintptr, iov []unix.Iovec, off int64) (written int64, err error) {
	if int(fd) < 0 {
		return 0, os.ErrClosed
	}
	for len(iov) > 0 {
		at := uint64(off + written)
		// Both halves of the offset: a 64-bit kernel ignores the second.
		r, _, errno := unix.Syscall6(unix.SYS_PWRITEV, fd, uintptr(unsafe.Pointer(unsafe.SliceData(iov))), uintptr(len(iov)), uintptr(at), uintptr(at>>32), 0)
		switch {
		case errno == unix.EINTR:
			continue
		case errno != 0:
			return written, errno
		case r == 0:
			return written, io.ErrShortWrite
		}
		written += int64(r)
		iov = advance(iov, int(r))
	}
	return written, nil
}

// advance drops the first n bytes of iov.
func advance(iov []unix.Iovec, n int) []unix.Iovec {
	for len(iov) > 0 && n >= int(iov[0].Len) {
		n -= int(iov[0].Len)
		iov = iov[1:]
	}
	if n > 0 {
		v := &iov[0]
		rest := unsafe.Slice(v.Base, int(v.Len))[n:]
		v.Base = unsafe.SliceData(rest)
		v.SetLen(len(rest))
	}
	return iov
}

func (f *osFile) SyncData() error {
	f.open.RLock()
	defer f.open.RUnlock()
	if int(f.Fd()) < 0 {
		return f.failed("fdatasync", os.ErrClosed)
	}
	for {
		if err := unix.Fdatasync(int(f.Fd())); err != unix.EINTR {
			return f.failed("fdatasync", err)
		}
	}
}

func (f *osFile) Punch(off, n int64) error {
	if n <= 0 {
		return nil
	}
	f.open.RLock()
	defer f.open.RUnlock()
	if int(f.Fd()) < 0 {
		return f.failed("punch", os.ErrClosed)
	}
	for {
		err := unix.Fallocate(int(f.Fd()), unix.FALLOC_FL_PUNCH_HOLE|unix.FALLOC_FL_KEEP_SIZE, off, n)
		switch err {
		case unix.EINTR:
			continue
		case unix.EOPNOTSUPP, unix.ENOSYS:
			return nil
		}
		return f.failed("punch", err)
	}
}

func (osFS) CreateDirect(name string) (File, error) {
	f, err := openFile(name, os.O_RDWR|os.O_CREATE|os.O_TRUNC|unix.O_DIRECT, 0o640)
	if errors.Is(err, unix.EINVAL) { // a file system that has only its cache
		return osFS{}.Create(name)
	}
	return f, err
}
