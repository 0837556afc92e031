package crash

import (
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
)

// TestKillControl kills the server while streams are made, deleted, split,
// merged, scaled, switched between modes, tagged, kept longer or shorter, and
// get and lose consumers, beside puts. Each stream has one caller of these
// operations, which knows what was answered: after a restart each acknowledged
// change is there, and the one under way at the kill wholly or not at all. The
// quotas of 24 hours count over the kills as well.
func TestKillControl(t *testing.T) {
	bin, data := build(t), t.TempDir()
	var all []*pact
	for i := range 4 {
		all = append(all, &pact{name: fmt.Sprint("stream-", i)})
	}
	open, happened := 0, 0
	for cycle := range *cycles + 1 {
		s := start(t, bin, data)
		for _, p := range all {
			under, did := p.verify(t, s)
			open, happened = open+under, happened+did
		}
		var list struct{ StreamNames []string }
		s.must(t, "ListStreams", obj{}, &list)
		for _, p := range all {
			if slices.Contains(list.StreamNames, p.name) != p.now.there {
				t.Fatalf("ListStreams says %v; %s: %v", list.StreamNames, p.name, p.now.there)
			}
		}
		if cycle == *cycles {
			s.stop()
			break
		}
		var wg sync.WaitGroup
		for _, p := range all {
			wg.Go(func() { p.govern(t, s) })
			wg.Go(func() { p.feed(t, s) })
		}
		<-time.After(time.Duration(100+rand.IntN(300)) * time.Millisecond)
		s.stop()
		wg.Wait()
		if t.Failed() {
			return
		}
	}
	calls, records := 0, 0
	for _, p := range all {
		calls, records = calls+p.calls, records+p.records
	}
	t.Logf("%d cycles: %d changes acknowledged, %d under way at a kill, of which %d happened; %d records", *cycles, calls, open, happened, records)
	if calls == 0 || records == 0 {
		t.Fatal("nothing was acknowledged, so nothing was tested")
	}
}

// state is what AWS tells about a stream.
type state struct {
	there     bool
	mode      string
	hours     int
	maxKiB    int
	tags      map[string]string
	consumers []string // sorted
	shards    []shard

	// reshape is what an acknowledged reshard whose shards nobody has looked
	// at since makes of them; nil: nothing.
	reshape *reshape

	scaled, switched int // uses of the quotas of 24 hours
}

// reshape is a reshard as far as its caller can tell: which of the open shards
// are closed (nil: it cannot), where shards start from then on (likewise), and
// how many are open in the end.
type reshape struct {
	closed []string
	starts []string
	open   int
}

func (s state) clone() state {
	s.tags, s.consumers, s.shards = maps.Clone(s.tags), slices.Clone(s.consumers), slices.Clone(s.shards)
	return s
}

// pact is what the only caller of control operations about one stream knows.
type pact struct {
	name string
	now  state  // as acknowledged
	next *state // as it is if the call under way happened; nil: none is

	calls, records int

	// Held for writing while the name passes from one stream to another.
	feeding sync.RWMutex
	alive   bool
	acked   map[string]ack // by sequence number, of this stream of the name
	sent    int
}

func (p *pact) arn() string { return "arn:aws:kinesis:us-east-1:000000000000:stream/" + p.name }

// govern changes the stream without end, until the server is killed.
func (p *pact) govern(t *testing.T, s *server) {
	for {
		op, in, after, refused := p.choose()
		if !p.change(t, s, op, in, after, refused) {
			return
		}
		if p.now.reshape != nil {
			all, fault, err := s.shards(p.name)
			if err != nil {
				return
			}
			if fault == "" {
				fault = fmt.Sprint(p.now.differ(state{there: true, mode: p.now.mode, hours: p.now.hours, maxKiB: p.now.maxKiB, tags: p.now.tags, consumers: p.now.consumers, shards: all}))
			}
			if fault != "<nil>" {
				t.Errorf("%s after %s %v: %s", p.name, op, in, fault)
				return
			}
			p.now.shards, p.now.reshape = all, nil
		}
	}
}

// change makes one call. refused is part of the fault that it must meet, or "".
func (p *pact) change(t *testing.T, s *server, op string, in obj, after state, refused string) bool {
	if after.there != p.now.there {
		p.feeding.Lock()
		defer p.feeding.Unlock()
	}
	if refused == "" {
		p.next = &after
	}
	fault, err := s.call(op, in, nil)
	if err != nil {
		return false // killed: whether it happened is unknown
	}
	p.next = nil
	switch {
	case refused != "" && strings.Contains(fault, refused):
		return true
	case refused != "" || fault != "":
		t.Errorf("%s %v: %s, want %q", op, in, fault, refused)
		return false
	}
	p.calls++
	p.become(after)
	return true
}

// become takes on a state. A new stream has no records.
func (p *pact) become(after state) {
	if after.there != p.now.there {
		p.alive, p.acked = after.there, map[string]ack{}
	}
	p.now = after
}

// choose picks a change.
func (p *pact) choose() (op string, in obj, after state, refused string) {
	in, after = obj{"StreamName": p.name}, p.now.clone()
	if !p.now.there {
		n := 1 + rand.IntN(3)
		after = state{there: true, mode: "PROVISIONED", hours: 24, maxKiB: 1024, tags: map[string]string{"made": fmt.Sprint(p.calls)}, reshape: &reshape{open: n}}
		in["Tags"] = after.tags
		if in["ShardCount"] = n; rand.IntN(4) == 0 {
			delete(in, "ShardCount")
			after.mode, after.reshape.open = "ON_DEMAND", 4
			in["StreamModeDetails"] = obj{"StreamMode": "ON_DEMAND"}
		}
		return "CreateStream", in, after, ""
	}
	var open []shard
	for _, sh := range p.now.shards {
		if sh.open() {
			open = append(open, sh)
		}
	}
	if len(p.now.shards) > 60 || rand.IntN(60) == 0 {
		if len(p.now.consumers) > 0 && rand.IntN(2) == 0 {
			return "DeleteStream", in, after, "ResourceInUseException"
		}
		in["EnforceConsumerDeletion"] = true
		return "DeleteStream", in, state{}, ""
	}
	byARN := func(in obj) obj { in["StreamARN"] = p.arn(); return in }
	for {
		switch rand.IntN(9) {
		case 0:
			if len(open) == 8 {
				continue
			}
			sh := open[rand.IntN(len(open))]
			in["ShardToSplit"], in["NewStartingHashKey"] = sh.ShardId, sh.middle()
			if p.now.mode == "ON_DEMAND" {
				return "SplitShard", in, after, "On-Demand mode"
			}
			after.reshape = &reshape{[]string{sh.ShardId}, []string{sh.HashKeyRange.StartingHashKey, sh.middle()}, len(open) + 1}
			return "SplitShard", in, after, ""
		case 1:
			if a, b := neighbours(open); a != "" && p.now.mode == "PROVISIONED" {
				in["ShardToMerge"], in["AdjacentShardToMerge"] = a, b
				after.reshape = &reshape{[]string{a, b}, nil, len(open) - 1}
				return "MergeShards", in, after, ""
			}
		case 2:
			n := (len(open)+1)/2 + rand.IntN(len(open)*3/2+1)
			if n == len(open) || n > 8 || p.now.mode != "PROVISIONED" {
				continue
			}
			in["TargetShardCount"], in["ScalingType"] = n, "UNIFORM_SCALING"
			if p.now.scaled == 10 {
				return "UpdateShardCount", in, after, "LimitExceededException"
			}
			after.scaled++
			after.reshape = &reshape{open: n}
			return "UpdateShardCount", in, after, ""
		case 3:
			in := byARN(obj{})
			after.mode = map[string]string{"PROVISIONED": "ON_DEMAND", "ON_DEMAND": "PROVISIONED"}[p.now.mode]
			in["StreamModeDetails"] = obj{"StreamMode": after.mode}
			if p.now.switched == 2 {
				return "UpdateStreamMode", in, p.now, "LimitExceededException"
			}
			after.switched++
			return "UpdateStreamMode", in, after, ""
		case 4:
			after.hours = 24 + rand.IntN(200)
			in["RetentionPeriodHours"] = after.hours
			if after.hours >= p.now.hours {
				return "IncreaseStreamRetentionPeriod", in, after, ""
			}
			return "DecreaseStreamRetentionPeriod", in, after, ""
		case 5:
			// More than one, to see that they come together.
			for range 2 {
				after.tags[fmt.Sprint("tag-", rand.IntN(20))] = fmt.Sprint(rand.IntN(1000))
			}
			in["Tags"] = after.tags
			return "AddTagsToStream", in, after, ""
		case 6:
			if len(after.tags) > 1 {
				keys := slices.Sorted(maps.Keys(after.tags))[:2]
				maps.DeleteFunc(after.tags, func(k, _ string) bool { return slices.Contains(keys, k) })
				in["TagKeys"] = keys
				return "RemoveTagsFromStream", in, after, ""
			}
		case 7:
			name := fmt.Sprint("consumer-", rand.IntN(6))
			in := byARN(obj{})
			in["ConsumerName"] = name
			i, there := slices.BinarySearch(after.consumers, name)
			if there {
				after.consumers = slices.Delete(after.consumers, i, i+1)
				return "DeregisterStreamConsumer", in, after, ""
			}
			after.consumers = slices.Insert(after.consumers, i, name)
			return "RegisterStreamConsumer", in, after, ""
		case 8:
			in := byARN(obj{})
			after.maxKiB = 1024 + rand.IntN(9000)
			in["MaxRecordSizeInKiB"] = after.maxKiB
			return "UpdateMaxRecordSize", in, after, ""
		}
	}
}

// feed puts records into the stream while it is there.
func (p *pact) feed(t *testing.T, s *server) {
	for {
		p.feeding.RLock()
		if !p.alive {
			p.feeding.RUnlock()
			if _, err := s.call("ListStreams", obj{}, nil); err != nil {
				return
			}
			continue
		}
		ok := p.put(t, s)
		p.feeding.RUnlock()
		if !ok {
			return
		}
	}
}

func (p *pact) put(t *testing.T, s *server) bool {
	var records []obj
	var sent []ack
	for range 10 {
		p.sent++
		a := ack{key: fmt.Sprint("k", p.sent%7), data: fmt.Sprintf("%d:%s", p.sent, strings.Repeat("x", p.sent*31%400))}
		sent = append(sent, a)
		records = append(records, obj{"PartitionKey": a.key, "Data": []byte(a.data)})
	}
	var out struct {
		Records []struct{ SequenceNumber, ShardId, ErrorCode, ErrorMessage string }
	}
	fault, err := s.call("PutRecords", obj{"StreamName": p.name, "Records": records}, &out)
	if err != nil {
		return false
	}
	if fault != "" {
		t.Errorf("PutRecords to %s: %s", p.name, fault)
		return false
	}
	for i, r := range out.Records {
		if r.ErrorCode != "" {
			t.Errorf("PutRecords to %s: %+v", p.name, r)
			return false
		}
		sent[i].shard = r.ShardId
		p.acked[r.SequenceNumber] = sent[i]
		p.records++
	}
	return true
}

// verify compares the stream after a restart with what its caller knows. It
// tells how many calls were under way at the kill, and how many of them
// happened.
func (p *pact) verify(t *testing.T, s *server) (under, happened int) {
	t.Helper()
	// At once, whatever state it is in: the shards are such as AWS could show.
	var d struct{ StreamDescription struct{ StreamStatus string } }
	fault, err := s.call("DescribeStream", obj{"StreamName": p.name}, &d)
	if err != nil {
		t.Fatal(err)
	}
	if fault == "" && d.StreamDescription.StreamStatus != "CREATING" {
		// It may be gone, or made, in between.
		if all, fault, err := s.shards(p.name); err != nil || fault == "" && len(all) > 0 && tiled(all) != nil {
			t.Fatalf("%s at once: %v %v", p.name, err, tiled(all))
		}
	}
	got := s.observe(t, p.name)
	was := p.now
	err = p.now.differ(got)
	if p.next != nil {
		under = 1
		if err != nil {
			was, happened = *p.next, 1
			err = errors.Join(err, p.next.differ(got))
			if p.next.differ(got) == nil {
				err = nil
			}
		}
	}
	if err != nil {
		t.Fatalf("%s: %v\nacknowledged: %+v\nunder way: %+v\nfound: %+v", p.name, err, p.now, p.next, got)
	}
	got.scaled, got.switched = was.scaled, was.switched
	p.become(got)
	p.next = nil
	if got.there {
		p.read(t, s)
	}
	return under, happened
}

// observe asks for all there is to know about a stream, once it and its
// consumers are in no state that must pass.
func (s *server) observe(t *testing.T, name string) (got state) {
	t.Helper()
	if got.there = s.settled(t, name); !got.there {
		return got
	}
	var sum struct {
		StreamDescriptionSummary struct {
			StreamARN                                string
			StreamModeDetails                        struct{ StreamMode string }
			RetentionPeriodHours, MaxRecordSizeInKiB int
			OpenShardCount, ConsumerCount            int
		}
	}
	s.must(t, "DescribeStreamSummary", obj{"StreamName": name}, &sum)
	d := sum.StreamDescriptionSummary
	got.mode, got.hours, got.maxKiB = d.StreamModeDetails.StreamMode, d.RetentionPeriodHours, d.MaxRecordSizeInKiB
	var tags struct{ Tags []struct{ Key, Value string } }
	s.must(t, "ListTagsForStream", obj{"StreamName": name}, &tags)
	got.tags = map[string]string{}
	for _, tag := range tags.Tags {
		got.tags[tag.Key] = tag.Value
	}
	for deadline := time.Now().Add(10 * time.Second); ; {
		var list struct {
			Consumers []struct{ ConsumerName, ConsumerStatus string }
		}
		s.must(t, "ListStreamConsumers", obj{"StreamARN": d.StreamARN}, &list)
		passing := ""
		got.consumers = nil
		for _, c := range list.Consumers {
			if c.ConsumerStatus != "ACTIVE" {
				passing = c.ConsumerName + " is " + c.ConsumerStatus
			}
			got.consumers = append(got.consumers, c.ConsumerName)
		}
		if passing == "" {
			break
		}
		if time.Now().After(deadline) {
			t.Fatalf("consumer of %s is stuck: %s", name, passing)
		}
	}
	all, fault, err := s.shards(name)
	if err != nil || fault != "" {
		t.Fatal(fault, err)
	}
	got.shards = all
	open := 0
	for _, sh := range all {
		if sh.open() {
			open++
		}
	}
	s.must(t, "DescribeStreamSummary", obj{"StreamName": name}, &sum)
	if d := sum.StreamDescriptionSummary; d.OpenShardCount != open || d.ConsumerCount != len(got.consumers) {
		t.Fatalf("%s: summary %+v, lists of %d open shards and %d consumers", name, d, open, len(got.consumers))
	}
	return got
}

// differ tells what a stream is found to be otherwise than s says.
func (s *state) differ(got state) error {
	if s.there != got.there {
		return fmt.Errorf("there: %v, want %v", got.there, s.there)
	}
	if !s.there {
		return nil
	}
	if s.mode != got.mode || s.hours != got.hours || s.maxKiB != got.maxKiB || !maps.Equal(s.tags, got.tags) || !slices.Equal(s.consumers, got.consumers) {
		return errors.New("settings differ")
	}
	if err := tiled(got.shards); err != nil {
		return err
	}
	if s.reshape == nil {
		if !slices.Equal(s.shards, got.shards) {
			return errors.New("shards differ")
		}
		return nil
	}
	open, starts := 0, map[string]bool{}
	for i, now := range got.shards {
		if now.open() {
			open++
			starts[now.HashKeyRange.StartingHashKey] = true
		}
		if i >= len(s.shards) {
			continue
		}
		was := s.shards[i]
		closed := slices.Contains(s.reshape.closed, was.ShardId)
		if was.open() && (closed || s.reshape.closed == nil) {
			if closed && now.open() {
				return fmt.Errorf("%s was to be closed", was.ShardId)
			}
			was.SequenceNumberRange.EndingSequenceNumber = now.SequenceNumberRange.EndingSequenceNumber
		}
		if was != now {
			return fmt.Errorf("%+v, was %+v", now, was)
		}
	}
	for _, at := range s.reshape.starts {
		if !starts[at] {
			return fmt.Errorf("no open shard starts at %s", at)
		}
	}
	if len(got.shards) < len(s.shards) || open != s.reshape.open {
		return fmt.Errorf("%d shards, of which %d open; want %d and %d", len(got.shards), open, len(s.shards), s.reshape.open)
	}
	return nil
}

// read reads all of the stream and finds what was acknowledged: once, where
// it was said to be, in order.
func (p *pact) read(t *testing.T, s *server) {
	t.Helper()
	left, keys := maps.Clone(p.acked), map[string]int{}
	for _, sh := range p.now.shards { // parents come before their children
		var it struct{ ShardIterator string }
		s.must(t, "GetShardIterator", obj{"StreamName": p.name, "ShardId": sh.ShardId, "ShardIteratorType": "TRIM_HORIZON"}, &it)
		last := number(sh.SequenceNumberRange.StartingSequenceNumber)
		for token := it.ShardIterator; token != ""; {
			var out struct {
				Records            []record
				NextShardIterator  string
				MillisBehindLatest int64
				ChildShards        []struct{ ShardId string }
			}
			s.must(t, "GetRecords", obj{"ShardIterator": token}, &out)
			for _, r := range out.Records {
				seq := number(r.SequenceNumber)
				var n int
				if _, err := fmt.Sscanf(string(r.Data), "%d:", &n); err != nil || seq.Cmp(last) <= 0 || n <= keys[r.PartitionKey] {
					t.Fatalf("%s of %s: %s (%s, %.20s) after %v and %d: %v", sh.ShardId, p.name, seq, r.PartitionKey, r.Data, last, keys[r.PartitionKey], err)
				}
				last, keys[r.PartitionKey] = seq, n
				if a, ok := left[r.SequenceNumber]; ok && (a.shard != sh.ShardId || a.key != r.PartitionKey || a.data != string(r.Data)) {
					t.Fatalf("%s of %s holds %s %.40s, acknowledged as %.40v", sh.ShardId, p.name, r.PartitionKey, r.Data, a)
				}
				delete(left, r.SequenceNumber)
			}
			if (out.NextShardIterator == "") != (len(out.ChildShards) > 0) {
				t.Fatalf("%s of %s: next iterator %q with children %v", sh.ShardId, p.name, out.NextShardIterator, out.ChildShards)
			}
			if token = out.NextShardIterator; len(out.Records) == 0 && out.MillisBehindLatest == 0 && sh.open() {
				break
			}
		}
	}
	for seq, a := range left {
		t.Fatalf("%d acknowledged records of %s are lost, among them %s on %s: %.40s", len(left), p.name, seq, a.shard, a.data)
	}
}
