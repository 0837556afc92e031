package gate

import (
	"context"
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/thalweg/thalweg/fault"
)

type restIn struct {
	Name  *string `rest:"path" aws:"required,max=8"`
	Kind  *string `rest:"query"`
	Title *string
}

type restOut struct{ Name, Kind, Title *string }

func restService() *Service {
	op := Handle("Put", func(_ context.Context, _ *Call, in *restIn) (*restOut, error) {
		if *in.Name == "gone" {
			return nil, &Failure{fault.New(fault.NotFound, `no "gone"`), []byte(`"Reason":"r"`)}
		}
		return &restOut{in.Name, in.Kind, in.Title}, nil
	})
	op.Rest = &Rest{Method: http.MethodPut, Path: "/2026/things/{Name}/title", Status: http.StatusAccepted}
	return &Service{
		Name: "things", Target: "Things",
		Ops: []Op{op,
			{Name: "Raw", Rest: &Rest{Method: http.MethodPost, Path: "/2026/things/{Name}/raw/", Raw: true}, Serve: func(_ context.Context, c *Call, dst []byte) ([]byte, error) {
				c.Rest.Answer = http.Header{"X-Name": {c.Rest.Path["Name"]}}
				if len(c.Body) == 0 {
					c.Rest.Status = http.StatusNoContent
				}
				return append(dst, c.Body...), nil
			}}},
		Exception: func(f *fault.Error) (string, int) {
			if f.Kind == fault.NotFound {
				return "ResourceNotFoundException", http.StatusNotFound
			}
			return "", http.StatusBadRequest
		},
	}
}

// REST-JSON as Smithy's restJson1 specifies it: operations by method and path,
// members from the path, the query and the body, exceptions by name in a header.
func TestRest(t *testing.T) {
	h := start(t, func(c *Config) { c.Services = append(c.Services, restService()) })
	for _, c := range []struct {
		method, path, body string
		status             int
		want               string
		header, value      string
	}{
		{"PUT", "/2026/things/a/title", `{"Title":"t"}`, 202, `{"Name":"a","Title":"t"}`, "Content-Type", "application/json"},
		{"PUT", "/2026/things/a/title/", `{"Title":"t"}`, 202, `{"Name":"a","Title":"t"}`, "", ""},
		{"PUT", "/2026/things/a%2Fb%3Ac/title?Kind=k&Kind=l", ``, 202, `{"Name":"a/b:c","Kind":"k"}`, "", ""},
		{"PUT", "/2026/things/a/title", `{"Name":"other","Kind":"other"}`, 202, `{"Name":"a"}`, "", ""},
		{"PUT", "/2026/things/a/title", `{`, 400, `{"Type":"User","message":""}`, "X-Amzn-Errortype", "SerializationException"},
		{"PUT", "/2026/things/123456789/title", `{}`, 400, `{"Type":"User","message":"1 validation error detected: Value '123456789' at 'name' failed to satisfy constraint: Member must have length less than or equal to 8"}`, "X-Amzn-Errortype", "ValidationException"},
		{"PUT", "/2026/things/gone/title", `{}`, 404, `{"Type":"User","message":"no \"gone\"","Reason":"r"}`, "X-Amzn-Errortype", "ResourceNotFoundException"},
		{"POST", "/2026/things/a/raw", "\x00\xff", 200, "\x00\xff", "X-Name", "a"},
		{"POST", "/2026/things/a/raw", "", 204, "", "X-Name", "a"},
		{"GET", "/2026/things/a/title", "", 403, "<AccessDeniedException>", "", ""},
		{"PUT", "/2026/things/a%zz/title", "", 400, "", "", ""},
		{"PUT", "/2026/things/a/title/more", "", 403, "<AccessDeniedException>", "", ""},
		{"PUT", "/2026/things/a/title" + strings.Repeat("/x", 500), "", 403, "<AccessDeniedException>", "", ""},
	} {
		req, err := http.NewRequest(c.method, "http://"+h.addr, strings.NewReader(c.body))
		if err != nil {
			t.Fatal(err)
		}
		req.URL.Opaque = c.path
		req.Header.Set("Authorization", anyAuth)
		req.Header.Set("X-Amz-Date", "20260304T000000Z")
		resp, err := http.DefaultClient.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		body, _ := io.ReadAll(resp.Body)
		resp.Body.Close()
		got := string(body)
		if strings.HasPrefix(c.want, "<") {
			got = got[:min(len(got), len(c.want))]
		}
		if resp.StatusCode != c.status || c.want != "" && got != c.want || c.header != "" && resp.Header.Get(c.header) != c.value {
			t.Errorf("%s %.100s %q: %d %s %q, want %d %s", c.method, c.path, c.body, resp.StatusCode, body, resp.Header.Get(c.header), c.status, c.want)
		}
	}
	http.DefaultClient.CloseIdleConnections()
	if err := h.stop(); err != nil {
		t.Error(err)
	}
}

// Mistakes in services are found when the gate is made.
func TestRestMistakes(t *testing.T) {
	twice := restService()
	twice.Ops = append(twice.Ops, Op{Name: "Again", Serve: twice.Ops[1].Serve, Rest: &Rest{Method: http.MethodPost, Path: "/2026/things/{Other}/raw"}})
	type wrong struct {
		Name *int `rest:"path"`
	}
	for name, s := range map[string]*Service{
		"twice":  twice,
		"a type": {Ops: []Op{Handle("Wrong", func(context.Context, *Call, *wrong) (*nothing, error) { return nil, nil })}},
	} {
		if _, err := New(Config{Services: []*Service{s}}); err == nil {
			t.Errorf("%s is not refused", name)
		}
	}
}
