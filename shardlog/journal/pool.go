package journal

import (
	"cmp"
	"fmt"
	"sync"
	"time"

	"github.com/thalweg/thalweg/internal/vfs"
	"github.com/thalweg/thalweg/shardlog"
)

const (
	spareSlots = 2 // kept ready: the next file, and one that only control changes may take
	mostSlots  = 8 // in all, unless recovery found more
	makeAgain  = time.Second
)

// pool keeps slots ready for the committer, so that it never waits for zeros
// to be written unless the disk is behind by several files.
type pool struct {
	fs   vfs.FS
	dir  string
	size int64

	mu     sync.Mutex
	change sync.Cond
	free   []*slot
	names  map[string]bool // of all slots
	most   int
	err    error // why the last slot could not be made; nil after one could
	stuck  error // why none is freed; nil while sealing goes well
	closed bool
	kick   chan struct{}
}

func newPool(fs vfs.FS, dir string, size int64) *pool {
	p := &pool{fs: fs, dir: dir, size: size, names: map[string]bool{}, most: mostSlots, kick: make(chan struct{}, 1)}
	p.change.L = &p.mu
	return p
}

// take returns a free slot and leaves at least reserve behind. It waits while
// one is being made or in use by a file not yet sealed, and answers ErrFull
// when none can be made.
func (p *pool) take(reserve int) (*slot, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for {
		if n := len(p.free); n > reserve {
			s := p.free[n-1]
			p.free = p.free[:n-1]
			p.poke()
			return s, nil
		}
		if p.closed {
			return nil, shardlog.ErrClosed
		}
		if err := cmp.Or(p.err, p.stuck); err != nil {
			return nil, fmt.Errorf("no free journal slot (%v): %w", err, shardlog.ErrFull)
		}
		p.poke()
		p.change.Wait()
	}
}

// block makes those who would wait for a slot to be freed fail, until err is nil.
func (p *pool) block(err error) {
	p.mu.Lock()
	p.stuck = err
	p.change.Broadcast()
	p.mu.Unlock()
}

// poke makes run look whether a slot is wanted.
func (p *pool) poke() {
	select {
	case p.kick <- struct{}{}:
	default:
	}
}

// put frees a slot whose frames are no longer needed.
func (p *pool) put(s *slot) error {
	if s.size > p.size {
		if err := s.f.Truncate(p.size); err != nil {
			return fmt.Errorf("shrink journal slot %s: %w", s.path, err)
		}
		if err := s.f.Sync(); err != nil {
			return fmt.Errorf("shrink journal slot %s: %w", s.path, err)
		}
		s.size = p.size
	}
	p.mu.Lock()
	p.free = append(p.free, s)
	p.change.Broadcast()
	p.mu.Unlock()
	return nil
}

// wanted returns the path of a slot to be made, or "".
func (p *pool) wanted() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed || len(p.free) >= spareSlots || len(p.names) >= p.most {
		return ""
	}
	for i := 0; ; i++ {
		path := fmt.Sprintf("%s/slot-%02d", p.dir, i)
		if !p.names[path] {
			p.names[path] = true
			return path
		}
	}
}

// run makes slots until stop is closed.
func (p *pool) run(stop <-chan struct{}) {
	var again <-chan time.Time
	for {
		for {
			path := p.wanted()
			if path == "" {
				again = nil
				break
			}
			s, err := makeSlot(p.fs, p.dir, path, p.size)
			p.mu.Lock()
			p.err = err
			if err == nil {
				p.free = append(p.free, s)
			} else {
				delete(p.names, path)
			}
			p.change.Broadcast()
			p.mu.Unlock()
			if err != nil {
				again = time.After(makeAgain)
				break
			}
		}
		select {
		case <-p.kick:
			if again != nil { // the disk was full a moment ago: not at every append
				select {
				case <-again:
				case <-stop:
					return
				}
			}
		case <-again:
		case <-stop:
			return
		}
	}
}

func (p *pool) close() {
	p.mu.Lock()
	p.closed = true
	p.change.Broadcast()
	p.mu.Unlock()
}

// closeFiles closes every slot, when nothing uses them any more.
func (p *pool) closeFiles() {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, s := range p.free {
		s.f.Close()
	}
	p.free = nil
}
