// Package inject decides which calls meet a fault on purpose, for tests of
// clients. It hides how rules count: each for itself, in the order of the calls
// that it is asked about, so that the same rule and the same calls give the
// same faults. It never looks at a clock, has no randomness but its seeds, and
// carries nothing out: that is the caller's part.
package inject

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strconv"
	"sync"
	"sync/atomic"
	"time"
)

// Effect is what happens to a call, or to a record of one.
type Effect string

// The effects.
const (
	Throttle Effect = "throttle" // refused as beyond its rate
	Fail     Effect = "fail"     // refused with an internal failure
	Expire   Effect = "expire"   // GetRecords alone: its iterator has expired
	Delay    Effect = "delay"    // carried out after a time
	Drop     Effect = "drop"     // carried out, and the connection dropped instead of an answer
)

// Rule says which calls meet what. Of the calls that match, it leaves Skip
// alone, and then strikes each Every-th, at most Times times.
type Rule struct {
	ID          string  `json:"id"`                   // given by Add
	Operation   string  `json:"operation,omitzero"`   // "": all
	Stream      string  `json:"stream,omitzero"`      // "": all
	Shard       string  `json:"shard,omitzero"`       // shardId-000000000000; "": all
	Per         string  `json:"per,omitzero"`         // "": calls; "record": records of PutRecord and PutRecords, each of which counts
	Skip        int     `json:"skip,omitzero"`        // how many are left alone first
	Every       int     `json:"every,omitzero"`       // 0: each
	Times       int     `json:"times,omitzero"`       // 0: for ever
	Probability float64 `json:"probability,omitzero"` // of those that Every names; 0: all of them
	Seed        uint64  `json:"seed,omitzero"`        // of the draws for Probability
	Effect      Effect  `json:"effect"`
	DelayMillis int     `json:"delay_ms,omitzero"` // for Delay

	Matched int64 `json:"matched"` // calls or records that it was asked about
	Hits    int64 `json:"hits"`    // of those, how many it struck
}

// Check says what is wrong with a rule, or nil.
func (r *Rule) Check() error {
	switch {
	case !slices.Contains([]Effect{Throttle, Fail, Expire, Delay, Drop}, r.Effect):
		return fmt.Errorf("effect %q is none of throttle, fail, expire, delay and drop", r.Effect)
	case r.Skip < 0 || r.Every < 0 || r.Times < 0:
		return fmt.Errorf("skip, every and times are not negative")
	case r.Probability < 0 || r.Probability > 1:
		return fmt.Errorf("probability %v is not from 0 to 1", r.Probability)
	case r.Per != "" && r.Per != "call" && r.Per != "record":
		return fmt.Errorf("per %q is none of call and record", r.Per)
	case r.Per == "record" && r.Effect != Throttle && r.Effect != Fail:
		return fmt.Errorf("a record can be met by throttle and fail alone")
	case r.Per == "record" && r.Operation != "" && r.Operation != "PutRecord" && r.Operation != "PutRecords":
		return fmt.Errorf("%s puts no records", r.Operation)
	case r.Effect == Expire && r.Operation != "" && r.Operation != "GetRecords":
		return fmt.Errorf("only GetRecords has an iterator that could expire")
	case (r.Effect == Delay) != (r.DelayMillis > 0) || r.DelayMillis > 600_000:
		return fmt.Errorf("delay_ms, from 1 to 600000, belongs to the effect delay")
	}
	return nil
}

// Site is where a rule may strike. Shard is "" where a call is about several,
// or none.
type Site struct{ Operation, Stream, Shard string }

// Verdict is what is to happen to a call: first a delay, then a refusal, or
// else, once it was carried out, a drop.
type Verdict struct {
	Delay  time.Duration
	Refuse Effect // Throttle, Fail or Expire; "": none
	Drop   bool
}

type state struct {
	Rule
	draws *rand.Rand
}

// Rules is a set of rules. The zero Rules has none and is ready for use; its
// methods may be called concurrently, and each call is then one step.
type Rules struct {
	mu    sync.Mutex
	next  int
	rules []*state
	n     atomic.Int32 // len(rules), for those who only ask whether there are any
}

// Active tells, for next to nothing, whether there is any rule.
func (rs *Rules) Active() bool { return rs.n.Load() > 0 }

// Add adds a rule and returns it with its id, and with counts at 0.
func (rs *Rules) Add(r Rule) (Rule, error) {
	if err := r.Check(); err != nil {
		return Rule{}, err
	}
	if r.Per == "call" {
		r.Per = ""
	}
	if r.Effect == Expire {
		r.Operation = "GetRecords"
	}
	rs.mu.Lock()
	defer rs.mu.Unlock()
	rs.next++
	r.ID, r.Matched, r.Hits = strconv.Itoa(rs.next), 0, 0
	rs.rules = append(rs.rules, &state{r, rand.New(rand.NewPCG(r.Seed, 0))})
	rs.n.Store(int32(len(rs.rules)))
	return r, nil
}

// List returns the rules and their counts, oldest first.
func (rs *Rules) List() []Rule {
	rs.mu.Lock()
	defer rs.mu.Unlock()
	out := make([]Rule, len(rs.rules))
	for i, s := range rs.rules {
		out[i] = s.Rule
	}
	return out
}

// Clear removes a rule, or all for "", and tells how many there were.
func (rs *Rules) Clear(id string) int {
	rs.mu.Lock()
	defer rs.mu.Unlock()
	before := len(rs.rules)
	rs.rules = slices.DeleteFunc(rs.rules, func(s *state) bool { return id == "" || s.ID == id })
	rs.n.Store(int32(len(rs.rules)))
	return before - len(rs.rules)
}

// Call decides about a call. Every rule that matches counts it, whatever the
// others do: delays add up, and of refusals the oldest rule's is the one.
func (rs *Rules) Call(at Site) (v Verdict) {
	rs.mu.Lock()
	defer rs.mu.Unlock()
	for _, s := range rs.rules {
		if s.Per != "" || !s.strikes(at) {
			continue
		}
		switch {
		case s.Effect == Delay:
			v.Delay += time.Duration(s.DelayMillis) * time.Millisecond
		case s.Effect == Drop:
			v.Drop = true
		case v.Refuse == "":
			v.Refuse = s.Effect
		}
	}
	return v
}

// Record decides likewise about one record of a call: Throttle, Fail or "".
func (rs *Rules) Record(at Site) (refuse Effect) {
	rs.mu.Lock()
	defer rs.mu.Unlock()
	for _, s := range rs.rules {
		if s.Per != "" && s.strikes(at) && refuse == "" {
			refuse = s.Effect
		}
	}
	return refuse
}

// strikes counts what matches and tells whether the rule strikes it.
func (s *state) strikes(at Site) bool {
	if s.Operation != "" && s.Operation != at.Operation || s.Stream != "" && s.Stream != at.Stream || s.Shard != "" && s.Shard != at.Shard {
		return false
	}
	s.Matched++
	n := s.Matched - int64(s.Skip)
	if n <= 0 || n%int64(max(s.Every, 1)) != 0 || s.Times > 0 && s.Hits >= int64(s.Times) {
		return false
	}
	if s.Probability > 0 && s.draws.Float64() >= s.Probability {
		return false
	}
	s.Hits++
	return true
}
