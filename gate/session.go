package gate

import (
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base32"
	"encoding/base64"
	"encoding/json"
	"time"

	"github.com/thalweg/thalweg/fault"
)

// Session is what temporary credentials stand for. The zero Session is none.
type Session struct {
	Parent  string    // the access key id that asked for them
	Account string    // 12 digits
	ARN     string    // arn:aws:sts::123456789012:assumed-role/role/session
	UserID  string    // AROA…:session
	Expires time.Time // to the second
}

// Credentials are an access key and, of a session, its token.
type Credentials struct{ AccessKey, Secret, Token string }

// Issue makes temporary credentials for s, different ones each time. Nothing
// is kept: the token says all, and SessionKey proves that it is ours.
func (a *Auth) Issue(s Session) Credentials {
	body, err := json.Marshal(struct {
		Session
		Nonce []byte
	}{s, []byte(rand.Text())})
	if err != nil {
		panic(err) // strings and a time
	}
	sum := a.seal("token", body)
	return Credentials{sessionKeyID(body), a.sessionSecret(body), base64.StdEncoding.EncodeToString(append(sum, body...))}
}

// open reads a token that Issue made. ok is false for any other.
func (a *Auth) open(token string) (s Session, c Credentials, ok bool) {
	if token == "" {
		return s, c, false
	}
	raw, err := base64.StdEncoding.DecodeString(token)
	if err != nil || len(raw) < sha256.Size {
		return s, c, false
	}
	sum, body := raw[:sha256.Size], raw[sha256.Size:]
	if !hmac.Equal(sum, a.seal("token", body)) || json.Unmarshal(body, &s) != nil {
		return Session{}, c, false
	}
	return s, Credentials{sessionKeyID(body), a.sessionSecret(body), token}, true
}

func (a *Auth) seal(purpose string, body []byte) []byte {
	m := hmac.New(sha256.New, a.SessionKey[:])
	m.Write([]byte(purpose + "\x00"))
	m.Write(body)
	return m.Sum(nil)
}

func (a *Auth) sessionSecret(body []byte) string {
	return base64.StdEncoding.EncodeToString(a.seal("secret", body))[:40]
}

// sessionKeyID is an id as AWS's temporary ones look.
func sessionKeyID(body []byte) string {
	sum := sha256.Sum256(body)
	return "ASIA" + base32.StdEncoding.EncodeToString(sum[:10])
}

func errExpiredToken() error {
	return fault.Coded(fault.Unauthentic, "ExpiredTokenException", "The security token included in the request is expired")
}
