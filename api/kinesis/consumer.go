package kinesis

import (
	"strconv"
	"strings"
	"time"

	"github.com/thalweg/thalweg/fault"
	"github.com/thalweg/thalweg/gate"
	"github.com/thalweg/thalweg/stream"
)

// consumerShape is a consumer as lists of them have it.
type consumerShape struct {
	ConsumerName              string
	ConsumerARN               string
	ConsumerStatus            string
	ConsumerCreationTimestamp time.Time
}

func shapeConsumer(c *stream.Consumer) consumerShape {
	return consumerShape{c.Name, c.ARN(), string(c.Status), c.Created}
}

// consumerTarget is how a request names a consumer: by its ARN, or by its name
// and its stream's ARN. All three must agree.
type consumerTarget struct {
	StreamARN    *string `aws:"min=1,max=2048,pattern=arn:aws.*:kinesis:.*:\\d{12}:stream/\\S+"`
	ConsumerName *string `aws:"min=1,max=128,pattern=[a-zA-Z0-9_.-]+"`
	ConsumerARN  *string `aws:"min=1,max=2048,pattern=^(arn):aws.*:kinesis:.*:\\d{12}:.*stream\\/[a-zA-Z0-9_.-]+\\/consumer\\/[a-zA-Z0-9_.-]+:[0-9]+"`
}

func (t *consumerTarget) resolve(c *gate.Call) (resource, error) {
	if t.ConsumerARN == nil && (t.StreamARN == nil || t.ConsumerName == nil) {
		return resource{}, fault.New(fault.Invalid, "Must specify either ConsumerARN, or both StreamARN and ConsumerName.")
	}
	var of stream.Ref
	var err error
	if t.StreamARN != nil {
		if of, err = resolve(c, "", *t.StreamARN); err != nil {
			return resource{}, err
		}
	}
	if t.ConsumerARN == nil {
		return resource{Ref: of, consumer: *t.ConsumerName}, nil
	}
	found, err := resolveConsumer(c, *t.ConsumerARN)
	switch {
	case err != nil:
		return found, err
	case t.StreamARN != nil && found.Ref != of:
		return found, fault.New(fault.Invalid, "StreamARN %s and ConsumerARN %s are of different streams.", *t.StreamARN, *t.ConsumerARN)
	case t.ConsumerName != nil && found.consumer != *t.ConsumerName:
		return found, fault.New(fault.Invalid, "ConsumerName %s and ConsumerARN %s are of different consumers.", *t.ConsumerName, *t.ConsumerARN)
	}
	return found, nil
}

// resolveConsumer takes a consumer's ARN apart: its stream's,
// /consumer/name:created.
func resolveConsumer(c *gate.Call, arn string) (resource, error) {
	head, tail, ok := strings.Cut(arn, "/consumer/")
	name, created, ok2 := strings.Cut(tail, ":")
	secs, err := strconv.ParseInt(created, 10, 64)
	if !ok || !ok2 || err != nil || secs <= 0 || !validName(name) {
		return resource{}, fault.New(fault.Invalid, "ConsumerARN %s is not the ARN of a consumer.", arn)
	}
	of, err := resolve(c, "", head)
	return resource{of, name, secs}, err
}
