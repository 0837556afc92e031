// Package kinesis is the Kinesis_20131202 API: the shapes of its requests and
// answers, and one file per operation that turns them into calls on the room
// of streams and back. It hides AWS's wire names, constraints and exceptions;
// PutRecord, PutRecords and GetRecords have hand-made codecs here, which take
// records between body and log without an allocation per record and leave
// everything unusual to the general codec.
//
// It never decides what a stream does, keeps no state between calls but pooled
// memory, and never answers an operation that is not there as if it were.
package kinesis

import (
	"reflect"
	"sync"

	"github.com/thalweg/thalweg/gate"
	"github.com/thalweg/thalweg/gate/wire"
	"github.com/thalweg/thalweg/stream"
)

// New returns the operations of Kinesis Data Streams over s. Those of AWS's 45
// that are not there yet answer UnknownOperationException and say so.
func New(s *stream.Streams) *gate.Service {
	a := newAPI(s)
	return &gate.Service{
		Name:      "kinesis",
		Target:    "Kinesis_20131202",
		Ops:       a.limitRates(a.operations()),
		Later:     later(),
		Exception: exception,
	}
}

func newAPI(s *stream.Streams) *api {
	a := &api{streams: s, forms: eventForms()}
	// A shape that does not compile is gate's to report: the operations of
	// these two are made of them as well.
	a.putRecordShape, _ = wire.Compile(reflect.TypeFor[putRecordRequest]())
	a.putRecordsShape, _ = wire.Compile(reflect.TypeFor[putRecordsRequest]())
	a.puts.New = func() any { return newPutCall() }
	a.reads.New = func() any { return new(stream.ReadPage) }
	return a
}

// api is what all operations stand on.
type api struct {
	streams *stream.Streams
	puts    sync.Pool // of *putCall
	reads   sync.Pool // of *stream.ReadPage
	rates   stream.Rates
	forms   [2]*stream.Form // of SubscribeToShard's events, by wire.Format

	putRecordShape, putRecordsShape *wire.Shape
}

// operations is the table of all operations that are there. A test holds it
// against the files of this folder.
func (a *api) operations() []gate.Op {
	return []gate.Op{
		gate.Handle("AddTagsToStream", a.addTagsToStream),
		gate.Handle("CreateStream", a.createStream),
		gate.Handle("DecreaseStreamRetentionPeriod", a.decreaseStreamRetentionPeriod),
		gate.Handle("DeleteStream", a.deleteStream),
		gate.Handle("DeregisterStreamConsumer", a.deregisterStreamConsumer),
		gate.Handle("DescribeAccountSettings", a.describeAccountSettings),
		gate.Handle("DescribeLimits", a.describeLimits),
		gate.Handle("DescribeStream", a.describeStream),
		gate.Handle("DescribeStreamConsumer", a.describeStreamConsumer),
		gate.Handle("DescribeStreamSummary", a.describeStreamSummary),
		gate.Handle("DisableEnhancedMonitoring", a.disableEnhancedMonitoring),
		gate.Handle("EnableEnhancedMonitoring", a.enableEnhancedMonitoring),
		gate.Handle("GetShardIterator", a.getShardIterator),
		gate.Handle("IncreaseStreamRetentionPeriod", a.increaseStreamRetentionPeriod),
		gate.Handle("ListShards", a.listShards),
		gate.Handle("ListStreamConsumers", a.listStreamConsumers),
		gate.Handle("ListStreams", a.listStreams),
		gate.Handle("ListTagsForResource", a.listTagsForResource),
		gate.Handle("ListTagsForStream", a.listTagsForStream),
		gate.Handle("MergeShards", a.mergeShards),
		gate.Handle("RegisterStreamConsumer", a.registerStreamConsumer),
		gate.Handle("RemoveTagsFromStream", a.removeTagsFromStream),
		gate.Handle("SplitShard", a.splitShard),
		gate.Handle("TagResource", a.tagResource),
		gate.Handle("UntagResource", a.untagResource),
		gate.Handle("UpdateAccountSettings", a.updateAccountSettings),
		gate.Handle("UpdateMaxRecordSize", a.updateMaxRecordSize),
		gate.Handle("UpdateShardCount", a.updateShardCount),
		gate.Handle("UpdateStreamMode", a.updateStreamMode),
		gate.Handle("UpdateStreamRecordDistributionStrategy", a.updateStreamRecordDistributionStrategy),
		gate.Handle("UpdateStreamWarmThroughput", a.updateStreamWarmThroughput),
		gate.HandleStream("SubscribeToShard", a.subscribeToShard),
		a.getRecordsOp(),
		a.putRecordOp(),
		a.putRecordsOp(),
	}
}

// later names the operations that AWS has and we do not have yet, with what
// their callers are told. Both lists together are AWS's model as of 2026-09.
func later() map[string]string {
	texts := map[string]string{}
	for _, name := range [...]string{
		"CreateChannel",
		"DeleteChannel",
		"DeleteResourcePolicy",
		"DescribeChannel",
		"GetResourcePolicy",
		"ListChannels",
		"PutResourcePolicy",
		"StartStreamEncryption",
		"StopStreamEncryption",
		"UpdateChannel",
	} {
		texts[name] = "thalweg does not have the operation " + name + " of Kinesis_20131202 yet."
	}
	return texts
}
