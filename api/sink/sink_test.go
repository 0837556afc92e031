package sink

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/xml"
	"fmt"
	"net/http/httptest"
	"net/url"
	"os"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	v4 "github.com/aws/aws-sdk-go-v2/aws/signer/v4"
	"github.com/google/go-cmp/cmp"

	"github.com/thalweg/thalweg/gate"
)

const form = "application/x-www-form-urlencoded"

// fixture is a gate with nothing but this package behind it.
type fixture struct {
	*gate.Gate
	*Metrics
}

func newFixture(t testing.TB, auth gate.Auth) *fixture {
	f := &fixture{Metrics: new(Metrics)}
	var err error
	f.Gate, err = gate.New(gate.Config{Auth: auth, Services: New(Config{f.Metrics, auth.Issue, auth.Mode == gate.Verify})})
	if err != nil {
		t.Fatal(err)
	}
	return f
}

// send makes a request, signed by who.
func (f *fixture) send(t testing.TB, who aws.Credentials, service, path, contentType, target, body string) (int, string) {
	t.Helper()
	r := httptest.NewRequest("POST", path, strings.NewReader(body))
	r.Header.Set("Content-Type", contentType)
	r.Header.Set("Content-Length", fmt.Sprint(len(body))) // as a server's requests have it
	if target != "" {
		r.Header.Set("X-Amz-Target", target)
	}
	sum := sha256.Sum256([]byte(body))
	if err := v4.NewSigner().SignHTTP(t.Context(), who, r, hex.EncodeToString(sum[:]), service, "eu-west-1", time.Now()); err != nil {
		t.Fatal(err)
	}
	w := httptest.NewRecorder()
	f.ServeHTTP(w, r)
	return w.Code, w.Body.String()
}

func anybody() aws.Credentials {
	return aws.Credentials{AccessKeyID: "123456789012", SecretAccessKey: "any"}
}

// The three protocols of PutMetricData carry the same to the same place (facts:
// the KPL and old SDKs send forms, JavaScript JSON 1.0, new SDKs rpc-v2-cbor).
func TestPutMetricData(t *testing.T) {
	const json = "application/x-amz-json-1.0"
	now := fmt.Sprint(time.Now().Unix())
	want := []Series{
		{"123456789012", "KinesisProducerLibrary", "UserRecordsPut", "ShardId=shardId-0,StreamName=s", "Count", 6, 4, 1, 2},
		{"123456789012", "KinesisProducerLibrary", "Weighted", "", "None", 70, 4, 10, 20},
	}
	for _, c := range []struct{ name, path, contentType, target, body, answer string }{
		{"query", "/", form, "", "Action=PutMetricData&Version=2010-08-01&Namespace=KinesisProducerLibrary" +
			"&MetricData.member.1.MetricName=UserRecordsPut&MetricData.member.1.Unit=Count&MetricData.member.1.StatisticValues.SampleCount=4" +
			"&MetricData.member.1.StatisticValues.Sum=6&MetricData.member.1.StatisticValues.Minimum=1&MetricData.member.1.StatisticValues.Maximum=2" +
			"&MetricData.member.1.Dimensions.member.1.Name=StreamName&MetricData.member.1.Dimensions.member.1.Value=s" +
			"&MetricData.member.1.Dimensions.member.2.Name=ShardId&MetricData.member.1.Dimensions.member.2.Value=shardId-0" +
			"&MetricData.member.1.Timestamp=" + url.QueryEscape(time.Now().UTC().Format(time.RFC3339)) +
			"&MetricData.member.2.MetricName=Weighted&MetricData.member.2.Values.member.1=10&MetricData.member.2.Values.member.2=20" +
			"&MetricData.member.2.Counts.member.1=1&MetricData.member.2.Counts.member.2=3", "<PutMetricDataResponse "},
		{"JSON 1.0", "/", json, "GraniteServiceVersion20100801.PutMetricData", `{"Namespace":"KinesisProducerLibrary","MetricData":[
			{"MetricName":"UserRecordsPut","Unit":"Count","StatisticValues":{"SampleCount":4,"Sum":6,"Minimum":1,"Maximum":2},"Timestamp":` + now + `,
			 "Dimensions":[{"Name":"StreamName","Value":"s"},{"Name":"ShardId","Value":"shardId-0"}]},
			{"MetricName":"Weighted","Values":[10,20],"Counts":[1,3]}]}`, ""},
		{"rpc-v2-cbor", "/service/GraniteServiceVersion20100801/operation/PutMetricData", "application/cbor", "",
			"\xa2\x69Namespace\x76KinesisProducerLibrary\x70EntityMetricData\x82\xa1\x6aMetricData\x81\xa5\x6aMetricName\x6eUserRecordsPut\x64Unit\x65Count" +
				"\x6fStatisticValues\xa4\x6bSampleCount\x04\x63Sum\x06\x67Minimum\x01\x67Maximum\x02\x69Timestamp\xc1\x1a" + string([]byte{byte(time.Now().Unix() >> 24), byte(time.Now().Unix() >> 16), byte(time.Now().Unix() >> 8), byte(time.Now().Unix())}) +
				"\x6aDimensions\x82\xa2\x64Name\x6aStreamName\x65Value\x61s\xa2\x64Name\x67ShardId\x65Value\x69shardId-0" +
				"\xa1\x6aMetricData\x81\xa3\x6aMetricName\x68Weighted\x66Values\x82\x0a\xfb\x40\x34\x00\x00\x00\x00\x00\x00\x66Counts\x82\x01\x03", "\xa0"},
	} {
		f := newFixture(t, gate.Auth{})
		status, got := f.send(t, anybody(), "monitoring", c.path, c.contentType, c.target, c.body)
		if status != 200 || !strings.HasPrefix(got, c.answer) {
			t.Errorf("%s: %d %s", c.name, status, got)
		}
		all := f.All()
		slices.SortFunc(all, func(a, b Series) int { return strings.Compare(a.Name, b.Name) })
		if diff := cmp.Diff(want, all); diff != "" {
			t.Errorf("%s: %s", c.name, diff)
		}
		f.send(t, anybody(), "monitoring", c.path, c.contentType, c.target, c.body)
		if all := f.All(); len(all) != 2 || all[0].Sum+all[1].Sum != 2*(6+70) || all[0].Count != 8 {
			t.Errorf("%s, twice: %v", c.name, all)
		}
	}
}

func TestPutMetricDataRefuses(t *testing.T) {
	for _, c := range []struct{ in, code, text string }{
		{"", "ValidationError", "Value null at 'namespace' failed to satisfy constraint: Member must not be null"},
		{"&Namespace=x", "MissingParameter", "The parameter MetricData is required."},
		{"&Namespace=:x&MetricData.member.1.Value=1", "ValidationError", "Member must satisfy regular expression pattern"},
		{"&Namespace=x&MetricData.member.1.Value=1", "ValidationError", "metricName"},
		{"&Namespace=x&MetricData.member.1.MetricName=m", "MissingParameter", "One of the parameters MetricData.member.1.Value, MetricData.member.1.StatisticValues and MetricData.member.1.Values is required."},
		{"&Namespace=x&MetricData.member.1.MetricName=m&MetricData.member.1.Value=1&MetricData.member.1.Unit=Furlongs", "ValidationError", "Member must satisfy enum value set: [Seconds, "},
		{"&Namespace=x&MetricData.member.1.MetricName=m&MetricData.member.1.Value=NaN", "InvalidParameterValue", "A value of MetricData.member.1 is not a number"},
		{"&Namespace=x&MetricData.member.1.MetricName=m&MetricData.member.1.Value=Infinity", "InvalidParameterValue", "A value of MetricData.member.1 is not a number"},
		{"&Namespace=x&MetricData.member.1.MetricName=m&MetricData.member.1.Value=1&MetricData.member.1.Values.member.1=1", "InvalidParameterCombination", "MetricData.member.1.Values"},
		{"&Namespace=x&MetricData.member.1.MetricName=m&MetricData.member.1.Values.member.1=1&MetricData.member.1.Counts.member.1=1&MetricData.member.1.Counts.member.2=1", "InvalidParameterValue", "same size"},
		{"&Namespace=x&MetricData.member.1.MetricName=m&MetricData.member.1.Values.member.1=1&MetricData.member.1.Counts.member.1=-1", "InvalidParameterValue", "negative"},
		{"&Namespace=x&MetricData.member.1.MetricName=m&MetricData.member.1.Value=1&MetricData.member.1.Timestamp=2001-01-01T00:00:00Z", "InvalidParameterValue", "two weeks"},
		{"&Namespace=x&MetricData.member.1.MetricName=m&MetricData.member.1.Value=1&MetricData.member.2.MetricName=m", "MissingParameter", "MetricData.member.2.Value"},
	} {
		f := newFixture(t, gate.Auth{})
		status, got := f.send(t, anybody(), "monitoring", "/", form, "", "Action=PutMetricData&Version=2010-08-01"+c.in)
		if status != 400 || !strings.Contains(got, "<Code>"+c.code+"</Code>") || !strings.Contains(got, c.text) {
			t.Errorf("%s: %d %s", c.in, status, got)
		}
		if len(f.All()) > 0 {
			t.Errorf("%s: and yet there is %v", c.in, f.All())
		}
	}
	f := newFixture(t, gate.Auth{})
	status, got := f.send(t, anybody(), "monitoring", "/", "application/x-amz-json-1.0", "GraniteServiceVersion20100801.PutMetricData", `{"Namespace":"x"}`)
	if status != 400 || got != `{"__type":"MissingRequiredParameterException","message":"The parameter MetricData is required."}` {
		t.Errorf("%d %s", status, got)
	}
	if status, got := f.send(t, anybody(), "monitoring", "/", form, "", "Action=GetMetricData&Version=2010-08-01"); status != 400 || !strings.Contains(got, "It does not have GetMetricData.") {
		t.Errorf("%d %s", status, got)
	}
}

// Clients choose the names, and cannot fill the memory with them.
func TestMetricsAreBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var m Metrics
		one := func(name string) []datum {
			return []datum{{labels{namespace: "n", name: name}, statistics{sum: 1, count: 1}}}
		}
		for i := range maxSeries + 5 {
			m.add(one(fmt.Sprint(i)), time.Now())
		}
		if n, d := len(m.All()), m.Dropped(); n != maxSeries || d != 5 {
			t.Errorf("%d series, %d dropped", n, d)
		}
		time.Sleep(idle - time.Second)
		m.add(one("0"), time.Now())
		m.add(one("new"), time.Now())
		if n, d := len(m.All()), m.Dropped(); n != maxSeries || d != 6 {
			t.Errorf("before they are idle: %d series, %d dropped", n, d)
		}
		time.Sleep(sweepGap)
		m.add(one("new"), time.Now())
		if n, d := len(m.All()), m.Dropped(); n != 2 || d != 6 || m.text != len("n0nnew") {
			t.Errorf("when all but one are idle: %d series, %d dropped, %d bytes", n, d, m.text)
		}
		m.add(one(strings.Repeat("x", maxText)), time.Now())
		if n, d := len(m.All()), m.Dropped(); n != 2 || d != 7 {
			t.Errorf("a long name: %d series, %d dropped", n, d)
		}
	})
}

// identity is an answer of GetCallerIdentity, or an error.
type identity struct {
	Arn     string `xml:"GetCallerIdentityResult>Arn"`
	UserId  string `xml:"GetCallerIdentityResult>UserId"`
	Account string `xml:"GetCallerIdentityResult>Account"`
	Code    string `xml:"Error>Code"`
	Message string `xml:"Error>Message"`
}

func (f *fixture) whoami(t testing.TB, who aws.Credentials) (id identity) {
	t.Helper()
	_, got := f.send(t, who, "sts", "/", form, "", "Action=GetCallerIdentity&Version=2011-06-15")
	if err := xml.Unmarshal([]byte(got), &id); err != nil {
		t.Fatalf("%s: %v", got, err)
	}
	return id
}

// assumed is an answer of AssumeRole, or an error.
type assumed struct {
	Key        string    `xml:"AssumeRoleResult>Credentials>AccessKeyId"`
	Secret     string    `xml:"AssumeRoleResult>Credentials>SecretAccessKey"`
	Token      string    `xml:"AssumeRoleResult>Credentials>SessionToken"`
	Expiration time.Time `xml:"AssumeRoleResult>Credentials>Expiration"`
	Arn        string    `xml:"AssumeRoleResult>AssumedRoleUser>Arn"`
	Source     string    `xml:"AssumeRoleResult>SourceIdentity"`
	Code       string    `xml:"Error>Code"`
	Message    string    `xml:"Error>Message"`
}

func (a assumed) credentials() aws.Credentials {
	return aws.Credentials{AccessKeyID: a.Key, SecretAccessKey: a.Secret, SessionToken: a.Token}
}

func (f *fixture) assume(t testing.TB, who aws.Credentials, role, more string) (out assumed) {
	t.Helper()
	_, got := f.send(t, who, "sts", "/", form, "", "Action=AssumeRole&Version=2011-06-15&RoleSessionName=me&RoleArn="+role+more)
	if err := xml.Unmarshal([]byte(got), &out); err != nil {
		t.Fatalf("%s: %v", got, err)
	}
	return out
}

const (
	own     = "arn:aws:iam::111122223333:role/path/to/reader"
	foreign = "arn:aws:iam::999988887777:role/reader"
)

func verifying() gate.Auth {
	return gate.Auth{Mode: gate.Verify, SessionKey: [32]byte{1, 2, 3}, Lookup: func(id string) (secret, account string, ok bool) {
		return "secret", "111122223333", id == "AKIDEXAMPLE"
	}}
}

// A session's credentials are good for what they say, until they expire, and
// for nothing else.
func TestSessions(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFixture(t, verifying())
		root := aws.Credentials{AccessKeyID: "AKIDEXAMPLE", SecretAccessKey: "secret"}
		if got := f.whoami(t, root); got != (identity{Arn: "arn:aws:iam::111122223333:root", UserId: "111122223333", Account: "111122223333"}) {
			t.Errorf("root is %+v", got)
		}
		s := f.assume(t, root, own, "&DurationSeconds=900&SourceIdentity=alice")
		if s.Arn != "arn:aws:sts::111122223333:assumed-role/reader/me" || !strings.HasPrefix(s.Key, "ASIA") || len(s.Key) != 20 || len(s.Secret) != 40 ||
			!s.Expiration.Equal(time.Now().Truncate(time.Second).Add(900*time.Second)) || s.Source != "alice" {
			t.Fatalf("%+v", s)
		}
		if got := f.whoami(t, s.credentials()); got.Arn != s.Arn || got.Account != "111122223333" || !strings.HasSuffix(got.UserId, ":me") {
			t.Errorf("the session is %+v", got)
		}
		again := f.assume(t, root, own, "")
		if again.Key == s.Key || again.Token == s.Token {
			t.Error("the same credentials twice")
		}
		for name, c := range map[string]struct {
			who  aws.Credentials
			code string
		}{
			"another secret":    {aws.Credentials{AccessKeyID: s.Key, SecretAccessKey: "guess", SessionToken: s.Token}, "SignatureDoesNotMatch"},
			"another key":       {aws.Credentials{AccessKeyID: again.Key, SecretAccessKey: s.Secret, SessionToken: s.Token}, "InvalidClientTokenId"},
			"without its token": {aws.Credentials{AccessKeyID: s.Key, SecretAccessKey: s.Secret}, "InvalidClientTokenId"},
			"another's token":   {aws.Credentials{AccessKeyID: s.Key, SecretAccessKey: s.Secret, SessionToken: again.Token}, "InvalidClientTokenId"},
			"a made-up token":   {aws.Credentials{AccessKeyID: s.Key, SecretAccessKey: s.Secret, SessionToken: "A" + s.Token[1:]}, "InvalidClientTokenId"},
			"root with a token": {aws.Credentials{AccessKeyID: "AKIDEXAMPLE", SecretAccessKey: "secret", SessionToken: "x"}, "InvalidClientTokenId"},
		} {
			if got := f.whoami(t, c.who); got.Code != c.code {
				t.Errorf("%s: %+v", name, got)
			}
		}
		if got := f.assume(t, root, foreign, ""); got.Code != "AccessDenied" || got.Message != "User: arn:aws:iam::111122223333:root is not authorized to perform: sts:AssumeRole on resource: "+foreign {
			t.Errorf("another account's role: %+v", got)
		}
		// Who holds the only credentials there are knows all that tokens are made of.
		auth := verifying()
		forged := auth.Issue(gate.Session{Parent: "AKIDEXAMPLE", Account: "999988887777", ARN: "arn:aws:sts::999988887777:assumed-role/reader/me", Expires: time.Now().Add(time.Hour)})
		if got := f.whoami(t, aws.Credentials{AccessKeyID: forged.AccessKey, SecretAccessKey: forged.Secret, SessionToken: forged.Token}); got.Code != "InvalidClientTokenId" {
			t.Errorf("a forged session of another account: %+v", got)
		}
		chained := f.assume(t, s.credentials(), "arn:aws:iam::111122223333:role/writer", "")
		if got := f.whoami(t, chained.credentials()); got.Arn != "arn:aws:sts::111122223333:assumed-role/writer/me" {
			t.Errorf("a session's session is %+v", got)
		}
		if got := f.assume(t, s.credentials(), own, "&DurationSeconds=3601"); got.Code != "ValidationError" || !strings.Contains(got.Message, "1 hour session limit") {
			t.Errorf("a long chain: %+v", got)
		}
		time.Sleep(900 * time.Second)
		if got := f.whoami(t, s.credentials()); got.Code != "" {
			t.Errorf("at its last second: %+v", got)
		}
		time.Sleep(time.Second)
		if got := f.whoami(t, s.credentials()); got.Code != "ExpiredToken" {
			t.Errorf("after its time: %+v", got)
		}
		other := verifying()
		other.SessionKey[0]++
		if got := newFixture(t, other).whoami(t, chained.credentials()); got.Code != "InvalidClientTokenId" {
			t.Errorf("where other credentials are configured: %+v", got)
		}
		gone := verifying()
		gone.Lookup = func(string) (string, string, bool) { return "secret", "111122223333", false }
		if got := newFixture(t, gone).whoami(t, chained.credentials()); got.Code != "InvalidClientTokenId" {
			t.Errorf("when the key it came from is gone: %+v", got)
		}
	})
}

// Where nothing is verified a role of any account can be assumed, and names it.
func TestSessionsOfAnybody(t *testing.T) {
	f := newFixture(t, gate.Auth{})
	s := f.assume(t, anybody(), foreign, "")
	if got := f.whoami(t, s.credentials()); got.Account != "999988887777" || got.Arn != s.Arn {
		t.Errorf("%+v", got)
	}
	if got := f.whoami(t, aws.Credentials{AccessKeyID: "test", SecretAccessKey: "test", SessionToken: "of another server"}); got.Account != "000000000000" {
		t.Errorf("%+v", got)
	}
}

func TestAssumeRoleRefuses(t *testing.T) {
	f := newFixture(t, gate.Auth{})
	for _, c := range []struct{ role, more, code, text string }{
		{"arn:aws:iam::111122223333:user/reader", "", "ValidationError", "is invalid"},
		{"short", "", "ValidationError", "Member must have length greater than or equal to 20"},
		{own, "&DurationSeconds=899", "ValidationError", "Member must have value greater than or equal to 900"},
		{own, "&Policy=%7B%7D", "ValidationError", "no policies yet"},
		{own, "&PolicyArns.member.1.arn=arn:aws:iam::aws:policy/ReadOnlyAccess", "ValidationError", "no policies yet"},
		{own, "&TokenCode=123456", "AccessDenied", "MultiFactorAuthentication failed"},
	} {
		if got := f.assume(t, anybody(), c.role, c.more); got.Code != c.code || !strings.Contains(got.Message, c.text) {
			t.Errorf("%s%s: %+v", c.role, c.more, got)
		}
	}
}

// Each operation has a file of its own, named for it.
func TestEveryOperationHasItsFile(t *testing.T) {
	for _, s := range New(Config{}) {
		for _, op := range s.Ops {
			var name strings.Builder
			for i, r := range op.Name {
				if i > 0 && 'A' <= r && r <= 'Z' {
					name.WriteByte('_')
				}
				name.WriteString(strings.ToLower(string(r)))
			}
			if _, err := os.Stat(name.String() + ".go"); err != nil {
				t.Error(err)
			}
		}
	}
}
