package server

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"net"
	"slices"
	"strings"

	"github.com/thalweg/thalweg/gate"
)

// What callers have to show.
const (
	AuthAny    = "any"    // well-formed credentials, unchecked; a 12-digit access key id names the account
	AuthNone   = "none"   // nothing
	AuthVerify = "verify" // one of the configured credentials, and a true signature made with it
)

// Credential is one access key and the account it acts for.
type Credential struct {
	AccessKeyID     string
	SecretAccessKey string
	Account         string // 12 digits; empty: 000000000000
}

// auth decides who may call: what Auth says, else verification when there are
// credentials, else anybody on this machine. It refuses to open a port to
// other machines by default.
func (c Config) auth() (gate.Auth, error) {
	mode := c.Auth
	if mode == "" {
		mode = AuthAny
		if len(c.Credentials) > 0 {
			mode = AuthVerify
		}
	}
	known := map[string]Credential{}
	for i, cred := range c.Credentials {
		switch {
		case cred.AccessKeyID == "":
			return gate.Auth{}, fmt.Errorf("credential %d has no access_key_id", i+1)
		case cred.SecretAccessKey == "":
			return gate.Auth{}, fmt.Errorf("credential %s has no secret_access_key", cred.AccessKeyID)
		case cred.Account != "" && !isAccount(cred.Account):
			return gate.Auth{}, fmt.Errorf("credential %s: account %q is not 12 digits", cred.AccessKeyID, cred.Account)
		}
		if _, twice := known[cred.AccessKeyID]; twice {
			return gate.Auth{}, fmt.Errorf("credential %s is there twice", cred.AccessKeyID)
		}
		if cred.Account == "" {
			cred.Account = "000000000000"
		}
		known[cred.AccessKeyID] = cred
	}
	switch mode {
	case AuthNone:
		return gate.Auth{Mode: gate.None}, nil
	case AuthVerify:
		if len(known) == 0 {
			return gate.Auth{}, errors.New("auth verify needs credentials: set THALWEG_ACCESS_KEY_ID and THALWEG_SECRET_ACCESS_KEY, or list them in the configuration file")
		}
		return gate.Auth{Mode: gate.Verify, SessionKey: c.sessionKey(), Lookup: func(id string) (secret, account string, ok bool) {
			cred, ok := known[id]
			return cred.SecretAccessKey, cred.Account, ok
		}}, nil
	case AuthAny:
		if !c.loopback() {
			return gate.Auth{}, fmt.Errorf("refusing to listen on %s, which other machines can reach, without credentials: set THALWEG_ACCESS_KEY_ID and THALWEG_SECRET_ACCESS_KEY (or credentials in the configuration file) to verify signatures, or say --auth none to let everybody in", c.Listen)
		}
		return gate.Auth{Mode: gate.AnyCredentials}, nil
	}
	return gate.Auth{}, fmt.Errorf("auth %q is none of any, none or verify", mode)
}

// sessionKey is made of all credentials, so that no holder of one of several
// can make sessions, and that those there are survive a restart and end with a
// change of credentials. Where nothing is verified it need not be a secret.
func (c Config) sessionKey() [32]byte {
	all := make([]string, len(c.Credentials))
	for i, cred := range c.Credentials {
		all[i] = fmt.Sprintf("%q %q", cred.AccessKeyID, cred.SecretAccessKey)
	}
	slices.Sort(all)
	return sha256.Sum256([]byte("thalweg sessions\n" + strings.Join(all, "\n")))
}

func isAccount(s string) bool {
	return len(s) == 12 && strings.Trim(s, "0123456789") == ""
}

// loopback reports whether only this machine can reach the server. A name is
// only trusted when it is localhost: others may resolve to anything.
func (c Config) loopback() bool {
	address := c.Listen
	if c.Listener != nil {
		if _, tcp := c.Listener.Addr().(*net.TCPAddr); !tcp {
			return true // a pipe
		}
		address = c.Listener.Addr().String()
	}
	host, _, err := net.SplitHostPort(address)
	if err != nil {
		return false
	}
	ip := net.ParseIP(host)
	return host == "localhost" || (ip != nil && ip.IsLoopback())
}
