package journal

import (
	"context"
	"testing"

	"github.com/thalweg/thalweg/internal/vfs"
	"github.com/thalweg/thalweg/shardlog"
	"github.com/thalweg/thalweg/shardlog/logtest"
)

// tiny makes journal files of a few groups, so that the suite reaches rolling,
// sealing, checkpoints and recycling.
func tiny(fs vfs.FS, dir string, m shardlog.Machine) (shardlog.Log, error) {
	j, err := Open(context.Background(), Config{FS: fs, Dir: dir, Machine: m, SegmentBytes: 64 << 10, MinFree: -1})
	if err != nil {
		return nil, err
	}
	return j, nil
}

func TestContract(t *testing.T) { logtest.Run(t, tiny) }

func TestCrash(t *testing.T) { logtest.Crash(t, tiny) }

func TestKilled(t *testing.T) { logtest.Killed(t, tiny) }

func TestFaults(t *testing.T) { logtest.Faults(t, tiny) }
