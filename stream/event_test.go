package stream

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"pgregory.net/rapid"
)

// lines is a Form that writes the records' data, each with a newline, and
// counts how often it was asked to.
type lines struct {
	Form
	mu    sync.Mutex
	calls int // for events with records
}

func newLines() *lines {
	l := new(lines)
	l.Form = Form{
		Size: func(ev *Event) int { return ev.Bytes },
		Append: func(dst []byte, ev *Event) ([]byte, error) {
			if ev.Records > 0 {
				l.mu.Lock()
				l.calls++
				l.mu.Unlock()
			}
			for r := range ev.All {
				dst = append(append(dst, r.Data...), '\n')
			}
			return dst, nil
		},
	}
	return l
}

// "Pushed from the log when a record lands": what lands is read and written
// once for all consumers of a form that keep up, whoever else lags behind.
func TestEventsAreShared(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFixture(t, true)
		orders := f.create("orders", 1)
		form, other := newLines(), newLines()
		const consumers, puts = 8, 50
		var mu sync.Mutex
		got := make([]string, consumers+2)
		var want strings.Builder
		var wg sync.WaitGroup
		for i := range consumers + 2 {
			name := fmt.Sprint("c", i)
			f.register(orders, name)
			use := &form.Form
			if i == consumers+1 {
				use = &other.Form
			}
			sub, err := f.Subscribe(t.Context(), orders, name, 0, "shardId-0", horizon, use)
			f.must(err)
			wg.Go(func() {
				defer sub.Close()
				for {
					ev, err := sub.Next()
					if isGone(err) || errors.Is(err, io.EOF) {
						return
					}
					f.must(err)
					if i == consumers {
						<-time.After(7 * time.Second) // a slow one, in nobody's way
					}
					mu.Lock()
					got[i] += string(ev.Message)
					mu.Unlock()
					ev.Release()
				}
			})
		}
		synctest.Wait()
		for i := range puts {
			f.put(orders, "k", fmt.Sprint(i))
			fmt.Fprintln(&want, i)
			synctest.Wait()
			<-time.After(50 * time.Millisecond)
			mu.Lock()
			for k := range got {
				if k != consumers && got[k] != want.String() {
					t.Errorf("after put %d consumer %d has %q", i, k, got[k])
				}
			}
			mu.Unlock()
		}
		<-time.After(time.Minute)
		mu.Lock()
		if got[consumers] != want.String() {
			t.Errorf("the slow one has %q", got[consumers])
		}
		mu.Unlock()
		// The slow one needed events of its own: one for each of its turns.
		if form.calls < puts || form.calls > puts+2 || other.calls != puts {
			t.Errorf("%d puts were written %d and %d times", puts, form.calls, other.calls)
		}
		f.must(f.Delete(t.Context(), orders, true))
		wg.Wait()
		f.nothingHeld()
	})
}

// nothingHeld wants no memory held for events.
func (f *fixture) nothingHeld() {
	f.Helper()
	t := &f.Streams.events
	t.mu.Lock()
	defer t.mu.Unlock()
	for t.oldest != nil {
		t.let(t.oldest)
	}
	if len(t.shared) > 0 || t.newest != nil || t.keeps != 0 || t.held != 0 || len(t.audiences) > 0 {
		f.Errorf("%d shared, %d and %d bytes, %d audiences", len(t.shared), t.keeps, t.held, len(t.audiences))
	}
}

// Whoever shares what with whom, each gets every record once, in order, and
// what is counted as held is what is held.
func TestSharedEventsAnyOrder(t *testing.T) {
	rapid.Check(t, func(r *rapid.T) {
		f := newFixture(t, false)
		orders := f.create("orders", 1)
		form := newLines()
		type reader struct {
			*Subscription
			ev  *Event
			got string
		}
		var readers []*reader
		for i := range rapid.IntRange(1, 5).Draw(r, "readers") {
			name := fmt.Sprint("c", i)
			f.register(orders, name)
			sub, err := f.Subscribe(context.Background(), orders, name, 0, "shardId-0", horizon, &form.Form)
			f.must(err)
			readers = append(readers, &reader{Subscription: sub})
		}
		_, v, err := f.open(orders)
		f.must(err)
		now := time.Now()
		sh, _ := v.shard(0, now)
		var want string
		take := func(rd *reader) {
			if rd.ev != nil {
				rd.ev.Release()
			}
			var err error
			rd.ev, _, err = rd.read(v, sh, now)
			f.must(err)
			if rd.ev != nil {
				rd.got += string(rd.ev.Message)
			}
			if !strings.HasPrefix(want, rd.got) {
				r.Fatalf("got %q of %q", rd.got, want)
			}
		}
		for i := range rapid.IntRange(1, 60).Draw(r, "steps") {
			switch k := rapid.IntRange(-2, len(readers)-1).Draw(r, "who"); k {
			case -2:
				now = now.Add(sharedFor / 2)
			case -1:
				f.put(orders, "k", fmt.Sprint(i))
				want += fmt.Sprintln(i)
			default:
				take(readers[k])
			}
			held := map[*Event]bool{}
			for _, rd := range readers {
				if rd.ev != nil {
					held[rd.ev] = true
				}
			}
			for ev := f.Streams.events.oldest; ev != nil; ev = ev.newer {
				held[ev] = true
			}
			bytes := 0
			for ev := range held {
				bytes += cap(ev.Message)
			}
			if got := f.Streams.events.held; got != bytes {
				r.Fatalf("%d bytes are counted as held, %d are", got, bytes)
			}
		}
		for _, rd := range readers {
			for rd.got != want {
				take(rd)
			}
			if rd.ev != nil {
				rd.ev.Release()
			}
			rd.Close()
		}
		f.nothingHeld()
	})
}

// "Slow readers bounded": however many there are, what is held for them all is
// little more than eventsHeld, since events become smaller.
func TestSlowReadersShareMemory(t *testing.T) {
	f := newFixture(t, false)
	orders := f.create("orders", 1)
	form := newLines()
	for range 40 {
		f.put(orders, "k", strings.Repeat("x", 100<<10))
	}
	f.register(orders, "c")
	events := &f.Streams.events
	for held, want := range map[int]int{0: eventBytes, eventsHeld / 2: eventBytes, eventsHeld - 4<<20: 512 << 10, eventsHeld: eventLeast, 2 * eventsHeld: eventLeast} {
		events.held = held
		if got := events.room(); got != want {
			t.Errorf("room for %d bytes while %d are held", got, held)
		}
	}
	events.held = eventsHeld - 4<<20
	sub, err := f.Subscribe(t.Context(), orders, "c", 0, "shardId-0", horizon, &form.Form)
	f.must(err)
	defer sub.Close()
	var sizes []int
	for range 3 {
		ev, err := sub.Next()
		f.must(err)
		sizes = append(sizes, ev.Records)
		defer ev.Release()
	}
	if !slices.Equal(sizes, []int{5, 4, 3}) {
		t.Errorf("events of %v records", sizes)
	}
}

// A message that may still be read after its subscription has ended is not
// written over by the next one.
func TestLostMessage(t *testing.T) {
	f := newFixture(t, false)
	orders := f.create("orders", 1)
	form := newLines()
	f.register(orders, "c")
	sub, err := f.Subscribe(t.Context(), orders, "c", 0, "shardId-0", horizon, &form.Form)
	f.must(err)
	defer sub.Close()
	var kept [][]byte
	for i := range 100 {
		f.put(orders, "k", fmt.Sprint(i))
		ev, err := sub.Next()
		f.must(err)
		kept = append(kept, ev.Message)
		ev.Lose()
	}
	for i, m := range kept {
		if string(m) != fmt.Sprintln(i) {
			t.Fatalf("message %d reads %q now", i, m)
		}
	}
}
