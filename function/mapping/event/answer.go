package event

import (
	"bytes"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
)

// Verdict is what an answer says about the batch that a function was given.
type Verdict struct {
	Failed bool           // all of it is to be tried again
	Cut    int            // it is to be tried again from the record of this index on; -1: none of it
	State  jsontext.Value // of the window, for the next invocation; nil: none was given
}

// Expect is what is asked of an answer.
type Expect struct {
	Items  bool // it may name the records that failed (ReportBatchItemFailures)
	Window bool // it must hold the state of the window
	Final  bool // unless the window is over
}

// Judge reads an answer. index finds a record of the batch by its sequence
// number, -1 for what is none. What answers mean is the table of the Lambda
// Developer Guide, "Configuring partial batch response": no failures, null or
// nothing at all is a success, and a failure without the number of a record of
// the batch is a failure of all. So is, as nothing is lost by it, what is not JSON.
func Judge(answer []byte, want Expect, index func(sequence string) int) Verdict {
	v := Verdict{Cut: -1}
	if !want.Items && !want.Window {
		return v
	}
	answer = bytes.TrimLeft(answer, " \t\r\n")
	if len(answer) > 0 && !jsontext.Value(answer).IsValid(lenient()) {
		return Verdict{Failed: true, Cut: -1}
	}
	fields, ok := object(answer)
	if !ok { // nothing, null, "", a number or text
		v.Failed = want.Window && !want.Final
		return v
	}
	if want.Window {
		v.State = fields["state"]
		if v.State.Kind() == 'n' {
			v.State = nil
		}
		if v.State == nil && !want.Final {
			return Verdict{Failed: true, Cut: -1}
		}
	}
	failures := fields["batchItemFailures"]
	if !want.Items || len(failures) == 0 || failures.Kind() == 'n' {
		return v
	}
	var items []struct {
		ID *string `json:"itemIdentifier"`
	}
	if err := json.Unmarshal(failures, &items, lenient()); err != nil {
		return Verdict{Failed: true, Cut: -1}
	}
	for _, item := range items {
		i := -1
		if item.ID != nil {
			i = index(*item.ID)
		}
		if i < 0 {
			return Verdict{Failed: true, Cut: -1}
		}
		if v.Cut < 0 || i < v.Cut {
			v.Cut = i
		}
	}
	return v
}

// object reads the members of a JSON object; ok is false for anything else.
func object(text []byte) (fields map[string]jsontext.Value, ok bool) {
	if !bytes.HasPrefix(text, []byte("{")) {
		return nil, false
	}
	err := json.Unmarshal(text, &fields, lenient())
	return fields, err == nil
}

// lenient takes what other JSON parsers take as well.
func lenient() json.Options {
	return json.JoinOptions(jsontext.AllowDuplicateNames(true), jsontext.AllowInvalidUTF8(true))
}
