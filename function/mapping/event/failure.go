package event

import (
	"time"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
)

// Condition says why a batch was given up, in AWS's words.
type Condition string

// The conditions. The last is ours, for records that no event can hold: that
// they go to the destination is AWS's word ("Large records", Kinesis Data
// Streams Developer Guide), how they are told apart there is not known.
const (
	RetryAttemptsExhausted Condition = "RetryAttemptsExhausted"
	RecordAgeExceeded      Condition = "RecordAgeExceeded"
	PayloadSizeExceeded    Condition = "PayloadSizeExceeded"
)

// Failure is a batch that was given up, as its on-failure destination is told.
type Failure struct {
	RequestID string // of the last invocation, or new where there was none
	Function  string // ARN as the mapping names it
	Condition Condition
	Invokes   int    // how often it was tried
	Version   string // that was invoked; "": it never was
	Error     string // Handled or Unhandled; "": the function answered, but reported failures
	At        time.Time

	Shard, Stream string // id and ARN
	First, Last   string // sequence numbers
	FirstTime     int64  // Unix milliseconds
	LastTime      int64
	Count         int
	Payload       []byte // the event, for destinations that take it; else nil
}

type failureDoc struct {
	Request  requestDoc     `json:"requestContext"`
	Response *responseDoc   `json:"responseContext,omitempty"`
	Version  string         `json:"version"`
	Time     string         `json:"timestamp"`
	Batch    batchDoc       `json:"KinesisBatchInfo"`
	Payload  jsontext.Value `json:"payload,omitempty"`
}

type requestDoc struct {
	RequestID string    `json:"requestId"`
	Function  string    `json:"functionArn"`
	Condition Condition `json:"condition"`
	Invokes   int       `json:"approximateInvokeCount"`
}

type responseDoc struct {
	Status  int     `json:"statusCode"`
	Version string  `json:"executedVersion"`
	Error   *string `json:"functionError"`
}

type batchDoc struct {
	Shard     string `json:"shardId"`
	First     string `json:"startSequenceNumber"`
	Last      string `json:"endSequenceNumber"`
	FirstTime string `json:"approximateArrivalOfFirstRecord"`
	LastTime  string `json:"approximateArrivalOfLastRecord"`
	Count     int    `json:"batchSize"`
	Stream    string `json:"streamArn"`
}

// Message writes the failure. There is a response only where attempts were
// used up: a batch that grew too old may never have been tried.
func (f *Failure) Message() ([]byte, error) {
	doc := failureDoc{
		Request: requestDoc{f.RequestID, f.Function, f.Condition, f.Invokes},
		Version: "1.0",
		Time:    instant(f.At.UnixMilli()),
		Batch: batchDoc{
			Shard: f.Shard, First: f.First, Last: f.Last,
			FirstTime: instant(f.FirstTime), LastTime: instant(f.LastTime), Count: f.Count, Stream: f.Stream,
		},
		Payload: f.Payload,
	}
	if f.Condition == RetryAttemptsExhausted {
		doc.Response = &responseDoc{Status: 200, Version: f.Version}
		if f.Error != "" {
			doc.Response.Error = &f.Error
		}
	}
	return json.Marshal(&doc, jsontext.AllowInvalidUTF8(true))
}

// ObjectKey is where a bucket gets the failure. id is a UUID of its own.
func (f *Failure) ObjectKey(mapping, id string) string {
	t := f.At.UTC()
	return "aws/lambda/" + mapping + "/" + f.Shard + t.Format("/2006/01/02/2006-01-02T15.04.05-") + id
}

// instant writes a time as messages have it: 2019-11-14T00:38:06.021Z.
func instant(milli int64) string {
	return time.UnixMilli(milli).UTC().Format("2006-01-02T15:04:05.000Z")
}
