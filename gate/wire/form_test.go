package wire

import (
	"encoding/xml"
	"io"
	"math"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/thalweg/thalweg/fault"
)

// query is a type with every kind in every place that the Query protocol has.
type query struct {
	Name    *string
	Count   *int32
	Big     *int64
	Small   *int16
	Ratio   *float64
	Yes     *bool
	At      time.Time
	Raw     []byte
	Names   []string
	Tags    map[string]string
	Inner   *query
	Inners  []query
	ByName  map[string]query
	Pointed []*query
}

// The serialization of AWS's Query protocol (smithy.io, aws-query-protocol):
// members by name, lists by .member.N, maps by .entry.N.key and .value,
// structures by their members, times by ISO 8601.
func TestDecodeForm(t *testing.T) {
	s := shapeOf[query](t)
	at := func(ms int64) time.Time { return time.UnixMilli(ms).UTC() }
	for _, c := range []struct {
		body string
		want query
	}{
		{"", query{}},
		{"&&Action=X&Version=2010-08-01&Unknown.member.1=x", query{}},
		{"Name=a%20b%2Bc+d", query{Name: ptr("a b+c d")}},
		{"Name", query{Name: ptr("")}},
		{"Name=a%FFb", query{Name: ptr("a\ufffdb")}},
		{"Name=a&Name=b", query{Name: ptr("b")}},
		{"Count=-7&Big=9223372036854775807&Small=3&Ratio=-1.5e3&Yes=true", query{Count: ptr[int32](-7), Big: ptr[int64](math.MaxInt64), Small: ptr[int16](3), Ratio: ptr(-1500.0), Yes: ptr(true)}},
		{"Ratio=Infinity", query{Ratio: ptr(math.Inf(1))}},
		{"At=2026-01-31T12%3A00%3A00Z", query{At: at(1769860800000)}},
		{"At=2026-01-31T12:00:00.123Z", query{At: at(1769860800123)}},
		{"At=2026-01-31T14:00:00%2B02:00", query{At: at(1769860800000)}},
		{"Raw=%2F%2F8%3D", query{Raw: []byte{255, 255}}},
		{"Names=", query{Names: []string{}}},
		{"Names.member.1=a&Names.member.2=b", query{Names: []string{"a", "b"}}},
		{"Names.member.10=c&Names.member.9=b&Names.member.2=a", query{Names: []string{"a", "b", "c"}}},
		{"Tags.entry.1.key=k&Tags.entry.1.value=v&Tags.entry.2.key=l", query{Tags: map[string]string{"k": "v", "l": ""}}},
		{"Inner.Inner.Name=x&Inner.Count=1", query{Inner: &query{Count: ptr[int32](1), Inner: &query{Name: ptr("x")}}}},
		{"Inners.member.2.Name=b&Inners.member.1.Names.member.1=x&Inners.member.10.Name=c", query{Inners: []query{{Names: []string{"x"}}, {Name: ptr("b")}, {Name: ptr("c")}}}},
		{"ByName.entry.1.key=k&ByName.entry.1.value.Name=v", query{ByName: map[string]query{"k": {Name: ptr("v")}}}},
		{"Pointed.member.1.Name=a", query{Pointed: []*query{{Name: ptr("a")}}}},
	} {
		var got query
		if err := s.Decode(Query, []byte(c.body), &got); err != nil {
			t.Errorf("%s: %v", c.body, err)
		} else if d := cmp.Diff(c.want, got); d != "" {
			t.Errorf("%s: %s", c.body, d)
		}
		if !Valid(Query, []byte(c.body)) {
			t.Errorf("%s is not valid", c.body)
		}
	}
	for body, want := range map[string]string{
		"%zz=1":                  "The name of a parameter is not percent-encoded correctly.",
		"Name=%z":                "The value of parameter Name is not percent-encoded correctly.",
		"Count=x":                "The value 'x' of parameter Count is no Integer.",
		"Count=4294967296":       "The value '4294967296' of parameter Count is no Integer.",
		"Inner.Yes=perhaps":      "The value 'perhaps' of parameter Inner.Yes is no Boolean.",
		"Ratio=":                 "The value '' of parameter Ratio is no Double.",
		"At=yesterday":           "The value 'yesterday' of parameter At is no Timestamp.",
		"Raw=*":                  "The value of parameter Raw is not base64.",
		"Name.x=1":               "The parameter Name has parameters within it, and is a String.",
		"Names.member.x=1":       "The parameter Names.member.x has no number where one belongs.",
		"Names.member.-1=1":      "The parameter Names.member.-1 has no number where one belongs.",
		"Pointed.member.1.At=no": "The value 'no' of parameter Pointed.member.1.At is no Timestamp.",
		strings.Repeat("Inner.", maxDepth+1) + "Name=x": "is nested too deeply.",
		strings.Repeat("a&", maxMemory/32+1):            "The request holds too many parameters.",
	} {
		err := s.Decode(Query, []byte(body), new(query))
		if fault.Of(err) != fault.Malformed || !strings.Contains(err.Error(), want) {
			t.Errorf("%.60s: %v", body, err)
		}
	}
}

// A number in a name makes no room.
func TestFormNumbers(t *testing.T) {
	for body, want := range map[string]int{"Names.member.4294967295=x": 1, "Names.member.0=x&Names.member.00=y": 2} {
		var got query
		if err := shapeOf[query](t).Decode(Query, []byte(body), &got); err != nil || len(got.Names) != want {
			t.Errorf("%s: %q, %v", body, got.Names, err)
		}
	}
	if err := shapeOf[query](t).Decode(Query, []byte("Names.member.4294967296=x"), new(query)); fault.Of(err) != fault.Malformed {
		t.Error(err)
	}
}

func TestAction(t *testing.T) {
	for body, want := range map[string][2]string{
		"Action=PutMetricData&Version=2010-08-01&Namespace=x": {"PutMetricData", "2010-08-01"},
		"Namespace=Action&Version=1&x=&Action=A":              {"A", "1"},
		"XAction=A":                                           {"", ""},
		"":                                                    {"", ""},
		"Action=":                                             {"", ""},
	} {
		if action, version := Action([]byte(body)); action != want[0] || version != want[1] {
			t.Errorf("%s: %q %q", body, action, version)
		}
	}
}

func TestXML(t *testing.T) {
	s := shapeOf[query](t)
	at := time.Date(2026, 1, 31, 12, 0, 0, 123_000_000, time.UTC)
	got, err := s.Append([]byte("<"), Query, &query{
		Name: ptr("<a>&\"b\"\r\n\x00\xff"), Count: ptr[int32](-1), Ratio: ptr(1e21), Yes: ptr(false), At: at, Raw: []byte{255},
		Names: []string{"x", ""}, Tags: map[string]string{"b": "2", "a": "1"}, Inner: &query{Name: ptr("in")}, Inners: []query{{}}, Pointed: []*query{nil},
	})
	const want = "<<Name>&lt;a&gt;&amp;\"b\"&#xD;\n\ufffd\ufffd</Name><Count>-1</Count><Ratio>1000000000000000000000</Ratio><Yes>false</Yes>" +
		"<At>2026-01-31T12:00:00.123Z</At><Raw>/w==</Raw><Names><member>x</member><member></member></Names>" +
		"<Tags><entry><key>a</key><value>1</value></entry><entry><key>b</key><value>2</value></entry></Tags>" +
		"<Inner><Name>in</Name></Inner><Inners><member></member></Inners><Pointed><member></member></Pointed>"
	if err != nil || string(got) != want {
		t.Errorf("%v\n%s\n%s", err, got, want)
	}
	if got, err := s.Append([]byte("x"), Query, &query{Ratio: ptr(math.NaN())}); err == nil || string(got) != "x" {
		t.Errorf("NaN: %q, %v", got, err)
	}
}

// rpc-v2-cbor has timestamps as RFC 8949 does: tag 1 over seconds, whole or not
// (smithy.io, smithy-rpc-v2-cbor). AWS's older dialect has milliseconds.
func TestRPCTimestamps(t *testing.T) {
	s := shapeOf[query](t)
	at := time.UnixMilli(1700000000123).UTC()
	for body, want := range map[string]time.Time{
		"\xa1\x62At\xc1\x1a\x65\x53\xf1\x00":                 time.Unix(1700000000, 0).UTC(),
		"\xa1\x62At\xc1\xfb\x41\xd9\x54\xfc\x40\x07\xdf\x3b": at,
		"\xa1\x62At\xc1\x3b\xff\xff\xff\xff\xff\xff\xff\xff": time.UnixMilli(math.MinInt64 / 1000 * 1000).UTC(),
	} {
		var got query
		if err := s.Decode(RPC, []byte(body), &got); err != nil || !got.At.Equal(want) {
			t.Errorf("%x: %v, %v", body, got.At, err)
		}
	}
	b, err := s.Append(nil, RPC, &query{At: at})
	if want := "\xa1\x62At\xc1\xfb\x41\xd9\x54\xfc\x40\x07\xdf\x3b"; err != nil || string(b) != want {
		t.Errorf("%x, %v", b, err)
	}
}

// FuzzForm: what is read comes out as XML that parses, and what is a form to
// net/url is one to us.
func FuzzForm(f *testing.F) {
	f.Add([]byte("Action=X&Names.member.1=a&Tags.entry.1.key=k&Inner.Name=%41&Inners.member.2.Count=1"))
	f.Add([]byte("Name=a+b&At=2026-01-31T12:00:00Z&Raw=AAAA&Pointed.member.07.Yes=TRUE"))
	s := shapeOf[query](f)
	f.Fuzz(func(t *testing.T, body []byte) {
		var got query
		err := s.Decode(Query, body, &got)
		if _, bad := url.ParseQuery(string(body)); bad == nil && err != nil && strings.Contains(err.Error(), "percent-encoded") {
			t.Fatalf("%v, and net/url takes it", err)
		}
		if err != nil {
			if fault.Of(err) != fault.Malformed {
				t.Fatal(err)
			}
			return
		}
		out, err := s.Append(nil, Query, &got)
		if err != nil { // a float that is no number
			return
		}
		for d := xml.NewDecoder(strings.NewReader("<x>" + string(out) + "</x>")); ; {
			if _, err := d.Token(); err == io.EOF {
				return
			} else if err != nil {
				t.Fatalf("%s: %v", out, err)
			}
		}
	})
}
