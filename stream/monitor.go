package stream

import (
	"context"
	"slices"
)

// ShardMetrics returns the metrics that can be had of each shard, by AWS's
// names.
func ShardMetrics() []string {
	return []string{
		"IncomingBytes", "IncomingRecords", "OutgoingBytes", "OutgoingRecords",
		"WriteProvisionedThroughputExceeded", "ReadProvisionedThroughputExceeded", "IteratorAgeMilliseconds",
	}
}

// Monitor changes which metrics of a stream's shards are exported: names, or
// all of them for ALL, are switched on or off. It returns those that were on
// before and those that are on after it, in the order of ShardMetrics. Faults:
// as Tag's.
func (s *Streams) Monitor(ctx context.Context, ref Ref, names []string, on bool) (before, after []string, err error) {
	if slices.Contains(names, "ALL") {
		names = ShardMetrics()
	}
	err = s.change(ctx, ref, func(d *streamDoc) error {
		before, after = d.Metrics, nil
		for _, m := range ShardMetrics() {
			if slices.Contains(names, m) && on || !slices.Contains(names, m) && slices.Contains(before, m) {
				after = append(after, m)
			}
		}
		d.Metrics = after
		return nil
	})
	return before, after, err
}
