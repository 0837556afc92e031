package server

import (
	"strings"

	"github.com/thalweg/thalweg/function/mapping"
	"github.com/thalweg/thalweg/internal/metric"
)

// mappingFigures is what /metrics shows of an event source mapping: AWS's
// metrics of Lambda that are about mappings, and what is counted besides.
// (Lambda Developer Guide, "Types of metrics for Lambda functions")
func mappingFigures() []struct {
	metric.Family
	read func(c *mapping.Counts) int64
} {
	type figure = struct {
		metric.Family
		read func(c *mapping.Counts) int64
	}
	counter := func(name, help string, read func(c *mapping.Counts) int64) figure {
		return figure{metric.Family{Name: "thalweg_lambda_mapping_" + name + "_total", Help: help, Kind: metric.Counter}, read}
	}
	return []figure{
		counter("invocations", "Invocations that the function took.", func(c *mapping.Counts) int64 { return c.Invocations.Load() }),
		counter("errors", "Invocations that failed.", func(c *mapping.Counts) int64 { return c.Failures.Load() }),
		counter("partial_failures", "Invocations that reported records that failed.", func(c *mapping.Counts) int64 { return c.ItemFailures.Load() }),
		counter("throttles", "Invocations that did not take place: throttles, and failures of the service.", func(c *mapping.Counts) int64 { return c.Refused.Load() }),
		counter("records", "Records that the function has dealt with.", func(c *mapping.Counts) int64 { return c.Records.Load() }),
		counter("filtered_records", "Records that no filter wanted.", func(c *mapping.Counts) int64 { return c.Filtered.Load() }),
		counter("discarded_records", "Records that were given up.", func(c *mapping.Counts) int64 { return c.Discarded.Load() }),
		counter("destination_delivery_failures", "Batches that the on-failure destination did not take.", func(c *mapping.Counts) int64 { return c.SendFailures.Load() }),
		{metric.Family{Name: "thalweg_lambda_mapping_iterator_age_milliseconds", Help: "How old the last record of the last batch was when it was handed to the function. There is none before the first batch.", Kind: metric.Gauge},
			func(c *mapping.Counts) int64 { return c.IteratorAge.Load() }},
	}
}

// exportMappings makes /metrics show what mappings count.
func exportMappings(r *metric.Registry, m *mapping.Mappings) {
	figures := mappingFigures()
	families := make([]metric.Family, len(figures))
	for i := range figures {
		families[i] = figures[i].Family
		families[i].Labels = []string{"account", "region", "mapping", "source", "function"}
	}
	r.Collect(families, func(sample metric.Sample) {
		for f := range m.Figures() {
			source, _ := refOf(f.Source)
			parts := strings.SplitN(f.Function, ":", 7)
			labels := []string{f.Account, f.Region, f.UUID, source.Name, parts[len(parts)-1]}
			for i := range figures {
				if n := figures[i].read(f.Counts); n >= 0 {
					sample(i, labels, float64(n), 0)
				}
			}
		}
	})
}
