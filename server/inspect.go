package server

import (
	"context"
	"fmt"
	"io"
	"path/filepath"
	"slices"

	"github.com/thalweg/thalweg/internal/vfs"
	"github.com/thalweg/thalweg/shardlog/journal"
)

// Dump prints what a file of a data folder holds, for people, up to the first
// thing that does not check, which is its error.
func Dump(file string, w io.Writer) error { return journal.Dump(vfs.OS(), filepath.ToSlash(file), w) }

// Report is what Check found.
type Report struct {
	Files    int      `json:"files"`
	Bytes    int64    `json:"bytes"`
	Problems []string `json:"problems"` // each names a file and, where there is one, an offset
	Notes    []string `json:"notes"`    // unusual, but no damage: what a crash leaves behind
}

// Check verifies every byte of a data folder, or of its log folder, that no
// server has open, and changes nothing. It tells progress the bytes done and
// the bytes there are. Its error means that it could not check.
func Check(ctx context.Context, dir string, progress func(done, total int64)) (*Report, error) {
	fs := vfs.OS()
	log := logDir(filepath.ToSlash(dir))
	if !isLog(fs, log) {
		if log = filepath.ToSlash(dir); !isLog(fs, log) {
			return nil, fmt.Errorf("%s is no data folder: it holds no log", dir)
		}
	}
	found, err := journal.Check(ctx, fs, log, progress)
	if err != nil {
		return nil, err
	}
	r := &Report{Files: found.Files, Bytes: found.Bytes, Problems: []string{}, Notes: append([]string{}, found.Notes...)}
	for _, p := range found.Problems {
		r.Problems = append(r.Problems, p.Error())
	}
	return r, nil
}

func isLog(fs vfs.FS, dir string) bool {
	names, err := fs.List(dir)
	return err == nil && slices.Contains(names, "journal")
}
