package function

import (
	"slices"
	"time"
)

// poolLimits bound how many instances there are and how many are at work.
type poolLimits struct {
	processes int           // that live, of all functions
	idle      time.Duration // after which one that has nothing to do ends
	age       time.Duration // after which one ends, once it has nothing to do
	line      int           // invocations that wait for a process
}

// slotKey says which instances are alike: those of one version as it was last
// changed.
type slotKey struct {
	name     Name
	number   int
	revision string
}

// slot is one instance as the pool sees it.
type slot struct {
	id      int
	key     slotKey
	busy    bool
	closing bool // busy, but its call is answered: it will ask for work at once
	born    time.Time
	since   time.Time // that it is idle
	retired bool      // it ends when it has nothing to do
}

// want is one invocation that asks for an instance.
type want struct {
	id     int
	key    slotKey
	urgent bool // it waits for room, and no longer for an instance that is closing
}

// grant is what the pool decides for a want. A grant without use lets it wait:
// with soon for one that is closing, of which hurry ends the patience.
type grant struct {
	soon  bool
	want  int
	use   int // the slot of an idle instance, or of one to be started
	start bool
	evict int // an idle instance to end for it; 0: none
}

// pool decides which instance an invocation gets. It starts, waits and locks
// nothing: its owner tells it what happens and does what it says.
type pool struct {
	limits  poolLimits
	slots   map[int]*slot
	idle    map[slotKey][]int // the most recently used last
	running map[Name]int      // busy ones
	busy    int               // of all functions
	closing map[slotKey]int   // of them, those that are closing
	patient map[slotKey]int   // of those who wait, those who are not urgent
	waiting []want
	last    int // id
}

func newPool(l poolLimits) *pool {
	return &pool{limits: l, slots: map[int]*slot{}, idle: map[slotKey][]int{}, running: map[Name]int{}, closing: map[slotKey]int{}, patient: map[slotKey]int{}}
}

// ask finds an instance for a want. ok is false when there is none, and the
// line of those that wait is full as well.
func (p *pool) ask(now time.Time, w want) (g grant, ok bool) {
	w.urgent = p.closing[w.key] <= p.patient[w.key]
	// Those who wait have nothing that it could take from them: see advance.
	if w.urgent || len(p.idle[w.key]) > 0 {
		if g = p.serve(now, w); g.use != 0 {
			return g, true
		}
	}
	if len(p.waiting) >= p.limits.line {
		return grant{}, false
	}
	p.waiting = append(p.waiting, w)
	if !w.urgent {
		p.patient[w.key]++
	}
	return grant{soon: !w.urgent}, true
}

// hurry ends a want's patience: it gets an instance of its own, when there is
// room.
func (p *pool) hurry(now time.Time, id int) []grant {
	i := slices.IndexFunc(p.waiting, func(w want) bool { return w.id == id && !w.urgent })
	if i < 0 {
		return nil
	}
	p.waiting[i].urgent = true
	p.impatient(p.waiting[i].key)
	return p.advance(now)
}

func (p *pool) impatient(k slotKey) {
	if p.patient[k]--; p.patient[k] == 0 {
		delete(p.patient, k)
	}
}

// answered marks a busy instance as closing.
func (p *pool) answered(id int) {
	if s := p.slots[id]; s != nil && s.busy && !s.closing {
		s.closing = true
		p.closing[s.key]++
	}
}

// may tells whether one more instance of a function may be at work. The last
// quarter of the places is for functions that have none at work: however many
// invocations of slow functions there are, others get their turn.
func (p *pool) may(n Name) bool {
	return p.busy < p.limits.processes-p.limits.processes/4 || p.running[n] == 0
}

// serve grants a want an idle instance of its kind, or room for a new one.
func (p *pool) serve(now time.Time, w want) grant {
	if !p.may(w.key.name) {
		return grant{}
	}
	if ids := p.idle[w.key]; len(ids) > 0 {
		id := ids[len(ids)-1]
		p.occupy(p.slots[id])
		return grant{want: w.id, use: id}
	}
	g := grant{want: w.id, start: true}
	if len(p.slots) >= p.limits.processes {
		if g.evict = p.oldestIdle(); g.evict == 0 {
			return grant{}
		}
		p.gone(g.evict)
	}
	p.last++
	s := &slot{id: p.last, key: w.key, born: now}
	p.slots[s.id] = s
	p.occupy(s)
	g.use = s.id
	return g
}

// occupy makes an instance a busy one.
func (p *pool) occupy(s *slot) {
	p.unlist(s)
	s.busy = true
	p.running[s.key.name]++
	p.busy++
}

// unlist takes an idle instance off its list.
func (p *pool) unlist(s *slot) {
	ids := p.idle[s.key]
	if i := slices.Index(ids, s.id); i >= 0 {
		if ids = slices.Delete(ids, i, i+1); len(ids) == 0 {
			delete(p.idle, s.key)
		} else {
			p.idle[s.key] = ids
		}
	}
}

func (p *pool) oldestIdle() (id int) {
	var since time.Time
	for _, s := range p.slots {
		if !s.busy && (id == 0 || s.since.Before(since) || s.since.Equal(since) && s.id < id) {
			id, since = s.id, s.since
		}
	}
	return id
}

// done makes a busy instance an idle one. end says that it is to end instead;
// the grants are for those who have waited.
func (p *pool) done(now time.Time, id int) (end bool, grants []grant) {
	s := p.slots[id]
	if s == nil || !s.busy {
		return false, nil
	}
	if s.retired || now.Sub(s.born) >= p.limits.age {
		return true, p.remove(now, id)
	}
	p.release(s)
	s.since = now
	p.idle[s.key] = append(p.idle[s.key], id)
	return false, p.advance(now)
}

func (p *pool) release(s *slot) {
	if s.closing {
		s.closing = false
		if p.closing[s.key]--; p.closing[s.key] == 0 {
			delete(p.closing, s.key)
		}
	}
	s.busy = false
	p.busy--
	if p.running[s.key.name]--; p.running[s.key.name] == 0 {
		delete(p.running, s.key.name)
	}
}

// gone forgets an instance.
func (p *pool) gone(id int) {
	s := p.slots[id]
	if s == nil {
		return
	}
	if s.busy {
		p.release(s)
	}
	p.unlist(s)
	delete(p.slots, id)
}

// remove forgets an instance that has ended, and serves those who wait.
func (p *pool) remove(now time.Time, id int) []grant {
	p.gone(id)
	return p.advance(now)
}

// advance serves those who wait, in the order in which they came, as far as
// there is something for them.
func (p *pool) advance(now time.Time) (grants []grant) {
	full := false // there is no room for another instance
	for i := 0; i < len(p.waiting); {
		w := p.waiting[i]
		if len(p.idle[w.key]) == 0 && (full || !w.urgent) || !p.may(w.key.name) {
			i++
			continue
		}
		g := p.serve(now, w)
		if g.use == 0 {
			full = true
			i++
			continue
		}
		p.unwait(i)
		grants = append(grants, g)
	}
	return grants
}

// unwait takes a want off the line.
func (p *pool) unwait(i int) {
	if w := p.waiting[i]; !w.urgent {
		p.impatient(w.key)
	}
	p.waiting = slices.Delete(p.waiting, i, i+1)
}

// leave forgets a want that waits. It is false when it was granted already.
func (p *pool) leave(id int) bool {
	i := slices.IndexFunc(p.waiting, func(w want) bool { return w.id == id })
	if i < 0 {
		return false
	}
	p.unwait(i)
	return true
}

// reap forgets the instances that have been idle for too long, and those of
// keys that stale finds out of date, and returns them to be ended.
func (p *pool) reap(now time.Time, stale func(slotKey) bool) (ids []int, grants []grant) {
	for id, s := range p.slots {
		old := stale(s.key)
		switch {
		case s.busy:
			s.retired = s.retired || old
		case old || now.Sub(s.since) >= p.limits.idle || now.Sub(s.born) >= p.limits.age:
			ids = append(ids, id)
		}
	}
	slices.Sort(ids)
	for _, id := range ids {
		p.gone(id)
	}
	return ids, p.advance(now)
}
