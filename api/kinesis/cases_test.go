package kinesis

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/fxamacker/cbor/v2"

	"github.com/thalweg/thalweg/catalog"
	"github.com/thalweg/thalweg/flow"
	"github.com/thalweg/thalweg/gate"
	"github.com/thalweg/thalweg/gate/wire"
	"github.com/thalweg/thalweg/internal/vfs"
	"github.com/thalweg/thalweg/shardlog"
	"github.com/thalweg/thalweg/shardlog/journal"
	"github.com/thalweg/thalweg/stream"
)

// Every operation has its cases in testdata: a good call, each constraint of
// its request broken, each state that forbids it, each limit passed. They are
// played as a client would, through the gate, in JSON and in CBOR, and what goes
// well is held against the AWS SDK (see snapshots). The format is in
// testdata/README.md.
func TestCases(t *testing.T) {
	sdk := newSnapshots(t)
	for _, op := range New(nil).Ops {
		t.Run(op.Name, func(t *testing.T) {
			file := caseFile(op.Name)
			text, err := os.ReadFile(file)
			if err != nil {
				t.Fatalf("an operation without cases: %v", err)
			}
			steps, err := parseCases(string(text))
			if err != nil {
				t.Fatalf("%s: %v", file, err)
			}
			var said strings.Builder // in faults of the operation
			var good []answer
			for _, a := range play(t, file, steps, wire.JSON) {
				if a.op != op.Name {
					continue
				}
				fmt.Fprintln(&said, placesOf(a.message))
				if a.status == http.StatusOK {
					good = append(good, a)
				}
			}
			play(t, file, steps, wire.CBOR)
			if good == nil {
				t.Errorf("%s: no good call", file)
			}
			sdk.holds(t, &op, good)
			for _, c := range op.Request.Constraints() {
				if want := "at '" + c.Path + "' failed to satisfy constraint: " + c.Text; !strings.Contains(said.String(), want) {
					t.Errorf("%s: nothing breaks %s: %s", file, c.Path, c.Text)
				}
			}
		})
	}
	sdk.end(t)
}

// placesOf writes N for the places in the paths of a message.
func placesOf(message string) string {
	return regexp.MustCompile(`\.\d+\.member`).ReplaceAllString(message, ".N.member")
}

// caseFile is where the cases of an operation are: beside split_shard.go,
// testdata/split_shard.txt.
func caseFile(op string) string {
	words := regexp.MustCompile(`[A-Z][a-z]+`).FindAllString(op, -1)
	return filepath.Join("testdata", strings.ToLower(strings.Join(words, "_"))+".txt")
}

// step is one paragraph of a case file: what is done and what comes of it.
type step struct {
	line  int
	verb  string // call, meanwhile, then, sleep, server
	times int
	op    string
	body  string // of the request, in JSON
	arg   string // of sleep and server
	want  []string
}

func parseCases(text string) (steps []step, err error) {
	var at *step // whose outcome may follow
	for i, line := range strings.Split(text, "\n") {
		verb, rest, _ := strings.Cut(line, " ")
		s := step{line: i + 1, verb: verb, arg: rest, times: 1}
		switch {
		case strings.HasPrefix(line, "#"):
			continue
		case line == "":
			at = nil
			continue
		case at != nil:
			at.want = append(at.want, line)
			continue
		case verb == "===":
			s.verb = "server"
		case verb == "sleep", verb == "then":
		case verb == "times":
			n, call, _ := strings.Cut(rest, " ")
			if s.times, err = strconv.Atoi(n); err != nil {
				return nil, fmt.Errorf("line %d: %w", i+1, err)
			}
			s.verb = "call"
			s.op, s.body, _ = strings.Cut(call, " ")
		case verb == "meanwhile":
			s.op, s.body, _ = strings.Cut(rest, " ")
		default:
			s.verb, s.op, s.body = "call", verb, rest
		}
		steps = append(steps, s)
		at = &steps[len(steps)-1]
	}
	return steps, nil
}

// answer is what came of one call.
type answer struct {
	op      string
	status  int
	kind    string // the exception's name; "": none
	message string
	body    any // decoded, as JSON would have it; of streams a list of events
}

// play goes through the steps at a time that stands still but for sleeps.
func play(t *testing.T, file string, steps []step, format wire.Format) (all []answer) {
	synctest.Test(t, func(t *testing.T) {
		p := &player{T: t, file: file, format: format}
		defer func() { p.end() }()
		p.begin("")
		for i := range steps {
			p.step(&steps[i])
		}
		all = p.answers
	})
	return all
}

type player struct {
	*testing.T
	file    string
	format  wire.Format
	gate    *gate.Gate
	skip    bool // until the next server: this is not for the format
	end     func()
	vars    map[string]string
	held    *holder        // the calls under way meanwhile, since the last then
	away    sync.WaitGroup // counts them
	answers []answer
}

// begin starts a new server, with AWS's limits or without.
func (p *player) begin(server string) {
	c := catalog.New()
	log, err := journal.Open(p.Context(), journal.Config{FS: vfs.NewMem(1 << 30), Dir: "/data", Machine: c, SegmentBytes: 16 << 20})
	if err != nil {
		p.Fatal(err)
	}
	c.Attach(heldLog{log})
	s, err := stream.New(stream.Config{Log: heldLog{log}, Catalog: c, Limits: strings.Contains(server, "limits")})
	if err != nil {
		p.Fatal(err)
	}
	if p.gate, err = gate.New(gate.Config{Services: []*gate.Service{New(s)}}); err != nil {
		p.Fatal(err)
	}
	p.vars = map[string]string{"$arn": "arn:aws:kinesis:us-east-1:123456789012:stream"}
	p.end = func() {
		if err := log.Close(); err != nil {
			p.Error(err)
		}
	}
}

func (p *player) step(s *step) {
	if p.skip && s.verb != "server" {
		return
	}
	switch s.verb {
	case "server":
		p.end()
		p.begin(s.arg)
		p.skip = strings.Contains(s.arg, "json") && p.format != wire.JSON
	case "sleep":
		d, err := time.ParseDuration(s.arg)
		if err != nil {
			p.Fatalf("%s:%d: %v", p.file, s.line, err)
		}
		time.Sleep(d)
	case "meanwhile":
		if p.held == nil {
			p.held = &holder{gate: make(chan struct{})}
		}
		ctx := context.WithValue(p.Context(), holderKey{}, &held{on: p.held})
		p.away.Go(func() { p.send(ctx, s) }) // it uses nothing of p that the steps until then change
		synctest.Wait()
	case "then":
		close(p.held.gate)
		p.away.Wait()
		p.held = nil
	case "call":
		for i := range s.times {
			p.vars["{#}"] = strconv.Itoa(i + 1)
			a := p.send(p.Context(), s)
			p.answers = append(p.answers, a)
			p.compare(s, &a)
		}
	}
}

var macro = regexp.MustCompile(`\$\{(.*?)(,?)\*(\d+)\}`)

// expand writes out ${text*3}, three times the text, and ${text,*3}, the same
// with commas in between. A # in the text is the number of the repetition.
func expand(text string) string {
	return macro.ReplaceAllStringFunc(text, func(m string) string {
		part := macro.FindStringSubmatch(m)
		n, _ := strconv.Atoi(part[3])
		all := make([]string, n)
		for i := range all {
			all[i] = strings.ReplaceAll(part[1], "#", strconv.Itoa(i+1))
		}
		return strings.Join(all, part[2])
	})
}

var variable = regexp.MustCompile(`\$[a-zA-Z]\w*|\{#\}`)

// fill puts what is known of earlier answers in place of the variables.
func (p *player) fill(text string) string {
	return variable.ReplaceAllStringFunc(text, func(name string) string {
		if value, ok := p.vars[name]; ok {
			return value
		}
		return name
	})
}

func (p *player) send(ctx context.Context, s *step) answer {
	var body any
	if err := json.Unmarshal([]byte(expand(p.fill(s.body))), &body); err != nil {
		p.Fatalf("%s:%d: the request: %v", p.file, s.line, err)
	}
	r := httptest.NewRequestWithContext(ctx, http.MethodPost, "/", bytes.NewReader(encode(p.format, asClient(p.format, "", body))))
	r.Header.Set("Content-Type", p.format.ContentType())
	r.Header.Set("X-Amz-Target", "Kinesis_20131202."+s.op)
	r.Header.Set("X-Amz-Date", "20000101T000000Z")
	r.Header.Set("Authorization", "AWS4-HMAC-SHA256 Credential=123456789012/20000101/us-east-1/kinesis/aws4_request, SignedHeaders=host;x-amz-date, Signature=00")
	w := httptest.NewRecorder()
	p.gate.ServeHTTP(w, r)
	a := answer{op: s.op, status: w.Code}
	switch kind := w.Header().Get("Content-Type"); {
	case kind == wire.EventStream:
		a.body = p.events(s, w.Body)
	case kind != p.format.ContentType():
		p.Errorf("%s:%d: content type %s", p.file, s.line, kind)
	case w.Body.Len() > 0:
		a.body = p.decode(s, w.Body.Bytes())
	}
	if w.Code != http.StatusOK {
		fault, _ := a.body.(m)
		a.kind, _ = fault["__type"].(string)
		a.message, _ = fault["message"].(string)
		if text, ok := fault["Message"].(string); ok { // of a SerializationException
			a.message = text
		}
	}
	return a
}

// asClient is a value of a request as clients of the format send it: in CBOR
// blobs are bytes and times have a tag and milliseconds.
func asClient(format wire.Format, member string, v any) any {
	switch v := v.(type) {
	case m:
		for k := range v {
			v[k] = asClient(format, k, v[k])
		}
	case l:
		for i := range v {
			v[i] = asClient(format, member, v[i])
		}
	case string:
		if format == wire.CBOR && member == "Data" {
			if b, err := base64.StdEncoding.DecodeString(v); err == nil {
				return b
			}
		}
	case float64:
		switch {
		case format == wire.CBOR && strings.HasSuffix(member, "Timestamp"):
			return cbor.Tag{Number: 1, Content: int64(v * 1000)}
		case v == float64(int64(v)):
			return int64(v)
		}
	}
	return v
}

// decode reads a body into what JSON would make of it.
func (p *player) decode(s *step, body []byte) (v any) {
	if p.format == wire.JSON {
		if err := json.Unmarshal(body, &v); err != nil {
			p.Fatalf("%s:%d: %v in %q", p.file, s.line, err, body)
		}
		return v
	}
	mode, err := cbor.DecOptions{DefaultMapType: reflect.TypeFor[m]()}.DecMode()
	if err == nil {
		err = mode.Unmarshal(body, &v)
	}
	if err != nil {
		p.Fatalf("%s:%d: %v in %x", p.file, s.line, err, body)
	}
	return asJSON(v)
}

func asJSON(v any) any {
	switch v := v.(type) {
	case m:
		for k := range v {
			v[k] = asJSON(v[k])
		}
	case l:
		for i := range v {
			v[i] = asJSON(v[i])
		}
	case []byte:
		return base64.StdEncoding.EncodeToString(v)
	case time.Time: // AWS's milliseconds under a tag that says seconds
		return float64(v.Unix()) / 1000
	case uint64:
		return float64(v)
	case int64:
		return float64(v)
	}
	return v
}

// events reads a stream to its end. The first event is the initial response.
func (p *player) events(s *step, body io.Reader) (all l) {
	for d := wire.NewDecoder(body); ; {
		event, err := d.Next()
		if errors.Is(err, io.EOF) {
			return all
		}
		if err != nil {
			p.Fatalf("%s:%d: %v", p.file, s.line, err)
		}
		switch first := len(all) == 0; {
		case first != (event.Type == "initial-response"), !first && event.Type != "SubscribeToShardEvent":
			p.Errorf("%s:%d: event %d is a %s", p.file, s.line, len(all), event.Type)
		}
		all = append(all, p.decode(s, event.Payload))
	}
}

// compare holds an answer against what is wanted: nothing, an exception with
// its text, or a body in JSON, one line for each event of a stream.
func (p *player) compare(s *step, a *answer) {
	want := strings.Join(s.want, " ")
	got, _ := json.Marshal(a.body)
	if len(got) > 3000 {
		got = append(got[:3000], "..."...)
	}
	complain := func(problem string) {
		p.Errorf("%s:%d: %s in %s: %s\nwant %.2000s\ngot %d %s", p.file, s.line, s.op, p.format, problem, want, a.status, got)
	}
	kind, text, isFault := strings.Cut(want, ": ")
	isFault = isFault && regexp.MustCompile(`^\w+$`).MatchString(kind)
	status := http.StatusOK
	switch {
	case isFault && strings.HasPrefix(kind, "Internal"):
		status = http.StatusInternalServerError
	case isFault:
		status = http.StatusBadRequest
	}
	switch events, _ := a.body.(l); {
	case a.status != status:
		complain("status")
	case isFault:
		if a.kind != kind || !like(expand(p.fill(text)), a.message) {
			complain("exception")
		}
	case want == "...": // whatever it is
	case want == "":
		if a.body != nil {
			complain("a body")
		}
	case events != nil:
		if len(events) != len(s.want) {
			complain(fmt.Sprintf("%d events", len(events)))
			return
		}
		for i, line := range s.want {
			p.match(line, events[i], complain)
		}
	default:
		p.match(want, a.body, complain)
	}
}

// like compares a text with a pattern in which … stands for any text.
func like(pattern, text string) bool {
	parts := strings.Split(pattern, "…")
	for i, part := range parts {
		at := strings.Index(text, part)
		if at < 0 || i == 0 && at > 0 || i == len(parts)-1 && !strings.HasSuffix(text, part) {
			return false
		}
		text = text[at+len(part):]
		if i == len(parts)-1 && i > 0 {
			return true
		}
	}
	return text == ""
}

func (p *player) match(want string, got any, complain func(string)) {
	var w any
	if err := json.Unmarshal([]byte(expand(p.fill(want))), &w); err != nil {
		complain(err.Error())
		return
	}
	if problem := p.differ("answer", w, got); problem != "" {
		complain(problem)
	}
}

// differ tells where got is not as wanted: a value "*" is any, and "?name" is
// any and known as $name from then on.
func (p *player) differ(at string, want, got any) string {
	if name, ok := want.(string); ok {
		switch {
		case name == "*":
			return ""
		case strings.HasPrefix(name, "?"):
			p.vars["$"+name[1:]] = fmt.Sprint(got)
			return ""
		}
	}
	switch want := want.(type) {
	case m:
		got, ok := got.(m)
		if !ok {
			return at + " is no structure"
		}
		for k := range got {
			if _, ok := want[k]; !ok {
				return at + "." + k + " is too much"
			}
		}
		for k := range want {
			g, ok := got[k]
			if !ok {
				return at + "." + k + " is missing"
			}
			if problem := p.differ(at+"."+k, want[k], g); problem != "" {
				return problem
			}
		}
		return ""
	case l:
		got, ok := got.(l)
		if !ok || len(got) != len(want) {
			return fmt.Sprintf("%s has not %d elements", at, len(want))
		}
		for i := range want {
			if problem := p.differ(fmt.Sprintf("%s[%d]", at, i), want[i], got[i]); problem != "" {
				return problem
			}
		}
		return ""
	}
	if want != got {
		return fmt.Sprintf("%s is %v and not %v", at, got, want)
	}
	return ""
}

// holder stops calls before the second step that each takes in the log: the
// first says what shall be, and the second makes it so.
type holder struct{ gate chan struct{} }

// held is one of the calls, in its context under holderKey.
type held struct {
	on    *holder
	steps int
}

type holderKey struct{}

// heldLog is a log whose steps of the control plane can be held.
type heldLog struct{ shardlog.Log }

func (heldLog) hold(ctx context.Context) {
	if h, _ := ctx.Value(holderKey{}).(*held); h != nil {
		if h.steps++; h.steps == 2 {
			<-h.on.gate
		}
	}
}

func (l heldLog) Create(ctx context.Context, specs []shardlog.Spec) error {
	l.hold(ctx)
	return l.Log.Create(ctx, specs)
}

func (l heldLog) Seal(ctx context.Context, shards []shardlog.Shard) ([]flow.Pos, error) {
	l.hold(ctx)
	return l.Log.Seal(ctx, shards)
}

func (l heldLog) Retain(ctx context.Context, shards []shardlog.Shard, d time.Duration) error {
	l.hold(ctx)
	return l.Log.Retain(ctx, shards, d)
}

func (l heldLog) Drop(ctx context.Context, shards []shardlog.Shard) error {
	l.hold(ctx)
	return l.Log.Drop(ctx, shards)
}

func (l heldLog) Propose(ctx context.Context, cmd []byte) (any, error) {
	l.hold(ctx)
	return l.Log.Propose(ctx, cmd)
}

// The comparison itself compares.
func TestLike(t *testing.T) {
	for pattern, texts := range map[string][2][]string{
		"a b":  {{"a b"}, {"a", "a bc", "xa b", ""}},
		"a…b":  {{"a b", "ab", "a b b"}, {"a", "a bc", "xa b"}},
		"…b":   {{"b", "ab"}, {"bc"}},
		"a…":   {{"a", "abc"}, {"ba"}},
		"a…b…": {{"ab", "a b c"}, {"a", "ba"}},
	} {
		for i, want := range []bool{true, false} {
			for _, text := range texts[i] {
				if like(pattern, text) != want {
					t.Errorf("%q like %q: %v", text, pattern, !want)
				}
			}
		}
	}
	p := &player{T: t, vars: map[string]string{}}
	if d := p.differ("", m{"a": "?x", "b": l{"*", 1.0}}, m{"a": "v", "b": l{2.0, 1.0}}); d != "" || p.fill("$x$y") != "v$y" {
		t.Errorf("%q %v", d, p.vars)
	}
	for _, got := range []any{m{"a": 1.0}, m{"a": 1.0, "b": nil, "c": 1.0}, l{}, 1.0} {
		if d := p.differ("", m{"a": 1.0, "b": nil}, got); d == "" {
			t.Errorf("%v is as wanted", got)
		}
	}
	if got := expand("[${{\"k#\":1},*2}] ${AB*3}"); got != `[{"k1":1},{"k2":1}] ABABAB` {
		t.Error(got)
	}
	if !slices.Equal(macro.FindStringSubmatch("${a,b,*2}")[1:], []string{"a,b", ",", "2"}) {
		t.Error("a comma of the text's own")
	}
}
