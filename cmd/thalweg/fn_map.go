package main

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

const mappingsPath = "/2015-03-31/event-source-mappings"

func newFnMap() *cobra.Command {
	cmd := &cobra.Command{Use: "map", Short: "Have functions get the records of streams"}
	cmd.AddCommand(newMapAdd(), newMapList(), newMapSet(), newMapRemove())
	return cmd
}

// mappingInfo is what we show of Lambda's EventSourceMappingConfiguration.
type mappingInfo struct {
	UUID, EventSourceArn, FunctionArn, State, LastProcessingResult string
	BatchSize, ParallelizationFactor                               int
}

// mappingFlags are the settings of a mapping. Only those that are given are
// sent: the others keep AWS's defaults, or what they are.
func mappingFlags(f *pflag.FlagSet) (request func() map[string]any) {
	numbers := map[string]string{
		"batch-size": "BatchSize", "batching-window": "MaximumBatchingWindowInSeconds", "parallel": "ParallelizationFactor",
		"retries": "MaximumRetryAttempts", "max-age": "MaximumRecordAgeInSeconds", "tumbling-window": "TumblingWindowInSeconds",
	}
	f.Int("batch-size", 100, "records of an invocation, 1 to 10000")
	f.Int("batching-window", 0, "seconds to wait for a full batch, 0 to 300")
	f.Int("parallel", 1, "batches of a shard at a time, 1 to 10; the order of each partition key is kept")
	f.Int("retries", -1, "how often a batch that failed is tried again, to 10000; -1: until it expires")
	f.Int("max-age", -1, "seconds after which a record is not tried any more, 60 to 604800; -1: none")
	f.Int("tumbling-window", 0, "seconds of windows whose state goes from batch to batch, 0 to 900; 0: none")
	bisect := f.Bool("bisect", false, "split a batch that failed in two")
	items := f.Bool("report-failures", false, "the function answers with the records that failed (ReportBatchItemFailures)")
	filters := f.StringArray("filter", nil, "pattern of records that the function gets, as JSON; may be given several times; empty: all")
	failed := f.String("on-failure", "", "ARN of the bucket, queue, topic or stream that gets batches which were given up; empty: none")
	return func() map[string]any {
		in := map[string]any{}
		f.Visit(func(flag *pflag.Flag) {
			switch flag.Name {
			case "bisect":
				in["BisectBatchOnFunctionError"] = *bisect
			case "report-failures":
				types := []string{}
				if *items {
					types = append(types, "ReportBatchItemFailures")
				}
				in["FunctionResponseTypes"] = types
			case "filter":
				list := []any{}
				for _, p := range *filters {
					if p != "" {
						list = append(list, map[string]any{"Pattern": p})
					}
				}
				in["FilterCriteria"] = map[string]any{"Filters": list}
			case "on-failure":
				in["DestinationConfig"] = map[string]any{"OnFailure": map[string]any{"Destination": *failed}}
			default:
				if member := numbers[flag.Name]; member != "" {
					n, _ := f.GetInt(flag.Name)
					in[member] = n
				}
			}
		})
		return in
	}
}

func newMapAdd() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "add FUNCTION STREAM",
		Short: "Map a stream to a function",
		Long: `add has a function get the records of a stream, from now on or from where --from
says. STREAM is a name or an ARN, which may be that of a consumer.`,
		Example: `  thalweg fn map add worker orders
  thalweg fn map add worker orders --from TRIM_HORIZON --parallel 4 --retries 3 --bisect
  thalweg fn map add worker orders --filter '{"data":{"total":[{"numeric":[">",100]}]}}'`,
		Args: cobra.ExactArgs(2),
	}
	conn, output := connectFlags(cmd), outputFlag(cmd)
	request := mappingFlags(cmd.Flags())
	from := cmd.Flags().String("from", "LATEST", "TRIM_HORIZON, LATEST, or a time as 2006-01-02T15:04:05Z")
	disabled := cmd.Flags().Bool("disabled", false, "do not begin yet")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		c, err := conn.client()
		if err != nil {
			return err
		}
		in := request()
		in["FunctionName"], in["Enabled"] = args[0], !*disabled
		in["StartingPosition"] = *from
		if at, err := time.Parse(time.RFC3339, *from); err == nil {
			in["StartingPosition"], in["StartingPositionTimestamp"] = "AT_TIMESTAMP", float64(at.UnixMilli())/1000
		}
		if in["EventSourceArn"], err = c.streamARN(cmd.Context(), args[1]); err != nil {
			return err
		}
		return c.changeMapping(cmd, output, "CreateEventSourceMapping", http.MethodPost, mappingsPath, in)
	}
	return cmd
}

// streamARN is the ARN of what was named.
func (c *client) streamARN(ctx context.Context, name string) (string, error) {
	if strings.HasPrefix(name, "arn:") {
		return name, nil
	}
	var out struct {
		StreamDescriptionSummary struct{ StreamARN string }
	}
	err := c.call(ctx, "DescribeStreamSummary", map[string]any{"StreamName": name}, &out)
	return out.StreamDescriptionSummary.StreamARN, err
}

// changeMapping makes a call that answers with a mapping, and prints that.
func (c *client) changeMapping(cmd *cobra.Command, output *choice, op, method, path string, in any) error {
	var m mappingInfo
	if err := c.lambda(cmd.Context(), op, method, path, in, &m); err != nil {
		return err
	}
	if output.value == "json" {
		return printJSON(cmd.OutOrStdout(), m)
	}
	_, err := fmt.Fprintf(cmd.OutOrStdout(), "mapping %s of %s to %s is %s\n", m.UUID, last(m.EventSourceArn), last(m.FunctionArn), m.State)
	return err
}

// last is what an ARN names: what follows the account.
func last(arn string) string {
	parts := strings.SplitN(arn, ":", 6)
	name := parts[len(parts)-1]
	return strings.TrimPrefix(strings.TrimPrefix(name, "stream/"), "function:")
}

func newMapList() *cobra.Command {
	cmd := &cobra.Command{Use: "list [FUNCTION]", Short: "List mappings, and how their last batch went", Args: cobra.MaximumNArgs(1)}
	conn, output := connectFlags(cmd), outputFlag(cmd)
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		c, err := conn.client()
		if err != nil {
			return err
		}
		w := tabwriter.NewWriter(cmd.OutOrStdout(), 0, 0, 2, ' ', 0)
		defer w.Flush()
		query := url.Values{}
		if len(args) == 1 {
			query.Set("FunctionName", args[0])
		}
		for {
			var out struct {
				EventSourceMappings []mappingInfo
				NextMarker          string
			}
			if err := c.lambda(cmd.Context(), "ListEventSourceMappings", http.MethodGet, mappingsPath+"?"+query.Encode(), nil, &out); err != nil {
				return err
			}
			for _, m := range out.EventSourceMappings {
				if output.value == "json" {
					err = printJSON(cmd.OutOrStdout(), m)
				} else {
					_, err = fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\n", m.UUID, last(m.EventSourceArn), last(m.FunctionArn), m.State, m.LastProcessingResult)
				}
				if err != nil {
					return err
				}
			}
			if out.NextMarker == "" {
				return nil
			}
			query.Set("Marker", out.NextMarker)
		}
	}
	return cmd
}

func newMapSet() *cobra.Command {
	cmd := &cobra.Command{
		Use: "set UUID", Short: "Change a mapping's settings, or stop it for a while", Args: cobra.ExactArgs(1),
		Example: "  thalweg fn map set 14e0db71-xmpl-4eb5-b481-8945cf9d10c2 --disable\n  thalweg fn map set 14e0db71-xmpl-4eb5-b481-8945cf9d10c2 --enable --parallel 10",
	}
	conn, output := connectFlags(cmd), outputFlag(cmd)
	request := mappingFlags(cmd.Flags())
	enable := cmd.Flags().Bool("enable", false, "go on from where it stood")
	disable := cmd.Flags().Bool("disable", false, "stop, once batches under way are over")
	function := cmd.Flags().String("function", "", "another function")
	cmd.MarkFlagsMutuallyExclusive("enable", "disable")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		c, err := conn.client()
		if err != nil {
			return err
		}
		in := request()
		if *enable || *disable {
			in["Enabled"] = *enable
		}
		if *function != "" {
			in["FunctionName"] = *function
		}
		return c.changeMapping(cmd, output, "UpdateEventSourceMapping", http.MethodPut, mappingsPath+"/"+url.PathEscape(args[0]), in)
	}
	return cmd
}

func newMapRemove() *cobra.Command {
	cmd := &cobra.Command{Use: "remove UUID", Short: "End a mapping, once batches under way are over", Args: cobra.ExactArgs(1)}
	conn, output := connectFlags(cmd), outputFlag(cmd)
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		c, err := conn.client()
		if err != nil {
			return err
		}
		return c.changeMapping(cmd, output, "DeleteEventSourceMapping", http.MethodDelete, mappingsPath+"/"+url.PathEscape(args[0]), nil)
	}
	return cmd
}
