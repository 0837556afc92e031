// Package destination gives batches that a mapping has given up to where they
// are wanted: a bucket, a queue or a topic at any endpoint that speaks AWS's
// protocol of S3, SQS or SNS, or a stream of this server. It hides protocols
// and signatures. It tries once: when to try again is the mapping's business.
package destination

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	v4 "github.com/aws/aws-sdk-go-v2/aws/signer/v4"

	"github.com/thalweg/thalweg/fault"
	"github.com/thalweg/thalweg/function/mapping"
)

// Config says where things are.
type Config struct {
	// Endpoints are URLs by service: s3, sqs, sns. A destination at a service
	// without one is refused.
	Endpoints map[string]string
	// Credentials sign requests; without an access key they are not signed.
	Credentials aws.Credentials
	HTTP        *http.Client // nil: one that gives up after 30 s
	// Put puts a record into an account's stream of this server.
	Put func(ctx context.Context, account, arn string, record []byte) error
}

// Destinations is the way to them. Its methods may be called concurrently.
type Destinations struct {
	cfg    Config
	signer *v4.Signer
}

// New returns destinations.
func New(cfg Config) *Destinations {
	if cfg.HTTP == nil {
		cfg.HTTP = &http.Client{Timeout: 30 * time.Second}
	}
	return &Destinations{cfg: cfg, signer: v4.NewSigner(func(o *v4.SignerOptions) { o.DisableURIPathEscaping = true })}
}

// target is a destination's ARN, taken apart.
type target struct{ service, region, account, name string }

func parse(destination string) (t target, err error) {
	parts := strings.SplitN(destination, ":", 6)
	if len(parts) != 6 || parts[0] != "arn" || parts[5] == "" {
		return t, fault.New(fault.Invalid, "The on-failure destination %.200q is none that this server can reach: use the ARN of a bucket, a queue, a topic or a stream.", destination)
	}
	t = target{parts[2], parts[3], parts[4], parts[5]}
	switch t.service {
	case "s3", "sqs", "sns":
		if strings.ContainsAny(t.name, "/?#%") {
			return t, fault.New(fault.Invalid, "The on-failure destination %.200q names no bucket, queue or topic.", destination)
		}
		return t, nil
	case "kinesis":
		return t, nil
	}
	return t, fault.New(fault.Invalid, "On-failure destinations of %.40s are not supported: use a bucket, a queue, a topic or a stream.", t.service)
}

// Check tells whether Send can reach a destination. Faults: Invalid.
func (d *Destinations) Check(o mapping.Owner, destination string) error {
	t, err := parse(destination)
	switch {
	case err != nil:
		return err
	case t.service == "kinesis" && (t.account != o.Account || t.region != o.Region):
		return fault.New(fault.Invalid, "The on-failure destination %s is a stream of another account or region.", destination)
	case t.service == "kinesis":
		return nil
	case d.cfg.Endpoints[t.service] == "":
		return fault.New(fault.Invalid, "This server knows no endpoint of %s for the on-failure destination %s: start it with AWS_ENDPOINT_URL_%s, or use another.",
			t.service, destination, strings.ToUpper(t.service))
	}
	return nil
}

// Send gives a batch to a destination: S3 gets the event besides what the
// others get. (Lambda Developer Guide, "Retain discarded batch records for a
// Kinesis Data Streams event source")
func (d *Destinations) Send(ctx context.Context, o mapping.Owner, destination string, x mapping.Delivery) error {
	t, err := parse(destination)
	if err != nil {
		return err
	}
	if t.service == "s3" {
		if x.Payload, err = x.Event(ctx); err != nil {
			return fmt.Errorf("read the batch again: %w", err)
		}
	}
	message, err := x.Message()
	if err != nil {
		return fmt.Errorf("write the message: %w", err)
	}
	endpoint := strings.TrimRight(d.cfg.Endpoints[t.service], "/")
	switch t.service {
	case "s3":
		return d.call(ctx, http.MethodPut, endpoint+"/"+t.name+"/"+x.ObjectKey(x.Mapping, x.ID), "application/json", message, t.service, o.Region)
	case "sqs":
		queue := endpoint + "/" + t.account + "/" + t.name
		return d.form(ctx, queue, t, url.Values{"Action": {"SendMessage"}, "Version": {"2012-11-05"}, "QueueUrl": {queue}, "MessageBody": {string(message)}})
	case "sns":
		return d.form(ctx, endpoint+"/", t, url.Values{"Action": {"Publish"}, "Version": {"2010-03-31"}, "TopicArn": {destination}, "Message": {string(message)}})
	}
	return d.cfg.Put(ctx, o.Account, destination, message)
}

func (d *Destinations) form(ctx context.Context, to string, t target, v url.Values) error {
	return d.call(ctx, http.MethodPost, to, "application/x-www-form-urlencoded", []byte(v.Encode()), t.service, t.region)
}

// shown is how much of an error's text is told.
const shown = 300

func (d *Destinations) call(ctx context.Context, method, to, contentType string, body []byte, service, region string) error {
	r, err := http.NewRequestWithContext(ctx, method, to, bytes.NewReader(body))
	if err != nil {
		return fmt.Errorf("call %s: %w", service, err)
	}
	r.Header.Set("Content-Type", contentType)
	if d.cfg.Credentials.AccessKeyID != "" {
		sum := sha256.Sum256(body)
		hash := hex.EncodeToString(sum[:])
		r.Header.Set("X-Amz-Content-Sha256", hash)
		if err := d.signer.SignHTTP(ctx, d.cfg.Credentials, r, hash, service, region, time.Now()); err != nil {
			return fmt.Errorf("sign a call of %s: %w", service, err)
		}
	}
	answer, err := d.cfg.HTTP.Do(r)
	if err != nil {
		return fmt.Errorf("call %s: %w", service, err)
	}
	defer answer.Body.Close()
	text, _ := io.ReadAll(io.LimitReader(answer.Body, shown))
	if answer.StatusCode/100 != 2 {
		return fmt.Errorf("%s answered %s: %s", service, answer.Status, text)
	}
	return nil
}
