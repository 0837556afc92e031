package kinesis

import (
	"bytes"
	"context"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/thalweg/thalweg/gate"
	"github.com/thalweg/thalweg/gate/wire"
	"github.com/thalweg/thalweg/stream"
)

// GetRecords reads on from an iterator: at most 10,000 records and 10 MiB. At
// the end of a closed shard, and only there, the next iterator is absent and
// the children are named. StreamARN has to be of the caller's own account and
// region; the iterator alone says which stream is read.

type getRecordsRequest struct {
	Limit         *int    `aws:"min=1,max=10000"`
	ShardIterator *string `aws:"required,min=1,max=512"`
	StreamARN     *string `aws:"min=1,max=2048,pattern=arn:aws.*:kinesis:.*:\\d{12}:stream/\\S+"`
	DryRun        *bool
}

type getRecordsAnswer struct {
	Records            []recordShape
	NextShardIterator  *string
	MillisBehindLatest int64
	ChildShards        []childShard
}

type recordShape struct {
	SequenceNumber              string
	ApproximateArrivalTimestamp time.Time
	Data                        []byte
	PartitionKey                *string // of records that were put without one: absent
}

// getRecordsOp is the hand-made codec where it can be used, and the general one
// where not.
func (a *api) getRecordsOp() gate.Op {
	op := gate.Handle("GetRecords", a.getRecords)
	general := op.Serve
	op.Serve = func(ctx context.Context, c *gate.Call, dst []byte) ([]byte, error) {
		token, limit, ok := decodeGetRecords(c.Format, c.Body)
		if !ok {
			return general(ctx, c, dst)
		}
		p := a.reads.Get().(*stream.ReadPage)
		defer a.reads.Put(p)
		defer p.Release()
		err := a.streams.Read(ctx, stream.Owner{Account: c.Account, Region: c.Region}, token, limit, p)
		c.Resource = p.Stream
		if err != nil {
			return dst, err
		}
		if c.Format == wire.CBOR {
			return appendPageCBOR(dst, p), nil
		}
		return appendPageJSON(dst, p), nil
	}
	return op
}

// getRecords is the whole operation over the general codec.
func (a *api) getRecords(ctx context.Context, c *gate.Call, in *getRecordsRequest) (*getRecordsAnswer, error) {
	if in.StreamARN != nil {
		if _, err := resolve(c, "", *in.StreamARN); err != nil {
			return nil, err
		}
	}
	limit := 0
	if in.Limit != nil {
		limit = *in.Limit
	}
	if isTrue(in.DryRun) {
		limit = 1
	}
	var p stream.ReadPage
	defer p.Release()
	err := a.streams.Read(ctx, stream.Owner{Account: c.Account, Region: c.Region}, *in.ShardIterator, limit, &p)
	c.Resource = p.Stream
	if err != nil {
		return nil, err
	}
	if isTrue(in.DryRun) {
		return nil, dryRun()
	}
	out := &getRecordsAnswer{
		Records:            make([]recordShape, 0, p.Records),
		NextShardIterator:  optional(p.Next),
		MillisBehindLatest: p.Behind.Milliseconds(),
	}
	for r := range p.All {
		out.Records = append(out.Records, recordShape{
			SequenceNumber:              p.Shard.Sequence(r.Pos, r.Time.UnixMilli()).String(),
			ApproximateArrivalTimestamp: r.Time,
			Data:                        bytes.Clone(r.Data), // the page's memory goes back before the answer is encoded
			PartitionKey:                optional(strings.Clone(r.Key)),
		})
	}
	if p.Next == "" {
		out.ChildShards = shapeChildren(p.Children)
	}
	return out, nil
}

// decodeGetRecords reads a request of the kind that clients send: an iterator,
// and perhaps a limit. ok is false for any other, and for what the general codec
// would refuse.
func decodeGetRecords(f wire.Format, body []byte) (token string, limit int, ok bool) {
	var text []byte
	n := int64(-1)
	if f == wire.CBOR {
		var r wire.Reader
		r.Reset(body)
		for m := r.Open(wire.MajorMap); r.Next(&m); {
			switch key := r.Key(); {
			case string(key) == "ShardIterator" && text == nil:
				text = r.Text()
			case string(key) == "Limit" && n < 0:
				n = max(r.Int(), 0)
			default:
				return "", 0, false
			}
		}
		ok = r.End()
	} else {
		var s wire.Scanner
		s.Reset(body)
		s.Open('{')
		for s.Next('}') {
			switch key := s.Key(); {
			case string(key) == "ShardIterator" && text == nil:
				text = s.Text()
			case string(key) == "Limit" && n < 0:
				i, err := strconv.ParseUint(view(s.Number()), 10, 16)
				if err != nil {
					return "", 0, false
				}
				n = int64(i)
			default:
				return "", 0, false
			}
		}
		ok = s.End()
	}
	ok = ok && len(text) > 0 && len(text) <= 512 && n != 0 && n <= 10000
	return string(text), int(max(n, 0)), ok
}

// What a record's answer takes beside its key and data, about.
const (
	aroundJSON = 160
	aroundCBOR = 140
)

// appendPageJSON is getRecordsAnswer by hand, straight from the log's memory.
func appendPageJSON(dst []byte, p *stream.ReadPage) []byte {
	dst = appendRecordsJSON(append(dst, '{'), p)
	if p.Next != "" {
		dst = append(dst, `,"NextShardIterator":`...)
		dst = wire.AppendString(dst, p.Next)
	}
	dst = append(dst, `,"MillisBehindLatest":`...)
	dst = strconv.AppendInt(dst, p.Behind.Milliseconds(), 10)
	if p.Next == "" {
		dst = appendChildrenJSON(dst, p.Children)
	}
	return append(dst, '}')
}

// appendRecordsJSON appends the member Records, and makes room for what can
// follow it.
func appendRecordsJSON(dst []byte, p *stream.ReadPage) []byte {
	dst = slices.Grow(dst, 1024+p.Bytes/3*4+p.Bytes/64+aroundJSON*p.Records)
	dst = append(dst, `"Records":[`...)
	n := 0
	var numbers stream.Successive
	for r := range p.All {
		ms := r.Time.UnixMilli()
		if n > 0 {
			dst = append(dst, ',')
		}
		n++
		dst = append(dst, `{"SequenceNumber":"`...)
		dst = numbers.AppendText(dst, p.Shard.Sequence(r.Pos, ms))
		dst = append(dst, `","ApproximateArrivalTimestamp":`...)
		dst = wire.AppendSeconds(dst, ms)
		dst = append(dst, `,"Data":`...)
		dst = wire.AppendBlob(dst, r.Data)
		if r.Key != "" {
			dst = append(dst, `,"PartitionKey":`...)
			dst = wire.AppendString(dst, r.Key)
		}
		dst = append(dst, '}')
	}
	return append(dst, ']')
}

func appendChildrenJSON(dst []byte, children []stream.ShardInfo) []byte {
	dst = append(dst, `,"ChildShards":[`...)
	for i, s := range shapeChildren(children) {
		if i > 0 {
			dst = append(dst, ',')
		}
		dst = appendChildJSON(dst, &s)
	}
	return append(dst, ']')
}

func appendChildJSON(dst []byte, s *childShard) []byte {
	dst = wire.AppendString(append(dst, `{"ShardId":`...), s.ShardId)
	dst = append(dst, `,"ParentShards":[`...)
	for i, parent := range s.ParentShards {
		if i > 0 {
			dst = append(dst, ',')
		}
		dst = wire.AppendString(dst, parent)
	}
	dst = wire.AppendString(append(dst, `],"HashKeyRange":{"StartingHashKey":`...), s.HashKeyRange.StartingHashKey)
	dst = wire.AppendString(append(dst, `,"EndingHashKey":`...), s.HashKeyRange.EndingHashKey)
	return append(dst, `}}`...)
}

// appendPageCBOR is the same in CBOR.
func appendPageCBOR(dst []byte, p *stream.ReadPage) []byte {
	dst = appendRecordsCBOR(wire.AppendHead(dst, wire.MajorMap, 3), p)
	if p.Next != "" {
		dst = wire.AppendCBORText(wire.AppendCBORText(dst, "NextShardIterator"), p.Next)
	}
	dst = wire.AppendCBORInt(wire.AppendCBORText(dst, "MillisBehindLatest"), p.Behind.Milliseconds())
	if p.Next == "" {
		dst = appendChildrenCBOR(dst, p.Children)
	}
	return dst
}

// appendRecordsCBOR is appendRecordsJSON in CBOR.
func appendRecordsCBOR(dst []byte, p *stream.ReadPage) []byte {
	dst = slices.Grow(dst, 1024+p.Bytes+aroundCBOR*p.Records)
	dst = wire.AppendCBORText(dst, "Records")
	dst = wire.AppendHead(dst, wire.MajorList, uint64(p.Records))
	var numbers stream.Successive
	for r := range p.All {
		ms := r.Time.UnixMilli()
		members := uint64(4)
		if r.Key == "" {
			members--
		}
		dst = wire.AppendHead(dst, wire.MajorMap, members)
		dst = appendSuccessiveCBOR(wire.AppendCBORText(dst, "SequenceNumber"), &numbers, p.Shard.Sequence(r.Pos, ms))
		dst = wire.AppendCBORTime(wire.AppendCBORText(dst, "ApproximateArrivalTimestamp"), ms)
		dst = wire.AppendCBORBytes(wire.AppendCBORText(dst, "Data"), r.Data)
		if r.Key != "" {
			dst = wire.AppendCBORText(wire.AppendCBORText(dst, "PartitionKey"), validKey(r.Key))
		}
	}
	return dst
}

func appendChildrenCBOR(dst []byte, children []stream.ShardInfo) []byte {
	shapes := shapeChildren(children)
	dst = wire.AppendHead(wire.AppendCBORText(dst, "ChildShards"), wire.MajorList, uint64(len(shapes)))
	for i := range shapes {
		dst = appendChildCBOR(dst, &shapes[i])
	}
	return dst
}

func appendChildCBOR(dst []byte, s *childShard) []byte {
	dst = wire.AppendHead(dst, wire.MajorMap, 3)
	dst = wire.AppendCBORText(wire.AppendCBORText(dst, "ShardId"), s.ShardId)
	dst = wire.AppendHead(wire.AppendCBORText(dst, "ParentShards"), wire.MajorList, uint64(len(s.ParentShards)))
	for _, parent := range s.ParentShards {
		dst = wire.AppendCBORText(dst, parent)
	}
	dst = wire.AppendHead(wire.AppendCBORText(dst, "HashKeyRange"), wire.MajorMap, 2)
	dst = wire.AppendCBORText(wire.AppendCBORText(dst, "StartingHashKey"), s.HashKeyRange.StartingHashKey)
	return wire.AppendCBORText(wire.AppendCBORText(dst, "EndingHashKey"), s.HashKeyRange.EndingHashKey)
}

// validKey is a partition key as UTF-8, which all that came through this API
// are already.
func validKey(key string) string {
	if utf8.ValidString(key) {
		return key
	}
	return string([]rune(key))
}
