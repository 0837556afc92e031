package shard_test

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/thalweg/thalweg/flow"
	"github.com/thalweg/thalweg/function/mapping/event"
	"github.com/thalweg/thalweg/function/mapping/shard"
)

// TestCases runs the case files of testdata. A file holds cases, each begun by
// a line "case NAME". The lines of a case are commands:
//
//	config KEY=VALUE…   a new machine: batch, window, parallel, bisect, retries, age, items, tumbling, bytes
//	configure …         changes the same machine
//	restart KEY=VALUE…  a new machine that goes on from the state of this one, changed if there are settings
//	at TIME             moves the time
//	put REC…            records: KEY with @TIME (of arrival), #SIZE, ! (no filter wants it); positions are 1, 2, …
//	until TIME          no record before this time is missing
//	end                 the shard has ended
//	ok ID [STATE]       an invocation succeeded
//	fail ID             it failed
//	refuse ID           it did not take place
//	cut ID POS [STATE]  it failed from a record on
//	large ID            it answered with a state above the limit
//	sent ID             a batch is with the destination
//	lost FROM TO        records are no more
//	step, state, wants  answer with the lines that follow, which start with =
//
// Keys a, b, c… go to lanes 0, 1, 2….
func TestCases(t *testing.T) {
	files, err := filepath.Glob("testdata/*.txt")
	if err != nil || len(files) == 0 {
		t.Fatal("no case files", err)
	}
	for _, f := range files {
		text, err := os.ReadFile(f)
		if err != nil {
			t.Fatal(err)
		}
		name, start := "", 0
		var lines []string
		run := func() {
			if name != "" {
				t.Run(strings.TrimSuffix(filepath.Base(f), ".txt")+"/"+name, func(t *testing.T) { runCase(t, f, start, lines) })
			}
		}
		for i, line := range strings.Split(string(text), "\n") {
			if rest, ok := strings.CutPrefix(line, "case "); ok {
				run()
				name, lines, start = rest, nil, i+1
				continue
			}
			lines = append(lines, line)
		}
		run()
	}
}

type play struct {
	cfg  shard.Config
	m    *shard.Machine
	now  time.Time
	next flow.Pos
}

func runCase(t *testing.T, file string, start int, lines []string) {
	p := &play{next: 1, now: time.UnixMilli(0)}
	for i := 0; i < len(lines); i++ {
		line, _, _ := strings.Cut(lines[i], "//")
		words := strings.Fields(line)
		if len(words) == 0 {
			continue
		}
		where := fmt.Sprintf("%s:%d: %s", file, start+i+1, line)
		got, err := p.do(words)
		if err != nil {
			t.Fatalf("%s: %v", where, err)
		}
		if words[0] != "step" && words[0] != "state" && words[0] != "wants" {
			continue
		}
		var want []string
		for i+1 < len(lines) && strings.HasPrefix(lines[i+1], "= ") {
			i++
			want = append(want, strings.TrimSpace(lines[i][2:]))
		}
		if !slices.Equal(got, want) {
			t.Fatalf("%s\n got:\n= %s\nwant:\n= %s", where, strings.Join(got, "\n= "), strings.Join(want, "\n= "))
		}
	}
}

func parseConfig(words []string) (shard.Config, error) {
	c := shard.Config{BatchSize: 100, Parallel: 1, Retries: -1, MaxBytes: 1000}
	for _, w := range words {
		key, value, _ := strings.Cut(w, "=")
		n, _ := strconv.Atoi(value)
		d, _ := time.ParseDuration(value)
		switch key {
		case "batch":
			c.BatchSize = n
		case "window":
			c.Window = d
		case "parallel":
			c.Parallel = n
		case "bisect":
			c.Bisect = true
		case "retries":
			c.Retries = n
		case "age":
			c.Age = d
		case "items":
			c.Items = true
		case "tumbling":
			c.Tumbling = d
		case "bytes":
			c.MaxBytes = n
		default:
			return c, fmt.Errorf("no setting %q", key)
		}
	}
	return c, nil
}

func (p *play) do(words []string) (lines []string, err error) {
	arg := func(i int) string {
		if i < len(words) {
			return words[i]
		}
		return ""
	}
	id, _ := strconv.ParseUint(arg(1), 10, 64)
	num := func(i int) flow.Pos { n, _ := strconv.ParseUint(arg(i), 10, 64); return flow.Pos(n) }
	since := func(s string) (time.Time, error) {
		d, err := time.ParseDuration(s)
		return time.UnixMilli(0).Add(d), err
	}
	text := func(i int) []byte {
		if arg(i) == "" {
			return nil
		}
		return []byte(arg(i))
	}
	switch words[0] {
	case "config":
		p.cfg, err = parseConfig(words[1:])
		p.m = shard.New(p.cfg, shard.State{})
	case "configure":
		if p.cfg, err = parseConfig(words[1:]); err == nil {
			p.m.Configure(p.cfg)
		}
	case "restart":
		s := p.m.State()
		if len(words) > 1 {
			if p.cfg, err = parseConfig(words[1:]); err != nil {
				return nil, err
			}
		}
		p.m, p.next = shard.New(p.cfg, s), s.Next
	case "at":
		p.now, err = since(arg(1))
	case "put":
		var records []shard.Record
		for _, w := range words[1:] {
			r := shard.Record{Pos: p.next, Time: p.now.UnixMilli(), Size: 10, Hash: uint32(w[0] - 'a')}
			if _, at, ok := strings.Cut(w, "@"); ok {
				when, err := since(strings.TrimRight(at, "!"))
				if err != nil {
					return nil, err
				}
				r.Time = when.UnixMilli()
			}
			if _, size, ok := strings.Cut(w, "#"); ok {
				r.Size, _ = strconv.Atoi(size)
			}
			r.Drop = strings.HasSuffix(w, "!")
			p.next++
			records = append(records, r)
		}
		p.m.Records(p.now, records, p.next, time.Time{})
	case "until":
		var when time.Time
		when, err = since(arg(1))
		p.m.Records(p.now, nil, 0, when)
	case "end":
		p.m.End()
	case "ok":
		p.m.Result(p.now, id, shard.Result{Verdict: event.Verdict{Cut: -1, State: text(2)}})
	case "large":
		p.m.Result(p.now, id, shard.Result{Verdict: event.Verdict{Cut: -1, State: []byte(strings.Repeat("9", event.MaxState+1))}})
	case "fail":
		p.m.Result(p.now, id, shard.Result{Verdict: event.Verdict{Failed: true, Cut: -1}})
	case "refuse":
		p.m.Result(p.now, id, shard.Result{Refused: true})
	case "cut":
		n, _ := strconv.Atoi(arg(2))
		p.m.Result(p.now, id, shard.Result{Verdict: event.Verdict{Cut: n, State: text(3)}})
	case "sent":
		p.m.Sent(id)
	case "lost":
		p.m.Lost(num(1), num(2))
	case "wants":
		lines = []string{strconv.FormatBool(p.m.Wants())}
	case "state":
		s := p.m.State()
		line := fmt.Sprintf("next %d", s.Next)
		if s.Lanes != nil {
			line += " lanes " + strings.Trim(fmt.Sprint(s.Lanes), "[]")
		}
		if s.Window != nil {
			line += fmt.Sprintf(" window %v %s", milli(s.Window.Start), short(s.Window.State))
		}
		if s.Closed != 0 {
			line += fmt.Sprintf(" closed %v", milli(s.Closed))
		}
		if s.Done {
			line += " done"
		}
		lines = []string{line}
	case "step":
		todo, wake := p.m.Step(p.now)
		for _, b := range todo {
			lines = append(lines, show(b))
		}
		if !wake.IsZero() {
			lines = append(lines, fmt.Sprintf("wake %v", milli(wake.UnixMilli())))
		}
	default:
		err = fmt.Errorf("no command %q", words[0])
	}
	return lines, err
}

func milli(ms int64) time.Duration { return time.Duration(ms) * time.Millisecond }

func short(b []byte) string {
	if len(b) > 100 {
		return fmt.Sprintf("%d bytes", len(b))
	}
	return string(b)
}

func show(b shard.Batch) string {
	line := fmt.Sprintf("invoke %d:", b.ID)
	if b.Failure != "" {
		line = fmt.Sprintf("give up %d:", b.ID)
	}
	for _, r := range b.Records {
		line += fmt.Sprintf(" %d", r.Pos)
	}
	if w := b.Window; w != nil {
		line += fmt.Sprintf(" window %v-%v {%s}", milli(w.Start), milli(w.End), short(w.State))
		if w.Final {
			line += " final"
		}
		if w.Early {
			line += " early"
		}
	}
	if b.Failure != "" {
		line += fmt.Sprintf(" %s after %d", b.Failure, b.Invokes)
	}
	return line
}

// A batch that waits to be full is read on for, however many records no filter
// wants: else a filter that wants few, with a window, would fall behind for ever.
func TestUnwantedTakeNoPlace(t *testing.T) {
	m := shard.New(shard.Config{BatchSize: 2, Window: time.Minute, Parallel: 2, Retries: -1, MaxBytes: 1000}, shard.State{})
	now := time.UnixMilli(0)
	take := func(from, to flow.Pos, drop bool) {
		var records []shard.Record
		for pos := from; pos < to; pos++ {
			records = append(records, shard.Record{Pos: pos, Size: 10, Drop: drop})
		}
		m.Records(now, records, to, time.Time{})
	}
	take(0, 1, false)
	take(1, 10_000, true)
	if !m.Wants() || m.Next() != 10_000 || m.State().Next != 0 {
		t.Fatalf("wants %v from %d, is at %+v", m.Wants(), m.Next(), m.State())
	}
	take(10_000, 10_001, false)
	todo, _ := m.Step(now)
	if len(todo) != 1 || len(todo[0].Records) != 2 {
		t.Fatalf("a full batch is not invoked: %+v", todo)
	}
	m.Result(now, todo[0].ID, shard.Result{Verdict: event.Verdict{Cut: -1}})
	if s := m.State(); s.Next != 10_001 || s.Lanes != nil {
		t.Errorf("is at %+v", s)
	}
}
