package kinesis

import (
	"context"
	"errors"
	"io"
	"strconv"
	"time"

	"github.com/thalweg/thalweg/fault"
	"github.com/thalweg/thalweg/gate"
	"github.com/thalweg/thalweg/gate/wire"
	"github.com/thalweg/thalweg/stream"
)

// SubscribeToShard pushes a shard's records to a consumer as they land, for up
// to five minutes, as events in the caller's own format. (AWS has no events in
// CBOR, and nobody asks for them: the Java SDK v2, whose other operations are in
// CBOR, asks for this one in JSON.) An event holds at most
// 1 MiB of records, or a single larger one; one without records comes when
// there were none for four seconds. At the end of a closed shard, and only
// there, the continuation is absent and the children are named; then the stream
// ends.

type subscribeToShardRequest struct {
	ConsumerARN      *string           `aws:"required,min=1,max=2048,pattern=^(arn):aws.*:kinesis:.*:\\d{12}:.*stream\\/[a-zA-Z0-9_.-]+\\/consumer\\/[a-zA-Z0-9_.-]+:[0-9]+"`
	ShardId          *string           `aws:"required,min=1,max=128,pattern=[a-zA-Z0-9_.-]+"`
	StartingPosition *startingPosition `aws:"required"`
	DryRun           *bool
}

type startingPosition struct {
	Type           *string `aws:"required,enum=AFTER_SEQUENCE_NUMBER|LATEST|AT_TIMESTAMP|AT_SEQUENCE_NUMBER|TRIM_HORIZON"`
	SequenceNumber *string `aws:"pattern=0|([1-9]\\d{0,128})"`
	Timestamp      time.Time
}

// subscribeToShardEvent is what an event holds. It is encoded by hand, below.
type subscribeToShardEvent struct {
	Records                    []recordShape
	ContinuationSequenceNumber *string
	MillisBehindLatest         int64
	ChildShards                []childShard
}

func (a *api) subscribeToShard(ctx context.Context, c *gate.Call, in *subscribeToShardRequest, flow *gate.Flow) error {
	ref, err := resolveConsumer(c, *in.ConsumerARN)
	if err != nil {
		return err
	}
	at := stream.Start{Type: stream.StartType(*in.StartingPosition.Type), Sequence: text(in.StartingPosition.SequenceNumber), Time: in.StartingPosition.Timestamp}
	if at.Type == stream.AtTime && at.Time.IsZero() {
		return fault.New(fault.Invalid, "Must specify Timestamp for a StartingPosition of type AT_TIMESTAMP.")
	}
	if isTrue(in.DryRun) {
		if err := a.streams.CheckSubscribe(ctx, ref.Ref, ref.consumer, ref.created, *in.ShardId, at); err != nil {
			return err
		}
		return dryRun()
	}
	sub, err := a.streams.Subscribe(ctx, ref.Ref, ref.consumer, ref.created, *in.ShardId, at, a.forms[c.Format])
	if err != nil {
		return err
	}
	defer sub.Close()
	if err := flow.Open(); err != nil {
		return err
	}
	for {
		ev, err := sub.Next()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		if err := flow.Send(ev.Message); err != nil {
			ev.Lose()
			return err
		}
		ev.Release()
	}
}

// eventForms are events as messages in each format.
func eventForms() (forms [2]*stream.Form) {
	for f, payload := range map[wire.Format]func([]byte, *stream.Event) []byte{wire.JSON: appendEventJSON, wire.CBOR: appendEventCBOR} {
		forms[f] = &stream.Form{
			Size: func(ev *stream.Event) int { return aroundEvent + eventSize(f, ev) },
			Append: func(dst []byte, ev *stream.Event) ([]byte, error) {
				start := len(dst)
				dst = wire.BeginEvent(dst, "SubscribeToShardEvent", f.ContentType())
				return wire.EndMessage(payload(dst, ev), start)
			},
		}
	}
	return forms
}

// aroundEvent is what a message takes around its payload, about.
const aroundEvent = 256

// eventSize is about how many bytes an event's payload will have.
func eventSize(f wire.Format, ev *stream.Event) int {
	size := 1024 + 256*len(ev.Children)
	if f == wire.CBOR {
		return size + ev.Bytes + aroundCBOR*ev.Records
	}
	return size + ev.Bytes/3*4 + ev.Bytes/64 + aroundJSON*ev.Records
}

// appendEventJSON is subscribeToShardEvent by hand.
func appendEventJSON(dst []byte, ev *stream.Event) []byte {
	dst = appendRecordsJSON(append(dst, '{'), &ev.ReadPage)
	if len(ev.Children) == 0 {
		dst = append(dst, `,"ContinuationSequenceNumber":"`...)
		dst = append(ev.Continuation.AppendText(dst), '"')
	}
	dst = append(dst, `,"MillisBehindLatest":`...)
	dst = strconv.AppendInt(dst, ev.Behind.Milliseconds(), 10)
	if len(ev.Children) > 0 {
		dst = appendChildrenJSON(dst, ev.Children)
	}
	return append(dst, '}')
}

// appendEventCBOR is the same in CBOR.
func appendEventCBOR(dst []byte, ev *stream.Event) []byte {
	dst = appendRecordsCBOR(wire.AppendHead(dst, wire.MajorMap, 3), &ev.ReadPage)
	if len(ev.Children) == 0 {
		dst = appendSequenceCBOR(wire.AppendCBORText(dst, "ContinuationSequenceNumber"), ev.Continuation)
	}
	dst = wire.AppendCBORInt(wire.AppendCBORText(dst, "MillisBehindLatest"), ev.Behind.Milliseconds())
	if len(ev.Children) > 0 {
		dst = appendChildrenCBOR(dst, ev.Children)
	}
	return dst
}
