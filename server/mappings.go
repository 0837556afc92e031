package server

import (
	"context"
	"strconv"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"

	"github.com/thalweg/thalweg/fault"
	"github.com/thalweg/thalweg/flow"
	"github.com/thalweg/thalweg/function"
	"github.com/thalweg/thalweg/function/mapping"
	"github.com/thalweg/thalweg/function/mapping/destination"
	"github.com/thalweg/thalweg/shardlog"
	"github.com/thalweg/thalweg/stream"
)

// Remote is services elsewhere.
type Remote struct {
	Endpoints                                  map[string]string // URLs by service: s3, sqs, sns
	AccessKeyID, SecretAccessKey, SessionToken string            // for all of them; empty: calls are not signed
}

// mappingEnv is what event source mappings see of the other rooms.
func (s *Server) mappingEnv() mapping.Env {
	out := destination.New(destination.Config{
		Endpoints: s.cfg.Remote.Endpoints, Put: s.deliver, Credentials: aws.Credentials{
			AccessKeyID: s.cfg.Remote.AccessKeyID, SecretAccessKey: s.cfg.Remote.SecretAccessKey, SessionToken: s.cfg.Remote.SessionToken,
		},
	})
	return mapping.Env{
		Stream:   s.mappedStream,
		Position: s.mappedPosition,
		Read:     s.readMapped,
		Await: func(ctx context.Context, m *mapping.Stream, shard uint32, from flow.Pos) error {
			ref, _ := refOf(m.ARN)
			return s.streams.Await(ctx, ref, m.ID, shard, from)
		},
		Function: func(o mapping.Owner, arn string) (string, error) {
			ref, err := s.functions.Resolve(o.Account, o.Region, arn, "")
			if err != nil {
				return "", err
			}
			if s.cfg.Functions.Endpoint != "" { // it is known there
				return "arn:aws:iam::" + o.Account + ":role/thalweg", nil
			}
			_, v, err := s.functions.Get(ref)
			if err != nil {
				return "", err
			}
			return v.Role, nil
		},
		Invoke: func(ctx context.Context, in function.Invocation) (function.Outcome, error) {
			return s.functions.Invoke(ctx, in)
		},
		CheckDestination: out.Check,
		Send:             out.Send,
	}
}

// refOf reads the ARN of a stream, arn:aws:kinesis:region:account:stream/name,
// and what follows the stream's name in that of a consumer.
func refOf(arn string) (ref stream.Ref, rest string) {
	parts := strings.SplitN(arn, ":", 6)
	if len(parts) != 6 || parts[0] != "arn" || parts[2] != "kinesis" {
		return ref, ""
	}
	name, ok := strings.CutPrefix(parts[5], "stream/")
	if !ok {
		return ref, ""
	}
	name, rest, _ = strings.Cut(name, "/")
	return stream.Ref{Owner: stream.Owner{Account: parts[4], Region: parts[3]}, Name: name}, rest
}

// mappedStream tells what an ARN means. A consumer's is good for as long as the
// consumer is registered.
func (s *Server) mappedStream(_ context.Context, arn string) (*mapping.Stream, error) {
	ref, rest := refOf(arn)
	if ref.Name == "" {
		return nil, fault.New(fault.NotFound, "%s is not the ARN of a stream", arn)
	}
	if rest != "" {
		name, created, ok := strings.Cut(strings.TrimPrefix(rest, "consumer/"), ":")
		secs, err := strconv.ParseInt(created, 10, 64)
		if !ok || err != nil {
			return nil, fault.New(fault.NotFound, "%s is not the ARN of a consumer", arn)
		}
		if _, err := s.streams.Consumer(ref, name, secs); err != nil {
			return nil, err
		}
	}
	info, err := s.streams.Describe(ref)
	if err != nil {
		return nil, err
	}
	m := &mapping.Stream{ARN: ref.ARN(), ID: info.ID, Shards: make([]mapping.Shard, len(info.Shards))}
	for i := range info.Shards {
		sh := &info.Shards[i]
		m.Shards[i] = mapping.Shard{
			Index: sh.Index, ID: sh.ID,
			Sequence: func(pos flow.Pos, milli int64) string { return sh.Sequence(pos, milli).String() },
		}
		for _, parent := range []string{sh.Parent, sh.AdjacentParent} {
			if parent != "" {
				m.Shards[i].Parents = append(m.Shards[i].Parents, parent)
			}
		}
	}
	return m, nil
}

func (s *Server) mappedPosition(ctx context.Context, arn string, shard uint32, at mapping.Start) (flow.Pos, error) {
	ref, _ := refOf(arn)
	return s.streams.Position(ctx, ref, shard, stream.Start{Type: stream.StartType(at.Type), Time: at.Time})
}

func (s *Server) readMapped(ctx context.Context, m *mapping.Stream, shard uint32, from flow.Pos, limit mapping.Limit, take func(flow.Record)) (mapping.Page, error) {
	ref, _ := refOf(m.ARN)
	var p stream.ReadPage
	defer p.Release()
	if err := s.streams.Pull(ctx, ref, m.ID, shard, from, shardlog.Limit{Records: limit.Records, Bytes: limit.Bytes}, &p); err != nil {
		return mapping.Page{}, err
	}
	for r := range p.All {
		take(r)
	}
	return mapping.Page{Next: max(from, p.Page.Next), End: len(p.Children) > 0, Tip: p.Behind == 0}, nil
}
