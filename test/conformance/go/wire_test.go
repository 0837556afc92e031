package conformance

import (
	"bytes"
	"context"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"reflect"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	v4 "github.com/aws/aws-sdk-go-v2/aws/signer/v4"
	"github.com/aws/aws-sdk-go-v2/service/kinesis"
	"github.com/aws/aws-sdk-go-v2/service/kinesis/types"
	"github.com/fxamacker/cbor/v2"
)

// TestWire runs the session in both encodings over every transport: HTTP/1.1,
// HTTP/2 with prior knowledge, and both over TLS.
func TestWire(t *testing.T) {
	plain, secure := endpoint(t, "THALWEG_HTTP"), endpoint(t, "THALWEG_HTTPS")
	ca, err := os.ReadFile(endpoint(t, "CA_FILE"))
	if err != nil {
		t.Fatal(err)
	}
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(ca)
	for _, transport := range []struct {
		name, url string
		set       func(*http.Protocols)
	}{
		{"http1", plain, func(p *http.Protocols) { p.SetHTTP1(true) }},
		{"h2c", plain, func(p *http.Protocols) { p.SetUnencryptedHTTP2(true) }},
		{"tls-http1", secure, func(p *http.Protocols) { p.SetHTTP1(true) }},
		{"tls-h2", secure, func(p *http.Protocols) { p.SetHTTP2(true) }},
	} {
		for _, enc := range []string{"json", "cbor"} {
			t.Run(transport.name+"/"+enc, func(t *testing.T) {
				p := new(http.Protocols)
				transport.set(p)
				c := &http.Client{Transport: &http.Transport{Protocols: p, TLSClientConfig: &tls.Config{RootCAs: roots}}}
				w := &bare{t: t, client: c, url: transport.url, cbor: enc == "cbor", http2: p.HTTP2() || p.UnencryptedHTTP2()}
				session{t, w, "wire-" + transport.name + "-" + enc}.run()
			})
		}
	}
}

// bare is a client made of nothing but net/http and an encoder: it speaks the
// wire as the Java SDK does, legacy timestamps and indefinite maps included.
type bare struct {
	t           *testing.T
	client      *http.Client
	url         string
	cbor, http2 bool
}

// call sends in's set members as operation op and fills out from the answer.
func (b *bare) call(op string, in, out any) error {
	var body []byte
	var err error
	members := plain(reflect.ValueOf(in).Elem(), b.cbor)
	contentType := "application/x-amz-json-1.1"
	if b.cbor {
		contentType = "application/x-amz-cbor-1.1"
		// Java's encoder does not know the number of members beforehand.
		body = append(body, 0xbf)
		for k, v := range members.(map[string]any) {
			key, _ := cbor.Marshal(k)
			value, err := cbor.Marshal(v)
			if err != nil {
				return err
			}
			body = append(append(body, key...), value...)
		}
		body = append(body, 0xff)
	} else if body, err = json.Marshal(members); err != nil {
		return err
	}
	r, err := http.NewRequest("POST", b.url, bytes.NewReader(body))
	if err != nil {
		return err
	}
	r.Header.Set("Content-Type", contentType)
	r.Header.Set("X-Amz-Target", "Kinesis_20131202."+op)
	sum := sha256.Sum256(body)
	if err := v4.NewSigner().SignHTTP(b.t.Context(), aws.Credentials{AccessKeyID: os.Getenv("AWS_ACCESS_KEY_ID"), SecretAccessKey: os.Getenv("AWS_SECRET_ACCESS_KEY")},
		r, hex.EncodeToString(sum[:]), "kinesis", "us-east-1", time.Now()); err != nil {
		return err
	}
	resp, err := b.client.Do(r)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	if (resp.ProtoMajor == 2) != b.http2 {
		b.t.Fatalf("answered in %s", resp.Proto)
	}
	if got := resp.Header.Get("Content-Type"); got != contentType {
		b.t.Fatalf("%s answered as %q, asked as %q", op, got, contentType)
	}
	if resp.Header.Get("X-Amzn-Requestid") == "" {
		b.t.Fatal("no request id")
	}
	answer, err := io.ReadAll(resp.Body)
	if err != nil {
		return err
	}
	var tree any
	if len(answer) > 0 {
		if b.cbor {
			mode, _ := cbor.DecOptions{DefaultMapType: reflect.TypeFor[map[string]any]()}.DecMode()
			err = mode.Unmarshal(answer, &tree)
		} else {
			d := json.NewDecoder(bytes.NewReader(answer))
			d.UseNumber()
			err = d.Decode(&tree)
		}
		if err != nil {
			return fmt.Errorf("%s answered %q: %w", op, answer, err)
		}
	}
	if resp.StatusCode != 200 {
		m, _ := tree.(map[string]any)
		text, _ := m["message"].(string)
		switch m["__type"] {
		case "ResourceInUseException":
			return &types.ResourceInUseException{Message: &text}
		case "ResourceNotFoundException":
			return &types.ResourceNotFoundException{Message: &text}
		case "InvalidArgumentException":
			return &types.InvalidArgumentException{Message: &text}
		}
		return fmt.Errorf("%s: %d %v", op, resp.StatusCode, tree)
	}
	if tree == nil {
		return nil
	}
	return fill(reflect.ValueOf(out).Elem(), tree, b.cbor)
}

// plain turns an SDK input into maps and lists, without what is not set.
func plain(v reflect.Value, asCBOR bool) any {
	switch x := v.Interface().(type) {
	case []byte:
		return x
	case time.Time:
		if asCBOR {
			return cbor.Tag{Number: 1, Content: x.UnixMilli()}
		}
		return json.Number(fmt.Sprintf("%d.%03d", x.Unix(), x.UnixMilli()%1000))
	}
	switch v.Kind() {
	case reflect.Pointer:
		return plain(v.Elem(), asCBOR)
	case reflect.Slice:
		list := []any{}
		for i := range v.Len() {
			list = append(list, plain(v.Index(i), asCBOR))
		}
		return list
	case reflect.Struct:
		m := map[string]any{}
		for i := range v.NumField() {
			f := v.Field(i)
			if v.Type().Field(i).IsExported() && v.Type().Field(i).Name != "ResultMetadata" && !f.IsZero() {
				m[v.Type().Field(i).Name] = plain(f, asCBOR)
			}
		}
		return m
	case reflect.String:
		return v.String()
	}
	return v.Interface()
}

// fill sets the members of an SDK output from a decoded tree; a value of the
// wrong type is an error.
func fill(v reflect.Value, tree any, asCBOR bool) error {
	bad := func() error { return fmt.Errorf("%T %v where %v is due", tree, tree, v.Type()) }
	switch v.Interface().(type) {
	case []byte:
		if asCBOR {
			b, ok := tree.([]byte)
			if !ok {
				return bad()
			}
			v.SetBytes(b)
			return nil
		}
		s, ok := tree.(string)
		if !ok {
			return bad()
		}
		return json.Unmarshal([]byte(`"`+s+`"`), v.Addr().Interface())
	case time.Time:
		if asCBOR {
			// The decoder takes tag 1 for whole seconds, as RFC 8949 has it.
			// What Java's dialect means is that many milliseconds.
			at, ok := tree.(time.Time)
			if !ok || at.Nanosecond() != 0 {
				return bad()
			}
			v.Set(reflect.ValueOf(time.UnixMilli(at.Unix())))
			return nil
		}
		n, ok := tree.(json.Number)
		f, err := n.Float64()
		if !ok || err != nil {
			return bad()
		}
		v.Set(reflect.ValueOf(time.UnixMilli(int64(f*1000 + 0.5))))
		return nil
	}
	switch v.Kind() {
	case reflect.Pointer:
		v.Set(reflect.New(v.Type().Elem()))
		return fill(v.Elem(), tree, asCBOR)
	case reflect.String:
		s, ok := tree.(string)
		if !ok {
			return bad()
		}
		v.SetString(s)
	case reflect.Bool:
		b, ok := tree.(bool)
		if !ok {
			return bad()
		}
		v.SetBool(b)
	case reflect.Int32, reflect.Int64:
		var n int64
		if _, err := fmt.Sscan(fmt.Sprint(tree), &n); err != nil {
			return bad()
		}
		v.SetInt(n)
	case reflect.Slice:
		list, ok := tree.([]any)
		if !ok {
			return bad()
		}
		v.Set(reflect.MakeSlice(v.Type(), len(list), len(list)))
		for i, x := range list {
			if err := fill(v.Index(i), x, asCBOR); err != nil {
				return err
			}
		}
	case reflect.Struct:
		m, ok := tree.(map[string]any)
		if !ok {
			return bad()
		}
		for k, x := range m {
			f := v.FieldByName(k)
			if !f.IsValid() {
				return fmt.Errorf("%v has no member %s", v.Type(), k)
			}
			if x == nil {
				return fmt.Errorf("member %s is null; absent members are to be left out", k)
			}
			if err := fill(f, x, asCBOR); err != nil {
				return fmt.Errorf("%s: %w", k, err)
			}
		}
	default:
		return bad()
	}
	return nil
}

// do is one operation with the SDK's own shapes.
func do[Out any](b *bare, op string, in any) (*Out, error) {
	out := new(Out)
	if err := b.call(op, in, out); err != nil {
		return nil, err
	}
	return out, nil
}

func (b *bare) CreateStream(_ context.Context, in *kinesis.CreateStreamInput, _ ...func(*kinesis.Options)) (*kinesis.CreateStreamOutput, error) {
	return do[kinesis.CreateStreamOutput](b, "CreateStream", in)
}

func (b *bare) DeleteStream(_ context.Context, in *kinesis.DeleteStreamInput, _ ...func(*kinesis.Options)) (*kinesis.DeleteStreamOutput, error) {
	return do[kinesis.DeleteStreamOutput](b, "DeleteStream", in)
}

func (b *bare) DescribeStreamSummary(_ context.Context, in *kinesis.DescribeStreamSummaryInput, _ ...func(*kinesis.Options)) (*kinesis.DescribeStreamSummaryOutput, error) {
	return do[kinesis.DescribeStreamSummaryOutput](b, "DescribeStreamSummary", in)
}

func (b *bare) ListShards(_ context.Context, in *kinesis.ListShardsInput, _ ...func(*kinesis.Options)) (*kinesis.ListShardsOutput, error) {
	return do[kinesis.ListShardsOutput](b, "ListShards", in)
}

func (b *bare) PutRecord(_ context.Context, in *kinesis.PutRecordInput, _ ...func(*kinesis.Options)) (*kinesis.PutRecordOutput, error) {
	return do[kinesis.PutRecordOutput](b, "PutRecord", in)
}

func (b *bare) PutRecords(_ context.Context, in *kinesis.PutRecordsInput, _ ...func(*kinesis.Options)) (*kinesis.PutRecordsOutput, error) {
	return do[kinesis.PutRecordsOutput](b, "PutRecords", in)
}

func (b *bare) GetShardIterator(_ context.Context, in *kinesis.GetShardIteratorInput, _ ...func(*kinesis.Options)) (*kinesis.GetShardIteratorOutput, error) {
	return do[kinesis.GetShardIteratorOutput](b, "GetShardIterator", in)
}

func (b *bare) GetRecords(_ context.Context, in *kinesis.GetRecordsInput, _ ...func(*kinesis.Options)) (*kinesis.GetRecordsOutput, error) {
	return do[kinesis.GetRecordsOutput](b, "GetRecords", in)
}

func (b *bare) SplitShard(_ context.Context, in *kinesis.SplitShardInput, _ ...func(*kinesis.Options)) (*kinesis.SplitShardOutput, error) {
	return do[kinesis.SplitShardOutput](b, "SplitShard", in)
}

func (b *bare) MergeShards(_ context.Context, in *kinesis.MergeShardsInput, _ ...func(*kinesis.Options)) (*kinesis.MergeShardsOutput, error) {
	return do[kinesis.MergeShardsOutput](b, "MergeShards", in)
}
