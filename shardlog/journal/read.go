package journal

import (
	"context"
	"time"

	"github.com/thalweg/thalweg/flow"
	"github.com/thalweg/thalweg/shardlog"
)

const recordHeader = 6 // bytes in front of each record in a payload

// view is what a reader sees of a shard at one instant.
type view struct {
	first   flow.Pos
	firstAt int64
	horizon int64
	next    flow.Pos
	tail    flow.Pos
	last    int64
	end     flow.Pos
	mem     [8]piece
	pieces  []piece // of mem, or of its own when there are more
}

// reading is what one Read works with; it is used again and again.
type reading struct {
	view view
	run  run
}

// look takes the view. With pin, the epochs of its pieces are pinned into p.
func (j *Journal) look(id shardlog.Shard, v *view, p *shardlog.Page) (*shard, error) {
	select {
	case <-j.closed:
		return nil, shardlog.ErrClosed
	default:
	}
	s := j.table.get(id)
	if s == nil {
		return nil, noShard(id)
	}
	now := j.now()
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.live || s.dropped {
		return nil, noShard(id)
	}
	v.first, v.firstAt, v.horizon = s.first, s.firstAt, s.horizon(now)
	v.next, v.tail, v.last, v.end = s.next(), s.tail, s.last, s.end
	v.pieces = s.pieces(v.mem[:0])
	if p != nil {
		for i := range v.pieces {
			v.pieces[i].epoch.refs.Add(1)
			p.Pins = append(p.Pins, v.pieces[i].epoch)
		}
	}
	return s, nil
}

// orDropped explains an error of reading a segment: the bytes of a dropped
// shard may be given back under a reader.
func (s *shard) orDropped(err error) error {
	if err == nil {
		return nil
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.dropped {
		return noShard(s.id)
	}
	return err
}

// memFrom is the position from which everything of the shard is in the view's
// pieces.
func (v *view) memFrom() flow.Pos {
	if len(v.pieces) == 0 {
		return v.tail
	}
	return v.pieces[0].refs[0].pos
}

// now is the wall clock in Unix ms, as frames are stamped.
func (j *Journal) now() int64 { return time.Now().UnixMilli() }

// Read implements shardlog.Reader.
func (j *Journal) Read(ctx context.Context, id shardlog.Shard, from flow.Pos, lim shardlog.Limit, p *shardlog.Page) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	p.Release()
	rd, _ := j.readings.Get().(*reading)
	if rd == nil {
		rd = new(reading)
	}
	defer func() {
		*rd = reading{}
		j.readings.Put(rd)
	}()
	v := &rd.view
	s, err := j.look(id, v, p)
	if err != nil {
		return err
	}
	from = max(from, v.first)
	rd.run = run{page: p, lim: lim, from: from, horizon: v.horizon}
	p.Next = from
	if from < v.tail && v.last >= v.horizon {
		if err := j.gather(id, v, &rd.run); err != nil {
			p.Release()
			return s.orDropped(err)
		}
		if p.Records == 0 {
			p.Next = v.tail // all of it is hidden
		}
	} else if from < v.tail {
		p.Next = v.tail
	}
	if p.Next < v.tail {
		at := v.last
		if n := len(p.Runs); n > 0 {
			at = p.Runs[n-1].Time
		}
		p.Behind = time.Duration(max(1, v.last-at)) * time.Millisecond
	}
	p.End = v.end != 0 && p.Next >= v.tail
	return nil
}

// gather fills the page from segments, then from memory.
func (j *Journal) gather(id shardlog.Shard, v *view, r *run) error {
	if mem := v.memFrom(); r.from < mem {
		if err := j.store.read(id, r, mem); err != nil || r.full {
			return err
		}
	}
	for i := range v.pieces {
		pc := &v.pieces[i]
		at := max(seekPos(pc.refs, r.from), seekTime(pc.refs, r.horizon))
		for k := at; k < len(pc.refs); k++ {
			x := &pc.refs[k]
			if !r.add(x.pos, x.time, int(x.count), pc.epoch.payload(x)) {
				return nil
			}
		}
	}
	return nil
}

// run fills one page.
type run struct {
	page    *shardlog.Page
	lim     shardlog.Limit
	from    flow.Pos
	horizon int64
	full    bool
}

// add adds what the page still has room for of a frame, and tells whether it
// wants more.
func (r *run) add(pos flow.Pos, at int64, count int, payload []byte) bool {
	if at < r.horizon || pos+flow.Pos(count) <= r.from {
		return true
	}
	p := r.page
	if pos < r.from {
		for range r.from - pos {
			_, _, payload, _ = shardlog.Decode(payload)
		}
		count -= int(r.from - pos)
		pos = r.from
	}
	n, bytes := count, len(payload)-recordHeader*count
	if r.lim.Records > 0 {
		n = min(n, r.lim.Records-p.Records)
	}
	if n < count || r.lim.Bytes > 0 && p.Bytes+bytes > r.lim.Bytes {
		n, bytes = r.fit(payload, n)
		payload = payload[:bytes+recordHeader*n]
	}
	if n > 0 {
		p.Runs = append(p.Runs, shardlog.Run{Pos: pos, Time: at, Count: n, Payload: payload})
		p.Records += n
		p.Bytes += bytes
		r.from = pos + flow.Pos(n)
		p.Next = r.from
	}
	r.full = n < count || r.lim.Records > 0 && p.Records >= r.lim.Records || r.lim.Bytes > 0 && p.Bytes >= r.lim.Bytes
	return !r.full
}

// fit counts how many of the first n records of a payload the page takes. A
// page that is empty takes one of any size.
func (r *run) fit(payload []byte, n int) (records, bytes int) {
	for records < n {
		key, data, rest, ok := shardlog.Decode(payload)
		if !ok {
			break
		}
		size := len(key) + len(data)
		if r.lim.Bytes > 0 && r.page.Bytes+bytes+size > r.lim.Bytes && r.page.Records+records > 0 {
			break
		}
		records++
		bytes += size
		payload = rest
	}
	return records, bytes
}

// Wait implements shardlog.Reader.
func (j *Journal) Wait(ctx context.Context, id shardlog.Shard, from flow.Pos) error {
	s := j.table.get(id)
	if s == nil {
		return noShard(id)
	}
	s.mu.Lock()
	switch {
	case !s.live || s.dropped:
		s.mu.Unlock()
		return noShard(id)
	case s.ready(from):
		s.mu.Unlock()
		return nil
	}
	w, _ := j.waiters.Get().(*waiter)
	if w == nil {
		w = &waiter{woken: make(chan struct{}, 1)}
	}
	w.from = from
	s.enlist(w)
	s.mu.Unlock()
	var err error
	select {
	case <-w.woken:
	case <-ctx.Done():
		err = ctx.Err()
	case <-j.closed:
		err = shardlog.ErrClosed
	}
	s.mu.Lock()
	s.delist(w)
	if s.dropped {
		err = noShard(id)
	}
	s.mu.Unlock()
	select {
	case <-w.woken:
	default:
	}
	j.waiters.Put(w)
	return err
}

// Seek implements shardlog.Reader.
func (j *Journal) Seek(ctx context.Context, id shardlog.Shard, t time.Time) (flow.Pos, error) {
	if err := ctx.Err(); err != nil {
		return 0, err
	}
	var v view
	s, err := j.look(id, &v, nil)
	if err != nil {
		return 0, err
	}
	pos, err := j.seek(id, &v, max(ceilMilli(t), v.horizon))
	return pos, s.orDropped(err)
}

// ceilMilli is the first millisecond that is not before t.
func ceilMilli(t time.Time) int64 {
	ms := t.UnixMilli()
	if time.UnixMilli(ms).Before(t) {
		ms++
	}
	return ms
}

func (j *Journal) seek(id shardlog.Shard, v *view, at int64) (flow.Pos, error) {
	if v.tail == 0 || v.last < at {
		return v.next, nil
	}
	if v.first < v.memFrom() {
		pos, ok, err := j.store.seek(id, v.first, at)
		if err != nil {
			return 0, err
		}
		if ok {
			return max(pos, v.first), nil
		}
	}
	for i := range v.pieces {
		refs := v.pieces[i].refs
		if k := seekTime(refs, at); k < len(refs) {
			return max(refs[k].pos, v.first), nil
		}
	}
	return v.next, nil
}

// Bounds implements shardlog.Reader.
func (j *Journal) Bounds(id shardlog.Shard) (shardlog.Bounds, error) {
	var v view
	s, err := j.look(id, &v, nil)
	if err != nil {
		return shardlog.Bounds{}, err
	}
	first := v.first
	if v.horizon > v.firstAt {
		if first, err = j.seek(id, &v, v.horizon); err != nil {
			return shardlog.Bounds{}, s.orDropped(err)
		}
		s.mu.Lock()
		s.first = max(s.first, first)
		s.firstAt = max(s.firstAt, v.horizon)
		s.mu.Unlock()
	}
	return shardlog.Bounds{First: first, Next: v.next, End: v.end, Last: v.last}, nil
}

// Next implements shardlog.Log.
func (j *Journal) Next() flow.Pos { return flow.Pos(j.next.Load()) }
