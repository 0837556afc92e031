package crash

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/anishathalye/porcupine"
)

// Sixteen clients write to few items under conditions, alone and in
// transactions over two of them, while the server is killed again and again.
// What they were told is the history of items that change in one order, reads
// included; a write that was not answered happened before the kill or never.
func TestTablesAcrossKills(t *testing.T) {
	bin, data := build(t), t.TempDir()
	h := &ledgerOfItems{began: time.Now()}
	for cycle := range *cycles {
		s := start(t, bin, data)
		if cycle == 0 {
			if fault, err := s.table("CreateTable", obj{
				"TableName": "items", "BillingMode": "PAY_PER_REQUEST", "KeySchema": []obj{{"AttributeName": "k", "KeyType": "HASH"}},
				"AttributeDefinitions": []obj{{"AttributeName": "k", "AttributeType": "S"}},
			}, nil); err != nil || fault != "" {
				t.Fatal(fault, err)
			}
		}
		var clients sync.WaitGroup
		for c := range 16 {
			clients.Go(func() { h.client(t, s, c) })
		}
		<-time.After(time.Duration(100+rand.IntN(200)) * time.Millisecond)
		s.stop()
		clients.Wait()
		h.killed()
	}
	h.check(t, porcupine.Ok)
}

// A client that takes a failed condition for a success is found out.
func TestTablesBite(t *testing.T) {
	s := start(t, build(t), t.TempDir())
	if fault, err := s.table("CreateTable", obj{
		"TableName": "items", "BillingMode": "PAY_PER_REQUEST", "KeySchema": []obj{{"AttributeName": "k", "KeyType": "HASH"}},
		"AttributeDefinitions": []obj{{"AttributeName": "k", "AttributeType": "S"}},
	}, nil); err != nil || fault != "" {
		t.Fatal(fault, err)
	}
	h := &ledgerOfItems{began: time.Now(), liar: true}
	var clients sync.WaitGroup
	for c := range 16 {
		clients.Go(func() { h.client(t, s, c) })
	}
	<-time.After(300 * time.Millisecond)
	s.stop()
	clients.Wait()
	h.killed()
	h.check(t, porcupine.Illegal)
}

const pairsOfItems = 6

// step is a call on the two items of a pair: "" is an item that does not exist.
type step struct {
	pair     int
	op       string // read, put, swap, both
	item     int    // of put and swap
	old, new string // swap: of the item; both: old is that of the first
}

// saw is an answer: whether the condition held, and the values that were there.
type saw struct {
	unknown, failed bool
	before          [2]string // of put and swap only that of the item
}

type ledgerOfItems struct {
	began   time.Time
	values  atomic.Int64
	liar    bool
	mu      sync.Mutex
	history []porcupine.Operation
	open    []porcupine.Operation // not answered before the kill
}

// client calls until the server is killed.
func (h *ledgerOfItems) client(t *testing.T, s *server, c int) {
	known := map[int][2]string{}
	for {
		x := step{pair: rand.IntN(pairsOfItems), item: rand.IntN(2), op: []string{"read", "put", "swap", "swap", "both", "both"}[rand.IntN(6)], new: fmt.Sprint(h.values.Add(1))}
		x.old = known[x.pair][x.item]
		if x.op == "both" {
			x.old = known[x.pair][0]
		}
		from := time.Since(h.began)
		got, err := s.step(x)
		if err != nil {
			if x.op != "read" {
				h.mu.Lock()
				h.open = append(h.open, porcupine.Operation{ClientId: c, Input: x, Output: saw{unknown: true}, Call: int64(from)})
				h.mu.Unlock()
			}
			return
		}
		if got == nil {
			t.Errorf("%+v: not answered as it should be", x)
			return
		}
		pair := known[x.pair]
		switch {
		case x.op == "read":
			pair = got.before
		case x.op == "both" && got.failed:
			pair[0] = got.before[0]
		case x.op == "both":
			pair = [2]string{x.new, x.new}
		case got.failed:
			pair[x.item] = got.before[x.item]
		default:
			pair[x.item] = x.new
		}
		known[x.pair] = pair
		if h.liar && c == 0 && got.failed && x.op == "swap" {
			got.failed, got.before[x.item] = false, x.old
		}
		h.mu.Lock()
		h.history = append(h.history, porcupine.Operation{ClientId: c, Input: x, Output: *got, Call: int64(from), Return: int64(time.Since(h.began))})
		h.mu.Unlock()
	}
}

// killed ends what was not answered: it happened by now, or never will.
func (h *ledgerOfItems) killed() {
	now := int64(time.Since(h.began))
	for _, op := range h.open {
		op.Return = now
		h.history = append(h.history, op)
	}
	h.open = nil
}

func (h *ledgerOfItems) check(t *testing.T, want porcupine.CheckResult) {
	t.Helper()
	count := map[string]int{}
	for _, op := range h.history {
		x, got := op.Input.(step), op.Output.(saw)
		switch {
		case got.unknown:
			count["unknown"]++
		case got.failed:
			count[x.op+" refused"]++
		default:
			count[x.op]++
		}
	}
	for _, what := range []string{"read", "put", "swap", "swap refused", "both", "both refused"} {
		if count[what] == 0 {
			t.Errorf("no %s, so nothing was tested: %v", what, count)
		}
	}
	result := porcupine.CheckOperationsTimeout(itemsModel(), h.history, time.Minute)
	if result != want {
		t.Errorf("%s, want %s, of %v", result, want, count)
	}
	t.Logf("%s: %d calls, %v", result, len(h.history), count)
}

func itemsModel() porcupine.Model {
	m := porcupine.NondeterministicModel{
		Partition: func(history []porcupine.Operation) [][]porcupine.Operation {
			parts := make([][]porcupine.Operation, pairsOfItems)
			for _, op := range history {
				p := op.Input.(step).pair
				parts[p] = append(parts[p], op)
			}
			return parts
		},
		Init: func() []any { return []any{[2]string{}} },
		Step: func(state, input, output any) []any {
			now, x, got := state.([2]string), input.(step), output.(saw)
			after, holds := now, true
			switch x.op {
			case "put":
				after[x.item] = x.new
			case "swap":
				holds = now[x.item] == x.old
				after[x.item] = x.new
			case "both":
				holds = now[0] == x.old
				after = [2]string{x.new, x.new}
			}
			if got.unknown {
				if holds {
					return []any{now, after}
				}
				return []any{now}
			}
			seen := got.before == now
			switch x.op {
			case "put", "swap":
				seen = got.before[x.item] == now[x.item]
			case "both":
				seen = !got.failed || got.before[0] == now[0]
			}
			if !seen || holds == got.failed {
				return nil
			}
			if !holds {
				after = now
			}
			return []any{after}
		},
	}
	return m.ToModel()
}

// step makes a call; nil is an answer that makes no sense.
func (s *server) step(x step) (*saw, error) {
	key := func(i int) obj { return obj{"k": obj{"S": fmt.Sprintf("%d-%d", x.pair, i)}} }
	with := func(i int) obj {
		item := key(i)
		item["v"] = obj{"S": x.new}
		item["pad"] = obj{"S": strings.Repeat("x", 1000)}
		return item
	}
	type answer struct {
		Item, Attributes map[string]map[string]string
	}
	value := func(item map[string]map[string]string) string { return item["v"]["S"] }
	condition := func(in obj) obj {
		in["ReturnValuesOnConditionCheckFailure"] = "ALL_OLD"
		if x.old == "" {
			in["ConditionExpression"] = "attribute_not_exists(k)"
		} else {
			in["ConditionExpression"], in["ExpressionAttributeValues"] = "v = :old", obj{":old": obj{"S": x.old}}
		}
		return in
	}
	var got saw
	var fault string
	var err error
	switch x.op {
	case "read":
		var out struct{ Responses []answer }
		get := func(i int) obj { return obj{"Get": obj{"TableName": "items", "Key": key(i)}} }
		fault, err = s.table("TransactGetItems", obj{"TransactItems": []obj{get(0), get(1)}}, &out)
		if err == nil && len(out.Responses) == 2 {
			got.before = [2]string{value(out.Responses[0].Item), value(out.Responses[1].Item)}
		}
	case "put":
		var out answer
		fault, err = s.table("PutItem", obj{"TableName": "items", "Item": with(x.item), "ReturnValues": "ALL_OLD"}, &out)
		got.before[x.item] = value(out.Attributes)
	case "swap":
		in := condition(obj{"TableName": "items", "Key": key(x.item), "UpdateExpression": "SET v = :new", "ReturnValues": "ALL_OLD"})
		values, _ := in["ExpressionAttributeValues"].(obj)
		if values == nil {
			values = obj{}
		}
		values[":new"] = obj{"S": x.new}
		in["ExpressionAttributeValues"] = values
		var out answer
		fault, err = s.table("UpdateItem", in, &out)
		got.before[x.item] = value(out.Attributes)
	case "both":
		first := condition(obj{"TableName": "items", "Item": with(0)})
		fault, err = s.table("TransactWriteItems", obj{"TransactItems": []obj{{"Put": first}, {"Put": obj{"TableName": "items", "Item": with(1)}}}}, nil)
	}
	if err != nil || fault == "" {
		return &got, err
	}
	var f struct {
		Type                string `json:"__type"`
		Item                map[string]map[string]string
		CancellationReasons []answer
	}
	if json.Unmarshal([]byte(fault), &f) != nil {
		return nil, nil
	}
	got = saw{failed: true}
	switch {
	case strings.HasSuffix(f.Type, "#ConditionalCheckFailedException") && x.op == "swap":
		got.before[x.item] = value(f.Item)
	case strings.HasSuffix(f.Type, "#TransactionCanceledException") && x.op == "both" && len(f.CancellationReasons) == 2:
		got.before[0] = value(f.CancellationReasons[0].Item)
	default:
		return nil, nil
	}
	return &got, nil
}

// table is call for an operation on tables.
func (s *server) table(op string, in, out any) (fault string, err error) {
	return s.send("dynamodb", "application/x-amz-json-1.0", "DynamoDB_20120810."+op, in, out)
}
