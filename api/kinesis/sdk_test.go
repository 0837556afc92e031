package kinesis

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	sdk "github.com/aws/aws-sdk-go-v2/service/kinesis"
	"github.com/aws/aws-sdk-go-v2/service/kinesis/types"
	"github.com/aws/smithy-go"
	"github.com/google/go-cmp/cmp"

	"github.com/thalweg/thalweg/fault"
	"github.com/thalweg/thalweg/gate"
	"github.com/thalweg/thalweg/gate/wire"
)

// snapshots are what the AWS SDK for Go has beside its code: each operation's
// request and answer with every member in it. Every request parses, down to the
// last member; answers of ours have no other members and no other types, and
// over all cases they have all members but those absent. The SDK itself reads
// every answer, with all that is in it.
type snapshots struct {
	dir    string
	absent map[string]string // members by their paths: why
}

func newSnapshots(t *testing.T) *snapshots {
	return &snapshots{sdkFolder(t), map[string]string{
		"DescribeLimits.ChannelCountLimit":                        "there are no channels",
		"DescribeStream.StreamDescription.KeyId":                  "no stream is encrypted",
		"DescribeStreamSummary.StreamDescriptionSummary.KeyId":    "no stream is encrypted",
		"DescribeStreamSummary.StreamDescriptionSummary.StreamId": "AWS has it reserved",
		"GetRecords.Records[].EncryptionType":                     "absent on records that are not encrypted",
		"PutRecord.EncryptionType":                                "no stream is encrypted",
		"PutRecords.EncryptionType":                               "no stream is encrypted",
	}}
}

// holds checks an operation and answers of it that went well.
func (s *snapshots) holds(t *testing.T, op *gate.Op, answers []answer) {
	if op.Name == "SubscribeToShard" { // there are no snapshots of streams; test/conformance reads them
		want, got := map[string]string{}, map[string]string{}
		membersOf("event", reflect.TypeFor[types.SubscribeToShardEvent](), want)
		for _, a := range answers {
			for _, event := range a.body.(l)[1:] { // after the initial response
				members("event", event, got)
			}
		}
		delete(want, "event.Records[].EncryptionType") // absent on records that are not encrypted
		if d := cmp.Diff(want, got); d != "" {
			t.Error(d)
		}
		return
	}
	var asked, known, whole any
	must(t, json.Unmarshal(snapshot(t, s.dir, "request_snapshot", op.Name+".request.snap"), &asked))
	in := op.Request.New()
	body, err := json.Marshal(asked)
	must(t, err)
	must(t, op.Request.Decode(wire.JSON, body, in))
	body, err = op.Request.Append(nil, wire.JSON, in)
	must(t, err)
	must(t, json.Unmarshal(body, &known))
	delete(asked.(m), "StreamId") // reserved, and so ignored
	if !reflect.DeepEqual(asked, known) {
		t.Errorf("of the request %v is known %v", asked, known)
	}

	must(t, json.Unmarshal(snapshot(t, s.dir, "response_snapshot", op.Name+".response.snap"), &whole))
	want, got := map[string]string{}, map[string]string{}
	members(op.Name, whole, want)
	for _, a := range answers {
		members(op.Name, a.body, got)
		body = nil
		if a.body != nil {
			body, err = json.Marshal(a.body)
			must(t, err)
		}
		out, err := sdkCall(op.Name, http.StatusOK, body)
		if err != nil {
			t.Errorf("%v in %.500s", err, body)
		} else if problem := lost(op.Name, a.body, out); problem != "" && body != nil {
			t.Errorf("%s, in %.500s", problem, body)
		}
	}
	for path, kind := range got {
		if want[path] != kind {
			t.Errorf("%s is a %s, to the SDK a %q", path, kind, want[path])
		}
	}
	for path := range want {
		if _, there := got[path]; there == (s.absent[path] != "") {
			t.Errorf("%s: there in a case: %v", path, there)
		}
	}
}

// end checks the list of what is absent itself.
func (s *snapshots) end(t *testing.T) {
	for path := range s.absent {
		op, _, _ := strings.Cut(path, ".")
		all, whole := map[string]string{}, any(nil)
		must(t, json.Unmarshal(snapshot(t, s.dir, "response_snapshot", op+".response.snap"), &whole))
		if members(op, whole, all); all[path] == "" {
			t.Errorf("%s is thought to be absent, and the SDK does not know it", path)
		}
	}
}

// Exceptions are those that the SDK has types for.
func TestSDKKnowsExceptions(t *testing.T) {
	ours := map[string]int{"DryRunOperationException": http.StatusBadRequest}
	for kind := fault.Internal; kind <= fault.Unauthentic; kind++ {
		name, status := kindName(kind)
		ours[name] = status
	}
	files, err := filepath.Glob(filepath.Join(sdkFolder(t), "response_snapshot", "*.error.snap"))
	must(t, err)
	if len(files) < 10 {
		t.Errorf("%d exceptions", len(files))
	}
	for _, file := range files {
		name, _, _ := strings.Cut(filepath.Base(file), ".")
		text, err := os.ReadFile(file)
		must(t, err)
		if strings.HasPrefix(name, "KMS") {
			continue
		}
		if status, _, _ := strings.Cut(string(text), "\n"); status != fmt.Sprint(ours[name]) {
			t.Errorf("%s has status %s, ours %d", name, status, ours[name])
		}
		_, err = sdkCall("GetRecords", ours[name], wire.AppendError(nil, wire.JSON, name, "so it is"))
		var known smithy.APIError
		if !errors.As(err, &known) || known.ErrorCode() != name || known.ErrorMessage() != "so it is" {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// sdkFolder is where the SDK's module lies.
func sdkFolder(t *testing.T) string {
	out, err := exec.Command("go", "list", "-m", "-f", "{{.Dir}}", "github.com/aws/aws-sdk-go-v2/service/kinesis").Output()
	if err != nil {
		t.Fatalf("find the SDK: %v", err)
	}
	return strings.TrimSpace(string(out))
}

// snapshot returns the body of a request or an answer.
func snapshot(t *testing.T, path ...string) []byte {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(path...))
	must(t, err)
	return text[bytes.LastIndexByte(text, '\n')+1:]
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// members notes the kinds of all members of v by their paths.
func members(path string, v any, into map[string]string) {
	switch v := v.(type) {
	case nil: // an empty body
	case m:
		for k := range v {
			members(path+"."+k, v[k], into)
		}
	case l:
		into[path] = "list"
		for _, e := range v {
			if _, ok := e.(m); ok {
				members(path+"[]", e, into)
			} else {
				into[path+"[]"] = fmt.Sprintf("%T", e)
			}
		}
	default:
		into[path] = fmt.Sprintf("%T", v)
	}
}

// sdkCall makes the SDK call an operation, with every member of its input set,
// and answers it.
func sdkCall(op string, status int, body []byte) (reflect.Value, error) {
	client := sdk.New(sdk.Options{
		Region: region, BaseEndpoint: aws.String("http://127.0.0.1:1"), Credentials: aws.AnonymousCredentials{}, Retryer: aws.NopRetryer{},
		HTTPClient: answering{status, body},
	})
	method := reflect.ValueOf(client).MethodByName(op)
	in := reflect.New(method.Type().In(1).Elem())
	set(in.Elem())
	out := method.Call([]reflect.Value{reflect.ValueOf(context.Background()), in})
	err, _ := out[1].Interface().(error)
	return out[0].Elem(), err
}

type answering struct {
	status int
	body   []byte
}

func (a answering) Do(*http.Request) (*http.Response, error) {
	return &http.Response{
		StatusCode: a.status, Header: http.Header{"Content-Type": {wire.JSON.ContentType()}},
		Body: io.NopCloser(bytes.NewReader(a.body)), ContentLength: int64(len(a.body)),
	}, nil
}

// set makes something of everything in a value.
func set(v reflect.Value) {
	switch v.Kind() {
	case reflect.Pointer:
		v.Set(reflect.New(v.Type().Elem()))
		set(v.Elem())
	case reflect.Struct:
		for i := range v.NumField() {
			if v.Field(i).CanSet() && v.Type() != reflect.TypeFor[time.Time]() {
				set(v.Field(i))
			}
		}
	case reflect.Slice:
		v.Set(reflect.MakeSlice(v.Type(), 1, 1))
		set(v.Index(0))
	case reflect.Map:
		v.Set(reflect.MakeMap(v.Type()))
		v.SetMapIndex(reflect.ValueOf("k"), reflect.ValueOf("v"))
	case reflect.String:
		v.SetString("s")
	}
}

// membersOf notes the kinds of all members of an SDK's type as members does.
func membersOf(path string, typ reflect.Type, into map[string]string) {
	switch {
	case typ.Kind() == reflect.Pointer:
		membersOf(path, typ.Elem(), into)
	case typ == reflect.TypeFor[time.Time](), typ.Kind() == reflect.Int32, typ.Kind() == reflect.Int64:
		into[path] = "float64"
	case typ == reflect.TypeFor[[]byte](), typ.Kind() == reflect.String:
		into[path] = "string"
	case typ.Kind() == reflect.Slice:
		into[path] = "list"
		membersOf(path+"[]", typ.Elem(), into)
	case typ.Kind() == reflect.Struct:
		for i := range typ.NumField() {
			if f := typ.Field(i); f.IsExported() {
				membersOf(path+"."+f.Name, f.Type, into)
			}
		}
	}
}

// lost tells what of an answer the SDK has not made a value of.
func lost(at string, want any, got reflect.Value) string {
	for got.Kind() == reflect.Pointer && !got.IsNil() {
		got = got.Elem()
	}
	switch want := want.(type) {
	case m:
		for k := range want {
			if got.Kind() != reflect.Struct || !got.FieldByName(k).IsValid() {
				return at + "." + k + " is not known to the SDK"
			}
			if problem := lost(at+"."+k, want[k], got.FieldByName(k)); problem != "" {
				return problem
			}
		}
		return ""
	case l:
		if got.Kind() != reflect.Slice || got.Len() != len(want) || got.IsNil() {
			return fmt.Sprintf("%s: a list of %d has become %v", at, len(want), got)
		}
		for i := range want {
			if problem := lost(fmt.Sprintf("%s[%d]", at, i), want[i], got.Index(i)); problem != "" {
				return problem
			}
		}
		return ""
	}
	var value any
	switch v := got.Interface().(type) {
	case time.Time:
		value = float64(v.UnixMilli()) / 1000
	case []byte:
		value = base64.StdEncoding.EncodeToString(v)
	case int32:
		value = float64(v)
	case int64:
		value = float64(v)
	case bool:
		value = v
	default:
		value = fmt.Sprint(v) // of a string type
	}
	if value != want {
		return fmt.Sprintf("%s: %v has become %v", at, want, value)
	}
	return ""
}
