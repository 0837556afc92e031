package server

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/thalweg/thalweg/stream"
)

// Stream declares a data stream that is to exist when the server is ready. One
// that exists is never taken anything from: see stream.Streams.Declare.
type Stream struct {
	Name           string
	Shards         int  // wanted unless OnDemand
	OnDemand       bool // starts with four shards and gets more by its load
	RetentionHours int  // 24 to 8760; 0: 24, or what it is
	MaxRecordKiB   int  // 1024 to 10240; 0: 1024, or what it is
	Tags           map[string]string
	Account        string   // 12 digits; "": 000000000000
	Region         string   // "": us-east-1
	Metrics        []string // of its shards, to be exported, by AWS's names, or ALL
	Consumers      []string // to be registered for enhanced fan-out
	Limits         string   // aws or off; "": as all streams
}

func (d *Stream) declaration() stream.Declaration {
	out := stream.Declaration{
		Ref: stream.Ref{
			Owner: stream.Owner{Account: cmp.Or(d.Account, "000000000000"), Region: cmp.Or(d.Region, "us-east-1")},
			Name:  d.Name,
		},
		CreateSpec: stream.CreateSpec{Shards: d.Shards, Tags: d.Tags, MaxRecordKiB: d.MaxRecordKiB, RetentionHours: d.RetentionHours},
		Metrics:    d.Metrics, Consumers: d.Consumers, Limits: stream.Limits(d.Limits),
	}
	if d.OnDemand {
		out.Mode = stream.OnDemand
	}
	return out
}

// DeclarationError is what is wrong with one of the streams that are declared.
// Field is the key that the configuration file has for it.
type DeclarationError struct {
	Index int // from 0
	Name  string
	Field string
	Err   error
}

func (e *DeclarationError) Error() string {
	return fmt.Sprintf("stream %q: %s: %v", e.Name, e.Field, e.Err)
}

func (e *DeclarationError) Unwrap() error { return e.Err }

// CheckStreams returns the first mistake in declarations, as a
// *DeclarationError, as far as it can be told without looking at any data.
func CheckStreams(streams []Stream) error {
	seen := make(map[stream.Ref]bool)
	for i := range streams {
		d := &streams[i]
		field, err := d.check()
		if ref := d.declaration().Ref; err == nil && seen[ref] {
			field, err = "name", errors.New("it is declared twice")
		} else {
			seen[ref] = true
		}
		if err != nil {
			return &DeclarationError{Index: i, Name: d.Name, Field: field, Err: err}
		}
	}
	return nil
}

// check goes through the fields as the configuration file names them.
func (d *Stream) check() (field string, err error) {
	whole := d.declaration()
	spec := stream.CreateSpec{Shards: whole.Shards, Mode: whole.Mode}
	switch {
	case !validName(d.Name):
		return "name", errors.New("a name has 1 to 128 letters, digits, '_', '.' and '-'")
	case d.Account != "" && !isAccount(d.Account):
		return "account", fmt.Errorf("%q is not 12 digits", d.Account)
	case strings.Trim(d.Region, "abcdefghijklmnopqrstuvwxyz0123456789-") != "":
		return "region", fmt.Errorf("%q is no region", d.Region)
	case d.OnDemand && d.Shards != 0:
		return "shards", errors.New("a stream on demand has as many as its load asks for")
	case d.Limits != "" && d.Limits != "aws" && d.Limits != "off":
		return "limits", fmt.Errorf("%q is none of aws or off", d.Limits)
	case len(d.Consumers) > 20:
		return "consumers", errors.New("a stream has at most 20")
	}
	if err := spec.Check(whole.Ref); err != nil {
		return "shards", err
	}
	spec.RetentionHours = d.RetentionHours
	if err := spec.Check(whole.Ref); err != nil {
		return "retention_hours", err
	}
	spec.MaxRecordKiB = d.MaxRecordKiB
	if err := spec.Check(whole.Ref); err != nil {
		return "max_record_kib", err
	}
	spec.Tags = d.Tags
	if err := spec.Check(whole.Ref); err != nil {
		return "tags", err
	}
	for k, v := range d.Tags {
		if n := utf8.RuneCountInString(k); n < 1 || n > 128 || utf8.RuneCountInString(v) > 256 {
			return "tags", errors.New("a key has 1 to 128 characters, a value at most 256")
		}
		if err := stream.CheckTags(whole.Ref, "add tags to", k, v); err != nil {
			return "tags", err
		}
	}
	for _, m := range d.Metrics {
		if m != "ALL" && !slices.Contains(stream.ShardMetrics(), m) {
			return "metrics", fmt.Errorf("%q is none of ALL, %s", m, strings.Join(stream.ShardMetrics(), ", "))
		}
	}
	for _, c := range d.Consumers {
		if !validName(c) {
			return "consumers", errors.New("a name has 1 to 128 letters, digits, '_', '.' and '-'")
		}
	}
	return "", nil
}

func validName(s string) bool {
	return s != "" && len(s) <= 128 && strings.Trim(s, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_.-") == ""
}

// Declare sees to it that a stream is there, as Config.Streams does, and logs
// what of it is not as declared.
func (s *Server) Declare(ctx context.Context, d Stream) error {
	if err := CheckStreams([]Stream{d}); err != nil {
		return err
	}
	want := d.declaration()
	differs, err := s.streams.Declare(ctx, want)
	if err != nil {
		return fmt.Errorf("declared stream %s: %w", d.Name, err)
	}
	for _, what := range differs {
		s.logger.Warn("stream is not as declared, and left as it is", "stream", d.Name, "account", want.Account, "region", want.Region, "difference", what)
	}
	return nil
}
