package wire

import (
	"reflect"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// What Constraints lists is what Check says when it is broken: path and text.
func TestConstraintsAreThoseOfCheck(t *testing.T) {
	type entry struct {
		Key  *string `aws:"required,min=0,max=2,pattern=[a,]+"`
		Self []entry
	}
	type shape struct {
		Name  *string           `aws:"required,enum=x|y"`
		Count int               `aws:"min=0,max=9"`
		Tags  map[string]string `aws:"min=1,max=2" key:"max=3" elem:"enum=a"`
		List  []entry           `aws:"max=1"`
	}
	s, err := Compile(reflect.TypeFor[shape]())
	if err != nil {
		t.Fatal(err)
	}
	want := []Constraint{
		{"name", "Member must not be null"},
		{"name", "Member must satisfy enum value set: [x, y]"},
		{"count", "Member must have value greater than or equal to 0"},
		{"count", "Member must have value less than or equal to 9"},
		{"tags", "Member must have length greater than or equal to 1"},
		{"tags", "Member must have length less than or equal to 2"},
		{"tags", "Map keys must satisfy constraint: [Member must have length less than or equal to 3]"},
		{"tags", "Map value must satisfy constraint: [Member must satisfy enum value set: [a]]"},
		{"list", "Member must have length less than or equal to 1"},
		{"list.N.member.key", "Member must not be null"},
		{"list.N.member.key", "Member must satisfy regular expression pattern: [a,]+"},
		{"list.N.member.key", "Member must have length less than or equal to 2"},
	}
	if d := cmp.Diff(want, s.Constraints()); d != "" {
		t.Error(d)
	}
	if _, ok := s.New().(*shape); !ok {
		t.Errorf("New makes a %T", s.New())
	}
}
