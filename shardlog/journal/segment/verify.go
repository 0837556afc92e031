package segment

import (
	"context"
	"errors"

	"github.com/thalweg/thalweg/internal/vfs"
	"github.com/thalweg/thalweg/shardlog"
)

// maxFound bounds how many errors Verify gathers before it gives up.
const maxFound = 16

// Verify reads a whole segment and checks everything: trailer, footer, the
// checksum and the frames of each block, and the checksum of each payload.
// Blocks of shards for which dead answers true may have been given back, and
// are passed over. All that is wrong comes back joined, up to 16 errors, each
// wrapping shardlog.ErrCorrupt with file and offset. progress, unless nil, is
// told the bytes of the file dealt with so far; dead may be nil too.
func Verify(ctx context.Context, fs vfs.FS, name string, dead func(shardlog.Shard) bool, progress func(bytes int64)) error {
	s, err := Open(fs, name)
	if err != nil {
		return err
	}
	defer s.Close()
	c := &scan{s: s}
	var found []error
	for i := range s.blocks {
		if err := ctx.Err(); err != nil {
			return errors.Join(append(found, err)...)
		}
		b := &s.blocks[i]
		if dead == nil || !dead(b.shard) {
			raw, err := c.block(i)
			if err == nil {
				if bad := checkPayloads(raw, b); bad != nil {
					if b.codec != plain {
						bad.at = 0 // its place is not one in the file
					}
					err = corrupt(name, b.off, bad)
				}
			}
			if err != nil {
				if found = append(found, err); len(found) == maxFound {
					break
				}
			}
		}
		if progress != nil {
			progress(b.off + int64(b.stored))
		}
	}
	if progress != nil && len(found) < maxFound {
		progress(s.meta.Bytes)
	}
	return errors.Join(found...)
}
