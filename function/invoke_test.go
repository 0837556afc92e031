//go:build unix

package function

import (
	"encoding/json"
	"regexp"
	"testing"
	"time"

	"github.com/thalweg/thalweg/catalog"
	"github.com/thalweg/thalweg/internal/vfs"
)

// One invocation from end to end: the payload comes back, the log has AWS's
// three lines and what was printed between them.
func TestInvoke(t *testing.T) {
	h := run(t, vfs.NewMem(0), nil)
	h.create(t, "f", "echo", nil)
	for range 3 {
		out := h.call(t, "f", `{"a": 1}`)
		if string(out.Payload) != `{"a": 1}` || out.FunctionError != "" || out.Version != "$LATEST" {
			t.Fatalf("got %+v", out)
		}
		want := regexp.MustCompile(`^START RequestId: ` + out.RequestID + ` Version: \$LATEST
got {"a": 1}
END RequestId: ` + out.RequestID + `
REPORT RequestId: ` + out.RequestID + "\tDuration: [0-9.]+ ms\tBilled Duration: [0-9]+ ms\tMemory Size: 512 MB\tMax Memory Used: [0-9]+ MB\t(Init Duration: [0-9.]+ ms\t)?\n$")
		if !want.MatchString(out.LogTail) {
			t.Fatalf("log:\n%s", out.LogTail)
		}
	}
}

// What AWS documents a function to find in its environment.
func TestEnvironment(t *testing.T) {
	h := run(t, vfs.NewMem(0), func(c *Config) {
		c.Home = func() string { return "http://127.0.0.1:4567" }
		c.Credentials = func(account, _ string) Credentials { return Credentials{account, "s", "t"} }
	})
	h.create(t, "f", "who", func(v *Version) { v.Environment["MINE"] = "yes" })
	var got map[string]any
	if err := json.Unmarshal(h.call(t, "f", `{}`).Payload, &got); err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]string{
		"_HANDLER": "x", "AWS_REGION": region, "AWS_DEFAULT_REGION": region, "AWS_LAMBDA_FUNCTION_NAME": "f", "AWS_LAMBDA_FUNCTION_VERSION": "$LATEST",
		"AWS_LAMBDA_FUNCTION_MEMORY_SIZE": "512", "AWS_LAMBDA_LOG_GROUP_NAME": "/aws/lambda/f", "AWS_LAMBDA_INITIALIZATION_TYPE": "on-demand",
		"AWS_EXECUTION_ENV": "AWS_Lambda_provided.al2023", "TZ": ":UTC", "MINE": "yes", "AWS_ENDPOINT_URL": "http://127.0.0.1:4567",
		"AWS_ACCESS_KEY_ID": account, "AWS_SECRET_ACCESS_KEY": "s", "AWS_SESSION_TOKEN": "t", "arn": "arn:aws:lambda:us-east-1:000000000000:function:f",
	} {
		if got[name] != want {
			t.Errorf("%s is %q, want %q", name, got[name], want)
		}
	}
	if got["LAMBDA_TASK_ROOT"] != got["dir"] {
		t.Errorf("runs in %s, its files are in %s", got["dir"], got["LAMBDA_TASK_ROOT"])
	}
}

// A function cannot hide its processes from who clears up behind it: nothing
// that it sets takes the place of the mark.
func TestMark(t *testing.T) {
	f := New(Config{Catalog: catalog.New()})
	mark := f.mark + ":" + newID()
	v := &Version{Environment: map[string]string{markName: "mine"}}
	env := f.environment(&spec{Name{account, region, "f"}, v}, "/d", "127.0.0.1:1", mark, time.Now())
	if last := env[len(env)-1]; last != markName+"="+mark { // os/exec: "If Env contains duplicate environment keys, only the last value"
		t.Errorf("%q is last", last)
	}
}
