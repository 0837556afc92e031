package gate

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	v4 "github.com/aws/aws-sdk-go-v2/aws/signer/v4"

	"github.com/thalweg/thalweg/fault"
)

// oldService speaks every protocol: one as CloudWatch is, and one that has an
// operation of the same name, under another version.
func oldServices() []*Service {
	type in struct {
		Name  *string `aws:"required"`
		Items []string
	}
	type out struct{ Name, Account, Items string }
	make := func(name, target, version string) *Service {
		return &Service{Name: name, Target: target, RPC: true, JSON10: true,
			Query: &Query{Version: version, Namespace: "http://" + name + ".example/doc/" + version + "/", Codes: map[string]string{"MissingThingException": "MissingThing"}},
			Ops: []Op{
				Handle("Echo", func(_ context.Context, c *Call, in *in) (*out, error) {
					return &out{*in.Name + " of " + name, c.Account, strings.Join(in.Items, "+")}, nil
				}),
				Handle("Nothing", func(context.Context, *Call, *nothing) (*nothing, error) { return &nothing{}, nil }),
				Handle("Missing", func(context.Context, *Call, *nothing) (*nothing, error) {
					return nil, fault.Coded(fault.NotFound, "MissingThingException", "no <thing>")
				}),
				Handle("Broken", func(context.Context, *Call, *nothing) (*nothing, error) { panic("oh") }),
			},
			Later: map[string]string{"Someday": "Someday is not built yet."},
		}
	}
	return []*Service{make("old", "Old_2010", "2010-08-01"), make("elder", "Elder_2009", "2009-01-01"), make("twin", "Twin_2009", "2009-01-01")}
}

// AWS Query, JSON 1.0 and rpc-v2-cbor, each with its own shapes of answers and
// errors (smithy.io: aws-query-protocol, aws-json-1_0-protocol,
// smithy-rpc-v2-cbor, aws-query-compatible).
func TestProtocols(t *testing.T) {
	h := start(t, func(c *Config) { c.Services = append(c.Services, oldServices()...) })
	const (
		form = "application/x-www-form-urlencoded"
		rpc  = "application/cbor"
		j10  = "application/x-amz-json-1.0"
		q    = "/"
		auth = "AWS4-HMAC-SHA256 Credential=123456789012/20260304/eu-west-1/twin/aws4_request, SignedHeaders=host;x-amz-date, Signature=00"
	)
	for _, c := range []struct {
		name, path, contentType, target, body string
		status                                int
		wantType, want                        string // ID stands for the request's id
	}{
		{"query", q, form, "", "Action=Echo&Version=2010-08-01&Name=a%3Cb&Items.member.1=x&Items.member.2=y", 200, "text/xml",
			`<EchoResponse xmlns="http://old.example/doc/2010-08-01/"><EchoResult><Name>a&lt;b of old</Name><Account>123456789012</Account><Items>x+y</Items></EchoResult><ResponseMetadata><RequestId>ID</RequestId></ResponseMetadata></EchoResponse>`},
		{"query, with a charset", q, form + "; charset=utf-8", "", "Action=Nothing&Version=2010-08-01", 200, "text/xml",
			`<NothingResponse xmlns="http://old.example/doc/2010-08-01/"><ResponseMetadata><RequestId>ID</RequestId></ResponseMetadata></NothingResponse>`},
		{"query, two services of one version: the signature's", q, form, "", "Action=Nothing&Version=2009-01-01", 200, "text/xml",
			`<NothingResponse xmlns="http://twin.example/doc/2009-01-01/"><ResponseMetadata><RequestId>ID</RequestId></ResponseMetadata></NothingResponse>`},
		{"query, a fault", q, form, "", "Action=Missing&Version=2010-08-01", 400, "text/xml",
			`<ErrorResponse xmlns="http://old.example/doc/2010-08-01/"><Error><Type>Sender</Type><Code>MissingThing</Code><Message>no &lt;thing&gt;</Message></Error><RequestId>ID</RequestId></ErrorResponse>`},
		{"query, a failure of ours", q, form, "", "Action=Broken&Version=2010-08-01", 500, "text/xml",
			`<ErrorResponse xmlns="http://old.example/doc/2010-08-01/"><Error><Type>Receiver</Type><Code>InternalFailure</Code><Message></Message></Error><RequestId>ID</RequestId></ErrorResponse>`},
		{"query, a constraint", q, form, "", "Action=Echo&Version=2010-08-01", 400, "text/xml",
			`<ErrorResponse xmlns="http://old.example/doc/2010-08-01/"><Error><Type>Sender</Type><Code>ValidationError</Code><Message>1 validation error detected: Value null at 'name' failed to satisfy constraint: Member must not be null</Message></Error><RequestId>ID</RequestId></ErrorResponse>`},
		{"query, malformed", q, form, "", "Action=Echo&Version=2010-08-01&Name=%z", 400, "text/xml",
			`<ErrorResponse xmlns="http://old.example/doc/2010-08-01/"><Error><Type>Sender</Type><Code>MalformedInput</Code><Message>The value of parameter Name is not percent-encoded correctly.</Message></Error><RequestId>ID</RequestId></ErrorResponse>`},
		{"query, no such action", q, form, "", "Action=Fly&Version=2010-08-01", 400, "text/xml",
			`<ErrorResponse><Error><Type>Sender</Type><Code>InvalidAction</Code><Message>Could not find operation Fly for version 2010-08-01</Message></Error><RequestId>ID</RequestId></ErrorResponse>`},
		{"query, another version", q, form, "", "Action=Echo&Version=2000-01-01", 400, "text/xml",
			`<ErrorResponse><Error><Type>Sender</Type><Code>InvalidAction</Code><Message>Could not find operation Echo for version 2000-01-01</Message></Error><RequestId>ID</RequestId></ErrorResponse>`},
		{"query, not yet", q, form, "", "Action=Someday&Version=2010-08-01", 400, "text/xml",
			`<ErrorResponse><Error><Type>Sender</Type><Code>InvalidAction</Code><Message>Someday is not built yet.</Message></Error><RequestId>ID</RequestId></ErrorResponse>`},
		{"query, of a service that has none", q, form, "", "Action=Wait&Version=2010-08-01", 400, "text/xml",
			`<ErrorResponse><Error><Type>Sender</Type><Code>InvalidAction</Code><Message>Could not find operation Wait for version 2010-08-01</Message></Error><RequestId>ID</RequestId></ErrorResponse>`},
		{"a form without an action", q, form, "", "x=1", 403, "",
			"<AccessDeniedException>\n  <Message>Unable to determine service/operation name to be authorized</Message>\n</AccessDeniedException>\n"},
		{"rpc", "/service/Old_2010/operation/Echo", rpc, "", "\xbf\x64Name\x61a\xff", 200, rpc, "\xa3\x64Name\x68a of old\x67Account\x6c123456789012\x65Items\x60"},
		{"rpc, of nothing to nothing", "/service/Old_2010/operation/Nothing", rpc, "", "", 200, rpc, "\xa0"},
		{"rpc, empty maps", "/service/Old_2010/operation/Nothing", rpc, "", "\xa0", 200, rpc, "\xa0"},
		{"rpc, a fault", "/service/Old_2010/operation/Missing", rpc, "", "\xa0", 400, rpc, "\xa2\x66__type\x75MissingThingException\x67message\x6ano <thing>"},
		{"rpc, not yet", "/service/Old_2010/operation/Someday", rpc, "", "\xa0", 400, rpc, "\xa2\x66__type\x78\x19UnknownOperationException\x67message\x78\x19Someday is not built yet."},
		{"JSON 1.0", q, j10, "Old_2010.Echo", `{"Name":"a"}`, 200, j10, `{"Name":"a of old","Account":"123456789012","Items":""}`},
		{"JSON 1.0, not yet", q, j10, "Old_2010.Someday", `{}`, 400, j10, `{"__type":"UnknownOperationException","message":"Someday is not built yet."}`},
		{"JSON 1.0, a fault", q, j10, "Old_2010.Missing", `{}`, 400, j10, `{"__type":"MissingThingException","message":"no <thing>"}`},
	} {
		for _, way := range []string{"http/1.1", "TLS h2"} {
			pairs := []string{"Content-Type", c.contentType, "Authorization", auth, "X-Amz-Date", "20260304T050607Z"}
			if c.target != "" {
				pairs = append(pairs, "X-Amz-Target", c.target)
			}
			res, got := do(t, h.client(t, way), request("POST", c.path, c.body, pairs...))
			want := strings.ReplaceAll(c.want, "<RequestId>ID<", "<RequestId>"+res.Header.Get("x-amzn-RequestId")+"<")
			if res.StatusCode != c.status || res.Header.Get("Content-Type") != c.wantType || got != want {
				t.Errorf("%s: %d %s\n%q\n%q", c.name, res.StatusCode, res.Header.Get("Content-Type"), got, want)
			}
			if isRPC := c.contentType == rpc; isRPC != (res.Header.Get("smithy-protocol") == "rpc-v2-cbor") {
				t.Errorf("%s: smithy-protocol is %q", c.name, res.Header.Get("smithy-protocol"))
			}
			if old := res.Header.Get("x-amzn-query-error"); strings.Contains(c.want, "MissingThingException") && old != "MissingThing;Sender" {
				t.Errorf("%s: x-amzn-query-error is %q", c.name, old)
			}
		}
	}
}

// Errors about credentials in Query, as STS answers them.
func TestQueryCredentials(t *testing.T) {
	h := start(t, func(c *Config) {
		c.Services = append(c.Services, oldServices()...)
		c.Auth = Auth{Mode: Verify, Lookup: func(string) (string, string, bool) { return "", "", false }}
	})
	for _, c := range []struct{ auth, want string }{
		{"", "<Code>MissingAuthenticationToken</Code><Message>Missing Authentication Token</Message>"},
		{strings.Replace(anyAuth, "/toy/", "/old/", 1), "<Code>SignatureDoesNotMatch</Code>"}, // it is long expired
	} {
		pairs := []string{"Content-Type", "application/x-www-form-urlencoded", "X-Amz-Date", "20260304T050607Z"}
		if c.auth != "" {
			pairs = append(pairs, "Authorization", c.auth)
		}
		res, got := do(t, h.client(t, "http/1.1"), request("POST", "/", "Action=Nothing&Version=2010-08-01", pairs...))
		if res.StatusCode != 403 || !strings.Contains(got, c.want) {
			t.Errorf("%d %s, want %s", res.StatusCode, got, c.want)
		}
	}
}

// A compressed form is read before it is known what it asks for.
func TestCompressedForm(t *testing.T) {
	h := start(t, func(c *Config) { c.Services = append(c.Services, oldServices()...); c.MaxBody = 1 << 20 })
	for _, c := range []struct {
		body   string
		status int
		want   string
	}{
		{gzipped("Action=Echo&Version=2010-08-01&Name=a"), 200, "<Name>a of old</Name>"},
		{gzipped("Action=Echo&Version=2010-08-01&Name=" + strings.Repeat("a", 1<<20)), 413, "<Code>RequestEntityTooLargeException</Code>"},
	} {
		r := request("POST", "/", c.body, "Content-Type", "application/x-www-form-urlencoded", "Content-Encoding", "gzip", "Authorization", anyAuth, "X-Amz-Date", "20260304T050607Z")
		if res, got := do(t, h.client(t, "http/1.1"), r); res.StatusCode != c.status || !strings.Contains(got, c.want) {
			t.Errorf("%d %.300s, want %s", res.StatusCode, got, c.want)
		}
	}
}

// The signature is of what was sent, be it read before it is verified or after.
func TestCompressedBodyIsSigned(t *testing.T) {
	h := start(t, func(c *Config) {
		c.Services = append(c.Services, oldServices()...)
		c.Auth = Auth{Mode: Verify, Lookup: func(key string) (string, string, bool) { return "secret", "111122223333", key == "AKID" }}
	})
	for _, c := range []struct{ contentType, target, body, want string }{
		{"application/x-www-form-urlencoded", "", "Action=Echo&Version=2010-08-01&Name=a", "<Account>111122223333</Account>"},
		{"application/x-amz-json-1.0", "Old_2010.Echo", `{"Name":"a"}`, `"Account":"111122223333"`},
	} {
		body := gzipped(c.body)
		pairs := []string{"Content-Type", c.contentType, "Content-Encoding", "gzip"}
		if c.target != "" {
			pairs = append(pairs, "X-Amz-Target", c.target)
		}
		r := request("POST", "/", body, pairs...)
		r.Host = h.addr
		sum := sha256.Sum256([]byte(body))
		if err := v4.NewSigner().SignHTTP(t.Context(), aws.Credentials{AccessKeyID: "AKID", SecretAccessKey: "secret"}, r, hex.EncodeToString(sum[:]), "old", "us-east-1", time.Now()); err != nil {
			t.Fatal(err)
		}
		if res, got := do(t, h.client(t, "http/1.1"), r); res.StatusCode != 200 || !strings.Contains(got, c.want) {
			t.Errorf("%d %s", res.StatusCode, got)
		}
	}
}
