package kinesis

import (
	"context"
	"errors"
	"strings"
	"time"

	"github.com/thalweg/thalweg/fault"
	"github.com/thalweg/thalweg/gate"
	"github.com/thalweg/thalweg/gate/wire"
	"github.com/thalweg/thalweg/stream"
)

// PutRecord appends one record. SequenceNumberForOrdering is checked as AWS
// checks it, and needs no more: every record comes after all that were
// acknowledged before it. PartitionKey and DryRun are as for PutRecords.

type putRecordRequest struct {
	SequenceNumberForOrdering *string `aws:"pattern=0|([1-9]\\d{0,128})"`
	PartitionKey              *string `aws:"min=1,max=256"`
	ExplicitHashKey           *string `aws:"pattern=0|([1-9]\\d{0,38})"`
	Data                      []byte  `aws:"required,max=10485760"`
	target
	DryRun *bool
}

type putRecordAnswer struct {
	ShardId        string
	SequenceNumber string
}

// putRecordOp is the hand-made codec where it can be used, and the general one
// where not.
func (a *api) putRecordOp() gate.Op {
	op := gate.Handle("PutRecord", a.putRecord)
	general := op.Serve
	op.Serve = func(ctx context.Context, c *gate.Call, dst []byte) ([]byte, error) {
		p := a.puts.Get().(*putCall)
		defer a.puts.Put(p)
		defer p.reset()
		if !p.decode(c.Format, c.Body, true) {
			return general(ctx, c, dst)
		}
		if err := a.put(ctx, c, p); err != nil {
			return dst, a.putFault(op.Name, c, ofOne(err))
		}
		a.streams.CountPut(p.ref, true, p.bytes, p.recs, time.Since(c.Now))
		r := &p.recs[0]
		if r.Err != nil {
			return dst, r.Err
		}
		if c.Format == wire.CBOR {
			dst = wire.AppendHead(dst, wire.MajorMap, 2)
			dst = appendShardCBOR(wire.AppendCBORText(dst, "ShardId"), r.Shard)
			return appendSequenceCBOR(wire.AppendCBORText(dst, "SequenceNumber"), r.Seq), nil
		}
		dst = appendShardID(append(dst, `{"ShardId":"`...), r.Shard)
		dst = r.Seq.AppendText(append(dst, `","SequenceNumber":"`...))
		return append(dst, `"}`...), nil
	}
	return op
}

// putRecord is the whole operation over the general codec.
func (a *api) putRecord(ctx context.Context, c *gate.Call, in *putRecordRequest) (*putRecordAnswer, error) {
	ref, err := in.resolve(c)
	if err != nil {
		return nil, err
	}
	e := putRecordsEntry{PartitionKey: in.PartitionKey, ExplicitHashKey: in.ExplicitHashKey, Data: in.Data}
	r, err := e.record()
	if err != nil {
		return nil, err
	}
	if in.SequenceNumberForOrdering != nil {
		if err := stream.CheckOrdering(ref, *in.SequenceNumberForOrdering, c.Now); err != nil {
			return nil, err
		}
	}
	recs := []stream.PutRecord{r}
	if isTrue(in.DryRun) {
		if err := a.streams.CheckPut(ref, recs); err != nil {
			return nil, ofOne(err)
		}
		return nil, dryRun()
	}
	err = a.streams.Put(ctx, ref, recs, func(_ int, dst []byte) error {
		copy(dst, in.Data)
		return nil
	})
	if err == nil {
		a.streams.CountPut(ref, true, len(r.Key)+r.Size, recs, time.Since(c.Now))
		err = recs[0].Err
	}
	if err != nil {
		return nil, ofOne(err)
	}
	return &putRecordAnswer{stream.ShardID(recs[0].Shard), recs[0].Seq.String()}, nil
}

// ofOne is a fault about the records of a call as PutRecord, which has one and
// no list of them, tells it.
func ofOne(err error) error {
	if f, ok := errors.AsType[*fault.Error](err); ok && f.Kind == fault.Constraint {
		return fault.New(fault.Constraint, "%s", strings.ReplaceAll(f.Message, "records.1.member.", ""))
	}
	return err
}
