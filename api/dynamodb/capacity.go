package dynamodb

import (
	"slices"

	"github.com/thalweg/thalweg/table"
	"github.com/thalweg/thalweg/table/attr"
)

// Consumed capacity, as "Read and write operations" of AWS's developer guide
// reckons it: a write unit for each KB, a read unit for each 4 KB that is read
// consistently and half of one otherwise, both doubled in transactions.

type capacity struct{ CapacityUnits float64 }

type consumedCapacity struct {
	TableName              string
	CapacityUnits          float64
	Table                  *capacity
	LocalSecondaryIndexes  map[string]capacity
	GlobalSecondaryIndexes map[string]capacity
}

func writeUnits(bytes int) float64 { return float64(max(1, (bytes+1023)/1024)) }

func readUnits(bytes int, consistent bool) float64 {
	units := float64(max(1, (bytes+4095)/4096))
	if !consistent {
		units /= 2
	}
	return units
}

// units is what a request consumed of one table.
type units struct {
	table         float64
	local, global map[string]capacity
}

func (u *units) index(x *table.Index, n float64) {
	m := &u.global
	if x.Local {
		m = &u.local
	}
	if *m == nil {
		*m = map[string]capacity{}
	}
	(*m)[x.Name] = capacity{(*m)[x.Name].CapacityUnits + n}
}

// shape is the units as the answer has them; nil when they were not asked for.
func (u *units) shape(asked string, n table.Name) *consumedCapacity {
	if asked == "" || asked == "NONE" {
		return nil
	}
	c := &consumedCapacity{TableName: n.Table, CapacityUnits: u.table}
	for _, m := range []map[string]capacity{u.local, u.global} {
		for _, x := range m {
			c.CapacityUnits += x.CapacityUnits
		}
	}
	if asked == "INDEXES" {
		c.Table, c.LocalSecondaryIndexes, c.GlobalSecondaryIndexes = &capacity{u.table}, u.local, u.global
	}
	return c
}

// write adds what a write consumed, each unit times factor.
func (u *units) write(did *table.Change, factor float64) {
	if did == nil {
		return
	}
	u.table += factor * writeUnits(max(did.Old.Size(), did.New.Size()))
	for i := range did.Def.Indexes {
		x := &did.Def.Indexes[i]
		old, in := x.Shown(did.Def, did.Old), x.Shown(did.Def, did.New)
		n := 0.0
		switch {
		case old == nil && in == nil, attr.Equal(old, in):
			continue
		case old != nil && in != nil && !slices.ContainsFunc(x.Keys.List(), func(k table.Key) bool { return !attr.Equal(old[k.Name], in[k.Name]) }):
			n = writeUnits(max(old.Size(), in.Size()))
		default: // an entry goes, another comes
			for _, m := range []attr.Map{old, in} {
				if m != nil {
					n += writeUnits(m.Size())
				}
			}
		}
		u.index(x, factor*n)
	}
}

// written is what one write consumed.
func written(asked string, n table.Name, did *table.Change, factor float64) *consumedCapacity {
	if asked == "" || asked == "NONE" {
		return nil
	}
	var u units
	u.write(did, factor)
	return u.shape(asked, n)
}

// perTable is what a request consumed of several tables, in their order.
type perTable struct {
	names []table.Name
	units map[table.Name]*units
}

func (p *perTable) of(n table.Name) *units {
	if p.units == nil {
		p.units = map[table.Name]*units{}
	}
	if p.units[n] == nil {
		p.units[n] = new(units)
		p.names = append(p.names, n)
	}
	return p.units[n]
}

func (p *perTable) shape(asked string) []consumedCapacity {
	var list []consumedCapacity
	for _, n := range p.names {
		if c := p.units[n].shape(asked, n); c != nil {
			list = append(list, *c)
		}
	}
	return list
}
