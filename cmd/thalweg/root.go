package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"

	"github.com/spf13/cobra"
)

// run performs one command line and returns the process's exit code: 0, 1 when
// the command failed, 2 when it was not understood.
func run(ctx context.Context, args []string, stdin io.Reader, stdout, stderr io.Writer) int {
	understood := false
	root := newRoot()
	root.PersistentPreRun = func(*cobra.Command, []string) { understood = true }
	root.SetArgs(args)
	root.SetIn(stdin)
	root.SetOut(stdout)
	root.SetErr(stderr)
	cmd, err := root.ExecuteContextC(ctx)
	switch {
	case err == nil:
		return 0
	case !understood:
		fmt.Fprintf(stderr, "thalweg: %v\nSee %s --help\n", err, cmd.CommandPath())
		return 2
	case errors.Is(err, context.Canceled) && ctx.Err() != nil:
		return 1 // interrupted: nothing to add
	}
	fmt.Fprintf(stderr, "thalweg: %v\n", err)
	if hint := hintFor(err); hint != "" {
		fmt.Fprintln(stderr, hint)
	}
	return 1
}

func newRoot() *cobra.Command {
	root := &cobra.Command{
		Use:   "thalweg",
		Short: "A self-hosted AWS Kinesis: every acknowledged record is on disk",
		Long: `thalweg is a self-hosted AWS Kinesis in one program. Start the server with
"thalweg serve" and point any AWS client at http://127.0.0.1:4567, or watch
records flow first with "thalweg demo".`,
		SilenceErrors: true,
		SilenceUsage:  true,
	}
	root.AddCommand(newServe(), newDemo(), newStream(), newPut(), newTail(), newDump(), newFsck(), newFault(), newFn(), newVersion())
	return root
}

// hintFor names the next step for errors that have an obvious one.
func hintFor(err error) string {
	var h interface{ Hint() string }
	if errors.As(err, &h) {
		return h.Hint()
	}
	return ""
}

// hinted is an error with a next step.
type hinted struct {
	error
	hint string
}

func (h hinted) Hint() string  { return h.hint }
func (h hinted) Unwrap() error { return h.error }

// choice is a flag that takes one of a few words.
type choice struct {
	value string
	words []string
}

func (c *choice) String() string { return c.value }
func (c *choice) Type() string   { return "word" }
func (c *choice) Set(s string) error {
	for _, w := range c.words {
		if s == w {
			c.value = s
			return nil
		}
	}
	return fmt.Errorf("%q is none of %s", s, orList(c.words))
}

// orList writes "a, b or c".
func orList(words []string) string {
	s := ""
	for i, w := range words {
		switch {
		case i == 0:
		case i == len(words)-1:
			s += " or "
		default:
			s += ", "
		}
		s += w
	}
	return s
}

// wordFlag adds a flag that takes one of words, the first by default, with
// their completions.
func wordFlag(cmd *cobra.Command, name, help string, words ...string) *choice {
	c := &choice{value: words[0], words: words}
	cmd.Flags().Var(c, name, help+": "+orList(words))
	_ = cmd.RegisterFlagCompletionFunc(name, cobra.FixedCompletions(words, cobra.ShellCompDirectiveNoFileComp))
	return c
}

// outputFlag adds --output.
func outputFlag(cmd *cobra.Command) *choice {
	return wordFlag(cmd, "output", "how to print", "text", "json")
}

// printJSON writes v on one line.
func printJSON(w io.Writer, v any) error {
	enc := json.NewEncoder(w)
	enc.SetEscapeHTML(false)
	return enc.Encode(v)
}
