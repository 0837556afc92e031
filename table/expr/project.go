package expr

import (
	"maps"
	"slices"

	"github.com/thalweg/thalweg/table/attr"
)

// Projection is a compiled projection expression: a set of paths, none of which
// lies on another.
type Projection struct{ root *branch }

// Project makes a projection of paths that do not overlap.
func Project(paths []Path) *Projection {
	p := &Projection{&branch{names: map[string]*branch{}}}
	for _, path := range paths {
		p.root.add(path)
	}
	return p
}

// Attributes makes a projection of whole attributes.
func Attributes(names []string) *Projection {
	paths := make([]Path, len(names))
	for i, n := range names {
		paths[i] = Path{{Name: n}}
	}
	return Project(paths)
}

// Names are the attributes that the paths begin with, in order.
func (p *Projection) Names() []string { return slices.Sorted(maps.Keys(p.root.names)) }

// Apply returns what of item lies on the paths. Elements of lists keep their
// order and lose their places: of [a, b, c] the paths [0] and [2] leave [a, c].
func (p *Projection) Apply(item attr.Map) attr.Map {
	v, _ := p.root.of(item).(attr.Map)
	if v == nil {
		return attr.Map{}
	}
	return v
}

// branch is a set of paths as a tree; without children it stands for all below.
type branch struct {
	names   map[string]*branch
	indexes map[int]*branch
}

func (b *branch) add(path Path) {
	for _, s := range path {
		var next *branch
		if s.Name == "" {
			if next = b.indexes[s.Index]; next == nil {
				next = new(branch)
				if b.indexes == nil {
					b.indexes = map[int]*branch{}
				}
				b.indexes[s.Index] = next
			}
		} else if next = b.names[s.Name]; next == nil {
			next = new(branch)
			if b.names == nil {
				b.names = map[string]*branch{}
			}
			b.names[s.Name] = next
		}
		b = next
	}
}

// of is what of v lies on the branch; nil when nothing does.
func (b *branch) of(v attr.Value) attr.Value {
	if b.names == nil && b.indexes == nil {
		return v
	}
	switch v := v.(type) {
	case attr.Map:
		var out attr.Map
		for name, next := range b.names {
			x, ok := v[name]
			if !ok {
				continue
			}
			if x = next.of(x); x != nil {
				if out == nil {
					out = attr.Map{}
				}
				out[name] = x
			}
		}
		if out != nil {
			return out
		}
	case attr.List:
		var out attr.List
		for _, i := range slices.Sorted(maps.Keys(b.indexes)) {
			if i < len(v) {
				if x := b.indexes[i].of(v[i]); x != nil {
					out = append(out, x)
				}
			}
		}
		if out != nil {
			return out
		}
	}
	return nil
}
