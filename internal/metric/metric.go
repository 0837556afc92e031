// Package metric keeps the figures that /metrics shows, in a registry of its
// own. It hides the Prometheus library and caches its handles, so that
// counting a request on the hot path is one map look-up and no allocation. It
// never exports anything by itself, and keeps no series per stream or shard,
// whose number is the users' choice: those are asked for when they are read.
package metric

import (
	"maps"
	"net/http"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"
)

// Registry holds all figures of one server. Its methods may be called
// concurrently.
type Registry struct {
	prom     *prometheus.Registry
	requests *prometheus.CounterVec
	seconds  *prometheus.HistogramVec

	mu     sync.Mutex // held to add a series
	series atomic.Pointer[map[key]series]
}

type key struct {
	service, op string
	status      int
}

type series struct {
	requests prometheus.Counter
	seconds  prometheus.Observer
}

// New returns a registry that has the figures of the Go runtime and of the
// process, and build information as thalweg_build_info.
func New(version, commit string) *Registry {
	r := &Registry{
		prom: prometheus.NewRegistry(),
		requests: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "thalweg_requests_total",
			Help: "Requests answered, by service, operation and HTTP status.",
		}, []string{"service", "operation", "status"}),
		seconds: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name: "thalweg_request_duration_seconds",
			Help: "Time from a request's last header byte to its answer, by service and operation.",
			// From a read out of memory to a client that gave up.
			Buckets: []float64{.0001, .00025, .0005, .001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10},
		}, []string{"service", "operation"}),
	}
	r.series.Store(&map[key]series{})
	r.prom.MustRegister(r.requests, r.seconds,
		collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	build := prometheus.NewGauge(prometheus.GaugeOpts{
		Name: "thalweg_build_info", Help: "1, with the build in its labels.",
		ConstLabels: prometheus.Labels{"version": version, "commit": commit},
	})
	build.Set(1)
	r.prom.MustRegister(build)
	return r
}

// Observe counts one answered request and its duration. The names must come
// from the server's own tables, never from a client: each makes a series.
func (r *Registry) Observe(service, op string, status int, d time.Duration) {
	k := key{service, op, status}
	s, ok := (*r.series.Load())[k]
	if !ok {
		s = r.add(k)
	}
	s.requests.Inc()
	s.seconds.Observe(d.Seconds())
}

func (r *Registry) add(k key) series {
	r.mu.Lock()
	defer r.mu.Unlock()
	s := series{
		requests: r.requests.WithLabelValues(k.service, k.op, strconv.Itoa(k.status)),
		seconds:  r.seconds.WithLabelValues(k.service, k.op),
	}
	grown := maps.Clone(*r.series.Load())
	grown[k] = s
	r.series.Store(&grown)
	return s
}

// Gauge adds a figure that is asked for when /metrics is read. read must be
// cheap and safe for concurrent use.
func (r *Registry) Gauge(name, help string, read func() float64) {
	r.prom.MustRegister(prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: name, Help: help}, read))
}

// Counter adds a figure that only grows and is asked for when /metrics is
// read. read must be cheap and safe for concurrent use.
func (r *Registry) Counter(name, help string, read func() float64) {
	r.prom.MustRegister(prometheus.NewCounterFunc(prometheus.CounterOpts{Name: name, Help: help}, read))
}

// Histogram adds a distribution over buckets, given by their upper bounds, and
// returns what adds a value to it, which allocates nothing.
func (r *Registry) Histogram(name, help string, buckets []float64) (observe func(float64)) {
	h := prometheus.NewHistogram(prometheus.HistogramOpts{Name: name, Help: help, Buckets: buckets})
	r.prom.MustRegister(h)
	return h.Observe
}

// Kind is what may be done with the values of a family.
type Kind uint8

// The kinds.
const (
	Counter Kind = iota // only grows
	Gauge               // goes up and down
	Summary             // how many there were, and the sum of all
)

// Family is the figures of one name, a series for each set of labels.
type Family struct {
	Name, Help string
	Kind       Kind
	Labels     []string
}

// Sample takes one series of the family at a place in the list: the value of
// each of its labels, its value, and for a Summary the count.
type Sample func(family int, labels []string, value float64, count uint64)

// Collect adds families that are asked for when /metrics is read: read calls
// sample for each series there is then, once, and may be called concurrently.
func (r *Registry) Collect(families []Family, read func(sample Sample)) {
	c := &collector{families: families, read: read}
	for _, f := range families {
		c.descs = append(c.descs, prometheus.NewDesc(f.Name, f.Help, f.Labels, nil))
	}
	r.prom.MustRegister(c)
}

type collector struct {
	families []Family
	descs    []*prometheus.Desc
	read     func(Sample)
}

func (c *collector) Describe(ch chan<- *prometheus.Desc) {
	for _, d := range c.descs {
		ch <- d
	}
}

func (c *collector) Collect(ch chan<- prometheus.Metric) {
	c.read(func(family int, labels []string, value float64, count uint64) {
		d := c.descs[family]
		switch c.families[family].Kind {
		case Counter:
			ch <- prometheus.MustNewConstMetric(d, prometheus.CounterValue, value, labels...)
		case Gauge:
			ch <- prometheus.MustNewConstMetric(d, prometheus.GaugeValue, value, labels...)
		case Summary:
			ch <- prometheus.MustNewConstSummary(d, count, value, nil, labels...)
		}
	})
}

// Handler serves all figures in the Prometheus text format.
func (r *Registry) Handler() http.Handler {
	return promhttp.HandlerFor(r.prom, promhttp.HandlerOpts{})
}
