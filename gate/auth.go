package gate

import (
	"crypto/sha256"
	"net/http"
	"slices"
	"strings"
	"sync"

	"github.com/thalweg/thalweg/gate/sigv4"
)

// Mode says what callers must show.
type Mode uint8

// The modes.
const (
	// AnyCredentials wants a well-formed signature and does not verify it: any
	// credentials do. An access key id of 12 digits names the account.
	AnyCredentials Mode = iota
	// None wants nothing. A signature, if there is one, is not verified and
	// names account and region as with AnyCredentials.
	None
	// Verify wants a signature made with a secret that Lookup knows.
	Verify
)

// Auth is how callers are known.
type Auth struct {
	Mode Mode
	// Lookup returns the secret and the account behind an access key id. It
	// must take as long for one that does not exist.
	Lookup func(accessKey string) (secret, account string, ok bool)
	// SessionKey proves that a session's token is ours. Whoever knows it can
	// make one.
	SessionKey [32]byte
	// Regions, when there are any, are those a signature's scope may name, in
	// mode Verify.
	Regions []string
}

const (
	defaultAccount = "000000000000"
	defaultRegion  = "us-east-1"
)

// authenticate fills in who makes x's call, or says why nobody does. service
// is the one that the signature must be scoped to.
func (g *Gate) authenticate(r *http.Request, x *exchange, service string) error {
	c := &x.call
	c.Account, c.Region = defaultAccount, defaultRegion
	x.signed.Method, x.signed.Target, x.signed.Host, x.signed.Header = r.Method, r.RequestURI, r.Host, r.Header
	s, err := sigv4.Parse(&x.signed)
	if err != nil {
		if g.cfg.Auth.Mode == None {
			return nil
		}
		return err
	}
	c.AccessKey = s.AccessKey
	if s.Region != "" {
		c.Region = s.Region
	}
	session, own, inSession := g.cfg.Auth.open(s.Token)
	if inSession {
		if c.Now.After(session.Expires) {
			return errExpiredToken()
		}
		c.Session = session
	}
	if g.cfg.Auth.Mode != Verify {
		if inSession {
			c.Account = session.Account
			return nil
		}
		if isAccount(s.AccessKey) {
			c.Account = s.AccessKey
		}
		return nil
	}
	if err := s.CheckScope(service, c.Now); err != nil {
		return err
	}
	if len(g.cfg.Auth.Regions) > 0 && !slices.Contains(g.cfg.Auth.Regions, s.Region) {
		return sigv4.WrongRegion()
	}
	holder := s.AccessKey
	if inSession {
		holder = session.Parent
	}
	secret, account, known := g.cfg.Auth.Lookup(holder)
	if inSession { // which ends with the key that it came from
		secret, known = own.Secret, known && account == session.Account && s.AccessKey == own.AccessKey
	}
	keys := &g.keys
	if !known {
		// The same work is done for nobody, so that the time tells nothing.
		secret, keys = "nobody", &g.decoys
	}
	key, kept := keys.get(scope{secret, s.Day, s.Region, s.Service})
	if !kept {
		key = sigv4.DeriveKey(secret, s.Day, s.Region, s.Service)
	}
	x.signed.BodyHash = sha256.Sum256(x.body)
	err = x.verifier.Verify(&x.signed, &s, key)
	if !kept && (err == nil || !known) {
		keys.add(scope{secret, s.Day, s.Region, s.Service}, key)
	}
	switch {
	case !known || (s.Token != "" && !inSession): // nobody was given such a token
		return sigv4.UnknownKey()
	case err != nil:
		return err
	}
	c.Account = account
	return nil
}

func isAccount(key string) bool {
	return len(key) == len(defaultAccount) && strings.Trim(key, "0123456789") == ""
}

// scope is what a signing key is derived from.
type scope struct{ secret, day, region, service string }

// keyring keeps derived signing keys. Only what a valid signature proved to be
// in use is kept for callers, so that nobody else can fill it.
type keyring struct {
	mu   sync.RWMutex
	keys map[scope]sigv4.Key
}

const maxKeys = 1024

func (k *keyring) get(s scope) (sigv4.Key, bool) {
	k.mu.RLock()
	defer k.mu.RUnlock()
	key, ok := k.keys[s]
	return key, ok
}

func (k *keyring) add(s scope, key sigv4.Key) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.keys == nil || len(k.keys) >= maxKeys {
		k.keys = map[scope]sigv4.Key{} // refilled within a few requests
	}
	// Copies, as the strings are pieces of a request's header.
	k.keys[scope{strings.Clone(s.secret), strings.Clone(s.day), strings.Clone(s.region), strings.Clone(s.service)}] = key
}
