//go:build unix

package function

import (
	"archive/zip"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/thalweg/thalweg/fault"
	"github.com/thalweg/thalweg/internal/vfs"
)

// What functions do wrong, and what their callers are told, in AWS's words
// ("Runtime API": Runtime.ExitError; "Task timed out" as in AWS's logs).
func TestBadFunctions(t *testing.T) {
	h := run(t, vfs.NewMem(0), nil)
	for _, c := range []struct {
		behavior string
		change   func(*Version)
		failed   string
		payload  string // a pattern
		log      string // a pattern
	}{
		{"error", nil, "Unhandled", `^\{"errorType":"Oops","errorMessage":"no","stackTrace":\["a"\]\}$`, `END`},
		{"never", func(v *Version) { v.Timeout = 1 }, "Unhandled", `^\{"errorMessage":"20[-0-9]+T[0-9:.]+Z [-0-9a-f]{36} Task timed out after 1\.00 seconds"\}$`,
			`(?s)thinking\n.*Task timed out after 1.00 seconds\n.*\nEND.*\nREPORT.*Status: timeout`},
		{"twice", nil, "", `^"first"$`, ``},
		{"impatient", nil, "", `^403$`, ``},
		{"garbage", nil, "", "^\x00 not json$", ``},
		{"large", nil, "Unhandled", `^\{"errorType":"Function.ResponseSizeTooLarge","errorMessage":"Response payload size exceeded maximum allowed payload size \(6291556 bytes\)."\}$`, ``},
		{"dies", nil, "Unhandled", `^\{"errorType":"Runtime.ExitError","errorMessage":"RequestId: [-0-9a-f]{36} Error: Runtime exited without providing a reason"\}$`, `Runtime.ExitError`},
		{"exit", nil, "Unhandled", `^\{"errorType":"Runtime.ExitError","errorMessage":"RequestId: [-0-9a-f]{36} Error: Runtime exited with error: exit status 7"\}$`, `nothing to do`},
		{"init error", nil, "Unhandled", `^\{"errorType":"Broken","errorMessage":"no database"\}$`, ``},
		{"greedy", func(v *Version) { v.Memory = 128 }, "Unhandled", `^\{"errorType":"Runtime.OutOfMemory","errorMessage":"RequestId: [-0-9a-f]{36} Error: Runtime exited with error: signal: killed"\}$`,
			`Status: error\tError Type: Runtime.OutOfMemory`},
		{"loud", nil, "", `^null$`, `(?s)^y+\n.*no end of line\nEND RequestId`},
	} {
		t.Run(c.behavior, func(t *testing.T) {
			name := strings.ReplaceAll(c.behavior, " ", "-")
			h.create(t, name, c.behavior, c.change)
			// A function that has failed once is started anew and fails again.
			for range 2 {
				out := h.call(t, name, `{}`)
				if out.FunctionError != c.failed || !regexp.MustCompile(c.payload).Match(out.Payload) {
					t.Fatalf("%s %.300q", out.FunctionError, out.Payload)
				}
				if !regexp.MustCompile(c.log).MatchString(out.LogTail) {
					t.Fatalf("log %q", out.LogTail)
				}
			}
		})
	}
	t.Run("statuses", func(t *testing.T) {
		// 202, then AWS's emulator's: a second answer is no transition, an unknown id no request.
		h.call(t, "twice", `{}`)
		if lines := h.lines(t, "twice"); !strings.Contains(lines, "statuses 202 403 403 400") {
			t.Error(lines)
		}
	})
	t.Run("bounded log", func(t *testing.T) {
		lines := h.lines(t, "loud")
		if len(lines) > 3*perCallBytes || !strings.Contains(lines, "bytes of output were dropped: an invocation keeps the first 1048576") {
			t.Errorf("%d bytes are kept of 128 MiB", len(lines))
		}
	})
}

func (h *house) lines(t *testing.T, name string) string {
	t.Helper()
	b, err := h.Logs(Name{account, region, name}, 1<<30)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// A start that takes longer than it may ends as a time-out.
func TestSlowInit(t *testing.T) {
	h := run(t, vfs.NewMem(0), nil)
	h.create(t, "f", "slow init", func(v *Version) { v.Timeout = 1 })
	began := time.Now()
	out := h.call(t, "f", `{}`)
	if out.FunctionError != "Unhandled" || !strings.Contains(string(out.Payload), "Task timed out after 10.00 seconds") || time.Since(began) < 9*time.Second {
		t.Errorf("after %s: %+v", time.Since(began), out)
	}
}

// A version whose archive has no bootstrap, or one that is no program.
func TestNoBootstrap(t *testing.T) {
	h := run(t, vfs.NewMem(0), nil)
	for _, files := range [][]string{{"other", "x"}, {"bootstrap", "\x00\x01\x02"}} {
		v := Version{Runtime: "provided.al2", Handler: "x", Timeout: 3, Memory: 128, Architecture: Architecture()}
		n := Name{account, region, "f-" + files[0]}
		if _, _, err := h.Create(t.Context(), n, v, nil, archive(t, files...), false, time.Now()); err != nil {
			t.Fatal(err)
		}
		out := h.call(t, n.Function, `{}`)
		if out.FunctionError != "Unhandled" || !strings.Contains(string(out.Payload), `"errorType":"Runtime.InvalidEntrypoint"`) || strings.Contains(string(out.Payload), "/code/") {
			t.Errorf("%s: %s", files[0], out.Payload)
		}
	}
}

// When an instance ends, so does all that it has forked, also what has left
// its group.
func TestForks(t *testing.T) {
	h := run(t, vfs.NewMem(0), func(c *Config) { c.Idle = time.Hour })
	h.create(t, "f", "forks", nil)
	var pids []int
	if err := json.Unmarshal(h.call(t, "f", `{}`).Payload, &pids); err != nil || len(pids) != 3 {
		t.Fatalf("%v %v", pids, err)
	}
	for _, pid := range pids {
		if !alive(pid) {
			t.Errorf("%d is gone already", pid)
		}
	}
	h.end()
	late := time.After(30 * time.Second)
	for _, pid := range pids {
		for alive(pid) { // a killed process takes a moment to go
			select {
			case <-late:
				t.Fatalf("%d is still there", pid)
			default:
			}
		}
	}
}

// alive reports whether a process is there and no zombie.
func alive(pid int) bool {
	b, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/stat")
	if errors.Is(err, fs.ErrNotExist) {
		if _, err := os.Stat("/proc/self"); err == nil {
			return false
		}
		return syscall.Kill(pid, 0) == nil
	}
	_, rest, _ := strings.Cut(string(b), ") ")
	return err == nil && !strings.HasPrefix(rest, "Z")
}

// One that ignores SIGTERM ends nevertheless: when it is updated, and when the
// server stops.
func TestStubborn(t *testing.T) {
	h := run(t, vfs.NewMem(0), nil)
	h.create(t, "f", "stubborn", nil)
	h.call(t, "f", `{}`)
	i := h.only(t)
	n := Name{account, region, "f"}
	if _, err := h.Configure(t.Context(), n, "", func(v *Version) error { v.Environment["BEHAVIOR"] = "echo"; return nil }, time.Now()); err != nil {
		t.Fatal(err)
	}
	select {
	case <-i.exited:
	case <-time.After(30 * time.Second):
		t.Fatal("it goes on")
	}
	if alive(i.process.pid()) { // it was waited for
		t.Error("it is still there")
	}
	if out := h.call(t, "f", `"new"`); string(out.Payload) != `"new"` {
		t.Errorf("%+v", out)
	}
	h.end()
}

// only is the one instance that there is, besides those that are ending.
func (h *house) only(t *testing.T) *instance {
	t.Helper()
	h.pmu.Lock()
	defer h.pmu.Unlock()
	for id := range h.pool.slots {
		if len(h.pool.slots) == 1 {
			return h.instances[id]
		}
	}
	t.Fatalf("there are %d instances", len(h.pool.slots))
	return nil
}

// guest waits for a function that behaves as "waits", and lets it go on.
type guest struct {
	net.Listener
	address string
}

func newGuest(t *testing.T) *guest {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	return &guest{l, strconv.Quote(l.Addr().String())}
}

// arrives waits for one and returns what lets it go.
func (g *guest) arrives(t *testing.T) (release func()) {
	t.Helper()
	c, err := g.Accept()
	if err != nil {
		t.Fatal(err)
	}
	return func() { c.Close() }
}

// "Reserved concurrency": the function cannot use more, and gets 429 beyond.
// Others have what remains of the account's.
func TestConcurrency(t *testing.T) {
	h := run(t, vfs.NewMem(0), func(c *Config) { c.Concurrency = 3 })
	g := newGuest(t)
	for _, name := range []string{"a", "b"} {
		h.create(t, name, "waits", nil)
	}
	two := 2
	if err := h.Reserve(t.Context(), Name{account, region, "a"}, &two); err != nil {
		t.Fatal(err)
	}
	var wg sync.WaitGroup
	var releases []func()
	for _, name := range []string{"a", "a", "b"} {
		wg.Go(func() { h.call(t, name, g.address) })
		releases = append(releases, g.arrives(t))
	}
	for name, reason := range map[string]string{"a": "ReservedFunctionConcurrentInvocationLimitExceeded", "b": "ConcurrentInvocationLimitExceeded"} {
		_, err := h.Invoke(t.Context(), Invocation{Account: account, Region: region, Function: name, Payload: []byte(g.address)})
		var f *fault.Error
		if !errors.As(err, &f) || f.Kind != fault.Throttled || f.Code != reason || f.Message != "Rate Exceeded." {
			t.Errorf("%s: %v", name, err)
		}
	}
	for _, release := range releases {
		release()
	}
	wg.Wait()
	wg.Go(func() { h.call(t, "b", g.address) })
	g.arrives(t)()
	wg.Wait()
}

// Where all processes that there may be are at work, an invocation waits for
// one; an idle one of another function makes room.
func TestWaiting(t *testing.T) {
	h := run(t, vfs.NewMem(0), func(c *Config) { c.Processes = 1 })
	g := newGuest(t)
	h.create(t, "a", "waits", nil)
	h.create(t, "b", "echo", nil)
	var wg sync.WaitGroup
	wg.Go(func() { h.call(t, "a", g.address) })
	release := g.arrives(t)
	ctx, cancel := context.WithCancel(t.Context())
	wg.Go(func() { h.call(t, "b", `1`) })
	wg.Go(func() {
		if _, err := h.Invoke(ctx, Invocation{Account: account, Region: region, Function: "b"}); !errors.Is(err, context.Canceled) {
			t.Errorf("one that has gone gets %v", err)
		}
	})
	cancel()
	release()
	wg.Wait()
	h.call(t, "b", `2`)
	if i := h.only(t); i.spec.name.Function != "b" {
		t.Errorf("%s is there", i.spec.name.Function)
	}
}

// More invocations of a slow function than there may be processes keep nobody
// else waiting.
func TestSlowLeavesRoom(t *testing.T) {
	h := run(t, vfs.NewMem(0), func(c *Config) { c.Processes = 4 })
	g := newGuest(t)
	h.create(t, "slow", "waits", nil)
	h.create(t, "fast", "echo", nil)
	var wg sync.WaitGroup
	for range 6 {
		wg.Go(func() { h.call(t, "slow", g.address) })
	}
	var releases []func()
	for range 3 {
		releases = append(releases, g.arrives(t))
	}
	for range 3 {
		h.call(t, "fast", `1`)
	}
	for _, release := range releases {
		release()
	}
	for range 3 {
		g.arrives(t)()
	}
	wg.Wait()
}

// A caller that goes leaves the function running; its answer is nobody's, and
// the instance serves the next.
func TestCallerGoes(t *testing.T) {
	h := run(t, vfs.NewMem(0), func(c *Config) { c.Processes = 1 })
	g := newGuest(t)
	h.create(t, "f", "waits", nil)
	ctx, cancel := context.WithCancel(t.Context())
	gone := make(chan error)
	go func() {
		_, err := h.Invoke(ctx, Invocation{Account: account, Region: region, Function: "f", Payload: []byte(g.address)})
		gone <- err
	}()
	release := g.arrives(t)
	first := h.only(t)
	cancel()
	if err := <-gone; !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
	release()
	var wg sync.WaitGroup
	wg.Go(func() { h.call(t, "f", g.address) })
	g.arrives(t)()
	wg.Wait()
	if h.only(t) != first {
		t.Error("the instance was not used again")
	}
}

// A server that stops kills what runs. That is no failure of the function's:
// whoever waits is told so, and an event runs again.
func TestStopping(t *testing.T) {
	files := vfs.NewMem(0)
	h := run(t, files, nil)
	g := newGuest(t)
	h.create(t, "f", "waits", func(v *Version) { v.Timeout = 900 })
	in := Invocation{Account: account, Region: region, Function: "f", Payload: []byte(g.address)}
	if _, err := h.Enqueue(t.Context(), in, time.Now()); err != nil {
		t.Fatal(err)
	}
	g.arrives(t)
	told := make(chan error)
	go func() {
		_, err := h.Invoke(context.Background(), in)
		told <- err
	}()
	g.arrives(t)
	h.cancel()
	if err := <-told; !fault.Is(err, fault.Unavailable) {
		t.Errorf("told %v", err)
	}
	h.end()
	if _, err := h.Invoke(t.Context(), in); !fault.Is(err, fault.Unavailable) {
		t.Errorf("afterwards %v", err)
	}
	events := h.events()
	if len(events) != 1 || events[0].attempts != 0 {
		t.Errorf("events: %+v", events)
	}
	h = run(t, files, nil)
	g.arrives(t)()
}

// Calls that come while the server stops end all the same, and leave no
// process.
func TestStoppingUnderLoad(t *testing.T) {
	h := run(t, vfs.NewMem(0), func(c *Config) { c.Processes = 3 })
	h.create(t, "f", "echo", nil)
	h.call(t, "f", `1`)
	var callers sync.WaitGroup
	for range 16 {
		callers.Go(func() {
			for {
				_, err := h.Invoke(context.Background(), Invocation{Account: account, Region: region, Function: "f"})
				if err != nil {
					if !fault.Is(err, fault.Unavailable) {
						t.Errorf("told %v", err)
					}
					return
				}
			}
		})
	}
	h.call(t, "f", `2`)
	h.end()
	callers.Wait()
	h.pmu.Lock()
	defer h.pmu.Unlock()
	if len(h.instances) > 0 || len(h.wants) > 0 {
		t.Errorf("%d instances and %d calls are left", len(h.instances), len(h.wants))
	}
}

// Archives that would do harm are refused before anything is written.
func TestBadArchives(t *testing.T) {
	h := run(t, vfs.NewMem(0), nil)
	zipOf := func(make func(*zip.Writer)) []byte {
		var b bytes.Buffer
		z := zip.NewWriter(&b)
		make(z)
		if err := z.Close(); err != nil {
			t.Fatal(err)
		}
		return b.Bytes()
	}
	named := func(name string) []byte {
		return zipOf(func(z *zip.Writer) { z.CreateHeader(&zip.FileHeader{Name: name}) })
	}
	bomb := zipOf(func(z *zip.Writer) {
		z.CreateRaw(&zip.FileHeader{Name: "bootstrap", UncompressedSize64: maxUnpacked + 1})
	})
	link := zipOf(func(z *zip.Writer) {
		head := &zip.FileHeader{Name: "bootstrap"}
		head.SetMode(fs.ModeSymlink | 0o777)
		w, err := z.CreateHeader(head)
		if err != nil {
			t.Fatal(err)
		}
		io.WriteString(w, "../../../../../../bin/sh")
	})
	liar := bytes.Clone(zipOf(func(z *zip.Writer) {
		w, _ := z.Create("bootstrap")
		io.CopyN(w, zeros{}, 1<<20)
	}))
	for c, want := range map[*[]byte]string{
		ptr(named("../evil")):            "leads out of the function's folder",
		ptr(named("a/../../evil")):       "leads out of the function's folder",
		ptr(named("/etc/evil")):          "leads out of the function's folder",
		ptr(named(`a\..\..\evil`)):       "leads out of the function's folder",
		ptr(link):                        `the link "bootstrap" leads out of the function's folder`,
		ptr([]byte("not a zip")):         "Could not unzip uploaded file. Please check your file, then try to upload again.",
		ptr([]byte{}):                    "Could not unzip uploaded file",
		ptr(zipOf(func(*zip.Writer) {})): "non-empty zip",
		ptr(bomb):                        "Unzipped size must be smaller than 262144000 bytes",
		ptr(make([]byte, MaxArchive+1)):  "Zipped size must be smaller than 52428800 bytes",
	} {
		v := Version{Runtime: "provided.al2023", Handler: "x", Timeout: 3, Memory: 128, Architecture: Architecture()}
		_, _, err := h.Create(t.Context(), Name{account, region, "f"}, v, nil, *c, false, time.Now())
		if !fault.Is(err, fault.Invalid) || !strings.Contains(err.Error(), want) {
			t.Errorf("%v, want %s", err, want)
		}
	}
	// One whose headers lie about its size is found out as it is unpacked.
	for i := range len(liar) - 4 {
		if string(liar[i:i+4]) == "PK\x01\x02" {
			copy(liar[i+24:i+28], []byte{1, 0, 0, 0})
		}
	}
	for name, b := range map[string][]byte{"liar": liar} {
		v := Version{Runtime: "provided.al2023", Handler: "x", Timeout: 3, Memory: 128, Architecture: Architecture()}
		if _, _, err := h.Create(t.Context(), Name{account, region, name}, v, nil, b, false, time.Now()); err != nil {
			t.Fatal(err)
		}
		if out, err := h.Invoke(t.Context(), Invocation{Account: account, Region: region, Function: name}); err == nil {
			t.Errorf("%s runs: %+v", name, out)
		}
	}
	left, err := filepath.Glob(filepath.Join(h.cfg.Work, "code", "*"))
	if err != nil || len(left) > 0 {
		t.Errorf("left behind: %v %v", left, err)
	}
}

func ptr[T any](v T) *T { return &v }

type zeros struct{}

func (zeros) Read(p []byte) (int, error) { clear(p); return len(p), nil }

// Payloads beyond Lambda's quota never reach the function.
func TestLargePayload(t *testing.T) {
	h := run(t, vfs.NewMem(0), nil)
	h.create(t, "f", "echo", nil)
	big := append(append([]byte{'"'}, bytes.Repeat([]byte{'x'}, MaxPayload-2)...), '"')
	if out := h.call(t, "f", string(big)); !bytes.Equal(out.Payload, big) {
		t.Errorf("the largest payload comes back as %d bytes, %s", len(out.Payload), out.FunctionError)
	}
	_, err := h.Invoke(t.Context(), Invocation{Account: account, Region: region, Function: "f", Payload: append(big, ' ')})
	if !fault.Is(err, fault.TooLarge) || err.Error() != "Request must be smaller than 6291456 bytes for the InvokeFunction operation" {
		t.Error(err)
	}
}

// What a server that was killed has left behind is killed by the next one.
func TestOrphans(t *testing.T) {
	files, work := vfs.NewMem(0), filepath.Join(t.TempDir(), "work")
	h := run(t, files, func(c *Config) { c.Work = work })
	p, err := startProcess([]string{"sleep", "1000"}, []string{markName + "=" + h.mark + ":x", "PATH=" + os.Getenv("PATH")}, "/")
	if err != nil {
		t.Fatal(err)
	}
	defer p.stop()
	h.end()
	h = run(t, files, func(c *Config) { c.Work = work })
	<-h.ready
	if how := p.wait(); how != "signal: killed" {
		t.Error(how)
	}
}

// What is still defined is asked only when nothing can come in any more: an
// archive whose definition was made a moment before is kept.
func TestSweepSeesWhatHasJustCome(t *testing.T) {
	fs := vfs.NewMem(0)
	c := newCodes(fs, "/code", t.TempDir())
	code, forget, err := c.store(archive(t, "bootstrap", "x"))
	if err != nil {
		t.Fatal(err)
	}
	defined := map[string]bool{}
	err = c.sweep(func() map[string]bool {
		if c.mu.TryLock() {
			c.mu.Unlock()
			t.Error("an archive can stop to come after the definitions were looked at")
		}
		return defined
	})
	if _, e := c.read(code.SHA256); e != nil || err != nil {
		t.Errorf("one that is coming is gone: %v, %v", e, err)
	}
	forget()
	err = c.sweep(func() map[string]bool { return defined })
	if _, e := c.read(code.SHA256); e == nil || err != nil {
		t.Errorf("one that nobody has is there: %v", err)
	}
}

// The number of a process that has been waited for may be another's: nothing
// is signalled then.
func TestEndSparesOthers(t *testing.T) {
	p, err := startProcess([]string{"/bin/sh", "-c", "exec sleep 60"}, nil, "/")
	if err != nil {
		t.Fatal(err)
	}
	defer p.stop()
	ended := make(chan string, 1)
	go func() { ended <- p.wait() }()
	i := &instance{process: p, exited: make(chan struct{}), reaped: true}
	close(i.exited)
	i.end()
	p.signal(true)
	if got := <-ended; got != "signal: killed" {
		t.Errorf("the other process ended with %q", got)
	}
}

// A time-out that goes off while its call is answered is not the next call's.
func TestLateSparesTheNext(t *testing.T) {
	i := &instance{spec: spec{version: &Version{Timeout: 3}}, ready: true, reaped: true, current: &call{id: newID()}, began: time.Now()}
	i.late()
	if i.ended || i.reason != nil {
		t.Errorf("a call that has just begun is timed out: %+v", i.reason)
	}
	i.began = time.Now().Add(-3 * time.Second)
	i.late()
	if !i.ended || i.reason == nil {
		t.Error("one that has had its time is not")
	}
}
