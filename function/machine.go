package function

import (
	"errors"
	"maps"

	"github.com/go-json-experiment/json"
)

// machine is Functions as a part of the catalog.
type machine struct{ f *Functions }

// Apply performs one command; it is the log's to call.
func (m machine) Apply(pos uint64, cmd []byte) any {
	c, err := readCommand(cmd)
	if err != nil {
		return err
	}
	m.f.mu.Lock()
	defer m.f.mu.Unlock()
	switch c := c.(type) {
	case *define:
		return m.f.define(pos, c)
	case *accept:
		return m.f.accept(pos, c)
	case *settle:
		return m.f.settleEvent(c)
	}
	return errors.New("function: no such command")
}

// defined is the answer to a define.
type defined struct{ conflict bool }

func (f *Functions) define(pos uint64, c *define) any {
	old := f.byName[c.name]
	if old == nil && c.version != 0 || old != nil && c.version != old.version {
		return defined{conflict: true}
	}
	own := owner{c.name.Account, c.name.Region}
	if c.document == "" {
		f.reserve(own, old, nil)
		f.queue.drop(c.name)
		delete(f.byName, c.name)
		return defined{}
	}
	e := &entry{version: pos, def: new(Function), versions: map[int]*Version{}}
	if err := json.Unmarshal([]byte(c.document), e.def); err != nil {
		return err
	}
	if old != nil {
		maps.Copy(e.versions, old.versions)
	}
	for _, v := range c.versions {
		if v.document == "" {
			delete(e.versions, v.number)
			continue
		}
		made := new(Version)
		if err := json.Unmarshal([]byte(v.document), made); err != nil {
			return err
		}
		e.versions[v.number] = made
	}
	f.reserve(own, old, e)
	f.byName[c.name] = e
	return defined{}
}

// reserve counts how much concurrency an owner's functions have reserved, as
// one of them changes; old and e are nil where there is none.
func (f *Functions) reserve(own owner, old, e *entry) {
	if old != nil && old.def.Reserved != nil {
		f.reserved[own] -= *old.def.Reserved
	}
	if e != nil && e.def.Reserved != nil {
		f.reserved[own] += *e.def.Reserved
	}
}

// acceptance is the answer to an accept.
type acceptance struct{ ok bool }

func (f *Functions) accept(pos uint64, c *accept) any {
	if f.byName[c.name] == nil {
		return notFound(Ref{c.name, c.qualifier})
	}
	if f.queue.full(len(c.payload)) {
		return acceptance{}
	}
	e := c.event
	e.id = pos
	f.queue.add(&e)
	f.nudge()
	return acceptance{true}
}

// settled is the answer to a settle.
type settled struct{}

func (f *Functions) settleEvent(c *settle) any {
	old := f.queue.byID[c.id]
	if old == nil {
		return settled{}
	}
	if !c.again {
		f.queue.settle(c.id, nil)
		return settled{}
	}
	e := *old
	e.attempts, e.troubles, e.due = c.attempts, c.troubles, c.due
	f.queue.settle(c.id, &e)
	f.nudge()
	return settled{}
}

// nudge makes Run look at the queue.
func (f *Functions) nudge() {
	select {
	case f.wake <- struct{}{}:
	default:
	}
}
