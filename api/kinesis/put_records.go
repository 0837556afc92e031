package kinesis

import (
	"context"
	"slices"
	"strconv"
	"time"

	"github.com/thalweg/thalweg/fault"
	"github.com/thalweg/thalweg/gate"
	"github.com/thalweg/thalweg/gate/wire"
	"github.com/thalweg/thalweg/stream"
)

// PutRecords appends up to 500 records, each of which has its own fate. Those
// of one shard keep their order, which AWS does not promise. The request is
// bounded at 10 MiB of keys and data. A record needs a PartitionKey unless the
// stream has the distribution strategy AUTO. A DryRun checks the request and
// what the stream asks of it, not whether its shards have room. A record that
// its shard's limits refuse is not looked at any further, so that its data may
// be no base64 without the request being refused.

type putRecordsRequest struct {
	Records []putRecordsEntry `aws:"required,min=1,max=500"`
	target
	DryRun *bool
}

type putRecordsEntry struct {
	_               struct{} `aws:"shown=com.amazonaws.kinesis.v20131202.PutRecordsRequestEntry@c965e310"`
	PartitionKey    *string  `aws:"min=1,max=256"`
	ExplicitHashKey *string  `aws:"pattern=0|([1-9]\\d{0,38})"`
	Data            []byte   `aws:"required,max=10485760"`
}

type putRecordsAnswer struct {
	FailedRecordCount int
	Records           []putRecordsResult
}

type putRecordsResult struct {
	SequenceNumber *string
	ShardId        *string
	ErrorCode      *string
	ErrorMessage   *string
}

// putRecordsOp is the hand-made codec where it can be used, and the general one
// where not. Data that is not base64 is found out only as it is written to the
// log; nothing is stored then.
func (a *api) putRecordsOp() gate.Op {
	op := gate.Handle("PutRecords", a.putRecords)
	general := op.Serve
	op.Serve = func(ctx context.Context, c *gate.Call, dst []byte) ([]byte, error) {
		p := a.puts.Get().(*putCall)
		defer a.puts.Put(p)
		defer p.reset()
		if !p.decode(c.Format, c.Body, false) {
			return general(ctx, c, dst)
		}
		if err := a.put(ctx, c, p); err != nil {
			return dst, a.putFault(op.Name, c, err)
		}
		c.Failed = a.streams.CountPut(p.ref, false, p.bytes, p.recs, time.Since(c.Now))
		if c.Format == wire.CBOR {
			return appendResultsCBOR(dst, p.recs), nil
		}
		return appendResultsJSON(dst, p.recs), nil
	}
	return op
}

// putFault is the error of a put, or rather the one that AWS finds first: what
// is wrong with the body, if its data is not base64.
func (a *api) putFault(name string, c *gate.Call, err error) error {
	if c.Format == wire.CBOR {
		return err
	}
	var bad error
	if name == "PutRecord" {
		bad = a.putRecordShape.Decode(c.Format, c.Body, new(putRecordRequest))
	} else {
		bad = a.putRecordsShape.Decode(c.Format, c.Body, new(putRecordsRequest))
	}
	if bad != nil {
		return bad
	}
	return err
}

// putRecords is the whole operation over the general codec.
func (a *api) putRecords(ctx context.Context, c *gate.Call, in *putRecordsRequest) (*putRecordsAnswer, error) {
	ref, err := in.resolve(c)
	if err != nil {
		return nil, err
	}
	recs := make([]stream.PutRecord, len(in.Records))
	bytes := 0
	for i := range in.Records {
		if recs[i], err = in.Records[i].record(); err != nil {
			return nil, err
		}
		bytes += len(recs[i].Key) + recs[i].Size
	}
	if bytes > maxPutBytes && len(recs) > 1 {
		return nil, errPutBytes()
	}
	if isTrue(in.DryRun) {
		if err := a.streams.CheckPut(ref, recs); err != nil {
			return nil, err
		}
		return nil, dryRun()
	}
	err = a.streams.Put(ctx, ref, recs, func(i int, dst []byte) error {
		copy(dst, in.Records[i].Data)
		return nil
	})
	if err != nil {
		return nil, err
	}
	c.Failed = a.streams.CountPut(ref, false, bytes, recs, time.Since(c.Now))
	return putResults(recs), nil
}

// putResults tells what became of the records.
func putResults(recs []stream.PutRecord) *putRecordsAnswer {
	out := &putRecordsAnswer{Records: make([]putRecordsResult, len(recs))}
	for i := range recs {
		r, o := &recs[i], &out.Records[i]
		if r.Err != nil {
			code, message := fate(r.Err)
			o.ErrorCode, o.ErrorMessage = &code, &message
			out.FailedRecordCount++
			continue
		}
		o.SequenceNumber, o.ShardId = optional(r.Seq.String()), optional(stream.ShardID(r.Shard))
	}
	return out
}

// record is what an entry within its constraints asks for.
func (e *putRecordsEntry) record() (r stream.PutRecord, err error) {
	r.Key, r.Size = text(e.PartitionKey), len(e.Data)
	if e.ExplicitHashKey != nil {
		r.Explicit = true
		r.Hash, err = stream.ParseHash(*e.ExplicitHashKey)
	}
	return r, err
}

func errPutBytes() error {
	return fault.New(fault.Invalid, "Records size exceeds 10 MB limit")
}

// fate is how the answer tells what became of a record that is not stored:
// AWS knows two ways, and says no more of the second.
func fate(err error) (code, message string) {
	switch fault.Of(err) {
	case fault.Throttled:
		return "ProvisionedThroughputExceededException", err.Error()
	case fault.Internal:
		return "InternalFailure", "Internal Service Failure"
	}
	return "InternalFailure", err.Error()
}

func failures(recs []stream.PutRecord) (n int) {
	for i := range recs {
		if recs[i].Err != nil {
			n++
		}
	}
	return n
}

// appendResultsJSON is putResults by hand. Clients look for
// "FailedRecordCount":0 just like that.
func appendResultsJSON(dst []byte, recs []stream.PutRecord) []byte {
	dst = slices.Grow(dst, 64+entrySize*len(recs))
	dst = append(dst, `{"FailedRecordCount":`...)
	dst = strconv.AppendInt(dst, int64(failures(recs)), 10)
	dst = append(dst, `,"Records":[`...)
	var numbers successive
	for i := range recs {
		r := &recs[i]
		if i > 0 {
			dst = append(dst, ',')
		}
		if r.Err != nil {
			code, message := fate(r.Err)
			dst = append(dst, `{"ErrorCode":`...)
			dst = wire.AppendString(dst, code)
			dst = append(dst, `,"ErrorMessage":`...)
			dst = wire.AppendString(dst, message)
			dst = append(dst, '}')
			continue
		}
		dst = append(dst, `{"SequenceNumber":"`...)
		dst = numbers.of(r.Shard).AppendText(dst, r.Seq)
		dst = append(dst, `","ShardId":"`...)
		dst = appendShardID(dst, r.Shard)
		dst = append(dst, `"}`...)
	}
	return append(dst, `]}`...)
}

// appendResultsCBOR is the same in CBOR.
func appendResultsCBOR(dst []byte, recs []stream.PutRecord) []byte {
	dst = slices.Grow(dst, 64+entrySize*len(recs))
	dst = wire.AppendHead(dst, wire.MajorMap, 2)
	dst = wire.AppendCBORText(dst, "FailedRecordCount")
	dst = wire.AppendCBORInt(dst, int64(failures(recs)))
	dst = wire.AppendCBORText(dst, "Records")
	dst = wire.AppendHead(dst, wire.MajorList, uint64(len(recs)))
	var numbers successive
	for i := range recs {
		r := &recs[i]
		dst = wire.AppendHead(dst, wire.MajorMap, 2)
		if r.Err != nil {
			code, message := fate(r.Err)
			dst = wire.AppendCBORText(dst, "ErrorCode")
			dst = wire.AppendCBORText(dst, code)
			dst = wire.AppendCBORText(dst, "ErrorMessage")
			dst = wire.AppendCBORText(dst, message)
			continue
		}
		dst = appendSuccessiveCBOR(wire.AppendCBORText(dst, "SequenceNumber"), numbers.of(r.Shard), r.Seq)
		dst = appendShardCBOR(wire.AppendCBORText(dst, "ShardId"), r.Shard)
	}
	return dst
}

// successive writes the sequence numbers of a request, whose records of one
// shard follow each other; shards may share a place, as they may not.
type successive [8]stream.Successive

func (n *successive) of(shard uint32) *stream.Successive { return &n[shard%uint32(len(n))] }

// appendShardID appends shardId-000000000042. (stream.ShardID in place)
func appendShardID(dst []byte, index uint32) []byte {
	dst = append(dst, "shardId-000000000000"...)
	for i := len(dst) - 1; index > 0; i-- {
		dst[i] = byte('0' + index%10)
		index /= 10
	}
	return dst
}

func appendShardCBOR(dst []byte, index uint32) []byte {
	return appendShardID(wire.AppendHead(dst, wire.MajorText, uint64(len("shardId-000000000000"))), index)
}

func appendSuccessiveCBOR(dst []byte, n *stream.Successive, seq stream.Sequence) []byte {
	const digits = 56 // of all numbers but those of shards older than 1970
	at := len(dst)
	dst = n.AppendText(wire.AppendHead(dst, wire.MajorText, digits), seq)
	if len(dst)-at == 2+digits {
		return dst
	}
	return appendSequenceCBOR(dst[:at], seq)
}

func appendSequenceCBOR(dst []byte, seq stream.Sequence) []byte {
	var digits [longSequence]byte
	return wire.AppendCBORText(dst, seq.AppendText(digits[:0]))
}
