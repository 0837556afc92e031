package mapping

import (
	"context"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// Those who wait get their turn in their order, also around one that gives up.
func TestRoom(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := &room{size: 10}
		all, err := r.take(t.Context(), 99) // more than there is: all of it
		if err != nil {
			t.Fatal(err)
		}
		var mu sync.Mutex
		var order []int
		leaving, leave := context.WithCancel(t.Context())
		for i, n := range []int{6, 9, 4, 1} {
			go func() {
				ctx := t.Context()
				if i == 1 {
					ctx = leaving
				}
				give, err := r.take(ctx, n)
				if (err != nil) != (i == 1) {
					t.Errorf("%d: %v", i, err)
				}
				if err == nil {
					mu.Lock()
					order = append(order, i)
					mu.Unlock()
					time.Sleep(time.Second)
					give()
				}
			}()
			synctest.Wait()
		}
		leave()
		synctest.Wait()
		all()
		time.Sleep(time.Minute)
		synctest.Wait()
		if len(order) != 3 || r.taken != 0 || len(r.line) != 0 || order[2] != 3 {
			t.Errorf("order %v, %d bytes taken, %d wait", order, r.taken, len(r.line))
		}
	})
}
