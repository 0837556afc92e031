//go:build (darwin || freebsd) && !race

package offheap

func hint([]byte) {}
