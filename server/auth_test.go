package server

import (
	"net"
	"strings"
	"testing"

	"github.com/thalweg/thalweg/gate"
)

// DESIGN: "by default the server listens on loopback and takes any well-formed
// credentials. Listening anywhere else demands configured credentials with
// real SigV4 verification, or an explicit --auth none."
func TestAuth(t *testing.T) {
	key := []Credential{{AccessKeyID: "id", SecretAccessKey: "secret"}}
	for _, c := range []struct {
		name string
		cfg  Config
		want gate.Mode
		fail string
	}{
		{"loopback", Config{Listen: "127.0.0.1:4567"}, gate.AnyCredentials, ""},
		{"all of loopback", Config{Listen: "127.1.2.3:0"}, gate.AnyCredentials, ""},
		{"loopback of version 6", Config{Listen: "[::1]:4567"}, gate.AnyCredentials, ""},
		{"localhost", Config{Listen: "localhost:4567"}, gate.AnyCredentials, ""},
		{"a pipe", Config{Listener: pipe{}}, gate.AnyCredentials, ""},
		{"everywhere", Config{Listen: ":4567"}, 0, "refusing to listen on :4567"},
		{"everywhere in version 6", Config{Listen: "[::]:4567"}, 0, "refusing"},
		{"a name", Config{Listen: "example.com:4567"}, 0, "refusing"},
		{"everywhere, any", Config{Listen: "0.0.0.0:1", Auth: AuthAny}, 0, "refusing"},
		{"everywhere, none", Config{Listen: "0.0.0.0:1", Auth: AuthNone}, gate.None, ""},
		{"everywhere, credentials", Config{Listen: "0.0.0.0:1", Credentials: key}, gate.Verify, ""},
		{"loopback, credentials", Config{Listen: "127.0.0.1:1", Credentials: key}, gate.Verify, ""},
		{"loopback, credentials, any", Config{Listen: "127.0.0.1:1", Credentials: key, Auth: AuthAny}, gate.AnyCredentials, ""},
		{"verify whom", Config{Listen: "127.0.0.1:1", Auth: AuthVerify}, 0, "needs credentials"},
		{"a word that is none", Config{Listen: "127.0.0.1:1", Auth: "maybe"}, 0, `"maybe" is none of`},
		{"no id", Config{Credentials: []Credential{{SecretAccessKey: "s"}}}, 0, "credential 1 has no access_key_id"},
		{"no secret", Config{Credentials: []Credential{{AccessKeyID: "i"}}}, 0, "credential i has no secret_access_key"},
		{"no account", Config{Credentials: []Credential{{"i", "s", "12345678901x"}}}, 0, "is not 12 digits"},
		{"twice", Config{Credentials: append(key, key...)}, 0, "there twice"},
	} {
		t.Run(c.name, func(t *testing.T) {
			got, err := c.cfg.auth()
			if c.fail != "" {
				if err == nil || !strings.Contains(err.Error(), c.fail) {
					t.Errorf("error %v, want one with %q", err, c.fail)
				}
				return
			}
			if err != nil || got.Mode != c.want {
				t.Errorf("mode %v, %v, want %v", got.Mode, err, c.want)
			}
		})
	}
	auth, err := Config{Credentials: key}.auth()
	if err != nil {
		t.Fatal(err)
	}
	if secret, account, ok := auth.Lookup("id"); !ok || secret != "secret" || account != "000000000000" {
		t.Errorf("look-up gives %q %q %v", secret, account, ok)
	}
	if _, _, ok := auth.Lookup("other"); ok {
		t.Error("an unknown key is known")
	}
}

// Sessions survive a restart with the same credentials, whatever their order,
// and end with any change of them.
func TestSessionKey(t *testing.T) {
	a, b := Credential{AccessKeyID: "a", SecretAccessKey: "x"}, Credential{AccessKeyID: "b", SecretAccessKey: "y"}
	key := Config{Credentials: []Credential{a, b}}.sessionKey()
	if key != (Config{Credentials: []Credential{b, a}}.sessionKey()) {
		t.Error("the order counts")
	}
	for _, other := range [][]Credential{nil, {a}, {a, {AccessKeyID: "b", SecretAccessKey: "z"}}} {
		if key == (Config{Credentials: other}.sessionKey()) {
			t.Errorf("%v have the same key", other)
		}
	}
}

// pipe is a listener that is no network's.
type pipe struct{ net.Listener }

func (pipe) Addr() net.Addr { return &net.UnixAddr{Name: "pipe"} }
