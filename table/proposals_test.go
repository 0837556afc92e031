package table

import (
	"bytes"
	"context"
	"fmt"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/thalweg/thalweg/catalog"
	"github.com/thalweg/thalweg/flow"
	"github.com/thalweg/thalweg/table/attr"
	"github.com/thalweg/thalweg/table/expr"
)

// tape is a log that applies commands as they come, and keeps them with what
// was answered.
type tape struct {
	machine *catalog.Catalog
	cmds    [][]byte
	answers []any
	silent  bool // keep nothing
}

func (l *tape) Propose(_ context.Context, cmd []byte) (any, error) {
	a := l.machine.Apply(flow.Pos(len(l.cmds)+1), cmd)
	if !l.silent {
		l.cmds, l.answers = append(l.cmds, bytes.Clone(cmd)), append(l.answers, a)
	}
	return a, nil
}

func onTape() (*Tables, *tape) {
	c := catalog.New()
	tables := New(Config{Catalog: c})
	l := &tape{machine: c}
	c.Attach(l)
	return tables, l
}

// scalars are values that the expressions below make something of.
func scalars() *rapid.Generator[attr.Value] {
	return rapid.Custom(func(t *rapid.T) attr.Value {
		switch rapid.IntRange(0, 4).Draw(t, "type") {
		case 0:
			return attr.String(rapid.SampledFrom([]string{"", "a", "ab", "b"}).Draw(t, "s"))
		case 1:
			return attr.Binary(rapid.SampledFrom([]string{"a", "ab"}).Draw(t, "b"))
		case 2:
			return attr.List{attr.Whole(1), attr.String("x")}
		case 3:
			return attr.StringSet{"a", "b"}
		}
		return attr.Whole(rapid.Int64Range(-3, 3).Draw(t, "n"))
	})
}

// drawPrograms draws a condition and an update, either of which may be nil.
func drawPrograms(t *rapid.T) (c *expr.Condition, u *expr.Update) {
	s, err := expr.NewScope(nil, map[string]attr.Value{":v": scalars().Draw(t, "v"), ":w": scalars().Draw(t, "w")})
	if err != nil {
		t.Fatal(err)
	}
	if text := rapid.SampledFrom([]string{"", "attribute_exists(k)", "attribute_not_exists(x) OR x = :v", "NOT x < :v AND y <> :v", "contains(y, :v)",
		"x IN (:v, y) OR size(y) > :v", "begins_with(x, :v)", "attribute_type(x, :v)", "l[1].m = :v", "x BETWEEN :v AND :w"}).Draw(t, "condition"); text != "" {
		c, _ = s.Condition(text) // nil where AWS refuses it
	}
	if text := rapid.SampledFrom([]string{"", "SET x = :v", "SET x = x + :v", "ADD x :v", "DELETE y :v", "REMOVE x, y", "SET x = if_not_exists(x, :v), y = :w",
		"SET y = list_append(:v, :w)", "SET l = :v, i = :w", "SET l[3] = :v REMOVE l[0]", "SET i = :v"}).Draw(t, "update"); text != "" {
		u, _ = s.Update(text)
	}
	return c, u
}

// What the proposer decides by what it proposed, recovery and other replicas
// decide by the bytes, to the same answers and the same state.
func TestProposalsAndBytesAgree(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		tables, l := onTape()
		def := ofText("k")
		def.Indexes = []Index{{Name: "byI", Keys: Schema{Hash: Key{"i", attr.S}}, Projection: ProjectAll}}
		if _, err := tables.Create(context.Background(), leases, def); err != nil {
			t.Fatal(err)
		}
		op := func(k string) Op {
			o := Op{Kind: OpKind(rapid.IntRange(int(Put), int(Check)).Draw(t, "kind")), Table: leases, Item: key(k)}
			o.OldOnFail, o.Quiet = rapid.Bool().Draw(t, "old"), rapid.Bool().Draw(t, "quiet")
			var u *expr.Update
			o.Condition, u = drawPrograms(t)
			switch o.Kind {
			case Put:
				o.Item["x"], o.Item["y"] = scalars().Draw(t, "x"), scalars().Draw(t, "y")
			case Update:
				o.Update = u
			}
			return o
		}
		for range rapid.IntRange(1, 20).Draw(t, "writes") {
			switch rapid.IntRange(0, 3).Draw(t, "how") {
			case 0:
				tables.Transact(context.Background(), leases, rapid.SampledFrom([]string{"", "t1", "t2"}).Draw(t, "token"), []Op{op("a"), op("b")})
			case 1:
				tables.WriteAll(context.Background(), []Op{op("a"), op("c")})
			default:
				tables.Write(context.Background(), op(rapid.SampledFrom([]string{"a", "b", "c"}).Draw(t, "k")))
			}
		}
		if n := len(tables.proposals.writes); n != 0 {
			t.Fatalf("%d proposals are kept for ever", n)
		}
		replica, other := onTape()
		for _, cmd := range l.cmds {
			other.Propose(context.Background(), cmd)
		}
		for i := range l.answers {
			if diff := cmp.Diff(plain(l.answers[i]), plain(other.answers[i])); diff != "" {
				t.Fatalf("command %d is answered otherwise by a replica (-proposer +replica):\n%s", i, diff)
			}
		}
		if diff := cmp.Diff(saved(tables), saved(replica)); diff != "" {
			t.Fatal(diff)
		}
	})
}

// An item is changed in its bytes to what it is changed to as a whole, and
// refused for the same reason.
func TestPartsAndWholesAgree(t *testing.T) {
	tables, _ := onTape()
	create(t, tables, ofText("k"))
	x := tables.byName[leases]
	rapid.Check(t, func(t *rapid.T) {
		old := key("a")
		for _, name := range []string{"i", "l", "m", "x", "y", "z"} {
			if rapid.Bool().Draw(t, name) {
				old[name] = scalars().Draw(t, name)
			}
		}
		o := Op{Kind: Update, Table: leases, Item: key("a"), OldOnFail: rapid.Bool().Draw(t, "old")}
		o.Condition, o.Update = drawPrograms(t)
		if _, err := tables.prepare(&o); err != nil {
			t.Fatal(err)
		}
		was := string(old.Append(nil))
		k, _ := x.def.Keys.keyOf(old)
		x.items.Set(k, was)
		want := result{old: was}
		if o.Condition != nil && !o.Condition.Match(old) {
			failed := new(ConditionFailed)
			if o.OldOnFail {
				failed.Item = old
			}
			want.err = failed
		} else {
			want.item, want.err = tables.update(x, &o, old)
		}
		got := tables.decide(&o)
		if diff := cmp.Diff(plain(written{results: []result{want}}), plain(written{results: []result{got.result}})); diff != "" {
			t.Fatalf("(-whole +parts):\n%s", diff)
		}
	})
}

// plain is an answer as text, errors with all that they bring.
func plain(answer any) string {
	w, ok := answer.(written)
	if !ok {
		return fmt.Sprintf("%#v", answer)
	}
	text := fmt.Sprint(w.repeated, w.mismatch)
	for _, r := range w.results {
		text += fmt.Sprintf("\n%q to %q, %v", r.old, r.item, r.err)
		if failed, ok := r.err.(*ConditionFailed); ok { //nolint:errorlint // as decide made it
			text += fmt.Sprintf(" %q", failed.Item.Append(nil))
		}
	}
	return text
}

func saved(t *Tables) string {
	var b bytes.Buffer
	if _, err := (machine{t}).Capture().WriteTo(&b); err != nil {
		panic(err) // a buffer takes everything
	}
	return b.String()
}
