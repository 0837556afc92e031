package main

import "testing"

func TestPercent(t *testing.T) {
	for _, c := range []struct {
		alive uint64
		want  int
	}{{0, 800}, {8 << 20, 400}, {32 << 20, 100}, {64 << 20, 50}, {4 << 30, 50}} {
		if got := percent(c.alive); got != c.want {
			t.Errorf("percent(%d) = %d, want %d", c.alive, got, c.want)
		}
	}
}
