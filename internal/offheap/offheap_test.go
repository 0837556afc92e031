package offheap

import "testing"

func TestMemory(t *testing.T) {
	for _, n := range []int{1, 4096, 4 << 20} {
		m := New(n)
		if len(m.Bytes) != n || m.Bytes[0] != 0 || m.Bytes[n-1] != 0 {
			t.Fatalf("New(%d) has %d bytes, %d and %d at its ends", n, len(m.Bytes), m.Bytes[0], m.Bytes[n-1])
		}
		m.Bytes[0], m.Bytes[n-1] = 1, 2
		m.Free()
		if m.Bytes != nil {
			t.Error("Free left the bytes behind")
		}
	}
}
