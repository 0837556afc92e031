package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
	"sync"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/spf13/cobra"

	"github.com/thalweg/thalweg/aggregation"
)

func newTail() *cobra.Command {
	cmd := &cobra.Command{
		Use: "tail STREAM", Short: "Print the records of all shards as they come", Args: cobra.ExactArgs(1),
		Long: `tail reads all shards of a stream and follows it through splits and merges: the
children of a shard are read after all of their parents, so the records of one
partition key come in order.

A line is shard, partition key and data, separated by tabs; data that is not
printable text is quoted. Records that a producer aggregated (KPL) are taken
apart into its user records; in JSON these have a SubSequenceNumber, and an
ExplicitHashKey if the producer gave one. --raw leaves them as they are.`,
		Example: `  thalweg tail orders
  thalweg tail orders --from now-5m --output json
  thalweg tail orders --from trim_horizon --no-follow > everything.tsv`,
	}
	conn, output := connectFlags(cmd), outputFlag(cmd)
	from := cmd.Flags().String("from", "latest", "where to begin: latest, trim_horizon, a time such as 2026-01-31T12:00:00Z, or now-5m")
	limit := cmd.Flags().Int("limit", 0, "stop after so many records")
	raw := cmd.Flags().Bool("raw", false, "print aggregated records as they are stored")
	noFollow := cmd.Flags().Bool("no-follow", false, "stop when there is nothing more to read")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		at, err := parsePosition(*from, time.Now())
		if err != nil {
			return fmt.Errorf("--from: %w", err)
		}
		c, err := conn.client()
		if err != nil {
			return err
		}
		p := &printer{out: bufio.NewWriter(cmd.OutOrStdout()), warn: cmd.ErrOrStderr(), format: output.value, raw: *raw, limit: *limit}
		p.apart.MaxRecords = maxUserRecords
		t := &tailer{client: c, stream: args[0], from: at, follow: !*noFollow, records: p.page}
		t.ended = func(shard string, children []string) {
			fmt.Fprintf(cmd.ErrOrStderr(), "%s is closed and read; after it come %s\n", shard, strings.Join(children, ", "))
		}
		err = t.run(cmd.Context())
		if errors.Is(err, errEnough) || (errors.Is(err, context.Canceled) && cmd.Context().Err() != nil) {
			return nil // asked to stop
		}
		return err
	}
	return cmd
}

var errEnough = errors.New("enough records")

// maxUserRecords is more than a record of 1 MiB can hold, whatever a producer
// was told.
const maxUserRecords = 1 << 18

// printer prints the records of pages, aggregated ones taken apart.
type printer struct {
	out    *bufio.Writer
	warn   io.Writer
	format string
	raw    bool
	limit  int // 0: none
	n      int // printed
	apart  aggregation.Decoder
}

// line is what is printed of a record.
type line struct {
	ShardId string
	record
	SubSequenceNumber *int   `json:",omitempty"`
	ExplicitHashKey   string `json:",omitempty"`
}

// page prints the records of a page. It returns errEnough after the last that
// is wanted.
func (p *printer) page(shard string, page *page) (err error) {
	for _, r := range page.Records {
		if err = p.record(shard, r); err != nil {
			break
		}
	}
	return errors.Join(err, p.out.Flush())
}

func (p *printer) record(shard string, r record) error {
	if p.raw {
		return p.print(line{ShardId: shard, record: r})
	}
	for user := range p.apart.Records(r.PartitionKey, r.Data) {
		l := line{ShardId: shard, record: r, ExplicitHashKey: user.ExplicitHashKey}
		l.PartitionKey, l.Data = user.PartitionKey, user.Data
		if user.Aggregated {
			l.SubSequenceNumber = &user.SubSequence
		}
		if err := p.print(l); err != nil {
			return err
		}
	}
	if err := p.apart.Err(); err != nil {
		fmt.Fprintf(p.warn, "%s, sequence number %s: user records are left out, --raw shows the whole: %v\n", shard, r.SequenceNumber, err)
	}
	return nil
}

func (p *printer) print(l line) (err error) {
	if p.format == "json" {
		err = printJSON(p.out, l)
	} else {
		_, err = fmt.Fprintf(p.out, "%s\t%s\t%s\n", l.ShardId, printable([]byte(l.PartitionKey)), printable(l.Data))
	}
	if p.n++; err == nil && p.n == p.limit {
		return errEnough
	}
	return err
}

// printable is text as it is, and anything else as a quoted string.
func printable(b []byte) string {
	s := string(b)
	if !utf8.Valid(b) || strings.ContainsFunc(s, func(r rune) bool { return !unicode.IsPrint(r) }) {
		return strconv.Quote(s)
	}
	return s
}

// position is where to begin reading a shard: an iterator type of AWS's, with
// a time or a sequence number where the type wants one.
type position struct {
	kind     string
	time     time.Time
	sequence string
}

// parsePosition reads a --from.
func parsePosition(s string, now time.Time) (position, error) {
	switch u := strings.ToUpper(s); {
	case u == "LATEST" || u == "TRIM_HORIZON":
		return position{kind: u}, nil
	case u == "NOW":
		return position{kind: "LATEST"}, nil
	case strings.HasPrefix(u, "NOW-"):
		d, err := time.ParseDuration(s[len("now-"):])
		if err != nil || d < 0 {
			return position{}, fmt.Errorf("%q is not like now-5m or now-36h", s)
		}
		return position{kind: "AT_TIMESTAMP", time: now.Add(-d)}, nil
	}
	t, err := time.Parse(time.RFC3339, s)
	if err != nil {
		return position{}, fmt.Errorf("%q is not latest, trim_horizon, a time like 2026-01-31T12:00:00Z or now-5m", s)
	}
	return position{kind: "AT_TIMESTAMP", time: t}, nil
}

// tailer reads a whole stream, shards in parallel, children after all of
// their parents. Its callbacks run on run's goroutine.
type tailer struct {
	client  *client
	stream  string
	from    position
	follow  bool // go on when there is nothing more to read
	records func(shard string, p *page) error
	ended   func(shard string, children []string)
}

// news is what a shard's reader has found.
type news struct {
	shard string
	page  *page
	done  bool // the reader has stopped
	err   error
}

// run reads until ctx ends, a callback or a call fails, or there is nothing
// more to read.
func (t *tailer) run(ctx context.Context) error {
	// Shards that were open when the oldest record came lead to all others by
	// their children; a time is looked for in each, from there on.
	filter := "AT_TRIM_HORIZON"
	if t.from.kind == "LATEST" {
		filter = "AT_LATEST"
	}
	shards, err := t.client.shards(ctx, t.stream, map[string]any{"Type": filter})
	if err != nil {
		return err
	}
	ctx, cancel := context.WithCancel(ctx)
	var readers sync.WaitGroup
	defer readers.Wait()
	defer cancel()
	inbox := make(chan news)
	finished := map[string]bool{} // by shard, false while it is read
	begin := func(id string, at position) {
		finished[id] = false
		readers.Go(func() { t.read(ctx, id, at, inbox) })
	}
	listed := map[string]bool{}
	for _, s := range shards {
		listed[s.ShardId] = true
	}
	for _, s := range shards {
		if !listed[s.ParentShardId] && !listed[s.AdjacentParentShardId] {
			begin(s.ShardId, t.from)
		}
	}
	for running := len(finished); running > 0; {
		var n news
		select {
		case n = <-inbox:
		case <-ctx.Done():
			return ctx.Err()
		}
		if n.err != nil {
			return n.err
		}
		if len(n.page.Records) > 0 {
			if err := t.records(n.shard, n.page); err != nil {
				return err
			}
		}
		if !n.done {
			continue
		}
		running--
		finished[n.shard] = true
		if len(n.page.ChildShards) == 0 {
			continue
		}
		var next []string
		for _, child := range n.page.ChildShards {
			next = append(next, child.ShardId)
			if ready(child, finished) {
				begin(child.ShardId, position{kind: "TRIM_HORIZON"})
				running++
			}
		}
		t.ended(n.shard, next)
	}
	return nil
}

// ready reports whether a child can be read: it is not yet, and all of its
// parents are read to their end. A parent that nobody has begun to read has
// parents itself that still are.
func ready(child childShard, finished map[string]bool) bool {
	if _, begun := finished[child.ShardId]; begun {
		return false
	}
	for _, p := range child.ParentShards {
		if !finished[p] {
			return false
		}
	}
	return true
}

// read follows one shard and reports each page that has something to say.
func (t *tailer) read(ctx context.Context, shard string, at position, inbox chan<- news) {
	tell := func(n news) {
		n.shard = shard
		select {
		case inbox <- n:
		case <-ctx.Done():
		}
	}
	iterator, err := t.iterator(ctx, shard, at)
	for err == nil {
		var p page
		err = t.client.call(ctx, "GetRecords", map[string]any{"ShardIterator": iterator}, &p)
		switch {
		case throttled(err):
			err = pause(ctx)
			continue
		case isType(err, "ExpiredIteratorException"):
			iterator, err = t.iterator(ctx, shard, at)
			continue
		case err != nil:
			continue
		}
		if n := len(p.Records); n > 0 {
			at = position{kind: "AFTER_SEQUENCE_NUMBER", sequence: p.Records[n-1].SequenceNumber}
		}
		tip := len(p.Records) == 0 && p.MillisBehindLatest == 0
		done := p.NextShardIterator == "" || (tip && !t.follow)
		if len(p.Records) > 0 || done {
			tell(news{page: &p, done: done})
		}
		if done {
			return
		}
		if iterator = p.NextShardIterator; p.MillisBehindLatest == 0 {
			err = pause(ctx)
		}
	}
	tell(news{err: err})
}

// pause waits as long as keeps a reader below AWS's five reads a second.
func pause(ctx context.Context) error {
	select {
	case <-time.After(210 * time.Millisecond):
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (t *tailer) iterator(ctx context.Context, shard string, at position) (string, error) {
	in := map[string]any{"StreamName": t.stream, "ShardId": shard, "ShardIteratorType": at.kind}
	switch at.kind {
	case "AT_TIMESTAMP":
		in["Timestamp"] = stamp(at.time)
	case "AFTER_SEQUENCE_NUMBER":
		in["StartingSequenceNumber"] = at.sequence
	}
	for {
		var out struct{ ShardIterator string }
		err := t.client.call(ctx, "GetShardIterator", in, &out)
		if !throttled(err) {
			return out.ShardIterator, err
		}
		if err := pause(ctx); err != nil {
			return "", err
		}
	}
}
