package stream

import (
	"fmt"
	"math/bits"
	"slices"
	"sort"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/thalweg/thalweg/catalog"
	"github.com/thalweg/thalweg/flow"
	"github.com/thalweg/thalweg/shardlog"
)

// entry is a stream as this process knows it: the place of its current view.
type entry struct {
	ref  Ref
	key  catalog.Key
	view atomic.Pointer[view]

	traffic Traffic

	mu        sync.Mutex
	flight    *flight // the transition being completed, if any
	consumers map[string]*ConsumerTraffic
}

// view is a stream as of one version of its document: what the put and read
// paths work with. It is immutable but for seen, and for the limits that its
// shards point to.
type view struct {
	traffic *Traffic                      // of the stream, whatever the view
	seen    atomic.Pointer[catalog.State] // the last state known to hold this version
	version uint64
	doc     streamDoc
	info    Info
	shards  []shard        // by index, without reserved ones; parallel to info.Shards
	starts  []Hash         // the open shards' first hash keys, ascending,
	routes  []int32        // and their places in shards
	guide   []int32        // of each value of a hash key's upper bits: the last of starts at or before its first key
	shift   uint           // that leaves the upper bits
	metered bool           // loads are counted
	turn    *atomic.Uint32 // of the next record, where records are spread; else nil
	oldest  int64          // Unix nanoseconds when the first closed shard expires; MaxInt64: none is closed
}

// shard is what the data plane needs of a shard beside its ShardInfo. The
// limits outlive the views.
type shard struct {
	*ShardInfo
	limits *limits
	hot
}

// hot is what a put needs of a ShardInfo: when it goes to thousands of shards
// it would wait for the memory of each.
type hot struct {
	created int64 // Sequence.Created
	index   uint32
	number  shardlog.Shard
}

// sequence is ShardInfo.Sequence.
func (h *hot) sequence(pos flow.Pos, unixMilli int64) Sequence {
	return Sequence{Created: h.created, Shard: h.index, Pos: pos, Secs: unixMilli / 1000, Version: sequenceVersion}
}

// route returns the place of the open shard that holds h.
func (v *view) route(h Hash) int32 {
	slot := h.Hi >> v.shift
	lo, hi := v.guide[slot], v.guide[slot+1]+1
	for hi-lo > 1 {
		mid := int32(uint32(lo+hi) / 2)
		if v.starts[mid].Compare(h) <= 0 {
			lo = mid
		} else {
			hi = mid
		}
	}
	return v.routes[lo]
}

// guide makes the table that route begins its search with: one to two slots a
// shard, so that of shards of like size hardly one is left to look at.
func guide(starts []Hash) (table []int32, shift uint) {
	width := max(1, bits.Len(uint(len(starts))))
	shift = 64 - uint(width)
	table = make([]int32, 1<<width+1)
	last := int32(0)
	for slot := range 1 << width {
		for int(last)+1 < len(starts) && starts[last+1].Compare(Hash{Hi: uint64(slot) << shift}) <= 0 {
			last++
		}
		table[slot] = last
	}
	table[1<<width] = int32(max(0, len(starts)-1))
	return table, shift
}

// shard returns the shard with an index, if it is visible and not expired.
func (v *view) shard(index uint32, now time.Time) (*shard, bool) {
	i, ok := slices.BinarySearchFunc(v.shards, index, func(s shard, i uint32) int { return int(s.Index) - int(i) })
	if !ok || v.shards[i].expired(now, v.info.Retention) {
		return nil, false
	}
	return &v.shards[i], true
}

// children returns the shards that were made from one, by index.
func (v *view) children(of *ShardInfo) []ShardInfo {
	var found []ShardInfo
	for i := range v.shards {
		if s := v.shards[i].ShardInfo; s.Index > of.Index && (s.Parent == of.ID || s.AdjacentParent == of.ID) {
			found = append(found, *s)
		}
	}
	return found
}

// visible returns the shards that are not expired, by index.
func (v *view) visible(now time.Time) []ShardInfo {
	if now.UnixNano() < v.oldest {
		return v.info.Shards
	}
	return slices.DeleteFunc(slices.Clone(v.info.Shards), func(s ShardInfo) bool {
		return s.expired(now, v.info.Retention)
	})
}

// load returns the view of e that the catalog's newest state holds, or NotFound.
// While the catalog does not change that is a comparison of two pointers, and
// while the stream does not change it is a look-up.
func (s *Streams) load(e *entry) (*view, error) {
	state := s.catalog.View()
	v := e.view.Load()
	if v != nil && v.seen.Load() == state {
		return v, nil
	}
	d, ok := state.Get(e.key)
	if !ok {
		s.forget(e)
		return nil, noStream(e.ref)
	}
	if v != nil && v.version == d.Version {
		v.seen.Store(state)
		return v, nil
	}
	if v != nil && v.version > d.Version {
		return v, nil // the catalog moved on since state was taken
	}
	next, err := build(e.ref, state, d, v)
	if err != nil {
		return nil, err
	}
	next.traffic = &e.traffic
	// Of two that build at once the newer view stays.
	for {
		old := e.view.Load()
		if old != nil && old.version > next.version {
			return next, nil
		}
		if e.view.CompareAndSwap(old, next) {
			return next, nil
		}
	}
}

// build makes the view of a stream from its documents. What old knows of
// unchanged shards is taken over, and so are the limits of all.
func build(ref Ref, state *catalog.State, d catalog.Doc, old *view) (*view, error) {
	doc, err := decode[streamDoc](d)
	if err != nil {
		return nil, err
	}
	v := &view{version: d.Version, doc: doc, oldest: 1<<63 - 1}
	v.seen.Store(state)
	v.info = Info{
		Ref: ref, ARN: ref.ARN(), ID: doc.ID, Status: doc.Status, Mode: doc.Mode,
		Created: time.UnixMilli(doc.Created).UTC(), Retention: time.Duration(doc.Hours) * time.Hour,
		MaxRecordKiB: doc.MaxKiB, WarmMiBps: doc.WarmMiBps, Auto: doc.Auto, Tags: doc.Tags, Metrics: doc.Metrics, Limits: doc.Limits,
	}
	v.metered = doc.Mode == OnDemand
	if doc.Auto {
		v.turn = newTurn()
	}
	known := make(map[uint32]shard)
	if old != nil && old.doc.ID == doc.ID {
		for _, s := range old.shards {
			known[s.Index] = s
		}
	}
	// A CREATING stream has no shards to show yet; they are all reserved.
	var lims []*limits
	for sd := range state.Range(kindShard, doc.ID+"/") {
		n, err := strconv.ParseUint(sd.Key.Name[strings.IndexByte(sd.Key.Name, '/')+1:], 10, 32)
		if err != nil {
			return nil, fmt.Errorf("catalog document %s: %w", sd.Key, err)
		}
		index := uint32(n)
		k, ok := known[index]
		if ok && k.doc == sd.Version {
			v.info.Shards = append(v.info.Shards, *k.ShardInfo)
			lims = append(lims, k.limits)
			continue
		}
		s, err := decode[shardDoc](sd)
		if err != nil {
			return nil, err
		}
		if s.Reserved {
			continue
		}
		if k.limits == nil {
			k.limits = newLimits(ref, index)
		}
		v.info.Shards = append(v.info.Shards, s.info(index, sd.Version))
		lims = append(lims, k.limits)
	}
	v.shards = make([]shard, len(v.info.Shards))
	for i := range v.shards {
		s := &v.info.Shards[i]
		v.shards[i] = shard{s, lims[i], hot{s.First.Created, s.Index, s.log}}
		if s.Last != nil {
			v.oldest = min(v.oldest, s.Closed.Add(v.info.Retention).UnixNano())
		} else {
			v.routes = append(v.routes, int32(i))
		}
	}
	sort.Slice(v.routes, func(i, j int) bool {
		return v.shards[v.routes[i]].Start.Compare(v.shards[v.routes[j]].Start) < 0
	})
	v.starts = make([]Hash, len(v.routes))
	for i, r := range v.routes {
		v.starts[i] = v.shards[r].Start
	}
	v.guide, v.shift = guide(v.starts)
	v.info.OpenShards = len(v.routes)
	return v, nil
}

// find returns the entry of a stream, known before or found in the catalog.
func (s *Streams) find(ref Ref) (*entry, error) {
	if e := (*s.entries.Load())[ref]; e != nil {
		return e, nil
	}
	if _, ok := s.catalog.View().Get(streamKey(ref)); !ok {
		return nil, noStream(ref)
	}
	return s.remember(ref), nil
}

// remember and forget change the table of entries by copying it: streams come
// and go seldom, and are looked up all the time.
func (s *Streams) remember(refs ...Ref) *entry {
	s.mu.Lock()
	defer s.mu.Unlock()
	old := *s.entries.Load()
	next := make(map[Ref]*entry, len(old)+len(refs))
	for r, e := range old {
		next[r] = e
	}
	var last *entry
	for _, r := range refs {
		if next[r] == nil {
			next[r] = &entry{ref: r, key: streamKey(r)}
		}
		last = next[r]
	}
	s.entries.Store(&next)
	return last
}

func (s *Streams) forget(e *entry) {
	s.mu.Lock()
	defer s.mu.Unlock()
	old := *s.entries.Load()
	if old[e.ref] != e {
		return
	}
	next := make(map[Ref]*entry, len(old))
	for r, o := range old {
		if o != e {
			next[r] = o
		}
	}
	s.entries.Store(&next)
}

// open returns a stream's entry and its current view.
func (s *Streams) open(ref Ref) (*entry, *view, error) {
	e, err := s.find(ref)
	if err != nil {
		return nil, nil, err
	}
	v, err := s.load(e)
	return e, v, err
}
