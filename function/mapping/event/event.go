// Package event is what a mapping and a function say to each other: the JSON
// of the events that functions are invoked with, the meaning of what they
// answer, and the messages about batches that were given up. It hides AWS's
// spelling of all three and knows their sizes beforehand. It is pure: it never
// invokes anything and never decides what happens to a batch.
package event

import (
	"encoding/base64"
	"strconv"
	"time"

	"github.com/go-json-experiment/json/jsontext"
)

// MaxBytes is what an event may have: Lambda's limit of 6 MB on what a
// synchronous invocation is given. (Lambda Developer Guide, "Lambda quotas")
const MaxBytes = 6 << 20

// MaxState is what the state of a tumbling window may have, in bytes of JSON.
// (Lambda Developer Guide, "Tumbling windows")
const MaxState = 1 << 20

// Source is what all records of a shard have in common in their events.
type Source struct {
	ARN    string // of the stream, or of the consumer that is read through
	Region string
	Role   string // ARN of the role that the function has
	Shard  string // shardId-000000000000

	head, tail []byte // around what differs, made when first needed
}

// Record is one record of an event.
type Record struct {
	Sequence string
	Key      string
	Data     []byte
	Time     int64 // Unix milliseconds
}

// prepare writes the parts that all records of the source share.
func (s *Source) prepare() {
	if s.head != nil {
		return
	}
	s.head = append(s.head, `{"kinesis":{"kinesisSchemaVersion":"1.0","partitionKey":`...)
	s.tail = append(s.tail, `"eventName":"aws:kinesis:record","invokeIdentityArn":`...)
	s.tail = quote(s.tail, s.Role)
	s.tail = quote(append(s.tail, `,"awsRegion":`...), s.Region)
	s.tail = quote(append(s.tail, `,"eventSourceARN":`...), s.ARN)
	s.tail = append(s.tail, '}')
}

// Append writes one record as events have it. The time is in seconds with
// three decimals, where Firehose has milliseconds.
func (s *Source) Append(dst []byte, r Record) []byte {
	s.prepare()
	dst = quote(append(dst, s.head...), r.Key)
	dst = append(append(append(dst, `,"sequenceNumber":"`...), r.Sequence...), `","data":"`...)
	dst = base64.StdEncoding.AppendEncode(dst, r.Data)
	dst = appendSeconds(append(dst, `","approximateArrivalTimestamp":`...), r.Time)
	dst = append(append(dst, `},"eventSource":"aws:kinesis","eventVersion":"1.0","eventID":"`...), s.Shard...)
	dst = append(append(append(dst, ':'), r.Sequence...), `",`...)
	return append(dst, s.tail...)
}

// sharedBytes is what Append writes between head and tail besides the record's
// own: the text between its values.
const sharedBytes = len(`,"sequenceNumber":"`) + len(`","data":"`) + len(`","approximateArrivalTimestamp":`) +
	len(`},"eventSource":"aws:kinesis","eventVersion":"1.0","eventID":"`) + len(`:`) + len(`",`)

// Size returns how many bytes Append writes for a record.
func (s *Source) Size(r Record) int {
	s.prepare()
	return len(s.head) + quoted(r.Key) + 2*len(r.Sequence) + base64.StdEncoding.EncodedLen(len(r.Data)) +
		len(appendSeconds(make([]byte, 0, 24), r.Time)) + len(s.Shard) + len(s.tail) + sharedBytes
}

// Window is what the event of a tumbling window has besides its records.
type Window struct {
	Start, End int64  // Unix milliseconds
	State      []byte // JSON; nil: {}
	Final      bool
	Early      bool
}

// Begin writes an event up to its first record.
func Begin(dst []byte) []byte { return append(dst, `{"Records":[`...) }

// End writes the rest of an event, which has a window or not.
func (s *Source) End(dst []byte, w *Window) []byte {
	dst = append(dst, ']')
	if w != nil {
		dst = appendInstant(append(dst, `,"window":{"start":"`...), w.Start)
		dst = appendInstant(append(dst, `","end":"`...), w.End)
		dst = append(dst, `"},"state":`...)
		if w.State == nil {
			dst = append(dst, `{}`...)
		}
		dst = quote(append(append(dst, w.State...), `,"shardId":`...), s.Shard)
		dst = quote(append(dst, `,"eventSourceARN":`...), s.ARN)
		dst = strconv.AppendBool(append(dst, `,"isFinalInvokeForWindow":`...), w.Final)
		dst = strconv.AppendBool(append(dst, `,"isWindowTerminatedEarly":`...), w.Early)
	}
	return append(dst, '}')
}

// Around is more than an event can have besides its records and the state of
// its window.
func (s *Source) Around() int { return 512 + 6*(len(s.ARN)+len(s.Shard)) }

// appendSeconds writes Unix milliseconds as seconds: 1607497475.000.
func appendSeconds(dst []byte, milli int64) []byte {
	dst = append(strconv.AppendInt(dst, milli/1000, 10), '.')
	rest := milli % 1000
	return append(dst, byte('0'+rest/100), byte('0'+rest/10%10), byte('0'+rest%10))
}

// appendInstant writes a time as windows have it: 2020-12-09T07:04:00Z.
func appendInstant(dst []byte, milli int64) []byte {
	return time.UnixMilli(milli).UTC().AppendFormat(dst, "2006-01-02T15:04:05Z")
}

// quote writes a JSON string. What is not UTF-8, which no client can send,
// becomes U+FFFD.
func quote(dst []byte, s string) []byte {
	if plain(s) {
		return append(append(append(dst, '"'), s...), '"')
	}
	dst, _ = jsontext.AppendQuote(dst, s)
	return dst
}

func quoted(s string) int {
	if plain(s) {
		return len(s) + 2
	}
	return len(quote(nil, s))
}

func plain(s string) bool {
	for i := range len(s) {
		if c := s[i]; c < ' ' || c > '~' || c == '"' || c == '\\' {
			return false
		}
	}
	return true
}
