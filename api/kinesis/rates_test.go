package kinesis

import (
	"testing"
	"time"

	"github.com/thalweg/thalweg/catalog"
	"github.com/thalweg/thalweg/fault"
	"github.com/thalweg/thalweg/gate/wire"
	"github.com/thalweg/thalweg/stream"
)

func newLimited(t *testing.T) *fixture {
	log := &forgetful{machine: catalog.New()}
	log.machine.Attach(log)
	s, err := stream.New(stream.Config{Log: log, Catalog: log.machine, Limits: true})
	if err != nil {
		t.Fatal(err)
	}
	return &fixture{TB: t, api: newAPI(s), service: New(s), now: time.Now()}
}

// Every rate of the table holds within 5 % over ten seconds of callers that
// always try again, whether they come out of the blue or after calls before.
// The time of a call is an argument.
func TestControlRates(t *testing.T) {
	for op, r := range rates() {
		f := newLimited(t)
		if _, later := f.service.Later[op]; later {
			continue
		}
		for range 2 {
			taken := 0
			pause := time.Second / time.Duration(4*r.perSecond)
			for end := f.now.Add(10 * time.Second); f.now.Before(end); f.now = f.now.Add(pause) {
				// A request that is none, so that nothing but its rate matters.
				_, err := f.serve(wire.JSON, op, m{"StreamName": "s", "Limit": "x", "MaxResults": "x", "StreamARN": 1})
				if !fault.Is(err, fault.Limit) {
					taken++
				}
			}
			if want := 10 * r.perSecond; taken < want*95/100 || taken > want*105/100 {
				t.Errorf("%s: %d calls in 10 seconds, want %d", op, taken, want)
			}
			f.now = f.now.Add(1700 * time.Millisecond)
		}
	}
}

// A rate is one account's, in one region, and one stream's for ListShards.
func TestRatesAreSeparate(t *testing.T) {
	f := newLimited(t)
	f.create("a", 1)
	f.create("b", 1)
	for range 10 {
		f.ok("DescribeStream", m{"StreamName": "a"})
	}
	f.fails("DescribeStream", m{"StreamName": "a"}, "LimitExceededException", "Rate exceeded for stream a under account 000000000000.")
	f.fails("DescribeStream", m{"StreamARN": arnHead + "b"}, "LimitExceededException", "Rate exceeded for stream b under account 000000000000.")
	for range 5 {
		f.ok("ListStreams", m{})
	}
	f.fails("ListStreams", m{}, "LimitExceededException", "Rate exceeded for account 000000000000.")
	for range 1000 {
		f.ok("ListShards", m{"StreamName": "a"})
	}
	f.fails("ListShards", m{"StreamName": "a"}, "LimitExceededException", "Rate exceeded for stream a under account 000000000000.")
	f.ok("ListShards", m{"StreamName": "b"})
	other := f.call(wire.JSON, "ListStreams", []byte("{}"))
	other.Account = "111111111111"
	for _, op := range f.service.Ops {
		if op.Name == "ListStreams" {
			if _, err := op.Serve(t.Context(), other, nil); err != nil {
				t.Errorf("another account's call: %v", err)
			}
		}
	}
}
