package journal

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/thalweg/thalweg/internal/vfs"
	"github.com/thalweg/thalweg/shardlog"
	"github.com/thalweg/thalweg/shardlog/journal/segment"
)

// Report is what Check found.
type Report struct {
	Files    int
	Bytes    int64
	Problems []error  // each names a file and, where there is one, an offset
	Notes    []string // unusual, but no damage: what a crash leaves behind
}

func (r *Report) problem(err error) { r.Problems = append(r.Problems, err) }

// Check verifies every file of the log in dir: checksums, continuity and that
// all that is needed is there. It changes nothing and takes the log's lock, so
// the log must not be open; as far as it gets, it goes on after damage. Its
// error is about checking itself, ctx's included. progress, unless nil, is told
// the bytes checked so far and all there are.
func Check(ctx context.Context, fs vfs.FS, dir string, progress func(done, total int64)) (*Report, error) {
	lock, err := fs.Lock(dir + "/LOCK")
	if err != nil {
		return nil, fmt.Errorf("check log %s: is another thalweg running on this folder? %w", dir, err)
	}
	defer lock.Close()
	c := &checker{fs: fs, dir: dir, report: &Report{}, tell: progress}
	if c.tell == nil {
		c.tell = func(int64, int64) {}
	}
	st, err := c.checkpoints()
	if err != nil {
		return nil, err
	}
	if st == nil {
		return c.report, nil
	}
	files, err := findFiles(fs, dir+"/journal", false)
	if err != nil {
		return nil, fmt.Errorf("check log %s: %w", dir, err)
	}
	defer closeAll(files)
	for _, m := range st.segments {
		c.total += m.Bytes
	}
	for _, x := range files {
		c.total += x.size
	}
	dead := map[shardlog.Shard]bool{}
	for _, x := range st.shards {
		dead[x.id] = x.dropped
	}
	if err := c.journal(ctx, files, st, dead); err != nil {
		return nil, err
	}
	if err := c.segments(ctx, st, dead); err != nil {
		return nil, err
	}
	return c.report, nil
}

type checker struct {
	fs          vfs.FS
	dir         string
	report      *Report
	tell        func(done, total int64)
	done, total int64
}

func (c *checker) add(n int64) {
	c.done += n
	c.report.Bytes += n
	c.tell(c.done, c.total)
}

// checkpoints checks all and returns the newest that is valid.
func (c *checker) checkpoints() (newest *state, err error) {
	numbers, temps, err := listCheckpoints(c.fs, c.dir)
	if err != nil {
		return nil, fmt.Errorf("check log %s: %w", c.dir, err)
	}
	for _, name := range temps {
		c.report.Notes = append(c.report.Notes, fmt.Sprintf("%s/%s: an unfinished checkpoint", c.dir, name))
	}
	for _, n := range slices.Backward(numbers) {
		st, err := readCheckpoint(c.fs, c.dir+"/"+checkpointName(n))
		c.report.Files++
		if err != nil {
			c.report.problem(err)
		} else if newest == nil {
			newest = st
		}
	}
	if len(numbers) == 0 {
		c.report.problem(corrupt(c.dir, 0, "there is no checkpoint"))
	}
	return newest, nil
}

// journal checks the files that recovery would replay, and their padding.
func (c *checker) journal(ctx context.Context, files []*journalFile, st *state, dead map[shardlog.Shard]bool) error {
	needed, free, err := sortFiles(files, st, logSeed(st.log))
	c.report.Files += len(files)
	if err != nil {
		if !errors.Is(err, shardlog.ErrCorrupt) {
			return err
		}
		c.report.problem(err)
		// Go on with the files that have a header, each by itself.
		for _, x := range files {
			if x.err == nil && x.head.log == st.log && x.head.file >= st.file {
				needed = append(needed, x)
			}
		}
		slices.SortFunc(needed, func(a, b *journalFile) int { return int(int64(a.head.file) - int64(b.head.file)) })
	}
	for _, x := range free {
		if errors.Is(x.err, errHeader) {
			c.report.Notes = append(c.report.Notes, fmt.Sprintf("%s: a header that was not finished; the slot is unused", x.path))
		}
		c.add(x.size)
	}
	at := place{st.group, st.lsn, st.time}
	for i, x := range needed {
		if err := ctx.Err(); err != nil {
			return err
		}
		var next *journalFile
		if i+1 < len(needed) && needed[i+1].head.file == x.head.file+1 {
			next = needed[i+1]
		}
		if at, err = c.file(x, next, at, i+1 == len(needed), dead); err != nil {
			return err
		}
		c.add(x.size)
	}
	return nil
}

func (c *checker) file(x, next *journalFile, at place, last bool, dead map[shardlog.Shard]bool) (place, error) {
	h := x.head
	if h.lsn != at.lsn || h.group != at.group {
		c.report.problem(corrupt(x.path, 32, "the file begins at LSN %d, group %d; the log had come to LSN %d, group %d", h.lsn, h.group, at.lsn, at.group))
		at = place{h.group, h.lsn, h.time}
	}
	end := x.size
	if next != nil {
		end = next.head.prevEnd
	}
	if end < block || end%block != 0 && next != nil {
		c.report.problem(corrupt(next.path, 24, "it says that the file before it ends at offset %d", end))
		end = x.size
	}
	buf, err := x.load(max(end, block))
	if err != nil {
		if errors.Is(err, shardlog.ErrCorrupt) {
			c.report.problem(err)
			return at, nil
		}
		return at, err
	}
	if !allZero(buf[slotHeaderSum+4 : block]) {
		c.report.problem(corrupt(x.path, slotHeaderSum+4, "the header's padding is not zero"))
	}
	s := &scanner{path: x.path, buf: buf, seed: logSeed(h.log), file: h.file, at: at}
	for off := int64(block); off < end || last; {
		to, bad := s.group(off)
		if bad != nil {
			switch {
			case !last:
				c.report.problem(corrupt(x.path, bad.off, "%v", bad.what))
			case s.tail(bad) != nil:
				c.report.problem(s.tail(bad))
			case s.torn(bad):
				c.report.Notes = append(c.report.Notes, fmt.Sprintf("%s at offset %d: the journal ends in a group that was never acknowledged (at %d: %v)", x.path, off, bad.off, bad.what))
			}
			break
		}
		f := s.frames[len(s.frames)-1]
		if pad := int64(f.off + f.length); !allZero(buf[pad:min(to, int64(len(buf)))]) {
			c.report.problem(corrupt(x.path, pad, "the padding after group %d is not zero", f.group))
		}
		for i := range s.frames {
			if f := &s.frames[i]; f.kind == kindDrop {
				for b := f.payload(buf); len(b) >= 4; b = b[4:] {
					dead[shardlog.Shard(uint32(b[0])|uint32(b[1])<<8|uint32(b[2])<<16|uint32(b[3])<<24)] = true
				}
			}
		}
		off = to
	}
	return s.at, nil
}

// segments checks those listed, and names those that are not.
func (c *checker) segments(ctx context.Context, st *state, dead map[shardlog.Shard]bool) error {
	dir := c.dir + "/segments"
	names, err := c.fs.List(dir)
	if err != nil {
		return fmt.Errorf("check log %s: %w", c.dir, err)
	}
	for _, m := range st.segments {
		path := dir + "/" + m.Name
		i, ok := slices.BinarySearch(names, m.Name)
		if !ok {
			c.report.problem(corrupt(path, 0, "the segment is missing"))
			continue
		}
		names = slices.Delete(names, i, i+1)
		c.report.Files++
		before := int64(0)
		err := segment.Verify(ctx, c.fs, path, func(s shardlog.Shard) bool { return dead[s] }, func(n int64) {
			c.add(n - before)
			before = n
		})
		if ctx.Err() != nil {
			return ctx.Err()
		}
		if err != nil {
			c.report.problem(err)
		}
	}
	for _, name := range names {
		if strings.HasSuffix(name, ".seg") || strings.HasSuffix(name, tempSuffix) {
			c.report.Notes = append(c.report.Notes, fmt.Sprintf("%s/%s: not in use; the next start removes it", dir, name))
		}
	}
	return nil
}
