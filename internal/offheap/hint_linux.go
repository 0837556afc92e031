//go:build !race

package offheap

import "golang.org/x/sys/unix"

// hint asks for large pages: fewer misses, and fewer faults at first use. The
// kernel may decline.
func hint(b []byte) { _ = unix.Madvise(b, unix.MADV_HUGEPAGE) }
