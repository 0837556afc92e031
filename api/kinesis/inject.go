package kinesis

import (
	"context"
	"reflect"
	"time"

	"github.com/thalweg/thalweg/fault"
	"github.com/thalweg/thalweg/gate"
	"github.com/thalweg/thalweg/gate/wire"
	"github.com/thalweg/thalweg/internal/inject"
	"github.com/thalweg/thalweg/stream"
)

// Inject makes the operations of New meet faults as rules say. While there is
// no rule it costs a look at a number.
func Inject(service *gate.Service, s *stream.Streams, rules *inject.Rules) {
	j := &injector{api: newAPI(s), rules: rules}
	for _, c := range []struct {
		shape **wire.Shape
		of    reflect.Type
	}{
		{&j.about, reflect.TypeFor[aboutShard]()},
		{&j.results, reflect.TypeFor[putRecordsAnswer]()},
	} {
		var err error
		if *c.shape, err = wire.Compile(c.of); err != nil {
			panic(err) // structs of strings
		}
	}
	for i := range service.Ops {
		if op := &service.Ops[i]; op.Serve != nil {
			op.Serve = j.serve(op.Name, op.Serve)
		} else {
			op.Stream = j.stream(op.Name, op.Stream)
		}
	}
}

type injector struct {
	api            *api
	rules          *inject.Rules
	about, results *wire.Shape
}

// aboutShard is what of any request tells which stream and shard it is about.
type aboutShard struct {
	StreamName, StreamARN, ResourceARN, ConsumerARN, NextToken *string
	ShardId, ShardToSplit, ShardIterator                       *string
	PartitionKey, ExplicitHashKey                              *string
}

// site finds out what a call is about, as far as it says.
func (j *injector) site(name string, c *gate.Call) inject.Site {
	at := inject.Site{Operation: name}
	var in aboutShard
	if j.about.Decode(c.Format, c.Body, &in) != nil {
		return at // which the operation will say
	}
	if in.ShardIterator != nil {
		ref, shard, _ := j.api.streams.Locate(*in.ShardIterator)
		at.Stream, at.Shard = ref.Name, shard
		return at
	}
	at.Stream = streamNamed(c, &about{in.StreamName, in.StreamARN, in.ResourceARN, in.ConsumerARN, in.NextToken})
	for _, id := range []*string{in.ShardId, in.ShardToSplit} {
		if index, ok := stream.ParseShardID(text(id)); ok && id != nil {
			at.Shard = stream.ShardID(index)
		}
	}
	if name == "PutRecord" {
		at.Shard = j.shardOf(c, at.Stream, &putRecordsEntry{PartitionKey: in.PartitionKey, ExplicitHashKey: in.ExplicitHashKey})
	}
	return at
}

// shardOf is the shard that a record is going to, or "" where that is not for
// its keys to say.
func (j *injector) shardOf(c *gate.Call, name string, e *putRecordsEntry) string {
	r, err := e.record()
	if err != nil {
		return ""
	}
	return j.api.streams.Route(stream.Ref{Owner: stream.Owner{Account: c.Account, Region: c.Region}, Name: name}, r)
}

// before waits as long as a call is to be delayed, and returns what it is
// refused with.
func (j *injector) before(ctx context.Context, c *gate.Call, at inject.Site, v inject.Verdict) error {
	if v.Delay > 0 {
		timer := time.NewTimer(v.Delay)
		defer timer.Stop()
		select {
		case <-timer.C:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	return refusal(c, at, v.Refuse)
}

// refusal is an effect as the error of a call or a record.
func refusal(c *gate.Call, at inject.Site, e inject.Effect) error {
	switch e {
	case inject.Throttle:
		switch at.Operation {
		case "PutRecord", "PutRecords", "GetRecords", "GetShardIterator":
			if at.Shard == "" {
				return fault.New(fault.Throttled, "Rate exceeded for stream %s under account %s.", at.Stream, c.Account)
			}
			return fault.New(fault.Throttled, "Rate exceeded for shard %s in stream %s under account %s.", at.Shard, at.Stream, c.Account)
		}
		return errRate(c, at.Stream)
	case inject.Fail:
		return fault.New(fault.Internal, "a fault that was asked for")
	case inject.Expire:
		return fault.New(fault.Expired, "Iterator expired: a fault that was asked for.")
	}
	return nil
}

type server = func(ctx context.Context, c *gate.Call, dst []byte) ([]byte, error)

func (j *injector) serve(name string, next server) server {
	if name == "PutRecords" {
		next = j.putRecords(next)
	}
	return func(ctx context.Context, c *gate.Call, dst []byte) ([]byte, error) {
		if !j.rules.Active() {
			return next(ctx, c, dst)
		}
		at := j.site(name, c)
		v := j.rules.Call(at)
		err := j.before(ctx, c, at, v)
		if err == nil && name == "PutRecord" {
			err = refusal(c, at, j.rules.Record(at))
		}
		if err != nil {
			return dst, err
		}
		out, err := next(ctx, c, dst)
		if v.Drop && err == nil {
			return out, gate.ErrDrop
		}
		return out, err
	}
}

func (j *injector) stream(name string, next func(context.Context, *gate.Call, *gate.Flow) error) func(context.Context, *gate.Call, *gate.Flow) error {
	return func(ctx context.Context, c *gate.Call, flow *gate.Flow) error {
		if !j.rules.Active() {
			return next(ctx, c, flow)
		}
		at := j.site(name, c)
		v := j.rules.Call(at)
		if err := j.before(ctx, c, at, v); err != nil {
			return err
		}
		if v.Drop {
			flow.Cut()
		}
		return next(ctx, c, flow)
	}
}

// putRecords refuses single records and puts the others.
func (j *injector) putRecords(next server) server {
	return func(ctx context.Context, c *gate.Call, dst []byte) ([]byte, error) {
		var in putRecordsRequest
		if !j.rules.Active() || j.api.putRecordsShape.Decode(c.Format, c.Body, &in) != nil || j.api.putRecordsShape.Check(&in) != nil || isTrue(in.DryRun) {
			return next(ctx, c, dst)
		}
		ref, err := in.resolve(c)
		if err != nil {
			return dst, err
		}
		whole := putRecordsAnswer{Records: make([]putRecordsResult, len(in.Records))}
		rest, places := in, []int(nil)
		rest.Records = nil
		for i := range in.Records {
			at := inject.Site{Operation: "PutRecords", Stream: ref.Name, Shard: j.shardOf(c, ref.Name, &in.Records[i])}
			if err := refusal(c, at, j.rules.Record(at)); err != nil {
				code, message := fate(err)
				whole.Records[i] = putRecordsResult{ErrorCode: &code, ErrorMessage: &message}
				whole.FailedRecordCount++
				continue
			}
			rest.Records = append(rest.Records, in.Records[i])
			places = append(places, i)
		}
		if whole.FailedRecordCount == 0 {
			return next(ctx, c, dst)
		}
		if len(places) > 0 {
			out, err := j.api.putRecords(ctx, c, &rest)
			if err != nil {
				return dst, err
			}
			whole.FailedRecordCount += out.FailedRecordCount
			for k, i := range places {
				whole.Records[i] = out.Records[k]
			}
		}
		return j.results.Append(dst, c.Format, &whole)
	}
}
