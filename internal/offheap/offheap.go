// Package offheap hands out large memory that the garbage collector does not
// count: what is kept of a log would otherwise let the heap grow to twice its
// size before anything is collected. It maps pages and nothing else: who may
// use the memory when is the caller's affair.
package offheap

import (
	"runtime"

	"github.com/thalweg/thalweg/internal/vfs"
)

// Memory is page-aligned memory of its own. It lives for as long as the Memory
// is reachable or until Free, whichever ends first; slices of Bytes do not
// keep it alive.
type Memory struct {
	Bytes   []byte
	cleanup runtime.Cleanup
}

// New returns n bytes of zeros. Where the system gives none, or the race
// detector watches, which knows of no memory but the heap, they are the
// collector's after all.
func New(n int) *Memory {
	m := &Memory{}
	if b := mapped(n); b != nil {
		m.Bytes = b
		m.cleanup = runtime.AddCleanup(m, unmap, b)
		return m
	}
	m.Bytes = vfs.Aligned(n)[:n]
	return m
}

// Free gives the memory back at once.
func (m *Memory) Free() {
	b := m.Bytes
	m.Bytes = nil
	if m.cleanup != (runtime.Cleanup{}) {
		m.cleanup.Stop()
		unmap(b)
		runtime.KeepAlive(m)
	}
}
