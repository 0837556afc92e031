package main

import (
	"bufio"
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	mathrand "math/rand/v2"
	"time"

	"github.com/spf13/cobra"
)

func newPut() *cobra.Command {
	cmd := &cobra.Command{
		Use: "put STREAM [DATA...]", Short: "Put records into a stream", Args: cobra.MinimumNArgs(1),
		Long: `put makes a record of each DATA, or, when there is none, of each line of standard
input. It returns once all of them are durable. Records that a shard has no
throughput for are tried again, which may change their order; other refusals
end the command.

The partition key is --key, or with --ndjson the member of each line named by
--key-field, or else a new random one for each record.`,
		Example: `  thalweg put orders 'one record' 'another'
  thalweg put orders --ndjson --key-field customer < orders.ndjson
  tail -f app.log | thalweg put logs --key app`,
	}
	conn, output := connectFlags(cmd), outputFlag(cmd)
	key := cmd.Flags().String("key", "", "partition key of all records (default a random one for each)")
	ndjson := cmd.Flags().Bool("ndjson", false, "each line is a JSON object; anything else is an error")
	field := cmd.Flags().String("key-field", "", "member of each JSON object that is its partition key")
	cmd.MarkFlagsMutuallyExclusive("key", "key-field")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		if *field != "" && !*ndjson {
			return errors.New("--key-field needs --ndjson")
		}
		c, err := conn.client()
		if err != nil {
			return err
		}
		n := 0
		p := &putter{client: c, stream: args[0], stored: func(_ entry, r entryResult) error {
			n++
			if output.value == "json" {
				return printJSON(cmd.OutOrStdout(), r)
			}
			return nil
		}}
		keyOf := func(line []byte) (string, error) {
			switch {
			case *ndjson:
				return keyIn(line, *field)
			case *key != "":
				return *key, nil
			}
			return rand.Text(), nil
		}
		if len(args) > 1 {
			err = p.putAll(cmd.Context(), args[1:], keyOf)
		} else {
			err = p.putLines(cmd.Context(), cmd.InOrStdin(), keyOf)
		}
		if output.value == "text" && (err == nil || n > 0) {
			fmt.Fprintf(cmd.OutOrStdout(), "%d records put to %s\n", n, args[0])
		}
		return err
	}
	return cmd
}

// keyIn finds the partition key in a line of NDJSON: the text of a member, or
// a random key when none is named.
func keyIn(line []byte, field string) (string, error) {
	var object map[string]json.RawMessage
	if err := json.Unmarshal(line, &object); err != nil {
		return "", fmt.Errorf("not a JSON object: %w", err)
	}
	if field == "" {
		return rand.Text(), nil
	}
	raw, ok := object[field]
	if !ok {
		return "", fmt.Errorf("no member %q to take the partition key from", field)
	}
	var s string
	if json.Unmarshal(raw, &s) == nil {
		return s, nil
	}
	return string(raw), nil
}

func (p *putter) putAll(ctx context.Context, data []string, keyOf func([]byte) (string, error)) error {
	for i, d := range data {
		key, err := keyOf([]byte(d))
		if err != nil {
			return fmt.Errorf("argument %d: %w", i+1, err)
		}
		if err := p.add(ctx, entry{Data: []byte(d), PartitionKey: key}); err != nil {
			return err
		}
	}
	return p.flush(ctx)
}

// putLines puts lines as they come: in full batches while they come fast, and
// a moment after the last one when they come slowly.
func (p *putter) putLines(ctx context.Context, r io.Reader, keyOf func([]byte) (string, error)) error {
	const patience = 50 * time.Millisecond
	lines := make(chan entry, batchRecords)
	fault := make(chan error, 1)
	stop, cancel := context.WithCancel(ctx)
	defer cancel()
	go func() {
		defer close(lines)
		scan := bufio.NewScanner(r)
		scan.Buffer(nil, 11<<20) // the largest record there is, and more
		for n := 1; scan.Scan(); n++ {
			line := append([]byte(nil), scan.Bytes()...)
			if len(line) == 0 {
				continue
			}
			key, err := keyOf(line)
			if err != nil {
				fault <- fmt.Errorf("line %d: %w", n, err)
				return
			}
			select {
			case lines <- entry{Data: line, PartitionKey: key}:
			case <-stop.Done():
				return
			}
		}
		if err := scan.Err(); err != nil {
			fault <- fmt.Errorf("standard input: %w", err)
		}
	}()
	idle := time.NewTimer(patience)
	defer idle.Stop()
	for {
		select {
		case e, ok := <-lines:
			if !ok {
				err := p.flush(ctx)
				select {
				case broken := <-fault:
					return errors.Join(broken, err)
				default:
					return err
				}
			}
			if err := p.add(ctx, e); err != nil {
				return err
			}
			idle.Reset(patience)
		case <-idle.C:
			if err := p.flush(ctx); err != nil {
				return err
			}
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// What one PutRecords takes: 500 records, and well below its 10 MiB.
const (
	batchRecords = 500
	batchBytes   = 4 << 20
)

// putter gathers records into batches and puts them with PutRecords until each
// is stored or refused for good. It is used by one goroutine.
type putter struct {
	client *client
	stream string
	stored func(entry, entryResult) error

	batch []entry
	bytes int
}

// add takes a record, and puts the batch when there is no room for more.
func (p *putter) add(ctx context.Context, e entry) error {
	size := len(e.Data) + len(e.PartitionKey)
	if len(p.batch) == batchRecords || (p.bytes+size > batchBytes && len(p.batch) > 0) {
		if err := p.flush(ctx); err != nil {
			return err
		}
	}
	p.batch, p.bytes = append(p.batch, e), p.bytes+size
	return nil
}

// flush puts what was gathered. Records that were throttled are put again,
// after longer and longer waits, until they are stored or ctx ends.
func (p *putter) flush(ctx context.Context) error {
	left := p.batch
	for wait := 50 * time.Millisecond; len(left) > 0; wait = min(2*wait, 2*time.Second) {
		var out struct{ Records []entryResult }
		err := p.client.call(ctx, "PutRecords", map[string]any{"StreamName": p.stream, "Records": left}, &out)
		switch {
		case throttled(err):
		case err != nil:
			return err
		case len(out.Records) != len(left):
			return fmt.Errorf("PutRecords: %d answers for %d records", len(out.Records), len(left))
		default:
			if left, err = p.settle(left, out.Records); err != nil {
				return err
			}
		}
		if len(left) == 0 {
			break
		}
		select {
		case <-time.After(wait/2 + mathrand.N(wait)):
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	p.batch, p.bytes = p.batch[:0], 0
	return nil
}

// settle hands out what was stored and returns what to try again.
func (p *putter) settle(sent []entry, results []entryResult) (again []entry, err error) {
	for i, r := range results {
		switch r.ErrorCode {
		case "":
			if err := p.stored(sent[i], r); err != nil {
				return nil, err
			}
		case "ProvisionedThroughputExceededException", "InternalFailure":
			again = append(again, sent[i])
		default:
			return nil, fmt.Errorf("PutRecords: record %d of %d: %s: %s", i+1, len(sent), r.ErrorCode, r.ErrorMessage)
		}
	}
	return again, nil
}
