package inject

import (
	"strings"
	"testing"
)

// Each rule counts for itself, so what it does follows from the rule and the
// calls alone.
func TestRules(t *testing.T) {
	for _, c := range []struct {
		name string
		rule Rule
		want string // of ten calls: x is struck
	}{
		{"each", Rule{Effect: Fail}, "xxxxxxxxxx"},
		{"every third", Rule{Effect: Fail, Every: 3}, "..x..x..x."},
		{"the next two", Rule{Effect: Fail, Times: 2}, "xx........"},
		{"two after three", Rule{Effect: Fail, Skip: 3, Times: 2}, "...xx....."},
		{"every second after one, twice", Rule{Effect: Fail, Skip: 1, Every: 2, Times: 2}, "..x.x....."},
		{"by chance", Rule{Effect: Fail, Probability: 0.5, Seed: 1}, ""},
		{"another stream", Rule{Effect: Fail, Stream: "t"}, ".........."},
		{"another shard", Rule{Effect: Fail, Shard: "1"}, ".........."},
		{"another operation", Rule{Effect: Fail, Operation: "GetRecords"}, ".........."},
		{"all named", Rule{Effect: Fail, Operation: "PutRecord", Stream: "s", Shard: "0"}, "xxxxxxxxxx"},
		{"records are no calls", Rule{Effect: Fail, Per: "record"}, ".........."},
	} {
		t.Run(c.name, func(t *testing.T) {
			for range 2 {
				var rs Rules
				if _, err := rs.Add(c.rule); err != nil {
					t.Fatal(err)
				}
				got := ""
				for range 10 {
					if rs.Call(Site{"PutRecord", "s", "0"}).Refuse == Fail {
						got += "x"
					} else {
						got += "."
					}
				}
				if c.want == "" {
					c.want = got // the same again
					if n := strings.Count(got, "x"); n == 0 || n == 10 {
						t.Errorf("by chance %s", got)
					}
				}
				if got != c.want {
					t.Errorf("%s, want %s", got, c.want)
				}
				if r := rs.List()[0]; r.Hits != int64(strings.Count(got, "x")) {
					t.Errorf("hits %d", r.Hits)
				}
			}
		})
	}
}

func TestRulesTogether(t *testing.T) {
	var rs Rules
	for _, r := range []Rule{{Effect: Delay, DelayMillis: 5}, {Effect: Delay, DelayMillis: 7}, {Effect: Throttle, Every: 2}, {Effect: Fail}, {Effect: Drop}} {
		if _, err := rs.Add(r); err != nil {
			t.Fatal(err)
		}
	}
	if v := rs.Call(Site{}); v.Delay.Milliseconds() != 12 || v.Refuse != Fail || !v.Drop {
		t.Errorf("first %+v", v)
	}
	if v := rs.Call(Site{}); v.Refuse != Throttle {
		t.Errorf("second %+v", v)
	}
	if l := rs.List(); l[3].Hits != 2 || l[2].Hits != 1 || l[2].ID != "3" {
		t.Errorf("list %+v", l)
	}
	if rs.Clear("3") != 1 || rs.Clear("3") != 0 || !rs.Active() || rs.Clear("") != 4 || rs.Active() {
		t.Error("cleared otherwise")
	}
}

func TestCheck(t *testing.T) {
	for want, r := range map[string]Rule{
		"none of throttle":        {Effect: "explode"},
		"not negative":            {Effect: Fail, Every: -1},
		"from 0 to 1":             {Effect: Fail, Probability: 2},
		"none of call and record": {Effect: Fail, Per: "byte"},
		"by throttle and fail":    {Effect: Drop, Per: "record"},
		"puts no records":         {Effect: Fail, Per: "record", Operation: "GetRecords"},
		"only GetRecords":         {Effect: Expire, Operation: "PutRecord"},
		"belongs to":              {Effect: Fail, DelayMillis: 1},
		"delay_ms, from 1":        {Effect: Delay},
	} {
		if err := r.Check(); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%+v: %v, want %q", r, err, want)
		}
	}
}
