package segment

import (
	"bytes"
	"maps"
	"slices"
	"testing"

	"pgregory.net/rapid"

	"github.com/thalweg/thalweg/shardlog"
)

func TestSet(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		member := rapid.OneOf(rapid.Uint32Range(0, 40), rapid.Uint32Range(1<<32-10, 1<<32-1), rapid.Uint32())
		model := map[shardlog.Shard]bool{}
		var members []shardlog.Shard
		for _, m := range rapid.SliceOf(member).Draw(t, "members") {
			members = append(members, shardlog.Shard(m))
			if m != 0 {
				model[shardlog.Shard(m)] = true
			}
		}
		s := SetOf(members...)
		if s.Len() != len(model) || !slices.Equal(slices.Collect(s.All()), slices.Sorted(maps.Keys(model))) {
			t.Fatalf("%v of %v", s, members)
		}
		for range 20 {
			if m := shardlog.Shard(member.Draw(t, "probe")); s.Has(m) != model[m] {
				t.Fatalf("%v has %d: %v", s, m, s.Has(m))
			}
		}
		got, rest, err := DecodeSet(append(s.AppendBinary(nil), "rest"...))
		if err != nil || string(rest) != "rest" || !got.Equal(s) {
			t.Fatalf("%v: %v %q %v", s, got, rest, err)
		}
	})
}

// One set has one encoding, and a decoder takes nothing else.
func FuzzSet(f *testing.F) {
	f.Add([]byte{0})
	f.Add(SetOf(1, 2, 3, 900, 1<<32-1).AppendBinary(nil))
	f.Add([]byte{0xff, 0xff, 0xff, 0xff, 0x0f, 1, 1})
	f.Add([]byte{1, 0x81, 0})
	f.Fuzz(func(t *testing.T, b []byte) {
		s, rest, err := DecodeSet(b)
		if err != nil {
			return
		}
		if used := b[:len(b)-len(rest)]; !bytes.Equal(s.AppendBinary(nil), used) {
			t.Fatalf("%x decodes to %v, which encodes to %x", used, s, s.AppendBinary(nil))
		}
		if s.Has(0) {
			t.Fatal("a set with shard 0")
		}
	})
}
