package kinesis

import (
	"fmt"
	"maps"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/thalweg/thalweg/gate/wire"
)

const badTag = "Some tags contain invalid characters. Valid characters: Unicode letters, digits, white space, _ . / = + - % @."

// Constraints and texts as kinesalite's tests recorded them from AWS, with the
// bounds of today's model: 200 tags in a request, 50 keys, 50 listed.
func TestTagConstraints(t *testing.T) {
	f := newFixture(t)
	f.create("orders", 1)
	long := strings.Repeat("a", 129)
	one := func(value, at, constraint string) string {
		return "Value '" + value + "' at '" + at + "' failed to satisfy constraint: " + constraint
	}
	const (
		nullTags   = "Value null at 'tags' failed to satisfy constraint: Member must not be null"
		nullKeys   = "Value null at 'tagKeys' failed to satisfy constraint: Member must not be null"
		nullARN    = "Value null at 'resourceARN' failed to satisfy constraint: Member must not be null"
		length1    = "Member must have length greater than or equal to 1"
		name       = "Member must satisfy regular expression pattern: [a-zA-Z0-9_.-]+"
		arnPattern = `Member must satisfy regular expression pattern: arn:aws.*:kinesis:.*:\d{12}:.*stream/\S+`
		keyBounds  = "Map keys must satisfy constraint: [Member must have length less than or equal to 128, Member must have length greater than or equal to 1]"
		valBounds  = "Map value must satisfy constraint: [Member must have length less than or equal to 256, Member must have length greater than or equal to 0]"
		elemBounds = "Member must satisfy constraint: [Member must have length less than or equal to 128, Member must have length greater than or equal to 1]"
	)
	var keys l
	for i := range 51 {
		keys = append(keys, fmt.Sprint(i))
	}
	shown := strings.ReplaceAll(strings.Trim(fmt.Sprint(keys), "[]"), " ", ", ")
	longValue := strings.Repeat("v", 257)
	for _, c := range []struct {
		op   string
		in   m
		want []string
	}{
		{"AddTagsToStream", m{"StreamName": "", "Tags": m{}}, []string{one("{}", "tags", length1), one("", "streamName", name), one("", "streamName", length1)}},
		{"AddTagsToStream", m{"StreamName": "a"}, []string{nullTags}},
		{"AddTagsToStream", m{"StreamName": "a", "Tags": m{long: "3"}}, []string{one("{"+long+"=3}", "tags", keyBounds)}},
		{"AddTagsToStream", m{"StreamName": "a", "Tags": m{"c": longValue}}, []string{one("{c="+longValue+"}", "tags", valBounds)}},
		{"RemoveTagsFromStream", m{"StreamName": "", "TagKeys": l{}}, []string{one("[]", "tagKeys", length1), one("", "streamName", name), one("", "streamName", length1)}},
		{"RemoveTagsFromStream", m{"StreamName": "a"}, []string{nullKeys}},
		{"RemoveTagsFromStream", m{"StreamName": "a", "TagKeys": l{"a", long, "b"}}, []string{one("[a, "+long+", b]", "tagKeys", elemBounds)}},
		{"RemoveTagsFromStream", m{"StreamName": "a", "TagKeys": keys}, []string{one("["+shown+"]", "tagKeys", "Member must have length less than or equal to 50")}},
		{"ListTagsForStream", m{"StreamName": "", "ExclusiveStartTagKey": "", "Limit": 0}, []string{
			one("0", "limit", "Member must have value greater than or equal to 1"), one("", "exclusiveStartTagKey", length1), one("", "streamName", name), one("", "streamName", length1)}},
		{"ListTagsForStream", m{"StreamName": "a", "Limit": 51}, []string{one("51", "limit", "Member must have value less than or equal to 50")}},
		{"TagResource", m{}, []string{nullTags, nullARN}},
		{"TagResource", m{"Tags": m{"a": "b"}, "ResourceARN": "x"}, []string{one("x", "resourceARN", arnPattern)}},
		{"UntagResource", m{}, []string{nullKeys, nullARN}},
		{"UntagResource", m{"TagKeys": l{}, "ResourceARN": arnHead + "orders"}, []string{one("[]", "tagKeys", length1)}},
		{"ListTagsForResource", m{}, []string{nullARN}},
		{"EnableEnhancedMonitoring", m{"StreamName": "a"}, []string{"Value null at 'shardLevelMetrics' failed to satisfy constraint: Member must not be null"}},
		{"DisableEnhancedMonitoring", m{"StreamName": "a", "ShardLevelMetrics": l{}}, []string{one("[]", "shardLevelMetrics", length1)}},
	} {
		message := "1 validation error detected: " + c.want[0]
		if n := len(c.want); n > 1 {
			message = fmt.Sprintf("%d validation errors detected: %s", n, strings.Join(c.want, "; "))
		}
		f.fails(c.op, c.in, "ValidationException", message)
	}
}

func TestTagRefusals(t *testing.T) {
	f := newFixture(t)
	f.create("orders", 1)
	const invalid = "InvalidArgumentException"
	percent := func(verb string) string {
		return "Failed to " + verb + " stream orders under account 000000000000 because some tags contained illegal characters. " +
			"The allowed characters are Unicode letters, white-spaces, '_',',','/','=','+','-','@'."
	}
	for _, bad := range []string{"abc;def", "abc\tdef", "abc\ndef", "abc,def"} {
		f.fails("AddTagsToStream", m{"StreamName": "orders", "Tags": m{bad: "1"}}, invalid, badTag)
		f.fails("AddTagsToStream", m{"StreamName": "orders", "Tags": m{"a": bad}}, invalid, badTag)
		f.fails("RemoveTagsFromStream", m{"StreamName": "orders", "TagKeys": l{bad}}, invalid, badTag)
	}
	f.fails("AddTagsToStream", m{"StreamName": "orders", "Tags": m{"a%b": "1"}}, invalid, percent("add tags to"))
	f.fails("AddTagsToStream", m{"StreamName": "orders", "Tags": m{"a": "b%"}}, invalid, percent("add tags to"))
	f.fails("RemoveTagsFromStream", m{"StreamName": "orders", "TagKeys": l{"a%b"}}, invalid, percent("remove tags from"))
	for op, in := range map[string]m{
		"AddTagsToStream": {"Tags": m{";": "b"}}, "RemoveTagsFromStream": {"TagKeys": l{";"}}, "ListTagsForStream": {},
		"EnableEnhancedMonitoring": {"ShardLevelMetrics": l{"ALL"}}, "DisableEnhancedMonitoring": {"ShardLevelMetrics": l{"ALL"}},
	} {
		in = maps.Clone(in)
		in["StreamName"] = "nobody"
		f.fails(op, in, "ResourceNotFoundException", "Stream nobody under account 000000000000 not found.")
	}
	for op, in := range map[string]m{"TagResource": {"Tags": m{"a": "b"}}, "UntagResource": {"TagKeys": l{"a"}}, "ListTagsForResource": {}} {
		with := func(arn string) m { in := maps.Clone(in); in["ResourceARN"] = arn; return in }
		f.fails(op, with(arnHead+"nobody"), "ResourceNotFoundException", "Stream nobody under account 000000000000 not found.")
		f.fails(op, with(arnHead+"orders/consumer/c"), invalid, "ResourceARN "+arnHead+"orders/consumer/c is not the ARN of a stream or of a consumer.")
		f.fails(op, with(arnHead+"or*ers"), invalid, "ResourceARN "+arnHead+"or*ers is not the ARN of a stream or of a consumer.")
	}
}

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
	f.fails("TagResource", m{"ResourceARN": c.ARN(), "Tags": m{"a;": "2"}}, "InvalidArgumentException", badTag)
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
