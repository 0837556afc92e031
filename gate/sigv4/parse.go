package sigv4

import (
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/thalweg/thalweg/fault"
)

// Signature is what a request says of its own signature. Its strings are
// pieces of the request's, and none of them has been verified.
type Signature struct {
	// The credential's five parts: who, and the scope.
	AccessKey, Day, Region, Service, Terminator string

	Time          time.Time // from X-Amz-Date, or Date
	SignedHeaders string    // names in lower case, between semicolons
	Signature     string    // hexadecimal
	Token         string    // X-Amz-Security-Token: a session's, or empty
	InQuery       bool      // in the query and not in the Authorization header
	Expires       time.Duration
}

// Parse takes the signature out of a request. Its faults are those of AWS, in
// AWS's order (as kinesalite's test/connection.js records them): both forms at
// once, none, missing parts all named together, parts that do not parse.
func Parse(r *Request) (Signature, error) {
	auth := r.Header["Authorization"]
	_, query := r.split()
	inQuery := query != "" && hasArg(query, "X-Amz-Algorithm")
	switch {
	case len(auth) > 0 && auth[0] != "" && inQuery:
		return Signature{}, invalid("Found both 'X-Amz-Algorithm' as a query-string param and 'Authorization' as HTTP header.")
	case inQuery:
		return parseQuery(query)
	case len(auth) == 0 || auth[0] == "":
		return Signature{}, fault.Coded(fault.Unauthentic, "MissingAuthenticationTokenException", "Missing Authentication Token")
	case len(auth) > 1:
		return Signature{}, invalid("Found more than one 'Authorization' header.")
	}
	return parseHeader(r, auth[0])
}

func parseHeader(r *Request, auth string) (s Signature, err error) {
	algo, rest := cutAny(auth)
	var credential string
	for rest != "" {
		var pair string
		pair, rest = cutAny(rest)
		switch name, value, _ := strings.Cut(pair, "="); name {
		case "Credential":
			credential = value
		case "Signature":
			s.Signature = value
		case "SignedHeaders":
			s.SignedHeaders = value
		}
	}
	date := r.first("X-Amz-Date")
	if credential == "" || s.Signature == "" || s.SignedHeaders == "" || date == "" && r.first("Date") == "" {
		var text strings.Builder
		for _, part := range [...][2]string{{"Credential", credential}, {"Signature", s.Signature}, {"SignedHeaders", s.SignedHeaders}} {
			if part[1] == "" {
				text.WriteString("Authorization header requires '" + part[0] + "' parameter. ")
			}
		}
		if date == "" && r.first("Date") == "" {
			text.WriteString("Authorization header requires existence of either a 'X-Amz-Date' or a 'Date' header. ")
		}
		return Signature{}, incomplete("%sAuthorization=%s", text.String(), auth)
	}
	s.Token = r.first("X-Amz-Security-Token")
	if err := s.fill(algo, credential); err != nil {
		return Signature{}, err
	}
	if date == "" {
		date = r.first("Date")
		if at, err := time.Parse("Mon, 02 Jan 2006 15:04:05 GMT", date); err == nil {
			s.Time = at
			return s, nil
		}
	}
	if s.Time, err = parseTime(date); err != nil {
		return Signature{}, err
	}
	return s, nil
}

func parseQuery(query string) (s Signature, err error) {
	s.InQuery = true
	var algo, credential, date, expires string
	for rest := query; rest != ""; {
		var pair string
		pair, rest, _ = strings.Cut(rest, "&")
		name, raw, _ := strings.Cut(pair, "=")
		var into *string
		switch name {
		case "X-Amz-Algorithm":
			into = &algo
		case "X-Amz-Credential":
			into = &credential
		case "X-Amz-Signature":
			into = &s.Signature
		case "X-Amz-SignedHeaders":
			into = &s.SignedHeaders
		case "X-Amz-Date":
			into = &date
		case "X-Amz-Expires":
			into = &expires
		case "X-Amz-Security-Token":
			into = &s.Token
		default:
			continue
		}
		if *into != "" {
			return Signature{}, invalid("Found more than one '%s' query-string parameter.", name)
		}
		if *into, err = url.QueryUnescape(raw); err != nil {
			return Signature{}, incomplete("AWS query-string parameter '%s' is not percent-encoded correctly.", name)
		}
	}
	var text strings.Builder
	for _, part := range [...][2]string{{"Algorithm", algo}, {"Credential", credential}, {"Signature", s.Signature},
		{"SignedHeaders", s.SignedHeaders}, {"Date", date}} {
		if part[1] == "" {
			text.WriteString("AWS query-string parameters must include 'X-Amz-" + part[0] + "'. ")
		}
	}
	if text.Len() > 0 {
		return Signature{}, incomplete("%sRe-examine the query-string parameters.", text.String())
	}
	if expires != "" {
		n, err := strconv.Atoi(expires)
		if err != nil || n < 1 || n > int(maxExpires/time.Second) {
			return Signature{}, incomplete("X-Amz-Expires must be a number of seconds from 1 to %d. Got '%s'.", int(maxExpires/time.Second), expires)
		}
		s.Expires = time.Duration(n) * time.Second
	}
	if err := s.fill(algo, credential); err != nil {
		return Signature{}, err
	}
	if s.Time, err = parseTime(date); err != nil {
		return Signature{}, err
	}
	return s, nil
}

// fill takes the credential apart. It looks at the algorithm last of all, as
// one that is missing was reported with the other parts.
func (s *Signature) fill(algo, credential string) error {
	rest, ok := credential, true
	parts := [...]*string{&s.Terminator, &s.Service, &s.Region, &s.Day}
	for _, part := range parts {
		at := strings.LastIndexByte(rest, '/')
		if ok = at >= 0; !ok {
			break
		}
		*part, rest = rest[at+1:], rest[:at]
	}
	s.AccessKey = rest
	if !ok || s.AccessKey == "" || strings.Contains(s.AccessKey, "/") {
		return incomplete("Credential must have exactly 5 slash-delimited elements, e.g. keyid/date/region/service/term, got '%s'", credential)
	}
	if algo != algorithm {
		return incomplete("Unsupported AWS 'algorithm': '%s'.", algo)
	}
	return nil
}

// parseTime reads 20060102T150405Z.
func parseTime(text string) (time.Time, error) {
	if len(text) == len(basicTime) {
		if at, err := time.Parse(basicTime, text); err == nil {
			return at, nil
		}
	}
	return time.Time{}, incomplete("Date must be in ISO-8601 'basic format'. Got '%s'. See http://en.wikipedia.org/wiki/ISO_8601", text)
}

// cutAny returns what comes before the next run of commas and blanks, and
// what comes after it.
func cutAny(s string) (before, after string) {
	s = strings.TrimLeft(s, ", \t")
	at := strings.IndexAny(s, ", \t")
	if at < 0 {
		return s, ""
	}
	return s[:at], strings.TrimLeft(s[at:], ", \t")
}

// hasArg reports whether a raw query has a parameter of this name, be its
// value empty or missing.
func hasArg(query, name string) bool {
	for query != "" {
		var pair string
		pair, query, _ = strings.Cut(query, "&")
		if rest, ok := strings.CutPrefix(pair, name); ok && (rest == "" || rest[0] == '=') {
			return true
		}
	}
	return false
}
