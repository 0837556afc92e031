package table

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/thalweg/thalweg/catalog"
	"github.com/thalweg/thalweg/fault"
	"github.com/thalweg/thalweg/internal/vfs"
	"github.com/thalweg/thalweg/shardlog"
	"github.com/thalweg/thalweg/shardlog/journal"
	"github.com/thalweg/thalweg/table/attr"
	"github.com/thalweg/thalweg/table/expr"
)

var leases = Name{"000000000000", "us-east-1", "leases"}

// open opens tables over the files of fs.
func open(t testing.TB, fs vfs.FS) (*Tables, *journal.Journal) {
	t.Helper()
	c := catalog.New()
	tables := New(Config{Catalog: c, Full: func(err error) bool { return errors.Is(err, shardlog.ErrFull) }})
	log, err := journal.Open(context.Background(), journal.Config{FS: fs, Dir: "/data", Machine: c, SegmentBytes: 1 << 20})
	if err != nil {
		t.Fatal(err)
	}
	c.Attach(log)
	return tables, log
}

func ofText(hash string) Definition {
	return Definition{Keys: Schema{Hash: Key{hash, attr.S}}, OnDemand: true}
}

func create(t testing.TB, tables *Tables, def Definition) {
	t.Helper()
	if _, err := tables.Create(t.Context(), leases, def); err != nil {
		t.Fatal(err)
	}
}

func condition(t testing.TB, text string, values map[string]attr.Value) *expr.Condition {
	t.Helper()
	s, err := expr.NewScope(nil, values)
	if err != nil {
		t.Fatal(err)
	}
	c, err := s.Condition(text)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func update(t testing.TB, text string, values map[string]attr.Value) *expr.Update {
	t.Helper()
	s, err := expr.NewScope(nil, values)
	if err != nil {
		t.Fatal(err)
	}
	u, err := s.Update(text)
	if err != nil {
		t.Fatal(err)
	}
	return u
}

func key(k string) attr.Map { return attr.Map{"k": attr.String(k)} }

// Sixteen writers take turns by a counter that each write's condition names: no
// increment is lost, and none is done twice.
func TestConditionsAreDecidedInOrder(t *testing.T) {
	tables, log := open(t, vfs.NewMem(1<<30))
	defer log.Close()
	create(t, tables, ofText("k"))
	if _, err := tables.Write(t.Context(), Op{Kind: Put, Table: leases, Item: attr.Map{"k": attr.String("a"), "n": attr.Whole(0)}}); err != nil {
		t.Fatal(err)
	}
	var wg sync.WaitGroup
	won := make([]int, 16)
	for w := range won {
		wg.Go(func() {
			for n := 0; n < 200; {
				values := map[string]attr.Value{":n": attr.Whole(int64(n)), ":i": attr.Whole(1)}
				_, err := tables.Write(t.Context(), Op{
					Kind: Update, Table: leases, Item: key("a"), OldOnFail: true,
					Condition: condition(t, "n = :n", map[string]attr.Value{":n": values[":n"]}),
					Update:    update(t, "SET n = n + :i", map[string]attr.Value{":i": values[":i"]}),
				})
				var failed *ConditionFailed
				switch {
				case err == nil:
					won[w]++
					n++
				case errors.As(err, &failed):
					n = int(failed.Item["n"].(attr.Number).Int())
				default:
					t.Error(err)
					return
				}
			}
		})
	}
	wg.Wait()
	total := 0
	for _, n := range won {
		total += n
	}
	item, _, err := tables.Get(leases, key("a"))
	if err != nil || total != 200 || !attr.Equal(item["n"], attr.Whole(200)) {
		t.Errorf("%d writes won, the counter is %v, %v", total, item["n"], err)
	}
}

// What was acknowledged is there after power is cut at any moment, whole
// transactions or nothing of them; indexes, tokens and definitions too.
func TestPowerCut(t *testing.T) {
	fs := vfs.NewCrashable(1 << 30)
	tables, log := open(t, fs)
	def := ofText("k")
	def.Indexes = []Index{{Name: "byOwner", Keys: Schema{Hash: Key{"owner", attr.S}, Range: Key{"k", attr.S}}, Projection: ProjectAll}}
	create(t, tables, def)
	const pairs = 60
	big := attr.String(strings.Repeat("x", 40<<10)) // so that journal files roll and checkpoints are written
	for i := range pairs {
		ops := []Op{
			{Kind: Put, Table: leases, Item: attr.Map{"k": attr.String(fmt.Sprintf("%03d-a", i)), "owner": attr.String("me"), "pad": big}},
			{Kind: Put, Table: leases, Item: attr.Map{"k": attr.String(fmt.Sprintf("%03d-b", i)), "owner": attr.String("me")}},
		}
		token := fmt.Sprintf("token-%d", i)
		if _, err := tables.Transact(t.Context(), leases, token, ops); err != nil {
			t.Fatal(err)
		}
		if i%6 != 5 {
			continue
		}
		after, log := open(t, fs.CrashClone(vfs.Crash{Seed: uint64(i)}))
		info, err := after.Describe(leases)
		if err != nil || info.Items != 2*(i+1) || !info.Indexes["byOwner"].Ready || info.Indexes["byOwner"].Items != 2*(i+1) {
			t.Fatalf("after %d transactions and a crash: %+v, %v", i+1, info, err)
		}
		if changes, err := after.Transact(t.Context(), leases, token, ops); err != nil || changes != nil {
			t.Errorf("an old token is not known after a crash: %v, %v", changes, err)
		}
		if err := log.Close(); err != nil {
			t.Error(err)
		}
	}
	if err := log.Close(); err != nil {
		t.Error(err)
	}
}

// A captured state is the one of its moment while writes go on, and what is
// restored of it is equal to it, indexes included.
func TestSnapshot(t *testing.T) {
	tables, log := open(t, vfs.NewMem(1<<30))
	defer log.Close()
	create(t, tables, ofText("k"))
	put := func(from, to int, v int64) {
		for i := from; i < to; i += 25 {
			var ops []Op
			for j := i; j < min(i+25, to); j++ {
				ops = append(ops, Op{Kind: Put, Table: leases, Item: attr.Map{"k": attr.String(fmt.Sprint(j)), "v": attr.Whole(v)}})
			}
			if _, err := tables.WriteAll(t.Context(), ops); err != nil {
				t.Fatal(err)
			}
		}
	}
	put(0, 1000, 1)
	if _, err := tables.Change(t.Context(), leases, func(d *Definition) error {
		d.Indexes = append(d.Indexes, Index{Name: "byV", Keys: Schema{Hash: Key{"v", attr.N}}, Projection: ProjectKeys})
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	captured := machine{tables}.Capture()
	put(500, 1500, 2)
	var b, again bytes.Buffer
	for _, w := range []*bytes.Buffer{&b, &again} {
		if n, err := captured.WriteTo(w); err != nil || n != int64(w.Len()) {
			t.Fatal(n, err)
		}
	}
	if !bytes.Equal(b.Bytes(), again.Bytes()) {
		t.Fatal("one capture, two snapshots")
	}
	restored := New(Config{Catalog: catalog.New()})
	if err := (machine{restored}).Restore(bytes.NewReader(b.Bytes())); err != nil {
		t.Fatal(err)
	}
	p, err := restored.Query(t.Context(), &Query{Table: leases, Index: "byV", Keys: []expr.KeyTest{{Name: "v", Op: expr.KeyEqual, Values: []attr.Value{attr.Whole(1)}}}, CountOnly: true})
	if err != nil || p.Count != 1000 {
		t.Errorf("restored %+v, %v", p, err)
	}
	for cut := 1; cut < b.Len(); cut += b.Len() / 17 {
		if err := (machine{New(Config{Catalog: catalog.New()})}).Restore(bytes.NewReader(b.Bytes()[:b.Len()-cut])); err == nil {
			t.Errorf("a snapshot without its last %d bytes is restored", cut)
		}
	}
}

// A large table's new index fills bit by bit, with writes between; it is ready
// with every item, once.
func TestFilling(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		tables, log := open(t, vfs.NewMem(1<<30))
		create(t, tables, ofText("k"))
		const n = 3*fillStep + 7
		for i := 0; i < n; i += 25 {
			var ops []Op
			for j := i; j < min(i+25, n); j++ {
				ops = append(ops, Op{Kind: Put, Table: leases, Item: attr.Map{"k": attr.String(fmt.Sprint(j)), "o": attr.String("me")}})
			}
			if _, err := tables.WriteAll(t.Context(), ops); err != nil {
				t.Fatal(err)
			}
		}
		info, err := tables.Change(t.Context(), leases, func(d *Definition) error {
			d.Indexes = append(d.Indexes, Index{Name: "byO", Keys: Schema{Hash: Key{"o", attr.S}}, Projection: ProjectKeys})
			return nil
		})
		if err != nil || info.Indexes["byO"].Ready {
			t.Fatalf("%+v %v", info, err)
		}
		q := &Query{Table: leases, Index: "byO", CountOnly: true, Keys: []expr.KeyTest{{Name: "o", Op: expr.KeyEqual, Values: []attr.Value{attr.String("me")}}}}
		if _, err := tables.Query(t.Context(), q); !fault.Is(err, fault.Invalid) || !strings.Contains(err.Error(), "backfilling") {
			t.Errorf("an index that is not ready is read: %v", err)
		}
		for i := range 40 {
			if _, err := tables.Write(t.Context(), Op{Kind: Delete, Table: leases, Item: key(fmt.Sprint(i * 70))}); err != nil {
				t.Fatal(err)
			}
		}
		ctx, stop := context.WithCancel(t.Context())
		done := make(chan error)
		go func() { done <- tables.Run(ctx) }()
		time.Sleep(time.Millisecond)
		synctest.Wait()
		p, err := tables.Query(t.Context(), q)
		if err != nil || p.Count != n-40 {
			t.Errorf("%+v, %v", p, err)
		}
		stop()
		if err := errors.Join(<-done, log.Close()); err != nil {
			t.Error(err)
		}
	})
}

// Items expire by their attribute: a number of seconds in the past, not more
// than five years of it ("How it works: DynamoDB Time to Live").
func TestExpiry(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		tables, log := open(t, vfs.NewMem(1<<30))
		def := ofText("k")
		def.Expiry = "ttl"
		create(t, tables, def)
		now := time.Now().Unix()
		for k, v := range map[string]attr.Value{
			"past": attr.Whole(now - 1), "soon": attr.Whole(now + 100), "later": attr.Whole(now + 10_000),
			"ancient": attr.Whole(now - 6*365*24*3600), "text": attr.String("1"), "none": nil,
		} {
			item := key(k)
			if v != nil {
				item["ttl"] = v
			}
			if _, err := tables.Write(t.Context(), Op{Kind: Put, Table: leases, Item: item}); err != nil {
				t.Fatal(err)
			}
		}
		ctx, stop := context.WithCancel(t.Context())
		done := make(chan error)
		go func() { done <- tables.Run(ctx) }()
		left := func() string {
			synctest.Wait()
			p, err := tables.Query(t.Context(), &Query{Table: leases})
			if err != nil {
				t.Fatal(err)
			}
			var names []string
			for _, k := range []string{"past", "soon", "later", "ancient", "text", "none"} {
				for _, i := range p.Items {
					if i["k"] == attr.String(k) {
						names = append(names, k)
					}
				}
			}
			return strings.Join(names, " ")
		}
		for _, step := range []struct {
			after time.Duration
			want  string
		}{{time.Second, "past soon later ancient text none"}, {time.Minute, "soon later ancient text none"}, {2 * time.Minute, "later ancient text none"}} {
			time.Sleep(step.after)
			if got := left(); got != step.want {
				t.Errorf("after %s more: %s, want %s", step.after, got, step.want)
			}
		}
		stop()
		if err := errors.Join(<-done, log.Close()); err != nil {
			t.Error(err)
		}
	})
}

// Pages, however small, hold every item once, in either direction, in segments
// as well.
func TestPages(t *testing.T) {
	tables, log := open(t, vfs.NewMem(1<<30))
	defer log.Close()
	create(t, tables, Definition{Keys: Schema{Hash: Key{"h", attr.S}, Range: Key{"r", attr.N}}})
	for h := range 5 {
		for r := range 20 {
			item := attr.Map{"h": attr.String(fmt.Sprint(h)), "r": attr.Whole(int64(r*r - 50))}
			if _, err := tables.Write(t.Context(), Op{Kind: Put, Table: leases, Item: item}); err != nil {
				t.Fatal(err)
			}
		}
	}
	all := func(q Query) (items []attr.Map) {
		for {
			p, err := tables.Query(t.Context(), &q)
			if err != nil {
				t.Fatal(err)
			}
			if items = append(items, p.Items...); p.LastKey == nil {
				return items
			}
			q.Start = p.LastKey
		}
	}
	for limit := 1; limit < 30; limit += 3 {
		forward := all(Query{Table: leases, Limit: limit, Keys: []expr.KeyTest{{Name: "h", Op: expr.KeyEqual, Values: []attr.Value{attr.String("3")}}}})
		back := all(Query{Table: leases, Limit: limit, Backward: true, Keys: []expr.KeyTest{{Name: "h", Op: expr.KeyEqual, Values: []attr.Value{attr.String("3")}}}})
		if len(forward) != 20 || len(back) != 20 {
			t.Fatalf("limit %d: %d forward, %d back", limit, len(forward), len(back))
		}
		for i := range forward {
			if want := attr.Whole(int64(i*i - 50)); forward[i]["r"] != want || !cmp.Equal(back[19-i], forward[i], cmp.Comparer(attr.Equal)) {
				t.Errorf("limit %d: %v and %v at %d", limit, forward[i], back[19-i], i)
			}
		}
		seen := map[string]int{}
		for s := range 7 {
			for _, i := range all(Query{Table: leases, Limit: limit, Segment: s, Segments: 7}) {
				seen[string(i.Append(nil))]++
			}
		}
		if len(seen) != 100 {
			t.Errorf("segments hold %d items", len(seen))
		}
		for _, n := range seen {
			if n != 1 {
				t.Errorf("an item is in segments %d times", n)
			}
		}
	}
}

// BenchmarkCapture is what the log waits for when a journal file is full, with
// 100,000 leases of 500 bytes; the time to write them is beside it.
func BenchmarkCapture(b *testing.B) {
	tables := New(Config{Catalog: catalog.New()})
	tables.define(1, &define{name: leases, document: `{"keys":{"hash":{"name":"k","type":1}}}`})
	x := tables.byName[leases]
	pad := attr.String(strings.Repeat("x", 470))
	for i := range 100_000 {
		item := attr.Map{"k": attr.String(fmt.Sprintf("shardId-%012d", i)), "pad": pad}
		k, _ := x.def.Keys.keyOf(item)
		x.set(k, "", string(item.Append(nil)))
	}
	var written time.Duration
	for b.Loop() {
		c := machine{tables}.Capture()
		b.StopTimer()
		start := time.Now()
		if _, err := c.WriteTo(new(bytes.Buffer)); err != nil {
			b.Fatal(err)
		}
		written += time.Since(start)
		b.StartTimer()
	}
	b.ReportMetric(float64(written.Milliseconds())/float64(b.N), "ms-to-write")
}
