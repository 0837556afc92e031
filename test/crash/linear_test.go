package crash

import (
	"cmp"
	"encoding/json"
	"fmt"
	"maps"
	"math"
	"math/big"
	"math/rand/v2"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/anishathalye/porcupine"
)

// The control plane under 16 concurrent clients is linearizable, reads
// included: where AWS's answers may be old, ours are not. A change of shards or
// of retention is two events, both before its answer: its beginning, from which
// on the stream is CREATING, UPDATING or DELETING, and its end.
func TestLinearizable(t *testing.T) {
	s := start(t, build(t), t.TempDir())
	h := newTrace("lin")
	h.run(t, s, linCalls, honest)
	s.stop()
	h.check(t, porcupine.Ok)
}

// The same across kills. What was answered before one holds after it. A call
// that was not answered began before the kill or never, and what had begun has
// ended once its stream is ACTIVE, or gone, after the restart.
func TestLinearizableAcrossKills(t *testing.T) {
	bin, data := build(t), t.TempDir()
	for round := range max(1, *cycles/10) {
		h := newTrace(fmt.Sprint("kill", round))
		for range 2 {
			s := start(t, bin, data)
			var killer sync.WaitGroup
			killer.Go(func() {
				<-time.After(time.Duration(100+rand.IntN(200)) * time.Millisecond)
				s.stop()
			})
			h.run(t, s, linCalls, honest)
			killer.Wait()
			killed := time.Since(h.began)
			s = start(t, bin, data)
			for _, name := range h.streams {
				s.settled(t, name)
			}
			h.restarted(killed)
			h.run(t, s, 20, honest)
			s.stop()
		}
		h.check(t, porcupine.Ok)
	}
}

// A client that now and then reads what it had read before, and one that is
// told of changes which did not happen, are found out.
func TestLinearizabilityBites(t *testing.T) {
	bin := build(t)
	for _, kind := range []lie{staleRead, lostChange} {
		s := start(t, bin, t.TempDir())
		h := newTrace("lie")
		h.run(t, s, linCalls/3, kind)
		s.stop()
		h.check(t, porcupine.Illegal)
	}
}

// lie is what is wrong with one client's answers.
type lie int

const (
	honest lie = iota
	staleRead
	lostChange
)

// As many clients for each stream as a checker can follow: what it costs grows
// exponentially with the calls that are under way at once.
const (
	linClients = 16
	linStreams = 6
	linCalls   = 300 // of each client
)

// ask is what a client asks for, and event one of the one or two events that a
// call is in a linear order of them.
type ask struct {
	op, stream      string
	n               int    // shards, or hours
	shard, adjacent string // ids
	at              string // hash key
	key, value      string // of a tag
}

type event struct {
	ask
	call    int64 // unique
	part    part
	life    int  // of the server
	unknown bool // it was never answered
}

type part int

const (
	whole part = iota
	begin
	end
)

// answer is what a client was told. Tags are k=v and shards their hash ranges
// and o or c, for open or closed, in the order of their ids: both as one text.
type answer struct {
	fault                string // "": none
	status, tags, shards string
	hours                int
}

// The faults, by what they tell of a stream.
const (
	gone      = "there is no stream"
	noShard   = "there is no shard"
	inUse     = "it is in use"
	invalid   = "the argument is invalid"
	overLimit = "a limit is exceeded"
)

// trace is what clients saw.
type trace struct {
	streams []string
	began   time.Time
	calls   atomic.Int64

	mu      sync.Mutex
	life    int
	history []porcupine.Operation
}

func newTrace(prefix string) *trace {
	h := &trace{began: time.Now()}
	for i := range linStreams {
		h.streams = append(h.streams, fmt.Sprint(prefix, "-", i))
	}
	return h
}

// run has each client make so many calls, or until the server is killed.
func (h *trace) run(t *testing.T, s *server, calls int, kind lie) {
	var wg sync.WaitGroup
	for c := range linClients {
		wg.Go(func() {
			known, told := map[string]string{}, map[string]answer{} // the shards of each stream, as last read; answers
			for i := range calls {
				a := choose(h.streams[rand.IntN(len(h.streams))], known)
				id, from := h.calls.Add(1), time.Since(h.began)
				if a.value != "" {
					a.value = fmt.Sprint(id)
				}
				var got answer
				var err error
				old, seen := told[a.op+a.stream]
				switch lying := c == 0 && i > 20; {
				case lying && kind == staleRead && seen && a.reads():
					got = old
				case lying && kind == lostChange && a.op == "AddTagsToStream":
				default:
					got, err = s.ask(a)
				}
				told[a.op+a.stream] = got
				if got.shards != "" {
					known[a.stream] = got.shards
				}
				h.note(c, event{ask: a, call: id, unknown: err != nil}, got, from)
				if err != nil {
					return
				}
				if strings.HasPrefix(got.fault, "{") {
					t.Errorf("%+v: %s", a, got.fault)
					return
				}
			}
		})
	}
	wg.Wait()
}

// note adds a call to the history.
func (h *trace) note(client int, e event, got answer, from time.Duration) {
	to := int64(time.Since(h.began))
	if e.unknown {
		if e.reads() {
			return
		}
		to = math.MaxInt64
	}
	parts := []part{whole}
	if e.lasts() && got.fault == "" {
		parts = []part{begin, end}
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, p := range parts {
		e.part, e.life = p, h.life
		h.history = append(h.history, porcupine.Operation{ClientId: client, Input: e, Output: got, Call: int64(from), Return: to})
	}
}

// restarted begins the server's next life. What was not answered in the one
// before cannot happen any more.
func (h *trace) restarted(killed time.Duration) {
	now := int64(time.Since(h.began))
	for i := range h.history {
		if op := &h.history[i]; op.Input.(event).unknown {
			op.Return = min(op.Return, now)
		}
	}
	h.life++
	for _, name := range h.streams {
		h.history = append(h.history, porcupine.Operation{Input: event{ask: ask{op: restart, stream: name}, life: h.life}, Output: answer{}, Call: int64(killed), Return: now})
	}
}

// restart is an event of the server alone.
const restart = "restart"

func (a ask) reads() bool { return a.op == "DescribeStream" || a.op == "ListTagsForStream" }

// lasts tells whether others can see the change under way.
func (a ask) lasts() bool { return !a.reads() && !strings.Contains(a.op, "Tags") }

// choose picks a call. known is what its client last read.
func choose(stream string, known map[string]string) ask {
	a := ask{stream: stream}
	shards := parseShards(known[stream])
	var open []int
	for i, sh := range shards {
		if sh.open {
			open = append(open, i)
		}
	}
	id := func(i int) string { return fmt.Sprintf("shardId-%012d", i) }
	switch n := rand.IntN(20); {
	case n < 6 || len(open) == 0 && n < 14:
		a.op = "DescribeStream"
	case n < 10:
		a.op = "ListTagsForStream"
	case len(shards) > 50 || n == 10 && rand.IntN(3) == 0:
		a.op = "DeleteStream"
	case n == 11 || len(open) == 0:
		a.op, a.n = "CreateStream", 1+rand.IntN(3)
	case n == 12:
		a.op, a.key = "RemoveTagsFromStream", "abc"[rand.IntN(3):][:1]
	case n < 15:
		a.op, a.key, a.value = "AddTagsToStream", "abc"[rand.IntN(3):][:1], "x"
	case n == 15:
		a.op, a.n = []string{"IncreaseStreamRetentionPeriod", "DecreaseStreamRetentionPeriod"}[rand.IntN(2)], 24+rand.IntN(5)
	case n == 16:
		a.op, a.n = "UpdateShardCount", 1+rand.IntN(6)
	case n == 17 && len(open) > 1:
		// Neighbours, if only by chance.
		a.op, a.shard, a.adjacent = "MergeShards", id(open[0]), id(open[1])
		for _, i := range open[1:] {
			if next := new(big.Int).Add(shards[open[0]].last, big.NewInt(1)); shards[i].first.Cmp(next) == 0 {
				a.adjacent = id(i)
			}
		}
	default:
		i := open[rand.IntN(len(open))]
		sum := new(big.Int).Add(shards[i].first, shards[i].last)
		a.op, a.shard, a.at = "SplitShard", id(i), sum.Rsh(sum, 1).String()
	}
	return a
}

// ask makes the call.
func (s *server) ask(a ask) (got answer, err error) {
	in := obj{"StreamName": a.stream}
	var out struct {
		StreamDescription struct {
			StreamStatus         string
			RetentionPeriodHours int
			Shards               []shard
		}
		Tags []struct{ Key, Value string }
	}
	switch a.op {
	case "CreateStream":
		in["ShardCount"] = a.n
	case "IncreaseStreamRetentionPeriod", "DecreaseStreamRetentionPeriod":
		in["RetentionPeriodHours"] = a.n
	case "UpdateShardCount":
		in["TargetShardCount"], in["ScalingType"] = a.n, "UNIFORM_SCALING"
	case "SplitShard":
		in["ShardToSplit"], in["NewStartingHashKey"] = a.shard, a.at
	case "MergeShards":
		in["ShardToMerge"], in["AdjacentShardToMerge"] = a.shard, a.adjacent
	case "AddTagsToStream":
		in["Tags"] = obj{a.key: a.value}
	case "RemoveTagsFromStream":
		in["TagKeys"] = []string{a.key}
	}
	var into any // a change's answer is empty
	if a.reads() {
		into = &out
	}
	said, err := s.call(a.op, in, into)
	if err != nil || said != "" {
		return answer{fault: classify(said)}, err
	}
	d := out.StreamDescription
	got = answer{status: d.StreamStatus, hours: d.RetentionPeriodHours}
	tags := map[string]string{}
	for _, tag := range out.Tags {
		tags[tag.Key] = tag.Value
	}
	var shards []span
	for _, sh := range d.Shards {
		first, last := sh.keys()
		shards = append(shards, span{first, last, sh.open()})
	}
	got.tags, got.shards = showTags(tags), showShards(shards)
	return got, nil
}

// classify tells what a fault says; what is none of these comes back whole.
func classify(said string) string {
	var f struct {
		Type    string `json:"__type"`
		Message string
	}
	_ = json.Unmarshal([]byte(said), &f) // then it is none of these
	switch {
	case f.Type == "ResourceNotFoundException" && strings.HasPrefix(f.Message, "Stream "):
		return gone
	case f.Type == "ResourceNotFoundException":
		return noShard
	case f.Type == "ResourceInUseException":
		return inUse
	case f.Type == "InvalidArgumentException":
		return invalid
	case f.Type == "LimitExceededException":
		return overLimit
	}
	return said
}

// check holds the history against the model.
func (h *trace) check(t *testing.T, want porcupine.CheckResult) {
	t.Helper()
	acked := map[string]int{}
	for _, op := range h.history {
		if e := op.Input.(event); !e.unknown && e.part != end {
			acked[e.op+" "+op.Output.(answer).fault]++
		}
	}
	for _, op := range []string{"CreateStream", "DeleteStream", "DescribeStream", "SplitShard", "MergeShards", "UpdateShardCount", "IncreaseStreamRetentionPeriod", "AddTagsToStream"} {
		if acked[op+" "] == 0 && want == porcupine.Ok && len(h.history) > 1000 {
			t.Errorf("no %s succeeded, so nothing was tested: %v", op, acked)
		}
	}
	result, info := porcupine.CheckOperationsVerbose(streamModel(), h.history, time.Minute)
	if result == want {
		t.Logf("%s: %d events; %s", h.streams[0], len(h.history), result)
		return
	}
	t.Errorf("%s: %s, want %s, of %d events", h.streams[0], result, want, len(h.history))
	for _, part := range info.PartialLinearizationsOperations() {
		longest := slices.MaxFunc(part, func(a, b []porcupine.Operation) int { return cmp.Compare(len(a), len(b)) })
		if state, ok := replay(longest); ok {
			t.Logf("%d events lead to %+v", len(longest), state)
		}
		for _, op := range longest[max(0, len(longest)-5):] {
			t.Logf("  %d-%d %+v: %+v", op.Call, op.Return, op.Input, op.Output)
		}
	}
}

func replay(ops []porcupine.Operation) (any, bool) {
	m := streamModel()
	state, ok := m.Init(), true
	for _, op := range ops {
		if ok, state = m.Step(state, op.Input, op.Output); !ok {
			break
		}
	}
	return state, ok
}

// held is a stream in the model. Without a status there is none. What comes
// after the change under way is in after.
type held struct {
	life   int
	status string
	by     int64 // the call whose change is under way
	settings
	after  settings
	scaled int // calls of UpdateShardCount
}

// settings is what changes with a change's end, all of it at once.
type settings struct {
	tags, shards string // as an answer has them; shards unknown: the next reading tells
	open         int
	hours        int
}

// unknown are shards of which only the number of open ones is known, after
// UpdateShardCount: which they are is stream's own affair.
const unknown = "?"

// streamModel is the control plane of one stream.
func streamModel() porcupine.Model {
	return porcupine.Model{
		Partition: func(history []porcupine.Operation) [][]porcupine.Operation {
			parts := map[string][]porcupine.Operation{}
			for _, op := range history {
				name := op.Input.(event).stream
				parts[name] = append(parts[name], op)
			}
			return slices.Collect(maps.Values(parts))
		},
		Init: func() any { return held{} },
		Step: func(state, input, output any) (bool, any) {
			s, e, got := state.(held), input.(event), output.(answer)
			if e.op == restart {
				s.life = e.life
				return true, s
			}
			next, ok := s.step(e, got)
			if e.unknown && (!ok || e.part != end && e.life < s.life) {
				return true, s // it failed, or never began
			}
			return ok, next
		},
	}
}

// step tells whether an event may happen now, and what is then.
func (s held) step(e event, got answer) (held, bool) {
	if e.part == end {
		return s.end(e)
	}
	fault, next := s.begin(e)
	switch {
	case got.fault != "":
		// Of shards that nobody has read a client may be told anything.
		guess := s.status == "ACTIVE" && s.shards == unknown && e.shard != ""
		return s, got.fault == fault || guess && (got.fault == noShard || got.fault == invalid)
	case fault != "":
		return s, false
	case e.op == "ListTagsForStream":
		return s, got.tags == s.tags
	case e.op == "DescribeStream":
		if s.shards == unknown && got.shards != "" {
			open := 0
			for _, sh := range parseShards(got.shards) {
				if sh.open {
					open++
				}
			}
			if open != s.open {
				return s, false
			}
			s.shards = got.shards
		}
		return s, got == answer{status: s.status, hours: s.hours, shards: s.shards}
	}
	return next, true
}

// end ends the change that e's call began.
func (s held) end(e event) (held, bool) {
	if s.by != e.call {
		return s, false
	}
	if s.status == "DELETING" {
		return held{life: s.life}, true
	}
	s.status, s.by, s.settings, s.after = "ACTIVE", 0, s.after, settings{}
	return s, true
}

// begin returns the fault of a call made now, or what is once it has begun.
func (s held) begin(e event) (fault string, next held) {
	if e.op == "CreateStream" {
		if s.status != "" {
			return inUse, s
		}
		var shards []span
		each := new(big.Int).Div(new(big.Int).Lsh(big.NewInt(1), 128), big.NewInt(int64(e.n)))
		for i := range int64(e.n) {
			first := new(big.Int).Mul(each, big.NewInt(i))
			shards = append(shards, span{first, new(big.Int).Sub(new(big.Int).Add(first, each), big.NewInt(1)), true})
		}
		shards[e.n-1].last = new(big.Int).Sub(new(big.Int).Lsh(big.NewInt(1), 128), big.NewInt(1))
		return "", held{life: s.life, status: "CREATING", by: e.call, settings: settings{hours: 24}, after: settings{shards: showShards(shards), open: e.n, hours: 24}}
	}
	switch {
	case s.status == "":
		return gone, s
	case e.reads():
		return "", s
	case s.status != "ACTIVE":
		return inUse, s
	}
	next = s
	next.status, next.by, next.after = "UPDATING", e.call, s.settings
	switch e.op {
	case "DeleteStream":
		next.status = "DELETING"
	case "IncreaseStreamRetentionPeriod", "DecreaseStreamRetentionPeriod":
		if (e.op[0] == 'I') != (e.n > s.hours) && e.n != s.hours {
			return invalid, s
		}
		next.after.hours = e.n
	case "UpdateShardCount":
		if e.n > 2*s.open || 2*e.n < s.open || s.scaled == 10 {
			return overLimit, s
		}
		next.scaled++
		next.after.shards, next.after.open = unknown, e.n
	case "SplitShard", "MergeShards":
		next.after.open++
		if e.op[0] == 'M' {
			next.after.open -= 2
		}
		if s.shards != unknown {
			fault, next.after.shards = reshaped(parseShards(s.shards), e.ask)
		}
	case "AddTagsToStream", "RemoveTagsFromStream":
		next = s
		tags := map[string]string{}
		for kv := range strings.FieldsSeq(s.tags) {
			k, v, _ := strings.Cut(kv, "=")
			tags[k] = v
		}
		if delete(tags, e.key); e.value != "" {
			tags[e.key] = e.value
		}
		next.tags = showTags(tags)
	}
	return fault, next
}

// reshaped returns the shards after a split or a merge.
func reshaped(shards []span, a ask) (fault, after string) {
	var of []span
	for _, id := range []string{a.shard, a.adjacent} {
		if id == "" {
			continue
		}
		i, _ := strconv.Atoi(strings.TrimPrefix(id, "shardId-"))
		switch {
		case i >= len(shards):
			return noShard, ""
		case !shards[i].open:
			return invalid, ""
		}
		of = append(of, shards[i])
		shards[i].open = false
	}
	one, p := big.NewInt(1), of[0]
	if a.op == "MergeShards" {
		if new(big.Int).Add(p.last, one).Cmp(of[1].first) != 0 {
			return invalid, ""
		}
		return "", showShards(append(shards, span{p.first, of[1].last, true}))
	}
	at := number(a.at)
	if at.Cmp(new(big.Int).Add(p.first, one)) <= 0 || at.Cmp(p.last) >= 0 {
		return invalid, ""
	}
	return "", showShards(append(shards, span{p.first, new(big.Int).Sub(at, one), true}, span{at, p.last, true}))
}

// span is a shard of the model.
type span struct {
	first, last *big.Int
	open        bool
}

func showShards(shards []span) string {
	var b strings.Builder
	for _, sh := range shards {
		fmt.Fprintf(&b, "%v-%v%s ", sh.first, sh.last, map[bool]string{true: "o", false: "c"}[sh.open])
	}
	return b.String()
}

func parseShards(text string) (shards []span) {
	for f := range strings.FieldsSeq(text) {
		first, last, _ := strings.Cut(f[:len(f)-1], "-")
		shards = append(shards, span{number(first), number(last), f[len(f)-1] == 'o'})
	}
	return shards
}

func showTags(tags map[string]string) string {
	var b strings.Builder
	for _, k := range slices.Sorted(maps.Keys(tags)) {
		fmt.Fprintf(&b, "%s=%s ", k, tags[k])
	}
	return b.String()
}
