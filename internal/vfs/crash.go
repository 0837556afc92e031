package vfs

import (
	"maps"
	"math/rand/v2"
	"slices"
	"sync"
)

// sectorSize is what a disk writes whole or not at all.
const sectorSize = 512

// unsynced is what a crashable file remembers of its durable state: the
// durable content of each sector changed since the last sync (nil: zeros), and
// the durable size. Where a sector was changed twice, only the durable and the
// newest content are known; a test that clones at each operation sees those
// between as well.
type unsynced struct {
	world   *sync.RWMutex // the Mem's
	sectors map[int64][]byte
	clean   map[int64][]byte // likewise, but no sync writes them: see Forsake
	size    int64
}

// before notes the sectors of [off, off+length) that are about to change.
// n.mu is held.
func (u *unsynced) before(n *memNode, off, length int64) {
	if u.sectors == nil {
		u.sectors = map[int64][]byte{}
	}
	for s := off / sectorSize; s*sectorSize < off+length; s++ {
		if _, known := u.sectors[s]; known {
			continue
		}
		if old, forsaken := u.clean[s]; forsaken {
			u.sectors[s] = old
			delete(u.clean, s)
			continue
		}
		var old []byte
		if s*sectorSize < u.size {
			old = make([]byte, sectorSize)
			n.read(old, s*sectorSize)
		}
		u.sectors[s] = old
	}
}

func (u *unsynced) sync(n *memNode) {
	clear(u.sectors)
	u.size = n.size
}

// dirOp is one change to the names of a folder: drop a name, add a name, or
// both at once. A rename between folders is one in each, with the same number.
type dirOp struct {
	number uint64 // in the order of all changes
	drop   string
	add    string
	node   *memNode // that add leads to
	far    *memDir  // the other folder of a rename
}

// note remembers a change to dir until dir is synced. m.mu is held.
func (m *Mem) note(dir *memDir, op dirOp) {
	m.ops++
	if m.crashable {
		op.number = m.ops
		dir.pending = append(dir.pending, op)
	}
}

// commit makes the changes to d up to a number durable, and with a rename the
// other folder's up to there, so that no crash shows half of it.
func (d *memDir) commit(upTo uint64) {
	for len(d.pending) > 0 && d.pending[0].number <= upTo {
		op := d.pending[0]
		d.pending = d.pending[1:]
		if op.far != nil {
			op.far.commit(op.number)
		}
		delete(d.durable, op.drop)
		if op.node != nil {
			d.durable[op.add] = op.node
		}
	}
}

// Survival says how much of what was not synced a power cut leaves.
type Survival uint8

// The survivals. Some draws each unsynced sector, the size of each file and
// the number of changes to each folder (always the oldest ones) from the seed.
const (
	SurviveNone Survival = iota
	SurviveAll
	SurviveSome
)

// Crash describes a power cut.
type Crash struct {
	Survive Survival
	Seed    uint64 // for SurviveSome
}

// NewCrashable returns a file system like NewMem's that remembers what was not
// synced, for CrashClone.
func NewCrashable(size int64) *Mem {
	m := NewMem(size)
	m.crashable = true
	return m
}

// CrashClone returns a new crashable file system with what a power cut at this
// instant would leave of m, all of it durable, without locks. It panics when m
// is not crashable. m itself goes on as if nothing had happened.
func (m *Mem) CrashClone(c Crash) *Mem {
	if !m.crashable {
		panic("vfs: CrashClone of a file system that NewCrashable did not make")
	}
	rnd := rand.New(rand.NewPCG(c.Seed, 0x7468616c776567))
	out := NewCrashable(m.size)
	m.world.Lock()
	defer m.world.Unlock()
	m.mu.Lock()
	defer m.mu.Unlock()
	left := m.surviving(c, rnd)
	nodes := map[*memNode]*memNode{}
	for _, dir := range slices.Sorted(maps.Keys(left)) {
		d := newDir()
		out.dirs[dir] = d
		for _, base := range slices.Sorted(maps.Keys(left[dir].durable)) {
			old := left[dir].durable[base]
			n := nodes[old]
			if n == nil {
				n = old.afterCrash(c, rnd)
				n.crash.world = &out.world
				nodes[old] = n
				out.used.Add(n.allocated)
			}
			n.links++
			d.names[base], d.durable[base] = n, n
		}
	}
	return out
}

// KillClone returns a new crashable file system with what the death of the
// process at this instant would leave of m: everything as it is, what was not
// synced still not synced, without locks. It panics when m is not crashable.
// m itself goes on as if nothing had happened.
func (m *Mem) KillClone() *Mem {
	if !m.crashable {
		panic("vfs: KillClone of a file system that NewCrashable did not make")
	}
	out := NewCrashable(m.size)
	m.world.Lock()
	defer m.world.Unlock()
	m.mu.Lock()
	defer m.mu.Unlock()
	out.ops = m.ops
	nodes := map[*memNode]*memNode{nil: nil}
	same := func(n *memNode) *memNode {
		c, known := nodes[n]
		if !known {
			c = n.afterKill(&out.world)
			nodes[n] = c
		}
		return c
	}
	dirs := map[*memDir]*memDir{nil: nil}
	for name, d := range m.dirs {
		dirs[d] = newDir()
		out.dirs[name] = dirs[d]
	}
	for d, c := range dirs {
		if d == nil {
			continue
		}
		for base, n := range d.names {
			c.names[base] = same(n)
			c.names[base].links++
		}
		for base, n := range d.durable {
			c.durable[base] = same(n)
		}
		for _, op := range d.pending {
			op.node = same(op.node)
			if far := dirs[op.far]; far != nil || op.far == nil {
				op.far = far
			} else {
				op.far = newDir() // removed since
			}
			c.pending = append(c.pending, op)
		}
	}
	for _, n := range nodes {
		if n != nil && n.links > 0 {
			out.used.Add(n.allocated)
		}
	}
	return out
}

// afterKill returns a copy of a file that knows what of it is not durable.
func (n *memNode) afterKill(world *sync.RWMutex) *memNode {
	n.mu.RLock()
	defer n.mu.RUnlock()
	out := &memNode{size: n.size, allocated: n.allocated, chunks: make([][]byte, len(n.chunks))}
	for i, c := range n.chunks {
		out.chunks[i] = slices.Clone(c)
	}
	out.crash = &unsynced{world: world, size: n.crash.size, sectors: maps.Clone(n.crash.sectors), clean: maps.Clone(n.crash.clean)}
	return out
}

// Forsake has the system take everything that was not synced for clean, as
// Linux does after a failed sync: it can be read, but no sync writes it to the
// disk before it is written to again.
func (m *Mem) Forsake() {
	m.world.Lock()
	defer m.world.Unlock()
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, d := range m.dirs {
		for _, n := range d.names {
			if n.crash.clean == nil {
				n.crash.clean = map[int64][]byte{}
			}
			maps.Copy(n.crash.clean, n.crash.sectors)
			clear(n.crash.sectors)
		}
	}
}

// surviving returns copies of the folders with what is left as their durable
// names. m.mu is held.
func (m *Mem) surviving(c Crash, rnd *rand.Rand) map[string]*memDir {
	copies := map[*memDir]*memDir{}
	left := map[string]*memDir{}
	for dir, d := range m.dirs {
		left[dir] = &memDir{durable: maps.Clone(d.durable), pending: slices.Clone(d.pending)}
		copies[d] = left[dir]
	}
	for _, dir := range slices.Sorted(maps.Keys(left)) {
		d := left[dir]
		for i := range d.pending {
			if op := &d.pending[i]; op.far != nil {
				if op.far = copies[op.far]; op.far == nil {
					op.far = newDir() // removed since
				}
			}
		}
	}
	for _, dir := range slices.Sorted(maps.Keys(left)) {
		d := left[dir]
		keep := 0
		switch c.Survive {
		case SurviveAll:
			keep = len(d.pending)
		case SurviveSome:
			keep = rnd.IntN(len(d.pending) + 1)
		}
		if keep > 0 {
			d.commit(d.pending[keep-1].number)
		}
	}
	return left
}

// afterCrash returns what a power cut leaves of a file.
func (n *memNode) afterCrash(c Crash, rnd *rand.Rand) *memNode {
	n.mu.RLock()
	defer n.mu.RUnlock()
	u := n.crash
	out := &memNode{size: n.size, crash: &unsynced{}}
	switch c.Survive {
	case SurviveNone:
		out.size = u.size
	case SurviveSome:
		// The old size, the new one, or one between that ends with a sector.
		switch lo, hi := min(u.size, n.size), max(u.size, n.size); rnd.IntN(3) {
		case 0:
			out.size = u.size
		case 1:
			out.size = min((lo/sectorSize+1+rnd.Int64N((hi-lo)/sectorSize+1))*sectorSize, hi)
		}
	}
	out.chunks = make([][]byte, (out.size+chunkSize-1)/chunkSize)
	for i := range min(len(out.chunks), len(n.chunks)) {
		if n.chunks[i] != nil {
			out.chunks[i] = slices.Clone(n.chunks[i])
			out.allocated += int64(len(n.chunks[i]))
		}
	}
	changed := make(map[int64][]byte, len(u.sectors)+len(u.clean))
	maps.Copy(changed, u.sectors)
	maps.Copy(changed, u.clean)
	for _, s := range slices.Sorted(maps.Keys(changed)) {
		off := s * sectorSize
		lost := c.Survive == SurviveNone || c.Survive == SurviveSome && rnd.IntN(2) == 0
		if off >= n.size && off < u.size {
			lost = true // cut off by a truncation that the size says did not survive
		}
		if lost && off < out.size {
			out.restore(off, changed[s])
		}
	}
	out.clip()
	out.crash.size = out.size
	return out
}

// restore writes a sector's durable content back (nil: zeros).
func (n *memNode) restore(off int64, old []byte) {
	if old == nil {
		old = make([]byte, sectorSize)
	}
	i, at := off/chunkSize, int(off%chunkSize)
	if need := chunkFor(at + sectorSize); need > len(n.chunks[i]) {
		c := make([]byte, need)
		copy(c, n.chunks[i])
		n.allocated += int64(need - len(n.chunks[i]))
		n.chunks[i] = c
	}
	copy(n.chunks[i][at:], old)
}

// clip zeroes what lies past the size, as a file that grows again shows zeros.
func (n *memNode) clip() {
	if at := int(n.size % chunkSize); at > 0 && len(n.chunks) > 0 {
		if c := n.chunks[len(n.chunks)-1]; at < len(c) {
			clear(c[at:])
		}
	}
}
