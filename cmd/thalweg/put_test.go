package main

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
)

// fake answers PutRecords with what answer makes of a request's data.
func fake(t *testing.T, answer func(call int, data []string) (int, any)) *client {
	calls := 0
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		var in struct{ Records []entry }
		if err := json.NewDecoder(r.Body).Decode(&in); err != nil {
			t.Error(err)
		}
		var data []string
		for _, e := range in.Records {
			data = append(data, string(e.Data))
		}
		calls++
		status, out := answer(calls, data)
		w.WriteHeader(status)
		_ = json.NewEncoder(w).Encode(out)
	}))
	t.Cleanup(s.Close)
	return newClient(s.URL, "us-east-1", aws.Credentials{AccessKeyID: "a", SecretAccessKey: "b"}, nil)
}

type results struct{ Records []entryResult }

// Of a batch only what was throttled is put again, until it is stored; so is
// the whole batch when the call itself was throttled.
func TestPutterRetriesWhatWasThrottled(t *testing.T) {
	var calls []string
	c := fake(t, func(call int, data []string) (int, any) {
		calls = append(calls, strings.Join(data, ""))
		if call == 1 {
			return 400, map[string]string{"__type": "LimitExceededException", "message": "slow down"}
		}
		var out results
		for _, d := range data {
			r := entryResult{ShardId: "shardId-000000000000", SequenceNumber: "1"}
			if call == 2 && (d == "b" || d == "d") {
				r = entryResult{ErrorCode: "ProvisionedThroughputExceededException", ErrorMessage: "Rate exceeded"}
			}
			out.Records = append(out.Records, r)
		}
		return 200, out
	})
	var stored []string
	p := &putter{client: c, stream: "s", stored: func(e entry, _ entryResult) error {
		stored = append(stored, string(e.Data))
		return nil
	}}
	for _, d := range []string{"a", "b", "c", "d"} {
		if err := p.add(t.Context(), entry{Data: []byte(d), PartitionKey: "k"}); err != nil {
			t.Fatal(err)
		}
	}
	if err := p.flush(t.Context()); err != nil {
		t.Fatal(err)
	}
	if want := []string{"abcd", "abcd", "bd"}; !slices.Equal(calls, want) {
		t.Errorf("calls %q, want %q", calls, want)
	}
	if want := []string{"a", "c", "b", "d"}; !slices.Equal(stored, want) {
		t.Errorf("stored %q, want %q", stored, want)
	}
}

func TestPutterBatches(t *testing.T) {
	var sizes []int
	c := fake(t, func(_ int, data []string) (int, any) {
		sizes = append(sizes, len(data))
		return 200, results{make([]entryResult, len(data))}
	})
	p := &putter{client: c, stream: "s", stored: func(entry, entryResult) error { return nil }}
	put := func(n, size int) {
		for range n {
			if err := p.add(t.Context(), entry{Data: make([]byte, size), PartitionKey: "k"}); err != nil {
				t.Fatal(err)
			}
		}
	}
	put(1001, 1)         // by count
	put(5, batchBytes/2) // by size
	if err := p.flush(t.Context()); err != nil {
		t.Fatal(err)
	}
	if got, want := fmt.Sprint(sizes), "[500 500 2 1 1 1 1]"; got != want {
		t.Errorf("batches of %s, want %s", got, want)
	}
}

func TestPutterGivesUp(t *testing.T) {
	c := fake(t, func(_ int, data []string) (int, any) {
		return 400, map[string]string{"__type": "com.amazon.coral#ResourceNotFoundException", "message": "no such stream"}
	})
	p := &putter{client: c, stream: "s"}
	_ = p.add(t.Context(), entry{Data: []byte("x"), PartitionKey: "k"})
	if err := p.flush(t.Context()); !notFound(err) || err.Error() != "PutRecords: ResourceNotFoundException: no such stream" {
		t.Errorf("error %v", err)
	}
}

func TestKeyIn(t *testing.T) {
	for _, c := range []struct{ line, field, want, fail string }{
		{`{"user":"anna"}`, "user", "anna", ""},
		{`{"user":7}`, "user", "7", ""},
		{`{"user":null}`, "user", "", ""},
		{`{"name":"x"}`, "user", "", `no member "user"`},
		{`[1]`, "user", "", "not a JSON object"},
		{`nonsense`, "", "", "not a JSON object"},
	} {
		got, err := keyIn([]byte(c.line), c.field)
		if c.fail != "" {
			if err == nil || !strings.Contains(err.Error(), c.fail) {
				t.Errorf("%s: error %v, want one with %q", c.line, err, c.fail)
			}
		} else if err != nil || got != c.want {
			t.Errorf("%s: key %q, %v, want %q", c.line, got, err, c.want)
		}
	}
}
