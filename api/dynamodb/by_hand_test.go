package dynamodb

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/thalweg/thalweg/gate"
	"github.com/thalweg/thalweg/gate/wire"
	"github.com/thalweg/thalweg/table"
	"github.com/thalweg/thalweg/table/attr"
)

// shown is an operation with all that decides what it does.
func shown(o table.Op, returns string, err error) string {
	if err != nil {
		return fmt.Sprintf("%#v", err)
	}
	text := fmt.Sprintf("%d %q %x %t %t %s", o.Kind, o.Table, o.Item.Append(nil), o.OldOnFail, o.Quiet, returns)
	if o.Condition != nil {
		text += fmt.Sprintf(" if %x", o.Condition.Append(nil))
	}
	if o.Update != nil {
		text += fmt.Sprintf(" do %x", o.Update.Append(nil))
	}
	return text
}

// agree holds what is read by hand, by a codec that knows programs and by one
// that knows none, against the general codec: what it takes, that one must take
// as the same, or refuse with the same fault. It reports whether it was taken.
func agree(t testing.TB, a *api, shapes map[string]*wire.Shape, op string, body []byte) bool {
	t.Helper()
	c := &gate.Call{Account: "000000000000", Region: "us-east-1", Format: wire.JSON10, Body: body, Now: time.Now()}
	var want string
	general := func(in any) bool {
		err := shapes[op].Decode(c.Format, body, in)
		if err == nil {
			err = shapes[op].Check(in)
		}
		if err != nil {
			want = fmt.Sprintf("%#v", err)
		}
		return err == nil
	}
	var byHandOnce func(a *api) (string, bool)
	switch op {
	case "UpdateItem":
		in := new(updateItemRequest)
		if general(in) {
			o, err := in.operation(c)
			want = shown(o, text(in.ReturnValues), err)
		}
		byHandOnce = func(a *api) (string, bool) {
			var h byHand
			if !h.decode(c, ofWrite|hasKey|hasUpdate, hasTable|hasKey) {
				return "", false
			}
			o, ok, err := a.updateByHand(c, &h)
			return shown(o, h.returns, err), ok
		}
	case "PutItem":
		in := new(putItemRequest)
		if general(in) {
			o, err := in.plain(c, table.Put, in.Item)
			want = shown(o, text(in.ReturnValues), err)
		}
		byHandOnce = func(a *api) (string, bool) {
			var h byHand
			if !h.decode(c, ofWrite|hasItem, hasTable|hasItem) {
				return "", false
			}
			o, ok, err := a.putByHand(c, &h)
			return shown(o, h.returns, err), ok
		}
	case "GetItem":
		in := new(getItemRequest)
		if general(in) {
			n, err := nameOf(c, text(in.TableName))
			want = shown(table.Op{Table: n, Item: in.Key.Map}, "", err)
			if in.ProjectionExpression != nil || in.AttributesToGet != nil || in.ExpressionAttributeNames != nil || !nothing(in.ReturnConsumedCapacity) {
				want = "what only the general codec can"
			}
		}
		byHandOnce = func(*api) (string, bool) {
			var h byHand
			if !h.decode(c, ofGet, hasTable|hasKey) {
				return "", false
			}
			n, err := nameOf(c, h.table)
			return shown(table.Op{Table: n, Item: h.item}, "", err), true
		}
	}
	taken := false
	for i, a := range []*api{{}, a, a} { // anew, as it comes, and when it was seen before
		got, ok := byHandOnce(a)
		if ok && got != want {
			t.Fatalf("%s %q, try %d:\nby hand %s\ngeneral %s", op, body, i, got, want)
		}
		taken = taken || ok
	}
	return taken
}

var opsByHand = []string{"UpdateItem", "PutItem", "GetItem"}

func shapesByHand(a *api) map[string]*wire.Shape {
	shapes := map[string]*wire.Shape{}
	for _, op := range a.operations() {
		shapes[op.Name] = op.Request
	}
	return shapes
}

// The requests of all sessions mean the same by hand as by the general codec,
// and what the SDKs send most is read by hand.
func TestByHand(t *testing.T) {
	a := new(api)
	shapes := shapesByHand(a)
	files, err := filepath.Glob("testdata/*.txt")
	if err != nil {
		t.Fatal(err)
	}
	taken := map[string]int{}
	for _, file := range files {
		b, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		for line := range strings.Lines(string(b)) {
			for _, op := range opsByHand {
				if body, ok := strings.CutPrefix(line, op+" "); ok && agree(t, a, shapes, op, []byte(strings.TrimSpace(body))) {
					taken[op]++
				}
			}
		}
	}
	for _, op := range opsByHand {
		if taken[op] == 0 {
			t.Errorf("no %s is read by hand", op)
		}
	}
	for op, body := range map[string]string{"UpdateItem": updateLease, "PutItem": putLease} {
		if !agree(t, a, shapes, op, []byte(body)) {
			t.Errorf("%s is not read by hand: %s", op, body)
		}
	}
}

// Expressions are kept by their text and names, for values of the same types,
// up to a number.
func TestProgramsAreBounded(t *testing.T) {
	f := newFixture(t)
	f.call("CreateTable", `{"TableName":"leases","BillingMode":"PAY_PER_REQUEST","KeySchema":[{"AttributeName":"k","KeyType":"HASH"}],"AttributeDefinitions":[{"AttributeName":"k","AttributeType":"S"}]}`)
	a := new(api)
	c := &gate.Call{Account: "000000000000", Region: "us-east-1", Format: wire.JSON10}
	for i := range 2*maxPrograms + 10 {
		c.Body = fmt.Appendf(nil, `{"TableName":"leases","Key":{"k":{"S":"a"}},"UpdateExpression":"SET n%d = :v","ExpressionAttributeValues":{":v":{"S":"x"}}}`, i)
		var h byHand
		if !h.decode(c, ofWrite|hasKey|hasUpdate, hasTable|hasKey) {
			t.Fatal(string(c.Body))
		}
		if _, ok, err := a.updateByHand(c, &h); !ok || err != nil {
			t.Fatal(ok, err)
		}
		if n := len(a.programs.all); n == 0 || n > maxPrograms {
			t.Fatalf("%d programs are kept after %d", n, i+1)
		}
	}
	for _, p := range a.programs.all {
		if v, ok := p.binding.Values(attr.Map{":v": attr.Whole(1)}); ok {
			t.Errorf("a program for a string takes %v", v)
		}
	}
}

var byHandSeeds = []string{
	updateLease,
	putLease,
	`{"TableName":"leases","Key":{"k":{"S":"\u00e9\n"}},"ConsistentRead":false}`,
	`{"TableName":"leases","Key":{"k":{"S":"a"}},"UpdateExpression":"SET a = :v REMOVE b","ConditionExpression":"attribute_type(a, :v) OR a BETWEEN :v AND :w","ExpressionAttributeValues":{":v":{"S":"S"},":w":{"S":"T"}},"ReturnValues":"UPDATED_NEW"}`,
	`{"TableName":"leases","Item":{"k":{"B":"YQ=="},"s":{"SS":["a","b"]},"l":{"L":[{"NULL":true},{"M":{"x":{"BOOL":false}}}]}},"ConditionExpression":"attribute_not_exists(#k)","ExpressionAttributeNames":{"#k":"k"},"ReturnValuesOnConditionCheckFailure":"ALL_OLD"}`,
	`{"TableName":"leases","Key":{"k":{"N":"1e3"}},"AttributeUpdates":{"a":{"Value":{"N":"1"},"Action":"ADD"}},"Expected":{"a":{"Exists":false}}}`,
	`{"TableName":"arn:aws:dynamodb:us-east-1:000000000000:table/leases","Key":{"k":{"S":"a","N":null}},"Key":{"k":{"S":"b"}}}`,
	`{"TableName":"leases","Key":{},"UpdateExpression":"","ExpressionAttributeNames":{},"ExpressionAttributeValues":{}}`,
	`{"TableName":"leases","Key":{"k":{"S":"a"}},"UpdateExpression":"S\u0045T #a = :v","ExpressionAttributeNames":{"#a":"x","#a":"y"},"ExpressionAttributeValues":{":v":{"N":"12"}},"ReturnConsumedCapacity":"NONE"}`,
	`{"TableName":"leases","Key":{"k":{"S":"a"}},"ExpressionAttributeNames":{"#a":null},"Other":[1,{"x":null}]}`,
}

func FuzzByHand(f *testing.F) {
	for _, s := range byHandSeeds {
		f.Add([]byte(s))
	}
	a := new(api)
	shapes := shapesByHand(a)
	f.Fuzz(func(t *testing.T, body []byte) {
		for _, op := range opsByHand {
			agree(t, a, shapes, op, body)
		}
	})
}
