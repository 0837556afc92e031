package function

import (
	"fmt"
	"testing"
	"time"

	"pgregory.net/rapid"
)

func keyOf(name string) slotKey { return slotKey{name: Name{Function: name}} }

// The pool's decisions, step by step.
func TestPool(t *testing.T) {
	at := func(seconds int) time.Time { return time.Unix(int64(seconds), 0) }
	p := newPool(poolLimits{processes: 2, idle: 300 * time.Second, age: time.Hour, line: 3})
	a, b := keyOf("a"), keyOf("b")
	want := func(what string, g, expected grant, ok ...bool) {
		t.Helper()
		if g != expected || len(ok) > 0 && !ok[0] {
			t.Fatalf("%s: %+v %v, want %+v", what, g, ok, expected)
		}
	}
	ask := func(now, id int, k slotKey) (grant, bool) { return p.ask(at(now), want1(id, k)) }
	g, ok := ask(0, 1, a)
	want("the first starts", g, grant{want: 1, use: 1, start: true}, ok)
	g, ok = ask(0, 2, a)
	want("the second too, as the first is busy", g, grant{want: 2, use: 2, start: true}, ok)
	g, ok = ask(0, 3, a)
	want("the third waits for room", g, grant{}, ok)
	_, grants := p.done(at(1), 1)
	want("and gets the first that is free", grants[0], grant{want: 3, use: 1})
	p.done(at(2), 1)
	p.done(at(3), 2)
	g, ok = ask(4, 4, a)
	want("the one used last is used again", g, grant{want: 4, use: 2}, ok)
	g, ok = ask(4, 5, b)
	want("another function evicts the one that is idle", g, grant{want: 5, use: 3, start: true, evict: 1}, ok)

	// One whose answer is out asks for work soon: its next caller waits for it.
	p.answered(3)
	g, ok = ask(5, 6, b)
	want("the next waits for it", g, grant{soon: true}, ok)
	_, grants = p.done(at(5), 3)
	want("and gets it", grants[0], grant{want: 6, use: 3})
	p.answered(3)
	ask(6, 7, b)
	if grants = p.hurry(at(6), 7); len(grants) != 0 {
		t.Fatalf("there was no room: %+v", grants)
	}
	p.done(at(6), 2)
	if len(p.waiting) != 0 {
		t.Fatalf("waiting: %+v", p.waiting)
	}

	// Idle ones end after five minutes, stale ones at once, busy ones when they are done.
	p = newPool(poolLimits{processes: 9, idle: 300 * time.Second, age: time.Hour, line: 3})
	for id := 1; id <= 3; id++ {
		ask(0, id, a)
	}
	p.done(at(1), 1)
	p.done(at(200), 2)
	none := func(slotKey) bool { return false }
	if ids, _ := p.reap(at(302), none); fmt.Sprint(ids) != "[1]" {
		t.Errorf("reaped %v", ids)
	}
	if ids, _ := p.reap(at(303), func(k slotKey) bool { return k == a }); fmt.Sprint(ids) != "[2]" {
		t.Errorf("reaped %v", ids)
	}
	if end, _ := p.done(at(304), 3); !end || len(p.slots) != 0 {
		t.Errorf("one that is stale goes on: %v", p.slots)
	}
}

// However many invocations of slow functions there are, the last quarter of
// the places is for functions that have none at work.
func TestPoolShare(t *testing.T) {
	now := time.Unix(0, 0)
	p := newPool(poolLimits{processes: 8, idle: time.Hour, age: time.Hour, line: 100})
	id := 0
	at := func(name string) int {
		id++
		g, ok := p.ask(now, want1(id, keyOf(name)))
		if !ok {
			t.Fatal("the line is full")
		}
		return g.use
	}
	for n := range 20 {
		if got := at("slow") != 0; got != (n < 6) {
			t.Fatalf("instance %d: %v", n, got)
		}
	}
	b := at("b")
	if b == 0 || at("b") != 0 || at("c") == 0 || at("d") != 0 {
		t.Fatal("one each is for others, while there is room")
	}
	// Who has none is before those who wait for a second or seventh.
	if _, grants := p.done(now, b); len(grants) != 1 || keys(p, grants) != "b" {
		t.Fatalf("%s", keys(p, grants))
	}
	if _, grants := p.done(now, 1); keys(p, grants) != "d" {
		t.Fatalf("%s", keys(p, grants))
	}
	// Nobody has more for having been at work before.
	for slot := 2; slot <= 6; slot++ {
		p.done(now, slot)
	}
	if p.busy > 7 || p.running[Name{Function: "slow"}] > 6 {
		t.Errorf("%d at work, %v", p.busy, p.running)
	}
}

// keys is which functions grants are for.
func keys(p *pool, grants []grant) (names string) {
	for _, g := range grants {
		names += p.slots[g.use].key.name.Function
	}
	return names
}

func want1(id int, k slotKey) want { return want{id: id, key: k} }

// Whatever happens: never more instances than allowed, each call gets exactly
// one, on an instance of its own kind that nobody else has, and nobody waits
// while there is something for him.
func TestPoolInvariants(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		limits := poolLimits{processes: rapid.IntRange(1, 8).Draw(t, "processes"), idle: 10 * time.Second, age: 100 * time.Second, line: 5}
		p := newPool(limits)
		now := time.Unix(0, 0)
		keys := map[int]slotKey{}  // of wants that wait
		has := map[int]int{}       // slot -> want
		alive := map[int]slotKey{} // instances that there are
		answered := map[int]bool{} // slots that are closing
		next := 0
		perform := func(grants []grant) {
			for _, g := range grants {
				if g.use == 0 {
					continue
				}
				k, waits := keys[g.want]
				if !waits || has[g.use] != 0 {
					t.Fatalf("%+v: %v %v", g, waits, has)
				}
				if g.evict != 0 {
					if has[g.evict] != 0 || g.evict == g.use {
						t.Fatalf("%+v evicts a busy one", g)
					}
					delete(alive, g.evict)
				}
				if g.start {
					alive[g.use] = k
				}
				if alive[g.use] != k {
					t.Fatalf("%+v is of %v, not of %v", g, alive[g.use], k)
				}
				has[g.use] = g.want
				delete(keys, g.want)
			}
		}
		busy := func() (ids []int) {
			for id := 1; id <= p.last; id++ {
				if has[id] != 0 {
					ids = append(ids, id)
				}
			}
			return ids
		}
		for range rapid.IntRange(1, 60).Draw(t, "steps") {
			now = now.Add(time.Duration(rapid.IntRange(0, 5).Draw(t, "pause")) * time.Second)
			switch rapid.IntRange(0, 6).Draw(t, "step") {
			case 0, 1:
				next++
				k := keyOf(rapid.SampledFrom([]string{"a", "b", "c"}).Draw(t, "key"))
				keys[next] = k
				g, ok := p.ask(now, want1(next, k))
				if !ok {
					delete(keys, next)
				}
				perform([]grant{g})
			case 2, 3:
				if ids := busy(); len(ids) > 0 {
					id := rapid.SampledFrom(ids).Draw(t, "done")
					end, grants := p.done(now, id)
					delete(has, id)
					delete(answered, id)
					if end {
						delete(alive, id)
					}
					perform(grants)
				}
			case 4:
				if ids := busy(); len(ids) > 0 {
					id := rapid.SampledFrom(ids).Draw(t, "answered")
					p.answered(id)
					answered[id] = true
				}
			case 5:
				if ids := busy(); len(ids) > 0 { // it dies
					id := rapid.SampledFrom(ids).Draw(t, "gone")
					delete(has, id)
					delete(alive, id)
					delete(answered, id)
					perform(p.remove(now, id))
				}
			case 6:
				stale := rapid.SampledFrom([]string{"a", "b", "-"}).Draw(t, "stale")
				ids, grants := p.reap(now, func(k slotKey) bool { return k == keyOf(stale) })
				for _, id := range ids {
					if has[id] != 0 {
						t.Fatalf("reaped %d, which is busy", id)
					}
					delete(alive, id)
				}
				perform(grants)
			}
			if len(alive) != len(p.slots) || len(alive) > limits.processes || len(p.waiting) != len(keys) {
				t.Fatalf("%d alive, %d slots, %d allowed; %d wait, %d in line", len(alive), len(p.slots), limits.processes, len(keys), len(p.waiting))
			}
			if of := len(busy()); of != p.busy {
				t.Fatalf("%d at work, %d counted", of, p.busy)
			}
			for _, w := range p.waiting {
				if p.may(w.key.name) && (len(p.idle[w.key]) > 0 || w.urgent && (len(p.slots) < limits.processes || p.oldestIdle() != 0)) {
					t.Fatalf("%+v waits for nothing", w)
				}
			}
		}
		// In the end everybody is served.
		for len(keys) > 0 {
			for id := range keys {
				perform(p.hurry(now, id))
			}
			for _, id := range busy() {
				end, grants := p.done(now, id)
				delete(has, id)
				if end {
					delete(alive, id)
				}
				perform(grants)
			}
		}
	})
}
