package sigv4

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	v4 "github.com/aws/aws-sdk-go-v2/aws/signer/v4"
	"pgregory.net/rapid"

	"github.com/thalweg/thalweg/fault"
)

var (
	day   = time.Date(2026, 3, 4, 5, 6, 7, 0, time.UTC)
	creds = aws.Credentials{AccessKeyID: "AKIDEXAMPLE", SecretAccessKey: "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY"}
)

// arrived turns a client's request into what a server would see of it.
func arrived(req *http.Request, body []byte) *Request {
	host := req.Host
	if host == "" {
		host = req.URL.Host
	}
	return &Request{Method: req.Method, Target: req.URL.RequestURI(), Host: host, Header: req.Header, BodyHash: sha256.Sum256(body)}
}

// sign has the SDK sign a request with these headers, in the header form.
func sign(t interface{ Fatal(...any) }, target string, header map[string]string, body []byte) *Request {
	req, err := http.NewRequest("POST", "https://kinesis.us-east-1.amazonaws.com"+target, nil)
	if err != nil {
		t.Fatal(err)
	}
	for k, v := range header {
		req.Header.Set(k, v)
	}
	sum := sha256.Sum256(body)
	if err := v4.NewSigner().SignHTTP(t.(testing.TB).Context(), creds, req, hex.EncodeToString(sum[:]), "kinesis", "us-east-1", day); err != nil {
		t.Fatal(err)
	}
	return arrived(req, body)
}

func check(r *Request, secret string, now time.Time) error {
	s, err := Parse(r)
	if err != nil {
		return err
	}
	if err := s.CheckScope("kinesis", now); err != nil {
		return err
	}
	var v Verifier
	return v.Verify(r, &s, DeriveKey(secret, s.Day, s.Region, s.Service))
}

// The SDK's own signer is the oracle: whatever it signs is accepted, and
// nothing that was changed afterwards is.
func TestSDKSigned(t *testing.T) {
	value := rapid.StringMatching(`[a-zA-Z0-9=;:,/.+"]{1,12}([ ]{1,3}[a-zA-Z0-9]{1,8}){0,2}`)
	name := rapid.StringMatching(`X-[A-Z][a-z]{1,8}(-[A-Z][a-z]{1,5})?`)
	text := rapid.StringMatching(`[ -~é☃]{0,12}`)
	rapid.Check(t, func(t *rapid.T) {
		u := url.URL{Scheme: "https", Host: rapid.SampledFrom([]string{"localhost:4567", "kinesis.eu-west-1.amazonaws.com", "[::1]:80"}).Draw(t, "host"),
			Path: "/" + text.Draw(t, "path")}
		query := url.Values{}
		for range rapid.IntRange(0, 4).Draw(t, "args") {
			query.Add(text.Draw(t, "name"), text.Draw(t, "value"))
		}
		presign := rapid.Bool().Draw(t, "presign")
		if presign {
			query.Set("X-Amz-Expires", "60")
		}
		u.RawQuery = query.Encode()
		req, err := http.NewRequest("POST", u.String(), nil)
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("X-Amz-Target", "Kinesis_20131202.PutRecord")
		for range rapid.IntRange(0, 4).Draw(t, "headers") {
			req.Header.Add(name.Draw(t, "header"), value.Draw(t, "content"))
		}
		c := creds
		if rapid.Bool().Draw(t, "session") {
			c.SessionToken = "FwoGZX+/session=="
		}
		body := []byte(text.Draw(t, "body"))
		sum := sha256.Sum256(body)
		payload := hex.EncodeToString(sum[:])
		if presign {
			signed, header, err := v4.NewSigner().PresignHTTP(t.Context(), c, req, payload, "kinesis", "eu-west-1", day)
			if err != nil {
				t.Fatal(err)
			}
			old := req.Header
			if req, err = http.NewRequest("POST", signed, nil); err != nil {
				t.Fatal(err)
			}
			for k := range header {
				if v := old[k]; v != nil {
					req.Header[k] = v
				}
			}
		} else if err := v4.NewSigner().SignHTTP(t.Context(), c, req, payload, "kinesis", "eu-west-1", day); err != nil {
			t.Fatal(err)
		}
		r := arrived(req, body)
		if err := check(r, c.SecretAccessKey, day.Add(30*time.Second)); err != nil {
			t.Fatalf("refused %s %v: %v", r.Target, r.Header, err)
		}
		switch rapid.IntRange(0, 4).Draw(t, "tamper") {
		case 0:
			r.BodyHash[3] ^= 1
		case 1:
			r.Host += "x"
		case 2:
			if r.Header["X-Amz-Target"] == nil {
				return // hoisted into the query
			}
			r.Header["X-Amz-Target"] = []string{"Kinesis_20131202.DeleteStream"}
		case 3:
			path, rest, ok := strings.Cut(r.Target, "?")
			if r.Target = path + "x"; ok {
				r.Target += "?" + rest
			}
		case 4:
			r.Method = "PUT"
		}
		if got := fault.Of(check(r, c.SecretAccessKey, day)); got != fault.Unauthentic {
			t.Fatalf("accepted a changed request: %v", got)
		}
	})
}

// AWS's texts for what is missing or doubled, from kinesalite's
// test/connection.js, which was validated against AWS.
func TestParseTexts(t *testing.T) {
	const (
		noCredential = "Authorization header requires 'Credential' parameter. "
		noSignature  = "Authorization header requires 'Signature' parameter. "
		noSigned     = "Authorization header requires 'SignedHeaders' parameter. "
		noDate       = "Authorization header requires existence of either a 'X-Amz-Date' or a 'Date' header. "
		noArgs       = "AWS query-string parameters must include 'X-Amz-Algorithm'. AWS query-string parameters must include 'X-Amz-Credential'. " +
			"AWS query-string parameters must include 'X-Amz-Signature'. AWS query-string parameters must include 'X-Amz-SignedHeaders'. " +
			"AWS query-string parameters must include 'X-Amz-Date'. Re-examine the query-string parameters."
		whole = "AWS4-HMAC-SHA256 Credential=AK/20260304/us-east-1/kinesis/aws4_request, SignedHeaders=host;x-amz-date, Signature=00"
	)
	for _, c := range []struct{ target, auth, date, code, text string }{
		{"/", "", "", "MissingAuthenticationTokenException", "Missing Authentication Token"},
		{"/?X-Amz-Credential=a&X-Amz-Signature=b&X-Amz-SignedHeaders=c&X-Amz-Date=d", "", "", "MissingAuthenticationTokenException", "Missing Authentication Token"},
		{"/", "X", "", "IncompleteSignatureException", noCredential + noSignature + noSigned + noDate + "Authorization=X"},
		{"/?X-Amz-Algorith", "X", "", "IncompleteSignatureException", noCredential + noSignature + noSigned + noDate + "Authorization=X"},
		{"/", "AWS4- Signature=b Credential=a", "a", "IncompleteSignatureException", noSigned + "Authorization=AWS4- Signature=b Credential=a"},
		{"/", "AWS4- Signature=b,Credential=a", "a", "IncompleteSignatureException", noSigned + "Authorization=AWS4- Signature=b,Credential=a"},
		{"/", "AWS4- Signature=b, Credential=a", "a", "IncompleteSignatureException", noSigned + "Authorization=AWS4- Signature=b, Credential=a"},
		{"/?X-Amz-Algorithm", "X", "", "InvalidSignatureException", "Found both 'X-Amz-Algorithm' as a query-string param and 'Authorization' as HTTP header."},
		{"/?X-Amz-Algorithm", "", "", "IncompleteSignatureException", noArgs},
		{"/?X-Amz-Algorithm=a&X-Amz-Credential=b&X-Amz-Signature=c&X-Amz-Date=d", "", "", "IncompleteSignatureException",
			"AWS query-string parameters must include 'X-Amz-SignedHeaders'. Re-examine the query-string parameters."},
		{"/", strings.Replace(whole, "AK/", "", 1), "20260304T050607Z", "IncompleteSignatureException",
			"Credential must have exactly 5 slash-delimited elements, e.g. keyid/date/region/service/term, got '20260304/us-east-1/kinesis/aws4_request'"},
		{"/", strings.Replace(whole, "SHA256", "SHA1", 1), "20260304T050607Z", "IncompleteSignatureException", "Unsupported AWS 'algorithm': 'AWS4-HMAC-SHA1'."},
		{"/", whole, "yesterday", "IncompleteSignatureException", "Date must be in ISO-8601 'basic format'. Got 'yesterday'. See http://en.wikipedia.org/wiki/ISO_8601"},
	} {
		r := &Request{Method: "POST", Target: c.target, Header: http.Header{}}
		if c.auth != "" {
			r.Header["Authorization"] = []string{c.auth}
		}
		if c.date != "" {
			r.Header["Date"] = []string{c.date}
		}
		_, err := Parse(r)
		wantFault(t, err, c.code, c.text)
	}
	s, err := Parse(&Request{Method: "POST", Target: "/", Header: http.Header{"Authorization": {whole}, "Date": {"Wed, 04 Mar 2026 05:06:07 GMT"}}})
	if err != nil || !s.Time.Equal(day) || s.AccessKey != "AK" || s.Region != "us-east-1" || s.Service != "kinesis" {
		t.Errorf("parsed %+v, %v", s, err)
	}
}

func wantFault(t *testing.T, err error, code, text string) {
	t.Helper()
	var f *fault.Error
	if !errors.As(err, &f) || f.Code != code || f.Message != text {
		t.Errorf("got  %#v\nwant %s: %s", err, code, text)
	}
}

// The texts of a clock that is off are AWS's (aws-sdk-android#88, awsbeats#48).
func TestRefusals(t *testing.T) {
	header := map[string]string{"X-Amz-Target": "Kinesis_20131202.PutRecord", "Content-Type": "application/x-amz-json-1.1"}
	good := func() *Request { return sign(t, "/", header, []byte("{}")) }
	if err := check(good(), creds.SecretAccessKey, day.Add(5*time.Minute)); err != nil {
		t.Errorf("five minutes old: %v", err)
	}
	wantFault(t, check(good(), creds.SecretAccessKey, day.Add(5*time.Minute+time.Second)), "InvalidSignatureException",
		"Signature expired: 20260304T050607Z is now earlier than 20260304T050608Z (20260304T051108Z - 5 min.)")
	wantFault(t, check(good(), creds.SecretAccessKey, day.Add(-6*time.Minute)), "InvalidSignatureException",
		"Signature not yet current: 20260304T050607Z is still later than 20260304T050507Z (20260304T050007Z + 5 min.)")
	wantFault(t, check(good(), "another", day), "InvalidSignatureException", mismatch)

	r := good()
	r.Header["X-Amz-Security-Token"] = []string{"smuggled"}
	wantFault(t, check(r, creds.SecretAccessKey, day), "InvalidSignatureException", "'X-Amz-Security-Token' must be a 'SignedHeader' in the AWS Authorization.")
	r = good()
	r.Header["X-Amz-Target"] = append(r.Header["X-Amz-Target"], "Kinesis_20131202.DeleteStream")
	wantFault(t, check(r, creds.SecretAccessKey, day), "InvalidSignatureException", "Found more than one 'x-amz-target' header.")
	r = good()
	r.Header["Authorization"] = []string{strings.Replace(r.Header["Authorization"][0], "host;", "", 1)}
	wantFault(t, check(r, creds.SecretAccessKey, day), "InvalidSignatureException", "'Host' or ':authority' must be a 'SignedHeader' in the AWS Authorization.")
	r = good()
	r.Header["Authorization"] = []string{strings.Replace(r.Header["Authorization"][0], "host;", "host;host;", 1)}
	wantFault(t, check(r, creds.SecretAccessKey, day), "InvalidSignatureException",
		"SignedHeaders must be sorted, in lower case and without repetition. Got 'content-type;host;host;x-amz-date;x-amz-target'.")
	r = good()
	r.Header["Authorization"] = []string{strings.Replace(r.Header["Authorization"][0], "/kinesis/", "/firehose/", 1)}
	wantFault(t, check(r, creds.SecretAccessKey, day), "InvalidSignatureException", "Credential should be scoped to correct service: 'kinesis'. ")
	r = good()
	r.Header["Authorization"] = []string{strings.Replace(r.Header["Authorization"][0], "/20260304/", "/20260303/", 1)}
	wantFault(t, check(r, creds.SecretAccessKey, day), "InvalidSignatureException",
		"Date in Credential scope does not match YYYYMMDD from ISO-8601 version of date from HTTP: '20260303' != '20260304', from '20260304T050607Z'.")
	wantFault(t, UnknownKey(), "UnrecognizedClientException", "The security token included in the request is invalid.")
}

// Whatever the bytes, parsing and verifying end, and end in a fault or in the
// one right signature.
func FuzzParse(f *testing.F) {
	r := sign(f, "/?a=b%20c&d", map[string]string{"X-Amz-Target": "Kinesis_20131202.ListStreams"}, nil)
	f.Add("/?a=b%20c&d", r.Header["Authorization"][0], "20260304T050607Z")
	f.Add("/?X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Credential=a/b/c/d/e&X-Amz-Signature=%zz", "", "")
	f.Add("http://host/p?X-Amz-Algorithm", "X", "")
	f.Add("*", "AWS4-HMAC-SHA256 Credential=////,SignedHeaders=;;host,Signature==", "Wed, 04 Mar 2026 05:06:07 GMT")
	var v Verifier
	f.Fuzz(func(t *testing.T, target, auth, date string) {
		r := &Request{Method: "POST", Target: target, Host: "h", Header: http.Header{"Authorization": {auth}, "X-Amz-Date": {date}}}
		s, err := Parse(r)
		if err == nil {
			err = s.CheckScope("kinesis", day)
		}
		if err == nil {
			err = v.Verify(r, &s, DeriveKey("a secret that no corpus has", s.Day, s.Region, s.Service))
			if err == nil {
				t.Fatal("verified")
			}
		}
		if fault.Of(err) == fault.Internal {
			t.Fatalf("not a fault: %v", err)
		}
	})
}

// One verification with a ready key, the body's hash not counted: no
// allocation once the Verifier is warm.
func TestVerifyAllocates(t *testing.T) {
	r := sign(t, "/", map[string]string{"X-Amz-Target": "Kinesis_20131202.PutRecord", "Content-Type": "application/x-amz-json-1.1"}, []byte("{}"))
	var v Verifier
	key := DeriveKey(creds.SecretAccessKey, "20260304", "us-east-1", "kinesis")
	if n := testing.AllocsPerRun(100, func() {
		if s, err := Parse(r); err != nil || s.CheckScope("kinesis", day) != nil || v.Verify(r, &s, key) != nil {
			t.Fatal("refused")
		}
	}); n > 0 {
		t.Errorf("%v allocations", n)
	}
}

func BenchmarkVerify(b *testing.B) {
	r := sign(b, "/", map[string]string{"X-Amz-Target": "Kinesis_20131202.PutRecord", "Content-Type": "application/x-amz-json-1.1"}, []byte("{}"))
	var v Verifier
	key := DeriveKey(creds.SecretAccessKey, "20260304", "us-east-1", "kinesis")
	b.ReportAllocs()
	for b.Loop() {
		s, err := Parse(r)
		if err == nil {
			err = s.CheckScope("kinesis", day)
		}
		if err == nil {
			err = v.Verify(r, &s, key)
		}
		if err != nil {
			b.Fatal(err)
		}
	}
}
