// Package aggregation packs many small user records into one Kinesis record
// and takes them apart again, in the format of the Kinesis Producer Library
// (KPL), which the Kinesis Client Library (KCL) and Firehose read. A Decoder
// turns a Kinesis record, aggregated or plain, into its user records; an
// Encoder fills a record up to a size.
//
// # Format
//
// An aggregated record is the four bytes F3 89 9A C2, a Protocol Buffers
// message, and the 16 bytes of the message's MD5. The message is
//
//	message AggregatedRecord {
//	  repeated string partition_key_table     = 1;
//	  repeated string explicit_hash_key_table = 2;
//	  repeated Record records                 = 3;
//	}
//	message Record {
//	  required uint64 partition_key_index     = 1;
//	  optional uint64 explicit_hash_key_index = 2;
//	  required bytes  data                    = 3;
//	  repeated Tag    tags                    = 4;
//	}
//	message Tag { required string key = 1; optional string value = 2; }
//
// The indexes count from 0 and point into the tables, so that a key shared by
// many user records is stored once. All user records of one Kinesis record have
// its sequence number and arrival time; what tells them apart is the
// sub-sequence number, their place in it.
//
// # What is a plain record
//
// Nothing outside a record's bytes says whether it is aggregated. As in the
// KCL, a record is plain, and its data is left as it is, unless all of this
// holds: it begins with the four bytes, more than 16 bytes follow them, the
// last 16 are the MD5 of those between, and these parse as the message above,
// with all that is required. Unknown fields are skipped. An aggregated record
// may well hold no user records at all.
//
// # What aggregation does to shards
//
// Kinesis routes an aggregated record as one, by its own key. A producer
// therefore puts together only user records of one shard, by
// [Record.HashKey]. When that shard is split while the record travels, some
// user records end up in a shard whose range does not hold their keys. The KCL
// then drops the whole record's user records; this package hands all of them
// out, and a consumer that wants the KCL's rule can compare hash keys itself.
//
// The format is described in the KPL's repository, aggregation-format.md.
//
// This package does no I/O, never fails on bytes that are not an aggregated
// record, and takes no memory for what a length in them claims.
package aggregation

// Record is one user record.
type Record struct {
	PartitionKey    string
	ExplicitHashKey string // decimal, below 2^128; empty when there is none
	Data            []byte
	Tags            []Tag // reserved by the format; AWS's libraries write none

	// SubSequence is the record's place among those of its Kinesis record,
	// from 0. An Encoder does not look at it.
	SubSequence int
	// Aggregated says that the record came in an aggregated one. An Encoder
	// does not look at it.
	Aggregated bool
}

// Tag is a key with a value, on a user record.
type Tag struct{ Key, Value string }

// DefaultMaxSize is the KPL's default for the bytes of an aggregated record:
// small enough for what Kinesis bills and limits in units of 25 KiB and 1 MiB.
const DefaultMaxSize = 51_200

// DefaultMaxRecords is how many user records an Encoder puts into one record
// and a Decoder takes out of one, unless told otherwise. The smallest user
// record has six bytes and may name a key of a megabyte, so a bound is needed.
const DefaultMaxRecords = 10_000

const (
	magic  = "\xf3\x89\x9a\xc2"
	digest = 16 // bytes of an MD5
)
