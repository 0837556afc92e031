package main

import (
	"bytes"
	"cmp"
	"context"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	v4 "github.com/aws/aws-sdk-go-v2/aws/signer/v4"
	"github.com/spf13/cobra"
)

// client calls the operations of Kinesis over signed JSON, as any AWS client
// does. Its methods may be called concurrently.
type client struct {
	endpoint    string // without a slash at the end
	region      string
	credentials aws.Credentials
	http        *http.Client
	signer      *v4.Signer
}

// connection is the flags that say where the server is.
type connection struct{ endpoint, region, ca string }

// connectFlags adds --endpoint, --region and --ca to a command.
func connectFlags(cmd *cobra.Command) *connection {
	c := new(connection)
	first := func(names ...string) string {
		for _, n := range names {
			if v := os.Getenv(n); v != "" {
				return v
			}
		}
		return ""
	}
	cmd.Flags().StringVar(&c.endpoint, "endpoint", cmp.Or(first("THALWEG_ENDPOINT", "AWS_ENDPOINT_URL_KINESIS", "AWS_ENDPOINT_URL"), "http://127.0.0.1:4567"),
		"where the server is [THALWEG_ENDPOINT, AWS_ENDPOINT_URL]")
	cmd.Flags().StringVar(&c.region, "region", cmp.Or(first("AWS_REGION", "AWS_DEFAULT_REGION"), "us-east-1"), "region of the streams [AWS_REGION]")
	cmd.Flags().StringVar(&c.ca, "ca", first("AWS_CA_BUNDLE"), "PEM file of the authority to trust for https (tls/ca.pem in the server's data folder) [AWS_CA_BUNDLE]")
	return c
}

// client makes the client the flags ask for, with the credentials in AWS_*,
// else those in THALWEG_*, else some that a server on loopback takes.
func (c *connection) client() (*client, error) {
	endpoint := c.endpoint
	if !strings.Contains(endpoint, "://") {
		endpoint = "http://" + endpoint
	}
	var trust *tls.Config
	if c.ca != "" {
		pem, err := os.ReadFile(c.ca)
		if err != nil {
			return nil, fmt.Errorf("--ca: %w", err)
		}
		trust = &tls.Config{RootCAs: x509.NewCertPool()}
		if !trust.RootCAs.AppendCertsFromPEM(pem) {
			return nil, fmt.Errorf("--ca: %s holds no PEM certificate", c.ca)
		}
	}
	id, secret := os.Getenv("AWS_ACCESS_KEY_ID"), os.Getenv("AWS_SECRET_ACCESS_KEY")
	if id == "" {
		id, secret = os.Getenv("THALWEG_ACCESS_KEY_ID"), os.Getenv("THALWEG_SECRET_ACCESS_KEY")
	}
	return newClient(endpoint, c.region, aws.Credentials{
		AccessKeyID: cmp.Or(id, "thalweg"), SecretAccessKey: cmp.Or(secret, "thalweg"), SessionToken: os.Getenv("AWS_SESSION_TOKEN"),
	}, trust), nil
}

func newClient(endpoint, region string, cred aws.Credentials, trust *tls.Config) *client {
	return &client{
		endpoint: strings.TrimRight(endpoint, "/"), region: region, credentials: cred,
		signer: v4.NewSigner(),
		http: &http.Client{
			Timeout:   time.Minute,
			Transport: &http.Transport{MaxIdleConnsPerHost: 256, TLSClientConfig: trust, ForceAttemptHTTP2: true},
		},
	}
}

// apiError is an answer that says no.
type apiError struct {
	op      string
	status  int
	Type    string `json:"__type"`
	Message string `json:"message"`
}

func (e *apiError) Error() string {
	return fmt.Sprintf("%s: %s: %s", e.op, cmp.Or(e.Type, http.StatusText(e.status)), e.Message)
}

func (e *apiError) Hint() string {
	switch e.Type {
	case "UnrecognizedClientException", "InvalidSignatureException", "IncompleteSignatureException", "MissingAuthenticationTokenException":
		return "This server verifies signatures: set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY to credentials it was configured with."
	}
	return ""
}

// isType reports whether err is an answer of the named exception.
func isType(err error, names ...string) bool {
	var e *apiError
	if !errors.As(err, &e) {
		return false
	}
	for _, n := range names {
		if e.Type == n {
			return true
		}
	}
	return false
}

func notFound(err error) bool { return isType(err, "ResourceNotFoundException") }

func throttled(err error) bool {
	return isType(err, "ProvisionedThroughputExceededException", "LimitExceededException")
}

// call performs one operation. out may be nil when the answer has no members.
func (c *client) call(ctx context.Context, op string, in, out any) error {
	body, err := json.Marshal(in)
	if err != nil {
		return fmt.Errorf("%s: %w", op, err)
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, c.endpoint+"/", bytes.NewReader(body))
	if err != nil {
		return fmt.Errorf("--endpoint: %w", err)
	}
	req.Header.Set("Content-Type", "application/x-amz-json-1.1")
	req.Header.Set("X-Amz-Target", "Kinesis_20131202."+op)
	if err := c.sign(ctx, req, body, "kinesis"); err != nil {
		return fmt.Errorf("%s: sign: %w", op, err)
	}
	resp, err := c.http.Do(req)
	if err != nil {
		return c.unreachable(ctx, err)
	}
	defer resp.Body.Close()
	answer, err := io.ReadAll(resp.Body)
	if err != nil {
		return c.unreachable(ctx, err)
	}
	if resp.StatusCode != http.StatusOK {
		e := &apiError{op: op, status: resp.StatusCode}
		if json.Unmarshal(answer, e) != nil || e.Type == "" {
			e.Message = strings.TrimSpace(string(answer[:min(len(answer), 200)]))
		}
		e.Type = e.Type[strings.LastIndexByte(e.Type, '#')+1:]
		return e
	}
	if out == nil {
		return nil
	}
	if err := json.Unmarshal(answer, out); err != nil {
		return fmt.Errorf("%s: the answer does not parse: %w", op, err)
	}
	return nil
}

func (c *client) sign(ctx context.Context, req *http.Request, body []byte, service string) error {
	hash := sha256.Sum256(body)
	return c.signer.SignHTTP(ctx, c.credentials, req, hex.EncodeToString(hash[:]), service, c.region, time.Now())
}

// admin calls what a server answers besides AWS's operations. out may be nil.
func (c *client) admin(ctx context.Context, method, path string, in, out any) error {
	var body []byte
	if in != nil {
		var err error
		if body, err = json.Marshal(in); err != nil {
			return err
		}
	}
	req, err := http.NewRequestWithContext(ctx, method, c.endpoint+path, bytes.NewReader(body))
	if err != nil {
		return fmt.Errorf("--endpoint: %w", err)
	}
	if err := c.sign(ctx, req, body, "thalweg"); err != nil {
		return fmt.Errorf("sign: %w", err)
	}
	resp, err := c.http.Do(req)
	if err != nil {
		return c.unreachable(ctx, err)
	}
	defer resp.Body.Close()
	answer, err := io.ReadAll(resp.Body)
	if err != nil {
		return c.unreachable(ctx, err)
	}
	if resp.StatusCode != http.StatusOK {
		return fmt.Errorf("%s: %s", path, strings.TrimSpace(string(answer[:min(len(answer), 200)])))
	}
	if out == nil {
		return nil
	}
	return json.Unmarshal(answer, out)
}

// unreachable explains a call that got no answer.
func (c *client) unreachable(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return ctx.Err()
	}
	var dial *net.OpError
	var unknown x509.UnknownAuthorityError
	switch {
	case errors.As(err, &unknown):
		return hinted{fmt.Errorf("%s shows a certificate of an authority that is not trusted here", c.endpoint),
			"Give --ca the server's tls/ca.pem (in its data folder), or use http."}
	case errors.As(err, &dial) && dial.Op == "dial":
		return hinted{fmt.Errorf("cannot reach %s: %w", c.endpoint, dial.Err),
			"Is the server running? Start it with `thalweg serve`, or say where it is with --endpoint."}
	}
	return fmt.Errorf("no answer from %s: %w", c.endpoint, err)
}
