package stream

import (
	"fmt"
	"maps"
	"sync"
	"testing"

	"github.com/thalweg/thalweg/fault"
)

// Changes made at the same time all count.
func TestSettings(t *testing.T) {
	f := newFixture(t, false)
	r := f.create("s", 1)
	shared := f.describe(r)
	var wg sync.WaitGroup
	for i := range 20 {
		wg.Go(func() {
			if err := f.Tag(t.Context(), r, map[string]string{fmt.Sprint("k", i): "v"}, nil); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	f.must(f.Tag(t.Context(), r, map[string]string{"k1": "new"}, []string{"k0", "unknown"}))
	f.must(f.SetMode(t.Context(), r, OnDemand, nil))
	f.must(f.SetMaxRecord(t.Context(), r, 10240))
	info := f.describe(r)
	if len(info.Tags) != 19 || info.Tags["k1"] != "new" || info.Mode != OnDemand || info.MaxRecordKiB != 10240 {
		t.Errorf("%+v", info)
	}
	if len(shared.Tags) != 0 {
		t.Error("what was described before has changed")
	}
	big := PutRecord{Key: "k", Size: 10<<20 - 1}
	f.must(f.Put(t.Context(), r, []PutRecord{big}, func(int, []byte) error { return nil }))

	tags := maps.Clone(info.Tags)
	for name, err := range map[string]error{
		"51 tags":    f.Tag(t.Context(), r, manyTags(50), nil),
		"a mode":     f.SetMode(t.Context(), r, "SOMETIMES", nil),
		"a size":     f.SetMaxRecord(t.Context(), r, 1023),
		"more tags":  f.Create(t.Context(), ref("x"), CreateSpec{Shards: 1, Tags: manyTags(51)}),
		"no shards":  f.Create(t.Context(), ref("x"), CreateSpec{}),
		"large size": f.Create(t.Context(), ref("x"), CreateSpec{Shards: 1, MaxRecordKiB: 10241}),
	} {
		if !fault.Is(err, fault.Invalid) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if !maps.Equal(f.describe(r).Tags, tags) {
		t.Error("a refused change has changed something")
	}
}

func manyTags(n int) map[string]string {
	tags := make(map[string]string)
	for i := range n {
		tags[fmt.Sprint("t", i)] = ""
	}
	return tags
}
