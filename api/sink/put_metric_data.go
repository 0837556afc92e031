package sink

import (
	"context"
	"fmt"
	"math"
	"slices"
	"strings"
	"time"

	"github.com/thalweg/thalweg/gate"
)

type putMetricDataRequest struct {
	Namespace        *string            `aws:"required,min=1,max=255,pattern=[^:].*"`
	MetricData       []metricDatum      `aws:"max=1000"`
	EntityMetricData []entityMetricData `aws:"max=2"`
}

type entityMetricData struct {
	MetricData []metricDatum `aws:"max=1000"`
}

type metricDatum struct {
	MetricName        *string     `aws:"required,min=1,max=255"`
	Dimensions        []dimension `aws:"max=30"`
	Timestamp         time.Time
	Value             *float64
	StatisticValues   *statisticSet
	Values            []float64 `aws:"max=150"`
	Counts            []float64 `aws:"max=150"`
	Unit              *string   `aws:"enum=Seconds|Microseconds|Milliseconds|Bytes|Kilobytes|Megabytes|Gigabytes|Terabytes|Bits|Kilobits|Megabits|Gigabits|Terabits|Percent|Count|Bytes/Second|Kilobytes/Second|Megabytes/Second|Gigabytes/Second|Terabytes/Second|Bits/Second|Kilobits/Second|Megabits/Second|Gigabits/Second|Terabits/Second|Count/Second|None"`
	StorageResolution *int32    `aws:"min=1"`
}

type dimension struct {
	Name  *string `aws:"required,min=1,max=255"`
	Value *string `aws:"required,min=1,max=1024"`
}

type statisticSet struct {
	SampleCount, Sum, Minimum, Maximum *float64 `aws:"required"`
}

type putMetricDataResponse struct{}

// How far from now a timestamp may be.
const (
	oldest = 14 * 24 * time.Hour
	newest = 2 * time.Hour
)

// putMetricData adds metric data to what /metrics shows. All of a request is
// taken, or, if one datum is wrong, nothing. It differs from AWS in that
// nothing is kept by time (a scraper does that) and the entities of
// EntityMetricData are not kept at all, only their data.
// https://docs.aws.amazon.com/AmazonCloudWatch/latest/APIReference/API_PutMetricData.html
func (a *api) putMetricData(_ context.Context, c *gate.Call, in *putMetricDataRequest) (*putMetricDataResponse, error) {
	all := slices.Clone(in.MetricData)
	for _, e := range in.EntityMetricData {
		all = append(all, e.MetricData...)
	}
	if len(all) == 0 {
		return nil, invalidf(missingParameter, "The parameter MetricData is required.")
	}
	data := make([]datum, len(all))
	for i := range all {
		var err error
		if data[i], err = all[i].read(fmt.Sprintf("MetricData.member.%d", i+1), c.Now); err != nil {
			return nil, err
		}
		data[i].account, data[i].namespace = c.Account, *in.Namespace
	}
	a.Metrics.add(data, c.Now)
	return &putMetricDataResponse{}, nil
}

// read makes a datum of d, whose name in the request is at.
func (d *metricDatum) read(at string, now time.Time) (datum, error) {
	out := datum{labels: labels{name: *d.MetricName, unit: "None", dimensions: dimensionText(d.Dimensions)}}
	if d.Unit != nil {
		out.unit = *d.Unit
	}
	switch {
	case !d.Timestamp.IsZero() && (d.Timestamp.Before(now.Add(-oldest)) || d.Timestamp.After(now.Add(newest))):
		return out, invalidf(invalidValue, "The parameter %s.Timestamp must specify a time no more than two weeks in the past and no more than two hours in the future.", at)
	case d.Value != nil && d.StatisticValues != nil:
		return out, invalidf(invalidCombination, "The parameters %s.Value and %[1]s.StatisticValues are mutually exclusive and you have specified both.", at)
	case len(d.Values) > 0 && (d.Value != nil || d.StatisticValues != nil):
		return out, invalidf(invalidCombination, "The parameter %s.Values cannot be specified with Value or StatisticValues.", at)
	case len(d.Counts) > 0 && len(d.Counts) != len(d.Values):
		return out, invalidf(invalidValue, "The parameters %s.Values and %[1]s.Counts must be of the same size.", at)
	case d.Value != nil:
		out.statistics = statistics{sum: *d.Value, count: 1, minimum: *d.Value, maximum: *d.Value}
	case d.StatisticValues != nil:
		s := d.StatisticValues
		out.statistics = statistics{sum: *s.Sum, count: *s.SampleCount, minimum: *s.Minimum, maximum: *s.Maximum}
	case len(d.Values) > 0:
		out.statistics = statistics{minimum: slices.Min(d.Values), maximum: slices.Max(d.Values)}
		for i, v := range d.Values {
			n := 1.0
			if i < len(d.Counts) {
				n = d.Counts[i]
			}
			out.sum += v * n
			out.count += n
		}
	default:
		return out, invalidf(missingParameter, "One of the parameters %s.Value, %[1]s.StatisticValues and %[1]s.Values is required.", at)
	}
	for _, v := range []float64{out.sum, out.count, out.minimum, out.maximum} {
		if math.IsNaN(v) || math.Abs(v) > math.Ldexp(1, 360) {
			return out, invalidf(invalidValue, "A value of %s is not a number between -2^360 and 2^360.", at)
		}
	}
	if out.count < 0 {
		return out, invalidf(invalidValue, "The number of samples of %s is negative.", at)
	}
	return out, nil
}

// dimensionText is dimensions as one label: Name=Value,Name=Value, by name.
func dimensionText(all []dimension) string {
	parts := make([]string, len(all))
	for i, d := range all {
		parts[i] = *d.Name + "=" + *d.Value
	}
	slices.Sort(parts)
	return strings.Join(parts, ",")
}
