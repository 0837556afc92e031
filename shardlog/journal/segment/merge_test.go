package segment

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/thalweg/thalweg/flow"
	"github.com/thalweg/thalweg/shardlog"
)

// A merge is the frames of all inputs, sorted by shard, less what is not kept.
func TestMerge(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		fs := newFS()
		var in []*Segment
		var all []Frame
		for i := range rapid.IntRange(1, 5).Draw(t, "inputs") {
			from := flow.Pos(i*10_000_000 + 1)
			frames := drawFrames(t, fmt.Sprint("in ", i), from, from+9_999_999)
			if len(frames) == 0 {
				continue
			}
			name := fmt.Sprintf("%d.seg", i)
			write(t, fs, name, Options{Store: testStore, Compress: rapid.Bool().Draw(t, "compress")}, frames)
			in = append(in, open(t, fs, name))
			all = append(all, frames...)
		}
		slices.SortStableFunc(all, func(a, b Frame) int { return int(int64(a.Shard) - int64(b.Shard)) })
		froms := map[shardlog.Shard]flow.Pos{}
		dropped := map[shardlog.Shard]bool{}
		for _, f := range all {
			if _, ok := froms[f.Shard]; !ok {
				froms[f.Shard] = rapid.OneOf(rapid.Just(flow.Pos(0)), rapid.Just(f.Pos+1),
					rapid.Map(rapid.Uint64Range(0, 50_000_000), func(n uint64) flow.Pos { return flow.Pos(n) })).Draw(t, "keep from")
				dropped[f.Shard] = rapid.IntRange(0, 4).Draw(t, "drop") == 0
			}
		}
		want := slices.DeleteFunc(slices.Clone(all), func(f Frame) bool { return dropped[f.Shard] || f.Last() < froms[f.Shard] })
		o := Options{Class: 2, Store: testStore, Compress: rapid.Bool().Draw(t, "compress")}
		asked := map[shardlog.Shard]bool{}
		m, err := Merge(context.Background(), fs, "m.seg", o, in, func(s shardlog.Shard) (flow.Pos, bool) {
			if asked[s] {
				t.Fatalf("asked twice of shard %d", s)
			}
			asked[s] = true
			return froms[s], !dropped[s]
		})
		if err != nil {
			t.Fatal(err)
		}
		if len(want) == 0 {
			if _, err := fs.Open("m.seg"); err == nil || m.Records != 0 {
				t.Fatalf("a segment of nothing: %+v", m)
			}
			return
		}
		if err := Verify(context.Background(), fs, "m.seg", nil, nil); err != nil {
			t.Fatal(err)
		}
		s := open(t, fs, "m.seg")
		got, err := readAll(s)
		if err != nil {
			t.Fatal(err)
		}
		if d := diff(want, got); d != "" {
			t.Fatal(d)
		}
		wantMeta := metaOfFrames("m.seg", o, want)
		wantMeta.Bytes = m.Bytes
		if d := cmp.Diff(wantMeta, m); d != "" {
			t.Fatal(d)
		}
	})
}

// A merge that cannot be leaves nothing, and its inputs as they were.
func TestMergeErrors(t *testing.T) {
	mem := newFS()
	write(t, mem, "1.seg", Options{Store: testStore}, []Frame{frame(1, 1, 0, 1, noise(1, 200_000)), frame(1, 2, 0, 1, noise(2, 100))})
	write(t, mem, "2.seg", Options{Store: testStore}, []Frame{frame(1, 3, 0, 1, noise(1, 200_000)), frame(2, 4, 0, 1, noise(2, 100))})
	write(t, mem, "other.seg", Options{Store: testStore + 1}, []Frame{frame(1, 5, 0, 1, nil)})
	a, b, other := open(t, mem, "1.seg"), open(t, mem, "2.seg"), open(t, mem, "other.seg")
	closed := open(t, mem, "2.seg")
	if err := closed.Close(); err != nil {
		t.Fatal(err)
	}
	ended, end := context.WithCancel(t.Context())
	end()
	keep := func(shardlog.Shard) (flow.Pos, bool) { return 0, true }
	for _, c := range []struct {
		name string
		ctx  context.Context
		in   []*Segment
		is   error
	}{
		{"out of order", t.Context(), []*Segment{b, a}, nil},
		{"of another log", t.Context(), []*Segment{a, b, other}, nil},
		{"closed", t.Context(), []*Segment{a, closed}, ErrClosed},
		{"cancelled", ended, []*Segment{a, b}, context.Canceled},
	} {
		_, err := Merge(c.ctx, mem, "m.seg", Options{Store: testStore}, c.in, keep)
		if err == nil || c.is != nil && !errors.Is(err, c.is) {
			t.Errorf("%s: %v", c.name, err)
		}
	}
	for _, at := range []int{0, 200_040} { // in a block taken over whole, in one taken apart
		bad := get(t, mem, "2.seg")
		bad[at] ^= 1
		put(t, mem, "2.seg", bad)
		if _, err := Merge(t.Context(), mem, "m.seg", Options{Store: testStore}, []*Segment{a, b}, keep); !errors.Is(err, shardlog.ErrCorrupt) {
			t.Errorf("damage at %d: %v", at, err)
		}
		bad[at] ^= 1
		put(t, mem, "2.seg", bad)
	}
	for _, name := range []string{"m.seg", "m.seg" + TempSuffix} {
		if _, err := mem.Open(name); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, err := Merge(t.Context(), mem, "m.seg", Options{Store: testStore}, []*Segment{a, b}, keep); err != nil {
		t.Error(err)
	}
}
