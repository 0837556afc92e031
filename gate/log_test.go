package gate

import (
	"bytes"
	"log/slog"
	"net/http/httptest"
	"regexp"
	"strings"
	"testing"
)

// Each request has its line at level debug, and each failure of ours one at
// any level, all under the id that the caller got. What a failure says stays
// inside, and neither bodies nor credentials are logged.
func TestLog(t *testing.T) {
	for _, c := range []struct {
		target, auth string
		want         string // after the ids, in a line each
	}{
		{"Toy_20260101.Raw", anyAuth, `DEBUG request operation=Raw account=123456789012 region=eu-west-1 resource="" status=200 exception="" took=T`},
		{"Toy_20260101.Missing", anyAuth, `DEBUG request operation=Missing account=123456789012 region=eu-west-1 resource="" status=400 exception=ResourceNotFoundException took=T`},
		{"Toy_20260101.Broken", anyAuth, `ERROR "operation failed" target=Toy_20260101.Broken account=123456789012 region=eu-west-1 resource="" error="the disk said a secret thing"
DEBUG request operation=Broken account=123456789012 region=eu-west-1 resource="" status=500 exception=InternalFailure took=T`},
		{"Toy_20260101.Partly", anyAuth, `ERROR "operation failed" target=Toy_20260101.Partly account=123456789012 region=eu-west-1 resource=orders error="the disk said a secret thing"
DEBUG request operation=Partly account=123456789012 region=eu-west-1 resource=orders status=200 exception="" took=T`},
		{"Toy_20260101.Full", anyAuth, `WARN "operation refused" target=Toy_20260101.Full account=123456789012 region=eu-west-1 resource="" error="the disk is full"
DEBUG request operation=Full account=123456789012 region=eu-west-1 resource="" status=400 exception=InternalFailure took=T`},
		{"Toy_20260101.Raw", "", `DEBUG request operation=Raw account=000000000000 region=us-east-1 resource="" status=400 exception=MissingAuthenticationTokenException took=T`},
		{"Toy_20260101.Nowhere" + strings.Repeat("x", 200), anyAuth, `DEBUG request operation=Toy_20260101.Nowhere` + strings.Repeat("x", 108) +
			` account="" region="" resource="" status=400 exception=UnknownOperationException took=T`},
	} {
		for _, level := range []slog.Level{slog.LevelDebug, slog.LevelInfo} {
			var log bytes.Buffer
			g, err := New(Config{Services: []*Service{(&toy{}).service()}, Logger: slog.New(slog.NewTextHandler(&log, &slog.HandlerOptions{Level: level}))})
			if err != nil {
				t.Fatal(err)
			}
			w := httptest.NewRecorder()
			r := httptest.NewRequest("POST", "/", strings.NewReader(`{"Data":"c2VjcmV0"}`))
			for k, v := range map[string]string{"Content-Type": jsonType, "X-Amz-Target": c.target, "Authorization": c.auth, "X-Amz-Date": "20260304T050607Z"} {
				if v != "" {
					r.Header.Set(k, v)
				}
			}
			g.ServeHTTP(w, r)
			//lint:ignore SA1008 the header is written as AWS spells it
			id := w.Header()[headerID][0]
			want := ""
			for line := range strings.Lines(c.want + "\n") {
				if level <= slog.LevelDebug || !strings.HasPrefix(line, "DEBUG") {
					want += line
				}
			}
			got := regexp.MustCompile(`(?m)^time=\S+ level=(\w+) msg=("[^"]*"|\w+) request_id=`+id+` `).ReplaceAllString(log.String(), "$1 $2 ")
			got = regexp.MustCompile(`took=\S+`).ReplaceAllString(got, "took=T")
			if got != want {
				t.Errorf("%.40s at %s is logged as\n%swant\n%s", c.target, level, got, want)
			}
			if strings.Contains(w.Body.String(), "secret") && c.target != "Toy_20260101.Raw" {
				t.Errorf("told %s", w.Body)
			}
			for _, never := range []string{"c2VjcmV0", "AWS4", "Signature", "Credential"} {
				if strings.Contains(log.String(), never) {
					t.Errorf("logged %s", never)
				}
			}
		}
	}
}
