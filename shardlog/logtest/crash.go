package logtest

import (
	"errors"
	"fmt"
	"runtime"
	"slices"
	"sync"
	"syscall"
	"testing"

	"github.com/thalweg/thalweg/internal/vfs"
	"github.com/thalweg/thalweg/shardlog"
)

// Crash cuts the power after every change that a session makes to the disk,
// with nothing, everything or random sectors of what was not synced left, and
// opens each remainder: what was acknowledged is there, once, in order and in
// its shard; the rest whole or not at all; sealed shards are sealed, dropped
// ones gone, commands applied in the same order; and the log goes on.
func Crash(t *testing.T, open Open) {
	mem := vfs.NewCrashable(0)
	h := newHistory()
	var mu sync.Mutex
	cuts, failures := 0, 0
	after := func(op vfs.Op, _ error) {
		if !op.Kind.Changes() {
			return
		}
		mu.Lock()
		defer mu.Unlock()
		if failures > 5 {
			return
		}
		was := h.snapshot() // before the cut: what is acknowledged now is durable now
		for _, c := range []vfs.Crash{{}, {Survive: vfs.SurviveAll}, {Survive: vfs.SurviveSome, Seed: uint64(op.N)}, {Survive: vfs.SurviveSome, Seed: uint64(op.N) << 32}} {
			left := mem.CrashClone(c)
			cuts++
			if err := revive(open, left, was, h.snapshot()); err != nil {
				failures++
				t.Errorf("power cut after %v, survival %d, seed %d: %v", op, c.Survive, c.Seed, err)
			}
		}
	}
	log, err := open(vfs.NewFaulty(mem, vfs.Hooks{After: after}), "/", &Ledger{})
	if err != nil {
		t.Fatal(err)
	}
	h.session(log)
	if err := log.Close(); err != nil {
		t.Error(err)
	}
	for _, err := range h.errs {
		if !errors.Is(err, shardlog.ErrSealed) {
			t.Errorf("without a fault: %v", err)
		}
	}
	t.Logf("%d power cuts", cuts)
}

// revive opens what a power cut left, checks it, goes on, closes it, and
// checks once more.
func revive(open Open, left *vfs.Mem, was, tried *history) error {
	for _, round := range []string{"open", "open again"} {
		ledger := &Ledger{}
		log, err := open(left, "/", ledger)
		if err != nil {
			return fmt.Errorf("%s: %w", round, err)
		}
		err = verify(log, ledger, was, tried)
		if err == nil && round == "open" {
			err = goOn(log, was)
		}
		if err = errors.Join(err, log.Close()); err != nil {
			return fmt.Errorf("%s: %w", round, err)
		}
	}
	return nil
}

// Killed ends the process after every change that a session makes to the disk,
// opens what it left, goes on, and then cuts the power: what was opened, and
// perhaps shown to readers, may have been in the system's memory only, and what
// is acknowledged from then on stands on it.
func Killed(t *testing.T, open Open) {
	mem := vfs.NewCrashable(0)
	h := newHistory()
	var mu sync.Mutex
	kills, failures := 0, 0
	after := func(op vfs.Op, _ error) {
		if !op.Kind.Changes() {
			return
		}
		mu.Lock()
		defer mu.Unlock()
		if failures > 5 {
			return
		}
		was := h.snapshot()
		left := mem.KillClone()
		kills++
		if err := reviveTwice(open, left, was, h.snapshot()); err != nil {
			failures++
			t.Errorf("killed after %v: %v", op, err)
		}
	}
	log, err := open(vfs.NewFaulty(mem, vfs.Hooks{After: after}), "/", &Ledger{})
	if err != nil {
		t.Fatal(err)
	}
	h.session(log)
	if err := log.Close(); err != nil {
		t.Error(err)
	}
	t.Logf("%d kills", kills)
}

// reviveTwice opens what a killed process left, goes on, cuts the power and
// opens again.
func reviveTwice(open Open, left *vfs.Mem, was, tried *history) error {
	ledger := &Ledger{}
	log, err := open(left, "/", ledger)
	if err != nil {
		return fmt.Errorf("open: %w", err)
	}
	err = verify(log, ledger, was, tried)
	if err == nil {
		err = goOn(log, was)
	}
	seen := ledger.lines()
	cut := left.CrashClone(vfs.Crash{})
	if err = errors.Join(err, log.Close()); err != nil {
		return fmt.Errorf("open: %w", err)
	}
	ledger = &Ledger{}
	if log, err = open(cut, "/", ledger); err != nil {
		return fmt.Errorf("open after the power cut: %w", err)
	}
	err = verify(log, ledger, was, tried)
	if err == nil && !slices.Equal(ledger.lines(), seen) {
		err = fmt.Errorf("commands %v, before the power cut %v", ledger.lines(), seen)
	}
	if err == nil {
		err = wentOn(log)
	}
	if err = errors.Join(err, log.Close()); err != nil {
		return fmt.Errorf("after the power cut: %w", err)
	}
	return nil
}

// Faults fails each change that a session makes to the disk in turn, once, with
// EIO and ENOSPC, and lets writes through in part. After a failed sync nothing
// is acknowledged; a full disk says so and lets reads go on; and a log opened
// on what is left then, with or without a power cut, holds all that was
// acknowledged.
func Faults(t *testing.T, open Open) {
	clean := vfs.NewFaulty(vfs.NewCrashable(0), vfs.Hooks{})
	log, err := open(clean, "/", &Ledger{})
	if err != nil {
		t.Fatal(err)
	}
	newHistory().session(log)
	if err := log.Close(); err != nil {
		t.Fatal(err)
	}
	failures := 0
	for n := 1; n <= clean.Count() && failures < 6; n++ {
		for _, fault := range []error{syscall.EIO, syscall.ENOSPC, &vfs.ShortWrite{Written: 700, Err: syscall.ENOSPC}, &vfs.ShortWrite{Written: 10, Err: syscall.EIO}} {
			if err := oneFault(open, n, fault); err != nil {
				failures++
				t.Errorf("%v at change %d: %v", fault, n, err)
			}
		}
	}
	t.Logf("%d changes failed", clean.Count())
}

func oneFault(open Open, n int, fault error) error {
	mem := vfs.NewCrashable(0)
	h := newHistory()
	var mu sync.Mutex
	var hit vfs.Op
	fs := vfs.NewFaulty(mem, vfs.Hooks{Before: func(op vfs.Op) error {
		if op.N != n {
			return nil
		}
		mu.Lock()
		defer mu.Unlock()
		hit = op
		return fault
	}})
	var errs []error
	if log, err := open(fs, "/", &Ledger{}); err == nil {
		h.session(log)
		mu.Lock()
		op := hit
		mu.Unlock()
		synced := op.Kind == vfs.OpSync || op.Kind == vfs.OpSyncData
		last := h.append(log, 2, 1<<19, 1, 10)
		// A sync behind the scenes fails on a goroutine of its own. The appends
		// that come before it has said so are on disk, and not for long.
		for i := 1; synced && last == nil && i <= 1000; i++ {
			runtime.Gosched()
			last = h.append(log, 2, 1<<19+i, 1, 10)
		}
		if synced && !errors.Is(last, shardlog.ErrFailed) {
			errs = append(errs, fmt.Errorf("after %v failed, an append answers %v", op, last))
		}
		for _, err := range h.errs {
			if !errors.Is(err, shardlog.ErrSealed) && !errors.Is(err, shardlog.ErrFailed) && !errors.Is(err, shardlog.ErrFull) && !errors.Is(err, shardlog.ErrNoShard) {
				errs = append(errs, fmt.Errorf("after %v failed: %w", op, err))
			}
		}
		if !errors.Is(last, shardlog.ErrFailed) { // reads go on
			for s := range h.made {
				errs = append(errs, verifyShard(log, s, h, h))
			}
		}
		_ = log.Close() // may well complain
	}
	for _, c := range []vfs.Crash{{}, {Survive: vfs.SurviveAll}, {Survive: vfs.SurviveSome, Seed: uint64(n)}} {
		if err := revive(open, mem.CrashClone(c), h, h); err != nil {
			errs = append(errs, fmt.Errorf("%v failed, then survival %d: %w", hit, c.Survive, err))
		}
	}
	if err := reviveTwice(open, mem.KillClone(), h, h); err != nil {
		errs = append(errs, fmt.Errorf("%v failed, then a restart: %w", hit, err))
	}
	if hit.Kind == vfs.OpSync || hit.Kind == vfs.OpSyncData {
		left := mem.KillClone()
		left.Forsake()
		if err := reviveTwice(open, left, h, h); err != nil {
			errs = append(errs, fmt.Errorf("%v failed, and what it should have written is taken for clean, then a restart: %w", hit, err))
		}
	}
	return errors.Join(errs...)
}
