package dynamodb

import (
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

// wireValues are attribute values as requests write them.
func wireValues(depth int) *rapid.Generator[string] {
	return rapid.Custom(func(t *rapid.T) string {
		most := 10
		if depth == 0 {
			most = 8
		}
		switch rapid.IntRange(0, most).Draw(t, "type") {
		case 0, 1:
			return `{"N":"` + rapid.SampledFrom([]string{"0", "1", "-1", "1.5", "1e3", "99999999999999999999999999999999999999", "1E-130", "9e125"}).Draw(t, "n") + `"}`
		case 2:
			return `{"S":"` + rapid.SampledFrom([]string{"", "a", "ab", `\u00e9\"`, "é", strings.Repeat("x", 3000), strings.Repeat("y", 26000)}).Draw(t, "s") + `"}`
		case 3:
			return `{"B":"` + rapid.SampledFrom([]string{"", "YQ==", "AAH/"}).Draw(t, "b") + `"}`
		case 4:
			return `{"SS":["a"` + rapid.SampledFrom([]string{"", `,"b"`, `,"c","b"`, `,"a"`}).Draw(t, "ss") + `]}`
		case 5:
			return `{"NS":["1"` + rapid.SampledFrom([]string{"", `,"2"`, `,"3","-2.0"`, `,"1.0"`}).Draw(t, "ns") + `]}`
		case 6:
			return `{"BOOL":` + rapid.SampledFrom([]string{"true", "false"}).Draw(t, "bool") + `}`
		case 7:
			return `{"NULL":true}`
		case 8:
			return `{"BS":["YQ=="` + rapid.SampledFrom([]string{"", `,"Yg=="`}).Draw(t, "bs") + `]}`
		case 9:
			return `{"L":[` + strings.Join(rapid.SliceOfN(wireValues(depth-1), 0, 3).Draw(t, "l"), ",") + `]}`
		}
		var members []string
		for _, name := range []string{"a", "b"} {
			if rapid.Bool().Draw(t, "has") {
				members = append(members, `"`+name+`":`+wireValues(depth-1).Draw(t, name))
			}
		}
		return `{"M":{` + strings.Join(members, ",") + `}}`
	})
}

// expressions draws a condition, an update, or neither, with their names.
func expressions(t *rapid.T, update bool) (text string) {
	path := func() string {
		p := rapid.SampledFrom([]string{"a", "b", "#c", "d", "e", "f", "g", "k"}).Draw(t, "path")
		for range rapid.SampledFrom([]int{0, 0, 0, 0, 0, 1, 2}).Draw(t, "deep") {
			p += rapid.SampledFrom([]string{".a", ".b", "[0]", "[1]", "[2]"}).Draw(t, "step")
		}
		return p
	}
	val := func() string { return rapid.SampledFrom([]string{":v", ":w"}).Draw(t, "value") }
	operand := func() string {
		if rapid.Bool().Draw(t, "path?") {
			return path()
		}
		return val()
	}
	var cond func(depth int) string
	cond = func(depth int) string {
		most := 9
		if depth == 0 {
			most = 6
		}
		switch rapid.IntRange(0, most).Draw(t, "cond") {
		case 0:
			return "attribute_exists(" + path() + ")"
		case 1:
			return "attribute_not_exists(" + path() + ")"
		case 2:
			return "attribute_type(" + path() + ", " + val() + ")"
		case 3:
			return rapid.SampledFrom([]string{"begins_with", "contains"}).Draw(t, "f") + "(" + path() + ", " + operand() + ")"
		case 4:
			return path() + " BETWEEN " + operand() + " AND " + operand()
		case 5:
			return path() + " IN (" + operand() + ", " + val() + ")"
		case 6:
			return operand() + rapid.SampledFrom([]string{"=", "<>", "<", "<=", ">", ">="}).Draw(t, "op") + operand()
		case 7:
			return "size(" + path() + ") > " + operand()
		case 8:
			return "NOT " + cond(depth-1)
		}
		return cond(depth-1) + rapid.SampledFrom([]string{" AND ", " OR "}).Draw(t, "join") + cond(depth-1)
	}
	used := ""
	if rapid.Bool().Draw(t, "condition?") {
		c := cond(2)
		used += c
		text += `,"ConditionExpression":"` + c + `"`
	}
	if update && rapid.IntRange(0, 9).Draw(t, "update?") > 0 {
		var clauses []string
		for _, action := range rapid.Permutation([]string{"SET", "REMOVE", "ADD", "DELETE"}).Draw(t, "order") {
			var list []string
			for range rapid.SampledFrom([]int{0, 0, 0, 1, 2}).Draw(t, action) {
				p := path()
				switch action {
				case "SET":
					switch rapid.IntRange(0, 4).Draw(t, "set") {
					case 0, 1:
						p += " = " + operand()
					case 2:
						p += " = " + operand() + rapid.SampledFrom([]string{" + ", " - "}).Draw(t, "sum") + operand()
					case 3:
						p += " = if_not_exists(" + path() + ", " + operand() + ")"
					case 4:
						p += " = list_append(" + operand() + ", " + operand() + ")"
					}
				case "ADD", "DELETE":
					p += " " + val()
				}
				list = append(list, p)
			}
			if list != nil {
				clauses = append(clauses, action+" "+strings.Join(list, ", "))
			}
		}
		u := strings.Join(clauses, " ")
		used += u
		text += `,"UpdateExpression":"` + u + `"`
	}
	if strings.Contains(used, "#c") || rapid.IntRange(0, 19).Draw(t, "names") == 0 {
		text += `,"ExpressionAttributeNames":{"#c":"` + rapid.SampledFrom([]string{"c", "d", "a", "x y", "k"}).Draw(t, "c") + `"}`
	}
	return text
}

// olderParameters draws Expected and AttributeUpdates.
func olderParameters(t *rapid.T, update bool) string {
	entries := func(member string, one func() string) string {
		var list []string
		for _, name := range []string{"a", "b", "c"} {
			if rapid.IntRange(0, 2).Draw(t, name) == 0 {
				list = append(list, `"`+name+`":{`+one()+`}`)
			}
		}
		if list == nil {
			return ""
		}
		return `,"` + member + `":{` + strings.Join(list, ",") + `}`
	}
	value := func() string { return wireValues(2).Draw(t, "value") }
	text := entries("Expected", func() string {
		switch rapid.IntRange(0, 3).Draw(t, "expected") {
		case 0:
			return `"Exists":false`
		case 1:
			return `"Value":` + value()
		}
		op := rapid.SampledFrom([]string{"EQ", "NE", "LT", "GE", "NULL", "NOT_NULL", "CONTAINS", "NOT_CONTAINS", "BEGINS_WITH", "IN", "BETWEEN"}).Draw(t, "op")
		n := map[string]int{"NULL": 0, "NOT_NULL": 0, "IN": 2, "BETWEEN": 2}
		list := []string{value()}
		if most, ok := n[op]; ok {
			if list = nil; most == 2 {
				list = []string{value(), value()}
			}
		}
		return `"ComparisonOperator":"` + op + `","AttributeValueList":[` + strings.Join(list, ",") + `]`
	})
	if update {
		text += entries("AttributeUpdates", func() string {
			action := rapid.SampledFrom([]string{"PUT", "ADD", "DELETE"}).Draw(t, "action")
			if action == "DELETE" && rapid.Bool().Draw(t, "whole") {
				return `"Action":"DELETE"`
			}
			return `"Action":"` + action + `","Value":` + value()
		})
	}
	return text
}

// values draws the values that expressions use, and rarely others.
func values(t *rapid.T, expressions string) string {
	var list []string
	for _, v := range []string{":v", ":w"} {
		if strings.Contains(expressions, v) != (rapid.IntRange(0, 29).Draw(t, "other") == 0) {
			list = append(list, `"`+v+`":`+wireValues(2).Draw(t, v))
		}
	}
	if list == nil {
		return ""
	}
	return `,"ExpressionAttributeValues":{` + strings.Join(list, ",") + `}`
}

// A request is answered alike, and leaves the same item, whether it is read by
// hand, with programs that are kept, on items that are changed in their bytes,
// or by the general codec on whole items, as those of tables with indexes are.
// Recovery, which knows but the bytes of the log, finds the same items.
func TestAnswersAreAlike(t *testing.T) {
	byHand, general := newFixture(t), newFixture(t)
	const table = `"KeySchema":[{"AttributeName":"k","KeyType":"HASH"}],"AttributeDefinitions":[{"AttributeName":"k","AttributeType":"S"}`
	byHand.call("CreateTable", `{"TableName":"ttt","BillingMode":"PAY_PER_REQUEST",`+table+`]}`)
	general.call("CreateTable", `{"TableName":"ttt","BillingMode":"PAY_PER_REQUEST",`+table+`,{"AttributeName":"none","AttributeType":"S"}],
		"GlobalSecondaryIndexes":[{"IndexName":"byNone","KeySchema":[{"AttributeName":"none","KeyType":"HASH"}],"Projection":{"ProjectionType":"ALL"}}]}`)
	n := 0
	rapid.Check(t, func(t *rapid.T) {
		n++
		key := fmt.Sprintf(`{"S":"%d"}`, n)
		call := func(op, body string) {
			got, want := byHand.call(op, body+"}"), general.call(op, body+`,"ReturnConsumedCapacity":null}`)
			if got != want {
				t.Fatalf("%s %s}\nby hand %s\ngeneral %s", op, body, got, want)
			}
		}
		for range rapid.IntRange(1, 6).Draw(t, "calls") {
			returns := rapid.SampledFrom([]string{"", "", "", "NONE", "ALL_OLD", "ALL_OLD", "ALL_NEW", "UPDATED_OLD", "UPDATED_NEW"}).Draw(t, "returns")
			more := ""
			if returns != "" {
				more = `,"ReturnValues":"` + returns + `"`
			}
			if rapid.Bool().Draw(t, "old") {
				more += `,"ReturnValuesOnConditionCheckFailure":"ALL_OLD"`
			}
			put := rapid.IntRange(0, 2).Draw(t, "put") == 0
			var e string
			if rapid.IntRange(0, 3).Draw(t, "older") == 0 {
				e = olderParameters(t, !put)
			} else {
				e = expressions(t, !put)
			}
			for range rapid.IntRange(1, 3).Draw(t, "times") { // of which the latter find the expressions compiled
				if v := values(t, e); put {
					item := `{"k":` + key
					for _, name := range []string{"a", "b", "c", "d"} {
						if rapid.Bool().Draw(t, name) {
							item += `,"` + name + `":` + wireValues(3).Draw(t, "value")
						}
					}
					call("PutItem", `{"TableName":"ttt","Item":`+item+`}`+more+e+v)
				} else {
					call("UpdateItem", `{"TableName":"ttt","Key":{"k":`+key+`}`+more+e+v)
				}
			}
			call("GetItem", `{"TableName":"ttt","Key":{"k":`+key+`}`)
		}
	})
	items := func() (all []string) {
		for i := range n {
			all = append(all, byHand.call("GetItem", fmt.Sprintf(`{"TableName":"ttt","Key":{"k":{"S":"%d"}}}`, i+1)))
		}
		return all
	}
	before := items()
	byHand.close()
	byHand.open()
	if diff := cmp.Diff(before, items()); diff != "" {
		t.Errorf("recovery finds others:\n%s", diff)
	}
}
