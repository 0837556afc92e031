package kinesis

import (
	"fmt"
	"maps"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/thalweg/thalweg/gate/wire"
)

// Keys are listed in their order by code points (kinesalite
// test/listTagsForStream.js), and both APIs see the same tags.
func TestTags(t *testing.T) {
	for _, format := range []wire.Format{wire.JSON, wire.CBOR} {
		f := newFixture(t)
		f.create("orders", 1)
		by, arn := m{"StreamName": "orders"}, m{"ResourceARN": arnHead + "orders"}
		with := func(a, b m) m { c := maps.Clone(a); maps.Copy(c, b); return c }
		list := func(op string, in m) (keys string, more any) {
			t.Helper()
			out := f.okIn(format, op, in)
			for _, tag := range out["Tags"].([]any) {
				tag := asMap(tag)
				keys += fmt.Sprint(tag["Key"], "=", tag["Value"], ";")
			}
			return keys, out["HasMoreTags"]
		}
		if got, more := list("ListTagsForStream", by); got != "" || more != false {
			t.Errorf("a new stream has tags %q, %v", got, more)
		}
		f.okIn(format, "AddTagsToStream", with(by, m{"Tags": m{"a": "a", "ü0 _.": "a", "/=+-@": "a", "b": "ü0 _./=+-@", "c": ""}}))
		f.okIn(format, "TagResource", with(arn, m{"Tags": m{"a": "b", "Z": "1"}}))
		const all = "/=+-@=a;Z=1;a=b;b=ü0 _./=+-@;c=;ü0 _.=a;"
		if got, more := list("ListTagsForStream", by); got != all || more != false {
			t.Errorf("tags %q, %v", got, more)
		}
		if got, _ := list("ListTagsForResource", arn); got != all {
			t.Errorf("tags by ARN %q", got)
		}
		if got, more := list("ListTagsForStream", with(by, m{"ExclusiveStartTagKey": "Y", "Limit": 2})); got != "Z=1;a=b;" || more != true {
			t.Errorf("page %q, %v", got, more)
		}
		f.okIn(format, "RemoveTagsFromStream", with(by, m{"TagKeys": l{"a", "nobody"}}))
		f.okIn(format, "UntagResource", with(arn, m{"TagKeys": l{"b", "c", "Z", "/=+-@"}}))
		if got, _ := list("ListTagsForStream", by); got != "ü0 _.=a;" {
			t.Errorf("tags left: %q", got)
		}
		many := m{}
		for i := range 49 {
			many[fmt.Sprint(i)] = "x"
		}
		f.okIn(format, "AddTagsToStream", with(by, m{"Tags": many}))
		f.fails("AddTagsToStream", with(by, m{"Tags": m{"one": "more"}}), "InvalidArgumentException",
			"Failed to add tags to stream orders under account 000000000000 because a given stream cannot have more than 50 tags associated with it.")
	}
}

// A consumer has tags of its own, under its ARN.
func TestConsumerTags(t *testing.T) {
	f := newFixture(t)
	f.create("orders", 1)
	ref, err := resolve(f.call(wire.JSON, "", nil), "orders", "")
	if err != nil {
		t.Fatal(err)
	}
	c, err := f.api.streams.Register(t.Context(), ref, "app", map[string]string{"a": "1"})
	if err != nil {
		t.Fatal(err)
	}
	arn := m{"ResourceARN": c.ARN()}
	f.ok("TagResource", m{"ResourceARN": c.ARN(), "Tags": m{"b": "2"}})
	f.ok("UntagResource", m{"ResourceARN": c.ARN(), "TagKeys": l{"a"}})
	if d := cmp.Diff(m{"Tags": l{m{"Key": "b", "Value": "2"}}}, f.ok("ListTagsForResource", arn)); d != "" {
		t.Error(d)
	}
	if got := f.ok("ListTagsForStream", m{"StreamName": "orders"}); len(got["Tags"].([]any)) != 0 {
		t.Errorf("the stream has its consumer's tags: %v", got)
	}
	f.fails("TagResource", m{"ResourceARN": c.ARN(), "Tags": m{"a;": "2"}}, "InvalidArgumentException", "Some tags contain invalid characters. Valid characters: Unicode letters, digits, white space, _ . / = + - % @.")
}

// Current is what was on before the call, Desired what is on after it: API
// reference, EnableEnhancedMonitoring.
func TestEnhancedMonitoring(t *testing.T) {
	all := l{"IncomingBytes", "IncomingRecords", "OutgoingBytes", "OutgoingRecords",
		"WriteProvisionedThroughputExceeded", "ReadProvisionedThroughputExceeded", "IteratorAgeMilliseconds"}
	f := newFixture(t)
	f.create("orders", 1)
	for _, step := range []struct {
		op            string
		in            l
		before, after l
	}{
		{"EnableEnhancedMonitoring", l{"OutgoingBytes", "IncomingBytes"}, l{}, l{"IncomingBytes", "OutgoingBytes"}},
		{"EnableEnhancedMonitoring", l{"ALL"}, l{"IncomingBytes", "OutgoingBytes"}, all},
		{"DisableEnhancedMonitoring", l{"IncomingBytes", "IncomingRecords"}, all, all[2:]},
		{"DisableEnhancedMonitoring", l{"ALL"}, all[2:], l{}},
		{"DisableEnhancedMonitoring", l{"ALL"}, l{}, l{}},
		{"EnableEnhancedMonitoring", l{"IteratorAgeMilliseconds"}, l{}, l{"IteratorAgeMilliseconds"}},
	} {
		want := m{"StreamName": "orders", "StreamARN": arnHead + "orders", "CurrentShardLevelMetrics": step.before, "DesiredShardLevelMetrics": step.after}
		if d := cmp.Diff(want, f.ok(step.op, m{"StreamName": "orders", "ShardLevelMetrics": step.in})); d != "" {
			t.Errorf("%s(%v): %s", step.op, step.in, d)
		}
		for op, member := range map[string]string{"DescribeStream": "StreamDescription", "DescribeStreamSummary": "StreamDescriptionSummary"} {
			got := f.ok(op, m{"StreamName": "orders"})[member].(m)["EnhancedMonitoring"]
			if d := cmp.Diff(l{m{"ShardLevelMetrics": step.after}}, got); d != "" {
				t.Errorf("%s: %s", op, d)
			}
		}
	}
}

// asMap reads a map as either format's decoder makes it.
func asMap(v any) m {
	if in, ok := v.(map[any]any); ok {
		out := m{}
		for k, v := range in {
			out[k.(string)] = v
		}
		return out
	}
	return v.(m)
}
