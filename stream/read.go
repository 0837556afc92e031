package stream

import (
	"context"
	"time"

	"github.com/thalweg/thalweg/fault"
	"github.com/thalweg/thalweg/shardlog"
)

// What one Read returns at most.
const (
	maxReadRecords = 10000
	maxReadBytes   = 10 << 20
)

// ReadPage is what one Read found. The zero ReadPage is ready for use and may
// be used for many reads.
type ReadPage struct {
	shardlog.Page             // the records; see Shard.Sequence for their numbers
	Stream        string      // the name of the stream they are of, also when Read fails but knows it
	Shard         ShardInfo   // the shard they are of
	Next          string      // the iterator to read on with; "" exactly when the shard is at its end
	Children      []ShardInfo // what the shard became; not empty exactly when Next is ""
}

// Release lets go of the records' memory and empties the page.
func (p *ReadPage) Release() {
	p.Page.Release()
	p.Stream, p.Shard, p.Next, p.Children = "", ShardInfo{}, "", nil
}

// Read fills p with records from the place that token names on: at most limit
// (0, or more than 10,000: 10,000) and 10 MiB, but at least one if there is
// one. The same token always gives the same place. p must be released by the
// caller, before it is read into again as well. Faults: Invalid (no token, or
// another owner's), Expired, NotFound (the shard or its stream is gone),
// Throttled.
func (s *Streams) Read(ctx context.Context, owner Owner, token string, limit int, p *ReadPage) error {
	now := time.Now()
	sc := s.tokens.pool.Get().(*tokenScratch)
	defer s.tokens.pool.Put(sc)
	it, err := s.tokens.open(token, sc)
	if err != nil {
		return fault.New(fault.Invalid, "Invalid ShardIterator.")
	}
	e := s.named(it.stream)
	if e == nil {
		// Gone, or made by another process: the slow way finds out.
		ref, ok := parseDocName(string(it.stream))
		if !ok || ref.Owner != owner {
			return fault.New(fault.Invalid, "Invalid ShardIterator.")
		}
		if e, err = s.find(ref); err != nil {
			return goneShard(ref, it.shard)
		}
	}
	if e.ref.Owner != owner {
		return fault.New(fault.Invalid, "Invalid ShardIterator.")
	}
	p.Stream = e.ref.Name
	if err := it.fresh(now); err != nil {
		return err
	}
	v, err := s.load(e)
	if err != nil {
		if isGone(err) {
			err = goneShard(e.ref, it.shard)
		}
		return err
	}
	sh, ok := v.shard(it.shard, now)
	if !ok {
		return goneShard(e.ref, it.shard)
	}
	if s.limits(v) && !sh.limits.read(now.UnixNano()) {
		e.traffic.GetsRefused.Add(1)
		return sh.limits.refused
	}
	if limit <= 0 || limit > maxReadRecords {
		limit = maxReadRecords
	}
	if err := s.log.Read(ctx, sh.log, it.pos, shardlog.Limit{Records: limit, Bytes: maxReadBytes}, &p.Page); err != nil {
		return s.readFault(v, sh, err)
	}
	if s.limits(v) {
		sh.limits.spent(p.Bytes)
	}
	e.got(sh, p, now)
	p.Shard, p.Next, p.Children = *sh.ShardInfo, "", nil
	if p.End && sh.Last != nil && p.Records == 0 {
		p.Children = v.children(sh.ShardInfo)
		return nil
	}
	// The last records come with an iterator, and the end after them without
	// any: "the requested iterator does not return any more data", says AWS of
	// GetRecords's null. Telegraf does not look at the records of an end.
	//
	// Sealed in the log, but its children not there yet: for readers the shard
	// is still open, and the next read will tell.
	p.Next = s.tokens.seal(e.key.Name, sh.Index, max(p.Page.Next, it.pos), now.UnixMilli())
	return nil
}

// named returns the entry of a stream by its catalog name, without allocating.
func (s *Streams) named(name []byte) *entry {
	i := 0
	for n := 0; i < len(name); i++ {
		if name[i] == '/' {
			if n++; n == 2 {
				break
			}
		}
	}
	if i == len(name) {
		return nil
	}
	j := 0
	for name[j] != '/' {
		j++
	}
	return (*s.entries.Load())[Ref{Owner{string(name[:j]), string(name[j+1 : i])}, string(name[i+1:])}]
}
