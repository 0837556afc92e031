package buildinfo

import (
	"strings"
	"testing"
)

func TestString(t *testing.T) {
	for _, c := range []struct {
		info Info
		want string
	}{
		{Info{Version: "1.2.3", Go: "go1.26", Platform: "linux/amd64"}, "thalweg 1.2.3 go1.26 linux/amd64"},
		{Info{Version: "1.2.3", Commit: "0123456789abcdef", Modified: true, Go: "go1.26", Platform: "p"}, "thalweg 1.2.3 (0123456789ab, modified) go1.26 p"},
		{Info{Version: "1.2.3", Commit: "0123", Go: "go1.26", Platform: "p"}, "thalweg 1.2.3 (0123) go1.26 p"},
	} {
		if got := c.info.String(); got != c.want {
			t.Errorf("%+v prints %q, want %q", c.info, got, c.want)
		}
	}
	if got := Read().String(); !strings.HasPrefix(got, "thalweg "+Release) {
		t.Errorf("this build calls itself %q", got)
	}
}
