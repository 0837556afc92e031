package mapping

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/thalweg/thalweg/catalog"
)

// The pauses of Run.
const (
	lookEvery  = 5 * time.Second // where nothing nudges
	retryAfter = time.Second
)

// Run makes mappings work: each that is to be enabled has a runner, and those
// whose runner is as they are to be leave their passing phase. It returns nil
// when ctx ends; invocations under way are given up then, and made again when
// the mapping goes on from its checkpoint.
func (m *Mappings) Run(ctx context.Context) error {
	var wg sync.WaitGroup
	defer wg.Wait()
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-timer.C:
		case <-m.wake:
		}
		pause := lookEvery
		if err := m.look(ctx, &wg); err != nil && ctx.Err() == nil {
			m.logger.Warn("event source mappings need another try", "err", err)
			pause = retryAfter
		}
		timer.Reset(pause)
	}
}

// look brings runners and phases to what the documents say.
func (m *Mappings) look(ctx context.Context, wg *sync.WaitGroup) error {
	var errs []error
	seen := map[string]bool{}
	for d := range m.catalog.View().Range(kindMapping, "") {
		x, err := decodeMapping(d)
		if err != nil {
			errs = append(errs, err)
			continue
		}
		seen[x.UUID] = true
		errs = append(errs, m.tend(ctx, wg, x))
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	for uuid, r := range m.running {
		if !seen[uuid] {
			r.drain()
		}
	}
	for uuid := range m.counts {
		if !seen[uuid] {
			delete(m.counts, uuid)
		}
	}
	return errors.Join(errs...)
}

// tend does for one mapping what is to be done next.
func (m *Mappings) tend(ctx context.Context, wg *sync.WaitGroup, x *Mapping) error {
	wanted := x.Enabled && x.Phase != Deleting
	m.mu.Lock()
	r := m.running[x.UUID]
	m.mu.Unlock()
	switch {
	case wanted && r == nil:
		r = newRunner(m, x)
		m.mu.Lock()
		m.running[x.UUID] = r
		m.mu.Unlock()
		wg.Go(func() {
			r.run(ctx)
			m.mu.Lock()
			delete(m.running, x.UUID)
			m.mu.Unlock()
			m.nudge()
		})
	case wanted && r.draining():
		return nil // it is started anew once it has stopped
	case wanted:
		r.update(x)
	case r != nil:
		r.drain()
		return nil
	}
	switch {
	case x.Phase == Enabled || x.Phase == Disabled:
		return nil
	case x.Phase == Deleting:
		return m.remove(ctx, x)
	case wanted:
		x.Phase = Enabled
	default:
		x.Phase = Disabled
	}
	_, err := m.catalog.Propose(ctx, catalog.Command{Changes: []catalog.Change{put(mappingKey(x.Owner, x.UUID), x.version, x)}})
	if err != nil {
		return fmt.Errorf("settle mapping %s: %w", x.UUID, err)
	}
	return nil // a conflict is a newer document, which is looked at next
}

// removeAtOnce bounds the changes of one command.
const removeAtOnce = 1000

// remove deletes all documents of a mapping, its own last.
func (m *Mappings) remove(ctx context.Context, x *Mapping) error {
	for {
		var changes []catalog.Change
		for d := range m.catalog.View().Range(kindShard, x.UUID+"/") {
			changes = append(changes, catalog.Change{Key: d.Key, If: catalog.Any, Delete: true})
			if len(changes) == removeAtOnce {
				break
			}
		}
		last := len(changes) < removeAtOnce
		if last {
			changes = append(changes,
				catalog.Change{Key: pairKey(x.Source, x.Function), If: catalog.Any, Delete: true},
				catalog.Change{Key: mappingKey(x.Owner, x.UUID), If: catalog.Any, Delete: true})
		}
		if _, err := m.catalog.Propose(ctx, catalog.Command{Changes: changes}); err != nil {
			return fmt.Errorf("remove mapping %s: %w", x.UUID, err)
		}
		if last {
			return nil
		}
	}
}
