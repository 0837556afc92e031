package server

import (
	"bytes"
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	v4 "github.com/aws/aws-sdk-go-v2/aws/signer/v4"

	"github.com/thalweg/thalweg/fault"
	"github.com/thalweg/thalweg/function"
)

// outside makes a signed request to another endpoint and returns its answer,
// of at most max bytes.
func (s *Server) outside(ctx context.Context, service, region, method, target string, header http.Header, body []byte, max int64) (*http.Response, []byte, error) {
	req, err := http.NewRequestWithContext(ctx, method, target, bytes.NewReader(body))
	if err != nil {
		return nil, nil, err
	}
	for name, values := range header {
		req.Header[name] = values
	}
	sum := sha256.Sum256(body)
	hash := hex.EncodeToString(sum[:])
	req.Header.Set("X-Amz-Content-Sha256", hash)
	keys := aws.Credentials{AccessKeyID: s.cfg.Remote.AccessKeyID, SecretAccessKey: s.cfg.Remote.SecretAccessKey, SessionToken: s.cfg.Remote.SessionToken}
	if keys.AccessKeyID == "" && service == "lambda" { // emulators want some, and look at none
		keys.AccessKeyID, keys.SecretAccessKey = "thalweg", "thalweg"
	}
	if keys.AccessKeyID != "" {
		signer := v4.NewSigner(func(o *v4.SignerOptions) { o.DisableURIPathEscaping = service == "s3" })
		if err := signer.SignHTTP(ctx, keys, req, hash, service, region, time.Now()); err != nil {
			return nil, nil, err
		}
	}
	resp, err := s.client.Do(req)
	if err != nil {
		return nil, nil, err
	}
	defer resp.Body.Close()
	answer, err := io.ReadAll(io.LimitReader(resp.Body, max+1))
	if err == nil && int64(len(answer)) > max {
		err = errTooMuch
	}
	return resp, answer, err
}

var errTooMuch = errors.New("the answer is larger than this server reads")

// fetch reads an object of a bucket at the S3 endpoint, with a path-style GET.
func (s *Server) fetch(ctx context.Context, region, bucket, key, version string, max int64) ([]byte, error) {
	target := strings.TrimRight(s.cfg.Remote.Endpoints["s3"], "/") + "/" + url.PathEscape(bucket) + "/" + (&url.URL{Path: key}).EscapedPath()
	if version != "" {
		target += "?versionId=" + url.QueryEscape(version)
	}
	resp, body, err := s.outside(ctx, "s3", region, http.MethodGet, target, nil, nil, max)
	switch {
	case errors.Is(err, errTooMuch):
		return nil, fault.New(fault.Invalid, "Zipped size must be smaller than %d bytes", max)
	case err != nil:
		s.logger.Warn("code cannot be read from its bucket", "endpoint", s.cfg.Remote.Endpoints["s3"], "bucket", bucket, "err", err)
		return nil, fault.New(fault.Invalid, "Error occurred while GetObject. The S3 endpoint of this server does not answer.")
	case resp.StatusCode != http.StatusOK:
		code, message := between(body, "<Code>", "</Code>"), between(body, "<Message>", "</Message>")
		return nil, fault.New(fault.Invalid, "Error occurred while GetObject. S3 Error Code: %s. S3 Error Message: %s", cmp.Or(code, resp.Status), message)
	}
	return body, nil
}

// between is the text of a short element of XML.
func between(b []byte, open, shut string) string {
	_, rest, _ := bytes.Cut(b, []byte(open))
	text, _, _ := bytes.Cut(rest, []byte(shut))
	return strings.ToValidUTF8(string(text[:min(len(text), 500)]), "")
}

// forward has functions run at another endpoint.
func (s *Server) forward(endpoint string) (function.Forward, error) {
	u, err := url.Parse(endpoint)
	if err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" {
		return nil, fmt.Errorf("%q is no URL of an endpoint for functions", endpoint)
	}
	base := strings.TrimRight(endpoint, "/") + "/2015-03-31/functions/"
	return func(ctx context.Context, ref function.Ref, in *function.Invocation, event bool) (function.Outcome, error) {
		target := base + url.PathEscape(ref.Function) + "/invocations"
		if ref.Qualifier != "" {
			target += "?Qualifier=" + url.QueryEscape(ref.Qualifier)
		}
		header := http.Header{}
		if event {
			header.Set("X-Amz-Invocation-Type", "Event")
		}
		if in.Tail {
			header.Set("X-Amz-Log-Type", "Tail")
		}
		if in.ClientContext != "" {
			header.Set("X-Amz-Client-Context", base64.StdEncoding.EncodeToString([]byte(in.ClientContext)))
		}
		resp, body, err := s.outside(ctx, "lambda", ref.Region, http.MethodPost, target, header, in.Payload, 2*function.MaxPayload)
		if err != nil {
			return function.Outcome{}, fmt.Errorf("forward an invocation of %s: %w", ref.ARN(), err)
		}
		if resp.StatusCode >= http.StatusMultipleChoices {
			return function.Outcome{}, refusal(resp, body)
		}
		out := function.Outcome{
			Payload: body, FunctionError: resp.Header.Get("X-Amz-Function-Error"), Version: cmp.Or(resp.Header.Get("X-Amz-Executed-Version"), function.Latest),
			RequestID: resp.Header.Get("X-Amzn-Requestid"),
		}
		if tail, err := base64.StdEncoding.DecodeString(resp.Header.Get("X-Amz-Log-Result")); err == nil {
			out.LogTail = string(tail)
		}
		return out, nil
	}, nil
}

// refusal makes of what another endpoint says no with what we would have said.
func refusal(resp *http.Response, body []byte) error {
	var said struct{ Message, Reason string }
	if json.Unmarshal(body, &said) != nil || said.Message == "" {
		said.Message = strings.ToValidUTF8(string(body[:min(len(body), 200)]), "")
	}
	switch resp.StatusCode {
	case http.StatusNotFound:
		return fault.New(fault.NotFound, "%s", said.Message)
	case http.StatusTooManyRequests:
		return fault.Coded(fault.Throttled, cmp.Or(said.Reason, "CallerRateLimitExceeded"), "%s", said.Message)
	case http.StatusRequestEntityTooLarge:
		return fault.Coded(fault.TooLarge, "RequestTooLargeException", "%s", said.Message)
	case http.StatusConflict:
		return fault.New(fault.InUse, "%s", said.Message)
	case http.StatusForbidden:
		return fault.New(fault.Denied, "%s", said.Message)
	}
	if resp.StatusCode < http.StatusInternalServerError {
		return fault.New(fault.Invalid, "%s", said.Message)
	}
	return fmt.Errorf("the endpoint that runs functions answers %s: %s", resp.Status, said.Message)
}
