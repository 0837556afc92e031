package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/spf13/cobra"

	"github.com/thalweg/thalweg/server"
)

func newDemo() *cobra.Command {
	cmd := &cobra.Command{
		Use: "demo", Short: "Watch records flow through a server of its own, then clean up", Args: cobra.NoArgs,
		Long: `demo starts a server on a free port over a temporary folder, makes a stream of
four shards, and lets taxis send where they are. It tails the stream over a
second connection, splits a shard half-way, and checks that every record came
back, each taxi's in order. At the end everything is removed.`,
	}
	d := demo{}
	cmd.Flags().IntVar(&d.rate, "rate", 2000, "records per second")
	cmd.Flags().DurationVar(&d.duration, "duration", 8*time.Second, "how long records are sent")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		if d.rate < 1 || d.duration < time.Second {
			return errors.New("--rate must be at least 1 and --duration at least 1s")
		}
		d.out = cmd.OutOrStdout()
		return d.withServer(cmd.Context(), cmd.ErrOrStderr())
	}
	return cmd
}

// demo is one run of the demonstration.
type demo struct {
	rate     int
	duration time.Duration
	out      io.Writer
}

func (d *demo) sayf(format string, args ...any) { fmt.Fprintf(d.out, format+"\n", args...) }

// withServer runs the show against a server that lives as long as it does.
func (d *demo) withServer(ctx context.Context, stderr io.Writer) (err error) {
	dir, err := os.MkdirTemp("", "thalweg-demo-")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	ready := make(chan string, 1)
	house, err := server.Open(server.Config{
		Listen: "127.0.0.1:0", Data: dir,
		Logger: slog.New(slog.NewTextHandler(stderr, &slog.HandlerOptions{Level: slog.LevelWarn})),
		Ready:  func(s *server.Server) { ready <- s.Addr() },
	})
	if err != nil {
		return err
	}
	serving, stop := context.WithCancel(context.WithoutCancel(ctx))
	ended := make(chan error, 1)
	go func() { ended <- house.Run(serving) }()
	select {
	case addr := <-ready:
		d.sayf("A server is up on http://%s, its data in %s.", addr, dir)
		err = d.show(ctx, "http://"+addr)
		stop()
		err = errors.Join(err, <-ended)
	case err = <-ended:
		stop()
	}
	if err == nil {
		d.sayf("The server has stopped and its data is removed. Start your own with `thalweg serve`.")
	}
	return err
}

func (d *demo) connect(endpoint string) *client {
	return newClient(endpoint, "us-east-1", aws.Credentials{AccessKeyID: "demo", SecretAccessKey: "demo"}, nil)
}

// show makes the stream, runs the taxis and the reader side by side, reshards
// in between, and compares what came with what went.
func (d *demo) show(ctx context.Context, endpoint string) error {
	const stream = "taxis"
	c := d.connect(endpoint)
	if err := c.call(ctx, "CreateStream", map[string]any{"StreamName": stream, "ShardCount": 4}, nil); err != nil {
		return err
	}
	if err := c.settle(ctx, stream, false); err != nil {
		return err
	}
	d.sayf("Stream %s has 4 shards; %d taxis send %d records a second for %s.\n", stream, len(taxis()), d.rate, d.duration)

	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	watch := newWatch()
	var work sync.WaitGroup
	start := func(f func() error) {
		work.Go(func() {
			if err := f(); err != nil {
				cancel(err)
			}
		})
	}
	begun := time.Now()
	fed := make(chan struct{})
	start(func() error {
		defer close(fed)
		return d.feed(ctx, d.connect(endpoint), stream, watch)
	})
	start(func() error {
		t := &tailer{client: d.connect(endpoint), stream: stream, from: position{kind: "TRIM_HORIZON"}, follow: true,
			records: watch.read, ended: watch.ended}
		return t.run(ctx)
	})
	start(func() error {
		select {
		case <-time.After(d.duration / 2):
			return d.split(ctx, c, stream, watch)
		case <-ctx.Done():
			return nil
		}
	})
	err := d.report(ctx, begun, fed, watch)
	cancel(nil)
	work.Wait()
	if cause := context.Cause(ctx); err == nil && !errors.Is(cause, context.Canceled) {
		err = cause
	}
	if err != nil {
		return err
	}
	if err := d.verdict(watch, time.Since(begun)); err != nil {
		return err
	}
	clean := context.WithoutCancel(ctx)
	if err := c.call(clean, "DeleteStream", map[string]any{"StreamName": stream}, nil); err != nil {
		return err
	}
	return c.settle(clean, stream, true)
}

// feed puts the taxis' records at the wanted rate, a batch each 50 ms.
func (d *demo) feed(ctx context.Context, c *client, stream string, watch *watch) error {
	p := &putter{client: c, stream: stream, stored: func(entry, entryResult) error { watch.stored(); return nil }}
	fleet := taxis()
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	begun := time.Now()
	for n := 0; ; {
		passed := min(time.Since(begun), d.duration)
		for due := int(passed.Seconds() * float64(d.rate)); n < due; n++ {
			taxi := &fleet[n%len(fleet)]
			taxi.drive()
			if err := p.add(ctx, entry{Data: taxi.report(time.Now()), PartitionKey: taxi.name}); err != nil {
				return err
			}
		}
		if err := p.flush(ctx); err != nil {
			return err
		}
		if passed == d.duration {
			return nil
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
}

// split halves the shard that has brought the most records.
func (d *demo) split(ctx context.Context, c *client, stream string, watch *watch) error {
	shards, err := c.shards(ctx, stream, map[string]any{"Type": "AT_LATEST"})
	if err != nil {
		return err
	}
	busiest := slices.MaxFunc(shards, func(a, b shard) int { return cmp.Compare(watch.count(a.ShardId), watch.count(b.ShardId)) })
	at, err := middle(shards, busiest.ShardId)
	if err != nil {
		return err
	}
	d.sayf("      splitting %s while records flow", busiest.ShardId)
	return c.call(ctx, "SplitShard", map[string]any{"StreamName": stream, "ShardToSplit": busiest.ShardId, "NewStartingHashKey": at}, nil)
}

// report prints a line each second until all that was stored was read.
func (d *demo) report(ctx context.Context, begun time.Time, fed <-chan struct{}, watch *watch) error {
	tick := time.NewTicker(time.Second)
	defer tick.Stop()
	caughtUp := watch.caughtUp(ctx, fed)
	var last, idle int
	for done := false; !done; {
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-tick.C:
		case <-caughtUp:
			done = true
		}
		v := watch.view()
		for _, e := range v.events {
			d.sayf("      %s", e)
		}
		if !done {
			d.sayf("%4.1fs  sent %7d  read %7d (%5d/s)  lag %4d records, %4d ms at most  by shard%s",
				time.Since(begun).Seconds(), v.sent, v.read, v.read-last, max(0, v.sent-v.read), v.slowest.Milliseconds(), v.shards)
		}
		if idle++; v.read != last || !isClosed(fed) {
			idle = 0
		}
		if last = v.read; idle == 15 {
			return fmt.Errorf("%d of %d records did not come back", v.sent-v.read, v.sent)
		}
	}
	return nil
}

func isClosed(c <-chan struct{}) bool {
	select {
	case <-c:
		return true
	default:
		return false
	}
}

// verdict prints the sum, and fails when a record was lost, doubled or out of
// its order.
func (d *demo) verdict(watch *watch, took time.Duration) error {
	v := watch.view()
	for _, e := range v.events {
		d.sayf("      %s", e)
	}
	d.sayf("\nSent %d records, read %d in %.1f s; by shard%s.", v.sent, v.read, took.Seconds(), v.shards)
	d.sayf("From the taxi to the reader: half within %s, 99 %% within %s.", v.half, v.most)
	if v.wrong != "" {
		return fmt.Errorf("a record is not what it should be: %s", v.wrong)
	}
	if v.sent != v.read {
		return fmt.Errorf("sent %d records but read %d", v.sent, v.read)
	}
	d.sayf("Every record came back once, and each taxi's in order, through the split.")
	return nil
}

// watch compares what is sent with what is read. It is safe for concurrent use.
type watch struct {
	mu       sync.Mutex
	sent     int
	got      int
	next     map[string]int // by taxi, the number its next record must have
	perShard map[string]int
	delays   []time.Duration
	slowest  time.Duration // from taxi to reader, since the last view
	wrong    string        // the first thing that was not as it should be
	events   []string
	level    chan struct{} // closed and renewed whenever got changes
}

func newWatch() *watch {
	return &watch{next: map[string]int{}, perShard: map[string]int{}, level: make(chan struct{})}
}

func (w *watch) stored() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.sent++
}

func (w *watch) count(shard string) int {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.perShard[shard]
}

func (w *watch) read(shard string, p *page) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	now := time.Now()
	for _, r := range p.Records {
		t, err := parseTaxi(r.Data)
		switch {
		case err != nil:
			w.note("%s brought %q", shard, r.Data)
		case t.name != r.PartitionKey || t.trip != w.next[t.name]+1:
			w.note("%s brought record %d of %s after %d", shard, t.trip, t.name, w.next[t.name])
		}
		w.next[t.name] = t.trip
		w.delays = append(w.delays, now.Sub(t.sent))
		w.slowest = max(w.slowest, now.Sub(t.sent))
	}
	w.got += len(p.Records)
	w.perShard[shard] += len(p.Records)
	close(w.level)
	w.level = make(chan struct{})
	return nil
}

func (w *watch) note(format string, args ...any) {
	if w.wrong == "" {
		w.wrong = fmt.Sprintf(format, args...)
	}
}

func (w *watch) ended(shard string, children []string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.events = append(w.events, fmt.Sprintf("%s is closed and read to its end, on to its children %s", shard, strings.Join(children, " and ")))
}

// caughtUp is closed once the feeding has ended and all that was stored was
// read.
func (w *watch) caughtUp(ctx context.Context, fed <-chan struct{}) <-chan struct{} {
	done := make(chan struct{})
	go func() {
		<-fed
		for ctx.Err() == nil {
			w.mu.Lock()
			level, finished := w.level, w.got >= w.sent
			w.mu.Unlock()
			if finished {
				close(done)
				return
			}
			select {
			case <-level:
			case <-ctx.Done():
			}
		}
	}()
	return done
}

// view is what report prints.
type view struct {
	sent, read          int
	slowest, half, most time.Duration
	shards, wrong       string
	events              []string
}

func (w *watch) view() view {
	w.mu.Lock()
	defer w.mu.Unlock()
	v := view{sent: w.sent, read: w.got, slowest: w.slowest, wrong: w.wrong, events: w.events}
	w.events, w.slowest = nil, 0
	var ids []string
	for id := range w.perShard {
		ids = append(ids, id)
	}
	slices.Sort(ids)
	for _, id := range ids {
		number, _ := strconv.Atoi(strings.TrimPrefix(id, "shardId-"))
		v.shards += fmt.Sprintf(" %d:%d", number, w.perShard[id])
	}
	if n := len(w.delays); n > 0 {
		slices.Sort(w.delays)
		v.half, v.most = w.delays[n/2].Round(time.Millisecond), w.delays[n*99/100].Round(time.Millisecond)
	}
	return v
}
