package server

import (
	"net/http"
	"strings"
	"testing"
)

// Profiles are opt-in, on a port of their own, for callers on this machine
// that come under its own name.
func TestProfiles(t *testing.T) {
	for _, address := range []string{"0.0.0.0:0", ":0", "example.com:0"} {
		if _, err := Open(Config{Listen: "127.0.0.1:0", Ephemeral: true, Pprof: address}); err == nil || !strings.Contains(err.Error(), "refusing to serve profiles") {
			t.Errorf("on %s: %v", address, err)
		}
	}
	h := run(t, Config{Ephemeral: true, Pprof: "127.0.0.1:0"})
	if status, _ := h.get(t, "/debug/pprof/"); status == 200 {
		t.Error("profiles are on the port of everything")
	}
	for host, want := range map[string]int{"": 200, "evil.example:80": 403} {
		r, err := http.NewRequest("GET", "http://"+h.profiles.Addr().String()+"/debug/pprof/cmdline", nil)
		if err != nil {
			t.Fatal(err)
		}
		r.Host = host
		res, err := h.http.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		res.Body.Close()
		if res.StatusCode != want {
			t.Errorf("as %q: %s", host, res.Status)
		}
	}
	h.http.CloseIdleConnections()
	if err := h.end(); err != nil {
		t.Error(err)
	}
}

// A stream's own limits win over the server's.
func TestDeclaredLimits(t *testing.T) {
	for _, c := range []struct {
		all  bool
		own  string
		want bool
	}{{true, "", true}, {true, "off", false}, {false, "aws", true}, {false, "", false}} {
		h := run(t, Config{Ephemeral: true, Limits: c.all, Streams: []Stream{{Name: "s", Shards: 1, Limits: c.own}}})
		many := make([]obj, 500)
		for i := range many {
			many[i] = obj{"PartitionKey": "k", "Data": []byte("1")}
		}
		failed := 0.0
		for range 4 {
			failed += h.must(t, "PutRecords", obj{"StreamName": "s", "Records": many})["FailedRecordCount"].(float64)
		}
		if (failed > 0) != c.want {
			t.Errorf("limits %v, of the stream %q: %v records failed", c.all, c.own, failed)
		}
		h.http.CloseIdleConnections()
		if err := h.end(); err != nil {
			t.Error(err)
		}
	}
}
