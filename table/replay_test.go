package table

import (
	"context"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/thalweg/thalweg/table/expr"
)

// Whatever a proposer performs, recovery can read: a long chain of operators,
// which is as deep as it is long, and an attribute whose name is empty.
func TestRecoveryReadsWhatWasPerformed(t *testing.T) {
	for name, c := range map[string]*expr.Condition{
		"chain":      condition(t, strings.Repeat("a<>b OR ", 149)+"a<>b", nil),
		"empty name": expr.FromOlder([]expr.Older{{Name: "", Op: "NULL"}}, false),
	} {
		t.Run(name, func(t *testing.T) {
			tables, l := onTape()
			create(t, tables, ofText("k"))
			if _, err := tables.Write(t.Context(), Op{Kind: Put, Table: leases, Item: key("a"), Condition: c}); err != nil {
				t.Fatal(err)
			}
			replica, other := onTape()
			for _, cmd := range l.cmds {
				other.Propose(context.Background(), cmd)
			}
			if diff := cmp.Diff(saved(tables), saved(replica)); diff != "" {
				t.Fatal(diff)
			}
		})
	}
}
