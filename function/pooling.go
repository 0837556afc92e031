package function

import (
	"time"

	"github.com/thalweg/thalweg/fault"
)

// The pool's owner: it tells the pool what happens and does what it decides.

// place has a call run on an instance, now or when there is room.
func (f *Functions) place(c *call) {
	f.pmu.Lock()
	f.lastWant++
	id := f.lastWant
	g, ok := f.pool.ask(time.Now(), want{id: id, key: c.key()})
	switch {
	case !ok:
		f.pmu.Unlock()
		c.fail(throttled("CallerRateLimitExceeded"))
		return
	case g.use == 0 && g.soon:
		c.timer = time.AfterFunc(grace, func() { f.hurry(id) })
	case g.use == 0:
		c.timer = time.AfterFunc(waitForRoom, func() { f.giveUp(id) })
	}
	f.wants[id] = c
	f.grant([]grant{g})
}

const (
	// grace is how long a call waits for an instance that has just answered
	// another, and is about to ask for work, rather than start a process.
	grace = 20 * time.Millisecond
	// waitForRoom is how long a call waits for a process, where all that there
	// may be are at work.
	waitForRoom = time.Minute
)

func (f *Functions) hurry(id int) {
	f.pmu.Lock()
	grants := f.pool.hurry(time.Now(), id)
	if c := f.wants[id]; c != nil {
		c.timer = time.AfterFunc(waitForRoom, func() { f.giveUp(id) })
	}
	f.grant(grants)
}

func (f *Functions) giveUp(id int) {
	f.pmu.Lock()
	c := f.wants[id]
	left := f.pool.leave(id)
	if left {
		delete(f.wants, id)
	}
	f.pmu.Unlock()
	if left {
		c.fail(throttled("CallerRateLimitExceeded"))
	}
}

// throttled is AWS's answer beyond a limit.
func throttled(reason string) error {
	return fault.Coded(fault.Throttled, reason, "Rate Exceeded.")
}

// grant does what the pool has decided. It is called with pmu held and lets go
// of it.
func (f *Functions) grant(grants []grant) {
	type job struct {
		grant
		call *call
		on   *instance
		ends *instance
	}
	jobs := make([]job, 0, len(grants))
	for _, g := range grants {
		if g.use == 0 {
			continue
		}
		j := job{g, f.wants[g.want], f.instances[g.use], f.instances[g.evict]}
		if j.call.timer != nil {
			j.call.timer.Stop()
			j.call.timer = nil
		}
		delete(f.wants, g.want)
		jobs = append(jobs, j)
	}
	f.pmu.Unlock()
	for _, j := range jobs {
		if j.ends != nil {
			f.spawn(j.ends.end)
		}
		switch {
		case j.start:
			f.spawn(func() { f.launch(j.use, j.call) })
		case j.on == nil || !j.on.assign(j.call):
			// It ended by itself while it was idle: its slot goes with it.
			f.place(j.call)
		}
	}
}

// spawn starts or ends an instance beside its caller, and Run waits for that,
// as long as it runs.
func (f *Functions) spawn(do func()) {
	f.pmu.Lock()
	counts := !f.closing
	if counts {
		f.ending.Add(1)
	}
	f.pmu.Unlock()
	go func() {
		do()
		if counts {
			f.ending.Done()
		}
	}()
}

// slotDone makes an instance that has nothing to do one for others.
func (f *Functions) slotDone(i *instance) {
	f.pmu.Lock()
	end, grants := f.pool.done(time.Now(), i.id)
	f.grant(grants)
	if end {
		f.spawn(i.end)
	}
}

// slotAnswered says that an instance is about to be free.
func (f *Functions) slotAnswered(i *instance) {
	f.pmu.Lock()
	defer f.pmu.Unlock()
	f.pool.answered(i.id)
}

// slotGone forgets an instance that has ended.
func (f *Functions) slotGone(id int) {
	f.pmu.Lock()
	delete(f.instances, id)
	f.grant(f.pool.remove(time.Now(), id))
}

// retire ends a function's instances that are out of date, as they become idle.
func (f *Functions) retire(n Name) { f.reap(func(k slotKey) bool { return k.name == n && f.stale(k) }) }

// stale reports whether there is no such version any more.
func (f *Functions) stale(k slotKey) bool {
	e, err := f.get(k.name)
	if err != nil {
		return true
	}
	if k.number == 0 {
		return e.def.Latest.Revision != k.revision
	}
	return e.versions[k.number] == nil
}

func (f *Functions) reap(stale func(slotKey) bool) {
	f.pmu.Lock()
	ids, grants := f.pool.reap(time.Now(), stale)
	var ends []*instance
	for _, id := range ids {
		if i := f.instances[id]; i != nil {
			ends = append(ends, i)
		}
	}
	f.grant(grants)
	for _, i := range ends {
		f.spawn(i.end)
	}
}

// guardAll looks at the memory of all instances that are at work.
func (f *Functions) guardAll(now time.Time) {
	f.pmu.Lock()
	var busy []*instance
	for id, i := range f.instances {
		if s := f.pool.slots[id]; s != nil && s.busy {
			busy = append(busy, i)
		}
	}
	f.pmu.Unlock()
	for _, i := range busy {
		i.guard(now)
	}
}

// endAll kills all instances and waits for their ends.
func (f *Functions) endAll() {
	f.pmu.Lock()
	all := make([]*instance, 0, len(f.instances))
	for _, i := range f.instances {
		all = append(all, i)
	}
	f.pmu.Unlock()
	for _, i := range all {
		i.kill()
	}
	for _, i := range all {
		<-i.exited
	}
}
