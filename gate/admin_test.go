package gate

import (
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
)

// What changes the server is for its own machine, or for true signatures, and
// never for web pages: they can reach loopback through their reader's browser.
func TestAdmin(t *testing.T) {
	echo := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { io.Copy(w, r.Body) })
	lookup := func(string) (string, string, bool) { return "secret", "111122223333", true }
	for _, c := range []struct {
		name, from string
		mode       Mode
		header     string
		want       int
	}{
		{"this machine", "127.0.0.1:5", AnyCredentials, "", 200},
		{"this machine, version 6", "[::1]:5", None, "", 200},
		{"another machine", "192.0.2.1:5", None, "", 403},
		{"another machine that says it is not", "192.0.2.1:5", None, "X-Forwarded-For", 403},
		{"this machine, perhaps a proxy", "127.0.0.1:5", Verify, "", 403},
		{"a web page", "127.0.0.1:5", AnyCredentials, "Origin", 403},
		{"a web page without its origin", "127.0.0.1:5", AnyCredentials, "Sec-Fetch-Site", 403},
	} {
		g, err := New(Config{Services: []*Service{(&toy{}).service()}, Admin: map[string]http.Handler{"/admin/x": echo}, Auth: Auth{Mode: c.mode, Lookup: lookup}})
		if err != nil {
			t.Fatal(err)
		}
		r := httptest.NewRequest("POST", "/admin/x", strings.NewReader("hello"))
		r.RemoteAddr = c.from
		if c.header != "" {
			r.Header.Set(c.header, "127.0.0.1")
		}
		w := httptest.NewRecorder()
		g.ServeHTTP(w, r)
		if w.Code != c.want || w.Code == 200 && w.Body.String() != "hello" {
			t.Errorf("%s: %d %s", c.name, w.Code, w.Body)
		}
	}
}
