package journal

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"

	"github.com/thalweg/thalweg/internal/vfs"
	"github.com/thalweg/thalweg/shardlog"
)

// Reserve waits at the limit in order of arrival, gives up with its context
// without losing room, and what is released lets the next ones in.
func TestReserveWaits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := newArena(1000)
		entry := func(n int) []shardlog.Entry { return []shardlog.Entry{{Size: n - frameHeader}} }
		first := entry(1000)
		if err := a.reserve(context.Background(), first); err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithCancel(context.Background())
		gone := make(chan error, 1)
		go func() { gone <- a.reserve(ctx, entry(60)) }()
		synctest.Wait()
		second := entry(600)
		done := make(chan error, 2)
		go func() { done <- a.reserve(context.Background(), second) }()
		synctest.Wait()
		third := entry(600)
		go func() { done <- a.reserve(context.Background(), third) }()
		synctest.Wait()
		cancel()
		if err := <-gone; !errors.Is(err, context.Canceled) {
			t.Fatal(err)
		}
		synctest.Wait()
		if len(done) != 0 {
			t.Fatal("let in without room")
		}
		a.giveBack(first, true)
		if err := errors.Join(<-done, <-done); err != nil {
			t.Fatal(err)
		}
		a.giveBack(second, true)
		a.giveBack(third, true)
		if a.live != 0 {
			t.Fatalf("%d bytes are still live", a.live)
		}
		a.stop(shardlog.ErrClosed)
		if err := a.reserve(context.Background(), entry(60)); !errors.Is(err, shardlog.ErrClosed) {
			t.Fatal(err)
		}
	})
}

// Once all that was put is sealed or released nothing is live any more: no
// path forgets to give memory back.
func TestMemoryComesBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		j := open(t, Config{FS: vfs.NewMem(0), SegmentBytes: 16 << 10})
		create(t, j, 2)
		if _, err := j.Seal(context.Background(), []shardlog.Shard{2}); err != nil {
			t.Fatal(err)
		}
		for range 100 {
			put(j, 1, "some data")
			put(j, 2, "refused")
			put(j, 3, "refused")
			es := []shardlog.Entry{{Size: 100}, {Size: 5 << 20}}
			if err := j.Reserve(context.Background(), es); err != nil {
				t.Fatal(err)
			}
			j.Release(es)
		}
		synctest.Wait()
		j.arena.mu.Lock()
		live := j.arena.live
		j.arena.mu.Unlock()
		if live != j.commit.epoch.live {
			t.Errorf("%d bytes are live, %d in the epoch", live, j.commit.epoch.live)
		}
		j.Close()
	})
}
