// Command mapped is a Lambda function behind event source mappings, as AWS's
// guides have it in Go, for the conformance sessions. It takes each event
// through the types of aws-lambda-go and back, member for member, and fails if
// anything was not understood. What it has seen it appends to the file OUT.
//
// A record "poison" is reported as the one that failed; a batch that begins
// with "broken" fails as a whole.
package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"os"
	"reflect"
	"strconv"

	"github.com/aws/aws-lambda-go/events"
	"github.com/aws/aws-lambda-go/lambda"
)

// seen is a line of OUT.
type seen struct {
	Data   []string
	Window string // its start
	State  map[string]string
	Final  bool
	Early  bool
}

func main() {
	out, err := os.OpenFile(os.Getenv("OUT"), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		panic(err)
	}
	lambda.Start(func(_ context.Context, raw json.RawMessage) (any, error) {
		var s seen
		answer, failure := handle(raw, &s)
		line, err := json.Marshal(&s)
		if err != nil {
			return nil, err
		}
		if _, err := out.Write(append(line, '\n')); err != nil {
			return nil, err
		}
		return answer, failure
	})
}

func handle(raw json.RawMessage, s *seen) (any, error) {
	var shape struct{ Window *struct{} }
	if err := json.Unmarshal(raw, &shape); err != nil {
		return nil, err
	}
	var records []events.KinesisEventRecord
	var window *events.KinesisTimeWindowEvent
	if shape.Window != nil {
		window = new(events.KinesisTimeWindowEvent)
		if err := through(raw, window); err != nil {
			return nil, err
		}
		records = window.Records
	} else {
		var e events.KinesisEvent
		if err := through(raw, &e); err != nil {
			return nil, err
		}
		records = e.Records
	}
	failures := []events.KinesisBatchItemFailure{}
	for _, r := range records {
		text := string(r.Kinesis.Data)
		s.Data = append(s.Data, text)
		if text == "poison" && len(failures) == 0 {
			failures = append(failures, events.KinesisBatchItemFailure{ItemIdentifier: r.Kinesis.SequenceNumber})
		}
	}
	if len(s.Data) > 0 && s.Data[0] == "broken" {
		return nil, errors.New("broken, as it was told")
	}
	if window == nil {
		return events.KinesisEventResponse{BatchItemFailures: failures}, nil
	}
	s.Window, s.State, s.Final, s.Early = window.Window.Start.Format("15:04:05"), window.State, window.IsFinalInvokeForWindow, window.IsWindowTerminatedEarly
	had, _ := strconv.Atoi(window.State["count"])
	return events.KinesisTimeWindowEventResponse{
		TimeWindowEventResponseProperties: events.TimeWindowEventResponseProperties{State: map[string]string{"count": strconv.Itoa(had + len(records))}},
		BatchItemFailures:                 failures,
	}, nil
}

// through decodes raw into event, which must have a place for all of it, and
// holds what comes out again against raw.
func through(raw json.RawMessage, event any) error {
	d := json.NewDecoder(bytes.NewReader(raw))
	d.DisallowUnknownFields()
	if err := d.Decode(event); err != nil {
		return fmt.Errorf("not understood: %w", err)
	}
	again, err := json.Marshal(event)
	if err != nil {
		return err
	}
	var a, b any
	if err := errors.Join(json.Unmarshal(raw, &a), json.Unmarshal(again, &b)); err != nil {
		return err
	}
	if !reflect.DeepEqual(rounded(a), rounded(b)) {
		return fmt.Errorf("%s comes back as %s", raw, again)
	}
	return nil
}

// rounded rounds numbers to thousandths: SecondsEpochTime takes times through
// floating point, and a millisecond does not always come back as it went.
func rounded(v any) any {
	switch v := v.(type) {
	case float64:
		return math.Round(v * 1000)
	case []any:
		for i := range v {
			v[i] = rounded(v[i])
		}
	case map[string]any:
		for k := range v {
			v[k] = rounded(v[k])
		}
	}
	return v
}
