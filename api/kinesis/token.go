package kinesis

import (
	"encoding/base64"
	"encoding/json"
	"time"

	"github.com/thalweg/thalweg/fault"
	"github.com/thalweg/thalweg/stream"
)

// place is where a list of several pages goes on. It is handed to the caller
// as an opaque token; it needs no seal, since it says nothing that the caller
// could not have asked for, and whose streams they are is taken from the call.
type place struct {
	Issued int64  `json:"i"` // Unix milliseconds
	Op     string `json:"o"` // of the operation that wrote it
	Stream string `json:"s,omitempty"`
	Made   int64  `json:"m,omitempty"` // Unix milliseconds when the stream was created
	After  string `json:"a"`
	Filter string `json:"f,omitempty"`
	Shard  string `json:"h,omitempty"`
	Time   int64  `json:"t,omitempty"` // Unix milliseconds

	Moment stream.Moment `json:"w,omitzero"` // as of which the list is
}

// made checks that a stream is the one that was meant: it was created when the
// token says, or else the request, by clients that may know the second only.
func (p *place) made(info *stream.Info, token bool) error {
	created := info.Created.UnixMilli()
	if p.Made == 0 || p.Made == created || !token && p.Made/1000 == created/1000 {
		return nil
	}
	return fault.New(fault.NotFound, "Stream %s under account %s that was created at %s not found.",
		info.Name, info.Account, time.UnixMilli(p.Made).UTC().Format(time.RFC3339))
}

// tokenLife is how long a token is good for.
const tokenLife = 300 * time.Second

func (p place) token(now time.Time) string {
	p.Issued = now.UnixMilli()
	b, err := json.Marshal(p)
	if err != nil { // a struct of strings and integers
		panic(err)
	}
	return base64.StdEncoding.EncodeToString(b)
}

// parsePlace takes a token apart that op has given out.
func parsePlace(op, token string, now time.Time) (place, error) {
	var p place
	b, err := base64.StdEncoding.DecodeString(token)
	if err != nil || json.Unmarshal(b, &p) != nil || p.Op != op {
		return p, errToken()
	}
	if issued := time.UnixMilli(p.Issued); now.Sub(issued) >= tokenLife {
		return p, fault.New(fault.ExpiredToken, "NextToken has expired: it was created at %s, and is good for %d seconds.",
			issued.UTC().Format(time.RFC3339), int(tokenLife.Seconds()))
	}
	return p, nil
}

// errToken is the fault of a token that nobody here has given out. AWS's text
// was never recorded.
func errToken() error { return fault.New(fault.Invalid, "Invalid NextToken.") }
