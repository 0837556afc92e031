package main

import (
	"fmt"
	"net/http"
	"net/url"

	"github.com/spf13/cobra"
)

// faultRule is a rule as /admin/faults has it: see docs/faults.md.
type faultRule struct {
	ID          string  `json:"id,omitzero"`
	Operation   string  `json:"operation,omitzero"`
	Stream      string  `json:"stream,omitzero"`
	Shard       string  `json:"shard,omitzero"`
	Per         string  `json:"per,omitzero"`
	Skip        int     `json:"skip,omitzero"`
	Every       int     `json:"every,omitzero"`
	Times       int     `json:"times,omitzero"`
	Probability float64 `json:"probability,omitzero"`
	Seed        uint64  `json:"seed,omitzero"`
	Effect      string  `json:"effect"`
	DelayMillis int     `json:"delay_ms,omitzero"`
	Matched     int64   `json:"matched,omitzero"`
	Hits        int64   `json:"hits,omitzero"`
}

const faultsPath = "/admin/faults"

func newFault() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "fault",
		Short: "Have a server's calls meet faults on purpose, to test clients",
		Long: `fault sets rules by which calls fail, the same way each time. The server has to
be started with --faults, and be on this machine or verify signatures.`,
	}
	cmd.AddCommand(newFaultAdd(), newFaultList(), newFaultClear())
	return cmd
}

func newFaultAdd() *cobra.Command {
	var r faultRule
	cmd := &cobra.Command{
		Use:   "add EFFECT",
		Short: "Add a rule: throttle, fail, expire, delay or drop",
		Example: `  thalweg fault add throttle --operation PutRecords --per record --every 3
  thalweg fault add drop --operation PutRecord --stream orders --times 1
  thalweg fault add delay --delay-ms 250 --probability 0.1 --seed 7`,
		Args:      cobra.ExactArgs(1),
		ValidArgs: []string{"throttle", "fail", "expire", "delay", "drop"},
	}
	server := connectFlags(cmd)
	f := cmd.Flags()
	f.StringVar(&r.Operation, "operation", "", "the operation to strike; all when left out")
	f.StringVar(&r.Stream, "stream", "", "the stream; all when left out")
	f.StringVar(&r.Shard, "shard", "", "the shard; all when left out")
	f.StringVar(&r.Per, "per", "", "what counts: call, or record of PutRecord and PutRecords")
	f.IntVar(&r.Skip, "skip", 0, "how many to leave alone first")
	f.IntVar(&r.Every, "every", 0, "strike each so-manieth; each when left out")
	f.IntVar(&r.Times, "times", 0, "strike at most so often; for ever when left out")
	f.Float64Var(&r.Probability, "probability", 0, "strike a part of them, from 0 to 1")
	f.Uint64Var(&r.Seed, "seed", 0, "of the draws for --probability")
	f.IntVar(&r.DelayMillis, "delay-ms", 0, "milliseconds to wait, with delay")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		c, err := server.client()
		if err != nil {
			return err
		}
		r.Effect = args[0]
		var added faultRule
		if err := c.admin(cmd.Context(), http.MethodPost, faultsPath, r, &added); err != nil {
			return err
		}
		fmt.Fprintf(cmd.OutOrStdout(), "fault %s is set\n", added.ID)
		return nil
	}
	return cmd
}

func newFaultList() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "list",
		Short: "List the rules as JSON, each with what it matched and hit",
		Args:  cobra.NoArgs,
	}
	server := connectFlags(cmd)
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		c, err := server.client()
		if err != nil {
			return err
		}
		var list struct {
			Rules []faultRule `json:"rules"`
		}
		if err := c.admin(cmd.Context(), http.MethodGet, faultsPath, nil, &list); err != nil {
			return err
		}
		for _, r := range list.Rules {
			if err := printJSON(cmd.OutOrStdout(), r); err != nil {
				return err
			}
		}
		return nil
	}
	return cmd
}

func newFaultClear() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "clear [ID]",
		Short: "Remove one rule, or all",
		Args:  cobra.MaximumNArgs(1),
	}
	server := connectFlags(cmd)
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		c, err := server.client()
		if err != nil {
			return err
		}
		path := faultsPath
		if len(args) > 0 {
			path += "?id=" + url.QueryEscape(args[0])
		}
		var answer struct {
			Removed int `json:"removed"`
		}
		if err := c.admin(cmd.Context(), http.MethodDelete, path, nil, &answer); err != nil {
			return err
		}
		fmt.Fprintf(cmd.OutOrStdout(), "%d removed\n", answer.Removed)
		return nil
	}
	return cmd
}
