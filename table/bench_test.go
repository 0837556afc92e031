package table

import (
	"strings"
	"testing"

	"github.com/thalweg/thalweg/table/attr"
)

// The benchmarks below are of a lease of some 500 bytes, from the Op to the
// answer, on a log that applies what it is given and writes nothing.

func leased(b *testing.B) *Tables {
	tables, l := onTape()
	create(b, tables, ofText("k"))
	l.silent = true
	if _, err := tables.Write(b.Context(), Op{Kind: Put, Table: leases, Item: lease()}); err != nil {
		b.Fatal(err)
	}
	return tables
}

func lease() attr.Map {
	return attr.Map{"k": attr.String("shardId-000000000001"), "holder": attr.String("worker-1"), "n": attr.Whole(0), "pad": attr.String(strings.Repeat("x", 400))}
}

func BenchmarkUpdate(b *testing.B) {
	tables := leased(b)
	o := Op{
		Kind: Update, Table: leases, Item: key("shardId-000000000001"), Quiet: true,
		Condition: condition(b, "holder = :o AND n < :most", map[string]attr.Value{":o": attr.String("worker-1"), ":most": attr.Whole(1 << 40)}),
		Update:    update(b, "SET n = n + :i", map[string]attr.Value{":i": attr.Whole(1)}),
	}
	b.ReportAllocs()
	for b.Loop() {
		if _, err := tables.Write(b.Context(), o); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkPut(b *testing.B) {
	tables := leased(b)
	o := Op{Kind: Put, Table: leases, Item: lease(), Quiet: true}
	b.ReportAllocs()
	for b.Loop() {
		if _, err := tables.Write(b.Context(), o); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkGet(b *testing.B) {
	tables := leased(b)
	k := key("shardId-000000000001")
	b.ReportAllocs()
	for b.Loop() {
		if item, _, err := tables.Get(leases, k); err != nil || item == nil {
			b.Fatal(err)
		}
	}
}
