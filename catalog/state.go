package catalog

import (
	"iter"
	"maps"
	"slices"
	"strings"

	"github.com/tidwall/btree"

	"github.com/thalweg/thalweg/flow"
)

// State is all documents at one instant. It never changes, so any number of
// goroutines may read it without a lock.
type State struct {
	kinds map[string]*tree // no empty trees
}

type tree = btree.Map[string, Doc]

// Get returns a document. It allocates nothing.
func (s *State) Get(k Key) (Doc, bool) {
	t := s.kinds[k.Kind]
	if t == nil {
		return Doc{}, false
	}
	return t.Get(k.Name)
}

// Range returns the documents of a kind whose names start with prefix, in name
// order.
func (s *State) Range(kind, prefix string) iter.Seq[Doc] {
	return s.ascend(kind, prefix, prefix, false)
}

// RangeAfter is Range from the first name that is greater than after, which
// must itself start with prefix.
func (s *State) RangeAfter(kind, prefix, after string) iter.Seq[Doc] {
	return s.ascend(kind, prefix, after, true)
}

func (s *State) ascend(kind, prefix, pivot string, after bool) iter.Seq[Doc] {
	return func(yield func(Doc) bool) {
		t := s.kinds[kind]
		if t == nil {
			return
		}
		t.Ascend(pivot, func(name string, d Doc) bool {
			if after && name == pivot {
				return true
			}
			return strings.HasPrefix(name, prefix) && yield(d)
		})
	}
}

// apply returns the state after cmd, sharing all that it leaves alone with s,
// which stays as it is.
func (s *State) apply(pos flow.Pos, cmd Command) (*State, Verdict) {
	for _, c := range cmd.Changes {
		if c.If == Any {
			continue
		}
		if d, _ := s.Get(c.Key); d.Version != c.If {
			return s, Verdict{Pos: pos, Conflict: c.Key}
		}
	}
	next := &State{kinds: maps.Clone(s.kinds)}
	if next.kinds == nil {
		next.kinds = make(map[string]*tree)
	}
	owned := make(map[string]*tree, 4) // the trees that are next's alone
	for _, c := range cmd.Changes {
		t := owned[c.Key.Kind]
		if t == nil {
			if old := s.kinds[c.Key.Kind]; old != nil {
				t = old.Copy()
			} else {
				t = new(tree)
			}
			owned[c.Key.Kind] = t
		}
		if c.Delete {
			t.Delete(c.Key.Name)
		} else {
			t.Set(c.Key.Name, Doc{Key: c.Key, Version: uint64(pos), Value: c.Value})
		}
	}
	for kind, t := range owned {
		if t.Len() == 0 {
			delete(next.kinds, kind)
		} else {
			next.kinds[kind] = t
		}
	}
	return next, Verdict{OK: true, Pos: pos}
}

// all returns every document, by kind and then by name.
func (s *State) all() iter.Seq[Doc] {
	return func(yield func(Doc) bool) {
		for _, kind := range slices.Sorted(maps.Keys(s.kinds)) {
			for d := range s.Range(kind, "") {
				if !yield(d) {
					return
				}
			}
		}
	}
}

func (s *State) len() int {
	n := 0
	for _, t := range s.kinds {
		n += t.Len()
	}
	return n
}
