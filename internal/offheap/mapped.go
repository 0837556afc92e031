//go:build (linux || darwin || freebsd) && !race

package offheap

import "golang.org/x/sys/unix"

func mapped(n int) []byte {
	b, err := unix.Mmap(-1, 0, n, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_ANON|unix.MAP_PRIVATE)
	if err != nil {
		return nil
	}
	hint(b)
	return b
}

// unmap cannot fail for what mapped returned.
func unmap(b []byte) { _ = unix.Munmap(b) }
