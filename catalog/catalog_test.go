package catalog

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/thalweg/thalweg/flow"
)

// tape is a log that only carries commands, and keeps them.
type tape struct {
	machine *Catalog
	cmds    [][]byte
	err     error
}

func (l *tape) Propose(_ context.Context, cmd []byte) (any, error) {
	if l.err != nil {
		return nil, l.err
	}
	l.cmds = append(l.cmds, bytes.Clone(cmd))
	return l.machine.Apply(flow.Pos(len(l.cmds)), cmd), nil
}

func attached() (*Catalog, *tape) {
	c := New()
	l := &tape{machine: c}
	c.Attach(l)
	return c, l
}

func saved(c *Catalog) []byte {
	var b bytes.Buffer
	if _, err := c.Capture().WriteTo(&b); err != nil {
		panic(err) // a buffer takes everything
	}
	return b.Bytes()
}

func contents(s *State) map[Key]Doc {
	m := make(map[Key]Doc)
	for d := range s.all() {
		m[d.Key] = d
	}
	return m
}

var genKey = rapid.Custom(func(t *rapid.T) Key {
	return Key{
		Kind: rapid.SampledFrom([]string{"a", "ab", "stream"}).Draw(t, "kind"),
		Name: rapid.SampledFrom([]string{"x", "x/1", "x/2", "y", "z/1"}).Draw(t, "name"),
	}
})

// The catalog does what a plain map with versions does, a state once seen
// never changes, and replaying the commands, or a snapshot and the commands
// after it, leads to the same state.
func TestModel(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		c, l := attached()
		model := make(map[Key]Doc)
		var snapshot []byte
		var taken int
		type seen struct {
			state *State
			model map[Key]Doc
		}
		var past []seen
		for range rapid.IntRange(1, 30).Draw(t, "commands") {
			var cmd Command
			for range rapid.IntRange(1, 4).Draw(t, "changes") {
				k := genKey.Draw(t, "key")
				cmd.Changes = append(cmd.Changes, Change{
					Key:    k,
					If:     rapid.SampledFrom([]uint64{Any, Any, Absent, model[k].Version, 1}).Draw(t, "if"),
					Value:  rapid.SliceOfN(rapid.Byte(), 0, 5).Draw(t, "value"),
					Delete: rapid.IntRange(0, 3).Draw(t, "delete") == 0,
				})
			}
			want := Verdict{OK: true, Pos: flow.Pos(len(l.cmds) + 1)}
			for _, ch := range cmd.Changes {
				if ch.If != Any && ch.If != model[ch.Key].Version {
					want = Verdict{Pos: want.Pos, Conflict: ch.Key}
					break
				}
			}
			past = append(past, seen{c.View(), maps.Clone(model)})
			if want.OK {
				for _, ch := range cmd.Changes {
					if delete(model, ch.Key); !ch.Delete {
						model[ch.Key] = Doc{ch.Key, uint64(want.Pos), ch.Value}
					}
				}
			}
			got, err := c.Propose(t.Context(), cmd)
			if err != nil || got != want {
				t.Fatalf("verdict %+v, %v, want %+v", got, err, want)
			}
			if rapid.IntRange(0, 4).Draw(t, "snapshot") == 0 {
				snapshot = saved(c)
				taken = len(l.cmds)
			}
		}
		same := func(what string, s *State, m map[Key]Doc) {
			t.Helper()
			if diff := cmp.Diff(m, contents(s), cmp.Comparer(bytes.Equal)); diff != "" {
				t.Fatalf("%s (-want +got):\n%s", what, diff)
			}
		}
		same("state", c.View(), model)
		for i, p := range past {
			same(fmt.Sprintf("state before command %d, seen from the end", i+1), p.state, p.model)
		}
		replayed := New()
		for i, cmd := range l.cmds {
			replayed.Apply(flow.Pos(i+1), cmd)
		}
		same("replay", replayed.View(), model)
		restored := New()
		if snapshot != nil {
			if err := restored.Restore(snapshot); err != nil {
				t.Fatal(err)
			}
		}
		for i, cmd := range l.cmds[taken:] {
			restored.Apply(flow.Pos(taken+i+1), cmd)
		}
		same("snapshot and tail", restored.View(), model)
		a := saved(c)
		b := saved(restored)
		if !bytes.Equal(a, b) {
			t.Fatal("equal states have different snapshots")
		}

		kind, prefix := rapid.SampledFrom([]string{"a", "ab", "stream", "none"}).Draw(t, "kind"), rapid.SampledFrom([]string{"", "x", "x/", "q"}).Draw(t, "prefix")
		after := prefix + rapid.SampledFrom([]string{"", "1", "/1"}).Draw(t, "after")
		var names, rest []string
		for k := range model {
			if k.Kind == kind && strings.HasPrefix(k.Name, prefix) {
				names = append(names, k.Name)
				if k.Name > after {
					rest = append(rest, k.Name)
				}
			}
		}
		slices.Sort(names)
		slices.Sort(rest)
		var got, gotRest []string
		for d := range c.View().Range(kind, prefix) {
			got = append(got, d.Key.Name)
		}
		for d := range c.View().RangeAfter(kind, prefix, after) {
			gotRest = append(gotRest, d.Key.Name)
		}
		if !slices.Equal(got, names) || !slices.Equal(gotRest, rest) {
			t.Fatalf("Range %v, want %v; RangeAfter %v, want %v", got, names, gotRest, rest)
		}
	})
}

func TestRefusals(t *testing.T) {
	c, l := attached()
	k := Key{"kind", "name"}
	for name, cmd := range map[string]Command{
		"no change":  {},
		"no kind":    {[]Change{{Key: Key{"", "x"}}}},
		"no name":    {[]Change{{Key: Key{"x", ""}}}},
		"long kind":  {[]Change{{Key: Key{strings.Repeat("x", MaxKind+1), "x"}}}},
		"long name":  {[]Change{{Key: Key{"x", strings.Repeat("x", MaxName+1)}}}},
		"long value": {[]Change{{Key: k, Value: make([]byte, MaxValue+1)}}},
		"long":       {[]Change{{Key: k, Value: make([]byte, MaxValue)}, {Key: k, Value: make([]byte, MaxValue)}}},
	} {
		if _, err := c.Propose(t.Context(), cmd); !errors.Is(err, ErrBounds) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if len(l.cmds) != 0 {
		t.Errorf("%d refused commands reached the log", len(l.cmds))
	}
	l.err = errors.New("disk on fire")
	if _, err := c.Propose(t.Context(), Command{[]Change{{Key: k}}}); !errors.Is(err, l.err) {
		t.Errorf("the log's error became %v", err)
	}
	before := c.View()
	if _, ok := c.Apply(9, []byte("nonsense")).(error); !ok || c.View() != before {
		t.Error("a command that does not parse must change nothing and answer an error")
	}
	if _, err := New().Propose(t.Context(), Command{[]Change{{Key: k}}}); err == nil {
		t.Error("Propose without a log must fail")
	}
}

func TestReadsDoNotAllocate(t *testing.T) {
	c, _ := attached()
	k := Key{"kind", "name"}
	if _, err := c.Propose(t.Context(), Command{[]Change{{Key: k, Value: []byte("v")}}}); err != nil {
		t.Fatal(err)
	}
	if n := testing.AllocsPerRun(100, func() { c.View().Get(k) }); n != 0 {
		t.Errorf("Get allocates %v times", n)
	}
}

// The bytes on disk do not change by accident.
func TestGolden(t *testing.T) {
	c, l := attached()
	if _, err := c.Propose(t.Context(), Command{[]Change{
		{Key: Key{"stream", "0/r/orders"}, Value: []byte("{}")},
		{Key: Key{"shard", "id/0"}, If: Any, Delete: true},
	}}); err != nil {
		t.Fatal(err)
	}
	const cmd = "\x01\x02\x01\x06stream\x0a0/r/orders\x00\x02{}\x02\x05shard\x04id/0\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01"
	if string(l.cmds[0]) != cmd {
		t.Errorf("command %q", l.cmds[0])
	}
	snap := saved(c)
	if want := "TWC\x01\x01\x06stream\x0a0/r/orders\x01\x02{}"; string(snap[:len(snap)-4]) != want {
		t.Errorf("snapshot %q", snap)
	}
}

// What decodes encodes to the same bytes: there is one encoding of a command.
func FuzzCommand(f *testing.F) {
	for _, cmd := range []Command{
		{[]Change{{Key: Key{"a", "b"}, If: 300, Value: []byte("value")}}},
		{[]Change{{Key: Key{"a", "b"}, If: Any, Delete: true}, {Key: Key{"c", "d"}}}},
	} {
		b, _ := cmd.append(nil)
		f.Add(b)
		f.Add(b[:len(b)-1])
	}
	f.Add([]byte{1, 0xff, 0xff, 0x07})
	f.Fuzz(func(t *testing.T, b []byte) {
		cmd, err := decodeCommand(b)
		if err != nil {
			return
		}
		again, err := cmd.append(nil)
		if err != nil || !bytes.Equal(b, again) {
			t.Fatalf("%x decodes to %+v, which encodes to %x, %v", b, cmd, again, err)
		}
		a1, a2 := New(), New()
		if a1.Apply(7, b) != a2.Apply(7, again) || !cmp.Equal(contents(a1.View()), contents(a2.View())) {
			t.Fatal("two applications differ")
		}
	})
}

func FuzzSnapshot(f *testing.F) {
	c, _ := attached()
	empty := saved(c)
	f.Add(empty)
	c.Propose(f.Context(), Command{[]Change{{Key: Key{"a", "b"}, Value: []byte("v")}, {Key: Key{"a", "c"}}, {Key: Key{"b", "a"}}}})
	full := saved(c)
	f.Add(full)
	f.Add(full[:len(full)-1])
	f.Fuzz(func(t *testing.T, b []byte) {
		// A fuzzer finds no checksums: it is given one.
		for _, b := range [][]byte{b, seal(slices.Clone(b))} {
			s, err := decodeState(b)
			if err != nil {
				continue
			}
			if again := s.encode(); !bytes.Equal(b, again) {
				t.Fatalf("%x decodes to a state that encodes to %x", b, again)
			}
		}
	})
}

func BenchmarkGet(b *testing.B) {
	c, _ := attached()
	for i := range 1000 {
		c.Propose(b.Context(), Command{[]Change{{Key: Key{"kind", fmt.Sprintf("name/%06d", i)}}}})
	}
	k := Key{"kind", "name/000500"}
	b.ReportAllocs()
	for b.Loop() {
		c.View().Get(k)
	}
}

func BenchmarkApply(b *testing.B) {
	c, _ := attached()
	for i := range 100_000 {
		c.Propose(b.Context(), Command{[]Change{{Key: Key{"kind", fmt.Sprintf("name/%06d", i)}}}})
	}
	cmd, _ := Command{[]Change{{Key: Key{"kind", "name/050000"}, If: Any, Value: make([]byte, 100)}}}.append(nil)
	b.ReportAllocs()
	pos := flow.Pos(1 << 20)
	for b.Loop() {
		pos++
		c.Apply(pos, cmd)
	}
}
