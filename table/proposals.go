package table

import (
	"context"
	"sync"
)

// proposals are the writes that this process has proposed and not heard of, by
// the bytes that the log carries for them: what Apply is given it need not read
// again. A command is what its bytes say, so it makes no difference who put it
// here, nor that it is missing, as it is in recovery.
type proposals struct {
	mu     sync.Mutex
	writes map[string]*write
}

func (p *proposals) add(cmd string, c *write) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.writes == nil {
		p.writes = map[string]*write{}
	}
	p.writes[cmd] = c
}

func (p *proposals) remove(cmd string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	delete(p.writes, cmd)
}

// find returns the write that a command is; nil when it is to be read.
func (p *proposals) find(cmd []byte) *write {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.writes[string(cmd)]
}

// perform proposes a write, which nobody may change any more.
func (t *Tables) perform(ctx context.Context, c *write) (written, error) {
	cmd := c.append()
	name := string(cmd)
	t.proposals.add(name, c)
	defer t.proposals.remove(name)
	return ask[written](ctx, t, cmd)
}
