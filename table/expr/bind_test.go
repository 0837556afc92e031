package expr

import (
	"bytes"
	"testing"

	"pgregory.net/rapid"

	"github.com/thalweg/thalweg/table/attr"
)

// What was compiled with the values of one request and bound to another's is
// what compiling with the latter makes; where that one is refused, or is of
// other names or types, it is not bound.
func TestBinding(t *testing.T) {
	value := rapid.SampledFrom([]attr.Value{attr.String("S"), attr.String("a"), attr.Whole(1), attr.Whole(-2), attr.Binary("b"), attr.List{attr.Whole(3)},
		attr.StringSet{"x"}, attr.StringSet{"x", "y"}, attr.Bool(true), attr.Null{}, attr.Map{}})
	values := func(t *rapid.T) map[string]attr.Value {
		m := map[string]attr.Value{}
		for _, name := range []string{":v", ":w", ":x"} {
			if rapid.IntRange(0, 9).Draw(t, "there") > 0 {
				m[name] = value.Draw(t, name)
			}
		}
		return m
	}
	conditions := []string{"", "a = :v", "#a < :v AND NOT b > :w", "a BETWEEN :v AND :w", "attribute_type(a, :v)", "a IN (:v, :w, :v)", "size(a) = :v OR begins_with(b, :w)", "contains(#a, :w)"}
	updates := []string{"", "SET a = :x", "SET #a = #a + :x, c = if_not_exists(c, :v)", "ADD a :x DELETE s :w", "SET a = list_append(:x, a) REMOVE b[1]", "SET a = :v - :x"}
	type compiled struct {
		scope     *Scope
		condition *Condition
		update    *Update
	}
	rapid.Check(t, func(t *rapid.T) {
		ct, ut := rapid.SampledFrom(conditions).Draw(t, "condition"), rapid.SampledFrom(updates).Draw(t, "update")
		compile := func(values map[string]attr.Value) (c compiled, err error) {
			names := map[string]string{"#a": "owner"}
			if !bytes.Contains([]byte(ct+ut), []byte("#")) {
				names = nil
			}
			if c.scope, err = NewScope(names, values); err != nil {
				return c, err
			}
			if ut != "" {
				if c.update, err = c.scope.Update(ut); err != nil {
					return c, err
				}
			}
			if ct != "" {
				if c.condition, err = c.scope.Condition(ct); err != nil {
					return c, err
				}
			}
			return c, c.scope.Done()
		}
		first, err := compile(values(t))
		if err != nil {
			return
		}
		binding, ok := Bind(first.condition, first.update)
		if !ok {
			return
		}
		given := values(t)
		want, err := compile(given)
		bound, ok := binding.Values(given)
		if ok && err != nil {
			t.Fatalf("%v is bound to %q and %q, and refused: %v", given, ct, ut, err)
		}
		if !ok {
			return
		}
		if want.condition != nil && !bytes.Equal(first.condition.Strip().With(bound).Append(nil), want.condition.Append(nil)) {
			t.Fatalf("%q with %v is another condition", ct, given)
		}
		if want.update != nil && !bytes.Equal(first.update.Strip().With(bound).Append(nil), want.update.Append(nil)) {
			t.Fatalf("%q with %v is another update", ut, given)
		}
		item := attr.Map{"owner": attr.Whole(1), "a": attr.Whole(5), "b": attr.String("b"), "s": attr.StringSet{"x"}}
		if want.condition != nil && first.condition.Strip().With(bound).Match(item) != want.condition.Match(item) {
			t.Fatalf("%q with %v decides otherwise", ct, given)
		}
		if want.update != nil {
			got, err := first.update.Strip().With(bound).Apply(item)
			made, wantErr := want.update.Apply(item)
			if (err == nil) != (wantErr == nil) || !attr.Equal(got, made) {
				t.Fatalf("%q with %v makes %v, %v; compiled so %v, %v", ut, given, got, err, made, wantErr)
			}
		}
	})
}
