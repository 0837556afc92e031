package main

import (
	"fmt"
	"math/big"
	"strings"
	"text/tabwriter"

	"github.com/spf13/cobra"
)

func newStream() *cobra.Command {
	cmd := &cobra.Command{Use: "stream", Short: "Make, look at, reshard and delete streams"}
	cmd.AddCommand(newStreamCreate(), newStreamList(), newStreamDescribe(), newStreamSplit(), newStreamMerge(), newStreamDelete())
	return cmd
}

func newStreamCreate() *cobra.Command {
	cmd := &cobra.Command{Use: "create NAME", Short: "Make a stream and wait until it is active", Args: cobra.ExactArgs(1)}
	conn := connectFlags(cmd)
	shards := cmd.Flags().Int("shards", 1, "number of shards")
	onDemand := cmd.Flags().Bool("on-demand", false, "let the stream choose its shards by its load")
	maxRecord := cmd.Flags().Int("max-record-kib", 0, "largest record in KiB, 1024 to 10240 (default 1024)")
	cmd.MarkFlagsMutuallyExclusive("shards", "on-demand")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		c, err := conn.client()
		if err != nil {
			return err
		}
		in := map[string]any{"StreamName": args[0]}
		if *onDemand {
			in["StreamModeDetails"] = map[string]string{"StreamMode": "ON_DEMAND"}
		} else {
			in["ShardCount"] = *shards
		}
		if *maxRecord != 0 {
			in["MaxRecordSizeInKiB"] = *maxRecord
		}
		if err := c.call(cmd.Context(), "CreateStream", in, nil); err != nil {
			return err
		}
		if err := c.settle(cmd.Context(), args[0], false); err != nil {
			return err
		}
		_, err = fmt.Fprintf(cmd.OutOrStdout(), "stream %s is active\n", args[0])
		return err
	}
	return cmd
}

func newStreamList() *cobra.Command {
	cmd := &cobra.Command{Use: "list", Short: "List streams", Args: cobra.NoArgs}
	conn, output := connectFlags(cmd), outputFlag(cmd)
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		c, err := conn.client()
		if err != nil {
			return err
		}
		w := tabwriter.NewWriter(cmd.OutOrStdout(), 0, 0, 2, ' ', 0)
		defer w.Flush()
		for in := (map[string]any{}); ; {
			var out struct {
				StreamSummaries []summary
				HasMoreStreams  bool
				NextToken       string
			}
			if err := c.call(cmd.Context(), "ListStreams", in, &out); err != nil {
				return err
			}
			for _, s := range out.StreamSummaries {
				if output.value == "json" {
					err = printJSON(cmd.OutOrStdout(), s)
				} else {
					_, err = fmt.Fprintf(w, "%s\t%s\t%s\t%s\n", s.StreamName, s.StreamStatus, s.StreamModeDetails.StreamMode, s.StreamCreationTimestamp)
				}
				if err != nil {
					return err
				}
			}
			if !out.HasMoreStreams || len(out.StreamSummaries) == 0 {
				return nil
			}
			in = map[string]any{"ExclusiveStartStreamName": out.StreamSummaries[len(out.StreamSummaries)-1].StreamName}
		}
	}
	return cmd
}

func newStreamDescribe() *cobra.Command {
	cmd := &cobra.Command{Use: "describe NAME", Short: "Show a stream and its shards", Args: cobra.ExactArgs(1)}
	conn, output := connectFlags(cmd), outputFlag(cmd)
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		c, err := conn.client()
		if err != nil {
			return err
		}
		s, err := c.summary(cmd.Context(), args[0])
		if err != nil {
			return err
		}
		shards, err := c.shards(cmd.Context(), args[0], nil)
		if err != nil {
			return err
		}
		if output.value == "json" {
			return printJSON(cmd.OutOrStdout(), struct {
				summary
				Shards []shard
			}{s, shards})
		}
		w := tabwriter.NewWriter(cmd.OutOrStdout(), 0, 0, 2, ' ', 0)
		fmt.Fprintf(w, "%s\t%s, %s, %d open shards, kept for %d h, made %s\n%s\n",
			s.StreamName, s.StreamStatus, s.StreamModeDetails.StreamMode, s.OpenShardCount, s.RetentionPeriodHours, s.StreamCreationTimestamp, s.StreamARN)
		for _, sh := range shards {
			state := "open"
			if !sh.open() {
				state = "closed"
			}
			from := ""
			if sh.ParentShardId != "" {
				from = "from " + sh.ParentShardId
			}
			if sh.AdjacentParentShardId != "" {
				from += " and " + sh.AdjacentParentShardId
			}
			fmt.Fprintf(w, "%s\t%s\t%s..%s\t%s\n", sh.ShardId, state, sh.HashKeyRange.StartingHashKey, sh.HashKeyRange.EndingHashKey, from)
		}
		return w.Flush()
	}
	return cmd
}

func newStreamSplit() *cobra.Command {
	cmd := &cobra.Command{
		Use: "split NAME SHARD", Short: "Split a shard in two and wait until the stream is active", Args: cobra.ExactArgs(2),
		Long: "split closes a shard and opens two in its place. Readers find the children once\nthey have read the parent to its end.",
	}
	conn := connectFlags(cmd)
	at := cmd.Flags().String("at", "", "first hash key of the upper child (default the middle)")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		c, err := conn.client()
		if err != nil {
			return err
		}
		if *at == "" {
			shards, err := c.shards(cmd.Context(), args[0], nil)
			if err != nil {
				return err
			}
			if *at, err = middle(shards, args[1]); err != nil {
				return err
			}
		}
		in := map[string]any{"StreamName": args[0], "ShardToSplit": args[1], "NewStartingHashKey": *at}
		if err := c.call(cmd.Context(), "SplitShard", in, nil); err != nil {
			return err
		}
		if err := c.settle(cmd.Context(), args[0], false); err != nil {
			return err
		}
		_, err = fmt.Fprintf(cmd.OutOrStdout(), "split %s of %s at %s\n", args[1], args[0], *at)
		return err
	}
	return cmd
}

// middle is the hash key that halves the named shard.
func middle(shards []shard, id string) (string, error) {
	var open []string
	for _, s := range shards {
		if s.ShardId == id {
			low, ok1 := new(big.Int).SetString(s.HashKeyRange.StartingHashKey, 10)
			high, ok2 := new(big.Int).SetString(s.HashKeyRange.EndingHashKey, 10)
			if !ok1 || !ok2 {
				return "", fmt.Errorf("shard %s has the unreadable range %v", id, s.HashKeyRange)
			}
			sum := low.Add(low, high)
			return sum.Rsh(sum.Add(sum, big.NewInt(1)), 1).String(), nil
		}
		if s.open() {
			open = append(open, s.ShardId)
		}
	}
	return "", fmt.Errorf("there is no shard %s; open are %s", id, strings.Join(open, ", "))
}

func newStreamMerge() *cobra.Command {
	cmd := &cobra.Command{
		Use: "merge NAME SHARD ADJACENT", Short: "Merge two neighbouring shards and wait until the stream is active", Args: cobra.ExactArgs(3),
	}
	conn := connectFlags(cmd)
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		c, err := conn.client()
		if err != nil {
			return err
		}
		in := map[string]any{"StreamName": args[0], "ShardToMerge": args[1], "AdjacentShardToMerge": args[2]}
		if err := c.call(cmd.Context(), "MergeShards", in, nil); err != nil {
			return err
		}
		if err := c.settle(cmd.Context(), args[0], false); err != nil {
			return err
		}
		_, err = fmt.Fprintf(cmd.OutOrStdout(), "merged %s and %s of %s\n", args[1], args[2], args[0])
		return err
	}
	return cmd
}

func newStreamDelete() *cobra.Command {
	cmd := &cobra.Command{Use: "delete NAME", Short: "Delete a stream with its records and wait until it is gone", Args: cobra.ExactArgs(1)}
	conn := connectFlags(cmd)
	enforce := cmd.Flags().Bool("with-consumers", false, "also when it has registered consumers")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		c, err := conn.client()
		if err != nil {
			return err
		}
		in := map[string]any{"StreamName": args[0], "EnforceConsumerDeletion": *enforce}
		if err := c.call(cmd.Context(), "DeleteStream", in, nil); err != nil {
			return err
		}
		if err := c.settle(cmd.Context(), args[0], true); err != nil {
			return err
		}
		_, err = fmt.Fprintf(cmd.OutOrStdout(), "stream %s is deleted\n", args[0])
		return err
	}
	return cmd
}
