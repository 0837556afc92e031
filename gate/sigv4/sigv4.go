// Package sigv4 verifies AWS Signature Version 4 as of a given now: it takes
// a request apart (Parse), rebuilds the canonical request from the bytes that
// arrived, and compares. It hides the canonical form, the derivation of keys
// and the rules about what must be signed; its faults carry AWS's names and
// texts. It never reads a clock, a body or a secret store, never signs, and
// knows nothing of net/http. Oracle in tests: the SDK's own signer.
package sigv4

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"hash"
	"strings"
	"time"

	"github.com/thalweg/thalweg/fault"
)

const (
	algorithm  = "AWS4-HMAC-SHA256"
	terminator = "aws4_request"
	basicTime  = "20060102T150405Z"
	skew       = 5 * time.Minute // either way, as AWS's texts for Kinesis say
	maxExpires = 7 * 24 * time.Hour
)

// Request is what a signature covers, as it arrived.
type Request struct {
	Method string
	Target string // the raw request-target: path and query, nothing decoded
	Host   string // the Host header or :authority
	// Header has MIME-canonical keys, as net/http makes them.
	Header   map[string][]string
	BodyHash [32]byte // SHA-256 of the body as received
}

// Key is a signing key: a secret bound to one day, region and service.
type Key [32]byte

// DeriveKey makes the signing key of secret for day (YYYYMMDD), region and
// service. It costs four HMACs, so whoever verifies much keeps the result.
func DeriveKey(secret, day, region, service string) Key {
	key := []byte("AWS4" + secret)
	for _, part := range [...]string{day, region, service, terminator} {
		m := hmac.New(sha256.New, key)
		m.Write([]byte(part))
		key = m.Sum(nil)
	}
	return Key(key)
}

// Verifier checks signatures. It keeps scratch space and the last key ready
// for the next call, so one Verifier serves one goroutine at a time. The zero
// Verifier is ready.
type Verifier struct {
	buf  []byte
	mac  hash.Hash
	key  Key
	sum  [sha256.Size]byte
	text [2 * sha256.Size]byte
	args []arg // of the query, when there is one
}

// CheckScope makes sure that the signature is for service, for the day of its
// own time, and not too old or too far ahead at now: five minutes either way,
// or until the time the query form's X-Amz-Expires grants. It needs no key.
func (s *Signature) CheckScope(service string, now time.Time) error {
	if s.Terminator != terminator {
		return invalid("Credential should be scoped with a valid terminator: '%s', not '%s'.", terminator, s.Terminator)
	}
	if s.Service != service {
		return invalid("Credential should be scoped to correct service: '%s'. ", service)
	}
	at := s.Time.UTC()
	var day [len("20060102")]byte
	if string(at.AppendFormat(day[:0], "20060102")) != s.Day {
		return invalid("Date in Credential scope does not match YYYYMMDD from ISO-8601 version of date from HTTP: '%s' != '%s', from '%s'.",
			s.Day, at.Format("20060102"), at.Format(basicTime))
	}
	now = now.UTC().Truncate(time.Second)
	life := skew
	if s.Expires > 0 {
		life = s.Expires
	}
	if first := now.Add(-life); at.Before(first) {
		return invalid("Signature expired: %s is now earlier than %s (%s - %d min.)",
			at.Format(basicTime), first.Format(basicTime), now.Format(basicTime), int(life.Minutes()))
	}
	if last := now.Add(skew); at.After(last) {
		return invalid("Signature not yet current: %s is still later than %s (%s + %d min.)",
			at.Format(basicTime), last.Format(basicTime), now.Format(basicTime), int(skew.Minutes()))
	}
	return nil
}

// Verify reports, as a fault, whether s is not the signature of r under key.
// host and every x-amz-* header that r has must be among the signed headers,
// so that nothing that steers the call can be changed on the way. The caller
// has called CheckScope.
func (v *Verifier) Verify(r *Request, s *Signature, key Key) error {
	if err := v.canonical(r, s); err != nil {
		return err
	}
	hashed := sha256.Sum256(v.buf)
	b := append(v.buf[:0], algorithm...)
	b = append(b, '\n')
	b = s.Time.UTC().AppendFormat(b, basicTime)
	b = append(b, '\n')
	for _, part := range [...]string{s.Day, s.Region, s.Service} {
		b = append(append(b, part...), '/')
	}
	b = append(append(b, terminator...), '\n')
	b = hex.AppendEncode(b, hashed[:])
	v.buf = b
	if v.mac == nil || v.key != key {
		v.key = key
		v.mac = hmac.New(sha256.New, v.key[:])
	}
	v.mac.Reset()
	v.mac.Write(b)
	hex.Encode(v.text[:], v.mac.Sum(v.sum[:0]))
	// The copy keeps the comparison free of an allocation: the signature is a
	// piece of a header, the right one in any case 64 characters long.
	b = append(b[:0], s.Signature...)
	v.buf = b
	if !hmac.Equal(v.text[:], b) {
		return invalid("%s", mismatch)
	}
	return nil
}

const mismatch = "The request signature we calculated does not match the signature you provided. " +
	"Check your AWS Secret Access Key and signing method. Consult the service documentation for details."

// UnknownKey is the fault for an access key id, or a session token, that
// nobody was given.
func UnknownKey() error {
	return fault.Coded(fault.Unauthentic, "UnrecognizedClientException", "The security token included in the request is invalid.")
}

// WrongRegion is the fault for a scope that names a region the server is not.
func WrongRegion() error { return invalid("Credential should be scoped to a valid region. ") }

func invalid(format string, args ...any) error {
	return fault.Coded(fault.Unauthentic, "InvalidSignatureException", format, args...)
}

func incomplete(format string, args ...any) error {
	return fault.Coded(fault.Unauthentic, "IncompleteSignatureException", format, args...)
}

// first returns the first value of the header with this canonical key.
func (r *Request) first(key string) string {
	if v := r.Header[key]; len(v) > 0 {
		return v[0]
	}
	return ""
}

// split takes the path and the raw query out of the request-target; an
// absolute one, as proxies send it, loses its scheme and authority.
func (r *Request) split() (path, query string) {
	path, query, _ = strings.Cut(r.Target, "?")
	if !strings.HasPrefix(path, "/") {
		_, rest, _ := strings.Cut(path, "://")
		_, path, _ = strings.Cut(rest, "/")
		return "/" + path, query
	}
	return path, query
}
