package gate

import (
	"context"
	"fmt"
	"hash/crc32"
	"strings"
	"testing"
	"time"

	"github.com/thalweg/thalweg/fault"
	"github.com/thalweg/thalweg/gate/wire"
)

// verbatim is a type with a codec of its own: it holds the bytes of its value.
type verbatim struct{ text string }

func (v *verbatim) DecodeWire(f wire.Format, body []byte) error {
	if v.text = string(body); strings.Contains(v.text, "bad") {
		return fault.New(fault.Invalid, "no bad values")
	}
	return nil
}

func (v verbatim) AppendWire(dst []byte, _ wire.Format) []byte { return append(dst, v.text...) }

type ownIn struct {
	One  *verbatim
	List []verbatim
	Map  map[string]verbatim
}

// A type with a codec of its own gets and gives its bytes wherever it stands;
// the answer's checksum is the CRC-32 of its body, which botocore and the SDK
// for Java v1 hold against it; a failure's members stand beside its message.
func TestOwnCodecAndFailure(t *testing.T) {
	h := start(t, func(c *Config) {
		c.Services = append(c.Services, &Service{Name: "own", Target: "Own", JSON10: true, Checksum: true, Ops: []Op{
			Handle("Echo", func(_ context.Context, _ *Call, in *ownIn) (*ownIn, error) { return in, nil }),
			Handle("Fail", func(context.Context, *Call, *ownIn) (*ownIn, error) {
				return nil, &Failure{Fault: fault.Coded(fault.Invalid, "Failed", "it failed"), Members: []byte(`"Item":{"a":1}`)}
			}),
		}})
	})
	client := h.client(t, "http/1.1")
	deep := strings.Repeat(`{"M":`, 100) + `{"L":[1,{"k":"v"}]}` + strings.Repeat("}", 100)
	for _, c := range []struct{ op, body, want string }{
		{"Echo", `{"One": {"S" : "x"} , "List":[1, {"a":[]},"t"],"Map":{"k":null,"l":[2]}}`, `{"One":{"S" : "x"},"List":[1,{"a":[]},"t"],"Map":{"l":[2]}}`},
		{"Echo", `{"One":null}`, `{}`},
		{"Echo", `{"One":` + deep + `}`, `{"One":` + deep + `}`},
		{"Echo", `{"List":["ok","bad"]}`, `{"__type":"ValidationException","message":"no bad values"}`},
		{"Echo", `{"One":{"a":]}}`, `{"__type":"SerializationException"}`},
		{"Fail", `{}`, `{"__type":"Failed","message":"it failed","Item":{"a":1}}`},
	} {
		res, b := do(t, client, request("POST", "/", c.body, "Content-Type", "application/x-amz-json-1.0", "X-Amz-Target", "Own."+c.op,
			"X-Amz-Date", time.Now().UTC().Format("20060102T150405Z"),
			"Authorization", "AWS4-HMAC-SHA256 Credential=test/20260101/us-east-1/own/aws4_request, SignedHeaders=host, Signature="+strings.Repeat("0", 64)))
		if b != c.want {
			t.Errorf("%s %.60s: %.200s", c.op, c.body, b)
		}
		if got, want := res.Header.Get("X-Amz-Crc32"), fmt.Sprint(crc32.ChecksumIEEE([]byte(b))); got != want {
			t.Errorf("%s: checksum %q, want %s", c.op, got, want)
		}
	}
}
