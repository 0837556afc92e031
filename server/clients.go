package server

import (
	"math"

	"github.com/thalweg/thalweg/api/sink"
	"github.com/thalweg/thalweg/internal/metric"
)

// exportClients makes /metrics show what clients put to CloudWatch.
func exportClients(r *metric.Registry, clients *sink.Metrics) {
	labels := []string{"account", "namespace", "metric", "dimensions", "unit"}
	r.Collect([]metric.Family{
		{Name: "thalweg_cloudwatch", Help: "Samples of metrics that clients put to CloudWatch: their sum and their number.", Kind: metric.Summary, Labels: labels},
		{Name: "thalweg_cloudwatch_minimum", Help: "Smallest sample of the latest datum.", Kind: metric.Gauge, Labels: labels},
		{Name: "thalweg_cloudwatch_maximum", Help: "Largest sample of the latest datum.", Kind: metric.Gauge, Labels: labels},
		{Name: "thalweg_cloudwatch_dropped_total", Help: "Data that clients put to CloudWatch and that there was no room for: too many different names.", Kind: metric.Counter},
	}, func(sample metric.Sample) {
		for _, s := range clients.All() {
			of := []string{s.Account, s.Namespace, s.Name, s.Dimensions, s.Unit}
			sample(0, of, s.Sum, uint64(math.Round(s.Count)))
			sample(1, of, s.Minimum, 0)
			sample(2, of, s.Maximum, 0)
		}
		sample(3, nil, float64(clients.Dropped()), 0)
	})
}
